//! The user's own cache of native code: a folder that nobody else can write to.
//!
//! An entry is a file of native code ([`Module::serialize`]) under the hash of everything that it depends on: the module, the build of
//! kitbag, the machine, the processor's features that its code may use, the engine's settings. It is mapped, so that processes share it. Entries
//! come into being whole, under a name of their own, and are renamed to their place; what is damaged or not the user's is not
//! used, and replaced by the next store. When there is more than the limit, what was not used for longest goes.
//!
//! Native code can do what the process can, so that the cache is as much to be trusted as the user's own programs: it is used only
//! if the folder and the entry are the user's and nobody else may write to them. Modules that compile in less time than
//! it takes to look here are [not worth it](WORTH).
//!
//! # Safety
//! Entries are what [`Module::serialize`] gave to this user, on the word of the file system, and are never changed in place.

#![allow(unsafe_code, reason = "runs code from files of the user's; see the module's Safety section")]

use std::ffi::OsString;
use std::fs::{DirBuilder, File};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_NOW};
use rustix::process::geteuid;

use crate::{Engine, Error, Module, ModuleId};

/// Bytes from which on a module is worth an entry.
pub const WORTH: usize = 64 << 10;

/// Bytes that entries may have together, unless set.
const LIMIT: u64 = 1 << 30;

/// How the names of entries end.
const ENTRY: &str = ".native";

/// How the names of entries begin that are not whole yet.
const UNFINISHED: &str = "unfinished-";

/// How old what is unfinished has to be before nobody can be at work on it.
const ABANDONED: Duration = Duration::from_secs(3600);

/// An open cache.
#[derive(Debug)]
pub struct Cache {
    folder: OwnedFd,
    path: PathBuf,
    limit: u64,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its file's name.
    pub name: OsString,
    /// Bytes of its file.
    pub bytes: u64,
    /// When it was used last.
    pub used: SystemTime,
}

/// The default place of the cache: `kitbag` in `$XDG_CACHE_HOME`, which is `~/.cache` if not set to an absolute path; none
/// without a home either.
#[must_use]
pub fn default_path() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
    Some(caches.join("kitbag"))
}

