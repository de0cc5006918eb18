//! Stores: what owns instances and everything in them, and the host's data beside it.
//!
//! A store is one allocation that compiled code points back to. Whoever holds one holds a pointer;
//! references into it are made for a moment, and none lives across an entry into compiled
//! code, because host functions and builtins make their own from the pointer they find in their caller's [`Context`].
//!
//! # Safety
//! [`Store`] owns the allocation. [`StoreContext`], [`StoreContextMut`] and [`Caller`] borrow it (`'a`) as a
//! shared or unique reference would, so the rules of Rust hold for what they hand out. A `Caller` is made from
//! a guest's `Context`, whose store is uniquely borrowed by the entry that runs the guest and waits for it. The
//! type of the data is right because a host function of a `T` only gets into stores of `T`: `Func`s and `Linker<T>`s are
//! made for it, and handles are checked against the [`StoreId`].

#![allow(unsafe_code, reason = "compiled code points back to its store; see the module's Safety section")]

mod exceptions;
mod opaque;

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use self::exceptions::TagData;
pub(crate) use self::opaque::{GlobalData, Growth, Mark, Pending, StoreOpaque};
use crate::instance::InstanceData;
use crate::jit::abi::{self, Context};
use crate::{Engine, Extern, Instance, InterruptHandle, ResourceLimiter, Result};

/// Which store a handle belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoreId(u64);

impl StoreId {
    fn next() -> StoreId {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        StoreId(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// # Panics
    /// If the handle's store is not this one: nothing sensible could be done with it.
    #[inline]
    pub(crate) fn check(self, handle: StoreId) {
        assert!(self == handle, "a handle was used with a store that it does not belong to");
    }
}

#[repr(C)]
pub(crate) struct StoreInner<T> {
    /// First, so that a pointer to the whole is one to it.
    opaque: StoreOpaque,
    /// There in a [`Store`], and not in a [`Parked`] one.
    data: ManuallyDrop<T>,
}

/// Owns instances with their memories, tables, globals and functions, and the host's data `T`. What is made in a
/// store lives until it is dropped.
pub struct Store<T: 'static> {
    inner: NonNull<StoreInner<T>>,
    owns: PhantomData<StoreInner<T>>,
}

// SAFETY: the pointer owns what it leads to, all of which can move between threads if T can.
unsafe impl<T: Send> Send for Store<T> {}
// SAFETY: a shared store gives shared access only, which is sound from several threads if T's is.
unsafe impl<T: Sync> Sync for Store<T> {}

impl<T: 'static> Store<T> {
    /// An empty store.
    #[must_use]
    pub fn new(engine: &Engine, data: T) -> Store<T> {
        let inner = Box::new(StoreInner { opaque: StoreOpaque::new(engine), data: ManuallyDrop::new(data) });
        let inner = NonNull::from(Box::leak(inner));
        let mut store = Store { inner, owns: PhantomData };
        store.as_context_mut().opaque_mut().set_address(inner.cast());
        store
    }

