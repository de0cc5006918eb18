//! From a module's bytes to what is known of it, validated on the way.

use kitbag_fs::Bytes;
use wasmparser::{
    BinaryReader, CompositeInnerType, ConstExpr as WasmExpr, CustomSectionReader, Data, DataKind, Element,
    ElementItems, ElementKind, Export, ExternalKind, FieldType, Global, Import as WasmImport, KnownCustom, Operator,
    Parser, Payload, RecGroup, SectionLimited, StorageType, SubType as WasmSubType, Table, TableInit, TypeRef,
    ValidPayload, Validator,
};

use super::info::{ConstExpr, ConstOp, DataSegment, ElementSegment, Elements, Import, Item, Mode, ModuleInfo};
use super::kept::{self, Kept};
use crate::jit::Function;
use crate::types::registry::{Field, Shape, Storage, SubType};
use crate::{
    Engine, Error, ExternType, FuncType, GlobalType, HeapType, MemoryType, Result, TableType, TypeId, ValType,
};

/// Parses and validates a module, all but the bodies of its functions: who compiles these, validates them. Gives what has
/// to be kept of the module, too.
///
/// # Errors
/// [`Invalid`](Error::Invalid), or [`Unsupported`](Error::Unsupported) for what the features allow but the engine lacks.
pub(crate) fn parse<'a>(engine: &Engine, bytes: &'a [u8]) -> Result<(ModuleInfo, Vec<Function<'a>>, Bytes)> {
    let features = engine.config().features;
    let kept = Kept::of(bytes);
    let mut validator = Validator::new_with_features(features);
    let mut parser = Parser::new(0);
    parser.set_features(features);
    let mut info = ModuleInfo::default();
    let mut functions = Vec::new();
    for payload in parser.parse_all(bytes) {
        let payload = payload?;
        if let ValidPayload::Func(function, body) = validator.payload(&payload)? {
            functions.push((function, body));
        }
        info.section(engine, payload, &kept)?;
    }
    info.find_escaping();
    Ok((info, functions, kept.into_bytes()))
}

/// Reads what was kept of a module that was valid. Its function section has no code section beside it, so that the sections
/// are gone through here and not by wasmparser.
///
/// # Errors
/// As for [`parse`]; what is not valid after all may also panic.
pub(super) fn parse_kept(engine: &Engine, bytes: &Bytes) -> Result<ModuleInfo> {
    let kept = Kept::whole(bytes.clone());
    let mut info = ModuleInfo::default();
    for (id, contents) in kept::sections(bytes) {
        let reader = BinaryReader::new_features(contents, 0, engine.config().features);
        if let Some(payload) = payload(id, reader)? {
            info.section(engine, payload, &kept)?;
        }
    }
    info.find_escaping();
    Ok(info)
}

