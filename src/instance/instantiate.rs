//! [Instantiation](https://webassembly.github.io/spec/core/exec/modules.html#instantiation), in the specification's order: nothing is seen of an
//! instance whose imports do not match or for which there is no room; one whose segments do not
//! fit, or whose start function traps, stays, since others may hold its functions by then.
//!
//! # Safety
//! Records are filled before any code of the instance runs, with pointers to what the store owns.

#![allow(unsafe_code, reason = "fills instance records; see the module's Safety section")]

use std::cell::Cell;
use std::ptr::{self, NonNull};

use wasmparser::WasmFeatures;

use super::builtins::{init_memory, init_table};
use super::record::Record;
use super::{Extern, InstanceData};
use crate::jit::abi::{self, FuncRef, TrapCode};
use crate::module::{Import, Item, Mode, Module, Reference};
use crate::owned::Owned;
use crate::store::{GlobalData, StoreOpaque, TagData};
use crate::table::check_range;
use crate::{Engine, Error, ExternType, Func, Result, Trap};

/// Imports by kind, as places in the store.
#[derive(Default)]
pub(super) struct Imports {
    functions: Vec<NonNull<FuncRef>>,
    tables: Vec<u32>,
    memories: Vec<u32>,
    globals: Vec<u32>,
    tags: Vec<u32>,
}

impl Imports {
    /// Of a module that imports nothing but these.
    pub(super) fn functions(functions: Vec<NonNull<FuncRef>>) -> Imports {
        Imports { functions, ..Imports::default() }
    }
}

impl StoreOpaque {
    /// Makes an instance that has its imports, its memories and tables, and its globals' values; gives its place.
    pub(super) fn allocate_instance(&mut self, module: &Module, imports: Imports) -> Result<u32> {
        assert!(Engine::same(self.engine(), module.engine()), "a module was used with a store of another engine");
        let most = self.engine().config().max_instances;
        self.check_count(self.instances.len() + 1, most, "instances", |limiter| limiter.instances())?;
        // Another thread may have compiled the module.
        crate::code::synchronize_thread();
        let lens = (self.memories.len(), self.tables.len(), self.tags.len());
        let allocated = self.allocate_parts(module, imports);
        if allocated.is_err() {
            self.memories.truncate(lens.0);
            self.tables.truncate(lens.1);
            self.tags.truncate(lens.2);
        }
        allocated
    }

    /// # Errors
    /// [`Link`](Error::Link), where there are more or fewer, or one is of another type.
    pub(super) fn match_imports(&self, module: &Module, externs: &[Extern]) -> Result<Imports> {
        let wanted = &module.info().imports;
        if wanted.len() != externs.len() {
            return Err(Error::Link(format!("{} imports are needed, {} were given", wanted.len(), externs.len())));
        }
        let mut imports = Imports::default();
        for (import, found) in wanted.iter().zip(externs) {
            self.check_import(import, found)?;
            match *found {
                Extern::Func(func) => imports.functions.push(func.func_ref(self)),
                Extern::Table(table) => imports.tables.push(table.index(self)),
                Extern::Memory(memory) => imports.memories.push(memory.index(self)),
                Extern::Global(global) => imports.globals.push(global.index(self)),
                Extern::Tag(tag) => imports.tags.push(tag.index(self)),
            }
        }
        Ok(imports)
    }

    /// # Errors
    /// [`Link`](Error::Link), where it cannot be imported so.
    pub(crate) fn check_import(&self, import: &Import, found: &Extern) -> Result<()> {
        let matches = match (found, &import.ty) {
            (Extern::Func(func), ExternType::Func(_)) => {
                self.engine().is_subtype(func.signature(self.id()), import.signature)
            }
            (Extern::Tag(tag), ExternType::Tag(_)) => self.tags[tag.index(self) as usize].signature == import.signature,
            (found, wanted) => self.extern_type(found).matches(wanted, &self.engine().types()),
        };
        if matches { Ok(()) } else { Err(import.incompatible(&self.extern_type(found))) }
    }

    /// # Panics
    /// If it is another store's.
    pub(crate) fn check_owns(&self, item: &Extern) {
        match *item {
            Extern::Func(func) => _ = func.func_ref(self),
            Extern::Table(table) => _ = table.index(self),
            Extern::Memory(memory) => _ = memory.index(self),
            Extern::Global(global) => _ = global.index(self),
            Extern::Tag(tag) => _ = tag.index(self),
        }
    }

    /// Its type; for memories and tables, with the present size as the minimum.
    pub(crate) fn extern_type(&self, item: &Extern) -> ExternType {
        match *item {
            Extern::Func(func) => ExternType::Func(func.ty_in(self)),
            Extern::Table(table) => ExternType::Table(self.tables[table.index(self) as usize].get().ty()),
            Extern::Memory(memory) => ExternType::Memory(self.memories[memory.index(self) as usize].get().ty()),
            Extern::Global(global) => ExternType::Global(self.global(global.index(self)).ty.clone()),
            Extern::Tag(tag) => ExternType::Tag(self.tags[tag.index(self) as usize].ty.clone()),
        }
    }

