//! Modules of our own: they hardly trap, always end, keep many values alive at once, and show in memory what
//! every local held in the end. wasm-smith's functions, in comparison, mostly trap early or drop what they computed.
//!
//! | part | what |
//! |---|---|
//! | [`body`] | a function: the stack as the validator sees it, and operands for it |
//! | [`ops`] | tables of operators by type |
//! | [`plain`] | operators that do not branch, and the idioms that compilers look for |
//! | [`vectors`] | operators on vectors |
//! | [`control`] | blocks, counted loops, branches, calls |
//! | [`exceptions`] | what throws and catches, and typed references to functions |

mod body;
mod control;
mod exceptions;
mod ops;
mod plain;
mod vectors;

use arbitrary::{Result, Unstructured};
use body::Body;
use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, ElementSection, Elements, ExportKind, ExportSection, FunctionSection,
    GlobalSection, GlobalType, MemorySection, MemoryType, Module, RefType, TableSection, TableType, TagKind,
    TagSection, TagType, TypeSection, ValType,
};

pub(crate) const TYPES: [ValType; 5] = [ValType::I32, ValType::I64, ValType::F32, ValType::F64, ValType::V128];

/// Types of the globals that functions use; the fuel comes after them.
const GLOBALS: [ValType; 7] =
    [ValType::I32, ValType::I64, ValType::F32, ValType::F64, ValType::I32, ValType::I64, ValType::V128];

const FUEL: u32 = GLOBALS.len() as u32;

/// Functions that an instance enters, where there are several.
const FUEL_AT_START: i32 = 300;

/// Parameters and results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    params: Vec<ValType>,
    results: Vec<ValType>,
}

/// What functions know of their module.
pub(crate) struct Shape {
    functions: Vec<Signature>,
    /// Types of functions, then those of tags and blocks.
    types: Vec<Signature>,
    /// What exceptions carry, if there are such.
    tags: Vec<Vec<ValType>>,
}

impl Shape {
    fn type_index(&mut self, signature: Signature) -> u32 {
        let known = self.types.iter().position(|ty| *ty == signature);
        known.unwrap_or_else(|| {
            self.types.push(signature);
            self.types.len() - 1
        }) as u32
    }
}

fn types(u: &mut Unstructured<'_>, most: usize) -> Result<Vec<ValType>> {
    (0..u.int_in_range(0..=most)?).map(|_| Ok(*u.choose(&TYPES)?)).collect()
}

fn signature(u: &mut Unstructured<'_>) -> Result<Signature> {
    let many = u.ratio(1, 4)?;
    Ok(Signature { params: types(u, if many { 20 } else { 5 })?, results: types(u, if many { 8 } else { 2 })? })
}

/// A module: up to four functions, each of which calls those after it; with exceptions and typed references, or without.
pub(crate) fn module(u: &mut Unstructured<'_>, exceptions: bool) -> Result<Vec<u8>> {
    let functions: Vec<Signature> = (0..u.int_in_range(1..=4)?).map(|_| signature(u)).collect::<Result<_>>()?;
    let tags =
        if exceptions { (0..u.int_in_range(1..=4)?).map(|_| types(u, 4)).collect::<Result<_>>()? } else { Vec::new() };
    let mut shape = Shape { functions, types: Vec::new(), tags };
    let mut section = FunctionSection::new();
    for signature in shape.functions.clone() {
        section.function(shape.type_index(signature));
    }
    let mut tags = TagSection::new();
    for params in shape.tags.clone() {
        let func_type_idx = shape.type_index(Signature { params, results: Vec::new() });
        tags.tag(TagType { kind: TagKind::Exception, func_type_idx });
    }
    let mut code = CodeSection::new();
    for index in 0..shape.functions.len() {
        let share = u.len() / (shape.functions.len() - index);
        let mut own = Unstructured::new(u.bytes(share)?);
        code.function(&Body::function(&mut own, &mut shape, index)?);
    }
    Ok(assemble(&shape, &section, &tags, &code))
}

fn assemble(shape: &Shape, functions: &FunctionSection, tags: &TagSection, code: &CodeSection) -> Vec<u8> {
    let count = shape.functions.len() as u32;
    let mut types = TypeSection::new();
    for Signature { params, results } in &shape.types {
        types.ty().function(params.iter().copied(), results.iter().copied());
    }
    let mut tables = TableSection::new();
    tables.table(TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: 8,
        maximum: Some(8),
        shared: false,
    });
    let mut memories = MemorySection::new();
    memories.memory(MemoryType { minimum: 1, maximum: Some(4), memory64: false, shared: false, page_size_log2: None });
    let mut exports = ExportSection::new();
    for i in 0..count {
        exports.export(&format!("f{i}"), ExportKind::Func, i);
    }
    for i in 0..=FUEL {
        exports.export(&format!("g{i}"), ExportKind::Global, i);
    }
    exports.export("memory", ExportKind::Memory, 0);
    exports.export("table", ExportKind::Table, 0);
    let mut elements = ElementSection::new();
    elements.active(None, &ConstExpr::i32_const(0), Elements::Functions((0..count).collect::<Vec<_>>().into()));
    let mut data = DataSection::new();
    data.active(0, &ConstExpr::i32_const(0), (0..512u16).map(|i| (i as u8).wrapping_mul(0x9d)));
    let mut module = Module::new();
    module.section(&types).section(functions).section(&tables).section(&memories);
    if !shape.tags.is_empty() {
        module.section(tags);
    }
    module.section(&globals()).section(&exports).section(&elements).section(code).section(&data);
    module.finish()
}

fn globals() -> GlobalSection {
    let mut section = GlobalSection::new();
    for (val_type, i) in GLOBALS.into_iter().zip(3..) {
        let init = match val_type {
            ValType::I32 => ConstExpr::i32_const(-i),
            ValType::I64 => ConstExpr::i64_const(i64::from(i) << 33),
            ValType::F32 => ConstExpr::f32_const((i as f32).into()),
            ValType::V128 => ConstExpr::v128_const(i128::from(i) << 50),
            _ => ConstExpr::f64_const((f64::from(i) / 7.0).into()),
        };
        section.global(GlobalType { val_type, mutable: true, shared: false }, &init);
    }
    section.global(
        GlobalType { val_type: ValType::I32, mutable: true, shared: false },
        &ConstExpr::i32_const(FUEL_AT_START),
    );
    section
}
