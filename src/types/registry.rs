//! Types as an engine knows them: each once, by a number that all modules agree upon.
//!
//! Types are the same if their [recursion groups](https://webassembly.github.io/spec/core/syntax/types.html#recursive-types) are
//! written alike and they have the same place in them. So the key of a group is its text, with references to its own types by
//! place and to earlier ones by number.

use std::collections::HashMap;

use super::{FuncType, TypeId, ValType};

/// What a type is, apart from its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Shape {
    Func(FuncType),
    Struct(Box<[Field]>),
    Array(Field),
}

/// A field of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Field {
    pub(crate) mutable: bool,
    pub(crate) storage: Storage,
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Storage {
    I8,
    I16,
    Val(ValType),
}

/// A type of a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SubType {
    pub(crate) is_final: bool,
    pub(crate) supertype: Option<TypeId>,
    pub(crate) shape: Shape,
}

impl SubType {
    /// A function's type as the host writes it: alone, of no other, and with no subtypes.
    pub(crate) fn func(ty: FuncType) -> SubType {
        SubType { is_final: true, supertype: None, shape: Shape::Func(ty) }
    }
}

/// The types of an engine. Their numbers are never given back, since tables and imports compare them for as long as any store
/// lives.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    /// The first type's number of each group.
    groups: HashMap<Box<[SubType]>, u32>,
    /// The supertype of each type, by its number less 1.
    supertypes: Vec<Option<TypeId>>,
}

impl Registry {
    /// The number of a group's first type, from 1 on; the others follow it. References to types of the group itself are
    /// [by place](TypeId::in_group).
    pub(crate) fn group(&mut self, group: Box<[SubType]>) -> u32 {
        if let Some(&first) = self.groups.get(&group) {
            return first;
        }
        let first = self.supertypes.len() as u32 + 1;
        self.supertypes.extend(group.iter().map(|ty| ty.supertype.map(|ty| ty.outside(first))));
        self.groups.insert(group, first);
        first
    }

    /// Whether everything of type `found` is of type `wanted`, too. Validation bounds how long a chain of supertypes is.
    pub(crate) fn is_subtype(&self, found: TypeId, wanted: TypeId) -> bool {
        std::iter::successors(Some(found), |ty| self.supertypes[ty.0 as usize - 1]).any(|ty| ty == wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HeapType, RefType};

    fn func(params: &[ValType]) -> SubType {
        SubType::func(FuncType::new(params.iter().copied(), []))
    }

    fn reference(ty: TypeId) -> ValType {
        ValType::Ref(RefType::new(false, HeapType::ConcreteFunc(ty)))
    }

    #[test]
    fn groups_are_the_same_if_they_are_written_alike() {
        let mut types = Registry::default();
        let unary = || func(&[ValType::I32]);
        assert_eq!(types.group([unary()].into()), 1);
        assert_eq!(types.group([func(&[])].into()), 2);
        assert_eq!(types.group([unary()].into()), 1);
        assert_eq!(types.group([unary(), func(&[])].into()), 3);
        assert_eq!(types.group([func(&[]), unary()].into()), 5);
        let recursive = |place| func(&[reference(TypeId::in_group(place))]);
        assert_eq!(types.group([recursive(0)].into()), 7);
        assert_eq!(types.group([recursive(0)].into()), 7);
        assert_eq!(types.group([func(&[reference(TypeId(7))])].into()), 8);
    }

    #[test]
    fn subtypes_are_those_that_are_declared() {
        let mut types = Registry::default();
        let open = |supertype| SubType { is_final: false, supertype, ..func(&[]) };
        let first = types.group([open(None), open(Some(TypeId::in_group(0))), open(Some(TypeId::in_group(1)))].into());
        let second = types.group([open(Some(TypeId(first + 1)))].into());
        let subtype = |found, wanted| types.is_subtype(TypeId(found), TypeId(wanted));
        assert!(subtype(first + 2, first) && subtype(first, first) && subtype(second, first));
        assert!(!subtype(first, first + 2) && !subtype(second, first + 2));
    }
}