    fn allocate_parts(&mut self, module: &Module, mut imports: Imports) -> Result<u32> {
        let info = module.info();
        for ty in &info.memories[info.imported_memories..] {
            imports.memories.push(self.new_memory(ty)?);
        }
        for ty in &info.tables[info.imported_tables..] {
            imports.tables.push(self.new_table(ty)?);
        }
        for tag in info.imported_tags as u32..info.tags.len() as u32 {
            imports.tags.push(self.tags.len() as u32);
            let signature = info.signatures[info.tags[tag as usize] as usize];
            self.tags.push(TagData { ty: info.tag_type(tag), signature });
        }
        let record = Record::new(module.layout(), self.context())?;
        let index = self.instances.len() as u32;
        let defined = self.globals.len() as u32..;
        imports.globals.extend(defined.take(info.global_inits.len()));
        let data = Owned::new(InstanceData {
            host_memory: ptr::null_mut(),
            index,
            module: module.clone(),
            record,
            memories: imports.memories.into(),
            tables: imports.tables.into(),
            globals: imports.globals.into(),
            tags: imports.tags.into(),
            dropped_elements: vec![Cell::new(false); info.elements.len()].into(),
            dropped_data: vec![Cell::new(false); info.data.len()].into(),
        });
        self.instances.push(data);
        self.fill_record(index, &imports.functions);
        self.define_globals(index);
        self.instances[index as usize].get().set_globals();
        Ok(index)
    }

    fn fill_record(&mut self, index: u32, functions: &[NonNull<FuncRef>]) {
        let memory_at = |memory: &u32| self.memories[*memory as usize].as_ptr().cast::<abi::Memory>();
        let table_at = |table: &u32| self.tables[*table as usize].as_ptr().cast::<abi::Table>();
        let owned = &self.instances[index as usize];
        let instance = owned.get();
        let (layout, info) = (instance.module.layout(), instance.module.info());
        // SAFETY: the record has a place for each of these, and nothing else uses it yet.
        unsafe {
            fill(instance, layout.signatures, instance.module.signatures().iter().copied());
            fill(instance, layout.memories, instance.memories.iter().map(memory_at));
            fill(instance, layout.tables, instance.tables.iter().map(table_at));
            let imported = &instance.globals[..info.imported_globals];
            fill(instance, layout.imported_globals, imported.iter().map(|&global| self.global(global).place.as_ptr()));
            fill(
                instance,
                layout.imports,
                functions.iter().map(|func| abi::Import { func: func.as_ptr(), entry: func.as_ref().entry }),
            );
            fill_func_refs(instance);
            (*instance.context()).instance = owned.as_ptr().cast();
        }
        self.set_memories(index);
    }

    /// Memory 0 for compiled code, and the memory for host functions.
    fn set_memories(&mut self, index: u32) {
        let instance = self.instances[index as usize].get();
        let exported = instance.module.info().export("memory");
        let host = if let Some(Item::Memory(memory)) = exported { memory } else { 0 };
        let Some(&host) = instance.memories.get(host as usize) else { return };
        let base = self.memories[instance.memories[0] as usize].get().abi.base;
        // SAFETY: nothing else uses the record yet.
        unsafe { (*instance.context()).memory_base = base };
        let host_memory = self.memories[host as usize].as_ptr().cast();
        self.instances[index as usize].get_mut().host_memory = host_memory;
    }

    fn define_globals(&mut self, index: u32) {
        let instance = self.instances[index as usize].get();
        let info = instance.module.info();
        for (global, ty) in info.globals.iter().enumerate().skip(info.imported_globals) {
            self.globals.push(GlobalData { place: instance.global(global as u32), ty: ty.clone() });
        }
    }

    /// Fills tables and memories from the instance's segments.
    pub(super) fn initialize_instance(&mut self, index: u32) -> Result<()> {
        let instance = self.instances[index as usize].as_non_null();
        // SAFETY: owned by the store in an allocation of its own, which nothing borrows mutably.
        let instance = unsafe { instance.as_ref() };
        if !self.engine().config().features.contains(WasmFeatures::BULK_MEMORY) {
            self.check_segments(instance)?;
        }
        self.initialize_tables(instance).map_err(trap)?;
        self.initialize_memories(instance)
    }

    /// The start function, if there is one.
    pub(super) fn start_function(&self, index: u32) -> Option<Func> {
        let instance = self.instances[index as usize].get();
        let start = instance.module.info().start?;
        Some(Func::new_handle(self.id(), instance.func_ref(start)))
    }

    /// Makes a store that holds an instance and nothing else (see [`StoreOpaque::rewind`]) what it was when the
    /// instance was initialized and no code of it had run.
    ///
    /// # Errors
    /// [`Limit`](Error::Limit), where the system refuses; then the store cannot be used any more.
    pub(crate) fn reset_instance(&mut self) -> Result<()> {
        for memory in &mut self.memories {
            memory.get_mut().reset()?;
        }
        let instance = self.instances[0].as_non_null();
        // SAFETY: owned by the store in an allocation of its own, which nothing borrows mutably.
        let instance = unsafe { instance.as_ref() };
        instance.set_globals();
        instance.dropped_data.iter().for_each(|dropped| dropped.set(false));
        if self.tables.iter().any(|table| table.get().is_changed()) {
            self.tables.iter_mut().for_each(|table| table.get_mut().reset());
            instance.dropped_elements.iter().for_each(|dropped| dropped.set(false));
            self.initialize_tables(instance).map_err(trap)?;
        } else {
            instance.drop_elements();
        }
        self.initialize_memories(instance)
    }

