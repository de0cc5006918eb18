//! What is known of a module, apart from its code.

use std::collections::HashMap;
use std::time::Instant;

use kitbag_fs::Bytes;

use crate::jit::abi::Counts;
use crate::jit::{self, GlobalEnv, MemoryEnv, TableEnv, abi};
use crate::{Engine, Error, ExternType, FuncType, GlobalType, HeapType, MemoryType, TableType, TagType};

/// An import.
#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) module: Box<str>,
    pub(crate) name: Box<str>,
    pub(crate) ty: ExternType,
    /// The canonical number of a function's or tag's type.
    pub(crate) signature: u32,
}

impl Import {
    /// The error for something of type `found`.
    pub(crate) fn incompatible(&self, found: &ExternType) -> Error {
        let Import { module, name, ty, .. } = self;
        Error::Link(format!("incompatible import type for \"{module}\" \"{name}\": expected {ty}, found {found}"))
    }
}

/// A part of a module that can be exported, by its index in its own index space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Func(u32),
    Table(u32),
    Memory(u32),
    Global(u32),
    Tag(u32),
}

/// An instruction of a constant expression.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ConstOp {
    /// Bits of a constant, or a null.
    Value(u128),
    Global(u32),
    Func(u32),
    I32Add,
    I32Sub,
    I32Mul,
    I64Add,
    I64Sub,
    I64Mul,
}

/// A constant expression; validation says that it gives one value.
pub(crate) type ConstExpr = Box<[ConstOp]>;

/// What an element segment holds.
#[derive(Debug)]
pub(crate) enum Elements {
    Functions(Box<[u32]>),
    Expressions(Box<[ConstExpr]>),
}

impl Elements {
    pub(crate) fn len(&self) -> usize {
        match self {
            Elements::Functions(functions) => functions.len(),
            Elements::Expressions(expressions) => expressions.len(),
        }
    }
}

/// When a segment is used.
#[derive(Debug)]
pub(crate) enum Mode {
    /// At instantiation, in the table or memory of this index, at this offset.
    Active(u32, ConstExpr),
    /// By instructions.
    Passive,
    /// Never: it only declares references to functions.
    Declared,
}

/// An element segment.
#[derive(Debug)]
pub(crate) struct ElementSegment {
    pub(crate) mode: Mode,
    pub(crate) elements: Elements,
}

/// A data segment.
#[derive(Debug)]
pub(crate) struct DataSegment {
    pub(crate) mode: Mode,
    pub(crate) bytes: Bytes,
}

/// All of it. Imported items come first in their index spaces.
#[derive(Debug, Default)]
pub(crate) struct ModuleInfo {
    /// Those of functions; in the others' places, an empty one.
    pub(crate) types: Vec<FuncType>,
    /// All types as references lead to them.
    pub(super) heap_types: Vec<HeapType>,
    /// The types' canonical numbers in the engine.
    pub(crate) signatures: Vec<u32>,
    /// Whether each type may have subtypes.
    pub(super) open_types: Vec<bool>,
    pub(crate) imports: Vec<Import>,
    /// Type indices.
    pub(crate) functions: Vec<u32>,
    pub(crate) imported_functions: usize,
    pub(crate) tables: Vec<TableType>,
    pub(crate) imported_tables: usize,
    /// First values of the tables defined here, where they are not null.
    pub(crate) table_inits: Vec<Option<ConstExpr>>,
    pub(crate) memories: Vec<MemoryType>,
    pub(crate) imported_memories: usize,
    pub(crate) globals: Vec<GlobalType>,
    pub(crate) imported_globals: usize,
    /// First values of the globals defined here.
    pub(crate) global_inits: Vec<ConstExpr>,
    /// Type indices.
    pub(crate) tags: Vec<u32>,
    pub(crate) imported_tags: usize,
    pub(crate) exports: Vec<(Box<str>, Item)>,
    pub(crate) export_places: HashMap<Box<str>, usize>,
    pub(crate) start: Option<u32>,
    pub(crate) elements: Vec<ElementSegment>,
    pub(crate) data: Vec<DataSegment>,
    /// Defined functions that can be referred to: their places in the instance's record.
    pub(crate) escaping: Vec<Option<u32>>,
    /// The contents of the name section.
    pub(crate) names: Option<Bytes>,
}

impl ModuleInfo {
    pub(crate) fn export(&self, name: &str) -> Option<Item> {
        self.export_places.get(name).map(|&place| self.exports[place].1)
    }

    pub(crate) fn func_type(&self, function: u32) -> &FuncType {
        &self.types[self.functions[function as usize] as usize]
    }

