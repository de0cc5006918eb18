//! Values that cross between host and guest.

use std::any::Any;

use crate::jit::abi;
use crate::store::{AsContext, AsContextMut, StoreId, StoreOpaque};
use crate::{Error, ExnRef, Func, HeapType, RefType, Result, TypeId, ValType};

/// A value of WebAssembly. Floats are their bits, since a NaN's payload is the guest's business.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Val {
    /// 32-bit integer.
    I32(i32),
    /// 64-bit integer.
    I64(i64),
    /// A single's bits.
    F32(u32),
    /// A double's bits.
    F64(u64),
    /// 128-bit vector, little-endian.
    V128(u128),
    /// Function, or null.
    FuncRef(Option<Func>),
    /// A value of the host, or null.
    ExternRef(Option<ExternRef>),
    /// Exception, or null.
    ExnRef(Option<ExnRef>),
    /// Null, as there are no objects yet.
    AnyRef(Option<AnyRef>),
}

/// An object of garbage collection, of which there are none yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnyRef {}

impl Val {
    /// Its type.
    #[must_use]
    pub fn ty(&self) -> ValType {
        match self {
            Val::I32(_) => ValType::I32,
            Val::I64(_) => ValType::I64,
            Val::F32(_) => ValType::F32,
            Val::F64(_) => ValType::F64,
            Val::V128(_) => ValType::V128,
            Val::FuncRef(_) => ValType::FUNCREF,
            Val::ExternRef(_) => ValType::EXTERNREF,
            Val::ExnRef(_) => ValType::EXNREF,
            Val::AnyRef(_) => ValType::Ref(RefType::new(true, HeapType::Any)),
        }
    }

    /// Zero, or null.
    #[must_use]
    pub fn default_for(ty: ValType) -> Val {
        match ty {
            ValType::I32 => Val::I32(0),
            ValType::I64 => Val::I64(0),
            ValType::F32 => Val::F32(0),
            ValType::F64 => Val::F64(0),
            ValType::V128 => Val::V128(0),
            ValType::Ref(ty) => match ty.heap().top() {
                HeapType::Func => Val::FuncRef(None),
                HeapType::Extern => Val::ExternRef(None),
                HeapType::Exn => Val::ExnRef(None),
                _ => Val::AnyRef(None),
            },
        }
    }

    /// Whether it is a reference that leads nowhere.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Val::FuncRef(None) | Val::ExternRef(None) | Val::ExnRef(None) | Val::AnyRef(None))
    }

    /// The value, if it is an i32.
    #[must_use]
    pub fn i32(&self) -> Option<i32> {
        if let Val::I32(value) = *self { Some(value) } else { None }
    }

    /// The value, if it is an i64.
    #[must_use]
    pub fn i64(&self) -> Option<i64> {
        if let Val::I64(value) = *self { Some(value) } else { None }
    }

    /// The value, if it is an f32.
    #[must_use]
    pub fn f32(&self) -> Option<f32> {
        if let Val::F32(bits) = *self { Some(f32::from_bits(bits)) } else { None }
    }

    /// The value, if it is an f64.
    #[must_use]
    pub fn f64(&self) -> Option<f64> {
        if let Val::F64(bits) = *self { Some(f64::from_bits(bits)) } else { None }
    }

    /// The value, if it is a vector.
    #[must_use]
    pub fn v128(&self) -> Option<u128> {
        if let Val::V128(bits) = *self { Some(bits) } else { None }
    }

    /// The function or null, if it is a reference to functions.
    #[must_use]
    pub fn func_ref(&self) -> Option<Option<Func>> {
        if let Val::FuncRef(func) = *self { Some(func) } else { None }
    }

    /// The host's value or null, if it is a reference to such.
    #[must_use]
    pub fn extern_ref(&self) -> Option<Option<ExternRef>> {
        if let Val::ExternRef(reference) = *self { Some(reference) } else { None }
    }

    /// As compiled code holds it.
    ///
    /// # Panics
    /// If it is a reference of another store.
    pub(crate) fn to_raw(self, store: StoreId) -> abi::Global {
        let bits = match self {
            Val::I32(value) => value as u32 as u128,
            Val::I64(value) => value as u64 as u128,
            Val::F32(bits) => bits.into(),
            Val::F64(bits) => bits.into(),
            Val::V128(bits) => bits,
            Val::FuncRef(func) => func.map_or(0, |func| func.to_bits(store)).into(),
            Val::ExternRef(reference) => reference.map_or(0, |reference| reference.to_bits(store)).into(),
            Val::ExnRef(reference) => reference.map_or(0, |reference| reference.to_bits(store)).into(),
            Val::AnyRef(_) => 0,
        };
        abi::Global(bits.to_le_bytes())
    }

    /// From what compiled code of the store holds as a `ty`.
    pub(crate) fn from_raw(raw: abi::Global, ty: ValType, store: &StoreOpaque) -> Val {
        let bits = u128::from_le_bytes(raw.0);
        match ty {
            ValType::I32 => Val::I32(bits as i32),
            ValType::I64 => Val::I64(bits as i64),
            ValType::F32 => Val::F32(bits as u32),
            ValType::F64 => Val::F64(bits as u64),
            ValType::V128 => Val::V128(bits),
            ValType::Ref(ty) => match ty.heap().top() {
                HeapType::Func => Val::FuncRef(Func::from_bits(bits as u64, store.id())),
                HeapType::Extern => Val::ExternRef(ExternRef::from_bits(bits as u64, store.id())),
                HeapType::Exn => Val::ExnRef(ExnRef::from_bits(bits as u64, store)),
                _ => Val::AnyRef(None),
            },
        }
    }

    /// Its type, as narrow as it is known: a function's own, and that of null for null.
    fn narrow_type(&self, store: StoreId) -> ValType {
        match self {
            Val::FuncRef(None) => ValType::Ref(RefType::new(true, HeapType::NoFunc)),
            Val::FuncRef(Some(func)) => {
                ValType::Ref(RefType::new(false, HeapType::ConcreteFunc(TypeId(func.signature(store)))))
            }
            Val::ExternRef(None) => ValType::Ref(RefType::new(true, HeapType::NoExtern)),
            Val::ExternRef(Some(_)) => ValType::Ref(RefType::new(false, HeapType::Extern)),
            Val::ExnRef(None) => ValType::Ref(RefType::new(true, HeapType::NoExn)),
            Val::ExnRef(Some(_)) => ValType::Ref(RefType::new(false, HeapType::Exn)),
            Val::AnyRef(_) => ValType::Ref(RefType::new(true, HeapType::None)),
            number => number.ty(),
        }
    }

    /// # Errors
    /// [`Type`](Error::Type), where it is no `wanted`.
    ///
    /// # Panics
    /// If it is a function of another store.
    pub(crate) fn expect_type(&self, wanted: ValType, store: &StoreOpaque) -> Result<()> {
        let found = self.narrow_type(store.id());
        if found == wanted || found.matches(wanted, &store.engine().types()) {
            return Ok(());
        }
        Err(Error::Type(format!("type mismatch: expected {wanted}, found {}", self.ty())))
    }
}

