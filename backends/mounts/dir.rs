//! Handles on directories of the tree.

use std::any::Any;
use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use super::walk::{Spot, Walk};
use super::{PointId, Table};
use crate::resolve::{Entry, Place};
use crate::{Dir, Error, FileType, Follow, Listing, Metadata, Node, OpenOptions, Path, Result, SetTimes};

pub(super) struct MountDir {
    table: Arc<Table>,
    /// The directory of a file system that this is; none if it is made up.
    dir: Option<Arc<dyn Dir>>,
    /// The point that this is, if there are mounts beneath.
    point: Option<PointId>,
    /// The mount that this belongs to.
    mount: PointId,
}

/// A name in a directory of a file system, with the slashes after it.
struct Name<'p> {
    dir: Arc<dyn Dir>,
    name: Cow<'p, [u8]>,
}

/// What stands at the end of a path for an operation on its name.
enum Last<'p> {
    /// A name that its file system may be asked about.
    Name(Name<'p>),
    /// A mount, or a directory on the way to one; whether it is a mounted file.
    Point { file: bool },
    /// A name that is missing in a directory that is made up.
    Missing,
}

/// How an operation answers what it cannot hand to a file system.
struct Answers {
    dot: Error,
    dotdot: Error,
    dir: Error,
    file: Error,
    missing: Error,
}

/// Those of what makes a name.
const MAKES: Answers = Answers {
    dot: Error::Exists,
    dotdot: Error::Exists,
    dir: Error::Exists,
    file: Error::Exists,
    missing: Error::ReadOnly,
};

const REMOVES_DIR: Answers = Answers {
    dot: Error::Invalid,
    dotdot: Error::NotEmpty,
    dir: Error::Busy,
    file: Error::NotDirectory,
    missing: Error::NotFound,
};

const UNLINKS: Answers = Answers {
    dot: Error::IsDirectory,
    dotdot: Error::IsDirectory,
    dir: Error::IsDirectory,
    file: Error::Busy,
    missing: Error::NotFound,
};

impl Name<'_> {
    fn path(&self) -> Result<&Path> {
        Path::new(&self.name)
    }
}

impl<'p> Last<'p> {
    fn new(entry: Entry<'p, Rc<Spot>>) -> Last<'p> {
        if let Some(spot) = entry.node.as_ref().filter(|spot| spot.point.is_some()) {
            return Last::Point { file: spot.kind != FileType::Directory };
        }
        let Some(dir) = entry.dir.dir.clone() else { return Last::Missing };
        let name = if entry.slash { Cow::Owned([&*entry.name, b"/"].concat()) } else { entry.name };
        Last::Name(Name { dir, name })
    }

    fn name(self, answers: &Answers) -> Result<Name<'p>> {
        match self {
            Last::Name(name) => Ok(name),
            Last::Point { file: false } => Err(answers.dir),
            Last::Point { file: true } => Err(answers.file),
            Last::Missing => Err(answers.missing),
        }
    }
}

fn point(entry: &Entry<'_, Rc<Spot>>) -> Option<PointId> {
    entry.node.as_ref()?.point
}

/// Whether the directory is open and no longer there: the kernel, which looks names up before it judges them, finds none in it.
fn is_removed(spot: &Spot) -> bool {
    spot.dir.as_ref().is_some_and(|dir| dir.metadata().is_ok_and(|it| it.links == 0))
}

/// Why a rename from or onto a point fails, in Linux' order.
fn immovable(source: &Entry<'_, Rc<Spot>>, goal: &Entry<'_, Rc<Spot>>) -> Error {
    let is_dir = |spot: &Rc<Spot>| spot.kind == FileType::Directory;
    match (source.node.as_ref().map(is_dir), goal.node.as_ref().map(is_dir)) {
        (None, _) => Error::NotFound,
        _ if is_removed(&goal.dir) => Error::NotFound,
        (Some(false), _) if source.slash || goal.slash => Error::NotDirectory,
        (Some(true), Some(false)) => Error::NotDirectory,
        (Some(false), Some(true)) => Error::IsDirectory,
        _ => Error::Busy,
    }
}

