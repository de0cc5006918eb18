//! Patterns of paths.

use super::target::Target;
use crate::bundle::open_ended;

/// A pattern of the manifest.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) text: String,
    segments: Vec<Segment>,
    /// Whether any number of segments may follow.
    open: bool,
}

#[derive(Debug)]
enum Segment {
    Literal(Vec<u8>),
    /// Any one segment, which has this name.
    Named(String),
}

impl Pattern {
    /// Takes apart what the manifest has checked.
    pub(super) fn new(text: &str) -> Pattern {
        let open = open_ended(text);
        let segments = text.split('/').filter(|segment| !segment.is_empty());
        let mut segments: Vec<_> = segments
            .map(|segment| match segment.strip_prefix(':') {
                Some(name) => Segment::Named(name.to_owned()),
                None => Segment::Literal(segment.as_bytes().to_vec()),
            })
            .collect();
        if open {
            segments.pop();
        }
        Pattern { text: text.to_owned(), segments, open }
    }

    /// How many segments it says something of.
    pub(super) fn len(&self) -> usize {
        self.segments.len()
    }

    /// Whether a path is of this pattern.
    pub(super) fn matches(&self, target: &Target) -> bool {
        let fits = match self.open {
            true => target.segments.len() >= self.segments.len(),
            false => target.segments.len() == self.segments.len(),
        };
        fits && self.segments.iter().zip(&target.segments).all(|(segment, found)| match segment {
            Segment::Literal(literal) => literal == found,
            Segment::Named(_) => true,
        })
    }

    /// What its names stand for in a path that is of it.
    pub(super) fn params(&self, target: &Target) -> Vec<(&str, Vec<u8>)> {
        self.segments
            .iter()
            .zip(&target.segments)
            .filter_map(|(segment, found)| match segment {
                Segment::Named(name) => Some((name.as_str(), found.clone())),
                Segment::Literal(_) => None,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, path, matches) in [
            ("/", "/", true),
            ("/", "/a", false),
            ("/a", "/a", true),
            ("/a", "/a/", true),
            ("/a", "//a", true),
            ("/a", "/%61", true),
            ("/a", "/A", false),
            ("/a", "/a/b", false),
            ("/a/*", "/a", true),
            ("/a/*", "/a/b/c", true),
            ("/a/...", "/a/b", true),
            ("/a/*", "/ab", false),
            ("/*", "/", true),
            ("/*", "/a", true),
            ("/:x/b", "/a/b", true),
            ("/:x/b", "/b", false),
            ("/a%20b", "/a b", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(&Target::parse(path).unwrap()), matches, "{pattern} {path}");
        }
        let target = Target::parse("/a%20b/c/d").unwrap();
        assert_eq!(Pattern::new("/:x/:y/*").params(&target), [("x", b"a b".to_vec()), ("y", b"c".to_vec())]);
    }
}
