//! Values of scripts: arguments, and what results are compared with.

use wast::core::{AbstractHeapType, HeapType, NanPattern, V128Pattern, WastArgCore, WastRetCore};
use wast::token::{F32, F64};
use wast::{WastArg, WastRet};

use crate::{Error, ExternRef, Result, Store, Val};

/// # Errors
/// [`Unsupported`](Error::Unsupported), and [`Limit`](Error::Limit) for references of the host.
pub(super) fn argument(store: &mut Store<()>, arg: &WastArg<'_>) -> Result<Val> {
    let WastArg::Core(arg) = arg else {
        return Err(Error::Unsupported("arguments of components".into()));
    };
    Ok(match arg {
        WastArgCore::I32(value) => Val::I32(*value),
        WastArgCore::I64(value) => Val::I64(*value),
        WastArgCore::F32(value) => Val::F32(value.bits),
        WastArgCore::F64(value) => Val::F64(value.bits),
        WastArgCore::V128(value) => Val::V128(u128::from_le_bytes(value.to_le_bytes())),
        WastArgCore::RefNull(HeapType::Abstract { ty, .. }) => match ty {
            AbstractHeapType::Func | AbstractHeapType::NoFunc => Val::FuncRef(None),
            AbstractHeapType::Extern | AbstractHeapType::NoExtern => Val::ExternRef(None),
            AbstractHeapType::Exn | AbstractHeapType::NoExn => Val::ExnRef(None),
            _ => Val::AnyRef(None),
        },
        WastArgCore::RefNull(HeapType::Concrete(_)) => Val::FuncRef(None),
        WastArgCore::RefExtern(value) => Val::ExternRef(Some(ExternRef::new(store, *value)?)),
        other => return Err(Error::Unsupported(format!("the argument {other:?}"))),
    })
}

pub(super) fn matches(store: &Store<()>, found: &Val, wanted: &WastRet<'_>) -> bool {
    match wanted {
        WastRet::Core(wanted) => matches_core(store, found, wanted),
        _ => false,
    }
}

fn matches_core(store: &Store<()>, found: &Val, wanted: &WastRetCore<'_>) -> bool {
    match (found, wanted) {
        (Val::I32(found), WastRetCore::I32(wanted)) => found == wanted,
        (Val::I64(found), WastRetCore::I64(wanted)) => found == wanted,
        (Val::F32(found), WastRetCore::F32(wanted)) => matches_f32(*found, wanted),
        (Val::F64(found), WastRetCore::F64(wanted)) => matches_f64(*found, wanted),
        (Val::V128(found), WastRetCore::V128(wanted)) => matches_v128(*found, wanted),
        (found, WastRetCore::RefNull(_)) => found.is_null(),
        (Val::FuncRef(Some(_)), WastRetCore::RefFunc(_)) => true,
        (Val::ExternRef(Some(found)), WastRetCore::RefExtern(wanted)) => {
            wanted.is_none_or(|wanted| host_value(store, *found) == Some(wanted))
        }
        (found, WastRetCore::Either(any)) => any.iter().any(|wanted| matches_core(store, found, wanted)),
        _ => false,
    }
}

fn host_value(store: &Store<()>, reference: ExternRef) -> Option<u32> {
    reference.data(store).downcast_ref().copied()
}

fn matches_f32(found: u32, wanted: &NanPattern<F32>) -> bool {
    match wanted {
        NanPattern::CanonicalNan => found & 0x7fff_ffff == 0x7fc0_0000,
        NanPattern::ArithmeticNan => found & 0x7fc0_0000 == 0x7fc0_0000,
        NanPattern::Value(wanted) => found == wanted.bits,
    }
}

fn matches_f64(found: u64, wanted: &NanPattern<F64>) -> bool {
    match wanted {
        NanPattern::CanonicalNan => found & (u64::MAX >> 1) == 0x7ff8 << 48,
        NanPattern::ArithmeticNan => found & (0x7ff8 << 48) == 0x7ff8 << 48,
        NanPattern::Value(wanted) => found == wanted.bits,
    }
}

fn matches_v128(found: u128, wanted: &V128Pattern) -> bool {
    let mut bytes = found.to_le_bytes();
    let mut lane = |size: usize| {
        let mut lane = [0; 8];
        lane[..size].copy_from_slice(&bytes[..size]);
        bytes.rotate_left(size);
        u64::from_le_bytes(lane)
    };
    match wanted {
        V128Pattern::I8x16(wanted) => wanted.iter().all(|&wanted| lane(1) as i8 == wanted),
        V128Pattern::I16x8(wanted) => wanted.iter().all(|&wanted| lane(2) as i16 == wanted),
        V128Pattern::I32x4(wanted) => wanted.iter().all(|&wanted| lane(4) as i32 == wanted),
        V128Pattern::I64x2(wanted) => wanted.iter().all(|&wanted| lane(8) as i64 == wanted),
        V128Pattern::F32x4(wanted) => wanted.iter().all(|wanted| matches_f32(lane(4) as u32, wanted)),
        V128Pattern::F64x2(wanted) => wanted.iter().all(|wanted| matches_f64(lane(8), wanted)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_patterns_look_at_the_payload() {
        let canonical = NanPattern::CanonicalNan;
        let arithmetic = NanPattern::ArithmeticNan;
        for (bits, is_canonical, is_arithmetic) in [
            (0x7fc0_0000, true, true),
            (0xffc0_0000, true, true),
            (0x7fc0_0001, false, true),
            (0x7fa0_0000, false, false),
            (0x7f80_0000, false, false),
        ] {
            assert_eq!(matches_f32(bits, &canonical), is_canonical, "{bits:#x}");
            assert_eq!(matches_f32(bits, &arithmetic), is_arithmetic, "{bits:#x}");
        }
        assert!(matches_f64(0x7ff8 << 48, &NanPattern::CanonicalNan));
        assert!(!matches_f64((0x7ff8 << 48) | 1, &NanPattern::CanonicalNan));
        assert!(matches_f64((0xfff8 << 48) | 1, &NanPattern::ArithmeticNan));
    }

    #[test]
    fn lanes_are_compared_in_order() {
        let value = u128::from_le_bytes([1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 0xff, 0xff]);
        assert!(matches_v128(value, &V128Pattern::I16x8([1, 2, 3, 4, 5, 6, 7, -1])));
        assert!(!matches_v128(value, &V128Pattern::I16x8([1, 2, 3, 4, 5, 6, 8, -1])));
    }
}
