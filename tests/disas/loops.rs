//! How many instructions the hottest loop of each kernel takes on either machine. The code for aarch64 is to be of the same
//! quality as that for x86_64: at most a quarter longer.
//!
//! The kernels are programs from elsewhere. Where these are not at hand, the counts are taken from `loops.counts` alone.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::{check, folder, listing};

/// Each kernel with the function that it spends its time in. Of that function the loop counts that lies deepest, and has the
/// most operators of those that do.
const KERNELS: [(&str, u32); 11] = [
    ("k_callind", 8),
    ("k_fannkuch", 8),
    ("k_gemm", 8),
    ("k_gemm_autovec", 8),
    ("k_jacobi", 8),
    ("k_mandelbrot", 8),
    ("k_matmul_simd", 8),
    ("k_nbody", 8),
    ("k_sha256", 9),
    ("k_sieve", 8),
    ("k_spectralnorm", 8),
];

#[derive(Default)]
struct Loop {
    depth: usize,
    operators: usize,
    instructions: usize,
}

/// All loops of a function, in order, from its listing.
fn loops(listing: &str, function: u32) -> Vec<Loop> {
    let head = format!("func {function} ");
    let lines = listing.lines().skip_while(|line| !line.starts_with(&head)).skip(1);
    let mut loops: Vec<Loop> = Vec::new();
    // The open blocks, with the places of those that are loops.
    let mut open: Vec<Option<usize>> = Vec::new();
    // Up to where the next function begins, or what this one puts off.
    for line in lines.take_while(|line| !line.starts_with("func ") && !line.trim_end().ends_with("...")) {
        let Some((_, text)) = line.trim_start().split_once("  ") else { continue };
        let inside = open.iter().flatten();
        if line.starts_with("      ") && line.contains(":  ") {
            if !text.starts_with("nop") {
                inside.for_each(|&place| loops[place].instructions += 1);
            }
            continue;
        }
        inside.for_each(|&place| loops[place].operators += 1);
        match text.split(' ').next() {
            Some("block" | "if" | "try_table") => open.push(None),
            Some("loop") => {
                let depth = open.iter().flatten().count();
                open.push(Some(loops.len()));
                loops.push(Loop { depth, ..Loop::default() });
            }
            Some("end") => _ = open.pop(),
            _ => {}
        }
    }
    loops
}

fn kernels() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/guests/wasm");
    folder.exists().then_some(folder)
}

fn count(folder: &Path) -> String {
    let mut text = "# kernel, instructions on x86_64, on aarch64\n".to_owned();
    for (kernel, function) in KERNELS {
        let path = folder.join(kernel).with_extension("wasm");
        let [x86_64, aarch64] = ["x86_64", "aarch64"].map(|machine| loops(&listing(&path, machine), function));
        let hottest = (0..x86_64.len()).max_by_key(|&i| (x86_64[i].depth, x86_64[i].operators)).unwrap();
        writeln!(text, "{kernel} {} {}", x86_64[hottest].instructions, aarch64[hottest].instructions).unwrap();
    }
    text
}

#[test]
fn hottest_loops_are_about_as_long_on_either_machine() {
    let golden = folder().join("loops.counts");
    match kernels() {
        Some(folder) => assert!(check(&golden, &count(&folder)), "the counts changed; RENEW=1 writes them down"),
        None => println!("the kernels are not at hand: the counts are not taken anew"),
    }
    let text = std::fs::read_to_string(golden).unwrap();
    let mut kernels = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let [_, x86_64, aarch64] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let [x86_64, aarch64] = [x86_64, aarch64].map(|count| count.parse::<usize>().unwrap());
        assert!(x86_64 > 3 && aarch64 * 4 <= x86_64 * 5, "{line}");
        kernels += 1;
    }
    assert_eq!(kernels, KERNELS.len());
}

/// What is the same for all machines knows none: neither by name nor by its registers, instructions or extensions.
#[test]
fn the_walk_names_no_machine() {
    const WORDS: [&str; 15] = [
        "x86_",
        "x86-64",
        "amd64",
        "aarch64",
        "arm64",
        "avx",
        "sse4",
        "neon",
        "rax",
        "xmm",
        "rsp",
        "rdx",
        "dynasm",
        "target_arch",
        "aapcs",
    ];
    let jit = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/jit");
    let walk = std::fs::read_dir(jit.join("walk")).unwrap().map(|entry| entry.unwrap().path());
    let others = ["walk", "state", "scan", "pins", "moves", "convention", "masm", "ops", "lanes", "env", "unwind"];
    let files: Vec<_> = walk.chain(others.map(|name| jit.join(name).with_extension("rs"))).collect();
    assert!(files.len() > 15);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap().to_lowercase();
        let named = WORDS.iter().find(|&&word| text.contains(word));
        assert_eq!(named, None, "{}", file.display());
    }
}

/// Where something is on one machine, there it is on the other.
#[test]
fn both_machines_have_the_same_files() {
    let jit = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/jit");
    let files = |folder: &str| {
        let entries = std::fs::read_dir(jit.join(folder)).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = entries.collect();
        names.sort();
        names
    };
    assert!(files("x86_64").len() > 10);
    assert_eq!(files("x86_64"), files("aarch64"));
    assert_eq!(files("x86_64/simd"), files("aarch64/simd"));
}
