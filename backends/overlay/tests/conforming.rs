//! The checks that every backend passes.

use super::*;
use crate::conformance::tree::{self, Item};
use crate::conformance::{Capabilities, check};
use crate::readonly::ReadOnly;

#[test]
fn over_nothing() {
    assert_eq!(check(&over(&[]).overlay, Capabilities::ALL), []);
}

#[test]
fn over_an_empty_lower() {
    assert_eq!(check(&over(&[memory(&[])]).overlay, Capabilities::ALL), []);
}

/// Whatever the checks make lies over whiteouts of directories and files of the same names.
#[test]
fn over_remains_that_were_removed() {
    let lower = Arc::new(Memory::new());
    assert_eq!(check(&*lower, Capabilities::ALL), []);
    let scene = over(&[lower]);
    clear(&*scene.root);
    assert_eq!(check(&scene.overlay, Capabilities::ALL), []);
    let scene = scene.restart();
    clear(&*scene.root);
    assert_eq!(check(&scene.restart().overlay, Capabilities::ALL), []);
}

/// An overlay is a layer as good as any.
#[test]
fn over_and_under_overlays() {
    let inner = over(&[memory(&[])]).overlay;
    let lower = over(&[memory(&[])]).overlay;
    let outer = Overlay::new(Arc::new(inner), [Arc::new(lower) as Arc<dyn FileSystem>]).unwrap();
    assert_eq!(check(&outer, Capabilities::ALL), []);
}

fn clear(dir: &dyn Dir) {
    for entry in dir.list().unwrap().iter() {
        let name = Path::new(&entry.name).unwrap();
        if entry.kind == FileType::Directory {
            clear(&*dir.open(name, OpenOptions::directory()).unwrap().dir().unwrap());
            dir.remove_dir(name).unwrap();
        } else {
            dir.unlink(name).unwrap();
        }
    }
}

fn read_only(lowers: Vec<Arc<dyn FileSystem>>) -> ReadOnly<Overlay> {
    ReadOnly::new(Overlay::new(Arc::new(Memory::new()), lowers).unwrap())
}

fn standard() -> Memory {
    let memory = Memory::new();
    tree::write_into(&*memory.root().unwrap(), Capabilities::ALL).unwrap();
    memory
}

#[test]
fn the_standard_tree_in_a_lower() {
    assert_eq!(check(&read_only(vec![Arc::new(standard())]), Capabilities::READ_ONLY), []);
    assert_eq!(check(&read_only(vec![Arc::new(standard()), Arc::new(standard())]), Capabilities::READ_ONLY), []);
}

/// Every directory is merged of three.
#[test]
fn the_standard_tree_dealt_out_to_layers() {
    let layers = [Memory::new(), Memory::new(), Memory::new()];
    let can = Capabilities { hard_links: false, ..Capabilities::ALL };
    for (number, (name, item)) in tree::items(can).into_iter().enumerate() {
        let name = Path::new(&name).unwrap();
        match item {
            Item::Dir => layers.iter().for_each(|layer| layer.root().unwrap().create_dir(name).unwrap()),
            Item::File(bytes) => layers[number % 3].insert(name, bytes.into()).unwrap(),
            Item::Symlink(target) => layers[number % 3].root().unwrap().symlink(target.as_bytes(), name).unwrap(),
            Item::HardLink(_) => {}
        }
    }
    let [upper, first, second] = layers;
    let lowers = [Arc::new(first) as Arc<dyn FileSystem>, Arc::new(second)];
    let overlay = Overlay::new(Arc::new(upper), lowers).unwrap();
    assert_eq!(check(&ReadOnly::new(overlay), Capabilities { writing: false, ..can }), []);
}

/// What all was copied up from a lower is as it was.
#[test]
fn the_standard_tree_copied_up() {
    let overlay = Overlay::new(Arc::new(Memory::new()), [Arc::new(standard()) as Arc<dyn FileSystem>]).unwrap();
    copy_up(&*overlay.root().unwrap());
    assert_eq!(check(&ReadOnly::new(overlay), Capabilities::READ_ONLY), []);
}

fn copy_up(dir: &dyn Dir) {
    for entry in dir.list().unwrap().iter() {
        let name = Path::new(&entry.name).unwrap();
        dir.set_times(name, Follow::No, old()).unwrap();
        if entry.kind == FileType::Directory {
            copy_up(&*dir.open(name, OpenOptions::directory()).unwrap().dir().unwrap());
        }
    }
}

#[cfg(feature = "disk")]
mod on_disk {
    use super::*;
    use crate::disk::Disk;

    #[test]
    fn an_upper_and_a_lower_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let dir = |name| {
            std::fs::create_dir_all(folder.path().join(name)).unwrap();
            folder.path().join(name)
        };
        let open = || {
            let lower: Arc<dyn FileSystem> = Arc::new(Disk::read_only(dir("lower")).unwrap());
            Overlay::new(Arc::new(Disk::read_write(dir("upper")).unwrap()), [lower]).unwrap()
        };
        tree::write_to_host(&dir("lower/remains"), Capabilities::ALL).unwrap();
        assert_eq!(check(&open(), Capabilities::ALL), []);
        clear(&*open().root().unwrap());
        assert_eq!(names(&*open().root().unwrap()), [""; 0]);
        assert_eq!(check(&open(), Capabilities::ALL), []);
    }

    #[test]
    fn the_standard_tree_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        tree::write_to_host(folder.path(), Capabilities::ALL).unwrap();
        let overlay = read_only(vec![Arc::new(Disk::read_only(folder.path()).unwrap())]);
        assert_eq!(check(&overlay, Capabilities::READ_ONLY), []);
    }
}

#[cfg(feature = "zip")]
mod on_zip {
    use std::io::{Cursor, Write};

    use ::zip::ZipWriter;
    use ::zip::write::SimpleFileOptions;

    use super::*;
    use crate::zip::{Options, Zip};

    /// What an archive can hold, and the crate that makes it.
    const CAN: Capabilities = Capabilities { hard_links: false, non_utf8_names: false, ..Capabilities::READ_ONLY };

    fn archive() -> Zip {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default();
        for (name, item) in tree::items(CAN) {
            let name = String::from_utf8(name.into_owned()).unwrap();
            match item {
                Item::Dir => writer.add_directory(name, options).unwrap(),
                Item::Symlink(target) => writer.add_symlink(name, target, options).unwrap(),
                Item::File(bytes) => {
                    writer.start_file(name, options).unwrap();
                    writer.write_all(&bytes).unwrap();
                }
                Item::HardLink(_) => {}
            }
        }
        Zip::from_bytes(writer.finish().unwrap().into_inner().into(), &Options::new()).unwrap()
    }

    #[test]
    fn the_standard_tree_in_an_archive() {
        assert_eq!(check(&read_only(vec![Arc::new(archive())]), CAN), []);
    }

    #[test]
    fn the_standard_tree_copied_up_from_an_archive() {
        let overlay = Overlay::new(Arc::new(Memory::new()), [Arc::new(archive()) as Arc<dyn FileSystem>]).unwrap();
        copy_up(&*overlay.root().unwrap());
        assert_eq!(check(&ReadOnly::new(overlay), CAN), []);
    }

    #[test]
    fn over_an_archive_that_was_emptied() {
        let overlay = Overlay::new(Arc::new(Memory::new()), [Arc::new(archive()) as Arc<dyn FileSystem>]).unwrap();
        clear(&*overlay.root().unwrap());
        assert_eq!(check(&overlay, Capabilities::ALL), []);
    }
}
