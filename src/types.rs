//! The types of WebAssembly's values and of what modules import and export.

mod reference;
pub(crate) mod registry;

use std::fmt;
use std::sync::Arc;

pub use self::reference::{HeapType, RefType, TypeId};
use self::registry::Registry;
use crate::jit;
use crate::{Error, Result};

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ValType {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// Single-precision float.
    F32,
    /// Double-precision float.
    F64,
    /// 128-bit vector.
    V128,
    /// Reference.
    Ref(RefType),
}

impl ValType {
    /// `funcref`.
    pub const FUNCREF: ValType = ValType::Ref(RefType::FUNCREF);
    /// `externref`.
    pub const EXTERNREF: ValType = ValType::Ref(RefType::EXTERNREF);
    /// `exnref`.
    pub const EXNREF: ValType = ValType::Ref(RefType::EXNREF);

    pub(crate) fn kind(self) -> jit::Kind {
        match self {
            ValType::I32 => jit::Kind::I32,
            ValType::I64 => jit::Kind::I64,
            ValType::F32 => jit::Kind::F32,
            ValType::F64 => jit::Kind::F64,
            ValType::V128 => jit::Kind::V128,
            ValType::Ref(_) => jit::Kind::Ref,
        }
    }

    /// Whether a value of this type is one of type `wanted`, too.
    pub(crate) fn matches(self, wanted: ValType, types: &Registry) -> bool {
        match (self, wanted) {
            (ValType::Ref(found), ValType::Ref(wanted)) => found.matches(wanted, types),
            (found, wanted) => found == wanted,
        }
    }

    /// `concrete` are the module's types so far.
    pub(crate) fn from_wasm(ty: wasmparser::ValType, concrete: &[HeapType]) -> Result<ValType> {
        Ok(match ty {
            wasmparser::ValType::I32 => ValType::I32,
            wasmparser::ValType::I64 => ValType::I64,
            wasmparser::ValType::F32 => ValType::F32,
            wasmparser::ValType::F64 => ValType::F64,
            wasmparser::ValType::V128 => ValType::V128,
            wasmparser::ValType::Ref(ty) => ValType::Ref(RefType::from_wasm(ty, concrete)?),
        })
    }
}

impl fmt::Display for ValType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValType::I32 => f.write_str("i32"),
            ValType::I64 => f.write_str("i64"),
            ValType::F32 => f.write_str("f32"),
            ValType::F64 => f.write_str("f64"),
            ValType::V128 => f.write_str("v128"),
            ValType::Ref(ty) => ty.fmt(f),
        }
    }
}

/// The type of a function. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FuncType {
    params: Arc<[ValType]>,
    results: Arc<[ValType]>,
}

impl FuncType {
    /// A function from `params` to `results`.
    pub fn new(params: impl IntoIterator<Item = ValType>, results: impl IntoIterator<Item = ValType>) -> FuncType {
        FuncType { params: params.into_iter().collect(), results: results.into_iter().collect() }
    }

    /// The types of the parameters.
    #[must_use]
    pub fn params(&self) -> &[ValType] {
        &self.params
    }

    /// The types of the results.
    #[must_use]
    pub fn results(&self) -> &[ValType] {
        &self.results
    }

    pub(crate) fn signature(&self) -> jit::Signature {
        let kinds = |types: &[ValType]| types.iter().map(|ty| ty.kind()).collect();
        jit::Signature { params: kinds(&self.params), results: kinds(&self.results) }
    }

    /// The places of 16 bytes that a call through an entry stub needs.
    pub(crate) fn values(&self) -> usize {
        self.params.len().max(self.results.len())
    }

    pub(crate) fn from_wasm(ty: &wasmparser::FuncType, concrete: &[HeapType]) -> Result<FuncType> {
        let types = |types: &[wasmparser::ValType]| -> Result<Arc<[ValType]>> {
            types.iter().map(|&ty| ValType::from_wasm(ty, concrete)).collect()
        };
        Ok(FuncType { params: types(ty.params())?, results: types(ty.results())? })
    }
}

fn list(f: &mut fmt::Formatter<'_>, types: &[ValType]) -> fmt::Result {
    f.write_str("(")?;
    for (index, ty) in types.iter().enumerate() {
        write!(f, "{}{ty}", if index == 0 { "" } else { ", " })?;
    }
    f.write_str(")")
}

/// As in `(i32, i64) -> (f32)`.
impl fmt::Display for FuncType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(f, &self.params)?;
        f.write_str(" -> ")?;
        list(f, &self.results)
    }
}

/// The type of a linear memory. Sizes are in its pages, which are 64 KiB unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MemoryType {
    pub(crate) minimum: u64,
    pub(crate) maximum: Option<u64>,
    pub(crate) index64: bool,
    pub(crate) page_shift: u8,
}

