//! The guest `fsbench` on a tree of files, in kitbag over each backend and natively on the disk, in turn.
//!
//! `FSBENCH=fsbench.wasm FSBENCH_C=fsbench.c FSBENCH_TREE=folder cargo bench --bench fsbench [-- TURNS]` prints medians of
//! the turns (seven), and how they stand to native's. The native program is compiled from the same source by `cc -O2`. What is read is
//! compared with what native read before a time counts.
//!
//! Native gets the tree by its absolute path, as the guest gets it by `/share`. Since the kernel walks the whole of that path each
//! time and a guest's only from the mount on, there is a line for native in the tree as `.` too. Files are mapped, as the command has it.
//!
//! # Safety
//! Nothing here relies on the contents of files that others may write to.

#![allow(unsafe_code, reason = "lets files be mapped; see the Safety section")]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use kitbag::wasi::{Capture, WasiCtx, add_to_linker};
use kitbag::{Engine, Error, Linker, Module, Store};
use kitbag_fs::disk::Disk;
use kitbag_fs::embedded::Embedded;
use kitbag_fs::memory::Memory;
use kitbag_fs::zip::{Options, Zip};
use kitbag_fs::{Bytes, FileSystem};
use rust_embed::{Embed, EmbeddedFile, RustEmbed};

const OPERATIONS: [&str; 6] = ["open", "stat", "read", "readdir", "pread", "seq"];
const TURNS: usize = 7;

/// What the native program's lines are called.
const NATIVE: [&str; 2] = ["native", "native, in ."];

/// How long one run repeats its operation; it prints its best round.
const SECONDS: &str = "0.15";

/// Everything in a folder: paths beneath it and contents.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("the tree can be read") {
            let path = entry.expect("the tree can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("it is beneath").to_str().expect("names are text");
                found.push((name.to_owned(), fs::read(&path).expect("the tree can be read")));
            }
        }
    }
    found
}

/// The folder with the most files among those that have no folder.
fn flat(tree: &Path, files: &[(String, Vec<u8>)]) -> PathBuf {
    let mut counts = BTreeMap::new();
    for (name, _) in files {
        *counts.entry(Path::new(name).parent().expect("it has a name")).or_insert(0) += 1;
    }
    let holds_folders = |folder: &Path| counts.keys().any(|other| *other != folder && other.starts_with(folder));
    let flat = counts.iter().filter(|(folder, _)| !holds_folders(folder)).max_by_key(|(_, count)| **count);
    tree.join(flat.expect("some folder is innermost").0)
}

fn archive(files: &[(String, Vec<u8>)], method: zip::CompressionMethod) -> Zip {
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, contents) in files {
        writer.start_file(name.as_str(), options).expect("memory takes everything");
        writer.write_all(contents).expect("memory takes everything");
    }
    let bytes = writer.finish().expect("memory takes everything").into_inner();
    Zip::from_bytes(bytes.into(), &Options::new()).expect("the archive was just made")
}

fn memory(files: &[(String, Vec<u8>)]) -> Memory {
    let memory = Memory::new();
    for (name, contents) in files {
        let path = kitbag_fs::Path::new(name.as_bytes()).expect("the disk had it");
        memory.insert(path, Bytes::from(contents.clone())).expect("the tree fits");
    }
    memory
}

/// What `rust-embed` would derive for the tree: slices that live as long as the process.
struct Assets;

/// One file that it did derive, for the metadata.
#[derive(Embed)]
#[folder = "benches"]
#[include = "fsbench.rs"]
struct Any;

static ASSETS: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();

impl RustEmbed for Assets {
    fn get(name: &str) -> Option<EmbeddedFile> {
        let data = Cow::Borrowed(ASSETS.get()?.get(name)?.as_slice());
        Some(EmbeddedFile { data, ..Any::get("fsbench.rs")? })
    }

    fn iter() -> impl Iterator<Item = Cow<'static, str>> + 'static {
        ASSETS.get().into_iter().flat_map(BTreeMap::keys).map(|name| Cow::Borrowed(name.as_str()))
    }
}

/// What a run found, to be the same everywhere, and how long an operation took.
struct Run {
    answer: String,
    nanoseconds: f64,
}

impl Run {
    fn new(stdout: &[u8], stderr: &[u8]) -> Run {
        let (answer, times) = (String::from_utf8_lossy(stdout), String::from_utf8_lossy(stderr));
        let nanoseconds = times.split_whitespace().nth(1).and_then(|number| number.parse().ok());
        Run { answer: answer.into_owned(), nanoseconds: nanoseconds.unwrap_or_else(|| panic!("no time: {times}")) }
    }
}

/// The program in both forms.
struct Bench {
    engine: Engine,
    module: Module,
    native: PathBuf,
}

