//! Host functions: a closure beside the [`FuncRef`] that leads to it.
//!
//! # Safety
//! A [`HostFunc`] owns a [`Data`] of the closure's type, whose address is its [`FuncRef::context`]; the functions
//! that read it back are made for that type, by [`HostFunc::new`] alone. They are called by compiled code or by an
//! [`Entry`](super::Entry), with a context of a store of the right `T` that nothing else borrows.

#![allow(unsafe_code, reason = "reads closures back from compiled code's pointers; see the module's Safety section")]

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use crate::code::CodeMemory;
use crate::jit::HostArrayCall;
use crate::jit::abi::{self, Context, FuncRef, Returned, TrapCode};
use crate::store::{Caller, Pending, StoreId, StoreOpaque};
use crate::{Engine, Error, FuncType, Result, Val};

/// What all host functions have. The first field's place is part of the contract with [`crate::jit::host_stub`].
#[repr(C)]
pub(super) struct Header {
    /// Calls it with its values in an array.
    pub(super) call: HostArrayCall,
    func_ref: FuncRef,
    pub(super) ty: FuncType,
}

#[repr(C)]
struct Data<F> {
    /// First, so that a pointer to the whole is one to it.
    header: Header,
    closure: F,
}

/// A host function, to be put in any number of stores.
pub struct HostFunc {
    header: NonNull<Header>,
    drop: unsafe fn(NonNull<Header>),
    /// What `entry` is in, where that is not the host's own code.
    _code: Option<Arc<CodeMemory>>,
}

// SAFETY: the closure is Send and Sync, and nothing else changes after it was made.
unsafe impl Send for HostFunc {}
// SAFETY: as above.
unsafe impl Sync for HostFunc {}

impl fmt::Debug for HostFunc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostFunc({})", self.ty())
    }
}

impl HostFunc {
    /// # Safety
    /// `entry` and `call` follow the contract for functions of type `ty`, and read back an `F` with [`closure`].
    pub(super) unsafe fn new<F: Send + Sync + 'static>(
        engine: &Engine,
        ty: FuncType,
        entry: *const u8,
        call: HostArrayCall,
        closure: F,
        code: Option<Arc<CodeMemory>>,
    ) -> Arc<HostFunc> {
        let signature = engine.signature_id(&ty);
        let func_ref = FuncRef { entry, code: ptr::null(), context: ptr::null_mut(), signature };
        let data = Box::leak(Box::new(Data { header: Header { call, func_ref, ty }, closure }));
        data.header.func_ref.context = (&raw mut *data).cast();
        let header = NonNull::from(data).cast();
        Arc::new(HostFunc { header, drop: drop_data::<F>, _code: code })
    }

    /// A host function that takes and gives slices of values.
    pub(crate) fn dynamic<T: 'static, F>(engine: &Engine, ty: FuncType, function: F) -> Result<Arc<HostFunc>>
    where
        F: Fn(Caller<'_, T>, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
    {
        let stub = engine.host_stub(&ty)?;
        let entry = stub.at(0);
        // SAFETY: the stub is made for the type, and `call_dynamic` reads back an F.
        Ok(unsafe { HostFunc::new(engine, ty, entry, call_dynamic::<T, F>, function, Some(stub)) })
    }

    pub(crate) fn func_ref(&self) -> NonNull<FuncRef> {
        // SAFETY: owned; only its address is taken.
        unsafe { NonNull::new_unchecked(&raw mut (*self.header.as_ptr()).func_ref) }
    }

    /// The canonical number of its type.
    pub(crate) fn signature(&self) -> u32 {
        // SAFETY: owned, and never changed.
        unsafe { self.func_ref().as_ref().signature }
    }

    pub(crate) fn ty(&self) -> &FuncType {
        // SAFETY: owned, and never changed.
        unsafe { &(*self.header.as_ptr()).ty }
    }
}

impl Drop for HostFunc {
    fn drop(&mut self) {
        // SAFETY: made for the type of the data, and called once.
        unsafe { (self.drop)(self.header) };
    }
}

/// # Safety
/// `header` is the beginning of a `Data<F>` from a box.
unsafe fn drop_data<F>(header: NonNull<Header>) {
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(header.cast::<Data<F>>().as_ptr()) });
}

