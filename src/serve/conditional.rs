//! Conditional requests (RFC 9110, 13) on what has a strong tag and a time of last change.

use std::time::{SystemTime, UNIX_EPOCH};

use hyper::HeaderMap;
use hyper::header::{
    HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
};

/// What a request's conditions come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Answer as if there were none.
    Proceed,
    /// 304.
    NotModified,
    /// 412.
    Failed,
}

/// What conditions are about: the tag, and seconds since 1970.
#[derive(Clone, Copy)]
pub(super) struct Validators<'a> {
    pub(super) etag: &'a HeaderValue,
    pub(super) modified: u64,
}

/// Judges them in the order of RFC 9110, 13.2.2, for GET and HEAD.
pub(super) fn judge(headers: &HeaderMap, current: Validators<'_>) -> Verdict {
    if headers.contains_key(IF_MATCH) {
        if !any_matches(headers, IF_MATCH, current.etag, Comparison::Strong) {
            return Verdict::Failed;
        }
    } else if date(headers.get(IF_UNMODIFIED_SINCE)).is_some_and(|date| current.modified > date) {
        return Verdict::Failed;
    }
    if headers.contains_key(IF_NONE_MATCH) {
        if any_matches(headers, IF_NONE_MATCH, current.etag, Comparison::Weak) {
            return Verdict::NotModified;
        }
    } else if date(headers.get(IF_MODIFIED_SINCE)).is_some_and(|date| current.modified <= date) {
        return Verdict::NotModified;
    }
    Verdict::Proceed
}

/// Whether a `Range` is to be heeded: without `If-Range`, or where it is about what is current.
pub(super) fn range_applies(headers: &HeaderMap, current: Validators<'_>) -> bool {
    match headers.get(IF_RANGE) {
        None => true,
        Some(value) if value.as_bytes().first().is_some_and(|first| matches!(first, b'"' | b'W')) => {
            value == current.etag
        }
        Some(value) => date(Some(value)) == Some(current.modified),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

fn any_matches(headers: &HeaderMap, name: HeaderName, etag: &HeaderValue, how: Comparison) -> bool {
    headers.get_all(name).iter().any(|value| tags(value.as_bytes()).any(|tag| tag.matches(etag.as_bytes(), how)))
}

/// One tag of a list, or the star that stands for any.
struct Tag<'a> {
    weak: bool,
    opaque: &'a [u8],
}

impl Tag<'_> {
    fn matches(&self, etag: &[u8], how: Comparison) -> bool {
        self.opaque == b"*" || self.opaque == etag && !(self.weak && how == Comparison::Strong)
    }
}

/// The tags of a list. Commas may stand within them; after anything that is no tag nothing more is read.
fn tags(mut list: &[u8]) -> impl Iterator<Item = Tag<'_>> {
    std::iter::from_fn(move || {
        while let [b' ' | b'\t' | b',', rest @ ..] = list {
            list = rest;
        }
        if let [b'*', rest @ ..] = list {
            list = rest;
            return Some(Tag { weak: false, opaque: b"*" });
        }
        let (weak, start) = match list {
            [b'W', b'/', rest @ ..] => (true, rest),
            _ => (false, list),
        };
        let end = start.strip_prefix(b"\"")?.iter().position(|&byte| byte == b'"')? + 2;
        list = &start[end..];
        Some(Tag { weak, opaque: &start[..end] })
    })
}

/// A date, in seconds since 1970; none where it is not one.
fn date(value: Option<&HeaderValue>) -> Option<u64> {
    let time: SystemTime = httpdate::parse_http_date(value?.to_str().ok()?).ok()?;
    Some(time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "Wed, 25 Nov 2020 00:00:00 GMT";
    const AT: &str = "Thu, 26 Nov 2020 00:00:00 GMT";
    const AFTER: &str = "Friday, 27-Nov-20 00:00:00 GMT";

    fn headers(given: &[(HeaderName, &str)]) -> HeaderMap {
        given.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    fn verdict(given: &[(HeaderName, &str)]) -> Verdict {
        let etag = HeaderValue::from_static("\"a,b\"");
        judge(&headers(given), Validators { etag: &etag, modified: 1_606_348_800 })
    }

    #[test]
    fn verdicts() {
        use Verdict::{Failed, NotModified, Proceed};
        for (given, expected) in [
            (&[][..], Proceed),
            (&[(IF_NONE_MATCH, "\"a,b\"")], NotModified),
            (&[(IF_NONE_MATCH, "W/\"a,b\"")], NotModified),
            (&[(IF_NONE_MATCH, "\"x\", W/\"y\" ,\"a,b\"")], NotModified),
            (&[(IF_NONE_MATCH, "*")], NotModified),
            (&[(IF_NONE_MATCH, "\"a\"")], Proceed),
            (&[(IF_NONE_MATCH, "a,b")], Proceed),
            (&[(IF_NONE_MATCH, "\"x\""), (IF_MODIFIED_SINCE, AFTER)], Proceed),
            (&[(IF_MODIFIED_SINCE, AT)], NotModified),
            (&[(IF_MODIFIED_SINCE, AFTER)], NotModified),
            (&[(IF_MODIFIED_SINCE, BEFORE)], Proceed),
            (&[(IF_MODIFIED_SINCE, "yesterday")], Proceed),
            (&[(IF_MATCH, "\"a,b\"")], Proceed),
            (&[(IF_MATCH, "*")], Proceed),
            (&[(IF_MATCH, "W/\"a,b\"")], Failed),
            (&[(IF_MATCH, "\"x\"")], Failed),
            (&[(IF_MATCH, "\"a,b\""), (IF_UNMODIFIED_SINCE, BEFORE)], Proceed),
            (&[(IF_MATCH, "\"a,b\""), (IF_NONE_MATCH, "\"a,b\"")], NotModified),
            (&[(IF_UNMODIFIED_SINCE, BEFORE)], Failed),
            (&[(IF_UNMODIFIED_SINCE, AT)], Proceed),
        ] {
            assert_eq!(verdict(given), expected, "{given:?}");
        }
    }

    #[test]
    fn ranges_of_something_else() {
        let etag = HeaderValue::from_static("\"a\"");
        for (value, applies) in
            [("\"a\"", true), ("W/\"a\"", false), ("\"b\"", false), (AT, true), (BEFORE, false), (AFTER, false)]
        {
            let headers = headers(&[(IF_RANGE, value)]);
            assert_eq!(
                range_applies(&headers, Validators { etag: &etag, modified: 1_606_348_800 }),
                applies,
                "{value}"
            );
        }
    }
}
