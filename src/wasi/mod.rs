//! WASI preview1: the system interface of WebAssembly programs, on any [`FileSystem`](kitbag_fs::FileSystem).
//!
//! A [`WasiCtx`] is what one guest sees: its descriptors, arguments, environment, clocks and chance; [`add_to_linker`] defines the
//! functions that a program imports. [`preview1`] holds the functions themselves, over a slice of memory and
//! a `WasiCtx`; [`unstable`] the version before.
//!
//! ```
//! use kitbag::wasi::{Capture, WasiCtx, add_to_linker};
//! use kitbag::{Engine, Error, Linker, Module, Store};
//!
//! let engine = Engine::default();
//! let module = Module::new(&engine, r#"
//!     (module
//!         (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
//!         (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
//!         (memory (export "memory") 1)
//!         (data (i32.const 0) "\10\00\00\00\06\00\00\00")
//!         (data (i32.const 16) "hello\n")
//!         (func (export "_start")
//!             (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
//!             (call $exit (i32.const 3))))
//! "#)?;
//!
//! let mut linker = Linker::new(&engine);
//! add_to_linker(&mut linker, |ctx: &mut WasiCtx| ctx)?;
//! let output = Capture::new(1 << 20);
//! let mut store = Store::new(&engine, WasiCtx::builder().stdout(output.clone()).build()?);
//! let instance = linker.instantiate(&mut store, &module)?;
//! let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
//! assert!(matches!(start.call(&mut store, ()), Err(Error::Exit(3))));
//! assert_eq!(output.contents(), b"hello\n");
//! # Ok::<(), Error>(())
//! ```
//!
//! # Choices
//!
//! The witx text and POSIX decide; where both leave something open, this follows wasmtime and wasi-libc.
//!
//! - **Bad pointers are `EFAULT`**, and places for results are checked before anything is done. (wasmtime traps.) A pointer need not
//!   be aligned, and where a length is 0 it is not looked at.
//! - **Rights are enforced**: `ENOTCAPABLE`, which wasi-libc turns into `EBADF`. Preopened directories have all of them whatever is
//!   mounted there; a read-only file system answers `EROFS` itself.
//! - **The wrong kind** comes before rights: a path function on what is no directory is `ENOTDIR`, reading a directory `EISDIR`,
//!   seeking in a stream `ESPIPE`, anything else `EBADF`.
//! - **Descriptors are the lowest free number**, as in POSIX; a full table is `EMFILE`.
//! - **Closing and renumbering** work on every descriptor, standard streams and preopened directories among them.
//! - **Unknown flags are `EINVAL`**; unknown rights are ignored where they are asked for.
//! - **Synchronous writing** (`dsync`, `sync`, `rsync`) is a sync after each write. Non-blocking applies to streams.
//! - **Times** outside of what 64 bits of nanoseconds hold are told as the nearest that fits.

mod args;
mod builder;
mod clocks;
mod errno;
mod fds;
mod files;
mod guest;
mod iovec;
mod link;
mod paths;
mod poll;
mod process;
mod random;
mod readdir;
mod sockets;
mod stream;
mod table;
mod trace;
mod types;
pub mod unstable;
mod waiting;

pub use builder::{BuildError, WasiCtxBuilder};
pub use clocks::{Clock, ClockId, SteppingClock, SystemClock};
pub use errno::Errno;
pub use link::{add_to_linker, add_to_linker_traced};
pub use random::{Random, SeededRandom, SystemRandom};
pub use sockets::Receive;
pub use stream::{Capture, HostStream, Input, Null, Stream};
pub use trace::{Call, Tracer};
pub use types::{FdFlags, FstFlags, LookupFlags, OFlags, Rights, Whence};

/// The functions of `wasi_snapshot_preview1`, over a guest's memory and what it sees.
///
/// Each takes the arguments of the text's function: pointers and sizes as `u32`, flags as the `u32` that they arrive in. Results go to
/// memory. All but `proc_exit` are here, which is no function of the guest's state: it ends the guest.
pub mod preview1 {
    pub use super::args::{args_get, args_sizes_get, environ_get, environ_sizes_get};
    pub use super::clocks::{clock_res_get, clock_time_get};
    pub use super::fds::{
        fd_close, fd_fdstat_get, fd_fdstat_set_flags, fd_fdstat_set_rights, fd_filestat_get, fd_filestat_set_times,
        fd_prestat_dir_name, fd_prestat_get, fd_renumber,
    };
    pub use super::files::{
        fd_advise, fd_allocate, fd_datasync, fd_filestat_set_size, fd_pread, fd_pwrite, fd_read, fd_seek, fd_sync,
        fd_tell, fd_write,
    };
    pub use super::paths::{
        path_create_directory, path_filestat_get, path_filestat_set_times, path_link, path_open, path_readlink,
        path_remove_directory, path_rename, path_symlink, path_unlink_file,
    };
    pub use super::poll::poll_oneoff;
    pub use super::process::{proc_raise, sched_yield};
    pub use super::random::random_get;
    pub use super::readdir::fd_readdir;
    pub use super::sockets::{sock_accept, sock_recv, sock_send, sock_shutdown};
}

pub(crate) use args::Strings;
use table::Table;

/// What one guest sees of the world.
pub struct WasiCtx {
    table: Table,
    args: Strings,
    env: Strings,
    clock: Box<dyn Clock>,
    random: Box<dyn Random>,
    quota: Quota,
    path_max: usize,
}

impl WasiCtx {
    /// The same as [`WasiCtxBuilder::new`].
    pub fn builder() -> WasiCtxBuilder {
        WasiCtxBuilder::new()
    }
}

impl std::fmt::Debug for WasiCtx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WasiCtx").field("args", &self.args).field("env", &self.env).finish_non_exhaustive()
    }
}

/// Bytes that the guest may still write.
struct Quota(u64);

impl Quota {
    fn new(bytes: u64) -> Quota {
        Quota(bytes)
    }

    /// # Errors
    /// `EDQUOT`.
    fn check(&self, bytes: u64) -> Result<(), Errno> {
        if bytes <= self.0 { Ok(()) } else { Err(Errno::Dquot) }
    }

    fn spend(&mut self, bytes: u64) {
        if self.0 != u64::MAX {
            self.0 = self.0.saturating_sub(bytes);
        }
    }
}
