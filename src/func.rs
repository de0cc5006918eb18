//! Functions: handles, calls, and what a host function is.
//!
//! # Safety
//! A [`Func`] holds a pointer to a [`FuncRef`] that lives as long as the store it names: in an instance's record, or in a
//! host function that the store keeps. It is followed only after that store was shown.

#![allow(unsafe_code, reason = "handles are checked pointers; see the module's Safety section")]

mod enter;
mod host;
mod into_func;
mod typed;
mod wasm_ty;

use std::ptr::NonNull;
use std::sync::Arc;

pub(crate) use self::enter::Entry;
pub(crate) use self::host::HostFunc;
pub use self::into_func::{IntoFunc, WasmRet};
pub use self::typed::{TypedFunc, WasmParams, WasmResults};
pub use self::wasm_ty::WasmTy;
use crate::jit::abi::{self, FuncRef};
use crate::store::{AsContext, AsContextMut, Caller, StoreId, StoreOpaque};
use crate::{Error, FuncType, Result, Val};

/// A function in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Func {
    store: StoreId,
    func: NonNull<FuncRef>,
}

// SAFETY: the pointer is only followed with the store at hand.
unsafe impl Send for Func {}
// SAFETY: as above.
unsafe impl Sync for Func {}

impl Func {
    /// A host function; see [`IntoFunc`] for the closures that can be one.
    ///
    /// ```
    /// use kitbag::{Caller, Engine, Func, Store};
    ///
    /// let mut store = Store::new(&Engine::default(), 40);
    /// let add = Func::wrap(&mut store, |caller: Caller<'_, i32>, value: i32| caller.data() + value);
    /// assert_eq!(add.typed::<i32, i32>(&store)?.call(&mut store, 2)?, 42);
    /// # Ok::<(), kitbag::Error>(())
    /// ```
    pub fn wrap<T: 'static, Params, Results>(
        mut store: impl AsContextMut<Data = T>,
        function: impl IntoFunc<T, Params, Results>,
    ) -> Func {
        let mut store = store.as_context_mut();
        let store = store.opaque_mut();
        let host = function.into_host_func(store.engine());
        Func::of_host(store, host)
    }

    /// A host function of a type that is not known when the host is compiled. It gets its parameters as a
    /// slice, and sets the results in another, which holds zeros and nulls before.
    ///
    /// # Errors
    /// [`Limit`](Error::Limit), where the system gives no memory for code.
    pub fn new<T: 'static>(
        mut store: impl AsContextMut<Data = T>,
        ty: FuncType,
        function: impl Fn(Caller<'_, T>, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
    ) -> Result<Func> {
        let mut store = store.as_context_mut();
        let store = store.opaque_mut();
        let host = HostFunc::dynamic(store.engine(), ty, function)?;
        Ok(Func::of_host(store, host))
    }

    fn of_host(store: &mut StoreOpaque, host: Arc<HostFunc>) -> Func {
        let func = Func::new_handle(store.id(), host.func_ref());
        store.keep(host);
        func
    }

    #[inline]
    pub(crate) fn new_handle(store: StoreId, func: NonNull<FuncRef>) -> Func {
        Func { store, func }
    }

    /// As compiled code holds it.
    ///
    /// # Panics
    /// If it is another store's.
    #[inline]
    pub(crate) fn to_bits(self, store: StoreId) -> u64 {
        store.check(self.store);
        self.func.as_ptr() as u64
    }

    /// From what compiled code of the store holds.
    #[inline]
    pub(crate) fn from_bits(bits: u64, store: StoreId) -> Option<Func> {
        NonNull::new(bits as *mut FuncRef).map(|func| Func::new_handle(store, func))
    }

    /// The canonical id of its type.
    ///
    /// # Panics
    /// If it is another store's.
    pub(crate) fn signature(self, store: StoreId) -> u32 {
        store.check(self.store);
        // SAFETY: the store is at hand.
        unsafe { self.func.as_ref().signature }
    }

    pub(crate) fn func_ref(self, store: &StoreOpaque) -> NonNull<FuncRef> {
        store.id().check(self.store);
        self.func
    }

    pub(crate) fn entry(self, store: &StoreOpaque) -> Entry {
        // SAFETY: the store is at hand, and was checked.
        unsafe { Entry::new(self.func_ref(store)) }
    }

    pub(crate) fn ty_in(self, store: &StoreOpaque) -> FuncType {
        self.entry(store).ty().clone()
    }

    /// Its type.
    pub fn ty(&self, store: impl AsContext) -> FuncType {
        self.ty_in(store.as_context().opaque())
    }

    /// Calls it.
    ///
    /// # Errors
    /// [`Type`](Error::Type), where `params` or the number of `results` do not match its type; otherwise what
    /// ended it: [`Trap`](Error::Trap), [`Exit`](Error::Exit), or a host function's error.
    ///
    /// # Panics
    /// With what a host function panicked, once the guest is unwound; and where a value belongs to another store.
    pub fn call(&self, mut store: impl AsContextMut, params: &[Val], results: &mut [Val]) -> Result<()> {
        let mut store = store.as_context_mut();
        let entry = self.entry(store.opaque());
        let ty = entry.ty().clone();
        check_call(&ty, params, results, store.opaque())?;
        let mut values = vec![abi::Global([0; 16]); ty.values()];
        for (place, param) in values.iter_mut().zip(params) {
            *place = param.to_raw(self.store);
        }
        // SAFETY: the entry is this store's; the values are of its parameters' types, with room for the results.
        unsafe { entry.call(store.address(), values.as_mut_ptr())? };
        for ((result, raw), &ty) in results.iter_mut().zip(values).zip(ty.results()) {
            *result = Val::from_raw(raw, ty, store.opaque());
        }
        Ok(())
    }

    /// The same function, with the types of its parameters and results known to the host's compiler.
    ///
    /// # Errors
    /// [`Type`](Error::Type), where it has other types.
    pub fn typed<Params: WasmParams, Results: WasmResults>(
        &self,
        store: impl AsContext,
    ) -> Result<TypedFunc<Params, Results>> {
        TypedFunc::new(*self, store.as_context().opaque())
    }
}

fn check_call(ty: &FuncType, params: &[Val], results: &[Val], store: &StoreOpaque) -> Result<()> {
    if params.len() != ty.params().len() || results.len() != ty.results().len() {
        return Err(Error::Type(format!(
            "a function of type {ty} was called with {} parameters and {} results",
            params.len(),
            results.len()
        )));
    }
    params.iter().zip(ty.params()).try_for_each(|(param, &ty)| param.expect_type(ty, store))
}
