//! One folder, read by a guest from each file system that can hold it: the same answers.

use std::sync::Arc;

use kitbag_fs::disk::Disk;
use kitbag_fs::embedded::Embedded;
use kitbag_fs::memory::Memory;
use kitbag_fs::overlay::Overlay;
use kitbag_fs::zip::{Options, Zip};
use kitbag_fs::{Bytes, FileSystem, Path};
use zip::CompressionMethod;

use super::backends::archive;
use super::guest::{DIRECTORY, Guest, ROOT};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/demo");

#[derive(rust_embed::Embed)]
#[folder = "assets/demo"]
pub(crate) struct Assets;

/// What a guest sees: each path with its type, size and a sum of its contents.
fn seen(guest: &mut Guest) -> Vec<(String, u8, u64, u64)> {
    let mut found = Vec::new();
    walk(guest, ROOT, "", &mut found);
    found.sort();
    found
}

fn walk(guest: &mut Guest, dir: u32, prefix: &str, found: &mut Vec<(String, u8, u64, u64)>) {
    for entry in guest.readdir(dir, 200).unwrap().into_iter().skip(2) {
        let name = String::from_utf8(entry.name).unwrap();
        let stat = guest.stat_in(dir, &name, false).unwrap();
        assert_eq!((stat.kind, stat.inode), (entry.kind, entry.inode), "{prefix}{name}");
        let fd = guest.open(dir, &name).unwrap();
        assert_eq!(guest.fstat(fd).unwrap().inode, stat.inode);
        if stat.kind == DIRECTORY {
            found.push((format!("{prefix}{name}"), stat.kind, 0, 0));
            walk(guest, fd, &format!("{prefix}{name}/"), found);
        } else {
            found.push((format!("{prefix}{name}"), stat.kind, stat.size, sum(guest, fd, stat.size)));
        }
        guest.close(fd).unwrap();
    }
}

/// A sum of the contents, read in order; and some of it again at an offset.
fn sum(guest: &mut Guest, fd: u32, size: u64) -> u64 {
    let (mut sum, mut read) = (0u64, 0);
    loop {
        let piece = guest.read(fd, 30_000).unwrap();
        if piece.is_empty() {
            break;
        }
        sum = piece.iter().fold(sum, |sum, &byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        read += piece.len() as u64;
    }
    assert_eq!(read, size);
    let middle = guest.pread(fd, 100, size / 2).unwrap();
    middle.iter().fold(sum, |sum, &byte| sum.wrapping_mul(31).wrapping_add(byte.into()))
}

/// The files of the folder, by path.
fn files_of(folder: &std::path::Path, prefix: &str, files: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{prefix}{}", entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() {
            files_of(&entry.path(), &format!("{path}/"), files);
        } else {
            files.push((path, std::fs::read(entry.path()).unwrap()));
        }
    }
}

#[test]
fn a_folder_is_the_same_everywhere() {
    let mut files = Vec::new();
    files_of(std::path::Path::new(FOLDER), "", &mut files);
    let memory = Memory::new();
    for (path, contents) in &files {
        memory.insert(Path::new(path.as_bytes()).unwrap(), Bytes::copy_from_slice(contents)).unwrap();
    }
    let disk: Arc<dyn FileSystem> = Arc::new(Disk::read_only(FOLDER).unwrap());
    let zipped = |method| Zip::from_bytes(archive(&files, method).into(), &Options::new()).unwrap();
    let others: [(&str, Arc<dyn FileSystem>); 5] = [
        ("memory", Arc::new(memory)),
        ("embedded", Arc::new(Embedded::new::<Assets>().unwrap())),
        ("stored", Arc::new(zipped(CompressionMethod::Stored))),
        ("deflated", Arc::new(zipped(CompressionMethod::Deflated))),
        ("overlay", Arc::new(Overlay::new(Arc::new(Memory::new()), [Arc::clone(&disk)]).unwrap())),
    ];
    let expected = seen(&mut Guest::over(disk.root().unwrap()));
    assert!(expected.len() >= files.len());
    for (name, other) in others {
        assert_eq!(seen(&mut Guest::over(other.root().unwrap())), expected, "{name}");
    }
}