/// A section by its number; none for those that only help to read others.
fn payload(id: u8, mut reader: BinaryReader<'_>) -> Result<Option<Payload<'_>>> {
    Ok(Some(match id {
        0 => Payload::CustomSection(CustomSectionReader::new(reader)?),
        1 => Payload::TypeSection(SectionLimited::new(reader)?),
        2 => Payload::ImportSection(SectionLimited::new(reader)?),
        3 => Payload::FunctionSection(SectionLimited::new(reader)?),
        4 => Payload::TableSection(SectionLimited::new(reader)?),
        5 => Payload::MemorySection(SectionLimited::new(reader)?),
        6 => Payload::GlobalSection(SectionLimited::new(reader)?),
        7 => Payload::ExportSection(SectionLimited::new(reader)?),
        8 => Payload::StartSection { func: reader.read_var_u32()?, range: reader.range() },
        9 => Payload::ElementSection(SectionLimited::new(reader)?),
        11 => Payload::DataSection(SectionLimited::new(reader)?),
        13 => Payload::TagSection(SectionLimited::new(reader)?),
        _ => return Ok(None),
    }))
}

impl ModuleInfo {
    fn section(&mut self, engine: &Engine, payload: Payload<'_>, kept: &Kept) -> Result<()> {
        match payload {
            Payload::TypeSection(types) => each(types, |group| self.add_types(engine, &group)),
            Payload::ImportSection(imports) => each(imports.into_imports(), |import| self.add_import(&import)),
            Payload::FunctionSection(functions) => each(functions, |ty| {
                self.functions.push(ty);
                Ok(())
            }),
            Payload::TableSection(tables) => each(tables, |table| self.add_table(&table)),
            Payload::MemorySection(memories) => each(memories, |memory| {
                self.memories.push(MemoryType::from_wasm(&memory)?);
                Ok(())
            }),
            Payload::GlobalSection(globals) => each(globals, |global| self.add_global(&global)),
            Payload::ExportSection(exports) => each(exports, |export| self.add_export(&export)),
            Payload::StartSection { func, .. } => {
                self.start = Some(func);
                Ok(())
            }
            Payload::ElementSection(elements) => each(elements, |element| self.add_elements(element)),
            Payload::DataSection(data) => each(data, |segment| self.add_data(&segment, kept)),
            Payload::CustomSection(custom) => {
                if let KnownCustom::Name(_) = custom.as_known() {
                    self.names = Some(kept.find(custom.data()));
                }
                Ok(())
            }
            Payload::TagSection(tags) => each(tags, |tag| {
                self.tags.push(tag.func_type_idx);
                Ok(())
            }),
            _ => Ok(()),
        }
    }

    fn add_types(&mut self, engine: &Engine, group: &RecGroup) -> Result<()> {
        let start = self.heap_types.len();
        let place = |(ty, place): (&WasmSubType, u32)| heap_type(ty, TypeId::in_group(place));
        self.heap_types.extend(group.types().zip(0..).map(place).collect::<Result<Vec<_>>>()?);
        let types: Result<_> = group.types().map(|ty| sub_type(ty, &self.heap_types)).collect();
        let first = engine.types().group(types?);
        self.heap_types.truncate(start);
        self.signatures.extend((first..).take(group.types().len()));
        let number = |(ty, number): (&WasmSubType, u32)| heap_type(ty, TypeId(number));
        self.heap_types.extend(group.types().zip(first..).map(number).collect::<Result<Vec<_>>>()?);
        for ty in group.types() {
            self.types.push(match &ty.composite_type.inner {
                CompositeInnerType::Func(ty) => FuncType::from_wasm(ty, &self.heap_types)?,
                _ => FuncType::new([], []),
            });
            self.open_types.push(!ty.is_final);
        }
        Ok(())
    }

    fn add_import(&mut self, import: &WasmImport<'_>) -> Result<()> {
        let ty = self.import_type(import.ty)?;
        let signature = match import.ty {
            TypeRef::Func(index) | TypeRef::FuncExact(index) => self.signatures[index as usize],
            TypeRef::Tag(ty) => self.signatures[ty.func_type_idx as usize],
            _ => 0,
        };
        self.imports.push(Import { module: import.module.into(), name: import.name.into(), ty, signature });
        Ok(())
    }

    fn import_type(&mut self, ty: TypeRef) -> Result<ExternType> {
        Ok(match ty {
            TypeRef::Func(index) | TypeRef::FuncExact(index) => {
                self.functions.push(index);
                self.imported_functions += 1;
                ExternType::Func(self.types[index as usize].clone())
            }
            TypeRef::Table(ty) => {
                self.tables.push(TableType::from_wasm(&ty, &self.heap_types)?);
                self.imported_tables += 1;
                ExternType::Table(TableType::from_wasm(&ty, &self.heap_types)?)
            }
            TypeRef::Memory(ty) => {
                self.memories.push(MemoryType::from_wasm(&ty)?);
                self.imported_memories += 1;
                ExternType::Memory(MemoryType::from_wasm(&ty)?)
            }
            TypeRef::Global(ty) => {
                self.globals.push(GlobalType::from_wasm(&ty, &self.heap_types)?);
                self.imported_globals += 1;
                ExternType::Global(GlobalType::from_wasm(&ty, &self.heap_types)?)
            }
            TypeRef::Tag(ty) => {
                self.tags.push(ty.func_type_idx);
                self.imported_tags += 1;
                ExternType::Tag(self.tag_type(self.tags.len() as u32 - 1))
            }
        })
    }

    fn add_table(&mut self, table: &Table<'_>) -> Result<()> {
        self.tables.push(TableType::from_wasm(&table.ty, &self.heap_types)?);
        self.table_inits.push(match &table.init {
            TableInit::RefNull => None,
            TableInit::Expr(init) => Some(expression(init)?),
        });
        Ok(())
    }

    fn add_global(&mut self, global: &Global<'_>) -> Result<()> {
        self.globals.push(GlobalType::from_wasm(&global.ty, &self.heap_types)?);
        self.global_inits.push(expression(&global.init_expr)?);
        Ok(())
    }

    fn add_export(&mut self, export: &Export<'_>) -> Result<()> {
        let item = match export.kind {
            ExternalKind::Func | ExternalKind::FuncExact => Item::Func(export.index),
            ExternalKind::Table => Item::Table(export.index),
            ExternalKind::Memory => Item::Memory(export.index),
            ExternalKind::Global => Item::Global(export.index),
            ExternalKind::Tag => Item::Tag(export.index),
        };
        self.export_places.insert(export.name.into(), self.exports.len());
        self.exports.push((export.name.into(), item));
        Ok(())
    }

    fn add_elements(&mut self, element: Element<'_>) -> Result<()> {
        let mode = match element.kind {
            ElementKind::Active { table_index, offset_expr } => {
                Mode::Active(table_index.unwrap_or(0), expression(&offset_expr)?)
            }
            ElementKind::Passive => Mode::Passive,
            ElementKind::Declared => Mode::Declared,
        };
        let elements = match element.items {
            ElementItems::Functions(functions) => Elements::Functions(collect(functions, Ok)?),
            ElementItems::Expressions(_, inits) => Elements::Expressions(collect(inits, |init| expression(&init))?),
        };
        self.elements.push(ElementSegment { mode, elements });
        Ok(())
    }

    fn add_data(&mut self, data: &Data<'_>, kept: &Kept) -> Result<()> {
        let mode = match &data.kind {
            DataKind::Active { memory_index, offset_expr } => Mode::Active(*memory_index, expression(offset_expr)?),
            DataKind::Passive => Mode::Passive,
        };
        self.data.push(DataSegment { mode, bytes: kept.find(data.data) });
        Ok(())
    }
}

fn each<T>(
    items: impl IntoIterator<Item = wasmparser::Result<T>>,
    mut take: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    items.into_iter().try_for_each(|item| take(item?))
}

fn collect<T, U>(
    items: impl IntoIterator<Item = wasmparser::Result<T>>,
    take: impl Fn(T) -> Result<U>,
) -> Result<Box<[U]>> {
    items.into_iter().map(|item| take(item?)).collect()
}

/// The type with this number, as references lead to it.
fn heap_type(ty: &WasmSubType, id: TypeId) -> Result<HeapType> {
    Ok(match &ty.composite_type.inner {
        CompositeInnerType::Func(_) => HeapType::ConcreteFunc(id),
        CompositeInnerType::Struct(_) => HeapType::ConcreteStruct(id),
        CompositeInnerType::Array(_) => HeapType::ConcreteArray(id),
        CompositeInnerType::Cont(_) => return Err(Error::Unsupported("types of continuations".into())),
    })
}

/// `concrete` are the module's types so far, and those of the type's group by their places in it.
fn sub_type(ty: &WasmSubType, concrete: &[HeapType]) -> Result<SubType> {
    let supertype = ty.supertype_idxs.first().and_then(|index| index.as_module_index());
    Ok(SubType {
        is_final: ty.is_final,
        supertype: supertype.and_then(|index| concrete[index as usize].type_id()),
        shape: match &ty.composite_type.inner {
            CompositeInnerType::Func(ty) => Shape::Func(FuncType::from_wasm(ty, concrete)?),
            CompositeInnerType::Struct(ty) => {
                Shape::Struct(ty.fields.iter().map(|ty| field(ty, concrete)).collect::<Result<_>>()?)
            }
            CompositeInnerType::Array(ty) => Shape::Array(field(&ty.0, concrete)?),
            CompositeInnerType::Cont(_) => return Err(Error::Unsupported("types of continuations".into())),
        },
    })
}

fn field(ty: &FieldType, concrete: &[HeapType]) -> Result<Field> {
    let storage = match ty.element_type {
        StorageType::I8 => Storage::I8,
        StorageType::I16 => Storage::I16,
        StorageType::Val(ty) => Storage::Val(ValType::from_wasm(ty, concrete)?),
    };
    Ok(Field { mutable: ty.mutable, storage })
}

fn expression(expression: &WasmExpr<'_>) -> Result<ConstExpr> {
    let ops = expression.get_operators_reader();
    let ops = ops.into_iter().map(|op| const_op(&op?)).filter_map(Result::transpose);
    ops.collect()
}

/// None for the `end`.
fn const_op(op: &Operator<'_>) -> Result<Option<ConstOp>> {
    Ok(Some(match op {
        Operator::I32Const { value } => ConstOp::Value((*value as u32).into()),
        Operator::I64Const { value } => ConstOp::Value((*value as u64).into()),
        Operator::F32Const { value } => ConstOp::Value(value.bits().into()),
        Operator::F64Const { value } => ConstOp::Value(value.bits().into()),
        Operator::V128Const { value } => ConstOp::Value(u128::from_le_bytes(*value.bytes())),
        Operator::RefNull { .. } => ConstOp::Value(0),
        Operator::RefFunc { function_index } => ConstOp::Func(*function_index),
        Operator::GlobalGet { global_index } => ConstOp::Global(*global_index),
        Operator::I32Add => ConstOp::I32Add,
        Operator::I32Sub => ConstOp::I32Sub,
        Operator::I32Mul => ConstOp::I32Mul,
        Operator::I64Add => ConstOp::I64Add,
        Operator::I64Sub => ConstOp::I64Sub,
        Operator::I64Mul => ConstOp::I64Mul,
        Operator::End => return Ok(None),
        other => return Err(Error::Unsupported(format!("{other:?} in a constant expression"))),
    }))
}
