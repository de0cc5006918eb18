//! Bundles where they lie: archives and folders.

use std::fs::File;
use std::io;
use std::path::Path as HostPath;
use std::sync::Arc;

use kitbag_fs::disk::Disk;
use kitbag_fs::zip::{self, RawEntry, Zip, ZipError};
use kitbag_fs::{Bytes, FileSystem, Path};

/// The files of an archive or a folder of the host.
#[derive(Clone)]
pub struct Opened {
    files: Arc<dyn FileSystem>,
    archive: Option<Arc<Archive>>,
}

/// An archive in a file, for those who use its entries as they lie there.
pub struct Archive {
    zip: Zip,
    file: File,
    bytes: Bytes,
}

/// Why a bundle could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is nothing that could be opened.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The folder could not be opened.
    #[error(transparent)]
    Folder(#[from] kitbag_fs::Error),
    /// The archive is none, or is refused.
    #[error(transparent)]
    Archive(#[from] ZipError),
}

impl Opened {
    /// Opens the folder or archive at `path`, read-only. An archive is mapped, see [`Zip::open`].
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: &HostPath) -> Result<Opened, OpenError> {
        if std::fs::metadata(path)?.is_dir() {
            return Ok(Opened { files: Arc::new(Disk::read_only(path)?), archive: None });
        }
        let file = File::open(path)?;
        let zip = Zip::from_file(&file, &zip::Options::new())?;
        let bytes = zip.bytes();
        Ok(Opened { files: Arc::new(zip.clone()), archive: Some(Arc::new(Archive { zip, file, bytes })) })
    }

    /// The files.
    #[must_use]
    pub fn files(&self) -> &Arc<dyn FileSystem> {
        &self.files
    }

    /// The archive, if it is one.
    #[must_use]
    pub fn archive(&self) -> Option<&Arc<Archive>> {
        self.archive.as_ref()
    }
}

impl Archive {
    /// As [`Zip::raw`].
    ///
    /// # Errors
    /// As [`Zip::raw`].
    pub fn raw(&self, path: &Path) -> kitbag_fs::Result<RawEntry> {
        self.zip.raw(path)
    }

    /// Its file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Where in the file these bytes lie, if they are pages of it: by their address, nothing is read.
    #[must_use]
    pub fn offset_of(&self, bytes: &[u8]) -> Option<u64> {
        let (whole, part) = (self.bytes.as_ptr_range(), bytes.as_ptr_range());
        let within = whole.start <= part.start && part.end <= whole.end;
        within.then(|| (part.start.addr() - whole.start.addr()) as u64)
    }
}
