//! What a file system can answer instead of a result.

use std::fmt;

/// The result of every operation on a file system.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! errors {
    ($($name:ident = $errno:literal, $what:literal;)*) => {
        /// Why an operation failed: the POSIX errors that a file system answers with, by their meaning.
        ///
        /// The set is closed under [`Error::errno`] and [`Error::from_errno`], which speak Linux' numbers
        /// (generic ABI: x86_64, aarch64), so that a backend of the kernel and one in memory say the same.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Error {
            $(#[doc = concat!("`E", $what, ".")] $name,)*
        }

        impl Error {
            /// Linux' number of this error.
            #[must_use]
            pub const fn errno(self) -> i32 {
                match self { $(Error::$name => $errno,)* }
            }

            /// The error of Linux' number `errno`; whatever is not in the table is [`Error::Io`].
            #[must_use]
            pub const fn from_errno(errno: i32) -> Error {
                match errno { $($errno => Error::$name,)* _ => Error::Io }
            }

            const fn describe(self) -> &'static str {
                match self { $(Error::$name => $what,)* }
            }
        }
    };
}

errors! {
    NotPermitted = 1, "PERM`: operation not permitted";
    NotFound = 2, "NOENT`: no such file or directory";
    Interrupted = 4, "INTR`: interrupted";
    Io = 5, "IO`: input/output error";
    NoDevice = 6, "NXIO`: no such device or address";
    BadHandle = 9, "BADF`: the handle is not open for this";
    WouldBlock = 11, "AGAIN`: would block";
    NoMemory = 12, "NOMEM`: not enough memory";
    Access = 13, "ACCES`: permission denied";
    Busy = 16, "BUSY`: device or resource busy";
    Exists = 17, "EXIST`: file exists";
    CrossDevice = 18, "XDEV`: the two paths lie on different file systems, or a path leaves its root";
    NotDirectory = 20, "NOTDIR`: not a directory";
    IsDirectory = 21, "ISDIR`: is a directory";
    Invalid = 22, "INVAL`: invalid argument";
    TooManyFilesInSystem = 23, "NFILE`: too many open files in the system";
    TooManyFiles = 24, "MFILE`: too many open files";
    TextBusy = 26, "TXTBSY`: text file busy";
    TooLarge = 27, "FBIG`: file too large";
    NoSpace = 28, "NOSPC`: no space left";
    IllegalSeek = 29, "SPIPE`: illegal seek";
    ReadOnly = 30, "ROFS`: read-only file system";
    TooManyLinks = 31, "MLINK`: too many links";
    BrokenPipe = 32, "PIPE`: broken pipe";
    NameTooLong = 36, "NAMETOOLONG`: name too long";
    NotSupported = 38, "NOSYS`: not supported by this file system";
    NotEmpty = 39, "NOTEMPTY`: directory not empty";
    Loop = 40, "LOOP`: too many symbolic links";
    Overflow = 75, "OVERFLOW`: value too large";
    IllegalSequence = 84, "ILSEQ`: the name is not one that this file system can hold";
    Quota = 122, "DQUOT`: quota exceeded";
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.describe();
        f.write_str(text.split_once("`: ").map_or(text, |(_, words)| words))
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Error {
        error.raw_os_error().map_or(Error::Io, Error::from_errno)
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> std::io::Error {
        std::io::Error::from_raw_os_error(error.errno())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words() {
        for errno in 0..200 {
            let error = Error::from_errno(errno);
            assert!(error.errno() == errno || error == Error::Io);
        }
        assert_eq!(Error::ReadOnly.to_string(), "read-only file system");
        assert_eq!(Error::from(std::io::Error::from_raw_os_error(2)), Error::NotFound);
    }
}
