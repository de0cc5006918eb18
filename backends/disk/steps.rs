//! The confined walk without `openat2`: name by name, never following.
//!
//! Each directory on the way is held open, and `..` goes back to the one that was come from, so that
//! nothing renamed meanwhile can lead out. What the walk opens in the end is opened by one name with `O_NOFOLLOW`.

use std::borrow::Cow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{AtFlags, OFlags, fstat};
use rustix::io::Errno;

use super::convert::{failed, kind};
use super::open::{HANDLE, Parent, name};
use crate::resolve::{self, Entry, Place, Tree};
use crate::{Error, FileType, Follow, Path, Result};

/// The directory that the walk starts from.
struct Start<'d>(BorrowedFd<'d>);

/// An object on the way; the start has no descriptor of its own.
struct Step {
    fd: Option<OwnedFd>,
    name: Box<[u8]>,
    kind: FileType,
    parent: Option<Rc<Step>>,
}

/// A path can be so long that its steps, dropped one within the other, would not fit on the stack.
impl Drop for Step {
    fn drop(&mut self) {
        let mut next = self.parent.take();
        while let Some(parent) = next {
            next = Rc::try_unwrap(parent).ok().and_then(|mut step| step.parent.take());
        }
    }
}

impl Start<'_> {
    fn node() -> Rc<Step> {
        Rc::new(Step { fd: None, name: Box::default(), kind: FileType::Directory, parent: None })
    }

    fn fd<'s>(&'s self, step: &'s Step) -> BorrowedFd<'s> {
        step.fd.as_ref().map_or(self.0, AsFd::as_fd)
    }
}

impl Tree for Start<'_> {
    type Node = Rc<Step>;

    fn kind(&self, node: &Rc<Step>) -> FileType {
        node.kind
    }

    fn child(&self, dir: &Rc<Step>, child: &[u8]) -> Result<Option<Rc<Step>>> {
        let fd = match name(self.fd(dir), child, HANDLE) {
            Err(Error::NotFound) => return Ok(None),
            other => other?,
        };
        let kind = kind(fstat(&fd).map_err(failed)?.st_mode);
        Ok(Some(Rc::new(Step { fd: Some(fd), name: child.into(), kind, parent: Some(Rc::clone(dir)) })))
    }

    fn parent(&self, dir: &Rc<Step>) -> Result<Rc<Step>> {
        dir.parent.clone().ok_or(Error::NotPermitted)
    }

    fn target(&self, link: &Rc<Step>) -> Result<Cow<'_, [u8]>> {
        read_link(self.fd(link), b"").map(|target| Cow::Owned(target.into()))
    }
}

impl Start<'_> {
    /// The directory and the name in it by which `step` is acted on: its parent's, or `.` in itself.
    fn by_name<'s>(&'s self, step: &'s Step) -> (BorrowedFd<'s>, &'s [u8]) {
        match &step.parent {
            Some(parent) if step.kind != FileType::Directory => (self.fd(parent), &step.name),
            _ => (self.fd(step), b"."),
        }
    }
}

/// Opens `path` beneath `dir`.
pub(super) fn open(dir: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd> {
    let start = Start(dir);
    let follow = if flags.intersects(OFlags::NOFOLLOW | OFlags::EXCL) { Follow::No } else { Follow::Yes };
    if !flags.contains(OFlags::CREATE) {
        let step = resolve::resolve(&start, Start::node(), path, follow)?;
        let (dir, last) = start.by_name(&step);
        return name(dir, last, flags);
    }
    match resolve::locate(&start, Start::node(), path, follow)? {
        Place::Name(Entry { slash: true, .. }) => Err(Error::IsDirectory),
        Place::Name(entry) => name(start.fd(&entry.dir), &entry.name, flags),
        Place::Dot(step) | Place::DotDot(step) => name(start.fd(&step), b".", flags),
    }
}

/// Makes a hard link at `goal` to what `path` beneath `dir` leads to, the last link followed: the walk ends at a name
/// that is none, and that name is linked. Of a directory the kernel says itself that it cannot be.
pub(super) fn link_followed<'g>(
    dir: BorrowedFd<'_>,
    path: &Path,
    goal: impl FnOnce() -> Result<(Parent<'g>, &'g [u8])>,
) -> Result<()> {
    let start = Start(dir);
    let step = resolve::resolve(&start, Start::node(), path, Follow::Yes)?;
    let (dir, from) = start.by_name(&step);
    let (parent, to) = goal()?;
    rustix::fs::linkat(dir, from, parent, to, AtFlags::empty()).map_err(failed)
}

/// The target of the link `path` beneath `dir`, which is one name or, for the link `dir` itself, nothing.
pub(super) fn read_link(dir: impl AsFd, path: &[u8]) -> Result<Box<[u8]>> {
    match rustix::fs::readlinkat(dir, path, Vec::new()) {
        Ok(target) => Ok(target.into_bytes().into()),
        Err(Errno::NOENT) if path.is_empty() => Err(Error::Invalid),
        Err(errno) => Err(failed(errno)),
    }
}
