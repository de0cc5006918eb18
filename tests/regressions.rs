//! What fuzzing found, in the smallest form: the module, a call, and what comes out. `tests/fuzz` is the fuzzer.

use kitbag::{Engine, Instance, Module, Store, WasmParams, WasmResults};

fn call<Params: WasmParams, Results: WasmResults>(wat: &str, params: Params) -> Results {
    let engine = Engine::default();
    let module = Module::new(&engine, wat).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let function = instance.get_typed_func::<Params, Results>(&mut store, "f").unwrap();
    function.call(&mut store, params).unwrap()
}

/// -2³¹ is a displacement of an address computation, and 2³¹ is none.
#[test]
fn the_most_negative_displacement_is_subtracted() {
    let wat = r#"(module (func (export "f") (param i64 i64) (result i64 i64)
        (local.set 1 (i64.sub (local.get 0) (i64.const -0x8000_0000)))
        (local.get 1) (local.get 0)))"#;
    assert_eq!(call::<_, (i64, i64)>(wat, (5i64, 0i64)), (0x8000_0005, 5));
    let wat = r#"(module (func (export "f") (param i32 i32) (result i32 i32)
        (local.set 1 (i32.sub (local.get 0) (i32.const -0x8000_0000)))
        (local.get 1) (local.get 0)))"#;
    assert_eq!(call::<_, (u32, u32)>(wat, (5u32, 0u32)), (0x8000_0005, 5));
}

/// A constant amount that no instruction takes as it is went to a register which shifts do not look at.
#[test]
fn constant_amounts_of_shifts_count_modulo_the_width() {
    for (op, expected) in [("shl", 0x3c), ("shr_s", 3), ("shr_u", 3), ("rotl", 0x3c), ("rotr", 3 | 3 << 62)] {
        let wat = format!(
            r#"(module (func (export "f") (param i64 i32) (result i64)
                (drop (i32.rotl (local.get 1) (local.get 1)))
                (i64.{op} (local.get 0) (i64.const 0x6700_0000_0000_0042))))"#
        );
        assert_eq!(call::<_, i64>(&wat, (15i64, 9i32)), expected, "{op}");
    }
}

/// The beginning of a block brings every value below it to its slot: thousands of them are more code than one operator usually has.
#[test]
fn a_block_over_a_high_stack_is_compiled() {
    const HEIGHT: i32 = 5000;
    let wat = format!(
        r#"(module (func (export "f") (param i32) (result i32) {} (block (local.set 0 (i32.const 7))) {}))"#,
        "local.get 0 ".repeat(HEIGHT as usize),
        "i32.add ".repeat(HEIGHT as usize - 1),
    );
    assert_eq!(call::<_, i32>(&wat, (3i32,)), 3 * HEIGHT);
}

/// Values far down the stack that stand for a local keep what it was when it is set.
#[test]
fn what_stands_for_a_local_far_down_is_kept() {
    let wat = format!(
        r#"(module (func (export "f") (param i32 i32) (result i32)
            local.get 0 local.get 1 {} (local.set 0 (i32.const 1000)) (local.set 1 (i32.const 2000)) {} i32.sub))"#,
        "i32.const 1 ".repeat(300),
        "drop ".repeat(300),
    );
    assert_eq!(call::<_, i32>(&wat, (50i32, 8i32)), 42);
}

/// A branch that carries a thousand values is a long piece of code; many of them are given up in time.
#[test]
fn code_without_bound_is_a_limit() {
    let results = "i64 ".repeat(1000);
    let (values, branches) = ("local.get 1 ".repeat(1000), "(br_if 0 (local.get 0)) ".repeat(40_000));
    let wat = format!(
        r#"(module (func (export "f") (param i32 i64) (result {results}) i64.const 0
            (block (result {results}) {values} {branches}) return))"#
    );
    let error = Module::new(&Engine::default(), wat).unwrap_err();
    assert!(matches!(error, kitbag::Error::Limit(_)), "{error}");
}

/// What is more than a mebibyte away is out of reach of aarch64's conditional branches, and of its loads of constants.
#[test]
fn functions_of_more_than_a_mebibyte() {
    let divide = "(local.set 0 (i32.rem_s (local.get 0) (local.get 1)))".repeat(70_000);
    let wat = format!(
        r#"(module (func (export "f") (param i32 i32) (result f64)
            (local f64)
            (local.set 2 (f64.const 1.1))
            (block $far
                (br_if $far (i32.eqz (local.get 0)))
                (loop $again
                    {divide}
                    (local.set 2 (f64.add (local.get 2)
                        (f64x2.extract_lane 1 (v128.const f64x2 0.3 0.7))))
                    (br_if $again (i32.gt_u (local.tee 0 (i32.sub (local.get 0) (i32.const 1))) (i32.const 4)))))
            (f64.mul (local.get 2) (f64.const 3.3))))"#
    );
    assert_eq!(call::<_, f64>(&wat, (0, 7)), 1.1 * 3.3);
    assert_eq!(call::<_, f64>(&wat, (13, 7)), (1.1 + 0.7 + 0.7) * 3.3);
}

