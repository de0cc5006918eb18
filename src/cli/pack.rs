//! `kitbag pack`: a program and its files as a bundle, or as an executable that needs nothing else.
//!
//! The bytes depend on what goes in and on the build of kitbag alone: entries are in the order of their paths, their times are the first that the
//! format has, their modes 644 or 755. An executable's native code is that of this processor, or with `--portable` of
//! each of its kind. The output takes its place when it is whole.

mod archive;
pub(super) mod rules;
mod runtime;
mod sources;

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kitbag::bundle::{Bundle, MANIFEST, native_path};
use kitbag::{Engine, Module, NativeInfo};
use kitbag_fs::disk::Disk;
use kitbag_fs::memory::Memory;
use kitbag_fs::{Bytes, FileSystem, Path as FsPath};

use self::archive::{Archive, Entry, Method};
use self::rules::Packed;
use self::runtime::Runtime;
use self::sources::{Source, Sources, add_file, add_tree};
use super::args::{DirMount, Pack};
use super::program::Contents;
use super::progress::Progress;
use super::report::{Failure, cause, one_line, say};

/// Where in the bundle the module of a bundle without a manifest lies, and what `--add` adds.
const ADDED: &str = "files";

/// What native code begins at: the largest page of any machine.
const NATIVE_ALIGN: u64 = 1 << 16;

const FILE: u32 = 0o100_644;
const PROGRAM: u32 = 0o100_755;
const LINK: u32 = 0o120_777;
const FOLDER: u32 = 0o040_755;

/// Packs what the options say.
///
/// # Errors
/// What is missing, contradicts itself, is no valid module, or cannot be written.
pub(super) fn run(options: &Pack) -> Result<i32, Failure> {
    let progress = Progress::of(format!("packing {}", one_line(&options.output.display().to_string())));
    let plan = Plan::make(options)?;
    let runtime = options.exe.then(|| Runtime::find(options.runtime.as_deref())).transpose()?;
    let written = plan.write(options, runtime.as_ref());
    drop(progress);
    let summary = written?;
    say(summary.text(options, runtime.as_ref()))?;
    Ok(0)
}

/// What is to be written.
struct Plan {
    sources: Sources,
    /// The modules that can run.
    modules: Vec<String>,
}

impl Plan {
    fn make(options: &Pack) -> Result<Plan, Failure> {
        let mut sources = Sources::new();
        let mut manifest = begin(options, &mut sources)?;
        for added in &options.add {
            manifest += &add(options, &mut sources, added)?;
        }
        for (places, source) in [(&options.cwd, "host = \"cwd\""), (&options.tmp, "memory = true")] {
            for place in places {
                manifest += &format!("\n[[mount]]\nguest = {}\n{source}\n", quoted(&place.to_string()));
            }
        }
        let bundle = check(&manifest).map_err(|error| Failure::new("cannot pack", options.file.display(), error))?;
        let modules = bundle.modules().into_iter().map(str::to_owned).collect();
        sources.insert(MANIFEST.into(), Source::Bytes(manifest.into()));
        Ok(Plan { sources, modules })
    }

