//! `kitbag inspect`, `ls`, `cat`, `unpack` and `manifest`: what is in a module or a bundle, without running it.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;

use kitbag::bundle::{Bundle, MANIFEST, NATIVE, schema};
use kitbag::{Engine, ExternType, Module, NativeInfo};
use kitbag_fs::zip::{Method, Zip};
use kitbag_fs::{Bytes, Dir, FileSystem, FileType, Follow, Listing, Metadata, OpenOptions, Path as FsPath};
use serde_json::{Value, json};

use super::program::Contents;
use super::report::{Failure, cause, say};

/// Prints what a module or a bundle is.
///
/// # Errors
/// What cannot be read or is neither.
pub(super) fn inspect(path: &Path, as_json: bool) -> Result<i32, Failure> {
    let report = match Contents::open(path)? {
        Contents::Module(bytes) => module(path, &bytes)?,
        Contents::Files(files) => bundle(path, files, archive(path))?,
    };
    match as_json {
        true => say(format_args!("{report:#}\n"))?,
        false => say(text(&report))?,
    }
    Ok(0)
}

fn module(path: &Path, bytes: &Bytes) -> Result<Value, Failure> {
    let refuse = |error: kitbag::Error| Failure::new("cannot inspect", path.display(), error);
    let module = Module::new(&Engine::default(), bytes).map_err(refuse)?;
    let imports: Vec<_> = module
        .imports()
        .map(|import| json!({ "module": import.module, "name": import.name, "type": import.ty.to_string() }))
        .collect();
    let exports: Vec<_> =
        module.exports().map(|export| json!({ "name": export.name, "type": export.ty.to_string() })).collect();
    let of_memories = module.imports().map(|import| import.ty).chain(module.memories().map(ExternType::Memory));
    let memories: Vec<_> =
        of_memories.filter(|ty| matches!(ty, ExternType::Memory(_))).map(|ty| Value::from(ty.to_string())).collect();
    Ok(json!({
        "kind": "module",
        "bytes": bytes.len(),
        "name": module.name(),
        "imports": imports,
        "exports": exports,
        "memories": memories,
        "features": Module::used_features(bytes).map_err(refuse)?,
    }))
}

/// The archive in a file, if it is one.
fn archive(path: &Path) -> Option<Zip> {
    path.is_file().then(|| Zip::open(path, &kitbag_fs::zip::Options::new()).ok()).flatten()
}

fn bundle(path: &Path, files: Arc<dyn FileSystem>, archive: Option<Zip>) -> Result<Value, Failure> {
    let refuse = |error: &dyn std::fmt::Display| Failure::new("cannot inspect", path.display(), error);
    let bundle = Bundle::new(files.clone()).map_err(|error| refuse(&error))?;
    let text = bundle.read(MANIFEST).map_err(|error| refuse(&error))?;
    let (mut entries, mut native) = (Vec::new(), Vec::new());
    let root = files.root().map_err(|error| refuse(&error))?;
    walk(&root, "", &mut |name, folder, metadata| {
        let mut entry = json!({ "path": name, "kind": kind(metadata.kind), "bytes": metadata.size });
        let path = FsPath::new(name.as_bytes())?;
        let raw = archive.as_ref().filter(|_| metadata.kind == FileType::File).map(|zip| zip.raw(path)).transpose()?;
        if let Some(raw) = raw {
            entry["stored"] = method(raw.method).into();
            entry["packed"] = raw.data.len().into();
        }
        if metadata.kind == FileType::Symlink {
            let name = name.rsplit('/').next().unwrap_or(name);
            let target = folder.read_link(FsPath::new(name.as_bytes())?)?;
            entry["target"] = String::from_utf8_lossy(&target).into();
        }
        if name.starts_with(NATIVE) && metadata.kind == FileType::File {
            let bytes = root.open(path, OpenOptions::read())?.file()?.read_all()?;
            native.push(native_code(name, &bytes));
        }
        entries.push(entry);
        Ok(())
    })
    .map_err(|error| refuse(&error))?;
    Ok(json!({
        "kind": "bundle",
        "name": bundle.manifest().name,
        "version": bundle.manifest().version,
        "description": bundle.manifest().description,
        "modules": bundle.modules(),
        "manifest": String::from_utf8_lossy(&text),
        "entries": entries,
        "native": native,
    }))
}

