//! The engine that is believed where wasmi lacks what a module is made of.

use super::{Cause, Ended, Engine, Exported, Oracle, Type, Value};
use crate::Case;
use std::sync::OnceLock;
use wasmtime::{Config, Error, ExternRef, ExternType, Instance, Module, OptLevel, Store};
use wasmtime::{HeapType, ThrownException, Trap, Val, ValType};

pub(crate) struct Wasmtime {
    store: Store<()>,
    instance: Instance,
    exports: Vec<(String, ExternType)>,
}

/// One for all cases. It handles no signals, which are kitbag's here.
fn engine() -> &'static wasmtime::Engine {
    static ENGINE: OnceLock<wasmtime::Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let mut config = Config::new();
        config
            .wasm_function_references(true)
            .wasm_gc(true)
            .wasm_exceptions(true)
            .wasm_tail_call(true)
            .wasm_memory64(true)
            .wasm_multi_memory(true)
            .cranelift_opt_level(OptLevel::None)
            .signals_based_traps(false)
            .memory_reservation(0)
            .memory_guard_size(0)
            .memory_init_cow(false);
        wasmtime::Engine::new(&config).expect("an engine")
    })
}

impl Wasmtime {
    fn import(&mut self, value: Value) -> Val {
        match value {
            Value::I32(bits) => Val::I32(bits as i32),
            Value::I64(bits) => Val::I64(bits as i64),
            Value::F32(bits) => Val::F32(bits),
            Value::F64(bits) => Val::F64(bits),
            Value::V128(bits) => Val::V128(bits.into()),
            Value::Func(_) => Val::FuncRef(None),
            Value::Exn(_) => Val::ExnRef(None),
            Value::Extern(value) => {
                Val::ExternRef(value.map(|value| ExternRef::new(&mut self.store, value).expect("room")))
            }
        }
    }

    fn export(&self, value: Val) -> Value {
        match value {
            Val::I32(value) => Value::I32(value as u32),
            Val::I64(value) => Value::I64(value as u64),
            Val::F32(bits) => Value::f32(bits),
            Val::F64(bits) => Value::f64(bits),
            Val::V128(bits) => Value::V128(bits.as_u128()),
            Val::FuncRef(func) => Value::Func(func.is_some()),
            Val::ExnRef(exception) => Value::Exn(exception.is_some()),
            Val::ExternRef(value) => Value::Extern(value.map(|value| {
                let data = value.data(&self.store).expect("a value that is held");
                *data.expect("of the host").downcast_ref().expect("ours")
            })),
            other => unreachable!("{other:?}"),
        }
    }
}

impl Engine for Wasmtime {
    const NAME: &'static str = "wasmtime";

    fn new(case: &Case) -> Result<Wasmtime, Ended> {
        let module = Module::new(engine(), &case.module).map_err(ended)?;
        let mut store = Store::new(engine(), ());
        let instance = Instance::new(&mut store, &module, &[]).map_err(ended)?;
        let exports = module.exports().map(|export| (export.name().to_owned(), export.ty())).collect();
        Ok(Wasmtime { store, instance, exports })
    }

    fn call(&mut self, name: &str, arguments: &[Value]) -> Result<Vec<Value>, Ended> {
        let func = self.instance.get_func(&mut self.store, name).expect("the function");
        let arguments: Vec<Val> = arguments.iter().map(|&value| self.import(value)).collect();
        let mut results = vec![Val::I32(0); func.ty(&self.store).results().len()];
        func.call(&mut self.store, &arguments, &mut results).map_err(ended)?;
        Ok(results.into_iter().map(|value| self.export(value)).collect())
    }

    fn global(&mut self, name: &str) -> Value {
        let global = self.instance.get_global(&mut self.store, name).expect("the global");
        let value = global.get(&mut self.store);
        self.export(value)
    }

    fn memory(&mut self, name: &str) -> &[u8] {
        let memory = self.instance.get_memory(&mut self.store, name).expect("the memory");
        memory.data(&self.store)
    }

    fn table(&mut self, name: &str) -> Vec<bool> {
        let table = self.instance.get_table(&mut self.store, name).expect("the table");
        let size = table.size(&self.store);
        (0..size).map(|i| !table.get(&mut self.store, i).expect("the entry").is_null()).collect()
    }
}

impl Oracle for Wasmtime {
    fn exports(&self) -> Vec<(String, Exported)> {
        let exported = |ty: &ExternType| match ty {
            ExternType::Func(ty) => Exported::Func(ty.params().map(|ty| kind(&ty)).collect()),
            ExternType::Global(_) => Exported::Global,
            ExternType::Memory(_) => Exported::Memory,
            ExternType::Table(_) => Exported::Table,
            ExternType::Tag(_) => Exported::Tag,
        };
        self.exports.iter().map(|(name, ty)| (name.clone(), exported(ty))).collect()
    }
}

fn kind(ty: &ValType) -> Type {
    match ty {
        ValType::I32 => Type::I32,
        ValType::I64 => Type::I64,
        ValType::F32 => Type::F32,
        ValType::F64 => Type::F64,
        ValType::V128 => Type::V128,
        ValType::Ref(ty) => match ty.heap_type().top() {
            HeapType::Func => Type::Func,
            HeapType::Extern => Type::Extern,
            HeapType::Exn => Type::Exn,
            other => unreachable!("{other}"),
        },
    }
}

fn ended(error: Error) -> Ended {
    if error.is::<ThrownException>() {
        return Ended::Exception;
    }
    match error.downcast_ref::<Trap>() {
        Some(trap) => cause(*trap).map_or_else(|| Ended::Other(error.to_string()), Ended::Trap),
        None => Ended::Other(format!("{error:#}")),
    }
}

fn cause(trap: Trap) -> Option<Cause> {
    Some(match trap {
        Trap::UnreachableCodeReached => Cause::Unreachable,
        Trap::MemoryOutOfBounds => Cause::MemoryOutOfBounds,
        Trap::TableOutOfBounds => Cause::TableOutOfBounds,
        Trap::IndirectCallToNull => Cause::NullCall,
        Trap::BadSignature => Cause::CallTypeMismatch,
        Trap::IntegerDivisionByZero => Cause::DivisionByZero,
        Trap::IntegerOverflow => Cause::IntegerOverflow,
        Trap::BadConversionToInteger => Cause::InvalidConversion,
        Trap::NullReference => Cause::NullReference,
        Trap::StackOverflow => Cause::StackOverflow,
        _ => return None,
    })
}
