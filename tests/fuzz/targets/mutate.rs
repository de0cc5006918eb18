//! A search with the target `module` that needs no fuzzer.
//!
//! `mutate INPUT…` loads each of these files, or the files in these folders, as they are.
//! `mutate --search FIRST COUNT SEED…` tries that many modules made of them and of drawn ones, and names those on which something
//! went wrong.

use kitbag_fuzz::bytes;
use std::panic::catch_unwind;
use std::path::Path;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--search", first, count, ref seeds @ ..] => search(number(first), number(count), &files(seeds)),
        [] => eprintln!("usage: mutate INPUT… | --search FIRST COUNT SEED…"),
        ref inputs => {
            let valid = files(inputs).iter().filter(|input| bytes::load(input)).count();
            println!("{valid} were valid");
        }
    }
}

fn number(argument: &str) -> u64 {
    argument.parse().expect("a number")
}

fn files(paths: &[&str]) -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    for path in paths.iter().map(Path::new) {
        if path.is_dir() {
            let mut inside: Vec<_> = path.read_dir().expect("the folder").map(|entry| entry.unwrap().path()).collect();
            inside.sort();
            files.extend(inside.iter().map(|path| std::fs::read(path).expect("a file")));
        } else {
            files.push(std::fs::read(path).expect("a file"));
        }
    }
    files
}

fn search(first: u64, count: u64, seeds: &[Vec<u8>]) {
    let mut valid = 0u64;
    for number in first..first + count {
        let module = bytes::mutated(number, seeds);
        match catch_unwind(|| bytes::load(&module)) {
            Ok(was_valid) => valid += u64::from(was_valid),
            Err(_) => {
                let file = format!("failure-{number}.wasm");
                std::fs::write(&file, &module).expect("the module");
                println!("{file}");
            }
        }
    }
    println!("{valid} of {count} were valid");
}
