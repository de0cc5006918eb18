//! Division by a constant as a multiplication by its reciprocal.
//!
//! For a divisor d, 2^L < d < 2^(L+1), and numbers of N bits: with m = ⌊2^(N+L) / d⌋ and e = (m + 1)·d - 2^(N+L), the quotient of an
//! unsigned x is ((m + 1)·x) >> (N + L) where e ≤ 2^L (Granlund and Montgomery), and else (m·(x + 1)) >> (N + L) (Robison).
//! For signed numbers, whose magnitude has a bit less, the first always holds, with 1 added to the quotients of negative ones; and
//! where it holds for N - 1 bits too, these do.

/// How to divide by a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reciprocal {
    /// What to multiply with: less than 2^N.
    pub(crate) by: u64,
    /// How far to shift the whole product.
    pub(crate) shift: u32,
    /// Whether 1 is added to the number before.
    pub(crate) plus_one: bool,
}

impl Reciprocal {
    /// For unsigned numbers of `bits` bits and a divisor that is no power of two.
    pub(crate) fn unsigned(bits: u32, divisor: u64) -> Reciprocal {
        let log = divisor.ilog2();
        let power = 1u128 << (bits + log);
        let below = (power / u128::from(divisor)) as u64;
        let excess = divisor - (power % u128::from(divisor)) as u64;
        if excess > 1 << log {
            return Reciprocal { by: below, shift: bits + log, plus_one: true };
        }
        // A smaller factor may fit an instruction.
        let by = below + 1;
        let even = by.trailing_zeros().min(log);
        Reciprocal { by: by >> even, shift: bits + log - even, plus_one: false }
    }

    /// For signed numbers of `bits` bits and a positive divisor that is no power of two: the quotient of a negative number is then 1
    /// too small.
    pub(crate) fn signed(bits: u32, divisor: u64) -> Reciprocal {
        let log = divisor.ilog2();
        // A factor with a bit less, which is positive for instructions too, where it is as exact as magnitudes of a bit less need.
        let power = 1u128 << (bits - 1 + log);
        let excess = divisor - (power % u128::from(divisor)) as u64;
        let shift = if excess < 1 << log { bits - 1 + log } else { bits + log };
        let by = ((1u128 << shift) / u128::from(divisor)) as u64 + 1;
        Reciprocal { by, shift, plus_one: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIVISORS: [u32; 24] = [
        3,
        5,
        6,
        7,
        9,
        10,
        11,
        12,
        13,
        19,
        25,
        28,
        60,
        100,
        641,
        1000,
        1461,
        3600,
        86_400,
        1_000_000,
        0x7fff_ffff,
        0x8000_0001,
        0xffff_fffe,
        0xffff_ffff,
    ];

    /// Around multiples of the divisor and at the ends.
    fn numbers(divisor: u32) -> impl Iterator<Item = u32> {
        let multiples = (0..2000u64).map(move |n| n * 2_147_483 / u64::from(divisor) * u64::from(divisor));
        let near = multiples.flat_map(|n| [n.wrapping_sub(1), n, n + 1]);
        near.map(|n| n as u32).chain([0, 1, u32::MAX, u32::MAX - 1, 1 << 31, (1 << 31) - 1])
    }

    #[test]
    fn quotients_of_unsigned_numbers() {
        for divisor in DIVISORS {
            let Reciprocal { by, shift, plus_one } = Reciprocal::unsigned(32, divisor.into());
            assert!(by <= u64::from(u32::MAX));
            for n in numbers(divisor) {
                let product = by.checked_mul(u64::from(n) + u64::from(plus_one)).unwrap();
                assert_eq!(product >> shift, u64::from(n / divisor), "{n} / {divisor}");
            }
            let Reciprocal { by, shift, plus_one } = Reciprocal::unsigned(64, divisor.into());
            for n in numbers(divisor).map(|n| u64::from(n) * 0x1_0000_0001) {
                let product = u128::from(by) * (u128::from(n) + u128::from(plus_one));
                assert_eq!((product >> shift) as u64, n / u64::from(divisor), "{n} / {divisor}");
            }
        }
    }

    #[test]
    fn quotients_of_signed_numbers() {
        for divisor in DIVISORS.into_iter().filter(|&divisor| divisor <= i32::MAX as u32) {
            let Reciprocal { by, shift, plus_one } = Reciprocal::signed(32, divisor.into());
            assert!(by <= u64::from(u32::MAX) && !plus_one);
            for n in numbers(divisor).map(u32::cast_signed) {
                let product = i64::from(n).checked_mul(by as i64).unwrap();
                let quotient = (product >> shift) + i64::from(n < 0);
                assert_eq!(quotient, i64::from(n) / i64::from(divisor), "{n} / {divisor}");
            }
        }
        for divisor in DIVISORS.into_iter().flat_map(|divisor| [divisor.into(), u64::from(divisor) * 0x7fff_fffb]) {
            let Reciprocal { by, shift, plus_one } = Reciprocal::signed(64, divisor);
            assert!(!plus_one);
            for n in numbers(divisor as u32).map(|n| (u64::from(n) * 0x1_0000_0001).cast_signed()).chain([i64::MIN]) {
                let product = i128::from(n) * i128::from(by);
                let quotient = (product >> shift) as i64 + i64::from(n < 0);
                assert_eq!(quotient, n / divisor.cast_signed(), "{n} / {divisor}");
            }
        }
    }

    /// What the assemblers may do with the greatest number, which has no successor.
    #[test]
    fn the_greatest_number_divides_as_the_one_before() {
        for divisor in DIVISORS.map(u64::from).into_iter().chain([u64::MAX / 3, 0xffff_ffff * 641]) {
            if Reciprocal::unsigned(64, divisor).plus_one {
                assert_eq!(u64::MAX / divisor, (u64::MAX - 1) / divisor, "{divisor}");
            }
        }
    }
}
