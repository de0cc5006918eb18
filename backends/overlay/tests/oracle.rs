//! The same random operations on an overlay and on an oracle: a tree in memory that holds the merged layers (for
//! handles, and for numbers that must not change), and the kernel's own overlayfs (for everything else).

use std::collections::HashMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use super::*;
use crate::Listing;

#[cfg(feature = "disk")]
mod kernel;

/// Something that a layer holds from the beginning. What cannot be made is left out.
#[derive(Clone, Debug)]
enum Seed {
    Dir(String),
    File(String, u8),
    Symlink(String, String),
    Link(String, String),
}

#[derive(Clone, Debug)]
enum Op {
    OpenDir { at: usize, path: String, slot: usize },
    Open { at: usize, path: String, options: OpenOptions, slot: usize },
    Read(usize),
    Write(usize, u8),
    Append(usize, u8),
    SetLen(usize, u64),
    Age(usize),
    AgeDir(usize),
    Stat(usize),
    MakeDir(usize, String),
    RemoveDir(usize, String),
    Unlink(usize, String),
    Rename(usize, String, usize, String),
    Link(usize, String, Follow, usize, String),
    Symlink(String, usize, String),
    ReadLink(usize, String),
    SetTimes(usize, String, Follow),
    List(usize),
    Remount,
}

fn name() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just("a"), 4 => Just("b"), 4 => Just("c"), 1 => Just(".kitbag-overlay")]
}

fn plain_path() -> impl Strategy<Value = String> {
    vec(name(), 1..=3).prop_map(|names| names.join("/"))
}

/// A path with all that can be in one.
fn any_path() -> impl Strategy<Value = String> {
    let tail = prop_oneof![20 => Just(""), 1 => Just("/"), 1 => Just("/."), 1 => Just("/..")];
    let middle = prop_oneof![12 => Just(""), 1 => Just("../"), 1 => Just("a/../"), 1 => Just("./")];
    (middle, plain_path(), tail).prop_map(|(middle, path, tail)| format!("{middle}{path}{tail}"))
}

fn target() -> impl Strategy<Value = String> {
    prop_oneof![4 => plain_path(), 2 => plain_path().prop_map(|path| format!("../{path}")), 1 => Just("..".into()), 1 => Just("/a".into())]
}

fn seed() -> impl Strategy<Value = Seed> {
    prop_oneof![
        4 => plain_path().prop_map(Seed::Dir),
        6 => (plain_path(), any::<u8>()).prop_map(|(path, byte)| Seed::File(path, byte)),
        2 => (target(), plain_path()).prop_map(|(target, path)| Seed::Symlink(target, path)),
        2 => (plain_path(), plain_path()).prop_map(|(from, to)| Seed::Link(from, to)),
    ]
}

fn layer() -> impl Strategy<Value = Vec<Seed>> {
    vec(seed(), 0..14)
}

fn follow() -> impl Strategy<Value = Follow> {
    prop_oneof![3 => Just(Follow::No), 1 => Just(Follow::Yes)]
}

fn options() -> impl Strategy<Value = OpenOptions> {
    let create = prop_oneof![3 => Just(Create::No), 3 => Just(Create::IfMissing), 1 => Just(Create::New)];
    let follow = prop_oneof![4 => Just(Follow::Yes), 1 => Just(Follow::No)];
    (any::<bool>(), any::<bool>(), create, any::<bool>(), follow).prop_map(|(read, write, create, truncate, follow)| {
        let access = Access { read: read || !write, write };
        OpenOptions { access, create, truncate: truncate && write, directory: false, follow }
    })
}

