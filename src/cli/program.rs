//! FILE: what it is, by its contents, and what it brings along.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use kitbag::bundle::{self, Bundle, Layout, MANIFEST};
use kitbag_fs::disk::Disk;
use kitbag_fs::zip::{self, Zip};
use kitbag_fs::{Bytes, FileSystem};

use super::report::{Failure, archive_cause, cause};

/// The largest file that is read as a module; none that is valid is larger (the limit of browsers, too).
const MODULE_MAX: u64 = 1 << 30;

/// What a binary module begins with.
const MAGIC: &[u8] = b"\0asm";

/// The bytes of an archive's end record without its comment.
const END_RECORD: usize = 22;

/// The bytes at the end of an archive that hold the end record: with the longest comment.
const ARCHIVE_END: usize = END_RECORD + u16::MAX as usize;

/// A program that is ready to be compiled and started.
pub(super) struct Program {
    /// What it is called in messages.
    pub(super) place: String,
    /// The module, as binary or text.
    pub(super) module: Bytes,
    /// What the guest finds as its own name.
    pub(super) argv0: OsString,
    /// Its arguments.
    pub(super) args: Vec<OsString>,
    /// Its environment, later variables in place of earlier ones.
    pub(super) env: Vec<(OsString, OsString)>,
    /// Its files.
    pub(super) layout: Layout,
    /// The bundle that it comes from, if it comes from one.
    pub(super) bundle: Option<Bundle>,
}

/// What a file holds.
pub(super) enum Contents {
    Module(Bytes),
    Files(Arc<dyn FileSystem>),
}

impl Contents {
    /// Opens a file or a folder, which is a bundle if it has a manifest.
    ///
    /// # Errors
    /// What is missing, cannot be read or is neither module nor bundle.
    pub(super) fn open(path: &Path) -> Result<Contents, Failure> {
        let cannot_open = |error: io::Error| Failure::new("cannot open", path.display(), advice(&error));
        let metadata = std::fs::metadata(path).map_err(cannot_open)?;
        if metadata.is_dir() {
            return folder(path);
        }
        contents(&File::open(path).map_err(cannot_open)?, &metadata, path)
    }
}

fn folder(path: &Path) -> Result<Contents, Failure> {
    if !path.join(MANIFEST).exists() {
        let advice = format_args!("it is a folder without a {MANIFEST}; to let a program use it, give it as --dir");
        return Err(Failure::new("not a program", path.display(), advice));
    }
    let files = Disk::read_only(path).map_err(|error| Failure::new("cannot open", path.display(), error))?;
    Ok(Contents::Files(Arc::new(files)))
}

impl Program {
    /// Opens FILE. Of a bundle with several programs, `argv0` or the first of `args` chooses.
    ///
    /// # Errors
    /// What is missing, no program, or a bundle that cannot be used.
    pub(super) fn open(path: &Path, argv0: Option<&OsStr>, args: &mut Vec<OsString>) -> Result<Program, Failure> {
        match Contents::open(path)? {
            Contents::Module(module) => Ok(Program::bare(path, module)),
            Contents::Files(files) => {
                let place = path.display().to_string();
                let bundle =
                    Bundle::new(files).map_err(|error| Failure::new("cannot use the bundle", &place, error))?;
                Program::of_bundle(&place, bundle, argv0, args)
            }
        }
    }

    /// A module on its own: it sees nothing, and its name is the file's.
    fn bare(path: &Path, module: Bytes) -> Program {
        Program {
            place: path.display().to_string(),
            module,
            argv0: path.file_name().unwrap_or(path.as_os_str()).to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            layout: Layout::default(),
            bundle: None,
        }
    }

