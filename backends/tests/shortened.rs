//! Files that another process shortens while they are mapped: errors, never a crash. Each case is a process of its own, since
//! handlers are the process', and another process (`truncate` of the coreutils) shortens.
//!
//! # Safety
//! No code here relies on bytes of mapped files staying what they were. The handler of the last cases does what handlers may.

#![allow(unsafe_code, reason = "maps files and handles signals; see Safety above")]

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path as HostPath, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use kitbag_fs::disk::Disk;
use kitbag_fs::zip::{Options, Problem, Zip, ZipError};
use kitbag_fs::{Bytes, Dir, Error, File, FileSystem, OpenOptions, Path, mapped};
use rustix::process::{Resource, Rlimit};

/// Says to a process which case is its own.
const CASE: &str = "KITBAG_TEST_CASE";

/// Runs `case`, the body of the test of that name, in a process of its own, and says how that ended.
fn apart(name: &str, case: impl FnOnce()) -> Option<std::process::ExitStatus> {
    if std::env::var_os(CASE).is_some_and(|case| case == name) {
        case();
        return None;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    Some(command.args([name, "--exact", "--nocapture", "--test-threads=1"]).env(CASE, name).status().unwrap())
}

fn passes(name: &str, case: impl FnOnce()) {
    if let Some(status) = apart(name, case) {
        assert!(status.success(), "{name}: {status}");
    }
}

fn enable() {
    // SAFETY: see the file's Safety section.
    unsafe { mapped::enable() }.unwrap();
}

/// Lets another process cut a file to `size` bytes.
fn shorten(path: &HostPath, size: u64) {
    let status = Command::new("truncate").arg("-s").arg(size.to_string()).arg(path).status().unwrap();
    assert!(status.success());
}

fn contents() -> Vec<u8> {
    (0..1u32 << 18).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

fn written(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

fn open(files: &dyn FileSystem, name: &str) -> Arc<dyn File> {
    let root: Arc<dyn Dir> = files.root().unwrap();
    root.open(Path::new(name.as_bytes()).unwrap(), OpenOptions::read()).unwrap().file().unwrap()
}

#[test]
fn bytes_of_a_file() {
    passes("bytes_of_a_file", || {
        enable();
        let (folder, all) = (tempfile::tempdir().unwrap(), contents());
        let path = written(&folder, "a", &all);
        written(&folder, "b", &all);
        let disk = Disk::read_only(folder.path()).unwrap();
        let [a, again, b] = ["a", "a", "b"].map(|name| open(&disk, name).read_all().unwrap());
        assert!(a == all && b == all);
        assert_eq!(mapped::check(&a), Ok(()));
        shorten(&path, 10_000);
        // The page that the end is in stays, and what is behind it is gone.
        assert_eq!(a[..10_000], all[..10_000]);
        assert_eq!(mapped::check(&a), Ok(()));
        assert!(a[20_000..].iter().all(|&byte| byte == 0));
        assert_eq!(mapped::check(&a), Err(Error::Io));
        assert_eq!(mapped::check(&a.slice(5..6)), Err(Error::Io));
        // Nobody touched what the other mappings lost.
        assert_eq!(mapped::check(&again), Ok(()));
        assert!(b == all);
        assert_eq!((mapped::check(&b), mapped::check(b"elsewhere")), (Ok(()), Ok(())));
        // A new mapping, at whatever address, is not that one.
        drop((a, again));
        let others: Vec<Bytes> = (0..10).map(|_| open(&disk, "b").read_all().unwrap()).collect();
        assert!(others.iter().all(|bytes| *bytes == all && mapped::check(bytes).is_ok()));
    });
}

/// Memory that was given a file of the disk.
#[test]
fn bytes_that_memory_holds() {
    passes("bytes_that_memory_holds", || {
        enable();
        let (folder, all) = (tempfile::tempdir().unwrap(), contents());
        let path = written(&folder, "a", &all);
        let memory = kitbag_fs::memory::Memory::new();
        let bytes = open(&Disk::read_only(folder.path()).unwrap(), "a").read_all().unwrap();
        memory.insert(Path::new(b"a").unwrap(), bytes).unwrap();
        let root = memory.root().unwrap();
        let file = root.open(Path::new(b"a").unwrap(), OpenOptions::write()).unwrap().file().unwrap();
        assert_eq!(file.read_at(&mut [0; 100], 500_000), Ok(100));
        shorten(&path, 0);
        assert_eq!(file.read_at(&mut [0; 100], 500_000), Err(Error::Io));
        assert_eq!(file.write_at(b"x", 0), Err(Error::Io));
    });
}

fn archive() -> Vec<u8> {
    use std::io::Write as _;
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    let methods = [("stored", zip::CompressionMethod::Stored), ("packed", zip::CompressionMethod::Deflated)];
    for number in 0..2 {
        for (name, method) in methods {
            writer.start_file(format!("{name}{number}"), options.compression_method(method)).unwrap();
            writer.write_all(&contents()).unwrap();
        }
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn entries_of_an_archive() {
    passes("entries_of_an_archive", || {
        enable();
        let (folder, all) = (tempfile::tempdir().unwrap(), contents());
        let path = written(&folder, "a.zip", &archive());
        let [kept, pieces, trusted] = [Options::new(), Options::new().cache(100_000), Options::new().trusted(true)]
            .map(|options| Zip::open(&path, &options).unwrap());
        let [packed, unread, stored] = ["packed0", "packed1", "stored1"].map(|name| open(&kept, name));
        assert!(packed.read_all().unwrap() == all);
        let whole = stored.read_all().unwrap();
        let mut buffer = [0; 100];
        let piece = open(&pieces, "packed1");
        assert_eq!(piece.read_at(&mut buffer, 500_000), Ok(100));
        let raw = kept.raw(Path::new(b"packed1").unwrap()).unwrap();
        shorten(&path, 100);
        assert_eq!(unread.read_at(&mut buffer, 0), Err(Error::Io));
        assert_eq!(unread.read_all(), Err(Error::Io));
        assert_eq!(stored.read_at(&mut buffer, 900_000), Err(Error::Io));
        assert_eq!(open(&kept, "stored0").read_all(), Err(Error::Io));
        assert_eq!(open(&trusted, "stored1").read_at(&mut buffer, 0), Err(Error::Io));
        assert_eq!(piece.read_at(&mut buffer, 0), Err(Error::Io));
        assert!(matches!(kept.verify(), Err(ZipError::Entry { problem: Problem::Damaged, .. })));
        // Who holds bytes asks.
        assert!(whole.iter().map(|&byte| u64::from(byte)).sum::<u64>() < u64::MAX);
        assert_eq!((mapped::check(&whole), mapped::check(&raw.data)), (Err(Error::Io), Err(Error::Io)));
        // What was inflated before is not the archive's any more.
        assert!(packed.read_all().unwrap() == all);
        assert_eq!(mapped::check(&packed.read_all().unwrap()), Ok(()));
        assert!(Zip::open(&path, &Options::new()).is_err());
    });
}

/// Readers on several threads, while a file shrinks and grows again.
#[test]
fn readers_while_files_shrink() {
    passes("readers_while_files_shrink", || {
        enable();
        let (folder, all) = (tempfile::tempdir().unwrap(), vec![7; 1 << 20]);
        let path = written(&folder, "a", &all);
        let disk = Disk::read_only(folder.path()).unwrap();
        let (done, damaged) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        let bytes = open(&disk, "a").read_all().unwrap();
                        assert!(bytes.iter().all(|&byte| byte == 7 || byte == 0));
                        damaged.fetch_add(usize::from(mapped::check(&bytes).is_err()), Ordering::Relaxed);
                    }
                });
            }
            for round in 0..40 {
                shorten(&path, 4096 * round);
                fs::write(&path, &all).unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
        eprintln!("{} mappings were damaged", damaged.into_inner());
    });
}

/// How often `path` is mapped in this process.
fn mappings_of(path: &HostPath) -> usize {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.ends_with(path.to_str().unwrap())).count()
}

/// A handle on `name` of a disk that has read it often.
fn read_often(disk: &Disk, name: &str, all: &[u8]) -> Arc<dyn File> {
    let (file, mut buffer) = (open(disk, name), [0; 100]);
    for offset in (0..all.len() - 100).step_by(all.len() / 300) {
        assert_eq!(file.read_at(&mut buffer, offset as u64), Ok(100));
        assert!(buffer == all[offset..offset + 100]);
    }
    file
}

/// A file that is read out of a mapping answers what the kernel does.
#[test]
fn files_that_are_read_often() {
    passes("files_that_are_read_often", || {
        enable();
        let (folder, all) = (tempfile::tempdir().unwrap(), contents());
        let path = written(&folder, "a", &all);
        let disk = Disk::read_only(folder.path()).unwrap();
        let [file, again] = [(), ()].map(|()| read_often(&disk, "a", &all));
        assert_eq!(mappings_of(&path), 2);
        let size = all.len() as u64;
        let read = |file: &Arc<dyn File>, length: usize, offset: u64| {
            let mut buffer = vec![1; length];
            file.read_at(&mut buffer, offset).map(|count| buffer[..count].to_vec())
        };
        let end = &all[all.len() - 5000..];
        assert!(read(&file, 10_000, size - 5000).unwrap() == end);
        assert!(read(&file, 5000, size - 5000).unwrap() == end);
        for offset in [size, size + 1, u64::MAX - 10, u64::MAX] {
            assert_eq!(read(&file, 10_000, offset), Ok(vec![]));
        }
        // What is written shows, and what is added.
        let host = fs::OpenOptions::new().write(true).open(&path).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&host, b"written", 5000).unwrap();
        assert_eq!(read(&file, 7, 5000), Ok(b"written".to_vec()));
        std::os::unix::fs::FileExt::write_all_at(&host, b"added", size).unwrap();
        assert_eq!(read(&file, 100, size), Ok(b"added".to_vec()));
        // The end falls into a page: what the mapping shows behind it are zeros.
        shorten(&path, 10_000);
        assert_eq!(read(&file, 100, 9_990).map(|bytes| bytes == all[9_990..10_000]), Ok(true));
        assert_eq!((read(&file, 100, 10_001), read(&again, 100, 500_000)), (Ok(vec![]), Ok(vec![])));
        assert!(read(&again, 10_000, 0).unwrap()[5007..] == all[5007..10_000]);
        // And once it is longer than ever, the kernel knows that.
        fs::write(&path, [&all[..], &all[..]].concat()).unwrap();
        for file in [&file, &again] {
            assert!(read(file, all.len(), size).unwrap() == all);
        }
        assert_eq!(mapped::check(&open(&disk, "a").read_all().unwrap()), Ok(()));
        drop((file, again));
        assert_eq!(mappings_of(&path), 0);
    });
}