impl MountDir {
    /// A handle on `dir`, which is at `point` if it is at one.
    pub(super) fn new(
        table: &Arc<Table>,
        dir: Option<Arc<dyn Dir>>,
        point: Option<PointId>,
        mount: PointId,
    ) -> MountDir {
        let point = point.filter(|&point| dir.is_none() || !table.point(point).below.is_empty());
        MountDir { table: Arc::clone(table), dir, point, mount }
    }

    /// What the file system of this mount opened, in this tree.
    fn opened(&self, node: Node) -> Node {
        match node {
            Node::Dir(dir) => Node::Dir(Arc::new(MountDir::new(&self.table, Some(dir), None, self.mount))),
            file @ Node::File(_) => file,
        }
    }

    fn walk(&self) -> Walk<'_> {
        Walk { table: &self.table, dir: self.dir.as_ref(), point: self.point, mount: self.mount }
    }

    /// The other handle as one of this tree.
    fn own<'d>(&self, other: &'d dyn Dir) -> Result<&'d MountDir> {
        let own = other.as_any().downcast_ref::<MountDir>();
        own.filter(|own| Arc::ptr_eq(&own.table, &self.table)).ok_or(Error::CrossDevice)
    }

    /// Where there are mounts beneath: the file system's directory that answers for all of `path`, and the path from there, if that
    /// can be told without a walk; `name` says that the last name is not followed. What it answers with [`Error::NotPermitted`] has to be walked all the same,
    /// since the way out of that directory may be a way to another place here.
    fn shortcut<'p>(&self, path: &'p Path, name: bool) -> Option<(Arc<dyn Dir>, &'p Path)> {
        let dir = self.dir.as_ref().filter(|_| !self.table.always_walk)?;
        let point = self.point?;
        let bytes = path.as_bytes();
        let end = bytes.iter().position(|&byte| byte == b'/').unwrap_or(bytes.len());
        let (first, rest) = bytes.split_at(end);
        if matches!(first, b"." | b"..") || self.table.below(point, first).is_some() {
            return None;
        }
        let rest = &rest[rest.iter().take_while(|&&byte| byte == b'/').count()..];
        if rest.is_empty() {
            return name.then(|| (Arc::clone(dir), path));
        }
        let options = OpenOptions { follow: Follow::No, ..OpenOptions::directory() };
        let first = dir.open(Path::new(first).ok()?, options).ok()?.dir().ok()?;
        Some((first, Path::new(rest).ok()?))
    }

    /// Whether nothing can be mounted beneath, so that the file system's answer is ours.
    fn is_plain(&self) -> bool {
        self.point.is_none() && !self.table.always_walk
    }

    /// The file system's directories of two handles of one mount with no mounts beneath, which settles it between them.
    fn plain_pair<'d>(&'d self, target: &'d MountDir) -> Option<[&'d dyn Dir; 2]> {
        let plain = self.is_plain() && target.is_plain() && self.mount == target.mount;
        if plain { Some([self.dir.as_deref()?, target.dir.as_deref()?]) } else { None }
    }

    /// What a file system that answers for all of `path` says, if one does.
    fn forward<T>(&self, path: &Path, name: bool, ask: impl FnOnce(&dyn Dir, &Path) -> Result<T>) -> Option<Result<T>> {
        if let (true, Some(dir)) = (self.is_plain(), &self.dir) {
            return Some(ask(&**dir, path));
        }
        let (dir, rest) = self.shortcut(path, name)?;
        match ask(&*dir, rest) {
            Err(Error::NotPermitted) => None,
            answer => Some(answer),
        }
    }

    /// Does to the name at the end of `path`, which is not followed, what `ask` does to it in its file system.
    fn on_name(&self, path: &Path, answers: &Answers, ask: impl Fn(&dyn Dir, &Path) -> Result<()>) -> Result<()> {
        if let Some(answer) = self.forward(path, true, &ask) {
            return answer;
        }
        let entry = self.walk().locate(path, Follow::No)?.entry(answers.dot, answers.dotdot)?;
        let name = Last::new(entry).name(answers)?;
        ask(&*name.dir, name.path()?)
    }

    /// Does to the object at the end of `path` what `own` does to a directory and `ask` to a name, followed or not.
    fn on_object<T>(
        &self,
        path: &Path,
        follow: Follow,
        own: impl FnOnce(&Spot) -> Result<T>,
        ask: impl FnOnce(&dyn Dir, &Path, Follow) -> Result<T>,
    ) -> Result<T> {
        let spot = self.walk().resolve(path, follow)?;
        match (&spot.dir, spot.kind) {
            (Some(dir), kind) if kind != FileType::Directory => ask(&**dir, Path::new(&spot.name)?, spot.follow()),
            _ => own(&spot),
        }
    }

    fn spot_metadata(&self, spot: &Spot) -> Result<Metadata> {
        match (&spot.dir, spot.point) {
            (Some(dir), _) => dir.metadata(),
            (None, Some(point)) => Ok(self.table.made_up(point)),
            (None, None) => Err(Error::NotFound),
        }
    }

    fn open_spot(&self, spot: &Spot, options: OpenOptions) -> Result<Node> {
        options.admit(spot.kind)?;
        let options = OpenOptions { follow: spot.follow(), ..options };
        match &spot.dir {
            Some(dir) if spot.kind != FileType::Directory => {
                dir.open(Path::new(&spot.name)?, options).and_then(Node::file).map(Node::File)
            }
            dir => Ok(Node::Dir(Arc::new(MountDir::new(&self.table, dir.clone(), spot.point, spot.mount)))),
        }
    }

    /// Opens by a walk.
    fn open_walking(&self, path: &Path, options: OpenOptions) -> Result<Node> {
        if !options.creates() {
            return self.open_spot(&*self.walk().resolve(path, options.follow)?, options);
        }
        let entry = match self.walk().locate(path, options.follow_last())? {
            Place::Dot(spot) | Place::DotDot(spot) => return self.open_spot(&spot, options),
            Place::Name(Entry { slash: true, .. }) => return Err(Error::IsDirectory),
            Place::Name(entry) => entry,
        };
        match &entry.node {
            Some(spot) if spot.point.is_some() || spot.kind == FileType::Directory => self.open_spot(spot, options),
            _ => {
                let name = Last::new(entry).name(&MAKES)?;
                let options = OpenOptions { follow: Follow::No, ..options };
                name.dir.open(name.path()?, options).and_then(Node::file).map(Node::File)
            }
        }
    }

    /// Opens by asking the file system at once for what is probably no link.
    fn open_ahead(&self, path: &Path, options: OpenOptions) -> Option<Result<Node>> {
        let single = !path.as_bytes().contains(&b'/');
        if self.is_plain() || !single {
            return self.forward(path, false, |dir, path| dir.open(path, options));
        }
        let unfollowed = OpenOptions { follow: Follow::No, ..options };
        match self.forward(path, true, |dir, path| dir.open(path, unfollowed))? {
            Err(Error::Loop | Error::NotDirectory) => None,
            answer => Some(answer),
        }
    }

    fn stat_ahead(&self, path: &Path, follow: Follow) -> Option<Result<Metadata>> {
        let single = !path.as_bytes().contains(&b'/');
        if self.is_plain() || !single {
            return self.forward(path, false, |dir, path| dir.stat(path, follow));
        }
        match self.forward(path, true, |dir, path| dir.stat(path, Follow::No))? {
            Ok(metadata) if metadata.kind == FileType::Symlink && follow == Follow::Yes => None,
            answer => Some(answer),
        }
    }

    /// The names of the file system's directory that no mount hides, and the mounts'.
    fn merged(&self, point: PointId) -> Result<Listing> {
        let below = &self.table.point(point).below;
        let mut entries = match &self.dir {
            Some(dir) => dir.list()?.iter().filter(|entry| !below.contains_key(&entry.name)).cloned().collect(),
            None => Vec::new(),
        };
        for &id in below.values() {
            entries.extend(self.table.entry(id, self.dir.as_deref())?);
        }
        Ok(entries.into())
    }
}

