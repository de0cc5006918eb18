//! Instances: a record that compiled code addresses, and what the host knows beside it.
//!
//! # Safety
//! An [`InstanceData`] is owned by its store and lives as long. Its record is laid out by its module's
//! [`Layout`](crate::jit::abi::Layout), every index into it was validated with that module, and its pointers are to
//! what the same store owns or keeps.

#![allow(unsafe_code, reason = "reads and writes instance records; see the module's Safety section")]

mod builtins;
mod instantiate;
mod pre;
mod record;

use std::cell::Cell;
use std::ptr::NonNull;

pub(crate) use self::builtins::BUILTINS;
use self::instantiate::Imports;
pub use self::pre::InstancePre;
use self::record::Record;
use crate::func::{Func, TypedFunc, WasmParams, WasmResults};
use crate::jit::abi::{self, Context, FuncRef};
use crate::module::{ConstOp, Item, Module};
use crate::store::{AsContext, AsContextMut, StoreContextMut, StoreId, StoreOpaque};
use crate::{Error, ExternType, Frame, Global, Memory, Result, Table, Tag};

/// What the store keeps of an instance.
pub(crate) struct InstanceData {
    /// What host functions work on: the export `memory`, or else the first memory, or null.
    pub(crate) host_memory: *mut abi::Memory,
    /// Its place in the store.
    pub(crate) index: u32,
    pub(crate) module: Module,
    record: Record,
    /// Places in the store, by index in the module.
    memories: Box<[u32]>,
    tables: Box<[u32]>,
    globals: Box<[u32]>,
    tags: Box<[u32]>,
    /// Set through shared references: builtins have no other, since the store may look at all instances meanwhile.
    dropped_elements: Box<[Cell<bool>]>,
    dropped_data: Box<[Cell<bool>]>,
}

impl InstanceData {
    pub(crate) fn context(&self) -> *mut Context {
        self.record.context()
    }

    /// Tells it where a memory is now, if that is its memory 0.
    pub(crate) fn memory_moved(&self, memory: NonNull<abi::Memory>) {
        let layout = self.module.layout();
        if self.memories.is_empty() {
            return;
        }
        // SAFETY: it has a memory, and no code of it runs.
        unsafe {
            let first = self.record.place::<*mut abi::Memory>(layout.memories, 0).read();
            if first == memory.as_ptr() {
                (*self.context()).memory_base = (*first).base;
            }
        }
    }

    /// A tag's place in the store, by index.
    pub(crate) fn tag(&self, tag: u32) -> u32 {
        self.tags[tag as usize]
    }

    /// A function, by index.
    #[inline]
    pub(crate) fn func_ref(&self, function: u32) -> NonNull<FuncRef> {
        let layout = self.module.layout();
        let place = match self.module.info().escaping[function as usize] {
            Some(place) => self.record.place::<FuncRef>(layout.func_refs, place),
            // SAFETY: only imports have no place among those that can be referred to.
            None => unsafe { (*self.record.place::<abi::Import>(layout.imports, function)).func.cast_mut() },
        };
        NonNull::new(place).expect("a function is not null")
    }

    /// Where a global is, by index.
    fn global(&self, global: u32) -> NonNull<abi::Global> {
        let layout = self.module.layout();
        let imported = self.module.info().imported_globals as u32;
        let place = match global.checked_sub(imported) {
            Some(defined) => self.record.place(layout.globals, defined),
            // SAFETY: an imported global.
            None => unsafe { self.record.place::<*mut abi::Global>(layout.imported_globals, global).read() },
        };
        NonNull::new(place).expect("a global is not null")
    }

    /// The value of a constant expression.
    fn evaluate(&self, expression: &[ConstOp]) -> u128 {
        if let [ConstOp::Func(function)] = *expression {
            return self.func_ref(function).as_ptr() as u128;
        }
        let mut stack: Vec<u128> = Vec::new();
        for &op in expression {
            let value = self.step(op, &mut stack);
            stack.push(value);
        }
        stack.pop().expect("a valid expression has a value")
    }