impl MemoryType {
    /// A memory with 32-bit indices.
    #[must_use]
    pub fn new(minimum: u32, maximum: Option<u32>) -> MemoryType {
        MemoryType { minimum: minimum.into(), maximum: maximum.map(u64::from), index64: false, page_shift: 16 }
    }

    /// A memory with 64-bit indices.
    #[must_use]
    pub fn new64(minimum: u64, maximum: Option<u64>) -> MemoryType {
        MemoryType { minimum, maximum, index64: true, page_shift: 16 }
    }

    /// Pages that it has from the beginning.
    #[must_use]
    pub fn minimum(&self) -> u64 {
        self.minimum
    }

    /// Pages that it has at the most.
    #[must_use]
    pub fn maximum(&self) -> Option<u64> {
        self.maximum
    }

    /// Whether its indices are 64-bit.
    #[must_use]
    pub fn is_64(&self) -> bool {
        self.index64
    }

    /// Bytes of a page.
    #[must_use]
    pub fn page_size(&self) -> u64 {
        1 << self.page_shift
    }

    pub(crate) fn from_wasm(ty: &wasmparser::MemoryType) -> Result<MemoryType> {
        if ty.shared {
            return Err(Error::Unsupported("shared memories".into()));
        }
        Ok(MemoryType {
            minimum: ty.initial,
            maximum: ty.maximum,
            index64: ty.memory64,
            page_shift: ty.page_size_log2.map_or(16, |log2| log2 as u8),
        })
    }

    /// Pages that any memory of this type can have, by the width of its indices alone.
    pub(crate) fn page_bound(&self) -> u64 {
        if self.index64 { u64::MAX >> self.page_shift } else { (1 << 32) >> self.page_shift }
    }
}

impl fmt::Display for MemoryType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory {}", Limits(self.index64, self.minimum, self.maximum))?;
        if self.page_shift == 16 { Ok(()) } else { write!(f, " (pagesize {})", self.page_size()) }
    }
}

/// The type of a table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableType {
    pub(crate) element: RefType,
    pub(crate) minimum: u64,
    pub(crate) maximum: Option<u64>,
    pub(crate) index64: bool,
}

impl TableType {
    /// A table with 32-bit indices.
    #[must_use]
    pub fn new(element: RefType, minimum: u32, maximum: Option<u32>) -> TableType {
        TableType { element, minimum: minimum.into(), maximum: maximum.map(u64::from), index64: false }
    }

    /// A table with 64-bit indices.
    #[must_use]
    pub fn new64(element: RefType, minimum: u64, maximum: Option<u64>) -> TableType {
        TableType { element, minimum, maximum, index64: true }
    }

    /// Whether its indices are 64-bit.
    #[must_use]
    pub fn is_64(&self) -> bool {
        self.index64
    }

    /// The type of its elements.
    #[must_use]
    pub fn element(&self) -> RefType {
        self.element
    }

    /// Elements that it has from the beginning.
    #[must_use]
    pub fn minimum(&self) -> u64 {
        self.minimum
    }

    /// Elements that it has at the most.
    #[must_use]
    pub fn maximum(&self) -> Option<u64> {
        self.maximum
    }

    pub(crate) fn from_wasm(ty: &wasmparser::TableType, concrete: &[HeapType]) -> Result<TableType> {
        Ok(TableType {
            element: RefType::from_wasm(ty.element_type, concrete)?,
            minimum: ty.initial,
            maximum: ty.maximum,
            index64: ty.table64,
        })
    }
}

impl fmt::Display for TableType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table {} {}", Limits(self.index64, self.minimum, self.maximum), self.element)
    }
}

/// Width of the index, least and most, as the text format writes them.
struct Limits(bool, u64, Option<u64>);

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.0 { "i64 " } else { "" }, self.1)?;
        self.2.map_or(Ok(()), |most| write!(f, " {most}"))
    }
}

/// Whether a global can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mutability {
    /// It keeps its first value.
    Const,
    /// It can be set.
    Var,
}

/// The type of a global.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GlobalType {
    pub(crate) content: ValType,
    pub(crate) mutability: Mutability,
}

impl GlobalType {
    /// A global that holds a value of type `content`.
    #[must_use]
    pub fn new(content: ValType, mutability: Mutability) -> GlobalType {
        GlobalType { content, mutability }
    }

    /// The type of its value.
    #[must_use]
    pub fn content(&self) -> ValType {
        self.content
    }

    /// What cannot be set may be a value of a narrower type.
    fn matches(&self, wanted: &GlobalType, types: &Registry) -> bool {
        let fixed = self.mutability == Mutability::Const;
        self.mutability == wanted.mutability
            && if fixed { self.content.matches(wanted.content, types) } else { self.content == wanted.content }
    }

    /// Whether it can be set.
    #[must_use]
    pub fn mutability(&self) -> Mutability {
        self.mutability
    }

