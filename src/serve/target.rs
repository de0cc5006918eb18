//! The path of a request: decoded once, into the names of segments, and refused where two readers could disagree.
//!
//! `.` and `..` are refused in every encoding, and so are encoded slashes and NUL: clients resolve dots
//! themselves (RFC 3986, 5.2.4), so that one that arrives is somebody's attempt. Empty segments say nothing. A backslash is a character
//! as any other.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

/// What may stand in a segment as it is (RFC 3986, 3.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// A path that every reader understands in the same way.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Its segments, decoded; none is empty.
    pub(super) segments: Vec<Vec<u8>>,
    /// Whether it ends with a slash, as the top does.
    pub(super) folder: bool,
}

/// What is no path of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused;

impl Target {
    /// Reads the path of a URI.
    ///
    /// # Errors
    /// [`Refused`]: what does not begin with a slash, broken escapes, dots, encoded slashes and NUL.
    pub(super) fn parse(path: &str) -> Result<Target, Refused> {
        let rest = path.strip_prefix('/').ok_or(Refused)?;
        let raw = rest.split('/').filter(|segment| !segment.is_empty());
        let segments = raw.map(segment).collect::<Result<Vec<_>, _>>()?;
        Ok(Target { folder: segments.is_empty() || path.ends_with('/'), segments })
    }

    /// The path from segment `from` on as a URI has it: slashes before each segment, and at the end of a folder.
    pub(super) fn encoded(&self, from: usize) -> String {
        let mut path = String::new();
        for segment in &self.segments[from..] {
            path.push('/');
            path.extend(percent_encode(segment, SEGMENT));
        }
        if self.folder {
            path.push('/');
        }
        path
    }

    /// The same, decoded.
    pub(super) fn decoded(&self, from: usize) -> Vec<u8> {
        let mut path = Vec::new();
        for segment in &self.segments[from..] {
            path.push(b'/');
            path.extend_from_slice(segment);
        }
        if self.folder {
            path.push(b'/');
        }
        path
    }
}

fn segment(raw: &str) -> Result<Vec<u8>, Refused> {
    let escapes = raw.as_bytes().split(|&byte| byte == b'%').skip(1);
    let whole = |escape: &[u8]| escape.len() >= 2 && escape[..2].iter().all(u8::is_ascii_hexdigit);
    let decoded: Vec<u8> = percent_decode(raw.as_bytes()).collect();
    let dots = matches!(&decoded[..], b"." | b"..");
    match dots || decoded.iter().any(|byte| matches!(byte, 0 | b'/')) || !escapes.into_iter().all(whole) {
        true => Err(Refused),
        false => Ok(decoded),
    }
}

/// A name as a URI has it.
pub(super) fn encode(name: &[u8]) -> String {
    percent_encode(name, SEGMENT).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_mean_one_thing() {
        for (path, segments, folder, again) in [
            ("/", &[][..], true, "/"),
            ("//", &[], true, "/"),
            ("/a", &["a"], false, "/a"),
            ("//a///b/", &["a", "b"], true, "/a/b/"),
            ("/%61%20b", &["a b"], false, "/a%20b"),
            ("/%252e%252e", &["%2e%2e"], false, "/%252e%252e"),
            ("/..\\a", &["..\\a"], false, "/..%5Ca"),
            ("/...", &["..."], false, "/..."),
        ] {
            let target = Target::parse(path).unwrap();
            let bytes: Vec<_> = segments.iter().map(|segment| segment.as_bytes().to_vec()).collect();
            assert_eq!((&target.segments, target.folder, &target.encoded(0)[..]), (&bytes, folder, again), "{path}");
        }
    }

    #[test]
    fn paths_that_are_refused() {
        for path in [
            "",
            "a",
            "*",
            "/..",
            "/a/../b",
            "/.",
            "/%2e%2e/x",
            "/%2E.",
            "/.%2e",
            "/a%2fb",
            "/..%2f..%2fetc",
            "/a%00",
            "/%",
            "/%4",
            "/%zz",
        ] {
            assert_eq!(Target::parse(path), Err(Refused), "{path}");
        }
    }
}
