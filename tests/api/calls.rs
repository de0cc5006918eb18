//! Values in and out, memories, globals, tables.

use kitbag::{
    Engine, Error, ExternRef, Func, FuncType, Global, GlobalType, Memory, MemoryType, Mutability, RefType, Store,
    Table, TableType, Val, ValType,
};

use crate::instance;

#[test]
fn numbers_cross_unchanged() {
    let (mut store, instance) = instance(
        r#"(module
            (func (export "i32") (param i32) (result i32) (local.get 0))
            (func (export "i64") (param i64) (result i64) (local.get 0))
            (func (export "f32") (param f32) (result f32) (local.get 0))
            (func (export "f64") (param f64) (result f64) (local.get 0)))"#,
    );
    let i32 = instance.get_typed_func::<i32, i32>(&mut store, "i32").unwrap();
    let u32 = instance.get_typed_func::<u32, u32>(&mut store, "i32").unwrap();
    let i64 = instance.get_typed_func::<i64, i64>(&mut store, "i64").unwrap();
    let f32 = instance.get_typed_func::<f32, f32>(&mut store, "f32").unwrap();
    let f64 = instance.get_typed_func::<f64, f64>(&mut store, "f64").unwrap();
    for value in [0, 1, -1, i32::MIN, i32::MAX] {
        assert_eq!(i32.call(&mut store, value).unwrap(), value);
        assert_eq!(u32.call(&mut store, value as u32).unwrap(), value as u32);
        let wide = i64::from(value) << 32 | 5;
        assert_eq!(i64.call(&mut store, wide).unwrap(), wide);
    }
    let nan = f32::from_bits(0x7fa1_2345);
    assert_eq!(f32.call(&mut store, nan).unwrap().to_bits(), nan.to_bits());
    let nan = f64::from_bits(0xfff4_0000_0000_0001);
    assert_eq!(f64.call(&mut store, nan).unwrap().to_bits(), nan.to_bits());
}

#[test]
fn several_results_come_in_order() {
    let (mut store, instance) = instance(
        r#"(module (func (export "f") (param i32 f64) (result f64 i32 i64 f32)
            (local.get 1) (local.get 0) (i64.const -7) (f32.const 0.5)))"#,
    );
    let typed = instance.get_typed_func::<(i32, f64), (f64, i32, i64, f32)>(&mut store, "f").unwrap();
    assert_eq!(typed.call(&mut store, (-3, 2.25)).unwrap(), (2.25, -3, -7, 0.5));
    let mut results = [Val::I32(0); 4];
    typed.func().call(&mut store, &[Val::I32(-3), Val::from(2.25)], &mut results).unwrap();
    assert_eq!((results[0].f64(), results[1].i32()), (Some(2.25), Some(-3)));
    assert_eq!((results[2].i64(), results[3].f32()), (Some(-7), Some(0.5)));
}