/// Readers on several threads, while the end of a file without a single zero moves forth and back, most often through the page they read.
/// Of what they read while it stood still, each byte counts; in between, the kernel itself may show zeros.
#[test]
fn files_that_are_read_often_while_they_shrink() {
    passes("files_that_are_read_often_while_they_shrink", || {
        enable();
        let (folder, all) = (tempfile::tempdir().unwrap(), vec![7; 256 << 10]);
        let path = written(&folder, "a", &all);
        let disk = Disk::read_only(folder.path()).unwrap();
        let (moves, size, compared) = (AtomicUsize::new(0), AtomicUsize::new(all.len()), AtomicUsize::new(0));
        let (moves, size, compared, done) = (&moves, &size, &compared, &AtomicBool::new(false));
        let read = |file: &Arc<dyn File>, offset: usize| {
            let mut buffer = [0; 1000];
            let (before, size) = (moves.load(Ordering::SeqCst), size.load(Ordering::SeqCst));
            let count = file.read_at(&mut buffer, offset as u64).unwrap();
            if before.is_multiple_of(2) && moves.load(Ordering::SeqCst) == before {
                assert_eq!(count, size.saturating_sub(offset).min(1000), "at {offset} of {size}");
                assert!(buffer[..count].iter().all(|&byte| byte == 7), "zeros at {offset} of {size}");
                compared.fetch_add(1, Ordering::Relaxed);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        let file = open(&disk, "a");
                        (0..500).for_each(|round| read(&file, 196_608 + round * 79 % 3000));
                    }
                });
            }
            let host = fs::OpenOptions::new().write(true).open(&path).unwrap();
            for round in 0..1000 {
                let short = if round % 10 == 0 { round * 61 } else { 196_608 + round * 613 % 4096 };
                for now in [short, all.len()] {
                    moves.fetch_add(1, Ordering::SeqCst);
                    host.set_len(short as u64).unwrap();
                    std::os::unix::fs::FileExt::write_all_at(&host, &all[short..now], short as u64).unwrap();
                    size.store(now, Ordering::SeqCst);
                    moves.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(std::time::Duration::from_micros(50));
                }
            }
            done.store(true, Ordering::Relaxed);
        });
        assert!(compared.load(Ordering::Relaxed) > 0);
        eprintln!("{} reads were compared", compared.load(Ordering::Relaxed));
    });
}