    fn step(&self, op: ConstOp, stack: &mut Vec<u128>) -> u128 {
        let mut pop = || stack.pop().expect("validated") as u64;
        match op {
            ConstOp::Value(bits) => bits,
            // SAFETY: globals live, and no code of the store runs.
            ConstOp::Global(global) => u128::from_le_bytes(unsafe { self.global(global).read() }.0),
            ConstOp::Func(function) => self.func_ref(function).as_ptr() as u128,
            ConstOp::I32Add => (pop() as u32).wrapping_add(pop() as u32).into(),
            ConstOp::I32Mul => (pop() as u32).wrapping_mul(pop() as u32).into(),
            ConstOp::I32Sub => (pop() as u32).wrapping_neg().wrapping_add(pop() as u32).into(),
            ConstOp::I64Add => pop().wrapping_add(pop()).into(),
            ConstOp::I64Mul => pop().wrapping_mul(pop()).into(),
            ConstOp::I64Sub => pop().wrapping_neg().wrapping_add(pop()).into(),
        }
    }
}

impl StoreOpaque {
    /// The guest's function that `pc` is in.
    pub(crate) fn frame_at(&self, pc: usize) -> Option<Frame> {
        self.instances.iter().find_map(|instance| instance.get().module.frame_at(pc))
    }
}

/// What can be imported and exported.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Extern {
    /// A function.
    Func(Func),
    /// A global.
    Global(Global),
    /// A table.
    Table(Table),
    /// A memory.
    Memory(Memory),
    /// A tag of exceptions.
    Tag(Tag),
}

impl Extern {
    /// The function, if it is one.
    #[must_use]
    pub fn into_func(self) -> Option<Func> {
        if let Extern::Func(func) = self { Some(func) } else { None }
    }

    /// The global, if it is one.
    #[must_use]
    pub fn into_global(self) -> Option<Global> {
        if let Extern::Global(global) = self { Some(global) } else { None }
    }

    /// The table, if it is one.
    #[must_use]
    pub fn into_table(self) -> Option<Table> {
        if let Extern::Table(table) = self { Some(table) } else { None }
    }

    /// The memory, if it is one.
    #[must_use]
    pub fn into_memory(self) -> Option<Memory> {
        if let Extern::Memory(memory) = self { Some(memory) } else { None }
    }

    /// The tag, if it is one.
    #[must_use]
    pub fn into_tag(self) -> Option<Tag> {
        if let Extern::Tag(tag) = self { Some(tag) } else { None }
    }

    /// Its type; for memories and tables, with the present size as the minimum.
    pub fn ty(&self, store: impl AsContext) -> ExternType {
        match self {
            Extern::Func(func) => ExternType::Func(func.ty(store)),
            Extern::Global(global) => ExternType::Global(global.ty(store)),
            Extern::Table(table) => ExternType::Table(table.ty(store)),
            Extern::Memory(memory) => ExternType::Memory(memory.ty(store)),
            Extern::Tag(tag) => ExternType::Tag(tag.ty(store)),
        }
    }
}

macro_rules! extern_from {
    ($($ty:ident)*) => {
        $(impl From<$ty> for Extern {
            fn from(item: $ty) -> Extern { Extern::$ty(item) }
        })*
    };
}

extern_from!(Func Global Table Memory Tag);

/// A module's instance in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Instance {
    store: StoreId,
    index: u32,
}

impl Instance {
    /// Makes an instance with its imports in order, as [`Linker`](crate::Linker) does by name, and runs its start function.
    ///
    /// # Errors
    /// [`Link`](Error::Link) where `imports` are not what the module imports, [`Limit`](Error::Limit), and
    /// [`Trap`](Error::Trap) and what else a call gives, where a segment does not fit or the start function ends so.
    pub fn new(mut store: impl AsContextMut, module: &Module, imports: &[Extern]) -> Result<Instance> {
        let mut store = store.as_context_mut();
        let imports = store.opaque().match_imports(module, imports)?;
        Instance::with(&mut store, module, imports)
    }

