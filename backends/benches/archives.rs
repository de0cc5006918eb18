//! Opening, looking up and reading: mounted archives and assets beside the kernel's file system and the `zip` crate's
//! own reader.
//!
//! `cargo bench -p kitbag-fs --features zip,embedded,memory --bench archives` prints medians per operation. Every
//! contents that is read is compared before a time is printed.

use std::borrow::Cow;
use std::fs;
use std::hint::black_box;
use std::io::{Cursor, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path as HostPath;
use std::sync::OnceLock;
use std::time::Instant;

use kitbag_fs::embedded::Embedded;
use kitbag_fs::zip::{Options, Zip};
use kitbag_fs::{Dir, FileSystem, Follow, OpenOptions, Path};

const FILES: usize = 10_000;
const ROUNDS: usize = 9;
/// How often a thread reads all its files: so that starting the threads, and waking a second processor, does not count.
const TIMES: usize = 100;

fn name(number: usize) -> String {
    format!("share/part{:02}/section{}/file{number:05}.txt", number % 40, number % 7)
}

fn contents(number: usize) -> Vec<u8> {
    let line = format!("line of file {number}, which is much like the others\n");
    line.bytes().cycle().take(200 + number % 4000).collect()
}

/// The median of some rounds over all files, in nanoseconds per file.
fn median(mut round: impl FnMut()) -> f64 {
    middle((0..ROUNDS).map(|_| once(&mut round)).collect())
}

fn middle(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// One round, in nanoseconds per file.
fn once(round: impl FnOnce()) -> f64 {
    let start = Instant::now();
    round();
    start.elapsed().as_nanos() as f64 / FILES as f64
}

fn archive(names: &[String], deflated: bool) -> Vec<u8> {
    let method = if deflated { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (number, name) in names.iter().enumerate() {
        writer.start_file(name, options).unwrap();
        writer.write_all(&contents(number)).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// What `rust-embed` would derive.
struct Assets;

fn assets() -> &'static [(String, Vec<u8>)] {
    static ASSETS: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    ASSETS.get_or_init(|| (0..FILES).map(|number| (name(number), contents(number))).collect())
}

#[derive(rust_embed::Embed)]
#[folder = "benches"]
struct Any;

impl rust_embed::RustEmbed for Assets {
    fn get(name: &str) -> Option<rust_embed::EmbeddedFile> {
        let number: usize = name[name.len() - 9..name.len() - 4].parse().ok()?;
        Some(rust_embed::EmbeddedFile { data: Cow::Borrowed(&assets()[number].1), ..Any::get("archives.rs")? })
    }

    fn iter() -> impl Iterator<Item = Cow<'static, str>> + 'static {
        assets().iter().map(|asset| Cow::Borrowed(asset.0.as_str()))
    }
}

fn check(root: &dyn Dir, names: &[String]) {
    for (number, name) in names.iter().enumerate() {
        let file = root.open(Path::new(name.as_bytes()).unwrap(), OpenOptions::read()).unwrap().file().unwrap();
        assert!(file.read_all().unwrap() == contents(number));
    }
}

fn mounted(label: &str, files: &dyn FileSystem, names: &[String]) {
    let root = files.root().unwrap();
    check(&*root, names);
    let paths: Vec<&Path> = names.iter().map(|name| Path::new(name.as_bytes()).unwrap()).collect();
    let open = || paths.iter().for_each(|path| _ = black_box(root.open(path, OpenOptions::read())));
    let stat = || paths.iter().for_each(|path| _ = black_box(root.stat(path, Follow::Yes)));
    let mut buffer = vec![0; 8192];
    let read = || {
        for path in &paths {
            let file = root.open(path, OpenOptions::read()).unwrap().file().unwrap();
            black_box(file.read_at(&mut buffer, 0).unwrap());
        }
    };
    let handles: Vec<_> =
        paths.iter().map(|path| root.open(path, OpenOptions::read()).unwrap().file().unwrap()).collect();
    let mut small = [0; 64];
    let pread = || handles.iter().for_each(|file| _ = black_box(file.read_at(&mut small, 100)));
    print_line(label, [median(open), median(stat), median(read), median(pread)]);
    // In turn, so that a machine that others use is the same for both.
    let halves: Vec<_> = paths.chunks(FILES / 2).collect();
    let (one, two) = (0..ROUNDS).map(|_| (by_threads(&*root, &[&paths]), by_threads(&*root, &halves))).unzip();
    let (one, two) = (middle(one), middle(two));
    println!("{:26} {one:>9.0} ns to open and read by a thread, {two:.0} by two: {:.2}x", "", one / two);
}

/// Opening and reading by threads, some of the files each.
fn by_threads(root: &dyn Dir, parts: &[&[&Path]]) -> f64 {
    let read_all = |paths: &[&Path]| {
        let mut buffer = vec![0; 8192];
        for path in paths {
            let file = root.open(path, OpenOptions::read()).unwrap().file().unwrap();
            black_box(file.read_at(&mut buffer, 0).unwrap());
        }
    };
    let times = |part: &[&Path]| (0..TIMES).for_each(|_| read_all(part));
    let all = || {
        std::thread::scope(|scope| {
            for part in parts {
                scope.spawn(|| times(part));
            }
        });
    };
    once(all) / TIMES as f64
}

fn print_line(label: &str, times: [f64; 4]) {
    let column = |time: f64| if time.is_nan() { "-".to_owned() } else { format!("{time:.0}") };
    let [open, stat, read, pread] = times.map(column);
    println!("{label:26} {open:>9} {stat:>9} {read:>9} {pread:>9}");
}

fn native(folder: &HostPath, names: &[String]) {
    let paths: Vec<_> = names.iter().map(|name| folder.join(name)).collect();
    for (number, path) in paths.iter().enumerate() {
        assert!(fs::read(path).unwrap() == contents(number));
    }
    let open = || paths.iter().for_each(|path| drop(black_box(fs::File::open(path))));
    let stat = || paths.iter().for_each(|path| drop(black_box(fs::metadata(path))));
    let mut buffer = vec![0; 8192];
    let read = || paths.iter().for_each(|path| drop(black_box(fs::File::open(path).unwrap().read(&mut buffer))));
    let handles: Vec<_> = paths.iter().take(900).map(|path| fs::File::open(path).unwrap()).collect();
    let mut small = [0; 64];
    let pread = || {
        (0..FILES).for_each(|number| _ = black_box(handles[number % handles.len()].read_at(&mut small, 100)));
    };
    print_line("native", [median(open), median(stat), median(read), median(pread)]);
}

/// By name through the crate, which inflates for each reader.
fn crate_reader(label: &str, archive: &[u8], names: &[String]) {
    let mut archive = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
    let mut buffer = vec![0; 8192];
    let read = median(|| {
        for (number, name) in names.iter().enumerate() {
            let mut file = archive.by_name(name).unwrap();
            let count = file.size() as usize;
            file.read_exact(&mut buffer[..count]).unwrap();
            assert!(count == 200 + number % 4000);
        }
    });
    print_line(label, [f64::NAN, f64::NAN, read, f64::NAN]);
}

fn opening() {
    let names: Vec<String> = (0..100_000).map(name).collect();
    let bytes = kitbag_fs::Bytes::from(archive(&names, false));
    let start = Instant::now();
    let zip = Zip::from_bytes(bytes.clone(), &Options::new()).unwrap();
    let ours = start.elapsed();
    assert_eq!(zip.entries(), 100_000 + 1 + 1 + 40 + 280);
    let start = Instant::now();
    assert_eq!(zip::ZipArchive::new(Cursor::new(&bytes)).unwrap().len(), 100_000);
    println!(
        "mounting 100,000 entries: {ours:.0?}, of which the zip crate's reading takes about {:.0?}",
        start.elapsed()
    );
}

fn main() {
    let names: Vec<String> = (0..FILES).map(name).collect();
    let folder = tempfile::tempdir().unwrap();
    for (number, name) in names.iter().enumerate() {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents(number)).unwrap();
    }
    println!("{:26} {:>9} {:>9} {:>9} {:>9}   (ns)", "", "open", "stat", "open+read", "pread 64");
    native(folder.path(), &names);
    for (label, deflated) in [("zip, stored", false), ("zip, deflated", true)] {
        let bytes = archive(&names, deflated);
        crate_reader(&format!("{label}, by the crate"), &bytes, &names);
        mounted(label, &Zip::from_bytes(bytes.into(), &Options::new()).unwrap(), &names);
    }
    mounted("embedded", &Embedded::new::<Assets>().unwrap(), &names);
    opening();
}
