//! The target `module`: any bytes at all are a module or an error, and never anything else; and inputs for it that need no fuzzer.

use crate::case::{Case, Language, Random};
use kitbag::jit::Target;
use kitbag::{Config, Engine, Error, Module};
use std::sync::OnceLock;

/// Loads the bytes here, and compiles them for the other machines. Whether they were a module.
///
/// # Panics
/// Where an error says nothing, or one machine takes what the other does not.
pub fn load(bytes: &[u8]) -> bool {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    let engine = ENGINE.get_or_init(|| Engine::new(Config::new().compile_threads(1)).expect("an engine"));
    let here = Module::new(engine, bytes).map(drop);
    for name in Target::NAMES {
        let target = Target::newest(name).expect("a name of a machine");
        if !target.is_host() {
            let there = engine.precompile_module_for(target, bytes).map(drop);
            let limited = [&here, &there].iter().any(|end| matches!(end, Err(Error::Limit(_))));
            assert!(limited || here.is_ok() == there.is_ok(), "here {here:?}, for {name} {there:?}");
        }
    }
    if let Err(error) = &here {
        assert!(!error.to_string().is_empty());
    }
    here.is_ok()
}

/// The module of a number: one of `seeds` or one that a [`Case`] draws, with a few places changed.
#[must_use]
pub fn mutated(number: u64, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut random = Random(number);
    let mut module = match below(&mut random, 2 * seeds.len().max(1)) {
        seed if seed < seeds.len() => seeds[seed].clone(),
        _ => drawn(&mut random),
    };
    // Half have one place changed, a quarter two: what is changed more is seldom valid up to where it matters.
    let changes = 1 + random.next().trailing_ones();
    for _ in 0..changes {
        change(&mut module, &mut random);
    }
    module
}

fn drawn(random: &mut Random) -> Vec<u8> {
    loop {
        let choice = random.next();
        let mode = 2 | (choice & 1) as u8;
        let language = if choice & 2 == 0 { Language::Common } else { Language::Exceptions };
        let input = [&[mode][..], &random.next().to_le_bytes()].concat();
        if let Some(case) = Case::new(&input, language) {
            return case.module;
        }
    }
}

/// Bytes that mean something in many places: ends, blocks, branches, large LEB128s.
const SPECIAL: [u8; 16] = [0, 1, 0x02, 0x03, 0x0b, 0x0c, 0x0d, 0x0e, 0x10, 0x11, 0x40, 0x7f, 0x80, 0xfc, 0xfd, 0xff];

fn change(module: &mut Vec<u8>, random: &mut Random) {
    const HEADER: usize = 8;
    if module.len() <= HEADER {
        return module.push(random.next() as u8);
    }
    let at = HEADER + below(random, module.len() - HEADER);
    let length = 1 + below(random, 8.min(module.len() - at));
    match random.next() % 8 {
        0 => module[at] ^= 1 << (random.next() % 8),
        1 | 2 => module[at] = random.next() as u8,
        3 | 4 => module[at] = SPECIAL[below(random, SPECIAL.len())],
        5 => drop(module.drain(at..at + length)),
        6 => {
            let from = HEADER + below(random, module.len() - HEADER - length + 1);
            module.copy_within(from..from + length, at);
        }
        _ => {
            let copy = module[at..at + length].to_vec();
            module.splice(at..at, copy);
        }
    }
}

fn below(random: &mut Random, limit: usize) -> usize {
    (random.next() % limit as u64) as usize
}
