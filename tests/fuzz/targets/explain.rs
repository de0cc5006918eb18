//! What inputs of the targets `differential` and, after `--exceptions`, `exceptions` stand for, and a search that needs no fuzzer.
//!
//! `explain INPUT [MODULE.wasm]` says whether both engines agree on an input, and writes its module.
//! `explain --reduce INPUT` makes an input on which they do not agree as small as it can, in place.
//! `explain --relaxed FIRST COUNT` tries that many random operands of relaxed operators.
//! `explain --search FIRST COUNT [MODE]` tries that many random cases, and names those on which they do not.

use kitbag_fuzz::{Case, Language, Tally};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let language = if arguments.first() == Some(&"--exceptions") { Language::Exceptions } else { Language::Common };
    if language == Language::Exceptions {
        arguments.remove(0);
    }
    match arguments[..] {
        ["--search", first, count] => search(language, number(first), number(count), None),
        ["--search", first, count, mode] => search(language, number(first), number(count), Some(number(mode) as u8)),
        ["--reduce", input] => reduce(language, input),
        [input] => explain(language, input, None),
        [input, module] => explain(language, input, Some(module)),
        ["--relaxed", first, count] => relaxed(number(first), number(count)),
        _ => eprintln!("usage: as the head of this file says"),
    }
}

fn number(argument: &str) -> u64 {
    argument.parse().expect("a number")
}

fn explain(language: Language, input: &str, module: Option<&str>) {
    let bytes = std::fs::read(input).expect("the input");
    let Some(case) = Case::new(&bytes, language) else { return println!("no case") };
    if let Some(module) = module {
        std::fs::write(module, case.module()).expect("the module");
    }
    println!("{}", case.describe());
    match case.compare() {
        Ok(tally) => println!("both agree: {tally:?}"),
        Err(difference) => println!("{difference}"),
    }
}

fn differs(language: Language, bytes: &[u8]) -> bool {
    Case::new(bytes, language).is_some_and(|case| case.compare().is_err())
}

/// Leaves out, or else clears, ever smaller pieces.
fn reduce(language: Language, file: &str) {
    let mut bytes = Case::unfolded(&std::fs::read(file).expect("the input"));
    assert!(differs(language, &bytes), "both engines agree");
    let mut piece = bytes.len() / 2;
    while piece > 0 {
        let mut at = 1;
        while at < bytes.len() {
            let end = bytes.len().min(at + piece);
            let shorter = [&bytes[..at], &bytes[end..]].concat();
            let cleared = [&bytes[..at], &vec![0; end - at], &bytes[end..]].concat();
            if differs(language, &shorter) {
                bytes = shorter;
            } else {
                if differs(language, &cleared) {
                    bytes = cleared;
                }
                at = end;
            }
        }
        piece /= 2;
    }
    std::fs::write(file, &bytes).expect("the input");
    println!("{} bytes", bytes.len());
}

fn relaxed(first: u64, count: u64) {
    for seed in first..first + count {
        if let Err(difference) = kitbag_fuzz::compare_relaxed(&kitbag_fuzz::expand(&seed.to_le_bytes())) {
            println!("{seed}: {difference}");
        }
    }
}

/// Cases that are expanded from a number, of both kinds unless `mode` says of which.
fn search(language: Language, first: u64, count: u64, mode: Option<u8>) {
    let mut sum = Tally::default();
    for seed in first..first + count {
        let mode = mode.unwrap_or(2 | (seed % 4 == 0) as u8);
        let mut input = vec![mode];
        input.extend(seed.to_le_bytes());
        match Case::new(&input, language).map(|case| case.compare()) {
            Some(Ok(tally)) => sum += tally,
            Some(Err(difference)) => {
                let file = format!("difference-{seed}");
                std::fs::write(&file, &input).expect("the input");
                println!("{file}: {difference}");
            }
            None => {}
        }
    }
    println!("{sum:?}");
}