macro_rules! unwrap {
    ($($name:ident $get:ident $ty:ty;)*) => {
        impl Val {
            $(
                #[doc = concat!("The value of what is known to be one of these: see [`Val::", stringify!($get), "`].")]
                ///
                /// # Panics
                /// If it is another.
                #[must_use]
                #[track_caller]
                pub fn $name(&self) -> $ty {
                    self.$get().unwrap_or_else(|| panic!("a value is of type {}", self.ty()))
                }
            )*
        }
    };
}

unwrap! {
    unwrap_i32 i32 i32;
    unwrap_i64 i64 i64;
    unwrap_f32 f32 f32;
    unwrap_f64 f64 f64;
    unwrap_v128 v128 u128;
    unwrap_func_ref func_ref Option<Func>;
    unwrap_extern_ref extern_ref Option<ExternRef>;
}

macro_rules! val_from {
    ($($from:ty => |$value:ident| $val:expr;)*) => {
        $(impl From<$from> for Val {
            fn from($value: $from) -> Val { $val }
        })*
    };
}

val_from! {
    i32 => |value| Val::I32(value);
    u32 => |value| Val::I32(value as i32);
    i64 => |value| Val::I64(value);
    u64 => |value| Val::I64(value as i64);
    f32 => |value| Val::F32(value.to_bits());
    f64 => |value| Val::F64(value.to_bits());
    u128 => |value| Val::V128(value);
    Option<Func> => |value| Val::FuncRef(value);
    Func => |value| Val::FuncRef(Some(value));
    Option<ExternRef> => |value| Val::ExternRef(value);
    ExternRef => |value| Val::ExternRef(Some(value));
    Option<ExnRef> => |value| Val::ExnRef(value);
    ExnRef => |value| Val::ExnRef(Some(value));
}

/// A value of the host that guests can hold and hand back but not look into. Its store keeps it until
/// the store is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExternRef {
    store: StoreId,
    index: u32,
}

impl ExternRef {
    /// Gives `value` to the store.
    ///
    /// # Errors
    /// [`Limit`](Error::Limit), where the store has [as many as it may](crate::Config::max_host_references).
    pub fn new(mut store: impl AsContextMut, value: impl Any + Send + Sync) -> Result<ExternRef> {
        let mut store = store.as_context_mut();
        let store = store.opaque_mut();
        let most = store.engine().config().max_host_references;
        if store.externs.len() >= most {
            return Err(Error::Limit(format!("{most} host references in a store")));
        }
        store.externs.push(Box::new(value));
        Ok(ExternRef { store: store.id(), index: store.externs.len() as u32 - 1 })
    }

    /// The value.
    ///
    /// # Panics
    /// If it is another store's.
    pub fn data<'a, T: 'static>(&self, store: impl Into<crate::StoreContext<'a, T>>) -> &'a (dyn Any + Send + Sync) {
        let store = store.into().into_opaque();
        store.id().check(self.store);
        &*store.externs[self.index as usize]
    }

    pub(crate) fn to_bits(self, store: StoreId) -> u64 {
        store.check(self.store);
        u64::from(self.index) + 1
    }

    pub(crate) fn from_bits(bits: u64, store: StoreId) -> Option<ExternRef> {
        Some(ExternRef { store, index: bits.checked_sub(1)? as u32 })
    }

    /// Whether it belongs to `store`.
    pub fn comes_from(&self, store: impl AsContext) -> bool {
        store.as_context().opaque().id() == self.store
    }
}
