//! The values of `--invoke`: read from words by the types of a function, and written as text.
//!
//! Integers are decimal or hexadecimal (`0x`), signed or not, as in the text format; floats are as in the text format
//! without hexadecimal ones; vectors are their 128 bits in hexadecimal; references can only be `null`.

use std::ffi::OsString;

use kitbag::{FuncType, Val, ValType};

/// Reads the arguments of a function.
///
/// # Errors
/// What is wrong, where their number or the form of one is.
pub(super) fn parse_all(ty: &FuncType, words: &[OsString]) -> Result<Vec<Val>, String> {
    if ty.params().len() != words.len() {
        return Err(format!("its type is {ty}, and {} arguments are given", words.len()));
    }
    let one = |(&ty, word): (&ValType, &OsString)| {
        word.to_str().and_then(|word| parse(ty, word)).ok_or_else(|| format!("`{}` is no {ty}", word.display()))
    };
    ty.params().iter().zip(words).map(one).collect()
}

fn parse(ty: ValType, word: &str) -> Option<Val> {
    match ty {
        ValType::I32 => integer(word, 32).map(|bits| Val::I32(bits as u32 as i32)),
        ValType::I64 => integer(word, 64).map(|bits| Val::I64(bits as u64 as i64)),
        ValType::F32 => word.parse().ok().map(|float: f32| Val::F32(float.to_bits())),
        ValType::F64 => word.parse().ok().map(|float: f64| Val::F64(float.to_bits())),
        ValType::V128 => u128::from_str_radix(word.strip_prefix("0x")?, 16).ok().map(Val::V128),
        ValType::Ref(_) => (word == "null").then_some(Val::default_for(ty)),
        _ => None,
    }
}

/// An integer of so many bits, signed or unsigned, in two's complement.
fn integer(word: &str, bits: u32) -> Option<i128> {
    let (negative, digits) = match word.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    };
    let (digits, radix) = match digits.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (digits, 10),
    };
    let size = digits.starts_with(|c: char| c.is_digit(radix)).then(|| i128::from_str_radix(digits, radix).ok())??;
    let value = if negative { -size } else { size };
    (value >= -(1 << (bits - 1)) && value < 1 << bits).then_some(value)
}

/// The text of a result.
pub(super) fn show(value: &Val) -> String {
    match value {
        Val::I32(value) => value.to_string(),
        Val::I64(value) => value.to_string(),
        Val::F32(bits) => f32::from_bits(*bits).to_string(),
        Val::F64(bits) => f64::from_bits(*bits).to_string(),
        Val::V128(bits) => format!("{bits:#034x}"),
        reference if reference.is_null() => "null".to_owned(),
        Val::FuncRef(Some(_)) => "funcref".to_owned(),
        Val::ExternRef(Some(_)) => "externref".to_owned(),
        Val::ExnRef(Some(_)) => "exnref".to_owned(),
        _ => "a value of another type".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(ty: ValType, word: &str) -> Option<String> {
        parse(ty, word).as_ref().map(show)
    }

    #[test]
    fn integers() {
        for (word, shown) in [
            ("0", "0"),
            ("-1", "-1"),
            ("4294967295", "-1"),
            ("0xffffffff", "-1"),
            ("+7", "7"),
            ("-0x80000000", "-2147483648"),
        ] {
            assert_eq!(text(ValType::I32, word).as_deref(), Some(shown), "{word}");
        }
        for word in [
            "4294967296",
            "-2147483649",
            "",
            "-",
            "0x",
            "--1",
            "0x-1",
            "1.0",
            "1_000",
            "99999999999999999999999999999999999999999",
        ] {
            assert_eq!(text(ValType::I32, word), None, "{word}");
        }
        assert_eq!(text(ValType::I64, "0xffffffffffffffff").as_deref(), Some("-1"));
        assert_eq!(text(ValType::I64, "18446744073709551616"), None);
    }

    #[test]
    fn other_values() {
        assert_eq!(text(ValType::F64, "-0.5e1").as_deref(), Some("-5"));
        assert_eq!(text(ValType::F32, "inf").as_deref(), Some("inf"));
        assert_eq!(text(ValType::F64, "x"), None);
        assert_eq!(text(ValType::V128, "0x1").as_deref(), Some("0x00000000000000000000000000000001"));
        assert_eq!(text(ValType::EXTERNREF, "null").as_deref(), Some("null"));
        assert_eq!(text(ValType::FUNCREF, "0"), None);
    }

    #[test]
    fn the_number_of_arguments() {
        let ty = FuncType::new([ValType::I32], []);
        assert!(parse_all(&ty, &[]).unwrap_err().contains("0 arguments"));
        assert_eq!(parse_all(&ty, &["x".into()]).unwrap_err(), "`x` is no i32");
    }
}