impl Cache {
    /// Opens the cache at [`default_path`], and makes it if it is not there.
    ///
    /// # Errors
    /// As for [`open`](Cache::open); `NotFound` where there is no such path.
    pub fn open_default() -> io::Result<Cache> {
        let path = default_path()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "neither XDG_CACHE_HOME nor HOME is set"))?;
        Cache::open(&path)
    }

    /// Opens the cache in a folder, which is made if it is not there.
    ///
    /// # Errors
    /// Those of making and opening it; `PermissionDenied` where it is somebody else's or others can write to it.
    pub fn open(path: &Path) -> io::Result<Cache> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let open = || fs::open(path, flags, Mode::empty());
        let folder = match open() {
            Err(rustix::io::Errno::NOENT) => {
                DirBuilder::new().recursive(true).mode(0o700).create(path)?;
                open()?
            }
            opened => opened?,
        };
        if !is_private(&fs::fstat(&folder)?) {
            let words = format!("{} is not this user's alone to write to", path.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, words));
        }
        Ok(Cache { folder, path: path.to_owned(), limit: LIMIT })
    }

    /// With room for so many bytes of entries.
    #[must_use]
    pub fn limit(self, bytes: u64) -> Cache {
        Cache { limit: bytes, ..self }
    }

    /// Its folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The module of this identity; `None` if there is no entry for it.
    ///
    /// # Errors
    /// What is wrong with the entry, which is not used then: [`Native`](Error::Native) or [`Host`](Error::Host).
    pub fn load(&self, engine: &Engine, id: &ModuleId) -> Result<Option<Module>, Error> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match fs::openat(&self.folder, key(engine, id), flags, Mode::empty()) {
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            file => File::from(file.map_err(io::Error::from)?),
        };
        let stat = fs::fstat(&file).map_err(io::Error::from)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || !is_private(&stat) {
            return Err(Error::host("the entry is not this user's alone to write to"));
        }
        // SAFETY: see the module's Safety section.
        let module = unsafe { Module::map_native(engine, &file, |found| found == id)? };
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        // It is used all the same, and only goes earlier.
        _ = fs::futimens(&file, &Timestamps { last_access: now, last_modification: now });
        Ok(Some(module))
    }

    /// Keeps a module that was compiled from bytes of this identity.
    ///
    /// # Errors
    /// Those of writing, as where the disk is full; nothing is left of it then.
    pub fn store(&self, module: &Module, id: &ModuleId) -> io::Result<()> {
        let unfinished = self.write(module, id)?;
        let renamed = fs::renameat(&self.folder, &*unfinished, &self.folder, key(module.engine(), id));
        self.unless(renamed.map_err(io::Error::from), &unfinished)?;
        self.prune()
    }

    /// Writes an entry under a name of its own, which it gives.
    fn write(&self, module: &Module, id: &ModuleId) -> io::Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("{UNFINISHED}{}-{}", std::process::id(), now.as_nanos());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(fs::openat(&self.folder, &*name, flags, Mode::RUSR | Mode::WUSR)?);
        let written = file.write_all(&module.native_head(*id)).and_then(|()| file.write_all(module.native_text()));
        self.unless(written, &name)?;
        Ok(name)
    }

    /// Removes what is unfinished where something failed.
    fn unless(&self, done: io::Result<()>, unfinished: &str) -> io::Result<()> {
        done.inspect_err(|_| _ = fs::unlinkat(&self.folder, unfinished, AtFlags::empty()))
    }

    /// All entries, those used last first.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = self.files()?;
        entries.retain(|entry| entry.name.as_encoded_bytes().ends_with(ENTRY.as_bytes()));
        entries.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.name.cmp(&b.name)));
        Ok(entries)
    }

    /// What is in the folder, as far as it is files.
    fn files(&self) -> io::Result<Vec<Entry>> {
        let mut files = Vec::new();
        for found in Dir::read_from(&self.folder)? {
            let name = found?.file_name().to_owned();
            // What is gone meanwhile is no entry.
            let Ok(stat) = fs::statat(&self.folder, &*name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
                let used = UNIX_EPOCH + Duration::new(stat.st_mtime.try_into().unwrap_or(0), stat.st_mtime_nsec as u32);
                files.push(Entry { name: OsString::from_vec(name.into_bytes()), bytes: stat.st_size as u64, used });
            }
        }
        Ok(files)
    }

    /// Removes all entries, and what is unfinished; says how many bytes those were.
    ///
    /// # Errors
    /// Those of reading the folder and of removing.
    pub fn clear(&self) -> io::Result<u64> {
        let mut bytes = 0;
        for file in self.files()?.iter().filter(|file| is_ours(file)) {
            self.remove(file)?;
            bytes += file.bytes;
        }
        Ok(bytes)
    }

    /// Removes what was not used for longest until the rest is within the limit, and what was abandoned unfinished.
    fn prune(&self) -> io::Result<()> {
        let mut room = self.limit;
        for entry in self.entries()? {
            match room.checked_sub(entry.bytes) {
                Some(left) => room = left,
                None => self.remove(&entry)?,
            }
        }
        let now = SystemTime::now();
        let abandoned = |file: &Entry| now.duration_since(file.used).is_ok_and(|age| age > ABANDONED);
        let files = self.files()?;
        let begun = files.iter().filter(|file| file.name.as_encoded_bytes().starts_with(UNFINISHED.as_bytes()));
        begun.filter(|file| abandoned(file)).try_for_each(|file| self.remove(file))
    }

    fn remove(&self, entry: &Entry) -> io::Result<()> {
        match fs::unlinkat(&self.folder, &*entry.name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The module of these bytes: from the default cache, or else from `compile`, and kept there then. `note` is told what
/// happened, and why the cache was not used where it was not.
///
/// # Errors
/// Those of `compile`: whatever the cache fails in, there is a module without it.
pub fn module(
    engine: &Engine,
    bytes: &[u8],
    compile: impl FnOnce() -> Result<Module, Error>,
    mut note: impl FnMut(&str),
) -> Result<Module, Error> {
    if bytes.len() < WORTH {
        return compile();
    }
    let cache = match Cache::open_default() {
        Ok(cache) => cache,
        Err(error) => {
            note(&format!("no cache: {error}"));
            return compile();
        }
    };
    let id = ModuleId::of(bytes);
    match cache.load(engine, &id) {
        Ok(Some(module)) => {
            note("its native code was in the cache");
            return Ok(module);
        }
        Ok(None) => {}
        Err(error) => note(&format!("the cache's entry is not used: {error}")),
    }
    let module = compile()?;
    match cache.store(&module, &id) {
        Ok(()) => note("its native code is in the cache now"),
        Err(error) => note(&format!("its native code is not in the cache: {error}")),
    }
    Ok(module)
}

fn is_ours(file: &Entry) -> bool {
    let name = file.name.as_encoded_bytes();
    name.ends_with(ENTRY.as_bytes()) || name.starts_with(UNFINISHED.as_bytes())
}

/// Whether only this user can write to it.
fn is_private(stat: &Stat) -> bool {
    stat.st_uid == geteuid().as_raw() && stat.st_mode & 0o022 == 0
}

/// The name of an entry.
fn key(engine: &Engine, id: &ModuleId) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&id.hash);
    hasher.update(&engine.code_key());
    format!("{}{ENTRY}", &hasher.finalize().to_hex()[..40])
}
