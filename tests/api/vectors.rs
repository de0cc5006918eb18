//! Vectors wherever values go: host functions, other instances, locals, the stack, blocks, globals. What the operators
//! compute, the specification's suites say.

use kitbag::{Config, Engine, Func, FuncType, Instance, Linker, Module, Store, Val, ValType};
use std::fmt::Write as _;

/// A vector whose every byte tells which it is.
fn vector(tag: u8) -> u128 {
    u128::from_le_bytes(std::array::from_fn(|byte| tag.wrapping_mul(16).wrapping_add(byte as u8)))
}

fn v128(tag: u8) -> Val {
    Val::V128(vector(tag))
}

fn bits(value: &Val) -> u128 {
    match *value {
        Val::I32(value) => u128::from(value as u32),
        Val::I64(value) => u128::from(value as u64),
        Val::F32(bits) => bits.into(),
        Val::F64(bits) => bits.into(),
        Val::V128(bits) => bits,
        _ => panic!("a reference"),
    }
}

/// Engines for each of the machine's forms.
fn engines() -> impl Iterator<Item = Engine> {
    let without = |names: &[&str]| {
        let mut config = Config::new();
        config.unused_processor_features(names.iter().copied());
        Engine::new(&config).unwrap()
    };
    [without(&[]), without(&["avx"])].into_iter()
}

fn instance(engine: &Engine, wat: &str) -> (Store<()>, Instance) {
    let mut store = Store::new(engine, ());
    let module = Module::new(engine, wat).unwrap();
    let instance = Linker::new(engine).instantiate(&mut store, &module).unwrap();
    (store, instance)
}

fn call(store: &mut Store<()>, instance: &Instance, name: &str, params: &[Val]) -> Vec<u128> {
    let func = instance.get_func(&mut *store, name).unwrap();
    let mut results: Vec<Val> = func.ty(&*store).results().iter().map(|&ty| Val::default_for(ty)).collect();
    func.call(store, params, &mut results).unwrap();
    results.iter().map(bits).collect()
}

/// Parameters of all kinds, more than there are registers for, with vectors at odd places among the stack's.
const MIXED: &str =
    "i64 v128 f32 v128 i64 v128 f64 v128 v128 i32 v128 v128 v128 i64 i64 v128 i64 v128 v128 f64 i32 v128";

fn mixed_types() -> Vec<ValType> {
    let ty = |name| match name {
        "i32" => ValType::I32,
        "i64" => ValType::I64,
        "f32" => ValType::F32,
        "f64" => ValType::F64,
        _ => ValType::V128,
    };
    MIXED.split(' ').map(ty).collect()
}

fn mixed_values() -> Vec<Val> {
    let value = |(i, ty): (usize, ValType)| match ty {
        ValType::I32 => Val::I32(-(i as i32)),
        ValType::I64 => Val::I64(-(i as i64)),
        ValType::F32 => Val::F32(i as u32 | 0x4000_0000),
        ValType::F64 => Val::F64(i as u64 | 0x4000_0000_0000_0000),
        _ => v128(i as u8),
    };
    mixed_types().into_iter().enumerate().map(value).collect()
}

/// `local.get` of all parameters, from the last.
fn reversed() -> String {
    (0..mixed_types().len()).rev().fold(String::new(), |mut code, i| {
        write!(code, "local.get {i} ").unwrap();
        code
    })
}

/// A module that has the host, or another instance, turn its parameters around: directly and through a table.
fn turning() -> String {
    let results = MIXED.split(' ').rev().collect::<Vec<_>>().join(" ");
    let params = (0..mixed_types().len()).fold(String::new(), |mut code, i| {
        write!(code, "local.get {i} ").unwrap();
        code
    });
    format!(
        r#"(module
            (type $turn (func (param {MIXED}) (result {results})))
            (import "" "turn" (func $turn (type $turn)))
            (table funcref (elem $turn $own))
            (func $own (type $turn) {})
            (func (export "direct") (type $turn) {params} call $turn)
            (func (export "indirect") (type $turn) {params} i32.const 0 call_indirect (type $turn))
            (func (export "own") (type $turn) {params} i32.const 1 call_indirect (type $turn)))"#,
        reversed()
    )
}

fn expect_turned(store: &mut Store<()>, instance: &Instance) {
    let values = mixed_values();
    let wanted: Vec<u128> = values.iter().rev().map(bits).collect();
    for name in ["direct", "indirect", "own"] {
        assert_eq!(call(store, instance, name, &values), wanted, "{name}");
    }
}

