//! How each file is packed: by what the user says of it, or else by what it is.

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use globset::{GlobBuilder, GlobMatcher};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::archive::Method;

/// Below this nothing is gained.
const SMALL: usize = 512;

/// From this size on, what is stored begins at a page.
const LARGE: usize = 16 << 10;

/// Beginnings of files that are compressed already: png, jpeg, gif, zip, gzip, xz, zstandard, bzip2, woff2, riff (webp), ogg, 7z.
const PACKED: [&[u8]; 12] = [
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"PK\x03\x04",
    b"\x1f\x8b",
    b"\xfd7zXZ",
    b"\x28\xb5\x2f\xfd",
    b"BZh",
    b"wOF2",
    b"RIFF",
    b"OggS",
    b"7z\xbc\xaf",
];

/// What is said of how to pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// By what the file is.
    Auto,
    /// In any case.
    Always(Method),
}

/// `--compress`: for all files, or for those that a glob matches.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    glob: Option<Glob>,
    choice: Choice,
}

impl Rule {
    /// Reads `METHOD` or `GLOB=METHOD`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Rule, String> {
        let (glob, method) = match text.rsplit_once('=') {
            Some((glob, method)) => (Some(Glob::parse(glob)?), method),
            None => (None, text),
        };
        let choice = match method {
            "auto" => Choice::Auto,
            "stored" => Choice::Always(Method::Stored),
            "deflate" => Choice::Always(Method::Deflate),
            "zstd" => Choice::Always(Method::Zstd),
            _ => return Err("write stored, deflate, zstd or auto, or GLOB= and one of them".to_owned()),
        };
        Ok(Rule { glob, choice })
    }
}

/// A pattern of paths. One without a slash is of names, in whatever folder.
#[derive(Clone, Debug)]
pub(crate) struct Glob {
    matcher: GlobMatcher,
    of_names: bool,
}

impl Glob {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Glob, String> {
        let glob = GlobBuilder::new(text.trim_start_matches('/')).literal_separator(true).build();
        let glob = glob.map_err(|error| error.to_string())?;
        Ok(Glob { matcher: glob.compile_matcher(), of_names: !text.contains('/') })
    }

    /// Whether it is of `path`, or of its last name.
    pub(super) fn matches(&self, path: &[u8]) -> bool {
        let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
        self.matcher.is_match(OsStr::from_bytes(if self.of_names { name } else { path }))
    }
}

/// What is said of a file: the last rule that is of it counts.
pub(super) fn choice(rules: &[Rule], path: &[u8]) -> Choice {
    let is_of_it = |rule: &&Rule| rule.glob.as_ref().is_none_or(|glob| glob.matches(path));
    rules.iter().rev().find(is_of_it).map_or(Choice::Auto, |rule| rule.choice)
}

/// A file's bytes, packed.
pub(super) struct Packed {
    pub(super) method: Method,
    /// None where they are stored as they are.
    pub(super) data: Option<Vec<u8>>,
    pub(super) align: u64,
}

/// Packs a file's bytes as chosen. `auto` is what to do where nothing is said and they are neither small nor packed already.
pub(super) fn pack(bytes: &[u8], choice: Choice, auto: Method) -> Packed {
    let wanted = match choice {
        Choice::Always(method) => method,
        Choice::Auto if bytes.len() < SMALL || PACKED.iter().any(|begin| bytes.starts_with(begin)) => Method::Stored,
        Choice::Auto => auto,
    };
    let data = match wanted {
        Method::Stored => None,
        Method::Deflate => Some(deflate(bytes)),
        Method::Zstd => Some(compress_to_vec(bytes, CompressionLevel::Fastest)),
    };
    // What hardly shrinks is better read in place.
    let worth = |data: &Vec<u8>| matches!(choice, Choice::Always(_)) || data.len() < bytes.len() / 20 * 19;
    match data.filter(worth) {
        Some(data) => Packed { method: wanted, data: Some(data), align: 1 },
        None => Packed { method: Method::Stored, data: None, align: if bytes.len() >= LARGE { 4096 } else { 1 } },
    }
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory can be written to")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_rule_counts() {
        let rules = ["deflate", "*.png=stored", "share/**=zstd", "share/x=auto"].map(|text| Rule::parse(text).unwrap());
        for (path, wanted) in [
            ("a", Choice::Always(Method::Deflate)),
            ("deep/b.png", Choice::Always(Method::Stored)),
            ("share/a/b.png", Choice::Always(Method::Zstd)),
            ("share/x", Choice::Auto),
        ] {
            assert_eq!(choice(&rules, path.as_bytes()), wanted, "{path}");
        }
        assert!(Rule::parse("brotli").is_err() && Rule::parse("[=zstd").is_err());
    }

    #[test]
    fn small_and_packed_files_are_stored() {
        let method = |bytes: &[u8]| pack(bytes, Choice::Auto, Method::Deflate).method;
        assert_eq!(method(&[b'a'; 100]), Method::Stored);
        assert_eq!(method(&[b'a'; 1000]), Method::Deflate);
        assert_eq!(method(&[&b"\x89PNG"[..], &[b'a'; 1000]].concat()), Method::Stored);
        let noise: Vec<u8> = (0..40_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        let stored = pack(&noise, Choice::Auto, Method::Deflate);
        assert!(stored.method == Method::Stored && stored.align == 4096);
    }
}
