//! A virtual file system with pluggable backends.
//!
//! Three object-safe traits make a backend: a [`FileSystem`] gives its root [`Dir`]; a `Dir` opens, lists
//! and stats what lies beneath it; a [`File`] reads and writes at an offset. All of them are
//! `Send + Sync` and take `&self`. A handle is the object, never its path: it stays what it was when the
//! path is renamed or removed, as POSIX has it.
//!
//! Every mutator has a default that answers [`Error::ReadOnly`], so a read-only backend implements
//! five methods of `Dir` and two of `File`, and nothing else.
//!
//! | backend | feature | writes |
//! |---|---|---|
//! | [`disk`] | `disk` | yes, or read-only |
//! | [`memory`] | `memory` | yes |
//! | [`embedded`] | `embedded` | no |
//! | [`zip`] | `zip`, and `zip-zstd` for zstandard | no |
//! | [`overlay`] | `overlay` | into its upper layer |
//! | [`mod@vfs`], an adapter for the crate of that name, both ways | `vfs` | as what it adapts |
//! | [`mounts`], [`subtree`] | always there | as what they hold |
//! | [`readonly`] | always there | no |
//!
//! [`conformance`] (feature of its name) checks a backend, ours or yours, and returns every violation.
//!
//! `examples/tar.rs` is a backend that does not belong to the package, explained from the first line to the last.
//!
//! [`resolve`] walks paths over any tree that lives in memory, as POSIX has it, for backends that have no kernel to do it.
//!
//! ```
//! # #[cfg(feature = "memory")] {
//! use std::sync::Arc;
//!
//! use kitbag_fs::memory::Memory;
//! use kitbag_fs::mounts::Mounts;
//! use kitbag_fs::readonly::ReadOnly;
//! use kitbag_fs::{Bytes, Error, FileSystem, OpenOptions, Path};
//!
//! // Assets that nobody changes, and a place for what a program writes, in one tree.
//! let assets = Memory::new();
//! assets.insert(Path::new(b"greeting.txt")?, Bytes::from_static(b"hello"))?;
//! let tree = Mounts::builder()
//!     .mount(Path::new(b"assets")?, Arc::new(ReadOnly::new(assets)))?
//!     .mount(Path::new(b"tmp")?, Arc::new(Memory::new()))?
//!     .build();
//!
//! let root = tree.root()?;
//! let greeting = root.open(Path::new(b"tmp/../assets/greeting.txt")?, OpenOptions::read())?.file()?;
//! assert_eq!(greeting.read_all()?, "hello");
//! let log = root.open(Path::new(b"tmp/log")?, OpenOptions::write())?.file()?;
//! log.write_at(b"a line", 0)?;
//! let refused = root.open(Path::new(b"assets/log")?, OpenOptions::write()).map(|_| ());
//! assert_eq!(refused, Err(Error::ReadOnly));
//! # }
//! # Ok::<(), kitbag_fs::Error>(())
//! ```
//!
//! [`mapped`] lets files of the disk be mapped instead of copied.
//!
//! Without features the package holds the traits and the combinators and depends on `bytes` alone.

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "disk")]
pub mod disk;
#[cfg(feature = "embedded")]
pub mod embedded;
#[cfg(any(feature = "disk", feature = "zip"))]
pub mod mapped;
#[cfg(feature = "memory")]
pub mod memory;
pub mod mounts;
#[cfg(feature = "overlay")]
pub mod overlay;
pub mod readonly;
pub mod resolve;
pub mod subtree;
#[cfg(feature = "vfs")]
pub mod vfs;
#[cfg(feature = "zip")]
pub mod zip;

mod error;
#[cfg(any(feature = "embedded", feature = "zip"))]
#[cfg_attr(
    not(feature = "zip"),
    allow(dead_code, unused_imports, reason = "links and listed directories are archives'")
)]
mod index;
mod metadata;
mod path;
#[cfg(all(test, any(feature = "overlay", feature = "zip")))]
mod tables;
mod traits;

pub use bytes::Bytes;
pub use error::{Error, Result};
pub use metadata::{DirEntry, FileType, Listing, Metadata, SetTime, SetTimes, Timestamp, fresh_device};
pub use path::{NAME_MAX, PATH_MAX, Path};
pub use traits::{Access, Create, Dir, File, FileSystem, Follow, Node, OpenOptions, Opened, Undecided};