#[test]
fn host_functions_take_and_give_vectors() {
    for engine in engines() {
        let mut store = Store::new(&engine, ());
        let ty = FuncType::new(mixed_types(), mixed_types().into_iter().rev());
        let turn = Func::new(&mut store, ty, |_, params, results| {
            for (result, param) in results.iter_mut().zip(params.iter().rev()) {
                *result = *param;
            }
            Ok(())
        });
        let mut linker = Linker::new(&engine);
        linker.define(&store, "", "turn", turn.unwrap()).unwrap();
        let module = Module::new(&engine, turning()).unwrap();
        let instance = linker.instantiate(&mut store, &module).unwrap();
        expect_turned(&mut store, &instance);
    }
}

#[test]
fn other_instances_take_and_give_vectors() {
    let results = MIXED.split(' ').rev().collect::<Vec<_>>().join(" ");
    let library = format!(r#"(module (func (export "turn") (param {MIXED}) (result {results}) {}))"#, reversed());
    for engine in engines() {
        let mut store = Store::new(&engine, ());
        let mut linker = Linker::new(&engine);
        let library = linker.instantiate(&mut store, &Module::new(&engine, &library).unwrap()).unwrap();
        linker.instance(&mut store, "", library).unwrap();
        let module = Module::new(&engine, turning()).unwrap();
        let instance = linker.instantiate(&mut store, &module).unwrap();
        expect_turned(&mut store, &instance);
    }
}

/// Locals of two kinds, more than are pinned, that a loop rotates and calls leave alone; some begin as zero.
#[test]
fn locals_survive_calls_and_loops() {
    const COUNT: usize = 24;
    let mut rotate = String::new();
    for i in 0..COUNT {
        write!(rotate, "(local.set {i} (i64x2.add (local.get {i}) (local.get {})))", (i + 1) % COUNT).unwrap();
        if i % 5 == 0 {
            rotate.push_str("(local.set $n (f64.add (local.get $n) (call $one)))");
        }
    }
    let sum = (0..COUNT).fold("(i64x2.splat (i64.trunc_f64_s (local.get $n)))".to_owned(), |sum, i| {
        format!("(i64x2.add (i64x2.mul {sum} (v128.const i64x2 31 33)) (local.get {i}))")
    });
    let params = "v128 ".repeat(COUNT / 2);
    let wat = format!(
        r#"(module
            (func $one (result f64) (local v128 v128) (f64.const 1))
            (func (export "f") (param {params}) (result v128) (local {params}) (local $n f64) (local $i i32)
                (loop $again
                    {rotate}
                    (local.set $i (i32.add (local.get $i) (i32.const 1)))
                    (br_if $again (i32.lt_u (local.get $i) (i32.const 3))))
                {sum}))"#
    );
    let lanes = |value: u128| [value as u64, (value >> 64) as u64];
    let mut locals: Vec<[u64; 2]> =
        (0..COUNT).map(|i| if i < COUNT / 2 { lanes(vector(i as u8)) } else { [0, 0] }).collect();
    for i in (0..3).flat_map(|_| 0..COUNT) {
        let next = locals[(i + 1) % COUNT];
        locals[i] = std::array::from_fn(|lane| locals[i][lane].wrapping_add(next[lane]));
    }
    let added = 3 * COUNT.div_ceil(5) as u64;
    let wanted = locals.iter().fold([added, added], |sum, local| {
        std::array::from_fn(|lane| sum[lane].wrapping_mul([31, 33][lane]).wrapping_add(local[lane]))
    });
    for engine in engines() {
        let (mut store, instance) = instance(&engine, &wat);
        let params: Vec<Val> = (0..COUNT / 2).map(|i| v128(i as u8)).collect();
        assert_eq!(lanes(call(&mut store, &instance, "f", &params)[0]), wanted);
    }
}

/// More values at once than there are registers, of all kinds, with a call in between.
#[test]
fn values_that_find_no_register_wait_in_the_frame() {
    const COUNT: i64 = 30;
    let (mut push, mut pop) = (String::new(), String::new());
    for i in 0..COUNT {
        write!(push, "(v128.xor (local.get 0) (i64x2.splat (i64.const {i}))) (i64.add (local.get 1) (i64.const {i}))")
            .unwrap();
        pop.push_str("(local.set 1 (i64.xor (i64.rotl (local.get 1) (i64.const 1))))");
        pop.push_str("(local.set 0 (v128.xor (i8x16.swizzle (local.get 0) (local.get 2))))");
    }
    let wat = format!(
        r#"(module
            (func $nothing)
            (func (export "f") (param v128 i64) (result v128 i64) (local v128)
                (local.set 2 (v128.const i8x16 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 0))
                {push} (call $nothing) {pop}
                (local.get 0) (local.get 1)))"#
    );
    let (mut wanted, mut number) = (vector(3), 77_i64);
    let splat = |value: i64| u128::from(value as u64) << 64 | u128::from(value as u64);
    let pushed: Vec<(u128, i64)> = (0..COUNT).map(|i| (wanted ^ splat(i), number + i)).collect();
    for (vector, add) in pushed.into_iter().rev() {
        number = number.rotate_left(1) ^ add;
        wanted = wanted.rotate_right(8) ^ vector;
    }
    for engine in engines() {
        let (mut store, instance) = instance(&engine, &wat);
        let found = call(&mut store, &instance, "f", &[v128(3), Val::I64(77)]);
        assert_eq!(found, [wanted, u128::from(number as u64)]);
    }
}

