//! The cache: what it gives back, what it does not believe, and how large it grows.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use kitbag::cache::Cache;
use kitbag::{Config, Engine, Module, ModuleId};

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn wat(number: u32) -> (String, ModuleId) {
    let text = format!("(module (func (export \"f\") (result i32) (i32.const {number})))");
    let id = ModuleId::of(text.as_bytes());
    (text, id)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// A cache with one entry, and that entry's file.
fn filled(folder: &Path, engine: &Engine) -> (Cache, ModuleId, PathBuf) {
    let cache = Cache::open(&folder.join("cache")).unwrap();
    let (text, id) = wat(1);
    cache.store(&Module::new(engine, text).unwrap(), &id).unwrap();
    let file = files(cache.path()).pop().unwrap();
    (cache, id, file)
}

#[test]
fn what_is_stored_is_loaded_by_what_it_depends_on() {
    let (folder, engine) = (scratch(), Engine::default());
    let (cache, id, _) = filled(folder.path(), &engine);
    assert!(cache.load(&engine, &id).unwrap().is_some());
    assert!(cache.load(&Engine::default(), &id).unwrap().is_some());
    assert!(cache.load(&engine, &wat(2).1).unwrap().is_none());
    let other = Engine::new(Config::new().guard_pages(false)).unwrap();
    assert!(cache.load(&other, &id).unwrap().is_none());
    assert_eq!(cache.entries().unwrap().len(), 1);
    assert!(cache.clear().unwrap() > 0 && files(cache.path()).is_empty());
    assert!(cache.load(&engine, &id).unwrap().is_none());
}

#[test]
fn what_is_damaged_is_not_used_and_is_replaced() {
    let (folder, engine) = (scratch(), Engine::default());
    let (cache, id, file) = filled(folder.path(), &engine);
    let whole = fs::read(&file).unwrap();
    let mut altered = whole.clone();
    *altered.last_mut().unwrap() ^= 1;
    let mut other_build = whole.clone();
    other_build[16] ^= 1;
    for bytes in [&altered[..], &other_build, &whole[..whole.len() - 1], b"", b"not code"] {
        fs::write(&file, bytes).unwrap();
        assert!(cache.load(&engine, &id).is_err(), "{} bytes", bytes.len());
        cache.store(&Module::new(&engine, wat(1).0).unwrap(), &id).unwrap();
        assert_eq!(fs::read(&file).unwrap(), whole);
    }
}

/// An entry under another's name, as who can write to the folder but not break the hash could put there.
#[test]
fn an_entry_of_another_module_is_not_used() {
    let (folder, engine) = (scratch(), Engine::default());
    let (cache, first, file) = filled(folder.path(), &engine);
    let (text, second) = wat(2);
    cache.store(&Module::new(&engine, text).unwrap(), &second).unwrap();
    let other = files(cache.path()).into_iter().find(|path| *path != file).unwrap();
    fs::copy(other, &file).unwrap();
    assert!(cache.load(&engine, &first).unwrap_err().to_string().contains("another module"));
}

#[test]
fn what_others_can_write_to_is_not_used() {
    let (folder, engine) = (scratch(), Engine::default());
    let (cache, id, file) = filled(folder.path(), &engine);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o620)).unwrap();
    assert!(cache.load(&engine, &id).is_err());
    let elsewhere = folder.path().join("elsewhere");
    fs::rename(&file, &elsewhere).unwrap();
    fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o600)).unwrap();
    symlink(&elsewhere, &file).unwrap();
    assert!(cache.load(&engine, &id).is_err());
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(cache.load(&engine, &id).is_err());
    for mode in [0o770, 0o707, 0o1777] {
        fs::set_permissions(cache.path(), fs::Permissions::from_mode(mode)).unwrap();
        let refused = Cache::open(cache.path()).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied, "{mode:o}");
    }
    let link = folder.path().join("link");
    symlink(cache.path(), &link).unwrap();
    assert!(Cache::open(&link).is_err());
}

#[test]
fn the_oldest_go_when_there_is_no_room() {
    let (folder, engine) = (scratch(), Engine::default());
    let (cache, first, file) = filled(folder.path(), &engine);
    let bytes = fs::metadata(&file).unwrap().len();
    let cache = cache.limit(2 * bytes + 100);
    let age = |path: &Path, hours: u64| {
        let time = SystemTime::now() - Duration::from_secs(hours * 3600);
        fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    };
    age(&file, 3);
    let (text, second) = wat(2);
    cache.store(&Module::new(&engine, text).unwrap(), &second).unwrap();
    age(&files(cache.path()).into_iter().find(|path| *path != file).unwrap(), 2);
    let abandoned = cache.path().join("unfinished-1-1");
    fs::write(&abandoned, "half").unwrap();
    age(&abandoned, 2);
    // It was the oldest, and is used now.
    assert!(cache.load(&engine, &first).unwrap().is_some());
    let (text, third) = wat(3);
    cache.store(&Module::new(&engine, text).unwrap(), &third).unwrap();
    let present = |id: &ModuleId| cache.load(&engine, id).unwrap().is_some();
    assert_eq!((present(&first), present(&second), present(&third)), (true, false, true));
    assert!(!abandoned.exists());
}

/// Where nothing can be written, nothing is left.
#[test]
fn a_store_that_fails_leaves_nothing() {
    let (folder, engine) = (scratch(), Engine::default());
    let (cache, id, file) = filled(folder.path(), &engine);
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(cache.store(&Module::new(&engine, wat(1).0).unwrap(), &id).is_err());
    assert_eq!(files(cache.path()), [file]);
}
