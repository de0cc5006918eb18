//! Assets embedded in the binary by `rust-embed`.
//!
//! ```
//! use kitbag_fs::embedded::Embedded;
//! use kitbag_fs::{Error, FileSystem as _, Follow, Path};
//!
//! /// For any `#[derive(rust_embed::Embed)] #[folder = "assets"] struct Assets;`.
//! fn size_of_logo<Assets: rust_embed::Embed>() -> Result<u64, Error> {
//!     let root = Embedded::new::<Assets>()?.root()?;
//!     Ok(root.stat(Path::new(b"images/logo.svg")?, Follow::Yes)?.size)
//! }
//! ```
//!
//! Everything is taken in when the file system is made, files as what `rust-embed` gives: in release builds (and with
//! its feature `debug-embed`) slices of the binary itself, which are never copied but into a reader's buffer; in debug
//! builds, for which `rust-embed` reads the folder at run time, what the folder held at that moment. So both behave
//! alike, and neither changes afterwards.
//!
//! `rust-embed` knows files only: directories are those that the files imply, an empty one does not exist, links are
//! embedded as what they lead to, and of the metadata there is the time of the last change. Files have mode 644,
//! directories 755.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use rust_embed::RustEmbed;

use crate::index::{Attributes, Builder, BytesFile, Index, IndexDir, ROOT, Refusal, Source};
use crate::{Bytes, Dir, Error, File, FileSystem, Metadata, Result, Timestamp};

/// The assets of a `rust-embed` type as a read-only file system. Cheap to clone.
#[derive(Clone)]
pub struct Embedded {
    index: Arc<Index<Assets>>,
}

impl Embedded {
    /// Mounts the assets of `A`, by the names that it gives them (its `prefix` among them, without slashes before it).
    ///
    /// # Errors
    /// None for a folder that `rust-embed` has embedded. [`Error::NotFound`] where a name that is listed cannot be had
    /// (a debug build whose folder is changing); for types written by hand [`Error::NameTooLong`],
    /// [`Error::NotPermitted`] for a `..`, [`Error::NotDirectory`] for a file within a file, and [`Error::Invalid`] for
    /// a name that is empty or holds a NUL.
    pub fn new<A: RustEmbed>() -> Result<Embedded> {
        let mut builder = Builder::new(Attributes { mode: 0o755, modified: 0 }, usize::MAX);
        for name in A::iter() {
            let asset = A::get(&name).ok_or(Error::NotFound)?;
            let seconds = asset.metadata.last_modified().unwrap_or(0);
            let attributes = Attributes { mode: 0o644, modified: Timestamp::from(seconds) * 1_000_000_000 };
            let bytes = shared(asset.data);
            let size = bytes.len() as u64;
            let asset = Asset { bytes, file: OnceLock::new() };
            let name = name.trim_start_matches('/').as_bytes();
            builder.file(name, attributes, size, asset)?;
        }
        Ok(Embedded { index: Arc::new(builder.build(Assets)) })
    }
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded").field("entries", &self.index.len()).finish_non_exhaustive()
    }
}

impl FileSystem for Embedded {
    fn root(&self) -> Result<Arc<dyn Dir>> {
        Ok(Arc::new(IndexDir::new(Arc::clone(&self.index), ROOT)))
    }
}

/// The bytes without a copy.
fn shared(data: Cow<'static, [u8]>) -> Bytes {
    match data {
        Cow::Borrowed(slice) => Bytes::from_static(slice),
        Cow::Owned(bytes) => Bytes::from(bytes),
    }
}

struct Assets;

struct Asset {
    bytes: Bytes,
    /// The handle: it has no state of its own, so all who open the file have the same.
    file: OnceLock<Arc<BytesFile>>,
}

impl Source for Assets {
    type Entry = Asset;