fn op() -> impl Strategy<Value = Op> {
    let at = || 0..3_usize;
    let slot = || 0..3_usize;
    prop_oneof![
        2 => (at(), any_path(), 0..2_usize).prop_map(|(at, path, slot)| Op::OpenDir { at, path, slot }),
        8 => (at(), any_path(), options(), slot())
            .prop_map(|(at, path, options, slot)| Op::Open { at, path, options, slot }),
        3 => slot().prop_map(Op::Read),
        4 => (slot(), any::<u8>()).prop_map(|(slot, byte)| Op::Write(slot, byte)),
        1 => (slot(), any::<u8>()).prop_map(|(slot, byte)| Op::Append(slot, byte)),
        1 => (slot(), 0..9_u64).prop_map(|(slot, len)| Op::SetLen(slot, len)),
        1 => slot().prop_map(Op::Age),
        1 => at().prop_map(Op::AgeDir),
        1 => slot().prop_map(Op::Stat),
        4 => (at(), any_path()).prop_map(|(at, path)| Op::MakeDir(at, path)),
        5 => (at(), any_path()).prop_map(|(at, path)| Op::RemoveDir(at, path)),
        6 => (at(), any_path()).prop_map(|(at, path)| Op::Unlink(at, path)),
        9 => (at(), any_path(), at(), any_path()).prop_map(|(a, from, b, to)| Op::Rename(a, from, b, to)),
        3 => (at(), any_path(), follow(), at(), any_path())
            .prop_map(|(a, from, follow, b, to)| Op::Link(a, from, follow, b, to)),
        2 => (target(), at(), any_path()).prop_map(|(target, at, path)| Op::Symlink(target, at, path)),
        1 => (at(), any_path()).prop_map(|(at, path)| Op::ReadLink(at, path)),
        2 => (at(), any_path(), follow()).prop_map(|(at, path, follow)| Op::SetTimes(at, path, follow)),
        1 => at().prop_map(Op::List),
        1 => Just(Op::Remount),
    ]
}

/// One side: a root and the handles that are open.
struct Side {
    root: Arc<dyn Dir>,
    dirs: [Option<Arc<dyn Dir>>; 2],
    files: [Option<Arc<dyn File>>; 3],
}

/// What can be compared of an answer.
#[derive(Debug, PartialEq)]
enum Answer {
    Done,
    Bytes(Vec<u8>),
    Names(Vec<String>),
    Metadata(FileType, u64, u64),
}

impl Side {
    fn new(root: Arc<dyn Dir>) -> Side {
        Side { root, dirs: [None, None], files: [None, None, None] }
    }

    fn at(&self, at: usize) -> &dyn Dir {
        match at {
            0 => &*self.root,
            slot => self.dirs[slot - 1].as_deref().unwrap_or(&*self.root),
        }
    }

    fn file(&self, slot: usize) -> Result<&dyn File> {
        self.files[slot].as_deref().ok_or(Error::BadHandle)
    }

    fn apply(&mut self, op: &Op) -> Result<Answer> {
        match *op {
            Op::OpenDir { at, ref path, slot } => {
                let opened = self.at(at).open(super::path(path), OpenOptions::directory());
                self.dirs[slot] = opened.and_then(crate::Node::dir).map(Some)?;
            }
            Op::Open { at, ref path, options, slot } => {
                self.files[slot] = self.at(at).open(super::path(path), options)?.file().ok();
            }
            Op::Read(slot) => {
                let mut bytes = [0; 64];
                let count = self.file(slot)?.read_at(&mut bytes, 0)?;
                return Ok(Answer::Bytes(bytes[..count].into()));
            }
            Op::Write(slot, byte) => _ = self.file(slot)?.write_at(&[byte], u64::from(byte % 8))?,
            Op::Append(slot, byte) => _ = self.file(slot)?.append(&[std::io::IoSlice::new(&[byte])])?,
            Op::SetLen(slot, len) => self.file(slot)?.set_len(len)?,
            Op::Age(slot) => self.file(slot)?.set_times(old())?,
            Op::AgeDir(at) => {
                self.at(at).set_own_times(old())?;
                let it = self.at(at).metadata()?;
                return Ok(Answer::Metadata(it.kind, u64::from(it.modified == LONG_AGO), 0));
            }
            Op::Stat(slot) => {
                let it = self.file(slot)?.metadata()?;
                return Ok(Answer::Metadata(it.kind, it.size, it.links));
            }
            Op::List(at) => return Ok(Answer::Names(names(self.at(at)))),
            Op::Remount => (self.dirs, self.files) = Default::default(),
            _ => return self.apply_to_names(op),
        }
        Ok(Answer::Done)
    }

