//! The conformance checks on archives of the standard tree.

use super::oracles::{PYTHON, made};
use super::*;
use crate::conformance::tree::{Item as Object, items, write_to_host};
use crate::conformance::{Capabilities, check};

const CAPABILITIES: Capabilities = Capabilities { hard_links: false, ..Capabilities::READ_ONLY };

fn standard_tree(file: fn(&str, &[u8]) -> Item) -> Vec<Item> {
    let entry = |name: Vec<u8>, object: Object| {
        let (item, slash) = match object {
            Object::Dir => (stored("", b""), "/"),
            Object::File(contents) => (file("", &contents), ""),
            Object::Symlink(target) => (link("", target), ""),
            Object::HardLink(_) => unreachable!("none was asked for"),
        };
        item.both(|fields| fields.name = [&name, slash.as_bytes()].concat())
    };
    items(CAPABILITIES).into_iter().map(|(name, object)| entry(name.into_owned(), object)).collect()
}

#[test]
fn stored_and_deflated_whole_and_in_pieces() {
    for (file, budget) in [(stored as fn(&str, &[u8]) -> Item, 1), (deflated, 1 << 20), (deflated, 0)] {
        let archive = bytes(&standard_tree(file));
        let zip = Zip::from_bytes(archive, &Options::new().cache(budget)).unwrap();
        let mut found = check(&zip, CAPABILITIES);
        if budget == 0 {
            // What is never kept whole is not given whole.
            found.retain(|violation| !violation.what.contains(": file too large"));
        }
        assert_eq!(found, []);
    }
}

#[test]
fn made_by_others() {
    let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let can = Capabilities { non_utf8_names: false, ..CAPABILITIES };
    write_to_host(folder.path(), can).unwrap();
    let target = |name: &str| out.path().join(name);
    let archive = |name: &str| target(name).to_str().unwrap().to_owned();
    let makers = [
        ("zip", vec!["-0qry".to_owned(), archive("zip-0"), ".".to_owned()]),
        ("zip", vec!["-qry".to_owned(), archive("zip-6"), ".".to_owned()]),
        ("python3", vec!["-c".to_owned(), PYTHON.to_owned(), "0".to_owned(), archive("python-0")]),
        ("python3", vec!["-c".to_owned(), PYTHON.to_owned(), "8".to_owned(), archive("python-8")]),
    ];
    for ((program, arguments), name) in makers.iter().zip(["zip-0.zip", "zip-6.zip", "python-0", "python-8"]) {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        if made(folder.path(), program, &arguments) {
            assert_eq!(check(&Zip::open(target(name), &Options::new()).unwrap(), can), [], "{name}");
        }
    }
}
