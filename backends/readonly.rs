//! A file system through which nothing changes.
