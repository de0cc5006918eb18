//! Bundles: a program and its files in one archive or folder, described by a manifest.
//!
//! A bundle is any file system with a [`Manifest`] `kitbag.toml` in its root: a zip that any tool can open, a folder,
//! files embedded in a binary. [`Bundle`] reads the manifest and the entry module, and lays out what the guest
//! sees ([`Layout`]); who runs it adds arguments, mounts and an engine.

mod executable;
mod host;
mod layout;
mod manifest;
mod opened;
pub mod quantity;
mod select;

use std::sync::Arc;

use kitbag_fs::memory::Memory;
use kitbag_fs::{Bytes, Error as FsError, FileSystem, FileType, Follow, OpenOptions, Path};

pub use executable::{Executable, NATIVE, OwnFile, native_path};
pub use layout::{Layout, LayoutError, Place, Preopen};
#[cfg(feature = "serve")]
pub(crate) use manifest::open_ended;
pub use manifest::{
    Action, Handler, HostFolder, Limits, Manifest, ManifestError, Mount, Route, RunLimits, Serve, Source, StreamTo,
    Streams, Tool, schema,
};
pub use opened::{Archive, OpenError, Opened};
pub use select::Selected;

/// The name of the manifest in the root of a bundle.
pub const MANIFEST: &str = "kitbag.toml";

/// The largest manifest that is read, in bytes.
const MANIFEST_MAX: u64 = 1 << 20;

/// Why a bundle cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A manifest that says nothing usable.
    #[error("{MANIFEST}: {0}")]
    Manifest(#[from] ManifestError),
    /// A file or folder of the bundle that cannot be had, the manifest among them.
    #[error("{path}: {error}")]
    File {
        /// Its path in the bundle.
        path: String,
        /// Why.
        error: FsError,
    },
    /// It has no module to run.
    #[error("{MANIFEST}: there is no `entry` to run; `kitbag serve` serves it")]
    NoEntry,
    /// It has several programs, and none of them was chosen.
    #[error("say which of its tools is to run, as the first argument: {0}")]
    NoTool(String),
    /// It asks for a folder of the host that it was not granted.
    #[error("it asks for {folder} at {place}")]
    NotGranted {
        /// Where it would be.
        place: Place,
        /// What it asks for.
        folder: HostFolder,
    },
    /// Mounts that do not fit together.
    #[error("mount at {0}")]
    Layout(#[from] LayoutError),
}

/// A program and its files.
#[derive(Clone)]
pub struct Bundle {
    files: Arc<dyn FileSystem>,
    manifest: Manifest,
}

impl Bundle {
    /// Reads the manifest in the root of `files`.
    ///
    /// # Errors
    /// [`Error::File`] where it cannot be read, [`Error::Manifest`].
    pub fn new(files: Arc<dyn FileSystem>) -> Result<Bundle, Error> {
        let bytes = read(&files, MANIFEST, MANIFEST_MAX)?;
        let text = str::from_utf8(&bytes).map_err(|_| Error::at(MANIFEST, FsError::IllegalSequence))?;
        Ok(Bundle { manifest: Manifest::parse(text)?, files })
    }

    /// What the bundle says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The bytes of a module, or of any other file, without a copy where the file system can.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn read(&self, path: &str) -> Result<Bytes, Error> {
        read(&self.files, path, u64::MAX)
    }

    /// All that is in it.
    #[must_use]
    pub fn files(&self) -> &Arc<dyn FileSystem> {
        &self.files
    }

    /// What the guest sees of the bundle.
    ///
    /// # Errors
    /// [`Error::File`] for a folder that is not in the bundle, [`Error::Layout`] for places that cannot be.
    pub fn layout(&self) -> Result<Layout, Error> {
        let mut layout = Layout::default();
        for mount in &self.manifest.mounts {
            self.add(mount, &mut layout)?;
        }
        Ok(layout)
    }

    fn add(&self, mount: &Mount, layout: &mut Layout) -> Result<(), Error> {
        let place = Place::new(mount.guest.as_bytes())?;
        match &mount.source {
            // The host's own are mounted by `Bundle::mount_host`, when they are granted.
            Source::Host { .. } => {}
            Source::Memory => layout.mount(place, Arc::new(Memory::new()))?,
            Source::Bundle { path, overlay: false } if self.is_file(path) => {
                let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
                let folder = self.folder(folder)?.root().map_err(|error| Error::at(path, error))?;
                layout.mount_file(place, folder, name.as_bytes().to_vec())?;
            }
            Source::Bundle { path, overlay } => {
                if *overlay {
                    layout.overlay(place.clone(), Arc::new(Memory::new()))?;
                }
                layout.mount(place, self.folder(path)?)?;
            }
        }
        Ok(())
    }

    fn is_file(&self, path: &str) -> bool {
        let found = |path: &Path| self.files.root()?.stat(path, Follow::Yes);
        Path::new(path.as_bytes()).and_then(found).is_ok_and(|metadata| metadata.kind == FileType::File)
    }

    fn folder(&self, path: &str) -> Result<Arc<dyn FileSystem>, Error> {
        layout::subtree(&self.files, path.as_bytes()).map_err(|error| Error::at(path, error))
    }
}

impl Error {
    fn at(path: &str, error: FsError) -> Error {
        Error::File { path: path.to_owned(), error }
    }
}

/// The contents of a file of at most `max` bytes.
fn read(files: &Arc<dyn FileSystem>, path: &str, max: u64) -> Result<Bytes, Error> {
    let contents = || {
        let file = files.root()?.open(Path::new(path.as_bytes())?, OpenOptions::read())?.file()?;
        if file.metadata()?.size > max {
            return Err(FsError::TooLarge);
        }
        file.read_all()
    };
    contents().map_err(|error| Error::at(path, error))
}