    fn apply_to_names(&self, op: &Op) -> Result<Answer> {
        let path = super::path;
        match *op {
            Op::MakeDir(at, ref name) => self.at(at).create_dir(path(name)),
            Op::RemoveDir(at, ref name) => self.at(at).remove_dir(path(name)),
            Op::Unlink(at, ref name) => self.at(at).unlink(path(name)),
            Op::Rename(a, ref from, b, ref to) => self.at(a).rename(path(from), self.at(b), path(to)),
            Op::Link(a, ref from, follow, b, ref to) => self.at(a).link(path(from), follow, self.at(b), path(to)),
            Op::Symlink(ref target, at, ref name) => self.at(at).symlink(target.as_bytes(), path(name)),
            Op::ReadLink(at, ref name) => return self.at(at).read_link(path(name)).map(|it| Answer::Bytes(it.into())),
            Op::SetTimes(at, ref name, follow) => self.at(at).set_times(path(name), follow, old()),
            _ => Ok(()),
        }
        .map(|()| Answer::Done)
    }
}

/// What shows at a path: kind, contents or target, and for what is no directory the number of names; and whether it
/// was changed since everything was made old.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    path: String,
    kind: FileType,
    contents: Vec<u8>,
    links: u64,
    old: bool,
    pub(super) inode: u64,
}

/// The tree beneath `dir`, and whether listings and stat agree on all of it.
fn snapshot(dir: &dyn Dir, prefix: &str, lines: &mut Vec<Line>) -> bool {
    let mut agree = true;
    let mut listing: Listing = dir.list().unwrap();
    Arc::make_mut(&mut listing).sort_by(|a, b| a.name.cmp(&b.name));
    assert!(listing.windows(2).all(|pair| pair[0].name != pair[1].name), "twice: {listing:?}");
    for entry in listing.iter() {
        let name = Path::new(&entry.name).unwrap();
        let it = dir.stat(name, Follow::No).unwrap();
        agree &= (it.inode, it.kind) == (entry.inode, entry.kind);
        let contents = match it.kind {
            FileType::File => text(&*dir.open(name, OpenOptions::read()).unwrap().file().unwrap()).unwrap().into(),
            FileType::Symlink => dir.read_link(name).unwrap().into(),
            _ => Vec::new(),
        };
        let links = if it.kind == FileType::Directory { 0 } else { it.links };
        let path = format!("{prefix}{name}");
        let inner = format!("{path}/");
        lines.push(Line { path, kind: it.kind, contents, links, old: it.modified == LONG_AGO, inode: it.inode });
        if it.kind == FileType::Directory {
            agree &= snapshot(&*dir.open(name, OpenOptions::directory()).unwrap().dir().unwrap(), &inner, lines);
        }
    }
    agree
}

pub(super) fn tree(root: &dyn Dir) -> Vec<Line> {
    let mut lines = Vec::new();
    assert!(snapshot(root, "", &mut lines), "{lines:#?}");
    lines
}

fn shown(side: &Side) -> Vec<Line> {
    tree(&*side.root)
}

/// Does `count` operations that `seed` decides, whatever comes of them.
pub(super) fn anything(root: &dyn Dir, seed: u8, count: usize) {
    let source = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), source);
    let root = root.open(Path::DOT, OpenOptions::directory()).unwrap().dir().unwrap();
    let mut side = Side::new(root);
    for _ in 0..count {
        let op = op().new_tree(&mut runner).unwrap().current();
        _ = side.apply(&op);
    }
}

/// Fills `dir`.
fn sow(dir: &dyn Dir, seeds: &[Seed]) {
    for seed in seeds {
        _ = match seed {
            Seed::Dir(name) => make_dirs(dir, name),
            Seed::File(name, byte) => make_dirs(dir, name.rsplit_once('/').map_or("", |(parent, _)| parent))
                .and_then(|()| dir.open(path(name), OpenOptions { create: Create::New, ..OpenOptions::write() }))
                .and_then(|node| node.file()?.write_at(&[*byte; 5], 0).map(drop)),
            Seed::Symlink(target, name) => dir.symlink(target.as_bytes(), path(name)),
            Seed::Link(from, to) => dir.link(path(from), Follow::No, dir, path(to)),
        };
    }
    age(dir);
}

fn make_dirs(dir: &dyn Dir, name: &str) -> Result<()> {
    for (end, _) in name.match_indices('/').chain([(name.len(), "")]).filter(|(end, _)| *end > 0) {
        match dir.create_dir(path(&name[..end])) {
            Err(Error::Exists) => {}
            other => other?,
        }
    }
    Ok(())
}