/// Of a thousand handles and more, as many map as may, and all read.
#[test]
fn more_files_that_are_read_often_than_are_mapped() {
    passes("more_files_that_are_read_often_than_are_mapped", || {
        enable();
        let limits = rustix::process::getrlimit(Resource::Nofile);
        rustix::process::setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, ..limits }).unwrap();
        let (folder, all) = (tempfile::tempdir().unwrap(), vec![7; 64 << 10]);
        let path = written(&folder, "a", &all);
        written(&folder, "short", &all[1..]);
        let disk = Disk::read_only(folder.path()).unwrap();
        let mut files: Vec<_> = (0..1000).map(|_| read_often(&disk, "a", &all)).collect();
        assert_eq!(mappings_of(&path), 1000);
        files.extend((0..100).map(|_| read_often(&disk, "a", &all)));
        assert_eq!(mappings_of(&path), 1024);
        files.truncate(1000);
        assert_eq!(mappings_of(&path), 1000);
        let _short = read_often(&disk, "short", &all[1..]);
        assert_eq!(mappings_of(&folder.path().join("short")), 0);
    });
}

/// Without the opt-in, nothing is mapped.
#[test]
fn copies_without_the_handler() {
    passes("copies_without_the_handler", || {
        let (folder, all) = (tempfile::tempdir().unwrap(), contents());
        let paths = [written(&folder, "a", &all), written(&folder, "a.zip", &archive())];
        let disk = Disk::read_only(folder.path()).unwrap();
        let zip = Zip::open(&paths[1], &Options::new()).unwrap();
        let bytes = open(&disk, "a").read_all().unwrap();
        drop(read_often(&disk, "a", &all));
        assert_eq!(mappings_of(&paths[0]), 0);
        paths.iter().for_each(|path| shorten(path, 0));
        assert!(bytes == all);
        assert!(open(&zip, "stored1").read_all().unwrap() == all);
        assert!(open(&zip, "packed1").read_all().unwrap() == all);
        assert!(!mapped::enabled());
    });
}