    /// Its engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        StoreContext::from(self).into_opaque().engine()
    }

    /// The host's data.
    #[must_use]
    pub fn data(&self) -> &T {
        StoreContext::from(self).into_data()
    }

    /// The host's data.
    pub fn data_mut(&mut self) -> &mut T {
        StoreContextMut::from(self).into_data_mut()
    }

    /// What stops the store's guests from outside.
    #[must_use]
    pub fn interrupt_handle(&self) -> InterruptHandle {
        InterruptHandle::new(&StoreContext::from(self).into_opaque().interrupt)
    }

    /// Lets guests run again after an interruption.
    pub fn clear_interrupt(&mut self) {
        self.as_context().into_opaque().interrupt.clear();
    }

    /// Asks a limiter, which is in the store's data, about all that guests and host make and let grow from here on; see
    /// [`ResourceLimiter`].
    pub fn limiter(&mut self, mut limiter: impl (FnMut(&mut T) -> &mut dyn ResourceLimiter) + Send + Sync + 'static) {
        let show = move |store: NonNull<StoreOpaque>, ask: &mut dyn FnMut(&mut dyn ResourceLimiter)| {
            // SAFETY: the store is of this T, and mutably borrowed by whoever asks, who has no reference to its data.
            let data = unsafe { &mut (*store.cast::<StoreInner<T>>().as_ptr()).data };
            ask(limiter(data));
        };
        self.as_context_mut().opaque_mut().set_limiter(Box::new(show));
    }

    /// Gives guests so much fuel from here on, in place of what is left. A store has none at first.
    ///
    /// ```
    /// use kitbag::{Config, Engine, Linker, Module, Store, TrapCode};
    ///
    /// let engine = Engine::new(Config::new().consume_fuel(true))?;
    /// let module = Module::new(&engine, r#"(module
    ///     (func (export "spin") (param i32)
    ///         (loop $again
    ///             (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
    ///             (br_if $again (local.get 0)))))"#)?;
    /// let mut store = Store::new(&engine, ());
    /// store.set_fuel(1000)?;
    /// let spin = Linker::new(&engine).instantiate(&mut store, &module)?.get_typed_func::<i32, ()>(&mut store, "spin")?;
    /// spin.call(&mut store, 100)?;
    /// assert_eq!(store.get_fuel()?, 400);
    /// let error = spin.call(&mut store, 100).unwrap_err();
    /// assert_eq!(error.trap().map(|trap| trap.code), Some(TrapCode::OutOfFuel));
    /// # Ok::<(), kitbag::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Unsupported`](crate::Error::Unsupported), unless [`Config::consume_fuel`](crate::Config::consume_fuel) is on.
    pub fn set_fuel(&mut self, fuel: u64) -> Result<()> {
        self.as_context_mut().opaque_mut().set_fuel(fuel)
    }

    /// What is left of the fuel; none after it ran out.
    ///
    /// # Errors
    /// As for [`Store::set_fuel`].
    pub fn get_fuel(&self) -> Result<u64> {
        self.as_context().into_opaque().get_fuel()
    }

    /// Drops everything else.
    #[must_use]
    pub fn into_data(self) -> T {
        self.park().1
    }

    /// Takes the data out, so that the store can wait for other data.
    pub(crate) fn park(self) -> (Parked<T>, T) {
        let inner = ManuallyDrop::new(self).inner;
        // SAFETY: the store's, which is not dropped; a parked store's data is not used again.
        let data = unsafe { ManuallyDrop::take(&mut (*inner.as_ptr()).data) };
        (Parked { inner, owns: PhantomData }, data)
    }
}

impl<T: 'static> Drop for Store<T> {
    fn drop(&mut self) {
        // SAFETY: `inner` came from a box, has its data, and nothing uses it after this.
        unsafe {
            let mut inner = Box::from_raw(self.inner.as_ptr());
            ManuallyDrop::drop(&mut inner.data);
        }
    }
}

/// A store without data.
pub(crate) struct Parked<T: 'static> {
    inner: NonNull<StoreInner<T>>,
    owns: PhantomData<StoreOpaque>,
}

// SAFETY: owns what a store does, but no T.
unsafe impl<T> Send for Parked<T> {}

impl<T: 'static> Parked<T> {
    /// A store again.
    pub(crate) fn wake(self, data: T) -> Store<T> {
        let inner = ManuallyDrop::new(self).inner;
        // SAFETY: owned, and there is no data that would have to be dropped.
        unsafe { (&raw mut (*inner.as_ptr()).data).write(ManuallyDrop::new(data)) };
        Store { inner, owns: PhantomData }
    }

    pub(crate) fn opaque_mut(&mut self) -> &mut StoreOpaque {
        // SAFETY: owned, and borrowed with self.
        unsafe { &mut (*self.inner.as_ptr()).opaque }
    }
}