/// The layers merged by the rules, written out once more, into `out`; names of files that a layer hides go to `aside`.
fn merge(layers: &[Arc<dyn Dir>], out: &dyn Dir, aside: &dyn Dir) {
    let mut made = HashMap::new();
    merge_into(layers, "", out, &mut made);
    let out_root = out;
    for (first, missing) in made.into_values() {
        for number in 0..missing {
            let name = format!("{}-{number}", first.replace('/', "_"));
            out_root.link(path(&first), Follow::No, aside, path(&name)).unwrap();
        }
    }
    age(out);
}

type Made = HashMap<(u64, u64), (String, u64)>;

fn merge_into(layers: &[Arc<dyn Dir>], prefix: &str, out: &dyn Dir, made: &mut Made) {
    let mut all: Vec<_> = layers.iter().flat_map(|layer| names(&**layer)).collect();
    all.sort();
    all.dedup();
    for name in all {
        let full = format!("{prefix}{name}");
        let kind = |layer: &&Arc<dyn Dir>| layer.stat(path(&name), Follow::No).ok();
        let holding: Vec<_> = layers.iter().filter(|layer| kind(layer).is_some()).collect();
        let top = holding[0];
        let it = top.stat(path(&name), Follow::No).unwrap();
        if it.kind == FileType::Directory {
            let dirs = holding.iter().map_while(|layer| layer.open(path(&name), super::super::upper::DIRECTORY).ok());
            let dirs: Vec<_> = dirs.map(|node| node.dir().unwrap()).collect();
            out.create_dir(path(&full)).unwrap();
            merge_into(&dirs, &format!("{full}/"), out, made);
        } else if let Some((first, missing)) = made.get_mut(&(it.device, it.inode)) {
            out.link(path(first), Follow::No, out, path(&full)).unwrap();
            *missing -= 1;
        } else {
            match it.kind {
                FileType::Symlink => out.symlink(&top.read_link(path(&name)).unwrap(), path(&full)).unwrap(),
                _ => {
                    let bytes = top.open(path(&name), OpenOptions::read()).unwrap().file().unwrap().read_all().unwrap();
                    out.open(path(&full), OpenOptions::write()).unwrap().file().unwrap().write_at(&bytes, 0).unwrap();
                }
            }
            made.insert((it.device, it.inode), (full, it.links - 1));
        }
    }
}

/// Compares an overlay of these layers with the merged tree, which is made in the empty directory `oracle`.
fn check_against_one_tree(
    upper: &[Seed],
    lowers: &[Vec<Seed>],
    ops: &[Op],
    oracle: &dyn Dir,
) -> Result<(), TestCaseError> {
    let lowers: Vec<_> = lowers.iter().map(|seeds| sown(seeds)).collect();
    let mut scene = with_upper(sown(&seeds_for_upper(upper)), &lowers);
    let dir = |name| {
        oracle.create_dir(path(name)).unwrap();
        oracle.open(path(name), OpenOptions::directory()).unwrap().dir().unwrap()
    };
    let (tree, aside) = (dir("tree"), dir("aside"));
    let layers: Vec<_> = [&scene.upper].into_iter().chain(&scene.lowers).map(|layer| layer.root().unwrap()).collect();
    merge(&layers, &*tree, &*aside);
    let (mut ours, mut theirs) = (Side::new(scene.root.clone()), Side::new(tree));
    let mut numbers = HashMap::new();
    compare(&ours, &theirs, &mut numbers)?;
    for op in ops {
        let (left, right) = (ours.apply(op), theirs.apply(op));
        if !either_error(op, &left, &right) {
            prop_assert_eq!(left, right, "{:?}", op);
        }
        if let Op::Remount = op {
            scene = scene.restart();
            ours.root = scene.root.clone();
            numbers.clear();
        }
        compare(&ours, &theirs, &mut numbers)?;
    }
    Ok(())
}

/// The disk backend opens both directories before it makes a hard link, and so may give the other of two errors.
fn either_error(op: &Op, left: &Result<Answer>, right: &Result<Answer>) -> bool {
    matches!(op, Op::Link(..)) && left.is_err() && right.is_err()
}

fn sown(seeds: &[Seed]) -> Arc<Memory> {
    let memory = Arc::new(Memory::new());
    sow(&*memory.root().unwrap(), seeds);
    memory
}

/// An upper that no overlay has used has no directory of the overlay's name.
fn seeds_for_upper(seeds: &[Seed]) -> Vec<Seed> {
    let text = |seed: &Seed| format!("{seed:?}").contains(".kitbag-overlay");
    seeds.iter().filter(|seed| !text(seed)).cloned().collect()
}

