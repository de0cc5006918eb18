//! The types of references.

use std::fmt;

use wasmparser::{AbstractHeapType, UnpackedIndex};

use super::registry::Registry;
use crate::{Error, Result};

/// A type that a module defines, by its canonical number in the engine: types of different modules whose recursion groups are
/// written alike are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TypeId(pub(crate) u32);

impl TypeId {
    /// Set in references of a recursion group to itself, while it has no numbers.
    const IN_GROUP: u32 = 1 << 31;

    /// The type at `place` of the group that refers to it.
    pub(crate) fn in_group(place: u32) -> TypeId {
        TypeId(Self::IN_GROUP | place)
    }

    /// As it is known outside of its group, whose first type is number `first`.
    pub(crate) fn outside(self, first: u32) -> TypeId {
        if self.0 & Self::IN_GROUP != 0 { TypeId(first + (self.0 & !Self::IN_GROUP)) } else { self }
    }
}

/// What a reference leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeapType {
    /// Any function.
    Func,
    /// A function of one type, or of its subtypes.
    ConcreteFunc(TypeId),
    /// No function: only null is such a reference.
    NoFunc,
    /// Any value of the host.
    Extern,
    /// No value of the host: only null is such a reference.
    NoExtern,
    /// Any exception.
    Exn,
    /// No exception: only null is such a reference.
    NoExn,
    /// Any object or small integer. There are types of them, but no such values yet.
    Any,
    /// What can be compared.
    Eq,
    /// A small integer.
    I31,
    /// Any struct.
    Struct,
    /// A struct of one type, or of its subtypes.
    ConcreteStruct(TypeId),
    /// Any array.
    Array,
    /// An array of one type, or of its subtypes.
    ConcreteArray(TypeId),
    /// No object: only null is such a reference.
    None,
}

impl HeapType {
    /// The type that all comparable ones have in common.
    pub(crate) fn top(self) -> HeapType {
        match self {
            HeapType::Func | HeapType::ConcreteFunc(_) | HeapType::NoFunc => HeapType::Func,
            HeapType::Extern | HeapType::NoExtern => HeapType::Extern,
            HeapType::Exn | HeapType::NoExn => HeapType::Exn,
            _ => HeapType::Any,
        }
    }

    /// Whether everything of this type is of type `wanted`, too.
    fn matches(self, wanted: HeapType, types: &Registry) -> bool {
        use HeapType::{Any, Array, Eq, Exn, Extern, Func, I31, NoExn, NoExtern, NoFunc, Struct};
        use HeapType::{ConcreteArray, ConcreteFunc, ConcreteStruct};
        self == wanted
            || match (self, wanted) {
                (NoFunc | NoExtern | NoExn | HeapType::None, wanted) => self.top() == wanted.top(),
                (found, Func | Extern | Exn | Any) => found.top() == wanted,
                (I31 | Struct | Array | ConcreteStruct(_) | ConcreteArray(_), Eq) => true,
                (ConcreteStruct(_), Struct) | (ConcreteArray(_), Array) => true,
                (ConcreteFunc(found), ConcreteFunc(wanted))
                | (ConcreteStruct(found), ConcreteStruct(wanted))
                | (ConcreteArray(found), ConcreteArray(wanted)) => types.is_subtype(found, wanted),
                _ => false,
            }
    }

    /// The number of the type, if it is one that a module defines.
    pub(crate) fn type_id(self) -> Option<TypeId> {
        match self {
            HeapType::ConcreteFunc(id) | HeapType::ConcreteStruct(id) | HeapType::ConcreteArray(id) => Some(id),
            _ => None,
        }
    }

    /// `concrete` are the module's types so far.
    fn from_wasm(ty: wasmparser::HeapType, concrete: &[HeapType]) -> Option<HeapType> {
        Some(match ty {
            wasmparser::HeapType::Abstract { shared: false, ty } => match ty {
                AbstractHeapType::Func => HeapType::Func,
                AbstractHeapType::NoFunc => HeapType::NoFunc,
                AbstractHeapType::Extern => HeapType::Extern,
                AbstractHeapType::NoExtern => HeapType::NoExtern,
                AbstractHeapType::Exn => HeapType::Exn,
                AbstractHeapType::NoExn => HeapType::NoExn,
                AbstractHeapType::Any => HeapType::Any,
                AbstractHeapType::Eq => HeapType::Eq,
                AbstractHeapType::I31 => HeapType::I31,
                AbstractHeapType::Struct => HeapType::Struct,
                AbstractHeapType::Array => HeapType::Array,
                AbstractHeapType::None => HeapType::None,
                _ => return None,
            },
            wasmparser::HeapType::Concrete(UnpackedIndex::Module(index)) => *concrete.get(index as usize)?,
            _ => return None,
        })
    }
}

/// The type of a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RefType {
    nullable: bool,
    heap: HeapType,
}