    /// Writes it beside where it is to be, and puts it there when it is whole.
    fn write(&self, options: &Pack, runtime: Option<&Runtime>) -> Result<Summary, Failure> {
        let path = &options.output;
        let unfinished = unfinished(path);
        let refuse = |error: &io::Error| Failure::new("cannot write", path.display(), cause(error));
        let mode = if runtime.is_some() { 0o777 } else { 0o666 };
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&unfinished);
        let file = file.map_err(|error| refuse(&error))?;
        let renamed = self.fill(options, runtime, file).and_then(|summary| {
            std::fs::rename(&unfinished, path).map_err(|error| refuse(&error))?;
            Ok(summary)
        });
        if renamed.is_err() {
            // What made it fail is what is reported.
            _ = std::fs::remove_file(&unfinished);
        }
        renamed
    }

    fn fill(&self, options: &Pack, runtime: Option<&Runtime>, file: File) -> Result<Summary, Failure> {
        let refuse = |error: io::Error| Failure::new("cannot write", options.output.display(), cause(&error));
        let mut out = BufWriter::new(file);
        let before = runtime.map_or(&[][..], |runtime| &runtime.bytes);
        out.write_all(before).map_err(refuse)?;
        let mut archive = Archive::new(out, before.len() as u64);
        let mut summary = Summary::default();
        for (path, source) in &self.sources {
            summary.entries += 1;
            self.entry(options, runtime.is_some(), path, source, &mut archive, &mut summary)?;
        }
        if let Some(runtime) = runtime {
            self.native(options, runtime, &mut archive, &mut summary)?;
        }
        let (mut out, size) = archive.finish().map_err(refuse)?;
        out.flush().map_err(refuse)?;
        summary.size = size;
        Ok(summary)
    }

    fn entry(
        &self,
        options: &Pack,
        executable: bool,
        path: &[u8],
        source: &Source,
        archive: &mut Archive<BufWriter<File>>,
        summary: &mut Summary,
    ) -> Result<(), Failure> {
        let shown = String::from_utf8_lossy(path);
        let (bytes, mode) = match source {
            Source::Bytes(bytes) => (bytes.clone(), FILE),
            Source::File { root, path: within, mode } => {
                let bytes = Source::read(root, within).map_err(|error| Failure::new("cannot read", &shown, error))?;
                (bytes, if mode & 0o111 == 0 { FILE } else { PROGRAM })
            }
            Source::Link(target) => (Bytes::copy_from_slice(target), LINK),
            Source::Folder => (Bytes::new(), FOLDER),
        };
        let module = self.modules.iter().any(|module| module.as_bytes() == path);
        if module && !executable {
            let engine = Engine::default();
            Module::validate(&engine, &bytes).map_err(|error| Failure::new("cannot pack", &shown, error))?;
        }
        // A module that runs from here is read in place; beside native code it is only there for other machines.
        let auto = if module && !executable { Method::Stored } else { Method::Deflate };
        let packed = match source {
            Source::Bytes(_) | Source::File { .. } => rules::pack(&bytes, rules::choice(&options.compress, path), auto),
            _ => Packed { method: Method::Stored, data: None, align: 1 },
        };
        summary.count(module, &bytes, &packed);
        add_entry(archive, path, mode, &bytes, &packed)
            .map_err(|error| Failure::new("cannot pack", shown, cause(&error)))
    }

    /// The native code of all modules for the runtime's machine.
    fn native(
        &self,
        options: &Pack,
        runtime: &Runtime,
        archive: &mut Archive<BufWriter<File>>,
        summary: &mut Summary,
    ) -> Result<(), Failure> {
        let Some(target) = runtime.target(options.portable) else {
            summary.without = Some(format!("none: there is no compiler for {} in this build", runtime.machine));
            return Ok(());
        };
        let engine = Engine::default();
        for module in &self.modules {
            let refuse = |error: &dyn std::fmt::Display| Failure::new("cannot pack", module, error);
            let bytes = match self.sources.get(module.as_bytes()) {
                Some(Source::Bytes(bytes)) => bytes.clone(),
                Some(Source::File { root, path, .. }) => Source::read(root, path).map_err(|error| refuse(&error))?,
                _ => return Err(refuse(&"there is no such module in the bundle")),
            };
            let native = engine.precompile_module_for(target, &bytes).map_err(|error| refuse(&error))?;
            let native = Bytes::from(native);
            summary.native += native.len() as u64;
            summary.features = NativeInfo::of(&native).map(|info| info.features).unwrap_or_default();
            let path = native_path(runtime.machine, module);
            let packed = Packed { method: Method::Stored, data: None, align: NATIVE_ALIGN };
            add_entry(archive, path.as_bytes(), FILE, &native, &packed).map_err(|error| refuse(&cause(&error)))?;
        }
        Ok(())
    }
}

fn add_entry(
    archive: &mut Archive<BufWriter<File>>,
    name: &[u8],
    mode: u32,
    bytes: &[u8],
    packed: &Packed,
) -> io::Result<()> {
    let data = packed.data.as_deref().unwrap_or(bytes);
    let (size, crc) = (bytes.len() as u64, crc32fast::hash(bytes));
    archive.add(&Entry { name, mode, method: packed.method, data, size, crc, align: packed.align })
}

/// Collects the files of the bundle or module that is given, and gives the text of its manifest.
fn begin(options: &Pack, sources: &mut Sources) -> Result<String, Failure> {
    let path = &options.file;
    let folder = path.file_name().filter(|name| *name == MANIFEST).map(|_| path.parent().unwrap_or(Path::new("")));
    let folder = folder.map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    match Contents::open(folder.unwrap_or(path))? {
        Contents::Module(module) => module_alone(path, module, sources),
        Contents::Files(files) => {
            let place = path.display().to_string();
            let bundle = Bundle::new(files.clone()).map_err(|error| Failure::new("cannot pack", &place, error))?;
            add_tree(sources, b"", &files, &options.exclude, &place)?;
            if let Some(name) = folder.and_then(|folder| within(folder, &options.output)) {
                sources.remove(&name);
            }
            let text = bundle.read(MANIFEST).map_err(|error| Failure::new("cannot pack", &place, error))?;
            Ok(String::from_utf8_lossy(&text).into_owned())
        }
    }
}