/// On aarch64 calls between the ends of a module reach in the largest that there is; a larger one is refused, wherever it is compiled.
#[test]
fn calls_reach_through_the_largest_modules() {
    // Four bytes of code for each target, whichever machine it is.
    const TARGETS: usize = 7_000_000;
    let padding = |targets: usize| {
        let mut body = vec![0, 0x02, 0x40, 0x20, 0, 0x0e];
        leb128(&mut body, targets);
        body.resize(body.len() + targets + 1, 0);
        body.extend([0x0b, 0x0b]);
        body
    };
    // Each calls the other, which gives back one less.
    let module = |targets: &[usize]| {
        let last = (targets.len() + 1) as u8;
        let call = |function: u8| {
            vec![0, 0x20, 0, 0x45, 0x04, 0x40, 0x41, 42, 0x0f, 0x0b, 0x20, 0, 0x41, 1, 0x6b, 0x10, function, 0x0b]
        };
        let bodies: Vec<_> =
            [call(last)].into_iter().chain(targets.iter().map(|&n| padding(n))).chain([call(0)]).collect();
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        section(&mut module, 1, &[2, 0x60, 1, 0x7f, 1, 0x7f, 0x60, 1, 0x7f, 0]);
        let types: Vec<u8> = (0..=last).map(|function| u8::from(function != 0 && function != last)).collect();
        section(&mut module, 3, &[&[last + 1], &types[..]].concat());
        section(&mut module, 7, &[1, 1, b'f', 0, 0]);
        let mut code = vec![last + 1];
        for body in bodies {
            leb128(&mut code, body.len());
            code.extend(body);
        }
        section(&mut module, 10, &code);
        module
    };
    let engine = Engine::default();
    // 133 MB and a little, of 134.2 MB.
    let fits = module(&[TARGETS, TARGETS, TARGETS, TARGETS, 5_300_000]);
    if cfg!(target_arch = "aarch64") {
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &Module::new(&engine, fits).unwrap(), &[]).unwrap();
        let f = instance.get_typed_func::<i32, i32>(&mut store, "f").unwrap();
        return assert_eq!(f.call(&mut store, 5).unwrap(), 42);
    }
    let aarch64 = kitbag::jit::Target::named("aarch64").unwrap();
    engine.precompile_module_for(aarch64, &fits).unwrap();
    let error = engine.precompile_module_for(aarch64, module(&[TARGETS; 5])).unwrap_err();
    assert!(matches!(error, kitbag::Error::Limit(_)) && error.to_string().contains("too large"), "{error}");
}

/// Where a store is several to the machine, what lay before the end of the memory was written although the last of it trapped.
#[test]
fn of_a_store_that_traps_nothing_is_written() {
    let stores = [
        ("i32.store16", "i32.const -1", 2),
        ("i32.store", "i32.const -1", 4),
        ("i64.store", "i64.const -1", 8),
        ("f32.store", "f32.reinterpret_i32 (i32.const -1)", 4),
        ("f64.store", "f64.reinterpret_i64 (i64.const -1)", 8),
        ("v128.store", "i32x4.splat (i32.const -1)", 16),
        ("v128.store64_lane", "i32x4.splat (i32.const -1)", 8),
    ];
    let engine = Engine::default();
    for (op, value, size) in stores {
        let lane = if op.ends_with("lane") { "1" } else { "" };
        for (offset, missing) in [(0, 1), (0, size - 1), (8, 1), (0x301, 1), (0x1001, size - 1), (0x8001, 1)] {
            let at = 0x1_0000 - size + missing - offset;
            let wat = format!(
                r#"(module (memory (export "m") 1)
                    (func (export "f") (param i32) ({op} offset={offset} {lane} (local.get 0) ({value})))
                    (func (export "g") ({op} offset={offset} {lane} (i32.const {at}) ({value}))))"#
            );
            let module = Module::new(&engine, &wat).unwrap();
            let mut store = Store::new(&engine, ());
            let instance = Instance::new(&mut store, &module, &[]).unwrap();
            let by_local = instance.get_typed_func::<(u32,), ()>(&mut store, "f").unwrap();
            let by_constant = instance.get_typed_func::<(), ()>(&mut store, "g").unwrap();
            by_local.call(&mut store, (at,)).unwrap_err();
            by_constant.call(&mut store, ()).unwrap_err();
            let memory = instance.get_memory(&mut store, "m").unwrap();
            assert!(memory.data(&store).iter().all(|&byte| byte == 0), "{op} offset={offset}, {missing} outside");
            by_local.call(&mut store, (at - missing,)).unwrap();
            assert!(memory.data(&store).ends_with(&[0xff; 2]), "{op} offset={offset}");
        }
    }
}

fn section(module: &mut Vec<u8>, id: u8, contents: &[u8]) {
    module.push(id);
    leb128(module, contents.len());
    module.extend_from_slice(contents);
}

fn leb128(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}
