//! What a tree shows.

use kitbag_fs::{Dir, FileType, Follow, OpenOptions, Path};

/// What is at a path: its kind, the contents or the target, and of what is no directory the number of names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    path: Vec<u8>,
    kind: FileType,
    contents: Vec<u8>,
    links: u64,
}

/// All that is beneath `dir`, in order.
///
/// # Panics
/// If the tree contradicts itself: a listing names something twice, or something that is not there or of another kind.
pub(super) fn outline(dir: &dyn Dir) -> Vec<Line> {
    let mut lines = Vec::new();
    add(dir, b"", &mut lines);
    lines.sort_by(|left, right| left.path.cmp(&right.path));
    assert!(lines.windows(2).all(|pair| pair[0].path != pair[1].path), "listed twice: {lines:?}");
    lines
}

/// Sees to it that listings name the inodes that are there: ours do, while the kernel's name what is mounted on.
pub(super) fn check_inodes(dir: &dyn Dir) {
    for entry in dir.list().expect("a listing").iter() {
        let name = Path::new(&entry.name).expect("a name");
        assert_eq!(dir.stat(name, Follow::No).expect("metadata of what is listed").inode, entry.inode, "{name}");
        if entry.kind == FileType::Directory {
            let below = dir.open(name, OpenOptions::directory()).and_then(|node| node.dir()).expect("a directory");
            check_inodes(&*below);
        }
    }
}

fn add(dir: &dyn Dir, above: &[u8], lines: &mut Vec<Line>) {
    for entry in dir.list().expect("a listing").iter() {
        let name = Path::new(&entry.name).expect("a name");
        let it = dir.stat(name, Follow::No).expect("metadata of what is listed");
        assert_eq!(it.kind, entry.kind, "{name}");
        let path = [above, b"/", &entry.name].concat();
        let contents = match it.kind {
            FileType::Symlink => dir.read_link(name).expect("a target").into(),
            FileType::Directory => Vec::new(),
            _ => {
                let file = dir.open(name, OpenOptions::read()).and_then(|node| node.file()).expect("a file");
                file.read_all().expect("contents").to_vec()
            }
        };
        if it.kind == FileType::Directory {
            let below = dir.open(name, OpenOptions::directory()).and_then(|node| node.dir()).expect("a directory");
            add(&*below, &path, lines);
        }
        let links = if it.kind == FileType::Directory { 0 } else { it.links };
        lines.push(Line { path, kind: it.kind, contents, links });
    }
}