    pub(crate) fn from_wasm(ty: &wasmparser::GlobalType, concrete: &[HeapType]) -> Result<GlobalType> {
        let mutability = if ty.mutable { Mutability::Var } else { Mutability::Const };
        Ok(GlobalType { content: ValType::from_wasm(ty.content_type, concrete)?, mutability })
    }
}

impl fmt::Display for GlobalType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mutability {
            Mutability::Const => write!(f, "global {}", self.content),
            Mutability::Var => write!(f, "global (mut {})", self.content),
        }
    }
}

/// The type of a tag: that of a function from what its exceptions carry to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TagType {
    pub(crate) func: FuncType,
}

impl TagType {
    /// A tag of exceptions that carry values of types `params`.
    #[must_use]
    pub fn new(params: impl IntoIterator<Item = ValType>) -> TagType {
        TagType { func: FuncType::new(params, []) }
    }

    /// The types of what its exceptions carry.
    #[must_use]
    pub fn params(&self) -> &[ValType] {
        self.func.params()
    }
}

impl fmt::Display for TagType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tag ")?;
        list(f, self.params())
    }
}

/// The type of an import or export.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExternType {
    /// A function.
    Func(FuncType),
    /// A global.
    Global(GlobalType),
    /// A table.
    Table(TableType),
    /// A memory.
    Memory(MemoryType),
    /// A tag of exceptions.
    Tag(TagType),
}

impl ExternType {
    /// The type, if it is a function's.
    #[must_use]
    pub fn func(&self) -> Option<&FuncType> {
        match self {
            ExternType::Func(ty) => Some(ty),
            _ => None,
        }
    }

    /// Whether something of this type can be imported as `wanted`; for tables and memories, the minimum here is
    /// the present size, and functions and tags are matched by the numbers of their types instead.
    /// [Import matching](https://webassembly.github.io/spec/core/exec/modules.html#external-typing).
    pub(crate) fn matches(&self, wanted: &ExternType, types: &Registry) -> bool {
        match (self, wanted) {
            (ExternType::Global(found), ExternType::Global(wanted)) => found.matches(wanted, types),
            (ExternType::Table(found), ExternType::Table(wanted)) => {
                found.element == wanted.element
                    && found.index64 == wanted.index64
                    && limits_match((found.minimum, found.maximum), (wanted.minimum, wanted.maximum))
            }
            (ExternType::Memory(found), ExternType::Memory(wanted)) => {
                found.index64 == wanted.index64
                    && found.page_shift == wanted.page_shift
                    && limits_match((found.minimum, found.maximum), (wanted.minimum, wanted.maximum))
            }
            _ => false,
        }
    }
}

fn limits_match(found: (u64, Option<u64>), wanted: (u64, Option<u64>)) -> bool {
    found.0 >= wanted.0 && wanted.1.is_none_or(|wanted| found.1.is_some_and(|found| found <= wanted))
}

impl fmt::Display for ExternType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExternType::Func(ty) => write!(f, "func {ty}"),
            ExternType::Global(ty) => ty.fmt(f),
            ExternType::Table(ty) => ty.fmt(f),
            ExternType::Memory(ty) => ty.fmt(f),
            ExternType::Tag(ty) => ty.fmt(f),
        }
    }
}

/// What a module imports.
#[derive(Clone, Debug)]
pub struct ImportType<'a> {
    /// The first part of its name.
    pub module: &'a str,
    /// The second part of its name.
    pub name: &'a str,
    /// Its type.
    pub ty: ExternType,
}

/// What a module exports.
#[derive(Clone, Debug)]
pub struct ExportType<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type.
    pub ty: ExternType,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_read_as_text() {
        let func = FuncType::new([ValType::I32, ValType::FUNCREF], [ValType::F64]);
        assert_eq!(ExternType::Func(func).to_string(), "func (i32, funcref) -> (f64)");
        assert_eq!(ExternType::Memory(MemoryType::new(1, Some(2))).to_string(), "memory 1 2");
        assert_eq!(GlobalType::new(ValType::I64, Mutability::Var).to_string(), "global (mut i64)");
    }

    #[test]
    fn an_import_may_ask_for_less_but_not_for_a_tighter_maximum() {
        let types = Registry::default();
        let found = ExternType::Memory(MemoryType::new(2, Some(4)));
        for (wanted, matches) in [
            (MemoryType::new(2, Some(4)), true),
            (MemoryType::new(0, None), true),
            (MemoryType::new(3, None), false),
            (MemoryType::new(1, Some(3)), false),
        ] {
            assert_eq!(found.matches(&ExternType::Memory(wanted.clone()), &types), matches, "{wanted}");
        }
        let unbounded = ExternType::Memory(MemoryType::new(2, None));
        assert!(!unbounded.matches(&found, &types));
    }
}
