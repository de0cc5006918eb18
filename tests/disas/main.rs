//! What small functions become, as text: each `NAME.wat` here beside its `NAME.MACHINE.txt`. A change of the code shows there as
//! a difference that a person reads. To write the texts anew:
//!
//! ```sh
//! RENEW=1 cargo test --test disas
//! ```
//!
//! The code is that for a processor with all features, so that the texts are the same wherever they are made, and there is one for each machine.

mod loops;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use kitbag::Engine;
use kitbag::disassemble::Disassembly;
use kitbag::jit::Target;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/disas")
}

/// Paths with this extension, in order.
fn files(extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension() == Some(OsStr::new(extension))).collect();
    files.sort();
    files
}

fn listing(path: &Path, machine: &str) -> String {
    let engine = Engine::default();
    let target = Target::newest(machine).unwrap();
    let disassembly = Disassembly::new(&engine, fs::read(path).unwrap(), target).unwrap();
    let mut text = Vec::new();
    disassembly.write(&engine, disassembly.functions(), &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

/// Compares with what is expected, or writes that.
fn check(golden: &Path, text: &str) -> bool {
    if std::env::var_os("RENEW").is_some() {
        fs::write(golden, text).unwrap();
        return true;
    }
    let expected = fs::read_to_string(golden).unwrap_or_default();
    let line = text.lines().zip(expected.lines()).position(|(now, then)| now != then);
    if text != expected {
        let line = line.unwrap_or_else(|| text.lines().count().min(expected.lines().count()));
        let at = |text: &str| text.lines().nth(line).unwrap_or("(the end)").to_owned();
        println!("{}:{}:\n- {}\n+ {}", golden.display(), line + 1, at(&expected), at(text));
    }
    text == expected
}

#[test]
fn small_functions_become_what_is_written_down() {
    let wats = files("wat");
    assert!(wats.len() > 10, "the modules are gone");
    let pairs = wats.iter().flat_map(|wat| Target::NAMES.map(|machine| (wat, machine)));
    let same = |wat: &Path, machine| check(&wat.with_extension(format!("{machine}.txt")), &listing(wat, machine));
    let changed: Vec<_> = pairs.filter(|(wat, machine)| !same(wat, machine)).collect();
    assert!(changed.is_empty(), "what these become is another: {changed:?}; RENEW=1 writes it down");
}

#[test]
fn each_text_has_its_module() {
    for text in files("txt") {
        let name = text.file_stem().and_then(|name| Path::new(name).file_stem()).unwrap().to_owned();
        assert!(text.with_file_name(name).with_extension("wat").exists(), "{}", text.display());
    }
}
