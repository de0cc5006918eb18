//! `kitbag serve`.

use std::io;

use kitbag::serve::{Error, Format, Options, Server};

use super::args::{LogFormat, Serve};
use super::report::{Failure, cause, note};

/// Serves the bundle until the process is told to end.
///
/// # Errors
/// What is wrong with the bundle, and an address that cannot be listened on.
pub(super) fn serve(options: &Serve) -> Result<i32, Failure> {
    #[cfg(target_env = "gnu")]
    super::heap::start_without_caches_of_threads();
    let server = Server::bind(&options.bundle, settings(options)).map_err(|error| failure(options, &error))?;
    note(format_args!("serving {} at http://{}/", options.bundle.display(), server.address()));
    if let Some(address) = server.metrics_address() {
        note(format_args!("metrics at http://{address}/metrics"));
    }
    server.run().map_err(|error| failure(options, &error))?;
    Ok(0)
}

fn settings(options: &Serve) -> Options {
    let mut settings = Options::new(options.addr).notes(|words| note(words)).grace(options.grace).watch(options.watch);
    if let Some(format) = options.log {
        let format = match format {
            LogFormat::Common => Format::Common,
            LogFormat::Json => Format::Json,
        };
        settings = settings.access_log(format, io::stdout());
    }
    settings = options.metrics.into_iter().fold(settings, Options::metrics);
    options.workers.into_iter().fold(settings, Options::workers)
}

fn failure(options: &Serve, error: &Error) -> Failure {
    match error {
        Error::Listen(address, error) => Failure::new("cannot listen", address, cause(error)),
        Error::Io(error) => Failure::new("cannot serve", options.bundle.display(), cause(error)),
        error => Failure::new("cannot serve", options.bundle.display(), error),
    }
}
