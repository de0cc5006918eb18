//! Sizes and times as words, on the command line and in manifests.

use std::time::Duration;

/// Reads a number of bytes, with K, M or G after it for 2¹⁰, 2²⁰ or 2³⁰ of them.
///
/// # Errors
/// What is wrong with it.
pub fn size(word: &str) -> Result<u64, String> {
    let (digits, unit) = match word.char_indices().last() {
        Some((at, 'K' | 'k')) => (&word[..at], 1 << 10),
        Some((at, 'M' | 'm')) => (&word[..at], 1 << 20),
        Some((at, 'G' | 'g')) => (&word[..at], 1 << 30),
        _ => (word, 1),
    };
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err("it is no size; write bytes, or a number with K, M or G after it, as in 512M".to_owned());
    }
    let size = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    size.ok_or_else(|| "it is larger than anything can be".to_owned())
}

/// Reads a time as words: a number with `ms`, `s`, `m` or `h` after it, or of seconds.
///
/// # Errors
/// What is wrong with it.
pub fn time(word: &str) -> Result<Duration, String> {
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let milliseconds: f64 = match &word[digits.len()..] {
        "ms" => 1.0,
        "" | "s" => 1e3,
        "m" => 60e3,
        "h" => 3600e3,
        _ => return Err("it is no time; write a number with ms, s, m or h after it, as in 5s".to_owned()),
    };
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number = digits.parse::<f64>().ok().filter(|_| plain);
    let number = number.ok_or("it is no time; write a number with ms, s, m or h after it, as in 5s")?;
    // 136 years: what is added to the time that it is does not leave the numbers that there are for times.
    let time = Duration::try_from_secs_f64(number * milliseconds / 1e3).ok();
    time.filter(|time| time.as_secs() <= u64::from(u32::MAX)).ok_or("it is longer than anything lasts".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (word, bytes) in [("0", 0), ("17", 17), ("1K", 1024), ("512M", 512 << 20), ("3g", 3 << 30)] {
            assert_eq!(size(word), Ok(bytes), "{word}");
        }
        assert_eq!(size("17179869183G"), Ok(17_179_869_183 << 30));
        for word in
            ["", "M", "-1", "+1", "1.5G", "1 G", "1MB", "1T", "0x10", "17179869184G", "99999999999999999999", "1ü"]
        {
            assert!(size(word).is_err(), "{word}");
        }
    }

    #[test]
    fn times() {
        for (word, milliseconds) in [
            ("5s", 5000),
            ("5", 5000),
            ("250ms", 250),
            ("1.5s", 1500),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("0s", 0),
            ("1000000h", 3_600_000_000_000),
        ] {
            assert_eq!(time(word), Ok(Duration::from_millis(milliseconds)), "{word}");
        }
        for word in ["", "s", "-1s", "+1", "5 s", "5d", "1e3", "..", "inf", "nan", "2000000h", "99999999999999999999h"]
        {
            assert!(time(word).is_err(), "{word}");
        }
    }
}