impl<T: 'static> Drop for Parked<T> {
    fn drop(&mut self) {
        // SAFETY: `inner` came from a box, and nothing uses it after this. Its data is gone, and is not dropped with it.
        drop(unsafe { Box::from_raw(self.inner.as_ptr()) });
    }
}

impl<T: fmt::Debug + 'static> fmt::Debug for Store<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("data", self.data()).finish_non_exhaustive()
    }
}

/// A store, borrowed.
#[derive(Debug)]
pub struct StoreContext<'a, T: 'static> {
    inner: NonNull<StoreInner<T>>,
    borrow: PhantomData<&'a StoreInner<T>>,
}

impl<T: 'static> Clone for StoreContext<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: 'static> Copy for StoreContext<'_, T> {}

impl<'a, T: 'static> StoreContext<'a, T> {
    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &'a Engine {
        self.opaque().engine()
    }

    /// The host's data.
    #[must_use]
    pub fn data(&self) -> &'a T {
        self.into_data()
    }

    pub(crate) fn into_data(self) -> &'a T {
        // SAFETY: borrowed for 'a.
        unsafe { &(*self.inner.as_ptr()).data }
    }

    pub(crate) fn opaque(&self) -> &'a StoreOpaque {
        // SAFETY: borrowed for 'a.
        unsafe { &(*self.inner.as_ptr()).opaque }
    }

    pub(crate) fn into_opaque(self) -> &'a StoreOpaque {
        self.opaque()
    }
}

/// A store, mutably borrowed.
#[derive(Debug)]
pub struct StoreContextMut<'a, T: 'static> {
    inner: NonNull<StoreInner<T>>,
    borrow: PhantomData<&'a mut StoreInner<T>>,
}

impl<'a, T: 'static> StoreContextMut<'a, T> {
    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        self.opaque().engine()
    }

    /// See [`Store::set_fuel`].
    ///
    /// # Errors
    /// As there.
    pub fn set_fuel(&mut self, fuel: u64) -> Result<()> {
        self.opaque_mut().set_fuel(fuel)
    }

    /// See [`Store::get_fuel`].
    ///
    /// # Errors
    /// As there.
    pub fn get_fuel(&self) -> Result<u64> {
        self.opaque().get_fuel()
    }

    /// The host's data.
    #[must_use]
    pub fn data(&self) -> &T {
        self.as_context().into_data()
    }

    /// The host's data.
    pub fn data_mut(&mut self) -> &mut T {
        self.as_context_mut().into_data_mut()
    }

    pub(crate) fn into_data_mut(self) -> &'a mut T {
        // SAFETY: uniquely borrowed for 'a.
        unsafe { &mut (*self.inner.as_ptr()).data }
    }

    pub(crate) fn opaque(&self) -> &StoreOpaque {
        self.as_context().into_opaque()
    }

    pub(crate) fn opaque_mut(&mut self) -> &mut StoreOpaque {
        // SAFETY: uniquely borrowed.
        unsafe { &mut (*self.inner.as_ptr()).opaque }
    }

    pub(crate) fn into_opaque_mut(self) -> &'a mut StoreOpaque {
        // SAFETY: uniquely borrowed for 'a.
        unsafe { &mut (*self.inner.as_ptr()).opaque }
    }

    /// Both parts; they do not overlap.
    pub(crate) fn into_parts(self) -> (&'a mut StoreOpaque, &'a mut T) {
        // SAFETY: uniquely borrowed for 'a.
        let inner = unsafe { &mut *self.inner.as_ptr() };
        (&mut inner.opaque, &mut inner.data)
    }

    /// What an entry into compiled code works on, since a reference must not live across it.
    pub(crate) fn address(&mut self) -> NonNull<StoreOpaque> {
        self.inner.cast()
    }
}

/// What gives access to a store: `&Store`, `&mut Store`, [`Caller`], [`StoreContext`], [`StoreContextMut`].
pub trait AsContext {
    /// The host's data.
    type Data: 'static;