#[test]
fn blocks_branches_and_selects_carry_vectors() {
    let wat = r#"(module
        (type $two (func (param v128 i32) (result i32 v128)))
        (func (export "f") (param $a v128) (param $b v128) (param $way i32) (result v128 i32)
            (local $n i32)
            (local.get $a) (i32.const 5)
            (block $out (type $two)
                (loop $again (type $two)
                    (local.set $n)
                    (local.set $a (v128.xor (local.get $b)))
                    (if (result v128) (i32.eq (local.get $way) (i32.const 1))
                        (then (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $a) (local.get $b)))
                        (else (local.get $a)))
                    (local.tee $a)
                    (select (local.get $b) (i32.ge_u (local.get $way) (i32.const 1)))
                    (local.set $a)
                    (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                    (local.get $a) (local.get $n)
                    (br_if $again (local.get $n))
                    (drop) (drop)
                    (local.get $way) (local.get $a)
                    (br_table $out $out $out (local.get $way))))
            (local.set $a) (local.set $n)
            (select (result v128) (local.get $a) (v128.const i64x2 0 0) (i32.lt_u (local.get $way) (i32.const 7)))
            (local.get $n)))"#;
    let model = |mut a: u128, b: u128, way: u32| {
        for _ in 0..5 {
            a ^= b;
            if way == 1 {
                a = a.rotate_right(64);
            }
            if way == 0 {
                a = b;
            }
        }
        [if way < 7 { a } else { 0 }, way.into()]
    };
    for engine in engines() {
        let (mut store, instance) = instance(&engine, wat);
        for way in 0..9 {
            let found = call(&mut store, &instance, "f", &[v128(1), v128(2), Val::I32(way)]);
            assert_eq!(found, model(vector(1), vector(2), way as u32), "way {way}");
        }
    }
}

/// Globals of this instance and of another, next to others.
#[test]
fn globals_hold_vectors() {
    let library = r#"(module
        (global (export "shared") (mut v128) (v128.const i64x2 1 2))
        (global (export "fixed") v128 (v128.const i64x2 3 4)))"#;
    let user = r#"(module
        (import "" "shared" (global $shared (mut v128)))
        (import "" "fixed" (global $fixed v128))
        (global $before (mut i32) (i32.const -1))
        (global $own (mut v128) (global.get $fixed))
        (global $after (mut i64) (i64.const -1))
        (func (export "f") (param v128) (result v128 v128 i32 i64)
            (global.set $own (v128.xor (global.get $own) (local.get 0)))
            (global.set $shared (v128.xor (global.get $shared) (global.get $own)))
            (global.get $shared) (global.get $own) (global.get $before) (global.get $after)))"#;
    for engine in engines() {
        let mut store = Store::new(&engine, ());
        let mut linker = Linker::new(&engine);
        let library = linker.instantiate(&mut store, &Module::new(&engine, library).unwrap()).unwrap();
        linker.instance(&mut store, "", library).unwrap();
        let instance = linker.instantiate(&mut store, &Module::new(&engine, user).unwrap()).unwrap();
        let own = vector(9) ^ (4 << 64 | 3);
        let found = call(&mut store, &instance, "f", &[v128(9)]);
        assert_eq!(found, [own ^ (2 << 64 | 1), own, 0xffff_ffff, 0xffff_ffff_ffff_ffff]);
    }
}