    fn open(&self, asset: &Asset, metadata: Metadata) -> Result<Arc<dyn File>> {
        let file = asset.file.get_or_init(|| Arc::new(BytesFile { bytes: asset.bytes.clone(), metadata }));
        Ok(Arc::clone(file) as Arc<dyn File>)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        match refusal {
            Refusal::Absolute | Refusal::ParentDir => Error::NotPermitted,
            Refusal::Nul | Refusal::Root => Error::Invalid,
            Refusal::TooLong => Error::NameTooLong,
            Refusal::Conflict => Error::NotDirectory,
            Refusal::TooMany => Error::NoSpace,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FileType, Follow, OpenOptions, Path};

    #[derive(rust_embed::Embed)]
    #[folder = "index"]
    struct Sources;

    fn path(text: &str) -> &Path {
        Path::new(text.as_bytes()).unwrap()
    }

    /// Borrowed and owned assets below directories that nothing lists.
    struct ByHand;

    impl RustEmbed for ByHand {
        fn get(name: &str) -> Option<rust_embed::EmbeddedFile> {
            static CONTENTS: &[u8] = b"in the binary";
            let mut file = Sources::get("dir.rs")?;
            file.data = if name.ends_with('b') { Cow::Borrowed(CONTENTS) } else { Cow::Owned(b"on the heap".into()) };
            Some(file)
        }

        fn iter() -> impl Iterator<Item = Cow<'static, str>> + 'static {
            ["/x/y/b", "x/o"].into_iter().map(Cow::Borrowed)
        }
    }

    #[test]
    fn holds_the_folder() {
        let root = Embedded::new::<Sources>().unwrap().root().unwrap();
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/index");
        let listing = root.list().unwrap();
        let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(listing.len(), names.len());
        for (entry, name) in listing.iter().zip(names) {
            assert_eq!(&*entry.name, name.as_encoded_bytes());
            let file = root.open(Path::new(&entry.name).unwrap(), OpenOptions::read()).unwrap().file().unwrap();
            let on_disk = std::path::Path::new(folder).join(name);
            assert_eq!(file.read_all().unwrap(), std::fs::read(&on_disk).unwrap());
            let changed = on_disk.metadata().unwrap().modified().unwrap();
            let seconds = changed.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
            assert_eq!(file.metadata().unwrap().modified, i128::from(seconds) * 1_000_000_000);
        }
    }

    /// The standard tree, as far as a folder of files can show it.
    #[cfg(feature = "conformance")]
    mod conforming {
        use super::*;
        use crate::conformance::tree::{Item, items};
        use crate::conformance::{Capabilities, check};

        const CAPABILITIES: Capabilities = Capabilities {
            hard_links: false,
            symlinks: false,
            empty_dirs: false,
            non_utf8_names: false,
            ..Capabilities::READ_ONLY
        };

        struct StandardTree;

        fn files() -> impl Iterator<Item = (String, Vec<u8>)> {
            items(CAPABILITIES).into_iter().filter_map(|(name, item)| match item {
                Item::File(contents) => Some((String::from_utf8(name.into_owned()).unwrap(), contents)),
                _ => None,
            })
        }

        impl RustEmbed for StandardTree {
            fn get(name: &str) -> Option<rust_embed::EmbeddedFile> {
                let mut file = Sources::get("dir.rs")?;
                file.data = Cow::Borrowed(files().find(|file| file.0 == name)?.1.leak());
                Some(file)
            }

            fn iter() -> impl Iterator<Item = Cow<'static, str>> + 'static {
                files().map(|file| Cow::Owned(file.0))
            }
        }

        #[test]
        fn the_standard_tree() {
            assert_eq!(check(&Embedded::new::<StandardTree>().unwrap(), CAPABILITIES), []);
        }
    }

    #[test]
    fn implied_directories_and_no_copies() {
        let root = Embedded::new::<ByHand>().unwrap().root().unwrap();
        assert_eq!(root.stat(path("x/y"), Follow::Yes).unwrap().kind, FileType::Directory);
        let file = root.open(path("x/y/b"), OpenOptions::read()).unwrap().file().unwrap();
        let (once, again) = (file.read_all().unwrap(), file.read_all().unwrap());
        assert_eq!(once, &b"in the binary"[..]);
        assert_eq!(once.as_ptr(), again.as_ptr());
        let heap = root.open(path("x/o"), OpenOptions::read()).unwrap().file().unwrap();
        assert_eq!(heap.read_all().unwrap(), &b"on the heap"[..]);
    }
}
