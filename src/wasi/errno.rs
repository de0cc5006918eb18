//! What a WASI function answers instead of a result, by the numbers of the witx text.

use std::fmt;

use kitbag_fs::Error;

macro_rules! errnos {
    ($($variant:ident = $number:literal, $name:literal, $what:literal;)*) => {
        /// An error number of `wasi_snapshot_preview1`. Success is no member: functions give `Result<(), Errno>`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Errno {
            $(#[doc = concat!("`", $name, "`: ", $what, ".")] $variant = $number,)*
        }

        impl Errno {
            /// The error that `number` stands for; `None` for 0 and for numbers that are not in the text.
            #[must_use]
            pub const fn from_number(number: u16) -> Option<Errno> {
                match number { $($number => Some(Errno::$variant),)* _ => None }
            }

            /// Its name in C: `EBADF`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Errno::$variant => $name,)* }
            }

            const fn describe(self) -> &'static str {
                match self { $(Errno::$variant => $what,)* }
            }
        }
    };
}

errnos! {
    TooBig = 1, "E2BIG", "argument list too long";
    Acces = 2, "EACCES", "permission denied";
    Addrinuse = 3, "EADDRINUSE", "address in use";
    Addrnotavail = 4, "EADDRNOTAVAIL", "address not available";
    Afnosupport = 5, "EAFNOSUPPORT", "address family not supported";
    Again = 6, "EAGAIN", "resource unavailable, or operation would block";
    Already = 7, "EALREADY", "connection already in progress";
    Badf = 8, "EBADF", "bad file descriptor";
    Badmsg = 9, "EBADMSG", "bad message";
    Busy = 10, "EBUSY", "device or resource busy";
    Canceled = 11, "ECANCELED", "operation canceled";
    Child = 12, "ECHILD", "no child processes";
    Connaborted = 13, "ECONNABORTED", "connection aborted";
    Connrefused = 14, "ECONNREFUSED", "connection refused";
    Connreset = 15, "ECONNRESET", "connection reset";
    Deadlk = 16, "EDEADLK", "resource deadlock would occur";
    Destaddrreq = 17, "EDESTADDRREQ", "destination address required";
    Dom = 18, "EDOM", "argument out of domain of function";
    Dquot = 19, "EDQUOT", "quota exceeded";
    Exist = 20, "EEXIST", "file exists";
    Fault = 21, "EFAULT", "bad address";
    Fbig = 22, "EFBIG", "file too large";
    Hostunreach = 23, "EHOSTUNREACH", "host is unreachable";
    Idrm = 24, "EIDRM", "identifier removed";
    Ilseq = 25, "EILSEQ", "illegal byte sequence";
    Inprogress = 26, "EINPROGRESS", "operation in progress";
    Intr = 27, "EINTR", "interrupted function";
    Inval = 28, "EINVAL", "invalid argument";
    Io = 29, "EIO", "input/output error";
    Isconn = 30, "EISCONN", "socket is connected";
    Isdir = 31, "EISDIR", "is a directory";
    Loop = 32, "ELOOP", "too many levels of symbolic links";
    Mfile = 33, "EMFILE", "too many open files";
    Mlink = 34, "EMLINK", "too many links";
    Msgsize = 35, "EMSGSIZE", "message too large";
    Multihop = 36, "EMULTIHOP", "reserved";
    Nametoolong = 37, "ENAMETOOLONG", "file name too long";
    Netdown = 38, "ENETDOWN", "network is down";
    Netreset = 39, "ENETRESET", "connection aborted by network";
    Netunreach = 40, "ENETUNREACH", "network unreachable";
    Nfile = 41, "ENFILE", "too many files open in system";
    Nobufs = 42, "ENOBUFS", "no buffer space available";
    Nodev = 43, "ENODEV", "no such device";
    Noent = 44, "ENOENT", "no such file or directory";
    Noexec = 45, "ENOEXEC", "executable file format error";
    Nolck = 46, "ENOLCK", "no locks available";
    Nolink = 47, "ENOLINK", "reserved";
    Nomem = 48, "ENOMEM", "not enough memory";
    Nomsg = 49, "ENOMSG", "no message of the desired type";
    Noprotoopt = 50, "ENOPROTOOPT", "protocol not available";
    Nospc = 51, "ENOSPC", "no space left on device";
    Nosys = 52, "ENOSYS", "function not supported";
    Notconn = 53, "ENOTCONN", "the socket is not connected";
    Notdir = 54, "ENOTDIR", "not a directory or a symbolic link to a directory";
    Notempty = 55, "ENOTEMPTY", "directory not empty";
    Notrecoverable = 56, "ENOTRECOVERABLE", "state not recoverable";
    Notsock = 57, "ENOTSOCK", "not a socket";
    Notsup = 58, "ENOTSUP", "not supported";
    Notty = 59, "ENOTTY", "inappropriate I/O control operation";
    Nxio = 60, "ENXIO", "no such device or address";
    Overflow = 61, "EOVERFLOW", "value too large to be stored in data type";
    Ownerdead = 62, "EOWNERDEAD", "previous owner died";
    Perm = 63, "EPERM", "operation not permitted";
    Pipe = 64, "EPIPE", "broken pipe";
    Proto = 65, "EPROTO", "protocol error";
    Protonosupport = 66, "EPROTONOSUPPORT", "protocol not supported";
    Prototype = 67, "EPROTOTYPE", "protocol wrong type for socket";
    Range = 68, "ERANGE", "result too large";
    Rofs = 69, "EROFS", "read-only file system";
    Spipe = 70, "ESPIPE", "invalid seek";
    Srch = 71, "ESRCH", "no such process";
    Stale = 72, "ESTALE", "reserved";
    Timedout = 73, "ETIMEDOUT", "connection timed out";
    Txtbsy = 74, "ETXTBSY", "text file busy";
    Xdev = 75, "EXDEV", "cross-device link";
    Notcapable = 76, "ENOTCAPABLE", "capabilities insufficient";
}

