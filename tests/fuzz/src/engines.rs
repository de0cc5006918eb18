//! Kitbag, wasmi and wasmtime behind one trait.

mod in_kitbag;
mod in_wasmi;
#[cfg(feature = "wasmtime")]
mod in_wasmtime;

use crate::Case;
pub(crate) use in_kitbag::Kitbag;
pub(crate) use in_wasmi::Wasmi;
#[cfg(feature = "wasmtime")]
pub(crate) use in_wasmtime::Wasmtime;

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    I32,
    I64,
    F32,
    F64,
    V128,
    Func,
    Extern,
    #[cfg_attr(not(feature = "wasmtime"), expect(dead_code, reason = "wasmi has no exceptions"))]
    Exn,
}

/// What a module exports.
pub(crate) enum Exported {
    /// With its parameters.
    Func(Vec<Type>),
    Global,
    Memory,
    Table,
    #[cfg_attr(not(feature = "wasmtime"), expect(dead_code, reason = "wasmi has no exceptions"))]
    Tag,
}

/// A value, as far as engines must agree on it: a NaN is one NaN, a function or an exception is one that is not null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    I32(u32),
    I64(u64),
    F32(u32),
    F64(u64),
    V128(u128),
    Func(bool),
    Extern(Option<u32>),
    Exn(bool),
}

impl Value {
    pub(crate) fn f32(bits: u32) -> Value {
        Value::F32(if f32::from_bits(bits).is_nan() { 0x7fc0_0000 } else { bits })
    }

    pub(crate) fn f64(bits: u64) -> Value {
        Value::F64(if f64::from_bits(bits).is_nan() { 0x7ff8_0000_0000_0000 } else { bits })
    }
}

/// Why a guest trapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Unreachable,
    MemoryOutOfBounds,
    /// Of a table's own operators, and of calls through an index outside.
    TableOutOfBounds,
    NullCall,
    CallTypeMismatch,
    DivisionByZero,
    IntegerOverflow,
    InvalidConversion,
    NullReference,
    StackOverflow,
}

/// Why a call, or the making of an instance, ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Trap(Cause),
    /// By an exception that nobody caught.
    Exception,
    /// One engine's own bound, of which the other knows nothing.
    Limit,
    /// Anything else, in the engine's words.
    Other(String),
}

/// An engine with an instance in it.
pub(crate) trait Engine: Sized {
    const NAME: &'static str;

    /// The case's module in an instance of its own.
    fn new(case: &Case) -> Result<Self, Ended>;
    fn call(&mut self, name: &str, arguments: &[Value]) -> Result<Vec<Value>, Ended>;
    fn global(&mut self, name: &str) -> Value;
    fn memory(&mut self, name: &str) -> &[u8];
    /// Which entries are not null.
    fn table(&mut self, name: &str) -> Vec<bool>;
}

/// An engine that is believed.
pub(crate) trait Oracle: Engine {
    /// In order.
    fn exports(&self) -> Vec<(String, Exported)>;
}
