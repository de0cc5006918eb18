//! The engine that is believed.

use super::{Cause, Ended, Engine, Exported, Oracle, Type, Value};
use crate::Case;
use wasmi::errors::{ErrorKind, InstantiationError, TableError};
use wasmi::{Error, Extern, ExternRef, ExternType, Instance, Linker, Module, Ref, Store, TrapCode, Val, ValType};

pub(crate) struct Wasmi {
    store: Store<()>,
    instance: Instance,
    exports: Vec<(String, ExternType)>,
}

impl Wasmi {
    /// Exported functions whose names begin so.
    pub(crate) fn functions_with_prefix(&self, prefix: &str) -> Vec<String> {
        self.exports.iter().map(|(name, _)| name).filter(|name| name.starts_with(prefix)).cloned().collect()
    }

    fn get(&self, name: &str) -> Extern {
        self.instance.get_export(&self.store, name).expect("an export")
    }

    fn import(&mut self, value: Value) -> Val {
        match value {
            Value::I32(bits) => Val::I32(bits as i32),
            Value::I64(bits) => Val::I64(bits as i64),
            Value::F32(bits) => Val::F32(wasmi::F32::from_bits(bits)),
            Value::F64(bits) => Val::F64(wasmi::F64::from_bits(bits)),
            Value::V128(bits) => Val::V128(bits.into()),
            Value::Func(_) => Val::FuncRef(Ref::Null),
            Value::Exn(_) => unreachable!("wasmi has no exceptions"),
            Value::Extern(None) => Val::ExternRef(Ref::Null),
            Value::Extern(Some(value)) => Val::ExternRef(Ref::Val(ExternRef::new(&mut self.store, value))),
        }
    }

    fn export(&self, value: Val) -> Value {
        match value {
            Val::I32(value) => Value::I32(value as u32),
            Val::I64(value) => Value::I64(value as u64),
            Val::F32(value) => Value::f32(value.to_bits()),
            Val::F64(value) => Value::f64(value.to_bits()),
            Val::V128(value) => Value::V128(value.as_u128()),
            Val::FuncRef(func) => Value::Func(!func.is_null()),
            Val::ExternRef(value) => {
                Value::Extern(value.val().map(|value| *value.data(&self.store).downcast_ref().expect("ours")))
            }
        }
    }
}

impl Engine for Wasmi {
    const NAME: &'static str = "wasmi";

    fn new(case: &Case) -> Result<Wasmi, Ended> {
        let engine = wasmi::Engine::default();
        let module = Module::new(&engine, &case.module).map_err(ended)?;
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine).instantiate_and_start(&mut store, &module).map_err(ended)?;
        let exports = module.exports().map(|export| (export.name().to_owned(), export.ty().clone())).collect();
        Ok(Wasmi { store, instance, exports })
    }

    fn call(&mut self, name: &str, arguments: &[Value]) -> Result<Vec<Value>, Ended> {
        let Extern::Func(func) = self.get(name) else { unreachable!("{name} is a function") };
        let arguments: Vec<Val> = arguments.iter().map(|&value| self.import(value)).collect();
        let mut results: Vec<Val> = func.ty(&self.store).results().iter().map(|&ty| Val::default(ty)).collect();
        func.call(&mut self.store, &arguments, &mut results).map_err(ended)?;
        Ok(results.into_iter().map(|value| self.export(value)).collect())
    }

    fn global(&mut self, name: &str) -> Value {
        let Extern::Global(global) = self.get(name) else { unreachable!("{name} is a global") };
        self.export(global.get(&self.store))
    }

    fn memory(&mut self, name: &str) -> &[u8] {
        let Extern::Memory(memory) = self.get(name) else { unreachable!("{name} is a memory") };
        memory.data(&self.store)
    }

    fn table(&mut self, name: &str) -> Vec<bool> {
        let Extern::Table(table) = self.get(name) else { unreachable!("{name} is a table") };
        let is_some = |value| match value {
            Val::FuncRef(func) => !func.is_null(),
            Val::ExternRef(value) => !value.is_null(),
            other => unreachable!("{other:?}"),
        };
        (0..table.size(&self.store)).map(|i| is_some(table.get(&self.store, i).expect("the entry"))).collect()
    }
}

impl Oracle for Wasmi {
    fn exports(&self) -> Vec<(String, Exported)> {
        let exported = |ty: &ExternType| match ty {
            ExternType::Func(ty) => Exported::Func(ty.params().iter().map(|&ty| kind(ty)).collect()),
            ExternType::Global(_) => Exported::Global,
            ExternType::Memory(_) => Exported::Memory,
            ExternType::Table(_) => Exported::Table,
        };
        self.exports.iter().map(|(name, ty)| (name.clone(), exported(ty))).collect()
    }
}

fn kind(ty: ValType) -> Type {
    match ty {
        ValType::I32 => Type::I32,
        ValType::I64 => Type::I64,
        ValType::F32 => Type::F32,
        ValType::F64 => Type::F64,
        ValType::V128 => Type::V128,
        ValType::FuncRef => Type::Func,
        ValType::ExternRef => Type::Extern,
    }
}

fn ended(error: Error) -> Ended {
    match (error.kind(), error.as_trap_code()) {
        (_, Some(code)) => cause(code).map_or(Ended::Limit, Ended::Trap),
        (ErrorKind::Instantiation(InstantiationError::ElementSegmentDoesNotFit { .. }), _)
        | (ErrorKind::Table(TableError::CopyOutOfBounds | TableError::InitOutOfBounds), _) => {
            Ended::Trap(Cause::TableOutOfBounds)
        }
        _ => Ended::Other(error.to_string()),
    }
}

fn cause(code: TrapCode) -> Option<Cause> {
    Some(match code {
        TrapCode::UnreachableCodeReached => Cause::Unreachable,
        TrapCode::MemoryOutOfBounds => Cause::MemoryOutOfBounds,
        TrapCode::TableOutOfBounds => Cause::TableOutOfBounds,
        TrapCode::IndirectCallToNull => Cause::NullCall,
        TrapCode::BadSignature => Cause::CallTypeMismatch,
        TrapCode::IntegerDivisionByZero => Cause::DivisionByZero,
        TrapCode::IntegerOverflow => Cause::IntegerOverflow,
        TrapCode::BadConversionToInteger => Cause::InvalidConversion,
        TrapCode::StackOverflow => Cause::StackOverflow,
        _ => return None,
    })
}
