//! Division by constants, which needs no dividing: each operator, divisor and number as Rust has it.

use std::fmt::Write as _;

use crate::instance;

const DIVISORS: [i64; 27] = [
    1,
    2,
    3,
    5,
    6,
    7,
    10,
    11,
    13,
    14,
    28,
    60,
    100,
    641,
    1000,
    86_400,
    1_000_000_007,
    0x7fff_ffff,
    -1,
    -3,
    -10,
    -0x8000_0000,
    0x1_0000_0001,
    0x100_0000_0007,
    0x5555_5555_5555_5555,
    i64::MAX,
    i64::MIN + 1,
];

const NUMBERS: [i64; 26] = [
    0,
    1,
    2,
    6,
    7,
    8,
    9,
    10,
    13,
    99,
    100,
    641,
    1 << 20,
    0x7fff_fffe,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fffe,
    0xffff_ffff,
    -1,
    -2,
    -7,
    -10,
    -100,
    i64::MAX,
    i64::MIN,
    0x1234_5678_9abc_def0,
];

/// Of registers that are the number's own, and not.
#[test]
fn constants_divide_as_variables_do() {
    let mut text = "(module".to_owned();
    for (place, divisor) in DIVISORS.iter().enumerate() {
        for width in ["i32", "i64"] {
            let divisor = if width == "i32" { i64::from(*divisor as i32) } else { *divisor };
            for op in ["div_u", "rem_u", "div_s", "rem_s"] {
                _ = write!(
                    text,
                    "(func (export \"{width} {op} {place}\") (param $n {width}) (result {width})
                        ({width}.{op} (local.get $n) ({width}.const {divisor})))
                     (func (export \"{width} {op} {place} in place\") (param $n {width}) (result {width})
                        (local.set $n ({width}.{op} (local.get $n) ({width}.const {divisor}))) (local.get $n))"
                );
            }
        }
    }
    let (mut store, instance) = instance(&format!("{text})"));
    for (place, divisor) in DIVISORS.into_iter().enumerate() {
        for n in NUMBERS {
            for end in ["", " in place"] {
                let (a, b) = (n as i32, divisor as i32);
                let small = [
                    ("div_u", a.cast_unsigned() / b.cast_unsigned()),
                    ("rem_u", a.cast_unsigned() % b.cast_unsigned()),
                    ("div_s", a.checked_div(b).map_or(0, i32::cast_unsigned)),
                    ("rem_s", a.wrapping_rem(b).cast_unsigned()),
                ];
                for (op, expected) in small {
                    if op == "div_s" && a.checked_div(b).is_none() {
                        continue;
                    }
                    let name = format!("i32 {op} {place}{end}");
                    let function = instance.get_typed_func::<u32, u32>(&mut store, &name).unwrap();
                    assert_eq!(function.call(&mut store, a.cast_unsigned()).unwrap(), expected, "{a} {op} {b}{end}");
                }
                let (a, b) = (n, divisor);
                let wide = [
                    ("div_u", a.cast_unsigned() / b.cast_unsigned()),
                    ("rem_u", a.cast_unsigned() % b.cast_unsigned()),
                    ("div_s", a.checked_div(b).map_or(0, i64::cast_unsigned)),
                    ("rem_s", a.wrapping_rem(b).cast_unsigned()),
                ];
                for (op, expected) in wide {
                    if op == "div_s" && a.checked_div(b).is_none() {
                        continue;
                    }
                    let name = format!("i64 {op} {place}{end}");
                    let function = instance.get_typed_func::<u64, u64>(&mut store, &name).unwrap();
                    assert_eq!(function.call(&mut store, a.cast_unsigned()).unwrap(), expected, "{a} {op} {b}{end}");
                }
            }
        }
    }
}
