//! The options that give a guest files, as file systems at their places.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use kitbag::bundle::{Layout, LayoutError};
use kitbag_fs::disk::Disk;
use kitbag_fs::memory::Memory;
use kitbag_fs::zip::{self, Zip};
use kitbag_fs::{Dir, Error, FileSystem};

use super::args::{DirMount, FileMount, OverlayMount, Run, ZipMount};
use super::report::{Failure, archive_cause};

/// Opens everything that the options name.
///
/// # Errors
/// The first of them that cannot be opened, and two at one place.
pub(super) fn layout(options: &Run) -> Result<Layout, Failure> {
    let mut layout = Layout::default();
    for dir in &options.dir {
        layout.mount(dir.guest.clone(), open_dir(dir)?).map_err(twice)?;
    }
    for archive in &options.zip {
        layout.mount(archive.guest.clone(), open_zip(archive)?).map_err(twice)?;
    }
    for file in &options.file {
        let (folder, name) = open_file(file)?;
        layout.mount_file(file.guest.clone(), folder, name).map_err(twice)?;
    }
    for guest in &options.tmp {
        layout.mount(guest.clone(), Arc::new(Memory::new())).map_err(twice)?;
    }
    for overlay in &options.overlay {
        layout.overlay(overlay.guest.clone(), open_upper(overlay)?).map_err(twice)?;
    }
    Ok(layout)
}

fn twice(error: LayoutError) -> Failure {
    Failure::usage("cannot mount", error.place, error.problem)
}

fn open_dir(dir: &DirMount) -> Result<Arc<dyn FileSystem>, Failure> {
    open_folder(&dir.host, dir.read_only)
        .map_err(|error| refused("--dir", &dir.host, error, "it is no folder; give a file as --file"))
}

fn open_upper(overlay: &OverlayMount) -> Result<Arc<dyn FileSystem>, Failure> {
    match &overlay.host {
        None => Ok(Arc::new(Memory::new())),
        Some(host) => {
            open_folder(host, false).map_err(|error| refused("the folder of --overlay", host, error, "it is no folder"))
        }
    }
}

fn open_folder(path: &Path, read_only: bool) -> kitbag_fs::Result<Arc<dyn FileSystem>> {
    Ok(Arc::new(if read_only { Disk::read_only(path) } else { Disk::read_write(path) }?))
}

/// The folder that a file is in, and its name there. Links that lead to it are followed now, with the host's eyes; within the
/// folder they would be confined to it.
fn open_file(mount: &FileMount) -> Result<(Arc<dyn Dir>, Vec<u8>), Failure> {
    let refused = |error| refused("--file", &mount.host, error, "a part of its path is no folder");
    let path = mount.host.canonicalize().map_err(|error| refused(error.into()))?;
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) if !path.is_dir() => {
            let folder = open_folder(folder, mount.read_only).and_then(|files| files.root()).map_err(refused)?;
            Ok((folder, name.as_bytes().to_vec()))
        }
        _ => Err(Failure::new("cannot mount", place("--file", &mount.host), "it is a folder; give it as --dir")),
    }
}

fn open_zip(mount: &ZipMount) -> Result<Arc<dyn FileSystem>, Failure> {
    match Zip::open(&mount.archive, &zip::Options::new()) {
        Ok(zip) => Ok(Arc::new(zip)),
        Err(error) => Err(Failure::new("cannot mount", place("--zip", &mount.archive), archive_cause(&error))),
    }
}

fn refused(option: &str, host: &Path, error: Error, no_folder: &str) -> Failure {
    let place = place(option, host);
    match error {
        Error::NotDirectory => Failure::new("cannot mount", place, no_folder),
        _ => Failure::new("cannot mount", place, error),
    }
}

fn place(option: &str, host: &Path) -> String {
    format!("{option} {}", host.display())
}
