//! Looking up, opening, reading and listing: memory, zip, disk and mounts beside the bare system calls and the crate `vfs`.
//!
//! `cargo bench -p kitbag-fs --features disk,memory,zip --bench fs` prints medians per operation. What is read is
//! compared before a time is printed.

use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use kitbag_fs::disk::Disk;
use kitbag_fs::memory::Memory;
use kitbag_fs::mounts::Mounts;
use kitbag_fs::zip::{Options, Zip};
use kitbag_fs::{Bytes, Dir, FileSystem, Follow, OpenOptions, Path};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, fstat, openat, statat};
use vfs::{MemoryFS, PhysicalFS, VfsPath};

const FILES: usize = 5_000;
const ROUNDS: usize = 9;

fn name(number: usize) -> String {
    format!("share/part{:02}/section{}/file{number:05}.txt", number % 40, number % 7)
}

fn contents(number: usize) -> Vec<u8> {
    format!("line of file {number}\n").bytes().cycle().take(200 + number % 4000).collect()
}

/// Prints the median of some rounds over all files, in nanoseconds per file.
fn time(what: &str, names: &[String], each: impl Fn(&str)) {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            names.iter().for_each(|name| each(name));
            start.elapsed().as_nanos() as f64 / names.len() as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{what:<44}{:>9.0} ns", times[ROUNDS / 2]);
}

fn path(name: &str) -> &Path {
    Path::new(name.as_bytes()).unwrap()
}

fn ours(what: &str, root: &dyn Dir, names: &[String]) {
    let open = |name: &str| root.open(path(name), OpenOptions::read()).unwrap();
    for (number, name) in names.iter().enumerate() {
        assert_eq!(open(name).file().unwrap().read_all().unwrap(), contents(number));
    }
    time(&format!("{what}: stat"), names, |name| _ = black_box(root.stat(path(name), Follow::Yes).unwrap()));
    time(&format!("{what}: open and close"), names, |name| _ = black_box(open(name)));
    time(&format!("{what}: open, read, close"), names, |name| {
        _ = black_box(open(name).file().unwrap().read_at(&mut [0; 4300], 0).unwrap());
    });
    time(&format!("{what}: open, read_all, close"), names, |name| {
        _ = black_box(open(name).file().unwrap().read_all().unwrap());
    });
    let dirs: Vec<String> = (0..40).map(|part| format!("share/part{part:02}/section{}", part % 7)).collect();
    time(&format!("{what}: open a directory, list, close"), &dirs, |name| {
        let dir = root.open(path(name), OpenOptions::directory()).unwrap().dir().unwrap();
        assert!(!black_box(dir.list().unwrap()).is_empty());
    });
}

fn kernel(root: &OwnedFd, names: &[String]) {
    let open = |name: &str| openat(root, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    time("kernel: fstatat", names, |name| _ = black_box(statat(root, name, AtFlags::empty()).unwrap()));
    time("kernel: openat and close", names, |name| _ = black_box(open(name)));
    time("kernel: openat, fstat, close", names, |name| _ = black_box(fstat(open(name)).unwrap()));
    time("kernel: openat, pread, close", names, |name| {
        _ = black_box(rustix::io::pread(open(name), &mut [0; 4300], 0).unwrap());
    });
}

/// The same of a backend of the crate `vfs`, as its users call it.
fn theirs(what: &str, root: &VfsPath, names: &[String]) {
    let at = |name: &str| root.join(name).unwrap();
    let read = |name: &str| {
        let mut bytes = Vec::new();
        at(name).open_file().unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    for (number, name) in names.iter().enumerate() {
        assert_eq!(read(name), contents(number));
    }
    time(&format!("{what}: stat"), names, |name| _ = black_box(at(name).metadata().unwrap()));
    time(&format!("{what}: open and close"), names, |name| _ = black_box(at(name).open_file().unwrap()));
    time(&format!("{what}: open, read_to_end, close"), names, |name| _ = black_box(read(name)));
    let dirs: Vec<String> = (0..40).map(|part| format!("share/part{part:02}/section{}", part % 7)).collect();
    time(&format!("{what}: list a directory"), &dirs, |name| {
        assert!(black_box(at(name).read_dir().unwrap().count()) > 0);
    });
}

/// A stored archive of the files.
fn archive(names: &[String]) -> Zip {
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (number, name) in names.iter().enumerate() {
        writer.start_file(name.as_str(), stored).unwrap();
        writer.write_all(&contents(number)).unwrap();
    }
    Zip::from_bytes(writer.finish().unwrap().into_inner().into(), &Options::new()).unwrap()
}

fn main() {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let names: Vec<String> = (0..FILES).map(name).collect();
    let memory = Arc::new(Memory::new());
    for (number, name) in names.iter().enumerate() {
        memory.insert(path(name), Bytes::from(contents(number))).unwrap();
        let host = folder.path().join(name);
        std::fs::create_dir_all(host.parent().unwrap()).unwrap();
        std::fs::write(host, contents(number)).unwrap();
    }
    ours("memory", &*memory.root().unwrap(), &names);
    let mounts = |at| Mounts::builder().mount(path(at), Arc::clone(&memory) as _).unwrap();
    ours("memory, mounted", &*mounts(".").build().root().unwrap(), &names);
    let beside = mounts(".").mount(path("elsewhere"), Arc::new(Memory::new())).unwrap().build();
    ours("memory, a mount beside", &*beside.root().unwrap(), &names);
    let disk = Disk::read_only(folder.path()).unwrap();
    ours("disk", &*disk.root().unwrap(), &names);
    let root = openat(CWD, folder.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    kernel(&root, &names);
    ours("zip", &*archive(&names).root().unwrap(), &names);
    theirs("vfs, physical", &PhysicalFS::new(folder.path()).into(), &names);
    let memory = VfsPath::new(MemoryFS::new());
    for (number, name) in names.iter().enumerate() {
        let file = memory.join(name).unwrap();
        file.parent().create_dir_all().unwrap();
        file.create_file().unwrap().write_all(&contents(number)).unwrap();
    }
    theirs("vfs, memory", &memory, &names);
}
