//! Constants and offsets around the ends of what instructions of either machine take: as Rust has it, on the machine that runs this,
//! and for the other one at least as code that can be made.

use std::fmt::Write as _;

use kitbag::jit::Target;
use kitbag::{Engine, Instance, Linker, Module, Store};

fn instance(wat: &str) -> (Store<()>, Instance) {
    let engine = Engine::default();
    for target in Target::NAMES.into_iter().flat_map(|name| [Target::named(name), Target::newest(name)]) {
        engine.precompile_module_for(target.unwrap(), wat).unwrap();
    }
    let mut store = Store::new(&engine, ());
    let module = Module::new(&engine, wat).unwrap();
    let instance = Linker::new(&engine).instantiate(&mut store, &module).unwrap();
    (store, instance)
}

/// Around the powers of two, runs of ones, and what repeats: there end displacements, additions' and bitwise constants, and moves'.
fn constants() -> Vec<u64> {
    let powers = (0..64).map(|bit| 1u64 << bit);
    let near = powers.flat_map(|power| [power, power - 1, power + 1, !power, power.wrapping_neg(), !power - 1]);
    let runs = (1..64).map(|bit| (u64::MAX >> bit) & (u64::MAX << (bit / 3)));
    let repeated = [0x1_0000_0001u64, 0x0001_0001_0001_0001, 0x0101_0101_0101_0101, 0x5555_5555_5555_5555];
    let pieces =
        [0xffff_1234_ffff_ffff, 0x1234_0000_5678_0000, 0x0000_ffff_0000_ffff, 0xff_f000, 0xff_f001, 0xfff_f000];
    let all = near
        .chain(runs)
        .chain(repeated.into_iter().flat_map(|bits| [0x01, 0x7e, 0xfe].map(|piece| bits.wrapping_mul(piece))))
        .chain(pieces);
    all.chain([0, u64::MAX]).collect()
}

