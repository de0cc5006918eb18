//! Folders of the host that a bundle asks for.

use std::path::PathBuf;
use std::sync::Arc;

use kitbag_fs::Error as FsError;
use kitbag_fs::disk::Disk;

use super::{Bundle, Error, HostFolder, Layout, Place, Source};

impl Bundle {
    /// Mounts the folders of the host that the manifest asks for, if they are granted, except where `layout` has something
    /// else already.
    ///
    /// # Errors
    /// [`Error::NotGranted`]; [`Error::File`] for one that cannot be opened; [`Error::Layout`].
    pub fn mount_host(&self, layout: &mut Layout, granted: bool) -> Result<(), Error> {
        for mount in &self.manifest().mounts {
            let Source::Host { folder, read_only, optional } = &mount.source else { continue };
            let place = Place::new(mount.guest.as_bytes())?;
            if layout.holds_mount(&place) {
                continue;
            }
            if !granted {
                return Err(Error::NotGranted { place, folder: folder.clone() });
            }
            match open(folder, *read_only) {
                Ok(files) => layout.mount(place, Arc::new(files))?,
                Err(_) if *optional => {}
                Err(error) => return Err(Error::at(&folder.to_string(), error)),
            }
        }
        Ok(())
    }
}

fn open(folder: &HostFolder, read_only: bool) -> Result<Disk, FsError> {
    let path = match folder {
        HostFolder::Cwd => PathBuf::from("."),
        HostFolder::Path(path) => PathBuf::from(path),
        HostFolder::Variable(name) => std::env::var_os(name).map(PathBuf::from).ok_or(FsError::NotFound)?,
    };
    if read_only { Disk::read_only(path) } else { Disk::read_write(path) }
}