/// # Safety
/// `callee` is a host function's.
pub(super) unsafe fn header<'a>(callee: *const FuncRef) -> &'a Header {
    // SAFETY: a host function's context is its data, which begins with the header.
    unsafe { &*(*callee).context.cast::<Header>() }
}

/// # Safety
/// `callee` is a host function's whose closure is an `F`.
#[inline]
pub(super) unsafe fn closure<'a, F>(callee: *const FuncRef) -> &'a F {
    // SAFETY: the caller's promise.
    unsafe { &(*(*callee).context.cast::<Data<F>>()).closure }
}

/// The store of a calling context.
///
/// # Safety
/// `caller` is a context that lives, and nothing borrows its store.
#[inline]
unsafe fn store<'a>(caller: *mut Context) -> &'a mut StoreOpaque {
    // SAFETY: every context has its store.
    unsafe { &mut *(*caller).store.cast::<StoreOpaque>() }
}

/// The id of a calling context's store.
///
/// # Safety
/// `caller` is a context that lives.
#[inline]
pub(super) unsafe fn store_id(caller: *mut Context) -> StoreId {
    // SAFETY: every context has its store.
    unsafe { (*(*caller).store.cast::<StoreOpaque>()).id() }
}

/// Whether the store's guests are to stop.
///
/// # Safety
/// `caller` is a context whose store nothing borrows mutably.
#[inline]
unsafe fn is_interrupted(caller: *mut Context) -> bool {
    // SAFETY: every context has its store.
    unsafe { (*(*caller).store.cast::<StoreOpaque>()).interrupt.is_requested() }
}

/// Runs a host function: what it gives are the first result's bits. A panic goes no further than this, and on
/// once the guest is unwound.
///
/// # Safety
/// `caller` is a context whose store nothing borrows when `function` is done.
#[inline]
pub(super) unsafe fn guard(caller: *mut Context, function: impl FnOnce() -> Result<u64>) -> Returned {
    // SAFETY: the caller's promise.
    let end = |reason| unsafe { fail(caller, reason) };
    // An error is kept inside, since what is caught is copied.
    let run = || match function() {
        // SAFETY: every context has its store, which nothing borrows now.
        Ok(_) if unsafe { is_interrupted(caller) } => end(Pending::Trap(TrapCode::Interrupted)),
        Ok(bits) => Returned { bits, status: 0 },
        // SAFETY: as above.
        Err(error) => end(unsafe { store(caller) }.raise(error)),
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| end(Pending::Panic(panic)))
}

/// # Safety
/// As for [`guard`].
#[cold]
unsafe fn fail(caller: *mut Context, reason: Pending) -> Returned {
    // SAFETY: the caller's promise.
    unsafe { store(caller) }.fail(reason)
}

/// [`HostArrayCall`] of functions that take slices.
unsafe extern "C" fn call_dynamic<T: 'static, F>(
    callee: *const FuncRef,
    caller: *mut Context,
    values: *mut abi::Global,
) -> Returned
where
    F: Fn(Caller<'_, T>, &[Val], &mut [Val]) -> Result<()>,
{
    // SAFETY: compiled code or an entry calls this, as the contract says, with room for all values.
    unsafe {
        guard(caller, || {
            let ty = &header(callee).ty;
            let values = std::slice::from_raw_parts_mut(values, ty.values());
            let params = values.iter().zip(ty.params());
            let params: Vec<Val> = params.map(|(&raw, &ty)| Val::from_raw(raw, ty, store(caller))).collect();
            let mut results: Vec<Val> = ty.results().iter().map(|&ty| Val::default_for(ty)).collect();
            closure::<F>(callee)(Caller::new(caller), &params, &mut results)?;
            give_results(ty, &results, values, store(caller)).map(|()| 0)
        })
    }
}

/// # Errors
/// [`Type`](Error::Type), where one is of another type.
fn give_results(ty: &FuncType, results: &[Val], values: &mut [abi::Global], store: &StoreOpaque) -> Result<()> {
    for ((place, result), &wanted) in values.iter_mut().zip(results).zip(ty.results()) {
        result.expect_type(wanted, store).map_err(|error| Error::Type(format!("a host function's result: {error}")))?;
        *place = result.to_raw(store.id());
    }
    Ok(())
}
