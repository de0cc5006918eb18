//! POSIX pathname resolution over a tree of nodes.
//!
//! What the kernel does for the disk, this does for every tree that lives in memory: one walk with one set of
//! answers, so that a guest cannot tell backends apart by their errors. A tree says what a node is,
//! what a name in a directory leads to, which directory is above and where a link points ([`Tree`]);
//! the walk does the rest: `.`, `..`, repeated and trailing slashes, links, and the confinement beneath the
//! directory that it starts from.
//!
//! The walk counts how far below its start it is and refuses a `..` at depth nought. Comparing nodes instead
//! would ask every tree for an identity; the count is the same as long as the tree stands still
//! during a walk, which a tree that changes has to see to (by its lock).
//!
//! Nothing is allocated unless a link is met.

use std::borrow::Cow;

use crate::{Error, FileType, Follow, NAME_MAX, OpenOptions, Path, Result};

/// The links that one lookup follows before it answers [`Error::Loop`] (Linux' `MAXSYMLINKS`).
pub const LINKS_MAX: u32 = 40;

/// A tree in which paths are resolved.
pub trait Tree {
    /// A node: something cheap to clone, such as an index or a reference.
    type Node: Clone;

    /// What `node` is.
    fn kind(&self, node: &Self::Node) -> FileType;

    /// What `name` leads to in the directory `dir`, links not followed. Never called for `.` and `..`.
    ///
    /// # Errors
    /// Whatever keeps the directory from being searched; a missing name is `None`.
    fn child(&self, dir: &Self::Node, name: &[u8]) -> Result<Option<Self::Node>>;

    /// The directory that holds the directory `dir`. Never called for the directory that a walk started from.
    ///
    /// # Errors
    /// Whatever keeps it from being reached.
    fn parent(&self, dir: &Self::Node) -> Result<Self::Node>;

    /// The target of the link `link`.
    ///
    /// # Errors
    /// Whatever keeps it from being read.
    fn target(&self, link: &Self::Node) -> Result<Cow<'_, [u8]>>;
}

/// Where a path ends that is to be made, removed or moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place<'p, N> {
    /// At a name in a directory.
    Name(Entry<'p, N>),
    /// At this directory, by a `.` that gives it no name.
    Dot(N),
    /// At this directory, by a `..`.
    DotDot(N),
}

/// A name in a directory, whether something has it or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'p, N> {
    /// The directory.
    pub dir: N,
    /// The name in it.
    pub name: Cow<'p, [u8]>,
    /// What has the name, if anything does.
    pub node: Option<N>,
    /// Whether a slash followed the name.
    pub slash: bool,
}

impl<'p, N> Place<'p, N> {
    /// The entry; or `dot` and `dotdot`, which are what the operation answers for `.` and `..` (see
    /// [`Dir`](crate::Dir)).
    ///
    /// # Errors
    /// Those two.
    pub fn entry(self, dot: Error, dotdot: Error) -> Result<Entry<'p, N>> {
        match self {
            Place::Name(entry) => Ok(entry),
            Place::Dot(_) => Err(dot),
            Place::DotDot(_) => Err(dotdot),
        }
    }
}

/// The node that `path` leads to from the directory `start`. A link in the last place is followed if
/// `follow` says so, and always if a slash comes after it.
///
/// # Errors
/// [`Error::NotFound`], [`Error::NotDirectory`], [`Error::NotPermitted`] for a way out, [`Error::Loop`],
/// [`Error::NameTooLong`], and those of the tree.
pub fn resolve<T: Tree>(tree: &T, start: T::Node, path: &Path, follow: Follow) -> Result<T::Node> {
    let mut walk = Walk::new(tree, start, path);
    while let Some(step) = walk.step()? {
        let node = walk.child(&step)?.ok_or(Error::NotFound)?;
        if step.last && !step.slash && !(follow == Follow::Yes && tree.kind(&node) == FileType::Symlink) {
            return Ok(node);
        }
        walk.enter(node)?;
    }
    Ok(walk.at)
}

