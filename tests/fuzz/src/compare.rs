//! Both engines in lock-step: every export is called, and after each call everything that can be seen is compared.

use crate::case::{Case, Random};
use crate::engines::{Cause, Ended, Engine, Exported, Kitbag, Oracle, Type, Value};

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
    /// Calls that threw what nobody caught.
    pub thrown: u64,
    /// Cases cut short by a limit of one engine.
    pub limited: u64,
    /// Cases in which wasmi differed and wasmtime did not.
    pub outvoted: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.returned += other.returned;
        self.trapped += other.trapped;
        self.thrown += other.thrown;
        self.limited += other.limited;
        self.outvoted += other.outvoted;
    }
}

pub(crate) fn compare<O: Oracle>(case: &Case) -> Result<Tally, String> {
    let mut tally = Tally::default();
    let (kitbag, oracle) = (Kitbag::new(case), O::new(case));
    let (mut kitbag, mut oracle) = match (kitbag, oracle) {
        (Ok(kitbag), Ok(oracle)) => (kitbag, oracle),
        (Err(kitbag), Err(oracle)) if kitbag == oracle => return Ok(Tally { trapped: 1, ..tally }),
        (kitbag, oracle) => return ended::<O>("instantiation", kitbag.err(), oracle.err(), tally),
    };
    let exports = oracle.exports();
    state("instantiation", &exports, &mut kitbag, &mut oracle)?;
    let mut random = Random(case.arguments);
    for (name, exported) in &exports {
        let Exported::Func(params) = exported else { continue };
        for _ in 0..CALLS {
            let arguments: Vec<Value> = params.iter().map(|&ty| argument(ty, &mut random)).collect();
            let place = format!("{name}{arguments:x?}");
            match (kitbag.call(name, &arguments), oracle.call(name, &arguments)) {
                (Ok(k), Ok(o)) if k == o => tally.returned += 1,
                (Ok(k), Ok(o)) => return Err(format!("{place}: kitbag gave {k:x?}, {} {o:x?}", O::NAME)),
                (Err(Ended::Exception), Err(Ended::Exception)) => tally.thrown += 1,
                (Err(k), Err(o)) if k == o => tally.trapped += 1,
                (k, o) => return ended::<O>(&place, k.err(), o.err(), tally),
            }
            state(&place, &exports, &mut kitbag, &mut oracle)?;
        }
    }
    Ok(tally)
}

/// Different ends: nothing more is said where a limit of either engine decided.
fn ended<O: Oracle>(place: &str, kitbag: Option<Ended>, oracle: Option<Ended>, tally: Tally) -> Result<Tally, String> {
    let limit = |end: &Option<Ended>| matches!(end, Some(Ended::Limit | Ended::Trap(Cause::StackOverflow)));
    if limit(&kitbag) || limit(&oracle) {
        return Ok(Tally { limited: 1, ..tally });
    }
    let words = |end: Option<Ended>| end.map_or_else(|| "went on".into(), |end| format!("ended with {end:?}"));
    Err(format!("{place}: kitbag {}, {} {}", words(kitbag), O::NAME, words(oracle)))
}

/// Compares all that is exported and can be seen.
fn state<O: Oracle>(
    place: &str,
    exports: &[(String, Exported)],
    kitbag: &mut Kitbag,
    oracle: &mut O,
) -> Result<(), String> {
    let differs = |what: String, k: String, o: String| {
        Err(format!("after {place}: {what} is {k} in {}, {o} in {}", Kitbag::NAME, O::NAME))
    };
    for (name, exported) in exports {
        match exported {
            Exported::Func(_) | Exported::Tag => {}
            Exported::Global => {
                let (k, o) = (kitbag.global(name), oracle.global(name));
                if k != o {
                    return differs(format!("global {name}"), format!("{k:x?}"), format!("{o:x?}"));
                }
            }
            Exported::Memory => {
                let (k, o) = (kitbag.memory(name), oracle.memory(name));
                if k.len() != o.len() {
                    return differs(format!("size of memory {name}"), k.len().to_string(), o.len().to_string());
                }
                if k != o {
                    let at = k.iter().zip(o).position(|(k, o)| k != o).unwrap_or_default();
                    let end = k.len().min(at + 16);
                    let (k, o) = (&k[at..end], &o[at..end]);
                    return differs(format!("memory {name} at {at:#x}"), format!("{k:x?}"), format!("{o:x?}"));
                }
            }
            Exported::Table => {
                let (k, o) = (kitbag.table(name), oracle.table(name));
                if k != o {
                    return differs(format!("table {name}"), format!("{k:?}"), format!("{o:?}"));
                }
            }
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
        Type::Exn => Value::Exn(false),
        Type::Extern => Value::Extern((choice % 2 == 0).then_some(bits as u32)),
    }
}