/// Every access of lanes and vectors traps where only its last byte is outside, and not before.
#[test]
fn accesses_end_with_the_memory() {
    let accesses = [
        ("v128.load", 16, ""),
        ("v128.load8x8_s", 8, ""),
        ("v128.load32x2_u", 8, ""),
        ("v128.load8_splat", 1, ""),
        ("v128.load16_splat", 2, ""),
        ("v128.load32_splat", 4, ""),
        ("v128.load64_splat", 8, ""),
        ("v128.load32_zero", 4, ""),
        ("v128.load64_zero", 8, ""),
        ("v128.load8_lane", 1, "3"),
        ("v128.load16_lane", 2, "3"),
        ("v128.load32_lane", 4, "3"),
        ("v128.load64_lane", 8, "1"),
        ("v128.store", 16, ""),
        ("v128.store8_lane", 1, "3"),
        ("v128.store16_lane", 2, "3"),
        ("v128.store32_lane", 4, "0"),
        ("v128.store32_lane", 4, "3"),
        ("v128.store64_lane", 8, "0"),
        ("v128.store64_lane", 8, "1"),
    ];
    for engine in engines() {
        for (op, size, lane) in accesses {
            let value = if op.contains("lane") || op.contains("store") { "(v128.const i64x2 1 2)" } else { "" };
            let access = format!("({op} offset=1 {lane} (local.get 0) {value})");
            let body = if op.contains("store") { access } else { format!("(drop {access})") };
            let (mut store, instance) =
                instance(&engine, &format!(r#"(module (memory 1) (func (export "f") (param i32) {body}))"#));
            let f = instance.get_typed_func::<i32, ()>(&mut store, "f").unwrap();
            let last = 65_535 - size;
            assert!(f.call(&mut store, last).is_ok(), "{op}");
            assert!(f.call(&mut store, last + 1).is_err(), "{op}");
            assert!(f.call(&mut store, -1).is_err(), "{op}");
        }
    }
}

/// aarch64's floor is without any feature.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_processor_below_the_floor_is_named_as_the_cause() {
    let engine = Engine::new(Config::new().unused_processor_features(["sse4.1"])).unwrap();
    let error = Module::new(&engine, "(module)").unwrap_err();
    assert_eq!(error.to_string(), "not supported: compiled code needs a processor with SSE4.1");
}

/// Binary operators by shape.
const BINARY: &[(&str, &str)] = &[
    ("v128", "and andnot or xor"),
    (
        "i8x16",
        "swizzle eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u narrow_i16x8_s narrow_i16x8_u add add_sat_s add_sat_u",
    ),
    ("i8x16", "sub sub_sat_s sub_sat_u min_s min_u max_s max_u avgr_u"),
    (
        "i16x8",
        "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u narrow_i32x4_s narrow_i32x4_u add add_sat_s add_sat_u sub",
    ),
    ("i16x8", "sub_sat_s sub_sat_u mul min_s min_u max_s max_u avgr_u q15mulr_sat_s extmul_low_i8x16_s"),
    ("i16x8", "extmul_high_i8x16_s extmul_low_i8x16_u extmul_high_i8x16_u relaxed_dot_i8x16_i7x16_s"),
    ("i32x4", "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u add sub mul min_s min_u max_s max_u dot_i16x8_s"),
    ("i32x4", "extmul_low_i16x8_s extmul_high_i16x8_s extmul_low_i16x8_u extmul_high_i16x8_u"),
    ("i64x2", "eq ne lt_s gt_s le_s ge_s add sub mul extmul_low_i32x4_s extmul_high_i32x4_s extmul_low_i32x4_u"),
    ("f32x4", "eq ne lt gt le ge add sub mul div min max pmin pmax"),
    ("f64x2", "eq ne lt gt le ge add sub mul div min max pmin pmax"),
];

/// However the operands and the result are placed: constants on either side, one value twice, and the result in
/// the register of either operand.
#[test]
fn operators_take_their_operands_from_anywhere() {
    let constant = "(v128.const i32x4 0x40490fdb 0xc02df854 0x3f80ff00 0x7f018002)";
    for engine in engines() {
        for (shape, names) in BINARY {
            for name in names.split(' ') {
                let op = format!("{shape}.{name}");
                let wat = format!(
                    r#"(module
                        (func (export "plain") (param v128 v128) (result v128) ({op} (local.get 0) (local.get 1)))
                        (func (export "const") (param v128) (result v128) ({op} (local.get 0) {constant}))
                        (func (export "const-first") (param v128) (result v128) ({op} {constant} (local.get 0)))
                        (func (export "zero") (param v128) (result v128)
                            ({op} (local.get 0) (v128.const i64x2 0 0)))
                        (func (export "twice") (param v128) (result v128) ({op} (local.get 0) (local.get 0)))
                        (func (export "to-left") (param v128 v128) (result v128)
                            (local.set 0 ({op} (local.get 0) (local.get 1))) (local.get 0))
                        (func (export "to-right") (param v128 v128) (result v128)
                            (local.set 1 ({op} (local.get 0) (local.get 1))) (local.get 1)))"#
                );
                let (mut store, instance) = instance(&engine, &wat);
                let mut one = |name: &str, params: &[Val]| call(&mut store, &instance, name, params)[0];
                let c = Val::V128(0x7f01_8002_3f80_ff00_c02d_f854_4049_0fdb);
                for a in [v128(0), v128(7), v128(13), c, Val::V128(1 << 127 | 1 << 31)] {
                    let plain = one("plain", &[a, c]);
                    assert_eq!(one("const", &[a]), plain, "{op}");
                    assert_eq!(one("to-left", &[a, c]), plain, "{op}");
                    assert_eq!(one("to-right", &[a, c]), plain, "{op}");
                    assert_eq!(one("const-first", &[a]), one("plain", &[c, a]), "{op}");
                    assert_eq!(one("zero", &[a]), one("plain", &[a, Val::V128(0)]), "{op}");
                    assert_eq!(one("twice", &[a]), one("plain", &[a, a]), "{op}");
                }
            }
        }
    }
}