    /// The program of a bundle that is chosen by `argv0` or by the first of `args`, with the files, arguments and environment that its
    /// manifest gives it.
    ///
    /// # Errors
    /// What is missing in the bundle, and mounts that contradict each other.
    pub(super) fn of_bundle(
        place: &str,
        bundle: Bundle,
        argv0: Option<&OsStr>,
        args: &mut Vec<OsString>,
    ) -> Result<Program, Failure> {
        let refuse = |error: bundle::Error| match error {
            bundle::Error::NoTool(_) => Failure::usage("nothing to run", place, error),
            error => Failure::new("cannot use the bundle", place, error),
        };
        let selected = bundle.select(argv0, args).map_err(refuse)?;
        let (module, layout) = (bundle.read(&selected.entry).map_err(refuse)?, bundle.layout().map_err(refuse)?);
        Ok(Program {
            argv0: selected.name.into(),
            args: selected.args.into_iter().map(OsString::from).collect(),
            env: selected.env.into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
            place: format!("{place} ({})", selected.entry),
            module,
            layout,
            bundle: Some(bundle),
        })
    }

    /// Mounts the folders of the host that a bundle asks for, if they are granted.
    ///
    /// # Errors
    /// One that is not, or that cannot be opened.
    pub(super) fn mount_host(&mut self, granted: bool) -> Result<(), Failure> {
        let Some(bundle) = &self.bundle else { return Ok(()) };
        bundle.mount_host(&mut self.layout, granted).map_err(|error| match error {
            bundle::Error::NotGranted { .. } => {
                let advice =
                    format_args!("{error}: --grant gives it that, and so does an option that mounts something there");
                Failure::new("not granted", &self.place, advice)
            }
            error => Failure::new("cannot mount", &self.place, error),
        })
    }
}

/// Tells an archive from a module, which is read.
fn contents(file: &File, metadata: &Metadata, path: &Path) -> Result<Contents, Failure> {
    let cannot_read = |error: io::Error| Failure::new("cannot read", path.display(), cause(&error));
    let archive = if metadata.is_file() && is_archive_file(file, metadata.len()).map_err(cannot_read)? {
        Zip::from_file(file, &zip::Options::new())
    } else {
        let bytes = read(file).map_err(cannot_read)?;
        if !is_archive(&bytes, &bytes[bytes.len().saturating_sub(ARCHIVE_END)..]) {
            return Ok(Contents::Module(bytes.into()));
        }
        Zip::from_bytes(bytes.into(), &zip::Options::new())
    };
    let refuse = |error| Failure::new("cannot use the archive", path.display(), archive_cause(&error));
    archive.map(|zip| Contents::Files(Arc::new(zip))).map_err(refuse)
}

/// Whether a file is an archive, without reading what lies between its ends.
fn is_archive_file(file: &File, size: u64) -> io::Result<bool> {
    let mut head = [0; 4];
    let tail_start = size.saturating_sub(ARCHIVE_END as u64);
    let mut tail = vec![0; (size - tail_start) as usize];
    let head_size = file.read_at(&mut head, 0)?;
    let tail_size = file.read_at(&mut tail, tail_start)?;
    Ok(is_archive(&head[..head_size], &tail[..tail_size]))
}

/// Whether what begins and ends so is an archive: it ends with an end record, or begins as an archive does (one that
/// was cut off, say). An archive may follow a program; a module may hold an archive.
fn is_archive(head: &[u8], tail: &[u8]) -> bool {
    let ends = || tail.windows(END_RECORD).any(|bytes| bytes.starts_with(b"PK\x05\x06"));
    !head.starts_with(MAGIC) && (head.starts_with(b"PK\x03\x04") || ends())
}

/// The whole of a file that may be a pipe or a device.
fn read(mut file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.by_ref().take(MODULE_MAX + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MODULE_MAX {
        true => Err(io::Error::other("it is larger than a module can be")),
        false => Ok(bytes),
    }
}

/// What to do about a file that cannot be opened.
fn advice(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file (nor a command; `kitbag help` lists them)".to_owned(),
        _ => cause(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_tell() {
        let end = [&b"PK\x05\x06"[..], &[0; 18]].concat();
        assert!(is_archive(b"PK\x03\x04", b""));
        assert!(is_archive(b"\x7fELF", &[b"x", &end[..], b"a comment"].concat()));
        assert!(!is_archive(b"\0asm", &end));
        assert!(!is_archive(b"(mod", b"PK\x05\x06"));
    }
}