impl Dir for MountDir {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn open(&self, path: &Path, options: OpenOptions) -> Result<Node> {
        options.validate()?;
        match self.open_ahead(path, options) {
            Some(answer) => answer.map(|node| self.opened(node)),
            None => self.open_walking(path, options),
        }
    }

    fn stat(&self, path: &Path, follow: Follow) -> Result<Metadata> {
        self.stat_ahead(path, follow).unwrap_or_else(|| {
            let own = |spot: &Spot| self.spot_metadata(spot);
            self.on_object(path, follow, own, |dir, name, follow| dir.stat(name, follow))
        })
    }

    fn metadata(&self) -> Result<Metadata> {
        match (&self.dir, self.point) {
            (Some(dir), _) => dir.metadata(),
            (None, point) => Ok(self.table.made_up(point.unwrap_or(super::TOP))),
        }
    }

    fn list(&self) -> Result<Listing> {
        match (&self.dir, self.point) {
            (Some(dir), None) => dir.list(),
            (_, point) => self.merged(point.unwrap_or(super::TOP)),
        }
    }

    fn read_link(&self, path: &Path) -> Result<Box<[u8]>> {
        if self.is_plain()
            && let Some(dir) = &self.dir
        {
            return dir.read_link(path);
        }
        self.on_object(path, Follow::No, |_| Err(Error::Invalid), |dir, name, _| dir.read_link(name))
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        self.on_name(path, &MAKES, |dir, name| dir.create_dir(name))
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        self.on_name(path, &REMOVES_DIR, |dir, name| dir.remove_dir(name))
    }

