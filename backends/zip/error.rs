//! Why an archive is not opened.

use std::fmt;

use crate::index::Refusal;

/// Why an archive cannot be mounted.
#[derive(Debug)]
#[non_exhaustive]
pub enum ZipError {
    /// The file cannot be opened or mapped.
    Io(std::io::Error),
    /// There is no whole archive: no end record, no central directory where it should be, or one that does not parse.
    Archive(String),
    /// The central directory lists more entries than [`Options::entries`](super::Options::entries) allows.
    TooManyEntries {
        /// How many it lists.
        count: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// An entry is not one that can be mounted.
    Entry {
        /// Its name, as far as it could be read.
        name: String,
        /// What is wrong with it.
        problem: Problem,
    },
}

/// What is wrong with an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// Its name begins with a slash.
    Absolute,
    /// Its name has a `..`.
    ParentDir,
    /// Its name holds a NUL.
    Nul,
    /// Its name, or a part of it, is longer than paths can be, or empty.
    BadName,
    /// It is a file, and another entry needs a directory there, or the other way round.
    Conflict,
    /// Its header or data shares bytes with another entry or with the central directory.
    Overlap,
    /// It is encrypted.
    Encrypted,
    /// It is compressed by a method that is not supported: the method's number.
    Method(u16),
    /// Its sizes cannot be true: the words say why.
    Sizes(&'static str),
    /// Its local header says otherwise than the central directory: the words say in what.
    Disagreement(&'static str),
    /// With it, the compressed entries expand beyond [`Options::expansion`](super::Options::expansion).
    Expansion {
        /// How far they may.
        limit: u64,
    },
    /// With it and the directories that it implies, there are more entries than
    /// [`Options::entries`](super::Options::entries) allows.
    TooMany,
    /// It is a symbolic link without a target, or with one that is no path.
    BadLink,
    /// Its contents do not inflate, or not to its size and checksum.
    Damaged,
    /// It has to be inflated whole, and the cache's budget or the memory does not allow for that.
    NoRoom,
}

impl ZipError {
    pub(super) fn entry(name: &[u8], problem: Problem) -> ZipError {
        ZipError::Entry { name: String::from_utf8_lossy(name).into_owned(), problem }
    }
}

impl fmt::Display for ZipError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ZipError::Io(error) => error.fmt(f),
            ZipError::Archive(words) => write!(f, "not a whole zip archive: {words}"),
            ZipError::TooManyEntries { count, limit } => {
                write!(f, "the archive lists {count} entries, and {limit} are allowed")
            }
            ZipError::Entry { name, problem } => write!(f, "archive entry {name:?}: {problem}"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Absolute => f.write_str("its name is absolute"),
            Problem::ParentDir => f.write_str("its name has a `..`"),
            Problem::Nul => f.write_str("its name holds a NUL"),
            Problem::BadName => f.write_str("its name is empty or too long"),
            Problem::Conflict => f.write_str("it is a directory in one place and a file in another"),
            Problem::Overlap => f.write_str("it overlaps another entry or the central directory"),
            Problem::Encrypted => f.write_str("it is encrypted"),
            Problem::Method(method) => write!(f, "compression method {method} is not supported"),
            Problem::Sizes(words) => write!(f, "its sizes cannot be true: {words}"),
            Problem::Disagreement(what) => write!(f, "its local header and the central directory disagree: {what}"),
            Problem::Expansion { limit } => write!(f, "the archive expands beyond the limit of {limit} bytes"),
            Problem::TooMany => f.write_str("it exceeds the number of entries that are allowed"),
            Problem::BadLink => f.write_str("it is a symbolic link whose target is empty or no path"),
            Problem::Damaged => f.write_str("its contents are damaged"),
            Problem::NoRoom => f.write_str("there is no room to inflate it"),
        }
    }
}

impl std::error::Error for ZipError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ZipError::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<std::io::Error> for ZipError {
    fn from(error: std::io::Error) -> ZipError {
        ZipError::Io(error)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        match refusal {
            Refusal::Absolute => Problem::Absolute,
            Refusal::ParentDir => Problem::ParentDir,
            Refusal::Nul => Problem::Nul,
            Refusal::TooLong | Refusal::Root => Problem::BadName,
            Refusal::Conflict => Problem::Conflict,
            Refusal::TooMany => Problem::TooMany,
        }
    }
}
