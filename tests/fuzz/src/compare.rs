//! Both engines in lock-step: every export is called, and after each call everything that can be seen is compared.

use crate::case::{Case, Random};
use crate::engines::{Cause, Ended, Engine, Kitbag, Type, Value, Wasmi};

/// Calls of each exported function.
const CALLS: usize = 3;

/// Memory bytes that are as interesting to a guest as to its compiler.
const BITS: [u64; 24] = [
    0,
    1,
    2,
    5,
    31,
    32,
    63,
    0x7f,
    0x80,
    0xff,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX,
    0xffff_ffff_8000_0000,
    0xffff_ffff_7fff_ffff,
    u64::MAX - 1,
    0x0123_4567_89ab_cdef,
    0xfedc_ba98_7654_3210,
];

const FLOATS: [f64; 20] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    1.5,
    2.5,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    f64::MIN_POSITIVE,
    1e-310,
    f64::MAX,
    2147483647.0,
    -2147483648.9,
    4294967295.9,
    9223372036854775807.0,
    18446744073709551615.0,
    -9223372036854775809.0,
];

/// How the calls of a case ended, where both engines agreed: what tells a search that means something from one that does not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Calls that gave results.
    pub returned: u64,
    /// Calls that trapped.
    pub trapped: u64,
    /// Cases cut short by a limit of one engine.
    pub limited: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.returned += other.returned;
        self.trapped += other.trapped;
        self.limited += other.limited;
    }
}

pub(crate) fn compare(case: &Case) -> Result<Tally, String> {
    let mut tally = Tally::default();
    let (kitbag, wasmi) = (Kitbag::new(case), Wasmi::new(case));
    let (mut kitbag, mut wasmi) = match (kitbag, wasmi) {
        (Ok(kitbag), Ok(wasmi)) => (kitbag, wasmi),
        (Err(kitbag), Err(wasmi)) if kitbag == wasmi => return Ok(Tally { trapped: 1, ..tally }),
        (kitbag, wasmi) => return ended("instantiation", kitbag.err(), wasmi.err(), tally),
    };
    state("instantiation", &mut kitbag, &mut wasmi)?;
    let mut random = Random(case.arguments);
    for (name, params) in wasmi.functions() {
        for _ in 0..CALLS {
            let arguments: Vec<Value> = params.iter().map(|&ty| argument(ty, &mut random)).collect();
            let place = format!("{name}{arguments:x?}");
            match (kitbag.call(&name, &arguments), wasmi.call(&name, &arguments)) {
                (Ok(kitbag), Ok(wasmi)) if kitbag == wasmi => tally.returned += 1,
                (Ok(kitbag), Ok(wasmi)) => return Err(format!("{place}: kitbag gave {kitbag:x?}, wasmi {wasmi:x?}")),
                (Err(kitbag), Err(wasmi)) if kitbag == wasmi => tally.trapped += 1,
                (kitbag, wasmi) => return ended(&place, kitbag.err(), wasmi.err(), tally),
            }
            state(&place, &mut kitbag, &mut wasmi)?;
        }
    }
    Ok(tally)
}

/// Different ends: nothing more is said where a limit of either engine decided.
fn ended(place: &str, kitbag: Option<Ended>, wasmi: Option<Ended>, tally: Tally) -> Result<Tally, String> {
    let limit = |end: &Option<Ended>| matches!(end, Some(Ended::Limit | Ended::Trap(Cause::StackOverflow)));
    if limit(&kitbag) || limit(&wasmi) {
        return Ok(Tally { limited: 1, ..tally });
    }
    let words = |end: Option<Ended>| end.map_or_else(|| "went on".into(), |end| format!("ended with {end:?}"));
    Err(format!("{place}: kitbag {}, wasmi {}", words(kitbag), words(wasmi)))
}

fn state(place: &str, kitbag: &mut Kitbag, wasmi: &mut Wasmi) -> Result<(), String> {
    for name in wasmi.globals() {
        let (k, w) = (kitbag.global(&name), wasmi.global(&name));
        if k != w {
            return Err(format!("after {place}: global {name} is {k:x?} in kitbag, {w:x?} in wasmi"));
        }
    }
    for name in wasmi.memories() {
        let (k, w) = (kitbag.memory(&name), wasmi.memory(&name));
        if k.len() != w.len() {
            return Err(format!("after {place}: memory {name} has {} bytes in kitbag, {} in wasmi", k.len(), w.len()));
        }
        if k != w {
            let at = k.iter().zip(w).position(|(k, w)| k != w).unwrap_or_default();
            let end = k.len().min(at + 16);
            let (k, w) = (&k[at..end], &w[at..end]);
            return Err(format!("after {place}: memory {name} at {at:#x} holds {k:x?} in kitbag, {w:x?} in wasmi"));
        }
    }
    for name in wasmi.tables() {
        let (k, w) = (kitbag.table(&name), wasmi.table(&name));
        if k != w {
            return Err(format!("after {place}: table {name} is {k:?} in kitbag, {w:?} in wasmi"));
        }
    }
    Ok(())
}

fn argument(ty: Type, random: &mut Random) -> Value {
    let (choice, bits) = (random.next(), random.next());
    let interesting = BITS[choice as usize / 4 % BITS.len()];
    let bits = match choice % 4 {
        0 => bits,
        1 => bits % 64,
        _ => interesting,
    };
    let float = FLOATS[choice as usize / 4 % FLOATS.len()];
    match ty {
        Type::I32 => Value::I32(bits as u32),
        Type::I64 => Value::I64(bits),
        Type::F32 if choice % 4 > 1 => Value::f32((float as f32).to_bits()),
        Type::F32 => Value::f32(bits as u32),
        Type::F64 if choice % 4 > 1 => Value::f64(float.to_bits()),
        Type::F64 => Value::f64(bits),
        Type::V128 => Value::V128(u128::from(bits) << 64 | u128::from(random.next())),
        Type::Func => Value::Func(false),
        Type::Extern => Value::Extern((choice % 2 == 0).then_some(bits as u32)),
    }
}
