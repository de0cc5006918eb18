//! Imports that nobody defined, for modules that are to run all the same.

use super::Linker;
use crate::store::AsContextMut;
use crate::{
    Caller, Error, Extern, ExternType, Global, ImportType, Memory, Module, Result, Table, Tag, Trap, Val, ValType,
};

impl<T: 'static> Linker<T> {
    /// Defines every function that the module imports and that is not defined as one that traps when it is called, with a
    /// message that names it. What else is missing stays so: nothing could trap where it is used.
    ///
    /// ```
    /// use kitbag::{Engine, Linker, Module, Store};
    ///
    /// let engine = Engine::default();
    /// let module = Module::new(&engine, r#"(module
    ///     (import "env" "launch" (func $launch))
    ///     (func (export "main") (param i32) (if (local.get 0) (then (call $launch)))))"#)?;
    /// let mut linker = Linker::new(&engine);
    /// linker.define_unknown_imports_as_traps(&module)?;
    /// let mut store = Store::new(&engine, ());
    /// let main = linker.instantiate(&mut store, &module)?.get_typed_func::<i32, ()>(&mut store, "main")?;
    /// main.call(&mut store, 0)?;
    /// let error = main.call(&mut store, 1).unwrap_err();
    /// assert_eq!(error.trap().unwrap().to_string(), r#"unknown import called: "env" "launch""#);
    /// # Ok::<(), kitbag::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Limit`](Error::Limit).
    pub fn define_unknown_imports_as_traps(&mut self, module: &Module) -> Result<()> {
        for import in module.imports() {
            if let (false, ExternType::Func(ty)) = (self.is_defined(import.module, import.name), &import.ty) {
                let message = format!("unknown import called: {:?} {:?}", import.module, import.name);
                let trap = move |_: Caller<'_, T>, _: &[Val], _: &mut [Val]| Err(Trap::host(message.as_str()).into());
                self.func_new(import.module, import.name, ty.clone(), trap)?;
            }
        }
        Ok(())
    }

    /// Defines everything that the module imports and that is not defined: functions that do nothing and return zeros and
    /// nulls, globals and tables of these, memories of zeros, tags of their own. All but functions belong to the store.
    ///
    /// ```
    /// use kitbag::{Engine, Linker, Module, Store};
    ///
    /// let engine = Engine::default();
    /// let module = Module::new(&engine, r#"(module
    ///     (import "env" "measure" (func $measure (param i64) (result i32)))
    ///     (import "env" "memory" (memory 1))
    ///     (func (export "main") (result i32) (i32.add (call $measure (i64.const 5)) (i32.load (i32.const 8)))))"#)?;
    /// let (mut linker, mut store) = (Linker::new(&engine), Store::new(&engine, ()));
    /// linker.define_unknown_imports_as_default_values(&mut store, &module)?;
    /// let main = linker.instantiate(&mut store, &module)?.get_typed_func::<(), i32>(&mut store, "main")?;
    /// assert_eq!(main.call(&mut store, ())?, 0);
    /// # Ok::<(), kitbag::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Link`](Error::Link), where a reference that is not null is wanted, which has no default; and [`Limit`](Error::Limit).
    pub fn define_unknown_imports_as_default_values(
        &mut self,
        mut store: impl AsContextMut<Data = T>,
        module: &Module,
    ) -> Result<()> {
        for import in module.imports() {
            if !self.is_defined(import.module, import.name) {
                check_default(&import)?;
                self.define_default(&mut store, &import)?;
            }
        }
        Ok(())
    }

    fn define_default(&mut self, mut store: impl AsContextMut<Data = T>, import: &ImportType<'_>) -> Result<()> {
        let item: Extern = match &import.ty {
            ExternType::Func(ty) => {
                // The results are their types' defaults already.
                return self.func_new(import.module, import.name, ty.clone(), |_, _, _| Ok(())).map(drop);
            }
            ExternType::Global(ty) => Global::new(&mut store, ty.clone(), Val::default_for(ty.content()))?.into(),
            ExternType::Table(ty) => {
                Table::new(&mut store, ty.clone(), Val::default_for(ValType::Ref(ty.element())))?.into()
            }
            ExternType::Memory(ty) => Memory::new(&mut store, ty.clone())?.into(),
            ExternType::Tag(ty) => Tag::new(&mut store, ty.clone()).into(),
        };
        self.define(&mut store, import.module, import.name, item).map(drop)
    }
}

/// # Errors
/// [`Link`](Error::Link).
fn check_default(import: &ImportType<'_>) -> Result<()> {
    let has_default = |ty: &ValType| !matches!(ty, ValType::Ref(ty) if !ty.is_nullable());
    let defaults = match &import.ty {
        ExternType::Func(ty) => ty.results().iter().all(has_default),
        ExternType::Global(ty) => has_default(&ty.content()),
        ExternType::Table(ty) => ty.element().is_nullable(),
        ExternType::Memory(_) | ExternType::Tag(_) => true,
    };
    match defaults {
        true => Ok(()),
        false => Err(Error::Link(format!(
            "unknown import, and its type has no default: {:?} {:?} ({})",
            import.module, import.name, import.ty
        ))),
    }
}
