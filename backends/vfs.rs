//! The crate [`vfs`] and this one, each in terms of the other.
//!
//! [`FromVfs`] mounts a backend of that crate here: in [`Mounts`](crate::mounts::Mounts), as a layer of an overlay, for a guest.
//! [`ToVfs`] serves whoever programs against that crate with any file system of ours.
//!
//! ```
//! # #[cfg(feature = "memory")] {
//! use std::io::Read as _;
//!
//! use kitbag_fs::memory::Memory;
//! use kitbag_fs::vfs::{FromVfs, ToVfs};
//! use kitbag_fs::{FileSystem, OpenOptions, Path};
//! use vfs::{MemoryFS, VfsPath};
//!
//! // Theirs here.
//! let theirs = VfsPath::new(MemoryFS::new());
//! theirs.join("motd").unwrap().create_file().unwrap().write_all(b"hello").unwrap();
//! let motd = FromVfs::new(theirs).root()?.open(Path::new(b"motd")?, OpenOptions::read())?.file()?;
//! assert_eq!(motd.read_all()?, "hello");
//!
//! // Ours there.
//! let files = Memory::new();
//! files.insert(Path::new(b"etc/motd")?, "hello".into())?;
//! let mut text = String::new();
//! VfsPath::new(ToVfs::new(&files)?).join("etc/motd").unwrap().open_file().unwrap().read_to_string(&mut text).unwrap();
//! assert_eq!(text, "hello");
//! # }
//! # Ok::<(), kitbag_fs::Error>(())
//! ```
//!
//! # What that crate's trait cannot offer
//!
//! It knows paths of UTF-8 and no handles on directories, no links, inodes or modes, and files are streams to read *or* to write from
//! the start or at the end. So a handle of [`FromVfs`] is the *path* that it was opened by: after a rename or removal it means whatever
//! is there then, inodes are made of paths, links do not exist ([`CAPABILITIES`] says it to the [conformance
//! suite](crate::conformance)), and a write anywhere but at the end writes the file anew, whole. Changes through
//! one [`FromVfs`] are one after the other; what others change by that crate's own means shows in handles that are opened afterwards.
//! Where links of a backend lead is its own affair: its `PhysicalFS` follows them out of its root.

#[cfg(feature = "conformance")]
use crate::conformance::Capabilities;

#[cfg(all(test, feature = "conformance", feature = "disk", feature = "memory"))]
mod differential;
mod inward;
mod outward;
#[cfg(all(test, feature = "conformance", feature = "disk", feature = "memory", feature = "overlay", feature = "zip"))]
#[allow(clippy::useless_vec, reason = "their macros'")]
mod tests;

pub use inward::FromVfs;
pub use outward::ToVfs;

/// What [`FromVfs`] can do at the most, for a backend of that crate that can be written.
#[cfg(feature = "conformance")]
pub const CAPABILITIES: Capabilities = Capabilities {
    hard_links: false,
    symlinks: false,
    stable_inodes: false,
    handles_after_rename: false,
    non_utf8_names: false,
    ..Capabilities::ALL
};
