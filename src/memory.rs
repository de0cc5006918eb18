//! Linear memories.
//!
//! A guarded memory reserves 4 GiB and a guard, and grows where it is. A checked one, for 64-bit indices and where such
//! reservations are refused, reserves a little more than it has and moves when it outgrows that. Nothing is
//! committed before it is grown to, and the system gives pages as they are touched.
//!
//! # Safety
//! `base` and `len` of [`abi::Memory`] always describe bytes that can be accessed. Slices of them borrow the
//! store, and neither guests nor growth run meanwhile.

#![allow(unsafe_code, reason = "hands out the bytes of memories; see the module's Safety section")]

pub(crate) mod image;
mod region;

use std::ptr::NonNull;

use self::image::Image;
pub(crate) use self::region::Region;
use crate::jit::abi::{self, MEMORY_GUARD, MemoryStyle};
use crate::store::{AsContext, AsContextMut, Growth, StoreContext, StoreContextMut, StoreId, StoreOpaque};
use crate::{Error, MemoryType, Result};

/// What a guarded memory reserves: all indices, the offsets that are not checked, and an access at the end.
pub(crate) const GUARDED_BYTES: usize = (1 << 32) + MEMORY_GUARD as usize + (1 << 16);

/// What [`Memory::grow`] gives to compiled code where it cannot.
pub(crate) const GROW_FAILED: u64 = u64::MAX;

#[repr(C)]
pub(crate) struct MemoryData {
    /// First, so that a pointer to the whole is one to it.
    pub(crate) abi: abi::Memory,
    ty: MemoryType,
    style: MemoryStyle,
    region: Region,
    /// Bytes that it may grow to.
    most: u64,
    /// Whether its image is mapped.
    imaged: bool,
}

impl MemoryData {
    fn new(style: MemoryStyle, ty: &MemoryType, limit: u64) -> Result<MemoryData> {
        let most = ty.maximum.unwrap_or(u64::MAX).min(ty.page_bound());
        let most = most.saturating_mul(ty.page_size()).min(limit);
        let refused =
            |reason: &dyn std::fmt::Display| Error::Limit(format!("a memory of {} pages: {reason}", ty.minimum));
        let len = ty.minimum.checked_mul(ty.page_size()).filter(|&len| len <= most);
        let len = len.ok_or_else(|| refused(&format_args!("only {limit} bytes are allowed")))?;
        let reserved = match style {
            MemoryStyle::Guarded => GUARDED_BYTES,
            MemoryStyle::Checked => usize::try_from(len).map_err(|error| refused(&error))?,
        };
        let mut region = Region::reserve(reserved).map_err(|error| refused(&error))?;
        region.extend(len as usize).map_err(|error| refused(&error))?;
        let abi = abi::Memory { base: region.base(), len };
        Ok(MemoryData { abi, ty: ty.clone(), style, region, most, imaged: false })
    }

    /// Its type, with the present size as the minimum.
    pub(crate) fn ty(&self) -> MemoryType {
        MemoryType { minimum: self.pages(), ..self.ty.clone() }
    }

    pub(crate) fn pages(&self) -> u64 {
        self.abi.len >> self.ty.page_shift
    }

    /// Whether an access at `address` is this memory's fault, or guard.
    pub(crate) fn reserves(&self, address: usize) -> bool {
        self.region.contains(address)
    }

    /// The old size, if it can; whether the base moved.
    fn grow(&mut self, pages: u64) -> Option<(u64, bool)> {
        let old = self.pages();
        let len = old.checked_add(pages)?.checked_mul(self.ty.page_size())?;
        if len > self.most {
            return None;
        }
        let moved = self.resize(usize::try_from(len).ok()?).ok()?;
        self.abi = abi::Memory { base: self.region.base(), len };
        Some((old, moved))
    }

    fn resize(&mut self, len: usize) -> std::io::Result<bool> {
        if self.style == MemoryStyle::Guarded || len <= self.region.reserved() {
            return self.region.extend(len).map(|()| false);
        }
        let doubled = len.saturating_add(self.region.reserved());
        let mut region = Region::reserve(doubled).or_else(|_| Region::reserve(len))?;
        region.extend(len)?;
        region.copy_from(&self.region, self.abi.len as usize);
        self.region = region;
        self.imaged = false;
        Ok(true)
    }

    /// Lets it hold what its image says, where that is not so already.
    ///
    /// # Errors
    /// [`Limit`](Error::Limit), where the system refuses.
    pub(crate) fn hold(&mut self, image: &Image) -> Result<()> {
        if !self.imaged {
            self.region.map(image).map_err(|error| Error::Limit(format!("an image of a memory: {error}")))?;
            self.imaged = true;
        }
        Ok(())
    }