/// Sixteen of each kind: more than any convention has registers for.
#[test]
fn many_parameters_arrive_in_place() {
    let params: String = (0..32).map(|index| if index % 2 == 0 { "i64 " } else { "f64 " }).collect();
    let gets: String = (0..32).map(|index| format!("(local.get {index})")).collect();
    let (mut store, instance) =
        instance(&format!(r#"(module (func (export "f") (param {params}) (result {params}) {gets}))"#));
    let f = instance.get_func(&mut store, "f").unwrap();
    let values: Vec<Val> = (0..32).map(|i| if i % 2 == 0 { Val::I64(i - 9) } else { Val::from(i as f64) }).collect();
    let mut results = vec![Val::I32(0); 32];
    f.call(&mut store, &values, &mut results).unwrap();
    for (found, wanted) in results.iter().zip(&values) {
        assert_eq!((found.i64(), found.f64()), (wanted.i64(), wanted.f64()));
    }
}

#[test]
fn calls_of_the_wrong_type_are_refused() {
    let (mut store, instance) = instance(r#"(module (func (export "f") (param i32)))"#);
    let f = instance.get_func(&mut store, "f").unwrap();
    for params in [&[][..], &[Val::I64(0)], &[Val::I32(0), Val::I32(0)]] {
        assert!(matches!(f.call(&mut store, params, &mut []), Err(Error::Type(_))));
    }
    assert!(matches!(f.call(&mut store, &[Val::I32(0)], &mut [Val::I32(0)]), Err(Error::Type(_))));
    let wrong = instance.get_typed_func::<i64, ()>(&mut store, "f").unwrap_err();
    assert_eq!(wrong.to_string(), "type mismatch: expected func (i64) -> (), found func (i32) -> ()");
    assert!(instance.get_typed_func::<(), ()>(&mut store, "g").is_err());
}

#[test]
fn memory_is_shared_with_the_guest() {
    let (mut store, instance) = instance(
        r#"(module (memory (export "memory") 1 3)
            (func (export "get") (param i32) (result i32) (i32.load8_u (local.get 0)))
            (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#,
    );
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    let get = instance.get_typed_func::<i32, i32>(&mut store, "get").unwrap();
    let grow = instance.get_typed_func::<i32, i32>(&mut store, "grow").unwrap();
    memory.write(&mut store, 65535, &[200]).unwrap();
    assert_eq!(get.call(&mut store, 65535).unwrap(), 200);
    assert!(memory.write(&mut store, 65535, &[1, 2]).is_err() && memory.write(&mut store, usize::MAX, &[1]).is_err());
    assert!(get.call(&mut store, 65536).is_err());
    assert_eq!(grow.call(&mut store, 1).unwrap(), 1);
    assert_eq!(memory.grow(&mut store, 1).unwrap(), 2);
    assert_eq!(grow.call(&mut store, 1).unwrap(), -1);
    assert!(memory.grow(&mut store, 1).is_err());
    assert_eq!(get.call(&mut store, 3 * 65536 - 1).unwrap(), 0);
    assert_eq!((memory.size(&store), memory.data_size(&store)), (3, 3 * 65536));
    let mut byte = [0];
    memory.read(&store, 65535, &mut byte).unwrap();
    assert_eq!((byte[0], memory.data(&store)[65535]), (200, 200));
}

#[test]
fn globals_and_tables_are_typed() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let global = Global::new(&mut store, GlobalType::new(ValType::I32, Mutability::Var), Val::I32(1)).unwrap();
    global.set(&mut store, Val::I32(2)).unwrap();
    assert!(global.set(&mut store, Val::I64(2)).is_err());
    assert_eq!(global.get(&store).i32(), Some(2));
    let fixed = Global::new(&mut store, GlobalType::new(ValType::I32, Mutability::Const), Val::I32(1)).unwrap();
    assert!(fixed.set(&mut store, Val::I32(2)).is_err());

    let table = Table::new(&mut store, TableType::new(RefType::FUNCREF, 2, Some(3)), Val::FuncRef(None)).unwrap();
    let func = Func::wrap(&mut store, || 5);
    table.set(&mut store, 1, Val::from(func)).unwrap();
    assert!(table.set(&mut store, 2, Val::FuncRef(None)).is_err());
    assert!(table.set(&mut store, 0, Val::ExternRef(None)).is_err());
    assert_eq!(table.grow(&mut store, 1, Val::from(func)).unwrap(), 2);
    assert!(table.grow(&mut store, 1, Val::from(func)).is_err());
    let Some(Val::FuncRef(Some(found))) = table.get(&store, 2) else { panic!("a function was put there") };
    assert_eq!(found.typed::<(), i32>(&store).unwrap().call(&mut store, ()).unwrap(), 5);
    assert!(table.get(&store, 3).is_none());
}

#[test]
fn host_references_come_back() {
    let (mut store, instance) = instance(
        r#"(module (table 1 externref)
            (func (export "keep") (param externref) (table.set (i32.const 0) (local.get 0)))
            (func (export "give") (result externref) (table.get (i32.const 0))))"#,
    );
    let keep = instance.get_typed_func::<Option<ExternRef>, ()>(&mut store, "keep").unwrap();
    let give = instance.get_typed_func::<(), Option<ExternRef>>(&mut store, "give").unwrap();
    assert_eq!(give.call(&mut store, ()).unwrap(), None);
    let reference = ExternRef::new(&mut store, String::from("of the host")).unwrap();
    keep.call(&mut store, Some(reference)).unwrap();
    let found = give.call(&mut store, ()).unwrap().unwrap();
    assert_eq!(found.data(&store).downcast_ref::<String>().unwrap(), "of the host");
}

#[test]
fn typed_references_take_functions_of_their_type_only() {
    let (mut store, instance) = instance(
        r#"(module (type $unary (func (param i32) (result i32)))
            (func $double (export "double") (type $unary) (i32.shl (local.get 0) (i32.const 1)))
            (func (export "apply") (param (ref $unary) i32) (result i32) (call_ref $unary (local.get 1) (local.get 0)))
            (table (export "table") 1 (ref null $unary)))"#,
    );
    let apply = instance.get_func(&mut store, "apply").unwrap();
    let double = instance.get_func(&mut store, "double").unwrap();
    let host = Func::wrap(&mut store, |value: i32| value + 1);
    let other = Func::wrap(&mut store, |value: i64| value + 1);
    let mut results = [Val::I32(0)];
    for (func, wanted) in [(double, 10), (host, 6)] {
        apply.call(&mut store, &[Val::from(func), Val::I32(5)], &mut results).unwrap();
        assert_eq!(results[0].i32(), Some(wanted));
    }
    for wrong in [Val::from(other), Val::FuncRef(None), Val::ExternRef(None)] {
        assert!(matches!(apply.call(&mut store, &[wrong, Val::I32(5)], &mut results), Err(Error::Type(_))));
    }
    let table = instance.get_table(&mut store, "table").unwrap();
    assert!(table.set(&mut store, 0, Val::from(other)).is_err());
    table.set(&mut store, 0, Val::from(host)).unwrap();
    table.set(&mut store, 0, Val::FuncRef(None)).unwrap();
}

#[test]
#[should_panic(expected = "does not belong to")]
fn handles_of_another_store_are_refused() {
    let engine = Engine::default();
    let (mut one, mut other) = (Store::new(&engine, ()), Store::new(&engine, ()));
    let memory = Memory::new(&mut one, MemoryType::new(1, None)).unwrap();
    _ = memory.data(&mut other);
}

#[test]
#[should_panic(expected = "does not belong to")]
fn functions_of_another_store_are_refused() {
    let engine = Engine::default();
    let (mut one, mut other) = (Store::new(&engine, ()), Store::new(&engine, ()));
    let func = Func::wrap(&mut one, || {}).typed::<(), ()>(&one).unwrap();
    _ = func.call(&mut other, ());
}

#[test]
fn modules_describe_themselves() {
    let engine = Engine::default();
    let module = kitbag::Module::new(
        &engine,
        r#"(module $named (import "a" "b" (func (param i32))) (memory (export "m") 1) (global (export "g") i32 (i32.const 1)))"#,
    )
    .unwrap();
    assert_eq!(module.name(), Some("named"));
    let imports: Vec<_> =
        module.imports().map(|import| format!("{} {} {}", import.module, import.name, import.ty)).collect();
    assert_eq!(imports, ["a b func (i32) -> ()"]);
    let exports: Vec<_> = module.exports().map(|export| format!("{} {}", export.name, export.ty)).collect();
    assert_eq!(exports, ["m memory 1", "g global i32"]);
    assert_eq!(FuncType::new([ValType::I32], []).to_string(), "(i32) -> ()");
}

#[test]
fn what_is_no_module_is_refused_in_one_line() {
    let engine = Engine::default();
    let truncated = &b"\0asm\x01\0\0\0\x01\x85\x80"[..];
    for bytes in [&b""[..], b"\0asm", truncated, b"(module (func (result i32)))", b"hello", b"(module"] {
        let error = kitbag::Module::new(&engine, bytes).unwrap_err();
        assert!(matches!(error, Error::Parse(_) | Error::Invalid { .. }), "{error:?}");
        assert_eq!(error.to_string().lines().count(), 1, "{error}");
        assert!(kitbag::Module::validate(&engine, bytes).is_err());
    }
    assert!(kitbag::Module::validate(&engine, "(module (func (result i32) (i32.const 1)))").is_ok());
}