/// Compares the trees, and sees to it that each object of theirs is under one number in ours, for ever.
fn compare(ours: &Side, theirs: &Side, numbers: &mut HashMap<u64, u64>) -> Result<(), TestCaseError> {
    let (ours, theirs) = (shown(ours), shown(theirs));
    let blank = |lines: &[Line]| lines.iter().map(|line| Line { inode: 0, ..line.clone() }).collect::<Vec<_>>();
    prop_assert_eq!(blank(&ours), blank(&theirs));
    for (our, their) in ours.iter().zip(&theirs) {
        prop_assert_eq!(*numbers.entry(their.inode).or_insert(our.inode), our.inode, "the number of {}", our.path);
    }
    let distinct: std::collections::HashSet<_> = numbers.values().collect();
    prop_assert_eq!(distinct.len(), numbers.len(), "two objects under one number");
    Ok(())
}

/// What a death may not leave half done.
fn outline(root: &dyn Dir) -> Vec<(String, FileType, Vec<u8>)> {
    tree(root).into_iter().map(|line| (line.path, line.kind, line.contents)).collect()
}

/// Does `ops` in an upper that once refuses a change. What is in memory and what a restart finds stay the same.
fn check_failure(lowers: &[Vec<Seed>], ops: &[Op], changes: i64) -> Result<(), TestCaseError> {
    let lowers: Vec<_> = lowers.iter().map(|seeds| sown(seeds)).collect();
    let upper = Arc::new(Memory::new());
    let layers = lowers.iter().map(|lower| lower.clone() as Arc<dyn FileSystem>);
    let overlay = Overlay::new(Arc::new(faulty::Faulty::once_after(upper.clone(), changes)), layers).unwrap();
    let mut side = Side::new(overlay.root().unwrap());
    for op in ops {
        _ = side.apply(op);
    }
    prop_assert_eq!(outline(&*side.root), outline(&*with_upper(upper, &lowers).root));
    Ok(())
}

/// Does `ops` in an upper that dies after some changes. What a restart finds is the tree before the operation that it died in,
/// or the one after, which an overlay of the same layers that lives shows.
fn check_death(lowers: &[Vec<Seed>], ops: &[Op], changes: i64) -> Result<(), TestCaseError> {
    let lowers: Vec<_> = lowers.iter().map(|seeds| sown(seeds)).collect();
    let living = over(&lowers);
    let upper = Arc::new(Memory::new());
    let layers = lowers.iter().map(|lower| lower.clone() as Arc<dyn FileSystem>);
    let dying = Overlay::new(Arc::new(faulty::Faulty::after(upper.clone(), changes)), layers).unwrap();
    let (mut dying, mut living) = (Side::new(dying.root().unwrap()), Side::new(living.root.clone()));
    for op in ops {
        let before = outline(&*living.root);
        let (left, right) = (dying.apply(op), living.apply(op));
        if left == right {
            continue;
        }
        prop_assert_eq!(left, Err(Error::Io), "{:?}", op);
        let after = outline(&*living.root);
        for root in [dying.root.clone(), with_upper(upper, &lowers).root] {
            let now = outline(&*root);
            prop_assert!(now == before || now == after, "{op:?}: {now:?}, neither {before:?} nor {after:?}");
        }
        return Ok(());
    }
    Ok(())
}

proptest! {
    #![proptest_config(Config { cases: cases(300), failure_persistence: None, ..Config::default() })]

    #[test]
    fn as_one_tree_in_memory(upper in layer(), lowers in vec(layer(), 0..3), ops in vec(op(), 1..40)) {
        check_against_one_tree(&upper, &lowers, &ops, &*Memory::new().root().unwrap())?;
    }
}

proptest! {
    #![proptest_config(Config { cases: cases(300), failure_persistence: None, ..Config::default() })]

    #[test]
    fn a_death_leaves_one_of_two_trees(lowers in vec(layer(), 1..3), ops in vec(op(), 1..40), changes in 0..60_i64) {
        check_death(&lowers, &ops, changes)?;
    }

    #[test]
    fn a_failure_leaves_one_tree(lowers in vec(layer(), 1..3), ops in vec(op(), 1..40), changes in 0..90_i64) {
        check_failure(&lowers, &ops, changes)?;
    }
}

/// How many random cases are tried: `PROPTEST_CASES`, or few enough for every day.
fn cases(usual: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}
