//! What an overlay costs over the file system beneath it.
//!
//! `cargo bench -p kitbag-fs --features overlay,memory --bench overlay` prints medians per operation, of the same files in
//! memory without and with an overlay. What is read is compared before a time is printed.

use std::sync::Arc;
use std::time::Instant;

use kitbag_fs::memory::Memory;
use kitbag_fs::overlay::Overlay;
use kitbag_fs::{Dir, FileSystem, Follow, OpenOptions, Path, SetTime, SetTimes};

const FILES: usize = 10_000;
const ROUNDS: usize = 9;

fn name(number: usize) -> String {
    format!("share/part{:02}/section{}/file{number:05}.txt", number % 40, number % 7)
}

fn contents(number: usize) -> Vec<u8> {
    format!("the contents of file {number}\n").repeat(20).into_bytes()
}

/// The median of some rounds over all files, in nanoseconds per file.
fn median(mut round: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            round();
            start.elapsed().as_nanos() as f64 / FILES as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[ROUNDS / 2]
}

fn files() -> Arc<Memory> {
    let files = Memory::new();
    for number in 0..FILES {
        files.insert(Path::new(name(number).as_bytes()).unwrap(), contents(number).into()).unwrap();
    }
    Arc::new(files)
}

fn over(lowers: Vec<Arc<dyn FileSystem>>) -> Overlay {
    Overlay::new(Arc::new(Memory::new()), lowers).unwrap()
}

/// An overlay in which every directory was copied up, so that each lookup asks the upper first.
fn with_directories_copied_up(lower: Arc<Memory>) -> Overlay {
    let overlay = over(vec![lower]);
    let root = overlay.root().unwrap();
    let times = SetTimes { accessed: SetTime::Keep, modified: SetTime::Now };
    for number in 0..FILES {
        let name = name(number);
        let parent = name.rsplit_once('/').unwrap().0;
        root.set_times(Path::new(parent.as_bytes()).unwrap(), Follow::No, times).unwrap();
    }
    overlay
}

fn check(root: &dyn Dir, names: &[String]) {
    for (number, name) in names.iter().enumerate() {
        let file = root.open(Path::new(name.as_bytes()).unwrap(), OpenOptions::read()).unwrap().file().unwrap();
        assert_eq!(file.read_all().unwrap(), contents(number), "{name}");
    }
}

fn measure(what: &str, files: &dyn FileSystem) {
    let root = files.root().unwrap();
    let names: Vec<String> = (0..FILES).map(name).collect();
    let paths: Vec<&Path> = names.iter().map(|name| Path::new(name.as_bytes()).unwrap()).collect();
    check(&*root, &names);
    let open = median(|| {
        for path in &paths {
            root.open(path, OpenOptions::read()).unwrap();
        }
    });
    let stat = median(|| {
        for path in &paths {
            root.stat(path, Follow::Yes).unwrap();
        }
    });
    let mut buffer = [0; 4096];
    let handles: Vec<_> =
        paths.iter().map(|path| root.open(path, OpenOptions::read()).unwrap().file().unwrap()).collect();
    let read = median(|| {
        for file in &handles {
            file.read_at(&mut buffer, 0).unwrap();
        }
    });
    let list = median(|| {
        for part in 0..40 {
            for section in 0..7 {
                let path = format!("share/part{part:02}/section{section}");
                let Ok(dir) = root.open(Path::new(path.as_bytes()).unwrap(), OpenOptions::directory()) else {
                    continue;
                };
                dir.dir().unwrap().list().unwrap();
            }
        }
    });
    println!("{what:44} open {open:6.0}  stat {stat:6.0}  read {read:6.0}  list, per entry {list:6.0} ns");
}

fn main() {
    let lower = files();
    measure("memory", &*lower);
    measure("overlay over it", &over(vec![lower.clone()]));
    measure("the same, directories copied up", &with_directories_copied_up(lower.clone()));
    let empty = || Arc::new(Memory::new()) as Arc<dyn FileSystem>;
    measure("overlay, the last of three lowers", &over(vec![empty(), empty(), lower.clone()]));
    measure("overlay, all in the upper", &Overlay::new(lower, []).unwrap());
}
