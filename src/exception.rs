//! Exceptions as the host sees them.

use std::fmt;

use crate::store::{AsContext, AsContextMut, StoreId, StoreOpaque, TagData};
use crate::{Error, Result, TagType, Trap, TrapCode, Val};

/// A tag in a store: what an exception is thrown with, and caught by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tag {
    store: StoreId,
    index: u32,
}

impl Tag {
    /// A tag of the host's making, different from all others.
    pub fn new(mut store: impl AsContextMut, ty: TagType) -> Tag {
        let mut store = store.as_context_mut();
        let store = store.opaque_mut();
        let signature = store.engine().signature_id(&ty.func);
        store.tags.push(TagData { ty, signature });
        Tag::new_handle(store.id(), store.tags.len() as u32 - 1)
    }

    pub(crate) fn new_handle(store: StoreId, index: u32) -> Tag {
        Tag { store, index }
    }

    pub(crate) fn index(self, store: &StoreOpaque) -> u32 {
        store.id().check(self.store);
        self.index
    }

    /// Its type.
    pub fn ty(&self, store: impl AsContext) -> TagType {
        let store = store.as_context();
        let store = store.opaque();
        store.tags[self.index(store) as usize].ty.clone()
    }
}

/// An exception on the host's side, as an [`Error`]: what a call gives that no guest caught, and what a host function raises
/// by giving it. One that passes through goes on in the guest that called the host. Displays as one line.
///
/// ```
/// use kitbag::{Engine, Error, Exception, Linker, Module, Store, Tag, TagType, Val, ValType};
///
/// let engine = Engine::default();
/// let mut store = Store::new(&engine, ());
/// let tag = Tag::new(&mut store, TagType::new([ValType::I32]));
/// let mut linker = Linker::new(&engine);
/// linker.define(&store, "host", "tag", tag)?;
/// linker.func_wrap("host", "fail", move |caller: kitbag::Caller<'_, ()>, code: i32| -> kitbag::Result<()> {
///     Err(Exception::new(&caller, tag, [Val::I32(code)])?.into())
/// })?;
/// let module = Module::new(&engine, r#"(module
///     (import "host" "tag" (tag $tag (param i32)))
///     (import "host" "fail" (func $fail (param i32)))
///     (func (export "try") (param i32) (result i32)
///         (block $caught (result i32)
///             (try_table (catch $tag $caught) (call $fail (local.get 0)))
///             (i32.const 0)))
///     (func (export "leave") (throw $tag (i32.const 7))))"#)?;
/// let instance = linker.instantiate(&mut store, &module)?;
/// let attempt = instance.get_typed_func::<i32, i32>(&mut store, "try")?;
/// assert_eq!(attempt.call(&mut store, 5)?, 5);
///
/// let leave = instance.get_typed_func::<(), ()>(&mut store, "leave")?;
/// let error = leave.call(&mut store, ()).unwrap_err();
/// assert_eq!(error.to_string(), "uncaught exception: i32 7");
/// let Error::Exception(exception) = error else { unreachable!() };
/// assert_eq!((exception.tag(), exception.values()[0].i32()), (tag, Some(7)));
/// assert_eq!(exception.trap().display_backtrace().to_string(), "   0: <wasm function 2>\n");
/// # Ok::<(), kitbag::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Exception {
    pub(crate) tag: Tag,
    pub(crate) values: Box<[Val]>,
    pub(crate) trap: Trap,
}

impl Exception {
    /// An exception with this tag.
    ///
    /// # Errors
    /// [`Type`](Error::Type), where `values` are not of the tag's types.
    ///
    /// # Panics
    /// If the tag or a value belongs to another store.
    pub fn new(store: impl AsContext, tag: Tag, values: impl IntoIterator<Item = Val>) -> Result<Exception> {
        let store = store.as_context();
        let store = store.opaque();
        let values: Box<[Val]> = values.into_iter().collect();
        let types = store.tags[tag.index(store) as usize].ty.params();
        if types.len() != values.len() {
            return Err(Error::Type(format!("a tag of {} values was given {}", types.len(), values.len())));
        }
        values.iter().zip(types).try_for_each(|(value, &ty)| value.expect_type(ty, store))?;
        Ok(Exception { tag, values, trap: Trap::new(TrapCode::UncaughtException) })
    }

    pub(crate) fn store(&self) -> StoreId {
        self.tag.store
    }

    /// What it was thrown with.
    #[must_use]
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// What it carries.
    #[must_use]
    pub fn values(&self) -> &[Val] {
        &self.values
    }

    /// The trap that it is where nobody catches it: [`UncaughtException`](TrapCode::UncaughtException), and a backtrace from where it
    /// was thrown.
    #[must_use]
    pub fn trap(&self) -> &Trap {
        &self.trap
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.trap.code)?;
        for (index, value) in self.values.iter().enumerate() {
            write!(f, "{}{} ", if index == 0 { ": " } else { ", " }, value.ty())?;
            match value {
                Val::I32(value) => write!(f, "{value}")?,
                Val::I64(value) => write!(f, "{value}")?,
                Val::F32(bits) => write!(f, "{}", f32::from_bits(*bits))?,
                Val::F64(bits) => write!(f, "{}", f64::from_bits(*bits))?,
                Val::V128(bits) => write!(f, "{bits:#034x}")?,
                reference => f.write_str(if reference.is_null() { "null" } else { "reference" })?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for Exception {}

impl From<Exception> for Error {
    fn from(exception: Exception) -> Error {
        Error::Exception(exception)
    }
}

/// A reference to an exception. Its store keeps what was given to the host until the store is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExnRef {
    store: StoreId,
    bits: u64,
}

impl ExnRef {
    /// Gives an exception to a store.
    ///
    /// # Errors
    /// [`Limit`](Error::Limit), where the store has [as many as it may](crate::Config::max_exception_bytes).
    ///
    /// # Panics
    /// If it belongs to another store.
    pub fn new(mut store: impl AsContextMut, exception: &Exception) -> Result<ExnRef> {
        let mut store = store.as_context_mut();
        let store = store.opaque_mut();
        let bits = store.keep_exception(exception)?;
        store.pin_exception(bits);
        Ok(ExnRef { store: store.id(), bits })
    }

    /// What it leads to.
    ///
    /// # Panics
    /// If it belongs to another store.
    pub fn exception(&self, store: impl AsContext) -> Exception {
        let store = store.as_context();
        store.opaque().id().check(self.store);
        store.opaque().exception(self.bits)
    }

    pub(crate) fn to_bits(self, store: StoreId) -> u64 {
        store.check(self.store);
        self.bits
    }

    /// From what compiled code of the store holds.
    pub(crate) fn from_bits(bits: u64, store: &StoreOpaque) -> Option<ExnRef> {
        if bits == 0 {
            return None;
        }
        store.pin_exception(bits);
        Some(ExnRef { store: store.id(), bits })
    }
}
