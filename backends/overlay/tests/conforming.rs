//! The checks that every backend passes.

use super::*;
use crate::conformance::{Capabilities, check};

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
