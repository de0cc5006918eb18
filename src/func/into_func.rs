//! Closures as host functions: for each, one function of the C ABI that compiled code calls at its own address.
//!
//! # Safety
//! The macro writes, for a closure of type `F`, functions whose parameters are the contract's for the WebAssembly
//! type that it derives from the same list of types, and which read the closure back as that `F`.

#![allow(unsafe_code, reason = "functions that compiled code calls; see the module's Safety section")]

use std::sync::Arc;

use super::host::{HostFunc, closure, guard, store_id};
use super::wasm_ty::WasmTy;
use crate::jit::abi::{Context, FuncRef, Global, Returned};
use crate::store::{Caller, StoreId};
use crate::{Engine, FuncType, Result, ValType};

/// What a host function gives: `()`, one [`WasmTy`], a tuple of up to 16, or a [`Result`] of these.
pub trait WasmRet {
    /// The types of its values.
    #[doc(hidden)]
    fn types() -> Vec<ValType>;

    /// Hands the bits of each value to `put`, with its index.
    #[doc(hidden)]
    fn put(self, store: StoreId, put: impl FnMut(usize, u64)) -> Result<()>;
}

impl<A: WasmTy> WasmRet for A {
    fn types() -> Vec<ValType> {
        vec![A::TYPE]
    }

    #[inline]
    fn put(self, store: StoreId, mut put: impl FnMut(usize, u64)) -> Result<()> {
        put(0, super::wasm_ty::Abi::into_bits(self.into_abi(store)));
        Ok(())
    }
}

impl<R: WasmRet> WasmRet for Result<R> {
    fn types() -> Vec<ValType> {
        R::types()
    }

    #[inline]
    fn put(self, store: StoreId, put: impl FnMut(usize, u64)) -> Result<()> {
        self?.put(store, put)
    }
}

/// A closure that can be a host function: `Fn` of up to 16 [`WasmTy`]s, with or without a [`Caller`] before
/// them, to a [`WasmRet`].
///
/// If it gives an error, or panics, the guest is unwound at once, and the call that entered it gives the error or panics.
pub trait IntoFunc<T, Params, Results>: Send + Sync + 'static {
    /// The function.
    #[doc(hidden)]
    fn into_host_func(self, engine: &Engine) -> Arc<HostFunc>;
}

fn place(bits: u64) -> Global {
    Global(u128::from(bits).to_le_bytes())
}

/// Gives the results to compiled code: the first in a register, the others in the store's places.
///
/// # Safety
/// `caller` is the calling context.
#[inline]
unsafe fn give<R: WasmRet>(results: R, caller: *mut Context) -> Result<u64> {
    let mut first = 0;
    // SAFETY: the context and its places live; there are more than any function has results.
    unsafe {
        let others = (*caller).results;
        results.put(store_id(caller), |index, bits| match index {
            0 => first = bits,
            _ => others.add(index - 1).write(place(bits)),
        })?;
    }
    Ok(first)
}

/// Gives the results to an entry.
///
/// # Safety
/// `values` has room for the results.
unsafe fn give_places<R: WasmRet>(results: R, store: StoreId, values: *mut Global) -> Result<u64> {
    // SAFETY: the caller's promise.
    results.put(store, |index, bits| unsafe { values.add(index).write(place(bits)) })?;
    Ok(0)
}

macro_rules! into_func {
    (@count) => { 0 };
    (@count $head:ident $($tail:ident)*) => { 1 + into_func!(@count $($tail)*) };
    (@impl ($($caller:ident)?) ($($caller_ty:ty)?) $($arg:ident)*) => {
        impl<T: 'static, F, $($arg,)* R> IntoFunc<T, ($($caller_ty,)? $($arg,)*), R> for F
        where
            F: Fn($($caller_ty,)? $($arg),*) -> R + Send + Sync + 'static,
            $($arg: WasmTy,)*
            R: WasmRet,
        {
            fn into_host_func(self, engine: &Engine) -> Arc<HostFunc> {
                #[allow(non_snake_case, reason = "a parameter is named as its type")]
                #[allow(clippy::extra_unused_type_parameters, reason = "used where there is a Caller")]
                unsafe extern "C" fn entry<T: 'static, F, $($arg,)* R>(
                    callee: *const FuncRef,
                    caller: *mut Context,
                    $($arg: $arg::Abi),*
                ) -> Returned
                where
                    F: Fn($($caller_ty,)? $($arg),*) -> R,
                    $($arg: WasmTy,)*
                    R: WasmRet,
                {
                    // SAFETY: compiled code calls this as the contract says.
                    unsafe {
                        guard(caller, || {
                            let _store = store_id(caller);
                            let function = closure::<F>(callee);
                            $(let $caller = Caller::new(caller);)?
                            give(function($($caller,)? $($arg::from_abi($arg, _store)),*), caller)
                        })
                    }
                }

                #[allow(clippy::extra_unused_type_parameters, reason = "used where there is a Caller")]
                unsafe extern "C" fn array<T: 'static, F, $($arg,)* R>(
                    callee: *const FuncRef,
                    caller: *mut Context,
                    values: *mut Global,
                ) -> Returned
                where
                    F: Fn($($caller_ty,)? $($arg),*) -> R,
                    $($arg: WasmTy,)*
                    R: WasmRet,
                {
                    // SAFETY: an entry calls this, with the parameters' values and room for the results.
                    unsafe {
                        guard(caller, || {
                            let store = store_id(caller);
                            let function = closure::<F>(callee);
                            let mut _index = 0..;
                            let mut _next = || &*values.add(_index.next().unwrap_or(0));
                            $(let $caller = Caller::new(caller);)?
                            let results = function($($caller,)? $($arg::from_place(_next(), store)),*);
                            give_places(results, store, values)
                        })
                    }
                }

                let ty = FuncType::new([$($arg::TYPE),*], R::types());
                let entry = entry::<T, F, $($arg,)* R> as *const u8;
                // SAFETY: both follow the contract for `ty`, and read back an F.
                unsafe { HostFunc::new(engine, ty, entry, array::<T, F, $($arg,)* R>, self, None) }
            }
        }
    };
    ($($arg:ident)*) => {
        into_func!(@impl () () $($arg)*);
        into_func!(@impl (caller_arg) (Caller<'_, T>) $($arg)*);

        #[allow(non_snake_case, reason = "a field is named as its type")]
        impl<$($arg: WasmTy,)*> WasmRet for ($($arg,)*) {
            fn types() -> Vec<ValType> {
                vec![$($arg::TYPE),*]
            }

            #[inline]
            fn put(self, _store: StoreId, mut _put: impl FnMut(usize, u64)) -> Result<()> {
                let ($($arg,)*) = self;
                let mut _index = 0..;
                $(_put(_index.next().unwrap_or(0), super::wasm_ty::Abi::into_bits($arg.into_abi(_store)));)*
                Ok(())
            }
        }
    };
}

super::typed::for_each_arity!(into_func);
