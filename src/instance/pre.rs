//! Modules with all that they import: linked once, to be instantiated many times.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::Instance;
use super::instantiate::Imports;
use crate::linker::Definition;
use crate::store::{AsContextMut, StoreContextMut, StoreOpaque};
use crate::{Engine, Extern, Func, Module, Result};

/// A module whose imports were found and compared with what it wants, so that an instance takes neither again. Cheap to clone.
///
/// ```
/// use kitbag::{Engine, Linker, Module, Store};
///
/// let engine = Engine::default();
/// let mut linker: Linker<i32> = Linker::new(&engine);
/// linker.func_wrap("host", "add", |caller: kitbag::Caller<'_, i32>, value: i32| caller.data() + value)?;
/// let module = Module::new(&engine, r#"(module
///     (import "host" "add" (func $add (param i32) (result i32)))
///     (func (export "run") (result i32) (call $add (i32.const 2))))"#)?;
/// let ready = linker.instantiate_pre(&module)?;
/// for base in [40, 50] {
///     let mut store = Store::new(&engine, base);
///     let run = ready.instantiate(&mut store)?.get_typed_func::<(), i32>(&mut store, "run")?;
///     assert_eq!(run.call(&mut store, ())?, base + 2);
/// }
/// # Ok::<(), kitbag::Error>(())
/// ```
pub struct InstancePre<T: 'static> {
    module: Module,
    /// In the order of the module's imports.
    items: Arc<Vec<Definition>>,
    data: PhantomData<fn() -> T>,
}

impl<T: 'static> Clone for InstancePre<T> {
    fn clone(&self) -> Self {
        InstancePre { module: self.module.clone(), items: Arc::clone(&self.items), data: PhantomData }
    }
}

impl<T: 'static> fmt::Debug for InstancePre<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstancePre").field("module", &self.module).finish_non_exhaustive()
    }
}

impl<T: 'static> InstancePre<T> {
    /// `items` are what a linker of `T` found, with host functions of the right types.
    pub(crate) fn new(module: &Module, items: Arc<Vec<Definition>>) -> InstancePre<T> {
        InstancePre { module: module.clone(), items, data: PhantomData }
    }

    /// The module.
    #[must_use]
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// Whether all imports are host functions, so that it can be instantiated in any store of its engine.
    pub(crate) fn is_of_any_store(&self) -> bool {
        self.items.iter().all(|item| matches!(item, Definition::Host(_)))
    }

    /// Makes an instance, and runs its start function.
    ///
    /// # Errors
    /// As for [`Instance::new`].
    ///
    /// # Panics
    /// If the store is of another engine, or not the one that what was [defined](crate::Linker::define) belongs to.
    pub fn instantiate(&self, mut store: impl AsContextMut<Data = T>) -> Result<Instance> {
        let mut store = store.as_context_mut();
        let imports = self.imports(store.opaque_mut())?;
        Instance::with(&mut store, &self.module, imports)
    }

    /// Makes an instance whose start function has not run.
    ///
    /// # Errors
    /// As for [`Instance::new`].
    pub(crate) fn allocate(&self, store: &mut StoreContextMut<'_, T>) -> Result<()> {
        let imports = self.imports(store.opaque_mut())?;
        let index = store.opaque_mut().allocate_instance(&self.module, imports)?;
        store.opaque_mut().initialize_instance(index)
    }

    fn imports(&self, store: &mut StoreOpaque) -> Result<Imports> {
        assert!(Engine::same(self.module.engine(), store.engine()), "a module was used with a store of another engine");
        let imports = match self.is_of_any_store() {
            true => Imports::functions(self.items.iter().filter_map(Definition::func_ref).collect()),
            false => {
                let items: Vec<Extern> = self.items.iter().map(|item| item.of(store)).collect();
                store.match_imports(&self.module, &items)?
            }
        };
        store.keep(Arc::clone(&self.items));
        Ok(imports)
    }
}

impl Definition {
    /// What it is in a store, which has to keep it.
    pub(crate) fn of(&self, store: &StoreOpaque) -> Extern {
        match self {
            Definition::Extern(item) => *item,
            Definition::Host(host) => Extern::Func(Func::new_handle(store.id(), host.func_ref())),
        }
    }
}
