//! The files of a bundle, with what a server has to know of each: its tag, its time, its type, the codings it is there in.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, UNIX_EPOCH};

use hyper::header::HeaderValue;
use kitbag_fs::zip::Method;
use kitbag_fs::{Bytes, Dir, Error, File, FileType, Follow, Metadata, OpenOptions, Path, Result};

use super::body::Chunks;
use crate::bundle::{Archive, MANIFEST, Opened};

/// The header of a gzip file that says nothing (RFC 1952, 2.3): deflate, no name, no time, unknown system.
static GZIP_HEADER: Bytes = Bytes::from_static(b"\x1f\x8b\x08\0\0\0\0\0\0\xff");

/// The files of a bundle.
pub(super) struct Files {
    root: Arc<dyn Dir>,
    archive: Option<Arc<Archive>>,
    /// Paths that are nobody's business.
    hidden: Vec<Vec<u8>>,
    dotfiles: bool,
}

/// What a path leads to.
pub(super) enum Found {
    File(Metadata),
    Folder,
}

/// A file that is ready to be sent.
pub(super) struct Prepared {
    pub(super) contents: Contents,
    pub(super) size: u64,
    pub(super) etag: HeaderValue,
    /// Seconds since 1970.
    pub(super) modified: u64,
    pub(super) last_modified: HeaderValue,
    pub(super) content_type: HeaderValue,
    pub(super) gzip: Option<Coded>,
    pub(super) brotli: Option<Coded>,
}

/// The bytes of a file.
pub(super) enum Contents {
    /// Pages of the archive.
    Shared(Bytes),
    /// What reading it gives.
    Open(Arc<dyn File>),
}

/// A file in a coding.
pub(super) struct Coded {
    pub(super) contents: Contents,
    /// What belongs around the contents.
    frame: Option<[Bytes; 2]>,
    pub(super) size: u64,
    pub(super) etag: HeaderValue,
}

impl Coded {
    /// The coded file, from its contents.
    pub(super) fn chunks(&self, contents: Bytes) -> Chunks {
        match &self.frame {
            None => contents.into(),
            Some([before, after]) => Chunks::new([before.clone(), contents, after.clone()]),
        }
    }
}

impl Files {
    /// The files of a bundle, without its manifest and the files at the paths `hidden`.
    ///
    /// # Errors
    /// Those of opening the root.
    pub(super) fn new(bundle: &Opened, hidden: Vec<Vec<u8>>, dotfiles: bool) -> Result<Files> {
        Ok(Files { root: bundle.files().root()?, archive: bundle.archive().cloned(), hidden, dotfiles })
    }

    /// Whether what is there stays what it is, as in an archive.
    pub(super) fn fixed(&self) -> bool {
        self.archive.is_some()
    }

    pub(super) fn archive(&self) -> Option<&Arc<Archive>> {
        self.archive.as_ref()
    }

    /// What is at `path`, for clients: not what is hidden, and nothing that is neither file nor folder.
    ///
    /// # Errors
    /// [`Error::NotFound`] and what else looking it up gives.
    pub(super) fn find(&self, path: &[u8]) -> Result<Found> {
        if self.is_hidden(path) {
            return Err(Error::NotFound);
        }
        let path = if path.is_empty() { Path::DOT } else { Path::new(path)? };
        let metadata = self.root.stat(path, Follow::Yes)?;
        match metadata.kind {
            FileType::File => Ok(Found::File(metadata)),
            FileType::Directory => Ok(Found::Folder),
            _ => Err(Error::NotFound),
        }
    }

    fn is_hidden(&self, path: &[u8]) -> bool {
        let dot = |segment: &[u8]| segment.starts_with(b".") && segment != b".well-known";
        path == MANIFEST.as_bytes()
            || self.hidden.iter().any(|hidden| hidden == path)
            || !self.dotfiles && path.split(|&byte| byte == b'/').any(dot)
    }

    /// The names in a folder that clients may see, and whether each is a folder, in the order of names.
    ///
    /// # Errors
    /// Those of listing it.
    pub(super) fn list(&self, path: &[u8]) -> Result<Vec<(Vec<u8>, bool)>> {
        let at = if path.is_empty() { Path::DOT } else { Path::new(path)? };
        let folder = self.root.open(at, OpenOptions::directory())?.dir()?;
        let mut names: Vec<_> = folder
            .list()?
            .iter()
            .filter_map(|entry| {
                let inside = if path.is_empty() { entry.name.to_vec() } else { [path, b"/", &entry.name].concat() };
                let found = self.find(&inside).ok()?;
                Some((entry.name.to_vec(), matches!(found, Found::Folder)))
            })
            .collect();
        names.sort();
        Ok(names)
    }