    /// WebAssembly 1.0 writes nothing of an instance whose segments do not all fit.
    ///
    /// # Errors
    /// [`Link`](Error::Link), where one does not.
    fn check_segments(&self, instance: &InstanceData) -> Result<()> {
        let info = instance.module.info();
        for segment in &info.elements {
            let Mode::Active(table, offset) = &segment.mode else { continue };
            let start = instance.evaluate(offset) as u64;
            let table = self.tables[instance.tables[*table as usize] as usize].get();
            let fits = table.check(start, segment.elements.len() as u64);
            fits.map_err(|_| Error::Link("elements segment does not fit".into()))?;
        }
        for segment in &info.data {
            let Mode::Active(memory, offset) = &segment.mode else { continue };
            let start = instance.evaluate(offset) as u64;
            let memory = self.memories[instance.memories[*memory as usize] as usize].get();
            let fits = check_range(start, segment.bytes.len() as u64, memory.abi.len);
            fits.map_err(|_| Error::Link("data segment does not fit".into()))?;
        }
        Ok(())
    }

    fn initialize_tables(&mut self, instance: &InstanceData) -> Result<(), TrapCode> {
        let info = instance.module.info();
        for (&table, init) in instance.tables[info.imported_tables..].iter().zip(&info.table_inits) {
            if let Some(init) = init {
                let value = instance.evaluate(init) as u64;
                let table = self.table_mut(table);
                table.fill(0, value, table.abi.len)?;
            }
        }
        for (segment, number) in info.elements.iter().zip(0..) {
            if let Mode::Active(table, offset) = &segment.mode {
                let target = instance.evaluate(offset) as u64;
                init_table(self, instance, *table, number, (target, 0, segment.elements.len() as u64))?;
            }
            instance.drop_element(number);
        }
        for &table in &instance.tables[info.imported_tables..] {
            self.table_mut(table).set_unchanged();
        }
        Ok(())
    }

    fn initialize_memories(&mut self, instance: &InstanceData) -> Result<()> {
        let (module, info) = (&instance.module, instance.module.info());
        for (defined, &memory) in instance.memories[info.imported_memories..].iter().enumerate() {
            if let Some(image) = module.image(defined) {
                self.memories[memory as usize].get_mut().hold(image)?;
            }
        }
        let has_image = |memory: u32| {
            let defined = (memory as usize).checked_sub(info.imported_memories);
            defined.is_some_and(|defined| module.image(defined).is_some())
        };
        for (segment, number) in info.data.iter().zip(0..) {
            if let Mode::Active(memory, offset) = &segment.mode {
                if !has_image(*memory) {
                    let target = instance.evaluate(offset) as u64;
                    let span = (target, 0, segment.bytes.len() as u64);
                    init_memory(self, instance, *memory, number, span).map_err(trap)?;
                }
                instance.dropped_data[number].set(true);
            }
        }
        Ok(())
    }
}

impl InstanceData {
    /// Gives the globals defined here their first values.
    fn set_globals(&self) {
        let info = self.module.info();
        for (global, init) in (info.imported_globals as u32..).zip(&info.global_inits) {
            let value = abi::Global(self.evaluate(init).to_le_bytes());
            // SAFETY: a place of the record; no code of the store runs.
            unsafe { self.global(global).write(value) };
        }
    }

    /// Drops an element segment if it cannot be used by instructions.
    fn drop_element(&self, number: usize) {
        let passive = matches!(self.module.info().elements[number].mode, Mode::Passive);
        self.dropped_elements[number].set(!passive);
    }

    fn drop_elements(&self) {
        (0..self.dropped_elements.len()).for_each(|number| self.drop_element(number));
    }
}

fn trap(code: TrapCode) -> Error {
    Error::Trap(Trap::new(code))
}

/// # Safety
/// The record has places for these values at `offset`, and nothing else uses it.
unsafe fn fill<T>(instance: &InstanceData, offset: u32, values: impl Iterator<Item = T>) {
    for (index, value) in (0..).zip(values) {
        // SAFETY: the caller's promise.
        unsafe { instance.record.place::<T>(offset, index).write(value) };
    }
}

/// # Safety
/// Nothing else uses the record.
unsafe fn fill_func_refs(instance: &InstanceData) {
    let (module, code) = (&instance.module, instance.module.code_memory());
    let func_ref = |reference: &Reference| FuncRef {
        entry: code.at(reference.entry),
        code: code.at(reference.code),
        context: instance.context().cast(),
        signature: reference.signature,
    };
    // SAFETY: the record has a place for each function that can be referred to; the caller's promise.
    unsafe { fill(instance, module.layout().func_refs, module.references().iter().map(func_ref)) };
}
