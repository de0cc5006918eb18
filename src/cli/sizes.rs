//! Sizes as words: a number of bytes, with K, M or G after it for 2¹⁰, 2²⁰ or 2³⁰ of them.

/// Reads one.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(word: &str) -> Result<u64, String> {
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

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn sizes() {
        for (word, size) in [("0", 0), ("17", 17), ("1K", 1024), ("512M", 512 << 20), ("3g", 3 << 30)] {
            assert_eq!(parse(word), Ok(size), "{word}");
        }
        assert_eq!(parse("17179869183G"), Ok(17_179_869_183 << 30));
        for word in
            ["", "M", "-1", "+1", "1.5G", "1 G", "1MB", "1T", "0x10", "17179869184G", "99999999999999999999", "1ü"]
        {
            assert!(parse(word).is_err(), "{word}");
        }
    }
}
