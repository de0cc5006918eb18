//! The one path type, with its one validity rule.

use crate::{Error, Result};

/// The longest path that is accepted, in bytes (Linux' `PATH_MAX` without its NUL).
pub const PATH_MAX: usize = 4095;

/// The longest name within a path, in bytes (Linux' `NAME_MAX`).
pub const NAME_MAX: usize = 255;

/// A relative path: what a lookup beneath a directory handle takes.
///
/// **Valid** is what is not empty, holds no NUL, does not begin with `/`, and is no longer than
/// [`PATH_MAX`] with no name longer than [`NAME_MAX`]. Bytes need not be UTF-8, and `\` is an ordinary byte. `.`, `..`, repeated and
/// trailing slashes are part of the path, since what they mean depends on the links on the way
/// (POSIX.1-2017, 4.13 Pathname Resolution); each backend resolves them. A path is checked once,
/// at the border, and every backend may rely on it.
#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Path([u8]);

impl Path {
    /// The directory that a lookup starts from.
    pub const DOT: &'static Path = Path::unchecked(b".");

    /// Checks `bytes`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an empty path (POSIX), [`Error::Invalid`] for a NUL,
    /// [`Error::NotPermitted`] for an absolute path, [`Error::NameTooLong`].
    pub fn new(bytes: &[u8]) -> Result<&Path> {
        match bytes {
            [] => Err(Error::NotFound),
            [b'/', ..] => Err(Error::NotPermitted),
            _ if bytes.len() > PATH_MAX => Err(Error::NameTooLong),
            _ if bytes.contains(&0) => Err(Error::Invalid),
            _ if bytes.len() > NAME_MAX && bytes.split(|&b| b == b'/').any(|n| n.len() > NAME_MAX) => {
                Err(Error::NameTooLong)
            }
            _ => Ok(Path::unchecked(bytes)),
        }
    }

    #[allow(unsafe_code, reason = "the only way to make a reference to a transparent unsized wrapper")]
    const fn unchecked(bytes: &[u8]) -> &Path {
        // SAFETY: `Path` is `repr(transparent)` over `[u8]`, so the pointers have the same layout
        // and metadata, and the lifetime is the argument's.
        unsafe { &*(std::ptr::from_ref(bytes) as *const Path) }
    }

    /// The bytes as they were given.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The names between the slashes, without empty ones and without `.`; `..` is among them.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|&b| b == b'/').filter(|name| !name.is_empty() && *name != b".")
    }

    /// Whether the path can only mean a directory: it ends in a slash, or in `.` or `..`.
    #[must_use]
    pub fn wants_directory(&self) -> bool {
        matches!(self.0.rsplit(|&b| b == b'/').next(), Some(b"" | b"." | b".."))
    }

    /// Splits off the last name: the parent's path ([`Path::DOT`] where there is none) and the name
    /// without the slashes that follow it. `None` when there is no name to act upon: the last
    /// component is `.` or `..`.
    #[must_use]
    pub fn split_last(&self) -> Option<(&Path, &[u8])> {
        let end = self.0.iter().rposition(|&b| b != b'/')? + 1;
        let start = self.0[..end].iter().rposition(|&b| b == b'/').map_or(0, |slash| slash + 1);
        let name = &self.0[start..end];
        let parent = self.0[..start].iter().rposition(|&b| b != b'/');
        let parent = parent.map_or(Path::DOT, |last| Path::unchecked(&self.0[..=last]));
        (name != b"." && name != b"..").then_some((parent, name))
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        String::from_utf8_lossy(&self.0).fmt(f)
    }
}

/// The path of something in a directory, put together without an allocation if it has at most `N` bytes.
#[cfg(any(feature = "memory", feature = "embedded", feature = "zip"))]
pub(crate) struct Joined<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

#[cfg(any(feature = "memory", feature = "embedded", feature = "zip"))]
impl<const N: usize> Joined<N> {
    /// `below` in `dir`, which is empty for the root. `None` where that is too long.
    #[inline]
    pub(crate) fn new(dir: &[u8], below: &[u8]) -> Option<Self> {
        let slash = usize::from(!dir.is_empty());
        let length = dir.len() + slash + below.len();
        let mut bytes = [0; N];
        let (head, tail) = bytes.get_mut(..length)?.split_at_mut(dir.len());
        head.copy_from_slice(dir);
        tail[..slash].fill(b'/');
        tail[slash..].copy_from_slice(below);
        Some(Joined { bytes, length })
    }

    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> &Path {
        Path::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn validity() {
        assert_eq!(Path::new(b""), Err(Error::NotFound));
        assert_eq!(Path::new(b"/a"), Err(Error::NotPermitted));
        assert_eq!(Path::new(b"a\0b"), Err(Error::Invalid));
        assert_eq!(Path::new(&[b'a'; NAME_MAX + 1]), Err(Error::NameTooLong));
        assert_eq!(Path::new(&b"a/".repeat(PATH_MAX)), Err(Error::NameTooLong));
        assert!(Path::new(b"\xff\\/..").is_ok());
        assert!(Path::new(&[b'a'; NAME_MAX]).is_ok());
    }

    #[test]
    fn parts() {
        assert_eq!(path("a//./b/../c/").components().collect::<Vec<_>>(), [&b"a"[..], b"b", b"..", b"c"]);
        assert_eq!(path("a/b/").split_last(), Some((path("a"), &b"b"[..])));
        assert_eq!(path("a//b").split_last(), Some((path("a"), &b"b"[..])));
        assert_eq!(path("b").split_last(), Some((Path::DOT, &b"b"[..])));
        assert_eq!(path("a/..").split_last(), None);
        assert_eq!(path(".").split_last(), None);
        assert!(path("a/").wants_directory() && path("a/.").wants_directory() && path("..").wants_directory());
        assert!(!path("a/...").wants_directory());
    }
}