/// The place that `path` means from the directory `start`: what an operation that makes, removes or moves a name goes by.
/// A link in the last place is followed if `follow` says so (for opening with `O_CREAT`, where
/// a dangling one names what is made), but never if a slash comes after it.
///
/// # Errors
/// As [`resolve`], except that the last name may be missing.
pub fn locate<'p, T: Tree>(tree: &T, start: T::Node, path: &'p Path, follow: Follow) -> Result<Place<'p, T::Node>> {
    let mut walk = Walk::new(tree, start, path);
    while let Some(step) = walk.step()? {
        let node = match walk.child(&step) {
            // Of what makes a name, only opening follows links, and it judges a slash after the last name before it looks that up.
            Err(Error::NameTooLong) if follow == Follow::Yes && step.last && step.slash => None,
            other => other?,
        };
        if step.last {
            let leads_on =
                |node: &T::Node| follow == Follow::Yes && !step.slash && tree.kind(node) == FileType::Symlink;
            if !node.as_ref().is_some_and(leads_on) {
                return Ok(Place::Name(walk.into_entry(&step, node)));
            }
        }
        walk.enter(node.ok_or(Error::NotFound)?)?;
    }
    Ok(if walk.dotdot { Place::DotDot(walk.at) } else { Place::Dot(walk.at) })
}

/// The node that a tree without writing opens for `path`, with all of `options` checked.
///
/// # Errors
/// As [`Dir::open`](crate::Dir::open) of a read-only file system.
pub fn open_read_only<T: Tree>(tree: &T, start: T::Node, path: &Path, options: OpenOptions) -> Result<T::Node> {
    options.validate()?;
    let node = if options.creates() {
        existing(locate(tree, start, path, options.follow_last())?)?
    } else {
        resolve(tree, start, path, options.follow)?
    };
    options.admit(tree.kind(&node))?;
    if options.access.write { Err(Error::ReadOnly) } else { Ok(node) }
}

/// What is at the place where nothing can be made.
fn existing<N>(place: Place<'_, N>) -> Result<N> {
    match place {
        Place::Name(Entry { slash: true, .. }) => Err(Error::IsDirectory),
        Place::Name(Entry { node, .. }) => node.ok_or(Error::ReadOnly),
        Place::Dot(node) | Place::DotDot(node) => Ok(node),
    }
}

/// A name met on the way: where it stands in the text and what follows it.
struct Step {
    start: usize,
    end: usize,
    last: bool,
    slash: bool,
}

struct Walk<'t, 'p, T: Tree> {
    tree: &'t T,
    /// The directory reached.
    at: T::Node,
    /// How far it lies below the start.
    depth: usize,
    /// The text that is being walked: the path, or the last link's target with the rest of the path after it.
    text: Cow<'p, [u8]>,
    /// What of the text is done.
    done: usize,
    links: u32,
    /// Whether the last component met was `..`.
    dotdot: bool,
}

impl<'t, 'p, T: Tree> Walk<'t, 'p, T> {
    fn new(tree: &'t T, start: T::Node, path: &'p Path) -> Self {
        Walk { tree, at: start, depth: 0, text: Cow::Borrowed(path.as_bytes()), done: 0, links: 0, dotdot: false }
    }

    /// What the name leads to in the directory reached. That it is too long can only be met in a link's target: a [`Path`] has no such name.
    fn child(&self, step: &Step) -> Result<Option<T::Node>> {
        let name = &self.text[step.start..step.end];
        if name.len() > NAME_MAX { Err(Error::NameTooLong) } else { self.tree.child(&self.at, name) }
    }

    /// Goes through dots up to the next name.
    fn step(&mut self) -> Result<Option<Step>> {
        while let Some(skip) = self.text[self.done..].iter().position(|&byte| byte != b'/') {
            let start = self.done + skip;
            let rest = &self.text[start..];
            let length = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
            let after = &rest[length..];
            self.done = start + length;
            match &rest[..length] {
                b"." => self.dotdot = false,
                b".." => self.up()?,
                _ => {
                    let last = after.iter().all(|&byte| byte == b'/');
                    return Ok(Some(Step { start, end: self.done, last, slash: !after.is_empty() }));
                }
            }
        }
        Ok(None)
    }

    fn up(&mut self) -> Result<()> {
        self.depth = self.depth.checked_sub(1).ok_or(Error::NotPermitted)?;
        self.at = self.tree.parent(&self.at)?;
        self.dotdot = true;
        Ok(())
    }

    /// Goes on from `node`, which more of the path follows or which is a link to be followed.
    fn enter(&mut self, node: T::Node) -> Result<()> {
        match self.tree.kind(&node) {
            FileType::Directory => {
                self.at = node;
                self.depth += 1;
                Ok(())
            }
            FileType::Symlink => self.follow(&node),
            _ => Err(Error::NotDirectory),
        }
    }

