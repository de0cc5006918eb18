//! Archives that others made, against the folder that they were made of: Info-ZIP's `zip` and Python's `zipfile`.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path as HostPath;
use std::process::Command;

use super::*;
use crate::Dir;

/// Packs the folder that it runs in into the archive of its second argument, by the method of its first.
pub(super) const PYTHON: &str = "
import os, stat, sys, zipfile
method, target = int(sys.argv[1]), sys.argv[2]
with zipfile.ZipFile(target, 'w', method) as archive:
    for above, directories, files in os.walk('.'):
        for name in sorted(directories + files):
            path = os.path.normpath(os.path.join(above, name))
            if os.path.islink(path):
                info = zipfile.ZipInfo(path)
                info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
                archive.writestr(info, os.readlink(path))
            else:
                archive.write(path)
";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("deep/er/and/deeper")).unwrap();
    fs::create_dir(at("empty")).unwrap();
    fs::write(at("file"), b"contents").unwrap();
    fs::write(at("nothing"), b"").unwrap();
    fs::write(at("deep/er/prose"), prose(200_000, 2)).unwrap();
    fs::write(at("deep/er/and/deeper/noise"), prose(1000, 3)).unwrap();
    fs::write(at("été €"), "größer").unwrap();
    fs::set_permissions(at("file"), fs::Permissions::from_mode(0o750)).unwrap();
    symlink("deep/er", at("link")).unwrap();
    symlink("../../file", at("deep/er/up")).unwrap();
    symlink("nowhere", at("dangling")).unwrap();
    folder
}

/// Runs a program in `folder`; false, and said aloud, if it is not there.
pub(super) fn made(folder: &HostPath, program: &str, arguments: &[&str]) -> bool {
    match Command::new(program).args(arguments).current_dir(folder).output() {
        // As shells say it, and an emulator whose children fail too late to tell.
        Ok(output) if output.status.code() == Some(127) => {
            eprintln!("SKIPPED: archives made by {program}: it is not there");
            false
        }
        Ok(output) => {
            assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
            true
        }
        Err(error) => {
            eprintln!("SKIPPED: archives made by {program}: {error}");
            false
        }
    }
}

/// Compares a directory with the one on the host, and all beneath it; times to `resolution` seconds if at all.
fn compare(dir: &dyn Dir, host: &HostPath, resolution: Option<i64>) {
    let mut names: Vec<_> = fs::read_dir(host).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    let listing = dir.list().unwrap();
    assert_eq!(listing.len(), names.len(), "{}", host.display());
    for (entry, name) in listing.iter().zip(names) {
        assert_eq!(&*entry.name, name.as_encoded_bytes());
        let (path, host) = (Path::new(&entry.name).unwrap(), host.join(&name));
        let (ours, theirs) = (dir.stat(path, Follow::No).unwrap(), fs::symlink_metadata(&host).unwrap());
        assert_eq!(ours.inode, entry.inode);
        assert_eq!(ours.kind, entry.kind);
        assert_eq!(ours.mode, theirs.mode() & 0o777, "{}", host.display());
        let seconds = (ours.modified / 1_000_000_000) as i64;
        let links_too = resolution.is_some_and(|_| theirs.is_symlink());
        assert!(links_too || resolution.is_none_or(|within| (seconds - theirs.mtime()).abs() <= within), "{path}");
        if theirs.is_dir() {
            assert_eq!(ours.links, theirs.nlink());
            compare(&*dir.open(path, OpenOptions::directory()).unwrap().dir().unwrap(), &host, resolution);
        } else if theirs.is_symlink() {
            assert_eq!(&*dir.read_link(path).unwrap(), fs::read_link(&host).unwrap().as_os_str().as_encoded_bytes());
        } else {
            let file = dir.open(path, OpenOptions::read()).unwrap().file().unwrap();
            assert_eq!((ours.kind, ours.size), (FileType::File, theirs.len()));
            assert_eq!(file.read_all().unwrap(), fs::read(&host).unwrap());
        }
    }
}

