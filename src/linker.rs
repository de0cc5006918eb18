//! Names for what modules import.

mod unknown;

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::func::{HostFunc, IntoFunc};
use crate::jit::abi::FuncRef;
use crate::module::Import;
use crate::store::{AsContext, AsContextMut, Caller, StoreOpaque};
use crate::{Engine, Error, Extern, ExternType, FuncType, Instance, InstancePre, Module, Result, Val};

/// What a name stands for.
#[derive(Clone)]
pub(crate) enum Definition {
    /// Something of one store.
    Extern(Extern),
    /// A host function, for any store.
    Host(Arc<HostFunc>),
}

impl Definition {
    /// The function, if it is one for any store.
    pub(crate) fn func_ref(&self) -> Option<NonNull<FuncRef>> {
        if let Definition::Host(host) = self { Some(host.func_ref()) } else { None }
    }
}

/// Knows what imports stand for, and instantiates modules with them. Host functions defined here can be used in any
/// store of `T`; everything else only in its own store.
///
/// ```
/// use kitbag::{Engine, Error, Linker, Module, Store};
///
/// let engine = Engine::default();
/// let mut linker: Linker<()> = Linker::new(&engine);
/// linker.func_wrap("host", "exit", |code: i32| -> kitbag::Result<()> { Err(Error::Exit(code)) })?;
///
/// let mut store = Store::new(&engine, ());
/// let library = Module::new(&engine, r#"(module (func (export "seven") (result i32) (i32.const 7)))"#)?;
/// let library = linker.instantiate(&mut store, &library)?;
/// linker.instance(&mut store, "library", library)?;
///
/// let program = Module::new(&engine, r#"(module
///     (import "host" "exit" (func $exit (param i32)))
///     (import "library" "seven" (func $seven (result i32)))
///     (func (export "main") (call $exit (call $seven)) unreachable))"#)?;
/// let program = linker.instantiate(&mut store, &program)?;
/// let main = program.get_typed_func::<(), ()>(&mut store, "main")?;
/// assert!(matches!(main.call(&mut store, ()), Err(Error::Exit(7))));
/// # Ok::<(), kitbag::Error>(())
/// ```
pub struct Linker<T: 'static> {
    engine: Engine,
    names: HashMap<Box<str>, HashMap<Box<str>, Definition>>,
    shadowing: bool,
    data: PhantomData<fn() -> T>,
}

impl<T: 'static> Clone for Linker<T> {
    fn clone(&self) -> Self {
        Linker { engine: self.engine.clone(), names: self.names.clone(), shadowing: self.shadowing, data: PhantomData }
    }
}

impl<T: 'static> fmt::Debug for Linker<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Linker").field("modules", &self.names.keys()).finish_non_exhaustive()
    }
}