#[test]
fn shifts_by_constants_are_as_shifts_by_values() {
    for engine in engines() {
        for shape in ["i8x16", "i16x8", "i32x4", "i64x2"] {
            for op in ["shl", "shr_s", "shr_u"] {
                let mut wat = format!(
                    r#"(module (func (export "by") (param v128 i32) (result v128) ({shape}.{op} (local.get 0) (local.get 1)))"#
                );
                for by in 0..70 {
                    write!(wat, r#"(func (export "{by}") (param v128) (result v128) ({shape}.{op} (local.get 0) (i32.const {by})))"#)
                        .unwrap();
                }
                wat.push(')');
                let (mut store, instance) = instance(&engine, &wat);
                for by in 0..70 {
                    for value in [v128(8), v128(3), Val::V128(u128::MAX)] {
                        let wanted = call(&mut store, &instance, "by", &[value, Val::I32(by)]);
                        assert_eq!(call(&mut store, &instance, &by.to_string(), &[value]), wanted, "{shape}.{op} {by}");
                    }
                }
            }
        }
    }
}

/// Shuffles that have an instruction of their own, and some that have not, against their definition.
#[test]
fn shuffles_move_bytes_as_they_say() {
    let mut shuffles: Vec<[u8; 16]> = Vec::new();
    shuffles.extend((0..32).map(|from| std::array::from_fn(|i| (from + i as u8) % 32)));
    shuffles.extend((0..16).map(|from| std::array::from_fn(|i| (from + i as u8) % 16)));
    shuffles.extend((0..32).map(|lane| [lane; 16]));
    for size in [1, 2, 4, 8] {
        for (first, second) in [(0, 16), (16, 0), (8, 24), (24, 8), (0, 0), (4, 20)] {
            let from = |lane: usize| if lane.is_multiple_of(2) { first } else { second };
            shuffles.push(std::array::from_fn(|i| (from(i / size) + i / size / 2 * size + i % size) as u8 % 32));
        }
        let lanes = 32 / size as u32;
        for seed in 0..40_u32 {
            let lane = |i: usize| (seed * 7 + i as u32 * (seed % 5 + 1)) * (seed + 3) / 2 % lanes;
            shuffles.push(std::array::from_fn(|i| (lane(i / size) as usize * size + i % size) as u8));
            // Each word from its own place in either source.
            shuffles.push(std::array::from_fn(|i| (i + 16 * (seed as usize >> (i / size % 6) & 1)) as u8));
        }
    }
    let bytes: Vec<u8> = [vector(1), vector(2)].iter().flat_map(|value| value.to_le_bytes()).collect();
    for engine in engines() {
        for lanes in &shuffles {
            let text = lanes.map(|lane| lane.to_string()).join(" ");
            let wat = format!(
                r#"(module
                    (func (export "f") (param v128 v128) (result v128) (i8x16.shuffle {text} (local.get 0) (local.get 1)))
                    (func (export "to-left") (param v128 v128) (result v128)
                        (local.set 0 (i8x16.shuffle {text} (local.get 0) (local.get 1))) (local.get 0))
                    (func (export "to-right") (param v128 v128) (result v128)
                        (local.set 1 (i8x16.shuffle {text} (local.get 0) (local.get 1))) (local.get 1)))"#
            );
            let (mut store, instance) = instance(&engine, &wat);
            let wanted = u128::from_le_bytes(lanes.map(|lane| bytes[usize::from(lane)]));
            for name in ["f", "to-left", "to-right"] {
                assert_eq!(call(&mut store, &instance, name, &[v128(1), v128(2)]), [wanted], "{name} {text}");
            }
        }
    }
}
