//! The types of references.

use std::fmt;

use wasmparser::{AbstractHeapType, UnpackedIndex};

use crate::{Error, Result};

/// A function type that a module defines, by its canonical id in the engine: types of different modules that are
/// written alike are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TypeId(pub(crate) u32);

/// What a reference leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeapType {
    /// Any function.
    Func,
    /// A function of one type.
    Concrete(TypeId),
    /// No function: only null is such a reference.
    NoFunc,
    /// Any value of the host.
    Extern,
    /// No value of the host: only null is such a reference.
    NoExtern,
}

impl HeapType {
    fn is_func(self) -> bool {
        !matches!(self, HeapType::Extern | HeapType::NoExtern)
    }

    /// Whether everything of this type is of type `wanted`, too.
    fn matches(self, wanted: HeapType) -> bool {
        self == wanted
            || match self {
                HeapType::Concrete(_) => wanted == HeapType::Func,
                HeapType::NoFunc => wanted.is_func(),
                HeapType::NoExtern => wanted == HeapType::Extern,
                HeapType::Func | HeapType::Extern => false,
            }
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

    /// Whether it leads to functions, and not to values of the host.
    #[must_use]
    pub fn is_func(&self) -> bool {
        self.heap.is_func()
    }

    pub(super) fn matches(self, wanted: RefType) -> bool {
        (wanted.nullable || !self.nullable) && self.heap.matches(wanted.heap)
    }

    /// `ids` are the canonical ids of the module's types so far.
    pub(crate) fn from_wasm(ty: wasmparser::RefType, ids: &[u32]) -> Result<RefType> {
        let unsupported = || Error::Unsupported(format!("references of type {ty}"));
        let heap = match ty.heap_type() {
            wasmparser::HeapType::Abstract { shared: false, ty } => match ty {
                AbstractHeapType::Func => HeapType::Func,
                AbstractHeapType::NoFunc => HeapType::NoFunc,
                AbstractHeapType::Extern => HeapType::Extern,
                AbstractHeapType::NoExtern => HeapType::NoExtern,
                _ => return Err(unsupported()),
            },
            wasmparser::HeapType::Concrete(UnpackedIndex::Module(index)) => {
                HeapType::Concrete(TypeId(*ids.get(index as usize).ok_or_else(unsupported)?))
            }
            _ => return Err(unsupported()),
        };
        Ok(RefType { nullable: ty.is_nullable(), heap })
    }
}

impl fmt::Display for HeapType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeapType::Func => f.write_str("func"),
            HeapType::Concrete(TypeId(id)) => write!(f, "type#{id}"),
            HeapType::NoFunc => f.write_str("nofunc"),
            HeapType::Extern => f.write_str("extern"),
            HeapType::NoExtern => f.write_str("noextern"),
        }
    }
}

impl fmt::Display for RefType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.heap {
            HeapType::Func | HeapType::Extern if self.nullable => write!(f, "{}ref", self.heap),
            heap => write!(f, "(ref {}{heap})", if self.nullable { "null " } else { "" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_match_wider_types() {
        let (some, other) = (HeapType::Concrete(TypeId(1)), HeapType::Concrete(TypeId(2)));
        for (found, wanted, matches) in [
            (some, HeapType::Func, true),
            (some, some, true),
            (some, other, false),
            (HeapType::Func, some, false),
            (HeapType::NoFunc, some, true),
            (HeapType::NoFunc, HeapType::Extern, false),
            (HeapType::NoExtern, HeapType::Extern, true),
            (HeapType::Extern, HeapType::NoExtern, false),
        ] {
            assert_eq!(RefType::new(false, found).matches(RefType::new(true, wanted)), matches, "{found} {wanted}");
            assert!(!RefType::new(true, found).matches(RefType::new(false, wanted)));
        }
    }

    #[test]
    fn references_read_as_text() {
        assert_eq!(RefType::FUNCREF.to_string(), "funcref");
        assert_eq!(RefType::new(false, HeapType::Extern).to_string(), "(ref extern)");
        assert_eq!(RefType::new(true, HeapType::Concrete(TypeId(7))).to_string(), "(ref null type#7)");
    }
}