impl Errno {
    /// The number that the guest gets.
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.describe())
    }
}

impl std::error::Error for Errno {}

/// The one mapping from a file system's errors. What a path finds outside of its root is `EPERM`, as wasmtime
/// answers.
impl From<Error> for Errno {
    fn from(error: Error) -> Errno {
        match error {
            Error::NotPermitted => Errno::Perm,
            Error::NotFound => Errno::Noent,
            Error::Interrupted => Errno::Intr,
            Error::NoDevice => Errno::Nxio,
            Error::BadHandle => Errno::Badf,
            Error::WouldBlock => Errno::Again,
            Error::NoMemory => Errno::Nomem,
            Error::Access => Errno::Acces,
            Error::Busy => Errno::Busy,
            Error::Exists => Errno::Exist,
            Error::CrossDevice => Errno::Xdev,
            Error::NotDirectory => Errno::Notdir,
            Error::IsDirectory => Errno::Isdir,
            Error::Invalid => Errno::Inval,
            Error::TooManyFilesInSystem => Errno::Nfile,
            Error::TooManyFiles => Errno::Mfile,
            Error::TextBusy => Errno::Txtbsy,
            Error::TooLarge => Errno::Fbig,
            Error::NoSpace => Errno::Nospc,
            Error::IllegalSeek => Errno::Spipe,
            Error::ReadOnly => Errno::Rofs,
            Error::TooManyLinks => Errno::Mlink,
            Error::BrokenPipe => Errno::Pipe,
            Error::NameTooLong => Errno::Nametoolong,
            Error::NotSupported => Errno::Notsup,
            Error::NotEmpty => Errno::Notempty,
            Error::Loop => Errno::Loop,
            Error::Overflow => Errno::Overflow,
            Error::IllegalSequence => Errno::Ilseq,
            Error::Quota => Errno::Dquot,
            _ => Errno::Io,
        }
    }
}

/// By way of the kernel's number; connections have some that files do not.
impl From<rustix::io::Errno> for Errno {
    fn from(error: rustix::io::Errno) -> Errno {
        use rustix::io::Errno as Os;
        match error {
            Os::CONNABORTED => Errno::Connaborted,
            Os::CONNRESET => Errno::Connreset,
            Os::NOTCONN => Errno::Notconn,
            Os::NOTSOCK => Errno::Notsock,
            Os::TIMEDOUT => Errno::Timedout,
            Os::NOBUFS => Errno::Nobufs,
            Os::OPNOTSUPP => Errno::Notsup,
            other => Error::from_errno(other.raw_os_error()).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_text() {
        for number in 1..=76 {
            assert_eq!(Errno::from_number(number).map(Errno::number), Some(number));
        }
        assert_eq!((Errno::from_number(0), Errno::from_number(77)), (None, None));
        assert_eq!((Errno::Nomem.number(), Errno::Mfile.number(), Errno::Perm.number()), (48, 33, 63));
        assert_eq!(Errno::Badf.name(), "EBADF");
    }

    #[test]
    fn file_system_errors_keep_their_meaning() {
        assert_eq!(Errno::from(Error::NotPermitted), Errno::Perm);
        assert_eq!(Errno::from(Error::TooManyFiles), Errno::Mfile);
        assert_eq!(Errno::from(rustix::io::Errno::PIPE), Errno::Pipe);
        assert_eq!(Errno::from(rustix::io::Errno::CONNRESET), Errno::Connreset);
    }
}