    /// Borrows the store.
    fn as_context(&self) -> StoreContext<'_, Self::Data>;
}

/// What gives mutable access to a store.
pub trait AsContextMut: AsContext {
    /// Borrows the store.
    fn as_context_mut(&mut self) -> StoreContextMut<'_, Self::Data>;
}

impl<T: 'static> AsContext for Store<T> {
    type Data = T;

    #[inline]
    fn as_context(&self) -> StoreContext<'_, T> {
        StoreContext { inner: self.inner, borrow: PhantomData }
    }
}

impl<T: 'static> AsContextMut for Store<T> {
    #[inline]
    fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
        StoreContextMut { inner: self.inner, borrow: PhantomData }
    }
}

impl<T: 'static> AsContext for StoreContext<'_, T> {
    type Data = T;

    #[inline]
    fn as_context(&self) -> StoreContext<'_, T> {
        *self
    }
}

impl<T: 'static> AsContext for StoreContextMut<'_, T> {
    type Data = T;

    #[inline]
    fn as_context(&self) -> StoreContext<'_, T> {
        StoreContext { inner: self.inner, borrow: PhantomData }
    }
}

impl<T: 'static> AsContextMut for StoreContextMut<'_, T> {
    #[inline]
    fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
        StoreContextMut { inner: self.inner, borrow: PhantomData }
    }
}

impl<T: 'static> AsContext for Caller<'_, T> {
    type Data = T;

    #[inline]
    fn as_context(&self) -> StoreContext<'_, T> {
        StoreContext { inner: self.store, borrow: PhantomData }
    }
}

impl<T: 'static> AsContextMut for Caller<'_, T> {
    #[inline]
    fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
        StoreContextMut { inner: self.store, borrow: PhantomData }
    }
}

impl<C: AsContext + ?Sized> AsContext for &C {
    type Data = C::Data;

    #[inline]
    fn as_context(&self) -> StoreContext<'_, C::Data> {
        (**self).as_context()
    }
}

impl<C: AsContext + ?Sized> AsContext for &mut C {
    type Data = C::Data;

    #[inline]
    fn as_context(&self) -> StoreContext<'_, C::Data> {
        (**self).as_context()
    }
}

impl<C: AsContextMut + ?Sized> AsContextMut for &mut C {
    #[inline]
    fn as_context_mut(&mut self) -> StoreContextMut<'_, C::Data> {
        (**self).as_context_mut()
    }
}

impl<'a, T: 'static, C: AsContext<Data = T>> From<&'a C> for StoreContext<'a, T> {
    fn from(store: &'a C) -> Self {
        C::as_context(store)
    }
}

impl<'a, T: 'static, C: AsContext<Data = T>> From<&'a mut C> for StoreContext<'a, T> {
    fn from(store: &'a mut C) -> Self {
        C::as_context(store)
    }
}

impl<'a, T: 'static, C: AsContextMut<Data = T>> From<&'a mut C> for StoreContextMut<'a, T> {
    fn from(store: &'a mut C) -> Self {
        C::as_context_mut(store)
    }
}

/// The instance that called a host function, and its store.
///
/// ```
/// use kitbag::{Caller, Engine, Error, Linker, Module, Store};
///
/// let engine = Engine::default();
/// let mut linker: Linker<Vec<u8>> = Linker::new(&engine);
/// linker.func_wrap("host", "print", |mut caller: Caller<'_, Vec<u8>>, start: u32, len: u32| {
///     let (memory, out) = caller.memory_and_data().ok_or_else(|| Error::host("no memory"))?;
///     let bytes = memory.get(start as usize..).and_then(|bytes| bytes.get(..len as usize));
///     out.extend_from_slice(bytes.ok_or_else(|| Error::host("outside of memory"))?);
///     Ok(())
/// })?;
/// let module = Module::new(&engine, r#"(module
///     (import "host" "print" (func $print (param i32 i32)))
///     (memory 1) (data (i32.const 0) "hello")
///     (func (export "main") (call $print (i32.const 0) (i32.const 5))))"#)?;
/// let mut store = Store::new(&engine, Vec::new());
/// let instance = linker.instantiate(&mut store, &module)?;
/// instance.get_typed_func::<(), ()>(&mut store, "main")?.call(&mut store, ())?;
/// assert_eq!(store.data(), b"hello");
/// # Ok::<(), kitbag::Error>(())
/// ```
#[derive(Debug)]
pub struct Caller<'a, T: 'static> {
    store: NonNull<StoreInner<T>>,
    context: NonNull<Context>,
    borrow: PhantomData<&'a mut StoreInner<T>>,
}