fn native_code(path: &str, bytes: &Bytes) -> Value {
    match NativeInfo::of(bytes) {
        Ok(info) => json!({
            "path": path,
            "machine": info.machine,
            "features": info.features,
            "functions": info.functions,
            "code": info.text,
            "problem": info.problem.map(|problem| problem.to_string()),
        }),
        Err(problem) => json!({ "path": path, "problem": problem.to_string() }),
    }
}

fn kind(kind: FileType) -> &'static str {
    match kind {
        FileType::Directory => "folder",
        FileType::Symlink => "link",
        _ => "file",
    }
}

fn method(method: Method) -> &'static str {
    match method {
        Method::Stored => "stored",
        Method::Deflated => "deflate",
        Method::Zstd => "zstd",
        _ => "otherwise",
    }
}

/// A report for people: what holds one value in a line, what holds several indented below.
fn text(report: &Value) -> String {
    let mut text = String::new();
    for (key, value) in report.as_object().into_iter().flatten() {
        match value {
            Value::Null => {}
            Value::Array(items) if items.is_empty() => {}
            Value::Array(items) => {
                text += &format!("{key}:\n");
                items.iter().for_each(|item| text += &format!("  {}\n", row(item)));
            }
            Value::String(lines) if lines.contains('\n') => {
                text += &format!("{key}:\n");
                lines.lines().for_each(|line| text += &format!("  {}\n", super::report::one_line(line)));
            }
            value => text += &format!("{key}: {}\n", row(value)),
        }
    }
    text
}

/// What speaks for itself as it is, the rest after its name.
fn row(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let shown = fields.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| match key.as_str() {
                "path" | "name" | "module" | "type" | "kind" | "stored" => row(value),
                _ => format!("{key} {}", row(value)),
            });
            shown.collect::<Vec<_>>().join("  ")
        }
        Value::String(text) => super::report::one_line(text),
        value => value.to_string(),
    }
}

/// Calls `see` with everything below a folder, in the order of names: its path, the folder it is in, what it is.
fn walk(
    folder: &Arc<dyn Dir>,
    at: &str,
    see: &mut impl FnMut(&str, &Arc<dyn Dir>, &Metadata) -> kitbag_fs::Result<()>,
) -> kitbag_fs::Result<()> {
    for name in names(&folder.list()?) {
        let path = FsPath::new(&name)?;
        let metadata = folder.stat(path, Follow::No)?;
        let shown = String::from_utf8_lossy(&name);
        let shown = if at.is_empty() { shown.into_owned() } else { format!("{at}/{shown}") };
        see(&shown, folder, &metadata)?;
        if metadata.kind == FileType::Directory {
            walk(&folder.open(path, OpenOptions::directory())?.dir()?, &shown, see)?;
        }
    }
    Ok(())
}

fn names(listing: &Listing) -> Vec<Box<[u8]>> {
    let mut names: Vec<_> = listing.iter().map(|entry| entry.name.clone()).collect();
    names.sort();
    names
}

/// The files of a bundle.
fn open(path: &Path) -> Result<Arc<dyn FileSystem>, Failure> {
    match Contents::open(path)? {
        Contents::Files(files) => Ok(files),
        Contents::Module(_) => Err(Failure::new("not a bundle", path.display(), "it is a module")),
    }
}

fn inner(path: &Path) -> kitbag_fs::Result<&FsPath> {
    let bytes = path.as_os_str().as_bytes();
    FsPath::new(bytes.strip_prefix(b"/").filter(|rest| !rest.is_empty()).unwrap_or(bytes))
}

