//! The engine under test.

use super::{Cause, Ended, Engine, Value};
use crate::Case;
use kitbag::{Config, Error, ExternRef, Instance, Module, Store, TrapCode, Val};

pub(crate) struct Kitbag {
    store: Store<()>,
    instance: Instance,
}

impl Kitbag {
    fn import(&mut self, value: Value) -> Val {
        match value {
            Value::I32(bits) => Val::I32(bits as i32),
            Value::I64(bits) => Val::I64(bits as i64),
            Value::F32(bits) => Val::F32(bits),
            Value::F64(bits) => Val::F64(bits),
            Value::V128(bits) => Val::V128(bits),
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
            Val::V128(bits) => Value::V128(bits),
            Val::FuncRef(func) => Value::Func(func.is_some()),
            Val::ExnRef(exception) => Value::Exn(exception.is_some()),
            Val::ExternRef(value) => {
                Value::Extern(value.map(|value| *value.data(&self.store).downcast_ref().expect("ours")))
            }
            other => unreachable!("{other:?}"),
        }
    }
}

impl Engine for Kitbag {
    const NAME: &'static str = "kitbag";

    fn new(case: &Case) -> Result<Kitbag, Ended> {
        let mut config = Config::new();
        config
            .compile_threads(1)
            .max_wasm_stack(4 << 20)
            .unused_processor_features(case.settings.unused_features.iter().copied())
            .guard_pages(case.settings.guard_pages)
            .check_values(case.settings.check_values)
            .relaxed_simd_deterministic(case.settings.relaxed_simd_deterministic)
            .consume_fuel(case.settings.fuel);
        let engine = kitbag::Engine::new(&config).map_err(ended)?;
        let module = Module::new(&engine, &case.module).map_err(ended)?;
        let mut store = Store::new(&engine, ());
        if case.settings.fuel {
            store.set_fuel(u64::MAX).map_err(ended)?;
        }
        let instance = Instance::new(&mut store, &module, &[]).map_err(ended)?;
        Ok(Kitbag { store, instance })
    }

    fn call(&mut self, name: &str, arguments: &[Value]) -> Result<Vec<Value>, Ended> {
        let func = self.instance.get_func(&mut self.store, name).expect("the function");
        let arguments: Vec<Val> = arguments.iter().map(|&value| self.import(value)).collect();
        let mut results: Vec<Val> = func.ty(&self.store).results().iter().map(|&ty| Val::default_for(ty)).collect();
        func.call(&mut self.store, &arguments, &mut results).map_err(ended)?;
        Ok(results.into_iter().map(|value| self.export(value)).collect())
    }

    fn global(&mut self, name: &str) -> Value {
        let global = self.instance.get_global(&mut self.store, name).expect("the global");
        self.export(global.get(&self.store))
    }

    fn memory(&mut self, name: &str) -> &[u8] {
        let memory = self.instance.get_memory(&mut self.store, name).expect("the memory");
        memory.data(&self.store)
    }

    fn table(&mut self, name: &str) -> Vec<bool> {
        let table = self.instance.get_table(&mut self.store, name).expect("the table");
        let is_some = |value| match value {
            Val::FuncRef(func) => func.is_some(),
            Val::ExternRef(value) => value.is_some(),
            Val::ExnRef(exception) => exception.is_some(),
            other => unreachable!("{other:?}"),
        };
        (0..table.size(&self.store)).map(|i| is_some(table.get(&self.store, i).expect("the entry"))).collect()
    }
}

fn ended(error: Error) -> Ended {
    match error {
        Error::Trap(trap) => cause(trap.code).map_or_else(|| Ended::Other(trap.to_string()), Ended::Trap),
        Error::Exception(_) => Ended::Exception,
        Error::Limit(_) => Ended::Limit,
        error => Ended::Other(error.to_string()),
    }
}

fn cause(code: TrapCode) -> Option<Cause> {
    Some(match code {
        TrapCode::Unreachable => Cause::Unreachable,
        TrapCode::MemoryOutOfBounds => Cause::MemoryOutOfBounds,
        TrapCode::TableOutOfBounds | TrapCode::UndefinedElement => Cause::TableOutOfBounds,
        TrapCode::UninitializedElement => Cause::NullCall,
        TrapCode::IndirectCallTypeMismatch => Cause::CallTypeMismatch,
        TrapCode::IntegerDivisionByZero => Cause::DivisionByZero,
        TrapCode::IntegerOverflow => Cause::IntegerOverflow,
        TrapCode::InvalidConversionToInteger => Cause::InvalidConversion,
        TrapCode::NullReference | TrapCode::NullFunctionReference => Cause::NullReference,
        TrapCode::StackOverflow => Cause::StackOverflow,
        _ => return None,
    })
}