impl RefType {
    /// `funcref`: any function, or null.
    pub const FUNCREF: RefType = RefType { nullable: true, heap: HeapType::Func };
    /// `externref`: any value of the host, or null.
    pub const EXTERNREF: RefType = RefType { nullable: true, heap: HeapType::Extern };
    /// `exnref`: any exception, or null.
    pub const EXNREF: RefType = RefType { nullable: true, heap: HeapType::Exn };

    /// References to `heap`, and null if it is nullable.
    #[must_use]
    pub fn new(nullable: bool, heap: HeapType) -> RefType {
        RefType { nullable, heap }
    }

    /// Whether null is such a reference.
    #[must_use]
    pub fn is_nullable(&self) -> bool {
        self.nullable
    }

    /// What it leads to.
    #[must_use]
    pub fn heap(&self) -> HeapType {
        self.heap
    }

    /// Whether it leads to functions, and not to something else.
    #[must_use]
    pub fn is_func(&self) -> bool {
        self.heap.top() == HeapType::Func
    }

    pub(super) fn matches(self, wanted: RefType, types: &Registry) -> bool {
        (wanted.nullable || !self.nullable) && self.heap.matches(wanted.heap, types)
    }

    /// `concrete` are the module's types so far.
    pub(crate) fn from_wasm(ty: wasmparser::RefType, concrete: &[HeapType]) -> Result<RefType> {
        let heap = HeapType::from_wasm(ty.heap_type(), concrete);
        let heap = heap.ok_or_else(|| Error::Unsupported(format!("references of type {ty}")))?;
        Ok(RefType { nullable: ty.is_nullable(), heap })
    }
}

impl fmt::Display for HeapType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HeapType::Func => "func",
            HeapType::NoFunc => "nofunc",
            HeapType::Extern => "extern",
            HeapType::NoExtern => "noextern",
            HeapType::Exn => "exn",
            HeapType::NoExn => "noexn",
            HeapType::Any => "any",
            HeapType::Eq => "eq",
            HeapType::I31 => "i31",
            HeapType::Struct => "struct",
            HeapType::Array => "array",
            HeapType::None => "none",
            HeapType::ConcreteFunc(TypeId(id))
            | HeapType::ConcreteStruct(TypeId(id))
            | HeapType::ConcreteArray(TypeId(id)) => return write!(f, "type#{id}"),
        })
    }
}

impl fmt::Display for RefType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.heap {
            HeapType::Func | HeapType::Extern | HeapType::Exn | HeapType::Any if self.nullable => {
                write!(f, "{}ref", self.heap)
            }
            heap => write!(f, "(ref {}{heap})", if self.nullable { "null " } else { "" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::registry::SubType;
    use super::*;
    use crate::{FuncType, ValType};

    #[test]
    fn references_match_wider_types() {
        let mut types = Registry::default();
        let func = |supertype, params: &[ValType]| {
            let ty = SubType::func(FuncType::new(params.iter().copied(), []));
            SubType { is_final: false, supertype, ..ty }
        };
        let some = TypeId(types.group([func(None, &[])].into()));
        let sub = HeapType::ConcreteFunc(TypeId(types.group([func(Some(some), &[])].into())));
        let other = HeapType::ConcreteFunc(TypeId(types.group([func(None, &[ValType::I32])].into())));
        let (object, some) = (HeapType::ConcreteStruct(some), HeapType::ConcreteFunc(some));
        for (found, wanted, matches) in [
            (some, HeapType::Func, true),
            (some, some, true),
            (sub, some, true),
            (some, sub, false),
            (some, other, false),
            (HeapType::Func, some, false),
            (HeapType::NoFunc, some, true),
            (HeapType::NoFunc, HeapType::Extern, false),
            (HeapType::NoExtern, HeapType::Extern, true),
            (HeapType::Extern, HeapType::NoExtern, false),
            (HeapType::NoExn, HeapType::Exn, true),
            (HeapType::NoExn, HeapType::Any, false),
            (HeapType::None, object, true),
            (object, HeapType::Struct, true),
            (object, HeapType::Eq, true),
            (object, HeapType::Array, false),
            (HeapType::I31, HeapType::Any, true),
            (HeapType::Any, HeapType::Eq, false),
        ] {
            let found = |nullable| RefType::new(nullable, found);
            assert_eq!(found(false).matches(RefType::new(true, wanted), &types), matches, "{} {wanted}", found(false));
            assert!(!found(true).matches(RefType::new(false, wanted), &types));
        }
    }

    #[test]
    fn references_read_as_text() {
        assert_eq!(RefType::FUNCREF.to_string(), "funcref");
        assert_eq!(RefType::EXNREF.to_string(), "exnref");
        assert_eq!(RefType::new(false, HeapType::Extern).to_string(), "(ref extern)");
        assert_eq!(RefType::new(true, HeapType::ConcreteFunc(TypeId(7))).to_string(), "(ref null type#7)");
    }
}
