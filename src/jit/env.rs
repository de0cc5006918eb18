//! What the compiler knows of a module.

use super::abi::{Layout, MemoryStyle};
use std::time::Instant;

/// The machine-level kind of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 32-bit integer; zero upper bits.
    I32,
    /// 64-bit integer.
    I64,
    /// Single.
    F32,
    /// Double.
    F64,
    /// Vector.
    V128,
    /// A reference: 64 bits, 0 is null.
    Ref,
}

impl From<wasmparser::ValType> for Kind {
    fn from(ty: wasmparser::ValType) -> Kind {
        match ty {
            wasmparser::ValType::I32 => Kind::I32,
            wasmparser::ValType::I64 => Kind::I64,
            wasmparser::ValType::F32 => Kind::F32,
            wasmparser::ValType::F64 => Kind::F64,
            wasmparser::ValType::V128 => Kind::V128,
            wasmparser::ValType::Ref(_) => Kind::Ref,
        }
    }
}

/// A function type, by kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Signature {
    /// Parameters.
    pub params: Box<[Kind]>,
    /// Results.
    pub results: Box<[Kind]>,
}

/// A table.
#[derive(Clone, Copy, Debug)]
pub struct TableEnv {
    /// Whether its entries are [`TableEntry`](super::abi::TableEntry)s, or plain words.
    pub functions: bool,
    /// Whether its indices are 64-bit.
    pub index64: bool,
}

/// A memory.
#[derive(Clone, Copy, Debug)]
pub struct MemoryEnv {
    /// How accesses are kept inside.
    pub style: MemoryStyle,
    /// Whether its indices are 64-bit.
    pub index64: bool,
    /// Bytes that it has from the beginning.
    pub min_bytes: u64,
    /// log2 of its page size.
    pub page_shift: u8,
}

/// A global.
#[derive(Clone, Copy, Debug)]
pub struct GlobalEnv {
    /// Its kind.
    pub kind: Kind,
}

/// A module, as the compiler sees it.
#[derive(Clone, Debug, Default)]
pub struct Env {
    /// Function types by type index; other types have no parameters and no results.
    pub types: Vec<Signature>,
    /// For each type, whether functions of its subtypes can be called as of it.
    pub open_types: Vec<bool>,
    /// The type index of each function, imported first.
    pub functions: Vec<u32>,
    /// How many of the functions are imported.
    pub imported_functions: u32,
    /// For each function, its place among the instance's [`FuncRef`](super::abi::FuncRef)s if it can be referred to
    /// (exported, in an element segment, `ref.func`, the start function). Imported functions have no place: their reference is
    /// the import's.
    pub escaping: Vec<Option<u32>>,
    /// The type index of each tag, imported first.
    pub tags: Vec<u32>,
    /// Tables, imported first.
    pub tables: Vec<TableEnv>,
    /// Memories, imported first.
    pub memories: Vec<MemoryEnv>,
    /// Globals, imported first.
    pub globals: Vec<GlobalEnv>,
    /// How many of the globals are imported.
    pub imported_globals: u32,
    /// Where things are.
    pub layout: Layout,
    /// Whether relaxed operators give what they would on any other machine.
    pub deterministic: bool,
    /// Whether code checks after each operator what the compiler promises of values, for tests of the compiler.
    pub checks: bool,
    /// Whether the store's [fuel](super::abi::Context::fuel) is used up.
    pub fuel: bool,
    /// Bytes of the module's code at the most, if fewer than the machine's calls reach.
    pub max_code: Option<u32>,
    /// When compiling is given up.
    pub deadline: Option<Instant>,
}
