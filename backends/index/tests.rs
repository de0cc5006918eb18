//! The table against the walk, and both against a list of names.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::resolve::{open_read_only, resolve};
use crate::{Dir as _, Follow, OpenOptions, Path};

/// Files that are empty, with nothing to tell them apart.
struct Nothing;

impl Source for Nothing {
    type Entry = ();

    fn open(&self, (): &(), metadata: Metadata) -> Result<Arc<dyn File>> {
        Ok(Arc::new(Unreadable(metadata)))
    }
}

const PLAIN: Attributes = Attributes { mode: 0o644, modified: 0 };

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "aa", "a.", ".a", "..a"]).prop_map(str::to_owned)
}

/// A path as somebody might write it.
fn spelled() -> impl Strategy<Value = String> {
    let part =
        prop_oneof![6 => name(), 1 => Just(".".to_owned()), 2 => Just("..".to_owned()), 1 => Just(String::new())];
    prop::collection::vec(part, 1..6).prop_map(|parts| parts.join("/"))
}

fn stored() -> impl Strategy<Value = (String, Option<String>)> {
    let path = prop::collection::vec(name(), 1..5).prop_map(|parts| parts.join("/"));
    (path, prop::option::weighted(0.3, spelled()))
}

/// The index of what is taken in, and what that is: the target for a link.
fn index(entries: Vec<(String, Option<String>)>) -> (Arc<Index<Nothing>>, BTreeMap<String, Option<String>>) {
    let mut builder = Builder::new(PLAIN, usize::MAX);
    let mut taken = BTreeMap::new();
    for (path, target) in entries {
        let done = match &target {
            Some(target) if !target.is_empty() => builder.link(path.as_bytes(), PLAIN, target.as_bytes()),
            _ => builder.file(path.as_bytes(), PLAIN, 0, ()),
        };
        if done.is_err() {
            // The builder is spent once it has refused.
            break;
        }
        taken.insert(path, target.filter(|target| !target.is_empty()));
    }
    (Arc::new(builder.build(Nothing)), taken)
}

fn directories(taken: &BTreeMap<String, Option<String>>) -> BTreeSet<String> {
    let above = |path: &String| path.match_indices('/').map(|(place, _)| path[..place].to_owned()).collect::<Vec<_>>();
    taken.keys().flat_map(above).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// What the probe decides is what the walk would have said, from every directory.
    #[test]
    fn probe_and_walk_agree(
        entries in prop::collection::vec(stored(), 1..20),
        paths in prop::collection::vec(spelled(), 1..20),
    ) {
        let (index, _) = index(entries);
        let starts = (0..index.len() as u32).filter(|node| index.kind(node) == FileType::Directory);
        for (start, path) in starts.flat_map(|start| paths.iter().map(move |path| (start, path))) {
            let Ok(path) = Path::new(path.as_bytes()) else { continue };
            let dir = IndexDir::new(Arc::clone(&index), start);
            for follow in [Follow::Yes, Follow::No] {
                let walked = resolve(&*index, start, path, follow).map(|node| index.metadata(node));
                prop_assert_eq!(dir.stat(path, follow), walked, "{}", path);
                for options in [OpenOptions::read(), OpenOptions::directory(), OpenOptions::write()] {
                    let options = OpenOptions { follow, ..options };
                    let walked = open_read_only(&*index, start, path, options).map(|node| index.metadata(node));
                    let opened = dir.open(path, options).and_then(|node| node.metadata());
                    prop_assert_eq!(opened, walked, "{}", path);
                }
            }
        }
    }

    /// Everything that was taken in is there, and nothing else; listings and inodes agree with stat.
    #[test]
    fn holds_what_was_taken_in(entries in prop::collection::vec(stored(), 1..30)) {
        let (index, taken) = index(entries);
        let directories = directories(&taken);
        prop_assert_eq!(index.len(), taken.len() + directories.len() + 1);
        let root = IndexDir::new(Arc::clone(&index), ROOT);
        let mut inodes = BTreeSet::new();
        for (path, kind) in directories.iter().map(|path| (path, FileType::Directory)).chain(taken.iter().map(
            |(path, target)| (path, if target.is_some() { FileType::Symlink } else { FileType::File }),
        )) {
            let path = Path::new(path.as_bytes()).unwrap();
            let metadata = root.stat(path, Follow::No).unwrap();
            prop_assert_eq!(metadata.kind, kind);
            prop_assert!(inodes.insert(metadata.inode));
            let (above, name) = path.split_last().unwrap();
            let listing = root.open(above, OpenOptions::directory()).unwrap().dir().unwrap().list().unwrap();
            let entry = listing.iter().find(|entry| &*entry.name == name).unwrap();
            prop_assert_eq!((entry.inode, entry.kind), (metadata.inode, kind));
            if kind == FileType::Symlink {
                let target = root.read_link(path).unwrap();
                prop_assert_eq!(Some(&*target), taken[&path.to_string()].as_ref().map(|target| target.as_bytes()));
            }
        }
    }
}

#[test]
fn paths_longer_than_a_probe() {
    let deep = vec!["x".repeat(200); 4].join("/");
    let (index, _) = index(vec![(format!("{deep}/file"), None)]);
    let root = IndexDir::new(Arc::clone(&index), ROOT);
    let above = Path::new(&deep.as_bytes()[..602]).unwrap();
    let dir = root.open(above, OpenOptions::directory()).unwrap().dir().unwrap();
    for path in [format!("{}/file", "x".repeat(200)), format!("./{}/file", "x".repeat(200))] {
        assert_eq!(dir.stat(Path::new(path.as_bytes()).unwrap(), Follow::Yes).unwrap().kind, FileType::File);
    }
    assert_eq!(dir.stat(Path::new(b"file").unwrap(), Follow::Yes), Err(Error::NotFound));
}

#[test]
fn devices_differ() {
    let (one, two) = (index(Vec::new()).0, index(Vec::new()).0);
    assert_ne!(one.metadata(ROOT).device, two.metadata(ROOT).device);
    assert_eq!(one.metadata(ROOT).links, 2);
}
