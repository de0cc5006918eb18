//! The functions as imports: one table, from which the linker's definitions and the trace are made.

use super::trace::{Kind, Shape, Tracer};
use super::{Errno, WasiCtx, preview1, unstable};
use crate::{Caller, Error, Linker, Result};

/// The names that programs import from.
const PREVIEW1: &str = "wasi_snapshot_preview1";
const UNSTABLE: &str = "wasi_unstable";

/// How each kind of argument arrives.
mod value {
    pub(super) type Advice = u32;
    pub(super) type Clock = u32;
    pub(super) type Delta = i64;
    pub(super) type Fd = u32;
    pub(super) type FdFlags = u32;
    pub(super) type FdstatOut = u32;
    pub(super) type FilestatOut = u32;
    pub(super) type FstFlags = u32;
    pub(super) type Iovecs = u32;
    pub(super) type Len = u32;
    pub(super) type Lookup = u32;
    pub(super) type Number = u32;
    pub(super) type OFlags = u32;
    pub(super) type Offset = u64;
    pub(super) type Path = u32;
    pub(super) type Pointer = u32;
    pub(super) type Rights = u64;
    pub(super) type Size = u32;
    pub(super) type Time = u64;
    pub(super) type U32Out = u32;
    pub(super) type U64Out = u32;
    pub(super) type Whence = u32;
}

/// Hands the table of functions, but for `proc_exit`, to a macro: names, and what each argument is.
macro_rules! functions {
    ($with:ident!($($head:tt)*)) => { $with! { ($($head)*)
        args_get(argv: Pointer, argv_buf: Pointer);
        args_sizes_get(count: U32Out, size: U32Out);
        clock_res_get(id: Clock, resolution: U64Out);
        clock_time_get(id: Clock, precision: Time, time: U64Out);
        environ_get(environ: Pointer, environ_buf: Pointer);
        environ_sizes_get(count: U32Out, size: U32Out);
        fd_advise(fd: Fd, offset: Offset, len: Offset, advice: Advice);
        fd_allocate(fd: Fd, offset: Offset, len: Offset);
        fd_close(fd: Fd);
        fd_datasync(fd: Fd);
        fd_fdstat_get(fd: Fd, stat: FdstatOut);
        fd_fdstat_set_flags(fd: Fd, flags: FdFlags);
        fd_fdstat_set_rights(fd: Fd, base: Rights, inheriting: Rights);
        fd_filestat_get(fd: Fd, stat: FilestatOut);
        fd_filestat_set_size(fd: Fd, size: Offset);
        fd_filestat_set_times(fd: Fd, atim: Time, mtim: Time, flags: FstFlags);
        fd_pread(fd: Fd, iovs: Iovecs, iovs_len: Len, offset: Offset, read: U32Out);
        fd_prestat_dir_name(fd: Fd, path: Pointer, path_len: Size);
        fd_prestat_get(fd: Fd, prestat: Pointer);
        fd_pwrite(fd: Fd, iovs: Iovecs, iovs_len: Len, offset: Offset, written: U32Out);
        fd_read(fd: Fd, iovs: Iovecs, iovs_len: Len, read: U32Out);
        fd_readdir(fd: Fd, buf: Pointer, buf_len: Size, cookie: Offset, used: U32Out);
        fd_renumber(from: Fd, to: Fd);
        fd_seek(fd: Fd, offset: Delta, whence: Whence, position: U64Out);
        fd_sync(fd: Fd);
        fd_tell(fd: Fd, position: U64Out);
        fd_write(fd: Fd, iovs: Iovecs, iovs_len: Len, written: U32Out);
        path_create_directory(fd: Fd, path: Path, path_len: Len);
        path_filestat_get(fd: Fd, lookup: Lookup, path: Path, path_len: Len, stat: FilestatOut);
        path_filestat_set_times(fd: Fd, lookup: Lookup, path: Path, path_len: Len, atim: Time, mtim: Time, flags: FstFlags);
        path_link(fd: Fd, lookup: Lookup, path: Path, path_len: Len, new_fd: Fd, new_path: Path, new_path_len: Len);
        path_open(
            fd: Fd, lookup: Lookup, path: Path, path_len: Len, oflags: OFlags, rights: Rights, inheriting: Rights,
            fdflags: FdFlags, opened: U32Out
        );
        path_readlink(fd: Fd, path: Path, path_len: Len, buf: Pointer, buf_len: Size, used: U32Out);
        path_remove_directory(fd: Fd, path: Path, path_len: Len);
        path_rename(fd: Fd, path: Path, path_len: Len, new_fd: Fd, new_path: Path, new_path_len: Len);
        path_symlink(target: Path, target_len: Len, fd: Fd, path: Path, path_len: Len);
        path_unlink_file(fd: Fd, path: Path, path_len: Len);
        poll_oneoff(subscriptions: Pointer, events: Pointer, count: Size, happened: U32Out);
        proc_raise(signal: Number);
        random_get(buf: Pointer, buf_len: Size);
        sched_yield();
        sock_accept(fd: Fd, flags: FdFlags, connection: U32Out);
        sock_recv(fd: Fd, iovs: Iovecs, iovs_len: Len, flags: Number, received: U32Out, out_flags: Pointer);
        sock_send(fd: Fd, iovs: Iovecs, iovs_len: Len, flags: Number, sent: U32Out);
        sock_shutdown(fd: Fd, how: Number);
    } };
}