/// The path of `file` in `folder`, if it is in it: what is written is no part of what is packed.
fn within(folder: &Path, file: &Path) -> Option<Vec<u8>> {
    let name = file.file_name()?;
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = parent.canonicalize().ok()?.join(name);
    let inner = file.strip_prefix(folder.canonicalize().ok()?).ok()?;
    Some(inner.as_os_str().as_encoded_bytes().to_vec())
}

/// A bundle of one module.
fn module_alone(path: &Path, module: Bytes, sources: &mut Sources) -> Result<String, Failure> {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_else(|| "program".to_owned());
    let entry = format!("{stem}.wasm");
    let binary = Module::text_to_binary(&module).map_err(|error| Failure::new("cannot pack", path.display(), error))?;
    sources.insert(entry.clone().into_bytes(), Source::Bytes(binary.into()));
    Ok(format!("[bundle]\nname = {}\nentry = {}\n", quoted(&stem), quoted(&entry)))
}

/// Adds what `--add` says, and gives its part of the manifest.
fn add(options: &Pack, sources: &mut Sources, added: &DirMount) -> Result<String, Failure> {
    let guest = added.guest.to_string();
    let inner = guest.trim_start_matches('/').trim_start_matches("./");
    let path = if matches!(inner, "" | ".") { ADDED.to_owned() } else { format!("{ADDED}/{inner}") };
    let place = added.host.display().to_string();
    let mut overlay = !added.read_only;
    if added.host.is_dir() {
        let files = Disk::read_only(&added.host).map_err(|error| Failure::new("cannot read", &place, error))?;
        add_tree(sources, path.as_bytes(), &files, &options.exclude, &place)?;
    } else {
        add_file(sources, path.as_bytes(), &added.host)?;
        overlay = false;
    }
    let overlay = if overlay { "overlay = true\n" } else { "" };
    Ok(format!("\n[[mount]]\nguest = {}\npath = {}\n{overlay}", quoted(&guest), quoted(&path)))
}

/// The bundle that a manifest makes, without its files.
fn check(manifest: &str) -> Result<Bundle, kitbag::bundle::Error> {
    let files = Memory::new();
    let path = FsPath::new(MANIFEST.as_bytes()).expect("a name is a path");
    files.insert(path, Bytes::from(manifest.as_bytes().to_vec())).expect("there is room for a manifest");
    Bundle::new(Arc::new(files) as Arc<dyn FileSystem>)
}

/// A [basic string](https://toml.io/en/v1.0.0#string) of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted += &format!("\\u{:04X}", u32::from(c)),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// The name that the output has until it is whole.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".unfinished-{}", std::process::id()));
    path.with_file_name(name)
}

/// What was written.
#[derive(Default)]
struct Summary {
    entries: usize,
    size: u64,
    /// Before and after packing.
    modules: (u64, u64),
    files: (u64, u64),
    native: u64,
    features: String,
    /// Why there is no native code.
    without: Option<String>,
}

impl Summary {
    fn count(&mut self, module: bool, bytes: &Bytes, packed: &Packed) {
        let sizes = if module { &mut self.modules } else { &mut self.files };
        sizes.0 += bytes.len() as u64;
        sizes.1 += packed.data.as_ref().map_or(bytes.len(), Vec::len) as u64;
    }

    fn text(&self, options: &Pack, runtime: Option<&Runtime>) -> String {
        let kind = runtime.map_or("a bundle".to_owned(), |runtime| format!("an executable for {}", runtime.machine));
        let mut text =
            format!("{}: {kind} of {} bytes, {} entries\n", options.output.display(), self.size, self.entries);
        let mut line = |what: &str, size: u64, more: &str| text += &format!("{size:>12} {what}{more}\n");
        if let Some(runtime) = runtime {
            line("runtime", runtime.bytes.len() as u64, "");
            let using = |features: &str| match features {
                "" => String::new(),
                some => format!(", which uses {some}"),
            };
            let more = self.without.as_ref().map_or_else(|| using(&self.features), |why| format!(": {why}"));
            line("native code", self.native, &more);
        }
        line("modules", self.modules.1, &format!(", unpacked {}", self.modules.0));
        line("files", self.files.1, &format!(", unpacked {}", self.files.0));
        text
    }
}
