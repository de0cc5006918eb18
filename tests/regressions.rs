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
