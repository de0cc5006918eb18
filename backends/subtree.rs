//! A directory of a file system as a file system of its own.
