//! Calls of functions whose types the host's compiler knows.
//!
//! # Safety
//! A [`TypedFunc`]'s entry belongs to the store that its function names, which every call checks. Places are written for all parameters
//! and read for all results of the type that was compared when it was made.

#![allow(unsafe_code, reason = "calls compiled code; see the module's Safety section")]

use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;

use super::{Entry, Func, WasmTy};
use crate::jit::abi::Global;
use crate::store::{AsContextMut, StoreId, StoreOpaque};
use crate::{Error, FuncType, Result, ValType};

/// Parameters and results, at the most.
const ARITY_MAX: usize = 16;

/// What a [`TypedFunc`] takes: `()`, one [`WasmTy`], or a tuple of up to 16.
pub trait WasmParams {
    /// The types of its values.
    #[doc(hidden)]
    fn types() -> Vec<ValType>;

    /// Hands each value to `put`, with its index.
    #[doc(hidden)]
    fn put(self, store: StoreId, put: impl FnMut(usize, Global));
}

/// What a [`TypedFunc`] gives: `()`, one [`WasmTy`], or a tuple of up to 16.
pub trait WasmResults: Sized {
    /// The types of its values.
    #[doc(hidden)]
    fn types() -> Vec<ValType>;

    /// Takes each value from `take`, by its index.
    #[doc(hidden)]
    fn take(store: StoreId, take: impl FnMut(usize) -> Global) -> Self;
}

impl<A: WasmTy> WasmParams for A {
    fn types() -> Vec<ValType> {
        vec![A::TYPE]
    }

    #[inline]
    fn put(self, store: StoreId, mut put: impl FnMut(usize, Global)) {
        put(0, self.into_place(store));
    }
}

impl<A: WasmTy> WasmResults for A {
    fn types() -> Vec<ValType> {
        vec![A::TYPE]
    }

    #[inline]
    fn take(store: StoreId, mut take: impl FnMut(usize) -> Global) -> A {
        A::from_place(&take(0), store)
    }
}

macro_rules! tuples {
    ($($arg:ident)*) => {
        #[allow(non_snake_case, reason = "a field is named as its type")]
        impl<$($arg: WasmTy,)*> WasmParams for ($($arg,)*) {
            fn types() -> Vec<ValType> {
                vec![$($arg::TYPE),*]
            }

            #[inline]
            fn put(self, _store: StoreId, mut _put: impl FnMut(usize, Global)) {
                let ($($arg,)*) = self;
                let mut _index = 0..;
                $(_put(_index.next().unwrap_or(0), $arg.into_place(_store));)*
            }
        }

        impl<$($arg: WasmTy,)*> WasmResults for ($($arg,)*) {
            fn types() -> Vec<ValType> {
                vec![$($arg::TYPE),*]
            }

            #[inline]
            #[allow(clippy::unused_unit, reason = "the empty tuple is one of the tuples")]
            fn take(_store: StoreId, mut _take: impl FnMut(usize) -> Global) -> Self {
                let mut _index = 0..;
                ($($arg::from_place(&_take(_index.next().unwrap_or(0)), _store),)*)
            }
        }
    };
}

/// Calls a macro with the names of 0 to 16 types.
macro_rules! for_each_arity {
    ($macro:ident) => {
        $macro!();
        $macro!(A0);
        $macro!(A0 A1);
        $macro!(A0 A1 A2);
        $macro!(A0 A1 A2 A3);
        $macro!(A0 A1 A2 A3 A4);
        $macro!(A0 A1 A2 A3 A4 A5);
        $macro!(A0 A1 A2 A3 A4 A5 A6);
        $macro!(A0 A1 A2 A3 A4 A5 A6 A7);
        $macro!(A0 A1 A2 A3 A4 A5 A6 A7 A8);
        $macro!(A0 A1 A2 A3 A4 A5 A6 A7 A8 A9);
        $macro!(A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10);
        $macro!(A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11);
        $macro!(A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12);
        $macro!(A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13);
        $macro!(A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13 A14);
        $macro!(A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13 A14 A15);
    };
}
pub(crate) use for_each_arity;

for_each_arity!(tuples);

/// A function in a store, of a type that the host's compiler knows. Calling it allocates nothing.
pub struct TypedFunc<Params, Results> {
    func: Func,
    entry: Entry,
    types: PhantomData<fn(Params) -> Results>,
}

impl<Params, Results> Clone for TypedFunc<Params, Results> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Params, Results> Copy for TypedFunc<Params, Results> {}

impl<Params, Results> fmt::Debug for TypedFunc<Params, Results> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedFunc").field(&self.func).finish()
    }
}

impl<Params: WasmParams, Results: WasmResults> TypedFunc<Params, Results> {
    pub(super) fn new(func: Func, store: &StoreOpaque) -> Result<TypedFunc<Params, Results>> {
        let entry = func.entry(store);
        let wanted = FuncType::new(Params::types(), Results::types());
        if entry.ty() != &wanted {
            return Err(Error::Type(format!("type mismatch: expected func {wanted}, found func {}", entry.ty())));
        }
        Ok(TypedFunc { func, entry, types: PhantomData })
    }

    /// The function.
    #[must_use]
    pub fn func(&self) -> &Func {
        &self.func
    }

    /// Calls it.
    ///
    /// # Errors
    /// What ended it: [`Trap`](Error::Trap), [`Exit`](Error::Exit), or a host function's error.
    ///
    /// # Panics
    /// With what a host function panicked, once the guest is unwound; and where a value or the function belongs to another store.
    pub fn call(&self, mut store: impl AsContextMut, params: Params) -> Result<Results> {
        let mut store = store.as_context_mut();
        let id = store.opaque().id();
        id.check(self.func.store);
        let mut values = [MaybeUninit::<Global>::uninit(); ARITY_MAX];
        params.put(id, |index, value| {
            values[index].write(value);
        });
        // SAFETY: the entry is this store's; parameters are written, and there is room for all results.
        unsafe { self.entry.call(store.address(), values.as_mut_ptr().cast())? };
        // SAFETY: the results are written when a call gives no error.
        Ok(Results::take(id, |index| unsafe { values[index].assume_init() }))
    }
}