/// Reads a page of a mapping that nobody registered and that is lost.
fn fault_elsewhere(folder: &tempfile::TempDir) -> u8 {
    let path = written(folder, "elsewhere", &[7; 8192]);
    let file = fs::File::open(&path).unwrap();
    // SAFETY: read as bytes, as often as need be.
    let map = unsafe { memmap2::Mmap::map(&file).unwrap() };
    PAGE.store(map.as_ptr() as usize, Ordering::SeqCst);
    shorten(&path, 0);
    map[100]
}

static PAGE: AtomicUsize = AtomicUsize::new(0);
static FAULTS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn replace(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    FAULTS.fetch_add(1, Ordering::SeqCst);
    let place = PAGE.load(Ordering::SeqCst) as *mut libc::c_void;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    // SAFETY: the mapping of the test.
    unsafe { libc::mmap(place, 8192, libc::PROT_READ, flags, -1, 0) };
}

#[test]
fn other_faults_go_where_they_went() {
    passes("other_faults_go_where_they_went", || {
        // SAFETY: an action with a handler of the right kind.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = replace as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO;
            assert_eq!(libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut()), 0);
        }
        enable();
        enable();
        let folder = tempfile::tempdir().unwrap();
        assert_eq!((fault_elsewhere(&folder), FAULTS.load(Ordering::SeqCst)), (0, 1));
        let path = written(&folder, "a", &contents());
        let bytes = open(&Disk::read_only(folder.path()).unwrap(), "a").read_all().unwrap();
        shorten(&path, 0);
        assert_eq!((bytes[0], mapped::check(&bytes), FAULTS.load(Ordering::SeqCst)), (0, Err(Error::Io), 1));
    });
}

#[test]
fn other_faults_end_the_process_where_nobody_handles_them() {
    let name = "other_faults_end_the_process_where_nobody_handles_them";
    let ended = apart(name, || {
        enable();
        fault_elsewhere(&tempfile::tempdir().unwrap());
    });
    if let Some(status) = ended {
        assert_eq!(status.signal(), Some(libc::SIGBUS), "{status}");
    }
}
