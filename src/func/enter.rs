//! Calling a function from the host.
//!
//! # Safety
//! An [`Entry`] copies from a [`FuncRef`] what a call needs, and is valid as long as the store that owns
//! the function. References into the store are made for a moment; none lives while code runs.

#![allow(unsafe_code, reason = "calls compiled code; see the module's Safety section")]

use std::panic::resume_unwind;
use std::ptr::NonNull;

use super::host;
use crate::instance::InstanceData;
use crate::jit::abi::{Context, EntryStub, FuncRef, Global, TrapCode};
use crate::store::{Pending, StoreOpaque};
use crate::trap::{self, Captured};
use crate::{Error, FuncType, Result, Trap};

/// How a function is entered.
#[derive(Clone, Copy)]
pub(crate) enum Entry {
    /// A function of the host.
    Host(NonNull<FuncRef>),
    /// A function of an instance.
    Guest { func: NonNull<FuncRef>, stub: EntryStub },
}

// SAFETY: used only with the function's store at hand.
unsafe impl Send for Entry {}
// SAFETY: as above.
unsafe impl Sync for Entry {}

/// # Safety
/// `func` is an instance's, which lives.
unsafe fn instance<'a>(func: NonNull<FuncRef>) -> &'a InstanceData {
    // SAFETY: a guest's function has its instance's context, and that its instance.
    unsafe { &*(*func.as_ref().context.cast::<Context>()).instance.cast::<InstanceData>() }
}

impl Entry {
    /// # Safety
    /// The function's store lives as long as the entry is used.
    pub(super) unsafe fn new(func: NonNull<FuncRef>) -> Entry {
        // SAFETY: the caller's promise.
        unsafe {
            if func.as_ref().code.is_null() {
                return Entry::Host(func);
            }
            Entry::Guest { func, stub: instance(func).module.entry_stub(func.as_ref().signature) }
        }
    }

    /// The function's type.
    pub(crate) fn ty(&self) -> &FuncType {
        // SAFETY: the entry is valid, so its function lives.
        unsafe {
            match *self {
                Entry::Host(func) => &host::header(func.as_ptr()).ty,
                Entry::Guest { func, .. } => instance(func).module.type_by_signature(func.as_ref().signature),
            }
        }
    }

    /// Calls the function: `values` holds the parameters, and then the results.
    ///
    /// # Safety
    /// The function is of `store`, which the caller borrows mutably but holds no reference into. `values` are of the right
    /// types, and has room for the results.
    pub(crate) unsafe fn call(self, store: NonNull<StoreOpaque>, values: *mut Global) -> Result<()> {
        // SAFETY: the caller's promises.
        unsafe {
            match self {
                Entry::Host(func) => {
                    let root = store.as_ref().root();
                    let returned = (host::header(func.as_ptr()).call)(func.as_ptr(), root, values);
                    if returned.status == 0 { Ok(()) } else { Err(failure(store, Captured::host())) }
                }
                Entry::Guest { func, stub } => {
                    let func = func.as_ref();
                    let run = |activation| stub(func.context.cast(), func.code, values, activation);
                    trap::enter(store, run)?.map_err(|captured| failure(store, captured))
                }
            }
        }
    }
}

/// What a call gives that did not return.
///
/// # Safety
/// `store` lives, and nothing borrows it.
#[cold]
unsafe fn failure(mut store: NonNull<StoreOpaque>, captured: Captured) -> Error {
    // SAFETY: the caller's promise.
    let store = unsafe { store.as_mut() };
    let reason = match captured.code {
        TrapCode::Host => store.pending.take(),
        code => Some(Pending::Trap(code)),
    };
    if matches!(reason, Some(Pending::Trap(TrapCode::OutOfFuel))) {
        store.exhaust_fuel();
    }
    store.torn |= !matches!(reason, Some(Pending::Error(_) | Pending::Exception(_)));
    match reason {
        Some(Pending::Panic(panic)) => resume_unwind(panic),
        Some(Pending::Exception(bits)) => {
            let frames = captured.frames(store);
            store.uncaught(bits, frames)
        }
        Some(Pending::Error(Error::Trap(trap))) => Error::Trap(trap.with_frames(captured.frames(store))),
        Some(Pending::Error(error)) => error,
        Some(Pending::Trap(code)) => Error::Trap(Trap::new(code).with_frames(captured.frames(store))),
        None => Error::Trap(Trap::new(TrapCode::Host).with_frames(captured.frames(store))),
    }
}