type Op = (&'static str, fn(i64, i64) -> i64, fn(i32, i32) -> i32);

const OPS: [Op; 14] = [
    ("add", i64::wrapping_add, i32::wrapping_add),
    ("sub", i64::wrapping_sub, i32::wrapping_sub),
    ("mul", i64::wrapping_mul, i32::wrapping_mul),
    ("and", |a, b| a & b, |a, b| a & b),
    ("or", |a, b| a | b, |a, b| a | b),
    ("xor", |a, b| a ^ b, |a, b| a ^ b),
    ("shl", |a, b| a.wrapping_shl(b as u32), |a, b| a.wrapping_shl(b as u32)),
    ("shr_s", |a, b| a.wrapping_shr(b as u32), |a, b| a.wrapping_shr(b as u32)),
    ("shr_u", |a, b| ((a as u64) >> (b & 63)) as i64, |a, b| ((a as u32) >> (b & 31)) as i32),
    ("rotl", |a, b| a.rotate_left((b & 63) as u32), |a, b| a.rotate_left((b & 31) as u32)),
    ("rotr", |a, b| a.rotate_right((b & 63) as u32), |a, b| a.rotate_right((b & 31) as u32)),
    ("eq", |a, b| i64::from(a == b), |a, b| i32::from(a == b)),
    ("lt_s", |a, b| i64::from(a < b), |a, b| i32::from(a < b)),
    ("gt_u", |a, b| i64::from(a as u64 > b as u64), |a, b| i32::from(a as u32 > b as u32)),
];

/// Each operator with each constant, as the result and where it is added to what is in a register already; constants by themselves
/// are stored, too.
#[test]
fn operators_take_any_constant() {
    const PLACE: usize = 16;
    let constants = constants();
    let mut wat = format!("(module (memory (export \"memory\") {})", (constants.len() * PLACE).div_ceil(1 << 16));
    for (name, ..) in OPS {
        for width in ["i32", "i64"] {
            _ = write!(wat, "(func (export \"{width} {name}\") (param $x {width})");
            for (i, &bits) in constants.iter().enumerate() {
                let constant = if width == "i32" { i64::from(bits as i32) } else { bits as i64 };
                let mut result = format!("({width}.{name} (local.get $x) ({width}.const {constant}))");
                if width == "i32" || ["eq", "lt_s", "gt_u"].contains(&name) {
                    result = format!("(i64.extend_i32_u {result})");
                }
                let (first, second) = (PLACE * i, PLACE * i + 8);
                _ = write!(wat, "(i64.store offset={first} (i32.const 0) {result})");
                _ = write!(wat, "({width}.store offset={second} (i32.const 0) ({width}.const {constant}))");
            }
            wat.push(')');
        }
    }
    let (mut store, instance) = instance(&format!("{wat})"));
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    for (name, wide, narrow) in OPS {
        for x in [0, 1, -1, 0x1234_5678_9abc_def0, i64::MIN, 0x8000_0000] {
            memory.data_mut(&mut store).fill(0);
            let function = instance.get_typed_func::<i32, ()>(&mut store, &format!("i32 {name}")).unwrap();
            function.call(&mut store, x as i32).unwrap();
            for (place, &bits) in memory.data(&store).chunks_exact(PLACE).zip(&constants) {
                let result = narrow(x as i32, bits as i32).cast_unsigned();
                assert_eq!(words(place), (result.into(), bits & 0xffff_ffff), "i32.{name} {x:#x} {bits:#x}");
            }
            let function = instance.get_typed_func::<i64, ()>(&mut store, &format!("i64 {name}")).unwrap();
            function.call(&mut store, x).unwrap();
            for (place, &bits) in memory.data(&store).chunks_exact(PLACE).zip(&constants) {
                let result = wide(x, bits.cast_signed()).cast_unsigned();
                assert_eq!(words(place), (result, bits), "i64.{name} {x:#x} {bits:#x}");
            }
        }
    }
}

/// The two that a place holds.
fn words(place: &[u8]) -> (u64, u64) {
    let word = |at| u64::from_le_bytes(place[at..at + 8].try_into().unwrap());
    (word(0), word(8))
}

/// Loads, with the bytes that they read, whether they extend a sign, and a store of as many.
const ACCESSES: [(&str, usize, bool, &str); 10] = [
    ("i64.load8_u", 1, false, "i64.store8"),
    ("i64.load8_s", 1, true, "i64.store8"),
    ("i64.load16_u", 2, false, "i64.store16"),
    ("i64.load16_s", 2, true, "i64.store16"),
    ("i64.load32_u", 4, false, "i64.store32"),
    ("i64.load32_s", 4, true, "i64.store32"),
    ("i64.load", 8, false, "i64.store"),
    ("i64.reinterpret_f64 (f64.load", 8, false, "i64.store"),
    ("i64x2.extract_lane 0 (v128.load", 8, false, "i64.store"),
    ("i64x2.extract_lane 0 (v128.load64_zero", 8, false, "i64.store"),
];

/// A load copies to a store at the same offset from another index; another one, from no index at all, goes into a sum.
#[test]
fn accesses_take_any_offset() {
    const PAGES: usize = 300;
    // Further than neighbouring offsets are from each other.
    const AWAY: usize = 0x8_0003;
    let ends = [8, 12, 13, 14, 15, 16, 20, 24].map(|power| 1 << power);
    let offsets: Vec<usize> = (0..40).chain(ends.into_iter().flat_map(|end| end - 17..end + 18)).collect();
    let mut wat = format!("(module (memory (export \"memory\") {PAGES})");
    for (load, .., store) in ACCESSES {
        _ = write!(wat, "(func (export \"{load}\") (param $from i32) (param $to i32) (result i64) (local $sum i64)");
        let close = if load.contains('(') { "))" } else { ")" };
        for offset in &offsets {
            let load = |index| format!("({load} offset={offset} ({index}){close}");
            let copy = load("local.get $from");
            _ = write!(wat, "({store} offset={offset} (local.get $to) {copy})");
            let constant = load("i32.const 0");
            _ = write!(wat, "(local.set $sum (i64.add (i64.mul (local.get $sum) (i64.const 31)) {constant}))");
        }
        wat.push_str("(local.get $sum))");
    }
    let (mut store, instance) = instance(&format!("{wat})"));
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    let data = memory.data_mut(&mut store);
    for at in offsets.iter().flat_map(|&offset| offset..offset + 32) {
        data[at] = ((at * 167) ^ (at >> 7)) as u8;
    }
    for (load, bytes, sign, _) in ACCESSES {
        let function = instance.get_typed_func::<(i32, i32), i64>(&mut store, load).unwrap();
        let sum = function.call(&mut store, (5, AWAY as i32)).unwrap();
        let data = memory.data_mut(&mut store);
        let mut expected = 0i64;
        for &offset in &offsets {
            let sign = if sign && data[offset + bytes - 1] > 0x7f { 0xff } else { 0 };
            let mut word = [sign; 8];
            word[..bytes].copy_from_slice(&data[offset..][..bytes]);
            expected = expected.wrapping_mul(31).wrapping_add(i64::from_le_bytes(word));
            // What lies behind it the next store may have written.
            assert_eq!(data[AWAY + offset], data[5 + offset], "{load} offset={offset}");
            data[AWAY + offset] = 0;
        }
        assert_eq!(sum, expected, "{load}");
    }
}