/// Defines the functions of one module, plainly.
macro_rules! define {
    (($linker:ident, $module:expr, $version:ident, $get:ident) $($name:ident($($arg:ident: $kind:ident),*);)*) => {
        $($linker.func_wrap(
            $module,
            stringify!($name),
            move |mut caller: Caller<'_, T>, $($arg: value::$kind),*| -> Result<u32> {
                let (memory, data) = caller.memory_and_data().ok_or_else(no_memory)?;
                Ok(number($version::$name(memory, $get(data), $($arg),*)))
            },
        )?;)*
    };
}

/// Defines the functions of one module, each telling what it does.
macro_rules! define_traced {
    (($linker:ident, $module:expr, $version:ident, $get:ident, $tracer:ident) $($name:ident($($arg:ident: $kind:ident),*);)*) => {
        $(
            let tracer = $tracer.clone();
            $linker.func_wrap(
                $module,
                stringify!($name),
                move |mut caller: Caller<'_, T>, $($arg: value::$kind),*| -> Result<u32> {
                    const SHAPE: Shape = Shape { name: stringify!($name), kinds: &[$(Kind::$kind),*] };
                    let (memory, data) = caller.memory_and_data().ok_or_else(no_memory)?;
                    let ctx = $get(data);
                    Ok(number(tracer.trace(&SHAPE, &[$($arg as u64),*], memory, |memory| {
                        $version::$name(memory, ctx, $($arg),*)
                    })))
                },
            )?;
        )*
    };
}

/// Defines all functions of `wasi_snapshot_preview1`, and those of `wasi_unstable`. `get` says where in the store's data the
/// guest's [`WasiCtx`] is.
///
/// A guest that calls one of them needs a memory. `proc_exit` ends it with [`Error::Exit`].
///
/// # Errors
/// [`Error::Link`] where one is defined already.
pub fn add_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> &mut WasiCtx + Copy + Send + Sync + 'static,
) -> Result<()> {
    functions!(define!(linker, PREVIEW1, preview1, get));
    functions!(define!(linker, UNSTABLE, unstable, get));
    for module in [PREVIEW1, UNSTABLE] {
        linker.func_wrap(module, "proc_exit", |code: u32| -> Result<()> { Err(Error::Exit(code as i32)) })?;
    }
    Ok(())
}

/// The same, but each call is told to `tracer` when it is done. Nothing of this costs anything where
/// [`add_to_linker`] was used.
///
/// # Errors
/// The same.
pub fn add_to_linker_traced<T: 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> &mut WasiCtx + Copy + Send + Sync + 'static,
    tracer: Tracer,
) -> Result<()> {
    functions!(define_traced!(linker, PREVIEW1, preview1, get, tracer));
    functions!(define_traced!(linker, UNSTABLE, unstable, get, tracer));
    for module in [PREVIEW1, UNSTABLE] {
        let tracer = tracer.clone();
        linker.func_wrap(module, "proc_exit", move |code: u32| -> Result<()> {
            tracer.exit(code);
            Err(Error::Exit(code as i32))
        })?;
    }
    Ok(())
}

/// What a function gives to the guest.
#[inline]
fn number(result: Result<(), Errno>) -> u32 {
    result.map_or_else(|errno| errno.number().into(), |()| 0)
}

#[cold]
fn no_memory() -> Error {
    Error::host("a module that calls WASI functions needs a memory")
}