/// Lists a folder of a bundle, or a file.
///
/// # Errors
/// What is not there.
pub(super) fn list(bundle: &Path, path: &Path) -> Result<i32, Failure> {
    let refuse = |error: kitbag_fs::Error| Failure::new("cannot list", path.display(), error);
    let root = open(bundle)?.root().map_err(refuse)?;
    let inner = if path == Path::new("/") { FsPath::DOT } else { inner(path).map_err(refuse)? };
    let metadata = root.stat(inner, Follow::Yes).map_err(refuse)?;
    let mut text = String::new();
    if metadata.kind == FileType::Directory {
        let folder = root.open(inner, OpenOptions::directory()).and_then(|node| node.dir()).map_err(refuse)?;
        for name in names(&folder.list().map_err(refuse)?) {
            let metadata = FsPath::new(&name).and_then(|name| folder.stat(name, Follow::No)).map_err(refuse)?;
            text += &line(&String::from_utf8_lossy(&name), &metadata);
        }
    } else {
        text = line(&path.display().to_string(), &metadata);
    }
    say(text).map(|()| 0)
}

fn line(name: &str, metadata: &Metadata) -> String {
    let mark = match metadata.kind {
        FileType::Directory => "/",
        FileType::Symlink => "@",
        _ => "",
    };
    format!("{:>12} {}{mark}\n", metadata.size, super::report::one_line(name))
}

/// Writes a file of a bundle to standard output.
///
/// # Errors
/// What is not there or is no file.
pub(super) fn print(bundle: &Path, path: &Path) -> Result<i32, Failure> {
    let refuse = |error: kitbag_fs::Error| Failure::new("cannot read", path.display(), error);
    let root = open(bundle)?.root().map_err(refuse)?;
    let file = inner(path).and_then(|inner| root.open(inner, OpenOptions::read())?.file());
    let bytes = file.and_then(|file| file.read_all()).map_err(refuse)?;
    let mut out = io::stdout().lock();
    let written = out.write_all(&bytes).and_then(|()| out.flush());
    written.map_err(|error| Failure::new("cannot write", "standard output", cause(&error)))?;
    Ok(0)
}

/// Unpacks a bundle into a folder, which is made.
///
/// # Errors
/// A folder that is there already, and what cannot be read or written.
pub(super) fn unpack(bundle: &Path, output: &Path) -> Result<i32, Failure> {
    let files = open(bundle)?;
    let refuse = |error: io::Error| Failure::new("cannot unpack", output.display(), cause(&error));
    fs::create_dir(output).map_err(refuse)?;
    let root = files.root().map_err(|error| refuse(error.into()))?;
    copy(&root, output).map_err(refuse)?;
    Ok(0)
}

/// Copies what is in a folder. Links are made last, so that nothing is written through one.
fn copy(folder: &Arc<dyn Dir>, to: &Path) -> io::Result<()> {
    let mut links = Vec::new();
    for name in names(&folder.list()?) {
        let path = FsPath::new(&name)?;
        let metadata = folder.stat(path, Follow::No)?;
        let target = to.join(std::ffi::OsStr::from_bytes(&name));
        match metadata.kind {
            FileType::Directory => {
                fs::create_dir(&target)?;
                copy(&folder.open(path, OpenOptions::directory())?.dir()?, &target)?;
            }
            FileType::Symlink => links.push((folder.read_link(path)?, target)),
            _ => {
                let bytes = folder.open(path, OpenOptions::read())?.file()?.read_all()?;
                fs::File::create_new(&target)?.write_all(&bytes)?;
                fs::set_permissions(&target, fs::Permissions::from_mode(metadata.mode & 0o755 | 0o600))?;
            }
        }
    }
    links.into_iter().try_for_each(|(link, target)| symlink(std::ffi::OsStr::from_bytes(&link), target))
}

/// Prints the manifest of a bundle, or the grammar of manifests.
///
/// # Errors
/// What is no bundle.
pub(super) fn manifest(bundle: Option<&Path>) -> Result<i32, Failure> {
    let Some(path) = bundle else { return say(schema()).map(|()| 0) };
    let files = open(path)?;
    let refuse = |error: kitbag::bundle::Error| Failure::new("cannot use the bundle", path.display(), error);
    let text = Bundle::new(files).and_then(|bundle| bundle.read(MANIFEST)).map_err(refuse)?;
    say(String::from_utf8_lossy(&text)).map(|()| 0)
}
