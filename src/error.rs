//! The one error type of the engine.

use crate::{Exception, NativeProblem, Trap};

/// What the engine's functions give.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something was not done. Each reads as one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Text that is not a module, or bytes that are neither text nor a module.
    #[error("{0}")]
    Parse(String),
    /// A module that is malformed or does not validate.
    #[error("{message} (at offset {offset:#x})")]
    Invalid {
        /// What is wrong.
        message: String,
        /// Where in the module's bytes.
        offset: u64,
    },
    /// A module that needs what this engine does not have.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// A limit of the configuration, of the engine, or of the system.
    #[error("limit exceeded: {0}")]
    Limit(String),
    /// An import that is missing or of another type, or a name that is defined already.
    #[error("{0}")]
    Link(String),
    /// Native code that cannot be used here.
    #[error("native code: {0}")]
    Native(#[from] NativeProblem),
    /// A call with values of the wrong types, or a function, global or memory used as what it is not.
    #[error("{0}")]
    Type(String),
    /// The guest trapped.
    #[error(transparent)]
    Trap(#[from] Trap),
    /// The guest threw an exception that it did not catch; where a host function gives it, the guest that called goes on from there.
    #[error(transparent)]
    Exception(Exception),
    /// A host function ended the guest: how `proc_exit` leaves.
    #[error("exit with status {0}")]
    Exit(i32),
    /// A host function failed.
    #[error(transparent)]
    Host(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// A failure of a host function.
    pub fn host(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::Host(error.into())
    }

    /// A host function's own error, if it is of this type.
    ///
    /// ```
    /// let error = kitbag::Error::host(std::fmt::Error);
    /// assert!(error.downcast_ref::<std::fmt::Error>().is_some());
    /// assert!(error.downcast_ref::<std::io::Error>().is_none());
    /// ```
    #[must_use]
    pub fn downcast_ref<E: std::error::Error + 'static>(&self) -> Option<&E> {
        match self {
            Error::Host(error) => error.downcast_ref(),
            _ => None,
        }
    }

    /// The trap, if it is one, as an exception is that nobody caught.
    #[must_use]
    pub fn trap(&self) -> Option<&Trap> {
        match self {
            Error::Trap(trap) => Some(trap),
            Error::Exception(exception) => Some(exception.trap()),
            _ => None,
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Error {
        Error::host(error)
    }
}

impl From<wasmparser::BinaryReaderError> for Error {
    fn from(error: wasmparser::BinaryReaderError) -> Error {
        Error::Invalid { message: error.message().to_owned(), offset: error.offset() }
    }
}