    fn follow(&mut self, link: &T::Node) -> Result<()> {
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(Error::Loop);
        }
        let target = self.tree.target(link)?;
        match *target {
            [] => return Err(Error::NotFound),
            [b'/', ..] => return Err(Error::NotPermitted),
            _ => {}
        }
        self.text = Cow::Owned([&*target, &self.text[self.done..]].concat());
        self.done = 0;
        Ok(())
    }

    fn into_entry(self, step: &Step, node: Option<T::Node>) -> Entry<'p, T::Node> {
        let name = match self.text {
            Cow::Borrowed(text) => Cow::Borrowed(&text[step.start..step.end]),
            Cow::Owned(text) => Cow::Owned(text[step.start..step.end].to_vec()),
        };
        Entry { dir: self.at, name, node, slash: step.slash }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Create;

    /// Nodes by number: what they are, their parent, and their name in it.
    struct Toy(&'static [(&'static str, FileType, usize, &'static str)]);

    const TOY: Toy = Toy(&[
        ("", FileType::Directory, 0, ""),
        ("a", FileType::Directory, 0, ""),
        ("b", FileType::Directory, 1, ""),
        ("file", FileType::File, 2, ""),
        ("up", FileType::Symlink, 2, "../b/file"),
        ("out", FileType::Symlink, 1, "../../a"),
        ("abs", FileType::Symlink, 0, "/a"),
        ("self", FileType::Symlink, 0, "self"),
        ("dir", FileType::Symlink, 0, "a//b"),
        ("dangling", FileType::Symlink, 0, "a/nothing"),
        ("slashed", FileType::Symlink, 0, "a/"),
        ("dot", FileType::Symlink, 0, "."),
    ]);

    impl Tree for Toy {
        type Node = usize;

        fn kind(&self, &node: &usize) -> FileType {
            self.0[node].1
        }

        fn child(&self, &dir: &usize, name: &[u8]) -> Result<Option<usize>> {
            Ok((1..self.0.len()).find(|&node| self.0[node].2 == dir && self.0[node].0.as_bytes() == name))
        }

        fn parent(&self, &dir: &usize) -> Result<usize> {
            Ok(self.0[dir].2)
        }

        fn target(&self, &link: &usize) -> Result<Cow<'_, [u8]>> {
            Ok(Cow::Borrowed(self.0[link].3.as_bytes()))
        }
    }

    fn path(text: &str) -> &Path {
        Path::new(text.as_bytes()).unwrap()
    }

    fn found(start: usize, text: &str) -> Result<&'static str> {
        resolve(&TOY, start, path(text), Follow::Yes).map(|node| TOY.0[node].0)
    }

    #[test]
    fn dots_and_slashes() {
        for same in ["a/b/file", "a//b/./file", "a/../a/b/../b/file", "dir/file", "a/b/up", "dir/up", "dot/dot/a/b/up"]
        {
            assert_eq!(found(0, same), Ok("file"), "{same}");
        }
        for same in ["a/", "a/.", "a/b/..", "slashed", "slashed/", "dir/.."] {
            assert_eq!(found(0, same), Ok("a"), "{same}");
        }
        for file in ["a/b/file/", "a/b/file/.", "a/b/file/..", "a/b/file/x", "a/b/up/", "a/b/up/x"] {
            assert_eq!(found(0, file), Err(Error::NotDirectory), "{file}");
        }
        for missing in ["x", "x/..", "a/x/y", "dangling", "dangling/"] {
            assert_eq!(found(0, missing), Err(Error::NotFound), "{missing}");
        }
        assert_eq!(found(0, "a/../."), Ok(""));
    }

    #[test]
    fn confined() {
        for out in ["..", "../a", "a/../..", "abs", "abs/b", "a/out", "a/b/../../.."] {
            assert_eq!(found(0, out), Err(Error::NotPermitted), "{out}");
        }
        assert_eq!(found(1, "b/../b/up"), Ok("file"));
        assert_eq!(found(2, "up"), Err(Error::NotPermitted));
        assert_eq!(found(1, "out"), Err(Error::NotPermitted));
    }

    #[test]
    fn links() {
        assert_eq!(found(0, "self"), Err(Error::Loop));
        assert_eq!(found(0, "self/x"), Err(Error::Loop));
        assert_eq!(found(0, &"dot/".repeat(40)), Ok(""));
        assert_eq!(found(0, &"dot/".repeat(41)), Err(Error::Loop));
        let unfollowed = |text| resolve(&TOY, 0, path(text), Follow::No).map(|node| TOY.0[node].0);
        assert_eq!(unfollowed("abs"), Ok("abs"));
        assert_eq!(unfollowed("dir/up"), Ok("up"));
        assert_eq!(unfollowed("dir/"), Ok("b"));
        assert_eq!(unfollowed("dangling/"), Err(Error::NotFound));
    }

    #[test]
    fn names_too_long() {
        assert_eq!(found(0, &format!("a/{}", "x".repeat(255))), Err(Error::NotFound));
        const LONG: &str = match std::str::from_utf8(&[b'x'; 256]) {
            Ok(long) => long,
            Err(_) => unreachable!(),
        };
        const TOY: Toy = Toy(&[("", FileType::Directory, 0, ""), ("l", FileType::Symlink, 0, LONG)]);
        assert_eq!(resolve(&TOY, 0, path("l"), Follow::Yes), Err(Error::NameTooLong));
        assert_eq!(locate(&TOY, 0, path("l"), Follow::Yes), Err(Error::NameTooLong));
        assert_eq!(locate(&TOY, 0, path("l/x"), Follow::Yes), Err(Error::NameTooLong));
    }

    fn place(text: &'static str, follow: Follow) -> Result<Place<'static, usize>> {
        locate(&TOY, 0, path(text), follow)
    }

    fn entry(dir: usize, name: &'static str, node: Option<usize>, slash: bool) -> Result<Place<'static, usize>> {
        Ok(Place::Name(Entry { dir, name: Cow::Borrowed(name.as_bytes()), node, slash }))
    }

    #[test]
    fn places() {
        assert_eq!(place("a/b/new", Follow::No), entry(2, "new", None, false));
        assert_eq!(place("a/b//", Follow::No), entry(1, "b", Some(2), true));
        assert_eq!(place("dangling", Follow::No), entry(0, "dangling", Some(9), false));
        assert_eq!(place("dangling", Follow::Yes), entry(1, "nothing", None, false));
        assert_eq!(place("dangling/", Follow::Yes), entry(0, "dangling", Some(9), true));
        assert_eq!(place("slashed", Follow::Yes), entry(0, "a", Some(1), true));
        assert_eq!(place("a/.", Follow::No), Ok(Place::Dot(1)));
        assert_eq!(place("a/b/..//", Follow::No), Ok(Place::DotDot(1)));
        assert_eq!(place("x/y", Follow::No), Err(Error::NotFound));
        assert_eq!(place("a/b/file/new", Follow::No), Err(Error::NotDirectory));
        assert_eq!(place("..", Follow::No), Err(Error::NotPermitted));
        assert_eq!(place("abs/x", Follow::No), Err(Error::NotPermitted));
    }

    #[test]
    fn read_only_answers() {
        let open = |text, options| open_read_only(&TOY, 0, path(text), options);
        let create = |create| OpenOptions { create, ..OpenOptions::read() };
        assert_eq!(open("dir/file", OpenOptions::read()), Ok(3));
        assert_eq!(open("dir", OpenOptions::directory()), Ok(2));
        assert_eq!(open("dir/file", OpenOptions::directory()), Err(Error::NotDirectory));
        assert_eq!(open("dir", OpenOptions { follow: Follow::No, ..OpenOptions::read() }), Err(Error::Loop));
        assert_eq!(open("dir/file", OpenOptions::write()), Err(Error::ReadOnly));
        assert_eq!(open("dir/new", OpenOptions::write()), Err(Error::ReadOnly));
        assert_eq!(open("x/new", OpenOptions::write()), Err(Error::NotFound));
        assert_eq!(open("a", OpenOptions::write()), Err(Error::IsDirectory));
        assert_eq!(open("dir/file", create(Create::IfMissing)), Ok(3));
        assert_eq!(open("dir/file", create(Create::New)), Err(Error::Exists));
        assert_eq!(open("dangling", create(Create::New)), Err(Error::Exists));
        assert_eq!(open("dangling", create(Create::IfMissing)), Err(Error::ReadOnly));
        assert_eq!(open("new/", create(Create::IfMissing)), Err(Error::IsDirectory));
        assert_eq!(open("a", OpenOptions { truncate: true, ..OpenOptions::read() }), Err(Error::Invalid));
    }
}
