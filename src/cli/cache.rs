//! `kitbag cache`: what is kept of earlier compilations.

use kitbag::cache::{Cache, default_path};

use super::args::CacheCommand;
use super::report::{Failure, cause, say};

/// Shows or clears it.
///
/// # Errors
/// A cache that cannot be used or read.
pub(super) fn run(what: CacheCommand) -> Result<i32, Failure> {
    let place = default_path().map_or_else(|| "kitbag's".to_owned(), |path| path.display().to_string());
    let refuse = |error| Failure::new("cannot use the cache", &place, cause(&error));
    let cache = Cache::open_default().map_err(refuse)?;
    match what {
        CacheCommand::Show => {
            let entries = cache.entries().map_err(refuse)?;
            let lines: String =
                entries.iter().map(|entry| format!("{:>12} {}\n", entry.bytes, entry.name.display())).collect();
            let bytes: u64 = entries.iter().map(|entry| entry.bytes).sum();
            say(format_args!("{lines}{bytes:>12} bytes of native code of {} modules in {place}\n", entries.len()))?;
        }
        CacheCommand::Clear => {
            let bytes = cache.clear().map_err(refuse)?;
            say(format_args!("{bytes} bytes of native code removed from {place}\n"))?;
        }
    }
    Ok(0)
}
