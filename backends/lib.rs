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
//! [`conformance`] (feature of its name) checks a backend, ours or yours, and returns every violation. What ours can do:
//!
//! | | links | symlinks | empty directories | stable inodes | handles after rename | any bytes in names | times |
//! |---|---|---|---|---|---|---|---|
//! | [`disk`], [`memory`] | yes | yes | yes | yes | yes | yes | yes |
//! | [`embedded`] | no | no | no | yes | yes | no | as embedded |
//! | [`zip`] | no | yes | yes | yes | yes | yes | as archived |
//! | [`overlay`] | as its upper | as its upper | as its upper | yes, and its upper must | yes | as its upper | as its upper |
//! | [`mod@vfs`] | no | no | yes | no | no | no | as what it adapts |
//! | [`mounts`], [`subtree`], [`readonly`] | as what they hold | | | | | | |
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
//! # Writing a backend
//!
//! A read-only one in the order in which it is written; `examples/tar.rs` is a whole one that does not belong to the package, explained
//! from the first line to the last.
//!
//! 1. *The tree*: what an object is and what a directory's names lead to. Each file system takes a device number
//!    ([`fresh_device`]), each object an inode number other than those of the rest; a listing shows the numbers that `stat` answers.
//! 2. *Paths*: implement [`resolve::Tree`] (four short methods: what a node is, a name in it, what is above, a link's target), and
//!    [`resolve`](resolve::resolve), [`locate`](resolve::locate) and [`open_read_only`](resolve::open_read_only) walk as POSIX has it and
//!    answer with Linux' errors. A backend whose directories hold no directories can do without.
//! 3. *The traits*, as below. A handle is the object: hold an `Arc` of what it is, not its path.
//! 4. *A test* that hands the [standard tree](conformance::tree), packed however the backend has it, to
//!    [`conformance::check`] with the [capabilities](conformance::Capabilities) that it claims.
//!
//! One that can be written overrides the methods that change something, which take `&self` too: whoever calls may do so from several
//! threads. [`Dir::rename`] and [`Dir::link`] get another handle as `&dyn Dir` and find out by [`Dir::as_any`] whether it is
//! their own; if not, that is [`Error::CrossDevice`]. Such a backend is checked in an empty directory, and
//! [`conformance::operations`] does random operations on it and on another, to be compared.
//!
//! ```
//! use std::any::Any;
//! use std::sync::Arc;
//!
//! use kitbag_fs::{
//!     Dir, DirEntry, Error, File, FileSystem, FileType, Follow, Listing, Metadata, Node, OpenOptions, Path, Result,
//! };
//!
//! /// One directory with one file, `motd`.
//! #[derive(Clone)]
//! struct Motd {
//!     text: &'static [u8],
//!     device: u64,
//! }
//!
//! impl Motd {
//!     fn metadata(&self, kind: FileType) -> Metadata {
//!         let (inode, links, mode, size) = match kind {
//!             FileType::Directory => (1, 2, 0o555, 0),
//!             _ => (2, 1, 0o444, self.text.len() as u64),
//!         };
//!         let (device, accessed, modified, changed) = (self.device, 0, 0, 0);
//!         Metadata { kind, size, inode, device, links, mode, accessed, modified, changed }
//!     }
//!
//!     fn find(&self, path: &Path) -> Result<FileType> {
//!         match path.components().collect::<Vec<_>>()[..] {
//!             [] => Ok(FileType::Directory),
//!             [b"motd"] if !path.wants_directory() => Ok(FileType::File),
//!             [b"motd", ..] => Err(Error::NotDirectory),
//!             [b"..", ..] => Err(Error::NotPermitted),
//!             _ => Err(Error::NotFound),
//!         }
//!     }
//! }
//!
//! struct MotdFile(Motd);
//!
//! impl FileSystem for Motd {
//!     fn root(&self) -> Result<Arc<dyn Dir>> {
//!         Ok(Arc::new(self.clone()))
//!     }
//! }
//!
//! impl Dir for Motd {
//!     fn as_any(&self) -> &dyn Any {
//!         self
//!     }
//!
//!     fn open(&self, path: &Path, options: OpenOptions) -> Result<Node> {
//!         options.validate()?;
//!         let kind = match self.find(path) {
//!             Err(Error::NotFound) if options.creates() => return Err(Error::ReadOnly),
//!             kind => kind?,
//!         };
//!         options.admit(kind)?;
//!         match kind {
//!             _ if options.access.write => Err(Error::ReadOnly),
//!             FileType::Directory => Ok(Node::Dir(Arc::new(self.clone()))),
//!             _ => Ok(Node::File(Arc::new(MotdFile(self.clone())))),
//!         }
//!     }
//!
//!     fn stat(&self, path: &Path, _: Follow) -> Result<Metadata> {
//!         self.find(path).map(|kind| self.metadata(kind))
//!     }
//!
//!     fn metadata(&self) -> Result<Metadata> {
//!         Ok(self.metadata(FileType::Directory))
//!     }
//!
//!     fn list(&self) -> Result<Listing> {
//!         Ok(Arc::new([DirEntry { name: b"motd"[..].into(), inode: 2, kind: FileType::File }]))
//!     }
//! }
//!
//! impl File for MotdFile {
//!     fn metadata(&self) -> Result<Metadata> {
//!         Ok(self.0.metadata(FileType::File))
//!     }
//!
//!     fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
//!         let rest = self.0.text.get(offset as usize..).unwrap_or_default();
//!         let count = rest.len().min(buffer.len());
//!         buffer[..count].copy_from_slice(&rest[..count]);
//!         Ok(count)
//!     }
//! }
//!
//! let root = Motd { text: b"hello", device: kitbag_fs::fresh_device() }.root()?;
//! let motd = root.open(Path::new(b"motd")?, OpenOptions::read())?.file()?;
//! assert_eq!(motd.read_all()?, "hello");
//! assert_eq!(root.unlink(Path::new(b"motd")?), Err(Error::ReadOnly));
//! # Ok::<(), Error>(())
//! ```
//!
//! # Mapping
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
