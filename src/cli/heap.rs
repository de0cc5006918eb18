//! The heap of a process that goes on for long, where it is glibc's.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// What tells glibc how to behave when a process starts.
const TUNABLES: &str = "GLIBC_TUNABLES";

/// Set in a process that was started anew. glibc takes its own variable away where the file has privileges.
const ANEW: &str = "KITBAG_STARTED_ANEW";

/// Starts the process anew, unless it was told already how malloc is to behave: without the pieces of memory that it keeps at hand for
/// each thread. They lie about in pages that can never be given back for them, and more of them do with each new kind of request, so that
/// the process grows by half over its first million. Requests are answered no slower without; and there is no
/// other way to say so than from outside. Where the process' file is gone or may not be run, it goes on as it is.
pub(super) fn start_without_caches_of_threads() {
    if [TUNABLES, ANEW].iter().any(|name| env::var_os(name).is_some()) {
        return;
    }
    let mut words = env::args_os();
    if let (Ok(program), Some(name)) = (env::current_exe(), words.next()) {
        let tunables = (TUNABLES, "glibc.malloc.tcache_count=0");
        _ = Command::new(program).arg0(name).args(words).envs([tunables, (ANEW, "1")]).exec();
    }
}