    fn unlink(&self, path: &Path) -> Result<()> {
        self.on_name(path, &UNLINKS, |dir, name| dir.unlink(name))
    }

    fn symlink(&self, target: &[u8], path: &Path) -> Result<()> {
        self.on_name(path, &MAKES, |dir, name| dir.symlink(target, name))
    }

    fn link(&self, from: &Path, follow: Follow, target: &dyn Dir, to: &Path) -> Result<()> {
        let target = self.own(target)?;
        if let Some([source, goal]) = self.plain_pair(target) {
            return source.link(from, follow, goal, to);
        }
        let source = self.walk().resolve(from, follow)?;
        let goal = target.walk().locate(to, Follow::No)?.entry(Error::Exists, Error::Exists)?;
        if goal.node.is_some() {
            return Err(Error::Exists);
        }
        if goal.slash {
            return Err(Error::NotFound);
        }
        if source.mount != goal.dir.mount {
            return Err(if is_removed(&goal.dir) { Error::NotFound } else { Error::CrossDevice });
        }
        let goal = Last::new(goal).name(&MAKES)?;
        match &source.dir {
            Some(dir) if source.kind != FileType::Directory => {
                dir.link(Path::new(&source.name)?, Follow::No, &*goal.dir, goal.path()?)
            }
            // The file system refuses, after it has looked whether the new name is free.
            Some(dir) => dir.link(Path::DOT, Follow::No, &*goal.dir, goal.path()?),
            None => Err(Error::NotPermitted),
        }
    }

    fn rename(&self, from: &Path, target: &dyn Dir, to: &Path) -> Result<()> {
        let target = self.own(target)?;
        if let Some([source, goal]) = self.plain_pair(target) {
            return source.rename(from, goal, to);
        }
        let (source, goal) = (self.walk().locate(from, Follow::No)?, target.walk().locate(to, Follow::No)?);
        let (source, goal) = (source.entry(Error::Busy, Error::Busy)?, goal.entry(Error::Busy, Error::Busy)?);
        if source.dir.mount != goal.dir.mount {
            return Err(Error::CrossDevice);
        }
        match (point(&source), point(&goal)) {
            (None, None) => {}
            (moved, there) if moved == there => return Ok(()),
            _ => return Err(immovable(&source, &goal)),
        }
        let source = Last::new(source).name(&Answers { missing: Error::NotFound, ..MAKES })?;
        let goal = Last::new(goal).name(&MAKES)?;
        source.dir.rename(source.path()?, &*goal.dir, goal.path()?)
    }

    fn set_times(&self, path: &Path, follow: Follow, times: SetTimes) -> Result<()> {
        if self.is_plain()
            && let Some(dir) = &self.dir
        {
            return dir.set_times(path, follow, times);
        }
        let own = |spot: &Spot| spot.dir.as_ref().map_or(Err(Error::ReadOnly), |dir| dir.set_own_times(times));
        self.on_object(path, follow, own, |dir, name, follow| dir.set_times(name, follow, times))
    }

    fn set_own_times(&self, times: SetTimes) -> Result<()> {
        self.dir.as_ref().map_or(Err(Error::ReadOnly), |dir| dir.set_own_times(times))
    }

    fn sync(&self) -> Result<()> {
        self.dir.as_ref().map_or(Ok(()), |dir| dir.sync())
    }
}
