//! The host's types that values of WebAssembly have.

use crate::jit::abi;
use crate::store::StoreId;
use crate::{ExternRef, Func, ValType};

/// How a value travels by the C ABI: integers and references as 64 bits, floats as themselves.
pub trait Abi: Copy + 'static {
    /// From its bits.
    fn from_bits(bits: u64) -> Self;
    /// Its bits, zero-extended.
    fn into_bits(self) -> u64;
}

impl Abi for u64 {
    #[inline]
    fn from_bits(bits: u64) -> u64 {
        bits
    }

    #[inline]
    fn into_bits(self) -> u64 {
        self
    }
}

impl Abi for f32 {
    #[inline]
    fn from_bits(bits: u64) -> f32 {
        f32::from_bits(bits as u32)
    }

    #[inline]
    fn into_bits(self) -> u64 {
        self.to_bits().into()
    }
}

impl Abi for f64 {
    #[inline]
    fn from_bits(bits: u64) -> f64 {
        f64::from_bits(bits)
    }

    #[inline]
    fn into_bits(self) -> u64 {
        self.to_bits()
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A type of the host that is a value's: `i32`, `u32`, `i64`, `u64`, `f32`, `f64`, `Option<Func>` for `funcref`
/// and `Option<ExternRef>` for `externref`.
pub trait WasmTy: Sized + sealed::Sealed + 'static {
    /// How it travels.
    #[doc(hidden)]
    type Abi: Abi;

    /// The value's type.
    #[doc(hidden)]
    const TYPE: ValType;

    /// From what compiled code of `store` passed.
    #[doc(hidden)]
    fn from_abi(abi: Self::Abi, store: StoreId) -> Self;

    /// As compiled code of `store` takes it.
    ///
    /// # Panics
    /// If it is a reference of another store.
    #[doc(hidden)]
    fn into_abi(self, store: StoreId) -> Self::Abi;

    #[doc(hidden)]
    #[inline]
    fn from_place(place: &abi::Global, store: StoreId) -> Self {
        let low = u128::from_le_bytes(place.0) as u64;
        Self::from_abi(Self::Abi::from_bits(low), store)
    }

    #[doc(hidden)]
    #[inline]
    fn into_place(self, store: StoreId) -> abi::Global {
        abi::Global(u128::from(self.into_abi(store).into_bits()).to_le_bytes())
    }
}

macro_rules! wasm_ty {
    ($($ty:ty: $abi:ty, $type:expr, |$bits:ident, $from:pat_param| $value:expr, |$this:ident, $into:pat_param| $out:expr;)*) => {
        $(impl sealed::Sealed for $ty {}

        impl WasmTy for $ty {
            type Abi = $abi;
            const TYPE: ValType = $type;

            #[inline]
            fn from_abi($bits: $abi, $from: StoreId) -> $ty { $value }

            #[inline]
            fn into_abi(self, $into: StoreId) -> $abi { let $this = self; $out }
        })*
    };
}

wasm_ty! {
    i32: u64, ValType::I32, |bits, _| bits as i32, |value, _| u64::from(value as u32);
    u32: u64, ValType::I32, |bits, _| bits as u32, |value, _| u64::from(value);
    i64: u64, ValType::I64, |bits, _| bits as i64, |value, _| value as u64;
    u64: u64, ValType::I64, |bits, _| bits, |value, _| value;
    f32: f32, ValType::F32, |bits, _| bits, |value, _| value;
    f64: f64, ValType::F64, |bits, _| bits, |value, _| value;
    Option<Func>: u64, ValType::FUNCREF, |bits, store| Func::from_bits(bits, store),
        |value, store| value.map_or(0, |func| func.to_bits(store));
    Option<ExternRef>: u64, ValType::EXTERNREF, |bits, store| ExternRef::from_bits(bits, store),
        |value, store| value.map_or(0, |reference| reference.to_bits(store));
}