impl<T: 'static> Linker<T> {
    /// A linker that knows no names.
    #[must_use]
    pub fn new(engine: &Engine) -> Linker<T> {
        Linker { engine: engine.clone(), names: HashMap::new(), shadowing: false, data: PhantomData }
    }

    /// Its engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether a name may be defined again, which replaces it. Not unless set.
    pub fn allow_shadowing(&mut self, allow: bool) -> &mut Linker<T> {
        self.shadowing = allow;
        self
    }

    /// Defines a host function by a closure; see [`IntoFunc`].
    ///
    /// # Errors
    /// [`Link`](Error::Link), where the name is defined already.
    pub fn func_wrap<Params, Results>(
        &mut self,
        module: &str,
        name: &str,
        function: impl IntoFunc<T, Params, Results>,
    ) -> Result<&mut Linker<T>> {
        let host = function.into_host_func(&self.engine);
        self.insert(module, name, Definition::Host(host))
    }

    /// Defines a host function of a type that is not known when the host is compiled; see [`Func::new`](crate::Func::new).
    ///
    /// # Errors
    /// [`Link`](Error::Link), where the name is defined already, and [`Limit`](Error::Limit).
    pub fn func_new(
        &mut self,
        module: &str,
        name: &str,
        ty: FuncType,
        function: impl Fn(Caller<'_, T>, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
    ) -> Result<&mut Linker<T>> {
        let host = HostFunc::dynamic(&self.engine, ty, function)?;
        self.insert(module, name, Definition::Host(host))
    }

    /// Defines a name as something of a store.
    ///
    /// # Errors
    /// [`Link`](Error::Link), where the name is defined already.
    ///
    /// # Panics
    /// If it is another store's.
    pub fn define(
        &mut self,
        store: impl AsContext<Data = T>,
        module: &str,
        name: &str,
        item: impl Into<Extern>,
    ) -> Result<&mut Linker<T>> {
        let item = item.into();
        store.as_context().opaque().check_owns(&item);
        self.insert(module, name, Definition::Extern(item))
    }

    /// Defines all exports of an instance, under the name `module`.
    ///
    /// # Errors
    /// [`Link`](Error::Link), where a name is defined already.
    pub fn instance(
        &mut self,
        store: impl AsContextMut<Data = T>,
        module: &str,
        instance: Instance,
    ) -> Result<&mut Linker<T>> {
        for (name, item) in instance.exports(store) {
            self.insert(module, &name, Definition::Extern(item))?;
        }
        Ok(self)
    }

    /// Makes an instance of a module, runs its `_initialize` if it is a reactor, and defines all its exports under the
    /// name `name`.
    ///
    /// ```
    /// use kitbag::{Engine, Linker, Module, Store};
    ///
    /// let engine = Engine::default();
    /// let (mut linker, mut store) = (Linker::new(&engine), Store::new(&engine, ()));
    /// let library = Module::new(&engine, r#"(module (global $n (mut i32) (i32.const 0))
    ///     (func (export "_initialize") (global.set $n (i32.const 7)))
    ///     (func (export "seven") (result i32) (global.get $n)))"#)?;
    /// linker.module(&mut store, "library", &library)?.alias("library", "seven", "main", "lucky")?;
    /// let seven = linker.get(&mut store, "main", "lucky").and_then(kitbag::Extern::into_func).unwrap();
    /// assert_eq!(seven.typed::<(), i32>(&store)?.call(&mut store, ())?, 7);
    /// # Ok::<(), kitbag::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Linker::instantiate`] and [`Linker::instance`], and what ended `_initialize`.
    pub fn module(
        &mut self,
        mut store: impl AsContextMut<Data = T>,
        name: &str,
        module: &Module,
    ) -> Result<&mut Linker<T>> {
        let instance = self.instantiate(&mut store, module)?;
        if instance.get_func(&mut store, "_initialize").is_some() {
            instance.get_typed_func::<(), ()>(&mut store, "_initialize")?.call(&mut store, ())?;
        }
        self.instance(store, name, instance)
    }

    /// Defines another name for what has one.
    ///
    /// # Errors
    /// [`Link`](Error::Link), where there is nothing of the old name, or the new one is defined already.
    pub fn alias(&mut self, module: &str, name: &str, as_module: &str, as_name: &str) -> Result<&mut Linker<T>> {
        let definition = self.find(module, name).cloned();
        let missing = || Error::Link(format!("\"{module}\" \"{name}\" is not defined"));
        self.insert(as_module, as_name, definition.ok_or_else(missing)?)
    }

    /// Defines everything that is defined under one module's name under another's, too.
    ///
    /// # Errors
    /// As for [`Linker::alias`].
    pub fn alias_module(&mut self, module: &str, as_module: &str) -> Result<&mut Linker<T>> {
        let names = self.names.get(module).cloned();
        for (name, definition) in names.ok_or_else(|| Error::Link(format!("\"{module}\" is not defined")))? {
            self.insert(as_module, &name, definition)?;
        }
        Ok(self)
    }

    /// Everything that is defined, in no order: module, name, and what it is in this store.
    pub fn iter<'a>(
        &'a self,
        mut store: impl AsContextMut<Data = T> + 'a,
    ) -> impl Iterator<Item = (&'a str, &'a str, Extern)> {
        let names = self.names.iter().flat_map(|(module, names)| names.keys().map(move |name| (&**module, &**name)));
        names.filter_map(move |(module, name)| Some((module, name, self.get(&mut store, module, name)?)))
    }

    fn insert(&mut self, module: &str, name: &str, definition: Definition) -> Result<&mut Linker<T>> {
        let names = self.names.entry(module.into()).or_default();
        if names.contains_key(name) && !self.shadowing {
            return Err(Error::Link(format!("\"{module}\" \"{name}\" is defined already")));
        }
        names.insert(name.into(), definition);
        Ok(self)
    }

    /// # Panics
    /// If the store is of another engine, where the ids of host functions' types mean something else.
    fn check_engine(&self, store: &StoreOpaque) {
        assert!(Engine::same(&self.engine, store.engine()), "a linker was used with a store of another engine");
    }

    fn find(&self, module: &str, name: &str) -> Option<&Definition> {
        self.names.get(module)?.get(name)
    }

    /// What a name stands for, in this store.
    pub fn get(&self, mut store: impl AsContextMut<Data = T>, module: &str, name: &str) -> Option<Extern> {
        let mut store = store.as_context_mut();
        self.check_engine(store.opaque());
        let definition = self.find(module, name)?;
        if let Definition::Host(host) = definition {
            store.opaque_mut().keep(Arc::clone(host));
        }
        Some(definition.of(store.opaque()))
    }

    /// Whether the name is defined.
    #[must_use]
    pub fn is_defined(&self, module: &str, name: &str) -> bool {
        self.find(module, name).is_some()
    }

    /// Makes an instance of a module, with everything it imports by name.
    ///
    /// # Errors
    /// [`Link`](Error::Link), which names all imports that are missing, or the first that is of another type; and as
    /// for [`Instance::new`].
    pub fn instantiate(&self, mut store: impl AsContextMut<Data = T>, module: &Module) -> Result<Instance> {
        let store = store.as_context_mut();
        self.check_engine(store.opaque());
        self.instantiate_pre(module)?.instantiate(store)
    }

    /// Finds everything that a module imports by name, to make instances with.
    ///
    /// # Errors
    /// [`Link`](Error::Link), which names all imports that are missing, or the first host function that is of another type.
    /// (What belongs to a store is compared when an instance is made, since memories and tables grow.)
    ///
    /// # Panics
    /// If the module is of another engine.
    pub fn instantiate_pre(&self, module: &Module) -> Result<InstancePre<T>> {
        assert!(Engine::same(&self.engine, module.engine()), "a linker was used with a module of another engine");
        let imports = module.info().imports.iter();
        let found: Vec<_> = imports.map(|import| (self.find(&import.module, &import.name), import)).collect();
        check_found(&found)?;
        check_types(&self.engine, &found)?;
        let items = found.into_iter().filter_map(|(definition, _)| definition.cloned()).collect();
        Ok(InstancePre::new(module, Arc::new(items)))
    }
}

type Found<'a> = (Option<&'a Definition>, &'a Import);

fn check_found(found: &[Found<'_>]) -> Result<()> {
    let missing = found.iter().filter(|(definition, _)| definition.is_none());
    let missing: Vec<String> =
        missing.map(|(_, import)| format!("\"{}\" \"{}\" ({})", import.module, import.name, import.ty)).collect();
    match missing.len() {
        0 => Ok(()),
        1 => Err(Error::Link(format!("unknown import: {}", missing[0]))),
        count => Err(Error::Link(format!("unknown imports, {count} of them: {}", missing.join(", ")))),
    }
}

/// Host functions, before there is a store.
fn check_types(engine: &Engine, found: &[Found<'_>]) -> Result<()> {
    for (definition, import) in found {
        let Some(Definition::Host(host)) = definition else { continue };
        let is_func = matches!(import.ty, ExternType::Func(_));
        if !is_func || !engine.is_subtype(host.signature(), import.signature) {
            return Err(import.incompatible(&ExternType::Func(host.ty().clone())));
        }
    }
    Ok(())
}