    pub(crate) fn tag_type(&self, tag: u32) -> TagType {
        TagType { func: self.types[self.tags[tag as usize] as usize].clone() }
    }

    pub(crate) fn item_type(&self, item: Item) -> ExternType {
        match item {
            Item::Func(index) => ExternType::Func(self.func_type(index).clone()),
            Item::Table(index) => ExternType::Table(self.tables[index as usize].clone()),
            Item::Memory(index) => ExternType::Memory(self.memories[index as usize].clone()),
            Item::Global(index) => ExternType::Global(self.globals[index as usize].clone()),
            Item::Tag(index) => ExternType::Tag(self.tag_type(index)),
        }
    }

    /// Gives a place to each function that can be referred to: exports, segments, initial values and the
    /// start function say which; bodies may refer only to these.
    pub(super) fn find_escaping(&mut self) {
        let mut escaping = vec![None; self.functions.len()];
        let mut next = 0;
        for function in self.references() {
            let place = &mut escaping[function as usize];
            if function as usize >= self.imported_functions && place.is_none() {
                *place = Some(next);
                next += 1;
            }
        }
        self.escaping = escaping;
    }

    /// Functions that are exported, with their names.
    pub(crate) fn exported_functions(&self) -> impl Iterator<Item = (&str, u32)> {
        self.exports.iter().filter_map(|(name, item)| match *item {
            Item::Func(function) => Some((&**name, function)),
            _ => None,
        })
    }

    fn references(&self) -> impl Iterator<Item = u32> + '_ {
        let exports = self.exported_functions().map(|(_, function)| function);
        let inits = self.global_inits.iter().chain(self.table_inits.iter().flatten());
        exports.chain(self.start).chain(inits.flat_map(|init| in_expression(init))).chain(self.in_segments())
    }

    fn in_segments(&self) -> impl Iterator<Item = u32> + '_ {
        self.elements.iter().flat_map(|segment| {
            let (functions, expressions): (&[u32], &[ConstExpr]) = match &segment.elements {
                Elements::Functions(functions) => (functions, &[]),
                Elements::Expressions(expressions) => (&[], expressions),
            };
            functions.iter().copied().chain(expressions.iter().flat_map(|init| in_expression(init)))
        })
    }

    /// The module as the compiler sees it.
    pub(crate) fn env(&self, engine: &Engine) -> jit::Env {
        jit::Env {
            types: self.types.iter().map(FuncType::signature).collect(),
            functions: self.functions.clone(),
            imported_functions: self.imported_functions as u32,
            open_types: self.open_types.clone(),
            escaping: self.escaping.clone(),
            tags: self.tags.clone(),
            tables: self.tables.iter().map(table_env).collect(),
            memories: self.memories.iter().map(|ty| memory_env(engine, ty)).collect(),
            globals: self.globals.iter().map(|ty| GlobalEnv { kind: ty.content.kind() }).collect(),
            imported_globals: self.imported_globals as u32,
            layout: self.layout(),
            fuel: engine.config().consume_fuel,
            deterministic: engine.config().relaxed_simd_deterministic,
            checks: engine.config().check_values,
            max_code: u32::try_from(engine.config().max_code_size).ok(),
            deadline: engine.config().max_compile_time.and_then(|time| Instant::now().checked_add(time)),
        }
    }

    /// Where instances have what.
    pub(super) fn layout(&self) -> abi::Layout {
        abi::Layout::new(&self.counts())
    }

    fn counts(&self) -> Counts {
        Counts {
            types: self.types.len() as u32,
            imports: self.imported_functions as u32,
            memories: self.memories.len() as u32,
            tables: self.tables.len() as u32,
            imported_globals: self.imported_globals as u32,
            globals: self.global_inits.len() as u32,
            func_refs: self.escaping.iter().flatten().count() as u32,
        }
    }
}

fn in_expression(expression: &[ConstOp]) -> impl Iterator<Item = u32> + '_ {
    expression.iter().filter_map(|op| if let ConstOp::Func(function) = *op { Some(function) } else { None })
}

fn table_env(ty: &TableType) -> TableEnv {
    TableEnv { functions: ty.element.is_func(), index64: ty.index64 }
}

fn memory_env(engine: &Engine, ty: &MemoryType) -> MemoryEnv {
    MemoryEnv {
        style: engine.memory_style(ty),
        index64: ty.index64,
        min_bytes: ty.minimum.saturating_mul(ty.page_size()),
        page_shift: ty.page_shift,
    }
}