    /// Makes it what it was at first: of its first size, and holding zeros, or its image where that was mapped.
    ///
    /// # Errors
    /// [`Limit`](Error::Limit), where the system refuses; then it cannot be used any more.
    pub(crate) fn reset(&mut self) -> Result<()> {
        let len = self.ty.minimum << self.ty.page_shift;
        self.region
            .reset(len as usize, self.imaged)
            .map_err(|error| Error::Limit(format!("a memory to reset: {error}")))?;
        self.abi.len = len;
        Ok(())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: accessible, and borrowed with self.
        unsafe { std::slice::from_raw_parts(self.abi.base, self.abi.len as usize) }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: accessible, and borrowed with self.
        unsafe { std::slice::from_raw_parts_mut(self.abi.base, self.abi.len as usize) }
    }
}

impl StoreOpaque {
    /// Makes a memory, and gives its place in the store.
    pub(crate) fn new_memory(&mut self, ty: &MemoryType) -> Result<u32> {
        let config = self.engine().config();
        let (most, bytes) = (config.max_memories, config.max_memory);
        self.check_count(self.memories.len() + 1, most, "memories", |limiter| limiter.memories())?;
        let size = |pages: u64| pages.saturating_mul(ty.page_size());
        if !self.may_grow(Growth::Memory, 0, size(ty.minimum), ty.maximum.map(size))? {
            return Err(Error::Limit(format!(
                "a memory of {} pages: the store's limiter does not allow it",
                ty.minimum
            )));
        }
        let memory = MemoryData::new(self.engine().memory_style(ty), ty, bytes)?;
        self.memories.push(crate::owned::Owned::new(memory));
        Ok(self.memories.len() as u32 - 1)
    }

    /// The old size in pages, if it can.
    ///
    /// # Errors
    /// The limiter's, which ends the guest.
    pub(crate) fn grow_memory(&mut self, index: u32, pages: u64) -> Result<Option<u64>> {
        let memory = self.memories[index as usize].get();
        let size = |pages: u64| pages.saturating_mul(memory.ty.page_size());
        let (old, maximum) = (memory.abi.len, memory.ty.maximum.map(size));
        let desired = old.saturating_add(size(pages));
        let allowed = self.may_grow(Growth::Memory, old, desired, maximum)?;
        let memory = &mut self.memories[index as usize];
        let Some((old, moved)) = allowed.then(|| memory.get_mut().grow(pages)).flatten() else {
            self.grow_failed(Growth::Memory, || format!("a memory cannot grow by {pages} pages"))?;
            return Ok(None);
        };
        let place: NonNull<abi::Memory> = memory.as_non_null().cast();
        if moved {
            self.memory_moved(place);
        }
        Ok(Some(old))
    }
}

/// A linear memory in a store.
///
/// ```
/// use kitbag::{Engine, Linker, Module, Store};
///
/// let engine = Engine::default();
/// let mut store = Store::new(&engine, ());
/// let module = Module::new(&engine, r#"(module (memory (export "memory") 1) (data (i32.const 4) "kitbag"))"#)?;
/// let instance = Linker::new(&engine).instantiate(&mut store, &module)?;
/// let memory = instance.get_memory(&mut store, "memory").expect("it is exported");
/// assert_eq!(&memory.data(&store)[4..10], b"kitbag");
/// memory.data_mut(&mut store)[4] = b'K';
/// assert_eq!(memory.grow(&mut store, 1)?, 1);
/// # Ok::<(), kitbag::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Memory {
    store: StoreId,
    index: u32,
}

impl Memory {
    /// A memory of the host's making.
    ///
    /// # Errors
    /// [`Limit`](Error::Limit), where the configuration or the system does not allow it.
    pub fn new(mut store: impl AsContextMut, ty: MemoryType) -> Result<Memory> {
        let mut store = store.as_context_mut();
        let store = store.opaque_mut();
        let index = store.new_memory(&ty)?;
        Ok(Memory::new_handle(store.id(), index))
    }

    pub(crate) fn new_handle(store: StoreId, index: u32) -> Memory {
        Memory { store, index }
    }

    pub(crate) fn index(self, store: &StoreOpaque) -> u32 {
        store.id().check(self.store);
        self.index
    }

    fn get(self, store: &StoreOpaque) -> &MemoryData {
        store.memories[self.index(store) as usize].get()
    }

    fn get_mut(self, store: &mut StoreOpaque) -> &mut MemoryData {
        let index = self.index(store);
        store.memories[index as usize].get_mut()
    }

