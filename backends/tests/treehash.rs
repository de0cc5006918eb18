//! One tree, one digest: in a folder, mounted from it, in archives of it, embedded, copied to memory and through
//! overlays.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::Hasher as _;
use std::io::{Cursor, Write as _};
use std::path::Path as HostPath;
use std::sync::Arc;

use kitbag_fs::disk::Disk;
use kitbag_fs::embedded::Embedded;
use kitbag_fs::memory::Memory;
use kitbag_fs::overlay::Overlay;
use kitbag_fs::zip::{Options, Zip};
use kitbag_fs::{Dir, FileSystem, Node, OpenOptions, Path};

const TREE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tree");

#[derive(rust_embed::Embed)]
#[folder = "tests/tree"]
struct Tree;

/// Names and contents of all files below, sorted by name.
type Files = Vec<(String, Vec<u8>)>;

fn digest(mut files: Files) -> u64 {
    files.sort();
    let mut hasher = DefaultHasher::new();
    for (name, contents) in files {
        hasher.write(format!("{name} {}\n", contents.len()).as_bytes());
        hasher.write(&contents);
    }
    hasher.finish()
}

fn on_host(folder: &HostPath, above: &str, files: &mut Files) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{above}/{}", entry.file_name().to_str().unwrap());
        match entry.file_type().unwrap().is_dir() {
            true => on_host(&entry.path(), &name, files),
            false => files.push((name, fs::read(entry.path()).unwrap())),
        }
    }
}

fn mounted(dir: &dyn Dir, above: &str, files: &mut Files) {
    for entry in dir.list().unwrap().iter() {
        let name = format!("{above}/{}", String::from_utf8_lossy(&entry.name));
        match dir.open(Path::new(&entry.name).unwrap(), OpenOptions::read()).unwrap() {
            Node::Dir(dir) => mounted(&*dir, &name, files),
            Node::File(file) => {
                let all = file.read_all().unwrap();
                let mut read = vec![0; all.len() + 1];
                assert_eq!(file.read_at(&mut read, 0), Ok(all.len()));
                assert_eq!(all, read[..all.len()]);
                files.push((name, all.to_vec()));
            }
        }
    }
}

fn digest_of(files: &dyn FileSystem) -> u64 {
    let mut found = Vec::new();
    mounted(&*files.root().unwrap(), "", &mut found);
    digest(found)
}

fn archive(files: &Files, method: zip::CompressionMethod) -> Zip {
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, contents) in files {
        writer.start_file(&name[1..], options).unwrap();
        writer.write_all(contents).unwrap();
    }
    Zip::from_bytes(writer.finish().unwrap().into_inner().into(), &Options::new()).unwrap()
}

fn in_memory(files: &Files) -> Memory {
    let memory = Memory::new();
    let root = memory.root().unwrap();
    for (name, contents) in files {
        let path = Path::new(&name.as_bytes()[1..]).unwrap();
        for (place, _) in name[1..].match_indices('/') {
            let made = root.create_dir(Path::new(&path.as_bytes()[..place]).unwrap());
            assert!(made.is_ok() || made == Err(kitbag_fs::Error::Exists));
        }
        let file = root.open(path, OpenOptions::write()).unwrap().file().unwrap();
        assert_eq!(file.write_at(contents, 0), Ok(contents.len()));
    }
    memory
}

fn lowers(files: &Files) -> [Arc<dyn FileSystem>; 3] {
    let stored = archive(files, zip::CompressionMethod::Stored);
    let deflated = archive(files, zip::CompressionMethod::Deflated);
    [Arc::new(stored), Arc::new(deflated), Arc::new(Embedded::new::<Tree>().unwrap())]
}

#[test]
fn the_same_everywhere() {
    let mut files = Vec::new();
    on_host(HostPath::new(TREE), "", &mut files);
    assert_eq!(files.len(), 5);
    let expected = digest(files.clone());
    assert_eq!(digest_of(&archive(&files, zip::CompressionMethod::Stored)), expected);
    assert_eq!(digest_of(&archive(&files, zip::CompressionMethod::Deflated)), expected);
    assert_eq!(digest_of(&Embedded::new::<Tree>().unwrap()), expected);
    assert_eq!(digest_of(&in_memory(&files)), expected);
    assert_eq!(digest_of(&Disk::read_only(TREE).unwrap()), expected);
    for lower in lowers(&files) {
        let overlay = Overlay::new(Arc::new(Memory::new()), [lower]).unwrap();
        assert_eq!(digest_of(&overlay), expected);
        let file = overlay.root().unwrap().open(Path::new(b"greeting.txt").unwrap(), OpenOptions::write()).unwrap();
        assert_eq!(file.file().unwrap().write_at(b"J", 0), Ok(1));
        assert_ne!(digest_of(&overlay), expected);
    }
    files[0].1.push(b'!');
    assert_ne!(digest_of(&archive(&files, zip::CompressionMethod::Stored)), expected);
}
