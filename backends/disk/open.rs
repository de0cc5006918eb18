//! Opening beneath a directory, by the kernel or step by step.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use super::convert::{failed, failed_lookup, mode};
use super::steps;
use crate::{Error, Path, Result};

/// How often a lookup is tried that the kernel gave up because something was being renamed, before it is done step by step.
const TRIES: u32 = 16;

/// What is enough for metadata and for being a parent.
pub(super) const HANDLE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

fn confined() -> ResolveFlags {
    ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS
}

/// Whether the kernel resolves confined paths, asked of `root` itself: a filter may forbid what the kernel has.
pub(super) fn has_openat2(root: &OwnedFd) -> bool {
    openat2(root, c".", HANDLE | OFlags::DIRECTORY, Mode::empty(), confined()).is_ok()
}

/// Opens `path` beneath `dir`.
///
/// A path without `..` that meets no link only goes down, so the kernel need not prove at the end that it is still beneath, which
/// would cost a tenth of the whole. Only where it does meet a link ([`Errno::LOOP`]), it is walked again with that proof.
pub(super) fn beneath(dir: BorrowedFd<'_>, path: &Path, flags: OFlags, kernel: bool) -> Result<OwnedFd> {
    if kernel {
        let mut resolve = if goes_up(path) { confined() } else { ResolveFlags::NO_SYMLINKS };
        for _ in 0..TRIES {
            match openat2(dir, path.as_bytes(), flags, mode(flags), resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(Errno::LOOP) if resolve != confined() => resolve = confined(),
                other => return other.map_err(failed_lookup),
            }
        }
    }
    steps::open(dir, path, flags)
}

/// Whether `path` may have a `..`.
fn goes_up(path: &Path) -> bool {
    path.as_bytes().windows(2).any(|pair| pair == b"..")
}

/// Where a path ends that is to be made, removed or moved.
pub(super) enum Place<'d, 'p> {
    /// At a name, with any slashes that follow it, which the kernel judges.
    Name(Parent<'d>, &'p [u8]),
    /// At `.`.
    Dot,
    /// At `..`.
    DotDot,
}

/// The directory of a name: the handle's own, or one opened on the way.
pub(super) enum Parent<'d> {
    Own(BorrowedFd<'d>),
    Opened(OwnedFd),
}

impl AsFd for Parent<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Parent::Own(fd) => *fd,
            Parent::Opened(fd) => fd.as_fd(),
        }
    }
}

impl<'d, 'p> Place<'d, 'p> {
    /// The parent and the name; or what the operation answers for `.` and `..`.
    pub(super) fn name(self, dot: Error, dotdot: Error) -> Result<(Parent<'d>, &'p [u8])> {
        match self {
            Place::Name(parent, name) => Ok((parent, name)),
            Place::Dot => Err(dot),
            Place::DotDot => Err(dotdot),
        }
    }
}

/// Opens what holds the last name of `path`.
pub(super) fn place<'d, 'p>(dir: BorrowedFd<'d>, path: &'p Path, kernel: bool) -> Result<Place<'d, 'p>> {
    let Some((parent, name)) = path.split_last() else {
        beneath(dir, path, HANDLE | OFlags::DIRECTORY, kernel)?;
        let last = path.as_bytes().rsplit(|&byte| byte == b'/').find(|name| !name.is_empty());
        return Ok(if last == Some(b"..") { Place::DotDot } else { Place::Dot });
    };
    let slashes = path.as_bytes().iter().rev().take_while(|&&byte| byte == b'/').count();
    let name = &path.as_bytes()[path.as_bytes().len() - slashes - name.len()..];
    if name.len() == path.as_bytes().len() {
        return Ok(Place::Name(Parent::Own(dir), name));
    }
    beneath(dir, parent, HANDLE | OFlags::DIRECTORY, kernel).map(|fd| Place::Name(Parent::Opened(fd), name))
}

/// Whether `path` is one name, which the kernel can be asked about without a way out.
pub(super) fn is_name(path: &Path) -> bool {
    !path.as_bytes().contains(&b'/') && !path.wants_directory()
}

/// Opens one name, which is not followed.
pub(super) fn name(dir: impl AsFd, name: &[u8], flags: OFlags) -> Result<OwnedFd> {
    openat(dir, name, flags | OFlags::NOFOLLOW, mode(flags)).map_err(failed)
}
