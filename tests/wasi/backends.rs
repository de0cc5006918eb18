//! The file systems that the tests run on: every one that can be written, or every one.
//!
//! A test stays with one of them only where it is about something that the others do not have, and says so.

use std::borrow::Cow;
use std::io::{Cursor, Write};
use std::sync::Arc;

use kitbag_fs::disk::Disk;
use kitbag_fs::embedded::Embedded;
use kitbag_fs::memory::Memory;
use kitbag_fs::overlay::Overlay;
use kitbag_fs::zip::{Options, Zip};
use kitbag_fs::{Dir, FileSystem};
use rust_embed::RustEmbed;
use tempfile::TempDir;
use zip::CompressionMethod;

use super::guest::{Guest, files};
use super::reading::Assets;

/// The files that a test finds, each of them holding its own path.
pub(crate) const TREE: [&str; 3] = ["abcdef", "d/f", "f"];

/// A file system by name, and the folder that it lies in.
type Place = (&'static str, Arc<dyn Dir>, Option<TempDir>);

/// Runs a test on an empty directory of each file system that can be written.
pub(crate) fn on_each(test: impl Fn(&mut Guest)) {
    on_each_root(|root| test(&mut Guest::over(root)));
}

/// The same for a test that makes its own guest.
pub(crate) fn on_each_root(test: impl Fn(Arc<dyn Dir>)) {
    run(writable(&[]), test);
}

/// Runs a test over the files of [`TREE`] on each file system that can be written.
pub(crate) fn over_tree(test: impl Fn(&mut Guest)) {
    run(writable(&TREE), |root| test(&mut Guest::over(root)));
}

/// Runs a test over the files of [`TREE`] on each file system, those that can only be read among them.
pub(crate) fn reading(test: impl Fn(&mut Guest)) {
    reading_root(|root| test(&mut Guest::over(root)));
}

/// The same for a test that makes its own guest.
pub(crate) fn reading_root(test: impl Fn(Arc<dyn Dir>)) {
    run(writable(&TREE).into_iter().chain(read_only()), test);
}

fn run(places: impl IntoIterator<Item = Place>, test: impl Fn(Arc<dyn Dir>)) {
    for (name, root, _folder) in places {
        eprintln!("on {name}");
        test(root);
    }
}

/// The overlays have the files in their lower one: what is written to them is copied first.
fn writable(paths: &[&str]) -> Vec<Place> {
    let (folder, upper) = (folder(paths), folder(&[]));
    let disk = Disk::read_write(folder.path()).unwrap();
    let overlay = |upper| Overlay::new(upper, [Arc::new(files(paths)) as Arc<dyn FileSystem>]).unwrap();
    let (in_memory, on_disk) =
        (overlay(Arc::new(Memory::new())), overlay(Arc::new(Disk::read_write(upper.path()).unwrap())));
    vec![
        ("memory", files(paths).root().unwrap(), None),
        ("disk", disk.root().unwrap(), Some(folder)),
        ("overlay in memory", in_memory.root().unwrap(), None),
        ("overlay on disk", on_disk.root().unwrap(), Some(upper)),
    ]
}

pub(crate) fn read_only() -> Vec<Place> {
    let folder = folder(&TREE);
    let disk = Disk::read_only(folder.path()).unwrap();
    let files: Vec<_> = TREE.map(|path| (path.to_owned(), path.into())).into();
    let zip = |method| Zip::from_bytes(archive(&files, method).into(), &Options::new()).unwrap().root().unwrap();
    vec![
        ("disk, read-only", disk.root().unwrap(), Some(folder)),
        ("stored", zip(CompressionMethod::Stored), None),
        ("deflated", zip(CompressionMethod::Deflated), None),
        ("embedded", Embedded::new::<EmbeddedTree>().unwrap().root().unwrap(), None),
    ]
}

fn folder(paths: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for path in paths {
        let place = folder.path().join(path);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(place, path).unwrap();
    }
    folder
}

/// An archive of these files.
pub(crate) fn archive(files: &[(String, Vec<u8>)], method: CompressionMethod) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (path, contents) in files {
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        writer.start_file(path, options).unwrap();
        writer.write_all(contents).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// [`TREE`], as if it had been embedded.
struct EmbeddedTree;

impl RustEmbed for EmbeddedTree {
    fn get(name: &str) -> Option<rust_embed::EmbeddedFile> {
        let path = TREE.into_iter().find(|path| *path == name)?;
        let mut file = Assets::get(&Assets::iter().next()?)?;
        file.data = Cow::Borrowed(path.as_bytes());
        Some(file)
    }

    fn iter() -> impl Iterator<Item = Cow<'static, str>> + 'static {
        TREE.into_iter().map(Cow::Borrowed)
    }
}