impl Bench {
    fn new(wasm: &Path, source: &Path) -> Bench {
        let native = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fsbench");
        let compiled = Command::new("cc").arg("-O2").arg(source).arg("-o").arg(&native).status();
        assert!(compiled.is_ok_and(|status| status.success()), "cc compiles FSBENCH_C");
        let engine = Engine::default();
        let module = Module::new(&engine, fs::read(wasm).expect("FSBENCH can be read")).expect("FSBENCH is valid");
        Bench { engine, module, native }
    }

    fn natively(&self, operation: &str, named: &Path, tree: &Path) -> Run {
        let mut command = Command::new(&self.native);
        let command = command.arg(operation).arg(named).arg(SECONDS).current_dir(tree);
        let output = command.output().expect("it was just compiled");
        Run::new(&output.stdout, &output.stderr)
    }

    fn guest(&self, operation: &str, files: &dyn FileSystem) -> Run {
        let mut linker = Linker::new(&self.engine);
        add_to_linker(&mut linker, |ctx: &mut WasiCtx| ctx).expect("the names are free");
        let (output, times) = (Capture::new(1 << 10), Capture::new(1 << 10));
        let builder = WasiCtx::builder().args(["fsbench", operation, "/share", SECONDS]);
        let builder =
            builder.stdout(output.clone()).stderr(times.clone()).mount("/share", files).expect("it has a root");
        let mut store = Store::new(&self.engine, builder.build().expect("nothing is wrong with it"));
        let instance = linker.instantiate(&mut store, &self.module).expect("all imports are there");
        let start = instance.get_typed_func::<(), ()>(&mut store, "_start").expect("it is a command");
        let ended = start.call(&mut store, ());
        assert!(matches!(ended, Ok(()) | Err(Error::Exit(0))), "{operation}: {ended:?}");
        Run::new(&output.contents(), &times.contents())
    }

    /// Prints a table: a line for each backend, a column for each operation.
    fn compare(&self, turns: usize, tree: &Path, operations: &[&str], backends: &[(&str, Box<dyn FileSystem>)]) {
        let mut times = vec![vec![Vec::new(); operations.len()]; backends.len() + NATIVE.len()];
        let mut answers = BTreeMap::new();
        for _ in 0..turns {
            for (column, operation) in operations.iter().enumerate() {
                let native = self.natively(operation, tree, tree);
                let within = self.natively(operation, Path::new("."), tree);
                let runs = backends.iter().map(|(_, files)| self.guest(operation, &**files));
                for (line, run) in [native, within].into_iter().chain(runs).enumerate() {
                    let answer = answers.entry(*operation).or_insert_with(|| run.answer.clone());
                    assert_eq!(run.answer, *answer, "{operation}, line {line}");
                    times[line][column].push(run.nanoseconds);
                }
            }
        }
        let medians: Vec<Vec<f64>> = times.into_iter().map(|line| line.into_iter().map(median).collect()).collect();
        let header: String = operations.iter().map(|operation| format!("{operation:>19}")).collect();
        println!("{:16}{header}", "ns an operation");
        for (name, line) in NATIVE.into_iter().chain(backends.iter().map(|(name, _)| *name)).zip(&medians) {
            let figure = |(time, native): (&f64, &f64)| format!("{time:>10.0} {:>7.2}x", time / native);
            let line: String = line.iter().zip(&medians[0]).map(figure).collect();
            println!("{name:16}{line}");
        }
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    // SAFETY: see the file's Safety section.
    unsafe { kitbag_fs::mapped::enable() }.expect("the handler for pages that are lost");
    let named = |name| std::env::var_os(name).map(PathBuf::from);
    let (Some(wasm), Some(source), Some(tree)) = (named("FSBENCH"), named("FSBENCH_C"), named("FSBENCH_TREE")) else {
        println!(
            "fsbench: skipped, since FSBENCH, FSBENCH_C and FSBENCH_TREE do not name the guest, its source and a tree"
        );
        return;
    };
    let turns = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(TURNS);
    let bench = Bench::new(&wasm, &source);
    let tree = tree.canonicalize().expect("FSBENCH_TREE is a folder");
    let files = files(&tree);
    ASSETS.get_or_init(|| files.iter().cloned().collect());
    let backends: [(&str, Box<dyn FileSystem>); 5] = [
        ("disk", Box::new(Disk::read_write(&tree).expect("FSBENCH_TREE is a folder"))),
        ("memory", Box::new(memory(&files))),
        ("embedded", Box::new(Embedded::new::<Assets>().expect("the names are good"))),
        ("zip, stored", Box::new(archive(&files, zip::CompressionMethod::Stored))),
        ("zip, deflated", Box::new(archive(&files, zip::CompressionMethod::Deflated))),
    ];
    bench.compare(turns, &tree, &OPERATIONS, &backends);
    let flat = flat(&tree, &files);
    println!("\nin {}, whose files have one name", flat.display());
    let disk = Box::new(Disk::read_write(&flat).expect("it is a folder"));
    bench.compare(turns, &flat, &["open", "stat"], &[("disk", disk)]);
}
