//! Relaxed operators, of whose results the processor has a choice: each lane has to be one of those that `relaxed.wat` permits, where
//! wasmi computes them by operators that leave none.

use crate::case::Settings;
use crate::engines::{Engine, Kitbag, Value, Wasmi};
use crate::{Case, Language};
use arbitrary::{Result, Unstructured};
use std::fmt::Write;
use std::ops::Range;

/// What the lanes of a result are.
#[derive(Clone, Copy)]
enum Lanes {
    /// Integers of so many bytes.
    Int(usize),
    F32,
    F64,
}

/// The operators, with how many operands they have.
const OPERATORS: [(&str, usize, Lanes); 20] = [
    ("i8x16.relaxed_swizzle", 2, Lanes::Int(1)),
    ("i32x4.relaxed_trunc_f32x4_s", 1, Lanes::Int(4)),
    ("i32x4.relaxed_trunc_f32x4_u", 1, Lanes::Int(4)),
    ("i32x4.relaxed_trunc_f64x2_s_zero", 1, Lanes::Int(4)),
    ("i32x4.relaxed_trunc_f64x2_u_zero", 1, Lanes::Int(4)),
    ("f32x4.relaxed_madd", 3, Lanes::F32),
    ("f32x4.relaxed_nmadd", 3, Lanes::F32),
    ("f64x2.relaxed_madd", 3, Lanes::F64),
    ("f64x2.relaxed_nmadd", 3, Lanes::F64),
    ("i8x16.relaxed_laneselect", 3, Lanes::Int(1)),
    ("i16x8.relaxed_laneselect", 3, Lanes::Int(2)),
    ("i32x4.relaxed_laneselect", 3, Lanes::Int(4)),
    ("i64x2.relaxed_laneselect", 3, Lanes::Int(8)),
    ("f32x4.relaxed_min", 2, Lanes::F32),
    ("f32x4.relaxed_max", 2, Lanes::F32),
    ("f64x2.relaxed_min", 2, Lanes::F64),
    ("f64x2.relaxed_max", 2, Lanes::F64),
    ("i16x8.relaxed_q15mulr_s", 2, Lanes::Int(2)),
    ("i16x8.relaxed_dot_i8x16_i7x16_s", 2, Lanes::Int(2)),
    ("i32x4.relaxed_dot_i8x16_i7x16_add_s", 3, Lanes::Int(4)),
];

/// The operator and operands that `bytes` stand for, in kitbag; nothing where they are too few.
///
/// # Errors
/// A result that is not permitted.
pub fn compare_relaxed(bytes: &[u8]) -> Result<(), String> {
    draw(&mut Unstructured::new(bytes)).map_or(Ok(()), |drawn| drawn.compare())
}

struct Drawn {
    name: &'static str,
    lanes: Lanes,
    case: Case,
    operands: [u128; 3],
}

fn draw(u: &mut Unstructured<'_>) -> Result<Drawn> {
    let (name, count, lanes) = *u.choose(&OPERATORS)?;
    let settings = Settings::draw(0, u)?;
    let operands = [vector(u)?, vector(u)?, vector(u)?];
    let mut code = String::new();
    for (i, operand) in operands.iter().enumerate().take(count) {
        // One that is known to the compiler, or not.
        let _ = match u.ratio(1, 4)? {
            true => write!(code, " (v128.const i64x2 {} {})", *operand as u64, (*operand >> 64) as u64),
            false => write!(code, " (local.get {i})"),
        };
    }
    let text = format!(r#"(module (func (export "f") (param v128 v128 v128) (result v128) ({name}{code})))"#);
    let module = wat::parse_str(text).expect("a module");
    Ok(Drawn { name, lanes, case: Case { settings, language: Language::Common, module, arguments: 0 }, operands })
}

/// Lanes that are at some edge, or any.
fn vector(u: &mut Unstructured<'_>) -> Result<u128> {
    const SINGLES: [f32; 12] = [
        0.0,
        -0.0,
        1.0,
        -1.5,
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        2147483520.0,
        2147483648.0,
        -2147483904.0,
        4294967296.0,
        1e-40,
    ];
    const DOUBLES: [f64; 8] =
        [-0.0, 0.5, f64::NAN, f64::NEG_INFINITY, 2147483647.5, -2147483648.5, 4294967295.5, 4294967296.0];
    let mut lanes = [0; 16];
    match u.int_in_range(0..=3)? {
        0 => lanes.as_chunks_mut::<4>().0.iter_mut().try_for_each(|lane| {
            *lane = u.choose(&SINGLES)?.to_le_bytes();
            Ok(())
        })?,
        1 => lanes.as_chunks_mut::<8>().0.iter_mut().try_for_each(|lane| {
            *lane = u.choose(&DOUBLES)?.to_le_bytes();
            Ok(())
        })?,
        2 => lanes.iter_mut().try_for_each(|lane| {
            *lane = *u.choose(&[0, 1, 15, 16, 17, 0x7f, 0x80, 0x8f, 0xff])?;
            Ok(())
        })?,
        _ => u.fill_buffer(&mut lanes)?,
    }
    Ok(u128::from_le_bytes(lanes))
}

impl Drawn {
    fn compare(&self) -> Result<(), String> {
        let operands = self.operands.map(Value::V128);
        let mut kitbag = Kitbag::new(&self.case).map_err(|end| format!("{}: {end:?}", self.name))?;
        let given = kitbag.call("f", &operands).map(|results| vector_of(&results));
        let given = given.map_err(|end| format!("{}: {end:?}", self.name))?;
        let permitted = self.permitted(&operands);
        let all = self
            .lane_ranges()
            .all(|lane| permitted.iter().any(|one| self.lane(one, lane.clone()) == self.lane(&given, lane.clone())));
        if all {
            return Ok(());
        }
        let Drawn { name, operands, case, .. } = self;
        let settings = &case.settings;
        Err(format!("{name} of {operands:x?} is {given:x?}, permitted are lanes of {permitted:x?}; {settings:?}"))
    }

    fn permitted(&self, operands: &[Value]) -> Vec<[u8; 16]> {
        thread_local! {
            static CHOICES: Case = Case {
                settings: Settings::default(),
                language: Language::Common,
                module: wat::parse_str(include_str!("relaxed.wat")).expect("a module"),
                arguments: 0,
            };
        }
        let mut wasmi = CHOICES.with(|choices| Wasmi::new(choices).expect("an instance"));
        let names = wasmi.functions_with_prefix(&format!("{}/", self.name));
        names.iter().map(|name| vector_of(&wasmi.call(name, operands).expect("no trap"))).collect()
    }

    fn lane_ranges(&self) -> impl Iterator<Item = Range<usize>> {
        let bytes = match self.lanes {
            Lanes::Int(bytes) => bytes,
            Lanes::F32 => 4,
            Lanes::F64 => 8,
        };
        (0..16).step_by(bytes).map(move |start| start..start + bytes)
    }

    /// The lane's bits; a NaN is one NaN.
    fn lane(&self, vector: &[u8; 16], range: Range<usize>) -> Value {
        let mut bits = [0; 8];
        bits[..range.len()].copy_from_slice(&vector[range]);
        let bits = u64::from_le_bytes(bits);
        match self.lanes {
            Lanes::Int(_) => Value::I64(bits),
            Lanes::F32 => Value::f32(bits as u32),
            Lanes::F64 => Value::f64(bits),
        }
    }
}

fn vector_of(results: &[Value]) -> [u8; 16] {
    let [Value::V128(bits)] = *results else { unreachable!("{results:?}") };
    bits.to_le_bytes()
}