impl<'a, T: 'static> Caller<'a, T> {
    /// # Safety
    /// `context` is the calling one, of a store of `T`, and nothing else borrows the store during `'a`.
    #[inline]
    pub(crate) unsafe fn new(context: *mut Context) -> Caller<'a, T> {
        // SAFETY: the caller's promise; a context is never null and its store is set when it is made.
        let (context, store) = unsafe { (NonNull::new_unchecked(context), (*context).store) };
        // SAFETY: as above.
        let store = unsafe { NonNull::new_unchecked(store.cast()) };
        Caller { store, context, borrow: PhantomData }
    }

    /// The host's data.
    #[must_use]
    #[inline]
    pub fn data(&self) -> &T {
        self.as_context().into_data()
    }

    /// The host's data.
    #[inline]
    pub fn data_mut(&mut self) -> &mut T {
        self.as_context_mut().into_data_mut()
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        self.as_context().into_opaque().engine()
    }

    /// Whether the guest is to stop, which it does when this host function returns.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.as_context().into_opaque().interrupt.is_requested()
    }

    /// See [`Store::set_fuel`].
    ///
    /// # Errors
    /// As there.
    pub fn set_fuel(&mut self, fuel: u64) -> Result<()> {
        self.as_context_mut().opaque_mut().set_fuel(fuel)
    }

    /// See [`Store::get_fuel`].
    ///
    /// # Errors
    /// As there.
    pub fn get_fuel(&self) -> Result<u64> {
        self.as_context().into_opaque().get_fuel()
    }

    /// What becomes readable when the guest is to stop, for host functions that wait: they wait for it besides, and return
    /// when it is. None where nobody has an [`InterruptHandle`].
    #[must_use]
    pub fn interrupt_event(&self) -> Option<BorrowedFd<'_>> {
        self.as_context().into_opaque().interrupt.event()
    }

    fn instance_data(&self) -> Option<&InstanceData> {
        // SAFETY: the context lives as long as the store; its instance is null or lives as long.
        unsafe { (*self.context.as_ptr()).instance.cast::<InstanceData>().as_ref() }
    }

    /// The calling instance; none if the host called.
    #[must_use]
    pub fn instance(&self) -> Option<Instance> {
        Some(Instance::new_handle(self.as_context().opaque().id(), self.instance_data()?.index))
    }

    /// An export of the calling instance.
    pub fn get_export(&mut self, name: &str) -> Option<Extern> {
        let instance = self.instance()?;
        instance.get_export(self, name)
    }

    fn memory(&self) -> Option<NonNull<abi::Memory>> {
        NonNull::new(self.instance_data()?.host_memory)
    }

    /// The memory that host functions work on, and the host's data: the calling instance's export `memory`, or else its
    /// first memory. Costs a few loads.
    #[must_use]
    #[inline]
    pub fn memory_and_data(&mut self) -> Option<(&mut [u8], &mut T)> {
        let memory = self.memory()?.as_ptr();
        // SAFETY: memories live as long as the store and are apart from its data; the bytes can be
        // accessed, and the unique borrow of the store covers them.
        unsafe {
            let bytes = std::slice::from_raw_parts_mut((*memory).base, (*memory).len as usize);
            Some((bytes, &mut (*self.store.as_ptr()).data))
        }
    }
}