    /// Makes an instance with imports that were compared with what the module wants.
    fn with<T: 'static>(store: &mut StoreContextMut<'_, T>, module: &Module, imports: Imports) -> Result<Instance> {
        let index = store.opaque_mut().allocate_instance(module, imports)?;
        store.opaque_mut().initialize_instance(index)?;
        let instance = Instance::new_handle(store.opaque().id(), index);
        instance.start(store)?;
        Ok(instance)
    }

    /// Runs its start function, if it has one.
    pub(crate) fn start<T: 'static>(self, store: &mut StoreContextMut<'_, T>) -> Result<()> {
        match store.opaque().start_function(self.index) {
            Some(start) => start.call(store, &[], &mut []),
            None => Ok(()),
        }
    }

    pub(crate) fn new_handle(store: StoreId, index: u32) -> Instance {
        Instance { store, index }
    }

    fn data(self, store: &StoreOpaque) -> &InstanceData {
        store.id().check(self.store);
        store.instances[self.index as usize].get()
    }

    fn item(self, store: &StoreOpaque, item: Item) -> Extern {
        let data = self.data(store);
        match item {
            Item::Func(index) => Extern::Func(Func::new_handle(self.store, data.func_ref(index))),
            Item::Table(index) => Extern::Table(Table::new_handle(self.store, data.tables[index as usize])),
            Item::Memory(index) => Extern::Memory(Memory::new_handle(self.store, data.memories[index as usize])),
            Item::Global(index) => Extern::Global(Global::new_handle(self.store, data.globals[index as usize])),
            Item::Tag(index) => Extern::Tag(Tag::new_handle(self.store, data.tag(index))),
        }
    }

    /// Its module.
    pub fn module(&self, store: impl AsContext) -> Module {
        self.data(store.as_context().opaque()).module.clone()
    }

    /// What it exports, in the module's order.
    pub fn exports(&self, store: impl AsContext) -> Vec<(String, Extern)> {
        let store = store.as_context();
        let exports = &self.data(store.opaque()).module.info().exports;
        exports.iter().map(|(name, item)| (name.to_string(), self.item(store.opaque(), *item))).collect()
    }

    /// An export, by name.
    pub fn get_export(&self, mut store: impl AsContextMut, name: &str) -> Option<Extern> {
        let store = store.as_context_mut();
        let item = self.data(store.opaque()).module.info().export(name)?;
        Some(self.item(store.opaque(), item))
    }

    /// An exported function.
    pub fn get_func(&self, store: impl AsContextMut, name: &str) -> Option<Func> {
        self.get_export(store, name)?.into_func()
    }

    /// An exported memory.
    pub fn get_memory(&self, store: impl AsContextMut, name: &str) -> Option<Memory> {
        self.get_export(store, name)?.into_memory()
    }

    /// An exported global.
    pub fn get_global(&self, store: impl AsContextMut, name: &str) -> Option<Global> {
        self.get_export(store, name)?.into_global()
    }

    /// An exported table.
    pub fn get_table(&self, store: impl AsContextMut, name: &str) -> Option<Table> {
        self.get_export(store, name)?.into_table()
    }

    /// An exported tag.
    pub fn get_tag(&self, store: impl AsContextMut, name: &str) -> Option<Tag> {
        self.get_export(store, name)?.into_tag()
    }

    /// An exported function of a known type.
    ///
    /// # Errors
    /// [`Type`](Error::Type), where there is none of this name and type.
    pub fn get_typed_func<Params: WasmParams, Results: WasmResults>(
        &self,
        mut store: impl AsContextMut,
        name: &str,
    ) -> Result<TypedFunc<Params, Results>> {
        let func = self.get_func(&mut store, name);
        let func = func.ok_or_else(|| Error::Type(format!("there is no exported function {name:?}")))?;
        func.typed(store)
    }
}