    /// Its type, with the present size as the minimum.
    pub fn ty(&self, store: impl AsContext) -> MemoryType {
        self.get(store.as_context().opaque()).ty()
    }

    /// Its bytes.
    pub fn data<'a, T: 'static>(&self, store: impl Into<StoreContext<'a, T>>) -> &'a [u8] {
        self.get(store.into().into_opaque()).bytes()
    }

    /// Its bytes.
    pub fn data_mut<'a, T: 'static>(&self, store: impl Into<StoreContextMut<'a, T>>) -> &'a mut [u8] {
        self.get_mut(store.into().into_opaque_mut()).bytes_mut()
    }

    /// Its bytes, and the host's data.
    pub fn data_and_store_mut<'a, T: 'static>(
        &self,
        store: impl Into<StoreContextMut<'a, T>>,
    ) -> (&'a mut [u8], &'a mut T) {
        let (store, data) = store.into().into_parts();
        (self.get_mut(store).bytes_mut(), data)
    }

    /// Where its bytes are, until it grows or its store is dropped.
    pub fn data_ptr(&self, store: impl AsContext) -> *mut u8 {
        self.get(store.as_context().opaque()).abi.base
    }

    /// Bytes of its pages.
    pub fn page_size(&self, store: impl AsContext) -> u64 {
        self.get(store.as_context().opaque()).ty.page_size()
    }

    /// Its size in pages.
    pub fn size(&self, store: impl AsContext) -> u64 {
        self.get(store.as_context().opaque()).pages()
    }

    /// Its size in bytes.
    pub fn data_size(&self, store: impl AsContext) -> usize {
        self.get(store.as_context().opaque()).bytes().len()
    }

    /// Grows by `pages`, and gives the old size.
    ///
    /// # Errors
    /// [`Limit`](Error::Limit), where its maximum, the configuration or the system does not allow it.
    pub fn grow(&self, mut store: impl AsContextMut, pages: u64) -> Result<u64> {
        let mut store = store.as_context_mut();
        let store = store.opaque_mut();
        let index = self.index(store);
        let refused = || Error::Limit(format!("a memory cannot grow by {pages} pages"));
        store.grow_memory(index, pages)?.ok_or_else(refused)
    }

    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    /// A trap, where that is outside.
    pub fn read(&self, store: impl AsContext, offset: usize, buffer: &mut [u8]) -> Result<()> {
        let store = store.as_context();
        let bytes = self.get(store.opaque()).bytes();
        let range = offset..offset.saturating_add(buffer.len());
        buffer.copy_from_slice(bytes.get(range).ok_or_else(out_of_bounds)?);
        Ok(())
    }

    /// Writes `buffer` at `offset`.
    ///
    /// # Errors
    /// A trap, where that is outside; nothing is written then.
    pub fn write(&self, mut store: impl AsContextMut, offset: usize, buffer: &[u8]) -> Result<()> {
        let mut store = store.as_context_mut();
        let bytes = self.get_mut(store.opaque_mut()).bytes_mut();
        let range = offset..offset.saturating_add(buffer.len());
        bytes.get_mut(range).ok_or_else(out_of_bounds)?.copy_from_slice(buffer);
        Ok(())
    }
}

fn out_of_bounds() -> Error {
    Error::Trap(crate::Trap::new(abi::TrapCode::MemoryOutOfBounds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types() -> [(MemoryStyle, MemoryType); 2] {
        let wide = MemoryType { index64: true, ..MemoryType::new(1, Some(5)) };
        [(MemoryStyle::Guarded, MemoryType::new(1, Some(5))), (MemoryStyle::Checked, wide)]
    }

    #[test]
    fn grows_to_its_maximum_and_keeps_its_bytes() {
        for (style, ty) in types() {
            let mut memory = MemoryData::new(style, &ty, 1 << 32).unwrap();
            memory.bytes_mut()[65535] = 9;
            assert_eq!(memory.grow(4).map(|grown| grown.0), Some(1));
            assert_eq!((memory.bytes()[65535], memory.bytes()[5 * 65536 - 1]), (9, 0));
            assert_eq!(memory.grow(1), None);
            assert_eq!(memory.grow(u64::MAX), None);
            assert_eq!(memory.grow(0), Some((5, false)));
        }
    }

    #[test]
    fn the_configured_limit_counts_what_is_used_and_not_what_is_declared() {
        for (style, ty) in types() {
            let mut memory = MemoryData::new(style, &ty, 3 << 16).unwrap();
            assert!(memory.grow(2).is_some());
            assert_eq!(memory.grow(1), None);
            assert!(MemoryData::new(style, &ty, 100).is_err());
        }
    }
}
