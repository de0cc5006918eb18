//! Names this build of the engine: a hash of the sources that decide what native code looks like and expects.
//!
//! Native code that is kept (in the cache, in executables) is used only by the build that made it, and the command that packs
//! and the lean one that runs are different binaries: so it is the sources that are hashed, and not a binary. What
//! does not reach compiled code may change the hash too, which costs a compilation and nothing else.

use std::fs;
use std::path::{Path, PathBuf};

/// The parts of `src` that compiled code does not know of.
const APART: [&str; 3] = ["cli", "serve", "tool"];

fn main() {
    let mut files = Vec::new();
    collect(Path::new("src"), &mut files);
    files.sort();
    let mut hash = Fnv::new();
    for file in &files {
        hash.add(file.as_os_str().as_encoded_bytes());
        hash.add(&fs::read(file).unwrap_or_default());
    }
    hash.add(std::env::var("CARGO_PKG_VERSION").unwrap_or_default().as_bytes());
    println!("cargo::rustc-env=KITBAG_BUILD={:032x}", hash.0);
    println!("cargo::rerun-if-changed=src/build.rs");
    println!("cargo::rerun-if-changed=src");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        match path.is_dir() {
            true if APART.iter().any(|apart| name == *apart) => {}
            true => collect(&path, files),
            false => files.push(path),
        }
    }
}

/// [FNV-1a](http://www.isthe.com/chongo/tech/comp/fnv/) of 128 bits: short, and the same with every compiler.
struct Fnv(u128);

impl Fnv {
    fn new() -> Fnv {
        Fnv(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }

    fn add(&mut self, bytes: &[u8]) {
        for part in [&(bytes.len() as u64).to_le_bytes()[..], bytes] {
            for &byte in part {
                self.0 = (self.0 ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
            }
        }
    }
}
