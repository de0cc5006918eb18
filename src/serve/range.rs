//! Parts of a file (RFC 9110, 14).

use std::ops::Range;

/// Parts in one request, at the most; more are answered with the whole.
const MAX: usize = 32;

/// What a `Range` asks of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ranges {
    /// Everything: what is no range of bytes that is understood is ignored.
    Whole,
    /// These, of which none is empty.
    Parts(Vec<Range<u64>>),
    /// Nothing that the file has.
    Unsatisfiable,
}

/// Reads the value of a `Range` for a file of `size` bytes.
pub(super) fn parse(value: &[u8], size: u64) -> Ranges {
    match parts(value, size) {
        None => Ranges::Whole,
        Some(parts) if parts.is_empty() => Ranges::Unsatisfiable,
        Some(parts) => sensible(parts, size),
    }
}

/// The parts that overlap the file; `None` where the syntax is wrong.
fn parts(value: &[u8], size: u64) -> Option<Vec<Range<u64>>> {
    let value = str::from_utf8(value).ok()?;
    let (unit, set) = value.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let specs: Vec<_> =
        set.split(',').map(|spec| spec.trim_matches([' ', '\t'])).filter(|spec| !spec.is_empty()).collect();
    if specs.is_empty() || specs.len() > MAX {
        return None;
    }
    let mut parts = Vec::new();
    for spec in specs {
        let (first, last) = spec.split_once('-')?;
        let part = match (number(first)?, number(last)?) {
            (None, None) => return None,
            (None, Some(suffix)) => size.saturating_sub(suffix)..size,
            (Some(first), None) => first..size,
            (Some(first), Some(last)) if last < first => return None,
            (Some(first), Some(last)) => first..size.min(last.saturating_add(1)),
        };
        if part.start < part.end {
            parts.push(part);
        }
    }
    Some(parts)
}

/// A number, or nothing where there is none. One beyond 64 bits lies beyond any file.
fn number(digits: &str) -> Option<Option<u64>> {
    match digits {
        "" => Some(None),
        _ if digits.bytes().all(|digit| digit.is_ascii_digit()) => Some(Some(digits.parse().unwrap_or(u64::MAX))),
        _ => None,
    }
}

/// Parts that overlap come to more than the file and ask for work, not for data (RFC 9110, 14.2): the whole is sent instead.
fn sensible(parts: Vec<Range<u64>>, size: u64) -> Ranges {
    let total = parts.iter().try_fold(0u64, |sum, part| sum.checked_add(part.end - part.start));
    let mut sorted = parts.clone();
    sorted.sort_by_key(|part| part.start);
    let overlap = sorted.windows(2).any(|pair| pair[0].end > pair[1].start);
    match total {
        Some(total) if total <= size && !overlap => Ranges::Parts(parts),
        _ => Ranges::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for() {
        let one = |range: Range<u64>| Ranges::Parts(vec![range]);
        for (value, ranges) in [
            ("bytes=0-0", one(0..1)),
            ("bytes=2-", one(2..10)),
            ("bytes=-3", one(7..10)),
            ("bytes=-30", one(0..10)),
            ("bytes=5-99999999999999999999999", one(5..10)),
            ("Bytes = 1-2", one(1..3)),
            ("bytes=0-1, ,8-", Ranges::Parts(vec![0..2, 8..10])),
            ("bytes=8-9,0-1", Ranges::Parts(vec![8..10, 0..2])),
            ("bytes=0-1,20-30", one(0..2)),
            ("bytes=10-", Ranges::Unsatisfiable),
            ("bytes=-0", Ranges::Unsatisfiable),
            ("bytes=99999999999999999999-", Ranges::Unsatisfiable),
            ("bytes=0-9,0-9", Ranges::Whole),
            ("bytes=0-5,5-6", Ranges::Whole),
            ("bytes=3-2", Ranges::Whole),
            ("bytes=", Ranges::Whole),
            ("bytes=-", Ranges::Whole),
            ("bytes=a-b", Ranges::Whole),
            ("bytes=+1-2", Ranges::Whole),
            ("lines=1-2", Ranges::Whole),
            ("bytes 1-2", Ranges::Whole),
        ] {
            assert_eq!(parse(value.as_bytes(), 10), ranges, "{value}");
        }
        assert_eq!(parse(b"bytes=0-", 0), Ranges::Unsatisfiable);
        let many = format!("bytes={}", (0..40).map(|at| format!("{at}-{at}")).collect::<Vec<_>>().join(","));
        assert_eq!(parse(many.as_bytes(), 100), Ranges::Whole);
    }
}
