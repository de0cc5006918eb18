//! Globals.

use crate::owned::Owned;
use crate::store::{AsContext, AsContextMut, GlobalData, StoreId, StoreOpaque};
use crate::{Error, GlobalType, Mutability, Result, Val};

/// A global in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Global {
    store: StoreId,
    index: u32,
}

impl Global {
    /// A global of the host's making.
    ///
    /// # Errors
    /// [`Type`](Error::Type), where `value` is of another type.
    pub fn new(mut store: impl AsContextMut, ty: GlobalType, value: Val) -> Result<Global> {
        let mut store = store.as_context_mut();
        let store = store.opaque_mut();
        value.expect_type(ty.content, store)?;
        let owned = Owned::new(value.to_raw(store.id()));
        store.globals.push(GlobalData { place: owned.as_non_null(), ty });
        store.host_globals.push(owned);
        Ok(Global::new_handle(store.id(), store.globals.len() as u32 - 1))
    }

    pub(crate) fn new_handle(store: StoreId, index: u32) -> Global {
        Global { store, index }
    }

    pub(crate) fn index(self, store: &StoreOpaque) -> u32 {
        store.id().check(self.store);
        self.index
    }

    /// Its type.
    pub fn ty(&self, store: impl AsContext) -> GlobalType {
        let store = store.as_context();
        let store = store.opaque();
        store.global(self.index(store)).ty.clone()
    }

    /// Its value.
    pub fn get(&self, store: impl AsContext) -> Val {
        let store = store.as_context();
        let store = store.opaque();
        let index = self.index(store);
        Val::from_raw(store.global_value(index), store.global(index).ty.content, store)
    }

    /// Sets its value.
    ///
    /// # Errors
    /// [`Type`](Error::Type), where it cannot be set or `value` is of another type.
    pub fn set(&self, mut store: impl AsContextMut, value: Val) -> Result<()> {
        let mut store = store.as_context_mut();
        let store = store.opaque_mut();
        let index = self.index(store);
        let ty = &store.global(index).ty;
        if ty.mutability == Mutability::Const {
            return Err(Error::Type("a constant global cannot be set".into()));
        }
        value.expect_type(ty.content, store)?;
        store.set_global_value(index, value.to_raw(store.id()));
        Ok(())
    }
}