    /// Prepares the file at `path`. Takes a while for a large one, whose checksum is verified.
    ///
    /// # Errors
    /// Those of opening it; [`Error::Io`] for damaged contents.
    pub(super) fn prepare(&self, path: &[u8], metadata: &Metadata) -> Result<Prepared> {
        let at = Path::new(path)?;
        let file = self.root.open(at, OpenOptions::read())?.file()?;
        let raw = self.archive.as_ref().map(|archive| archive.raw(at)).transpose()?;
        let contents = match &raw {
            Some(raw) if raw.method == Method::Stored => Contents::Shared(file.read_all()?),
            _ => Contents::Open(file),
        };
        let packed =
            raw.as_ref().filter(|raw| raw.method == Method::Deflated && (raw.data.len() as u64) < metadata.size);
        let deflated = packed.map(|raw| Coded {
            contents: Contents::Shared(raw.data.clone()),
            frame: Some([GZIP_HEADER.clone(), gzip_trailer(raw.crc, metadata.size)]),
            size: raw.data.len() as u64 + 18,
            etag: tag(format_args!("{:08x}-{:x}-gz", raw.crc, metadata.size)),
        });
        let modified = u64::try_from(metadata.modified / 1_000_000_000).unwrap_or(0);
        Ok(Prepared {
            contents,
            size: metadata.size,
            etag: match &raw {
                Some(raw) => tag(format_args!("{:08x}-{:x}", raw.crc, metadata.size)),
                None => tag(format_args!("{:x}-{:x}-{:x}", metadata.modified, metadata.size, metadata.inode)),
            },
            modified,
            last_modified: last_modified(modified),
            content_type: content_type(path),
            gzip: self.sibling(path, b".gz").or(deflated),
            brotli: self.sibling(path, b".br"),
        })
    }

    /// The same file in a coding, which lies beside it.
    fn sibling(&self, path: &[u8], suffix: &[u8]) -> Option<Coded> {
        let path = [path, suffix].concat();
        let Ok(Found::File(metadata)) = self.find(&path) else { return None };
        let file = self.root.open(Path::new(&path).ok()?, OpenOptions::read()).ok()?.file().ok()?;
        let etag = match &self.archive {
            Some(archive) => {
                let raw = archive.raw(Path::new(&path).ok()?).ok()?;
                tag(format_args!("{:08x}-{:x}{}", raw.crc, metadata.size, suffix.escape_ascii()))
            }
            None => {
                let Metadata { modified, size, inode, .. } = metadata;
                tag(format_args!("{modified:x}-{size:x}-{inode:x}{}", suffix.escape_ascii()))
            }
        };
        Some(Coded { contents: Contents::Open(file), frame: None, size: metadata.size, etag })
    }
}

fn tag(words: std::fmt::Arguments<'_>) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(format!("\"{words}\""))).unwrap_or(HeaderValue::from_static("\"\""))
}

fn gzip_trailer(crc: u32, size: u64) -> Bytes {
    // The size is counted modulo 2³².
    Bytes::from([crc.to_le_bytes(), (size as u32).to_le_bytes()].concat())
}

fn last_modified(seconds: u64) -> HeaderValue {
    // httpdate goes to the end of the year 9999.
    let time = UNIX_EPOCH + Duration::from_secs(seconds.min(253_402_300_799));
    HeaderValue::from_maybe_shared(Bytes::from(httpdate::fmt_http_date(time))).unwrap_or(HeaderValue::from_static(""))
}

/// The media type that the name's extension stands for. Text is taken for UTF-8, as it is in whatever is packed today.
fn content_type(path: &[u8]) -> HeaderValue {
    static OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
    static HTML: LazyLock<HeaderValue> = LazyLock::new(|| HeaderValue::from_static("text/html; charset=utf-8"));
    let name = String::from_utf8_lossy(path);
    let extension =
        name.rsplit_once('/').map_or(&*name, |(_, name)| name).rsplit_once('.').map(|(_, extension)| extension);
    let Some(mime) = extension.and_then(|extension| mime_guess::from_ext(extension).first_raw()) else {
        return OCTETS.clone();
    };
    match mime {
        "text/html" => HTML.clone(),
        // RFC 9239 and everyone after it.
        "application/javascript" | "text/javascript" => HeaderValue::from_static("text/javascript; charset=utf-8"),
        text if text.starts_with("text/") => {
            HeaderValue::from_maybe_shared(Bytes::from(format!("{text}; charset=utf-8"))).unwrap_or(OCTETS.clone())
        }
        other => HeaderValue::from_static(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_by_extension() {
        for (name, expected) in [
            ("a.html", "text/html; charset=utf-8"),
            ("a/B.CSS", "text/css; charset=utf-8"),
            ("a.mjs", "text/javascript; charset=utf-8"),
            ("a.wasm", "application/wasm"),
            ("a.svg", "image/svg+xml"),
            ("a.woff2", "font/woff2"),
            ("a.b/c", "application/octet-stream"),
            ("html", "application/octet-stream"),
            ("a.", "application/octet-stream"),
            ("\u{fffd}.png", "image/png"),
        ] {
            assert_eq!(content_type(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn times_that_no_date_has() {
        assert_eq!(last_modified(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(last_modified(u64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
