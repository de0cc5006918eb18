//! What the options of `run` say about a guest beside its program and its files: streams, sockets, limits, what is said
//! about it.

use std::fs::{File, OpenOptions};
use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use kitbag::bundle::{Manifest, StreamTo};
use kitbag::wasi::{HostStream, WasiCtxBuilder};
use kitbag::{Config, ProfilingStrategy};

use super::args::{Profiler, Run, UnknownImports};
use super::report::{Failure, cause, note};

/// All of it; what is not there is as it is by default.
#[derive(Default)]
pub(super) struct Settings {
    streams: [Option<File>; 3],
    /// Which of the streams lead nowhere, where no file was given.
    nowhere: [bool; 3],
    listeners: Vec<TcpListener>,
    max_fds: Option<u32>,
    max_write: Option<u64>,
    max_memory: Option<u64>,
    pub(super) fuel: Option<u64>,
    pub(super) timeout: Option<Duration>,
    pub(super) unknown_imports: UnknownImports,
    pub(super) trace: bool,
    profile: Option<Profiler>,
    pub(super) verbose: bool,
    pub(super) no_cache: bool,
}

impl Settings {
    /// Opens what the options name.
    ///
    /// # Errors
    /// The first file that cannot be opened or address that cannot be listened on.
    pub(super) fn open(options: &Run) -> Result<Settings, Failure> {
        let input = options.stdin.as_deref().map(open_input).transpose()?;
        let [output, errors] = [("--stdout", &options.stdout), ("--stderr", &options.stderr)]
            .map(|(option, path)| path.as_deref().map(|path| open_output(option, path)).transpose());
        Ok(Settings {
            streams: [input, output?, errors?],
            nowhere: [false; 3],
            listeners: options.listen.iter().map(|address| listen(address)).collect::<Result<_, _>>()?,
            max_fds: options.max_fds,
            max_write: options.max_write,
            max_memory: options.max_memory,
            fuel: options.fuel,
            timeout: options.timeout,
            unknown_imports: options.unknown_imports,
            trace: options.trace,
            profile: options.profile,
            verbose: options.verbose,
            no_cache: options.no_cache,
        })
    }

    /// What a manifest says, where no option did.
    pub(super) fn add(&mut self, manifest: &Manifest) {
        let (limits, streams) = (&manifest.limits, manifest.streams);
        self.timeout = self.timeout.or(limits.time);
        self.max_memory = self.max_memory.or(limits.memory);
        self.max_fds = self.max_fds.or(limits.fds);
        self.max_write = self.max_write.or(limits.write);
        self.nowhere = [streams.stdin, streams.stdout, streams.stderr].map(|stream| stream == StreamTo::Null);
    }

    /// What concerns the engine.
    pub(super) fn config(&self) -> Config {
        let mut config = Config::new();
        if let Some(bytes) = self.max_memory {
            config.max_memory(bytes);
        }
        if let Some(time) = self.timeout {
            config.max_compile_time(time);
        }
        config.consume_fuel(self.fuel.is_some());
        if self.profile == Some(Profiler::Perf) {
            config.profiler(ProfilingStrategy::Perf);
        }
        config
    }

    /// Gives a guest what concerns it. `first_socket` is the descriptor that its first socket will have.
    pub(super) fn apply(&mut self, mut ctx: WasiCtxBuilder, first_socket: usize) -> WasiCtxBuilder {
        let [input, output, errors] = std::mem::take(&mut self.streams);
        ctx = match input {
            Some(file) => ctx.stdin(HostStream::new(file)),
            None if self.nowhere[0] => ctx,
            None => ctx.stdin(HostStream::stdin()),
        };
        ctx = match output {
            Some(file) => ctx.stdout(HostStream::new(file)),
            None if self.nowhere[1] => ctx,
            None => ctx.stdout(HostStream::stdout()),
        };
        ctx = match errors {
            Some(file) => ctx.stderr(HostStream::new(file)),
            None if self.nowhere[2] => ctx,
            None => ctx.stderr(HostStream::stderr()),
        };
        for (fd, listener) in (first_socket..).zip(std::mem::take(&mut self.listeners)) {
            if let (true, Ok(address)) = (self.verbose, listener.local_addr()) {
                note(format_args!("descriptor {fd} listens on {address}"));
            }
            ctx = ctx.listener(listener);
        }
        ctx = self.max_fds.into_iter().fold(ctx, WasiCtxBuilder::max_descriptors);
        self.max_write.into_iter().fold(ctx, WasiCtxBuilder::max_written)
    }
}

fn open_input(path: &Path) -> Result<File, Failure> {
    let opened = File::open(path).and_then(|file| match file.metadata()?.is_dir() {
        true => Err(io::ErrorKind::IsADirectory.into()),
        false => Ok(file),
    });
    opened.map_err(|error| cannot_open("--stdin", path, &error))
}

/// A file that is emptied and written at its end, so that two options may name the same one.
fn open_output(option: &str, path: &Path) -> Result<File, Failure> {
    let opened = OpenOptions::new().append(true).create(true).open(path).and_then(|file| {
        // Only a file can be emptied; a pipe or a device is written as it is.
        if file.metadata()?.is_file() {
            file.set_len(0)?;
        }
        Ok(file)
    });
    opened.map_err(|error| cannot_open(option, path, &error))
}

fn cannot_open(option: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new("cannot open", format_args!("{option} {}", path.display()), cause(error))
}

fn listen(address: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .map_err(|error| Failure::new("cannot listen", format_args!("--listen {address}"), cause(&error)))
}