fn compare_archive(archive: &HostPath, folder: &HostPath, resolution: Option<i64>) {
    let zip = Zip::open(archive, &Options::new()).unwrap();
    compare(&*zip.root().unwrap(), folder, resolution);
    assert_eq!(contents(&zip, "link/up").err(), contents(&zip, "deep/er/up").err());
    assert_eq!(contents(&zip, "link/up").unwrap(), &b"contents"[..]);
    assert_eq!(contents(&zip, "dangling"), Err(Error::NotFound));
}

/// 7-Zip, by whichever name, and bsdtar, where they are there.
#[test]
fn others() {
    let (folder, out) = (folder(), tempfile::tempdir().unwrap());
    let target = |name: &str| out.path().join(name).to_str().unwrap().to_owned();
    let makers = [
        ("7z", vec!["a", "-bd", "-snl", "-mx1"], "7z.zip", "."),
        ("7zz", vec!["a", "-bd", "-snl", "-mx1"], "7zz.zip", "."),
        ("bsdtar", vec!["--format=zip", "-c", "-f"], "bsdtar.zip", "."),
    ];
    for (program, mut arguments, name, folder_itself) in makers {
        let target = target(name);
        arguments.extend([target.as_str(), folder_itself]);
        if made(folder.path(), program, &arguments) {
            compare_archive(HostPath::new(&target), folder.path(), None);
        }
    }
}

#[test]
fn info_zip() {
    let (folder, out) = (folder(), tempfile::tempdir().unwrap());
    for options in ["-0qry", "-9qry", "-qryX"] {
        let target = out.path().join(format!("{options}.zip"));
        if made(folder.path(), "zip", &[options, target.to_str().unwrap(), "."]) {
            let extended = !options.ends_with('X');
            compare_archive(&target, folder.path(), extended.then_some(0));
        }
    }
}

/// Sizes after the data, and no entries for directories. (Links cannot be made so: it refuses to stream what it
/// stores.)
#[test]
fn info_zip_streaming() {
    let (folder, out) = (folder(), tempfile::tempdir().unwrap());
    let target = out.path().join("streamed.zip");
    if made(&folder.path().join("deep"), "zip", &["-qrD", "-fd", target.to_str().unwrap(), "er/prose", "er/and"]) {
        let zip = Zip::open(&target, &Options::new()).unwrap();
        assert_eq!(contents(&zip, "er/prose").unwrap(), prose(200_000, 2));
        assert_eq!(contents(&zip, "er/and/deeper/noise").unwrap(), prose(1000, 3));
        assert_eq!(zip.entries(), 6);
    }
}

#[test]
fn python() {
    let (folder, out) = (folder(), tempfile::tempdir().unwrap());
    for method in ["0", "8"] {
        let target = out.path().join(format!("{method}.zip"));
        if made(folder.path(), "python3", &["-c", PYTHON, method, target.to_str().unwrap()]) {
            compare_archive(&target, folder.path(), None);
        }
    }
}

/// The `zip` crate's writer, with zip64 forced.
#[test]
fn zip_crate() {
    let mut writer = ::zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = ::zip::write::SimpleFileOptions::default().compression_method(::zip::CompressionMethod::Stored);
    writer.start_file("a/large", options.large_file(true).unix_permissions(0o600)).unwrap();
    std::io::Write::write_all(&mut writer, b"contents").unwrap();
    writer.add_symlink("a/link", "large", options).unwrap();
    let zip = Zip::from_bytes(writer.finish().unwrap().into_inner().into(), &Options::new()).unwrap();
    assert_eq!(contents(&zip, "a/link").unwrap(), &b"contents"[..]);
    assert_eq!(zip.root().unwrap().stat(path("a/large"), Follow::No).unwrap().mode, 0o600);
}
