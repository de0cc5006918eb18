//! The walk name by name, across mounts.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use super::{PointId, Source, Table};
use crate::resolve::{Place, Tree, locate, resolve};
use crate::{Dir, Error, FileType, Follow, OpenOptions, Path, Result};

/// An object on the way.
pub(super) struct Spot {
    pub(super) kind: FileType,
    /// The directory of a file system that this is, or, of what is none, that has it under `name`. None if it is made up.
    pub(super) dir: Option<Arc<dyn Dir>>,
    /// The name of what is no directory.
    pub(super) name: Box<[u8]>,
    /// The point that this is.
    pub(super) point: Option<PointId>,
    /// The mount that this belongs to.
    pub(super) mount: PointId,
    parent: Option<Rc<Spot>>,
}

/// A path can be so long that its spots, dropped one within the other, would not fit on the stack.
impl Drop for Spot {
    fn drop(&mut self) {
        let mut next = self.parent.take();
        while let Some(parent) = next {
            next = Rc::try_unwrap(parent).ok().and_then(|mut spot| spot.parent.take());
        }
    }
}

/// A lookup that starts from one directory.
pub(super) struct Walk<'t> {
    pub(super) table: &'t Table,
    pub(super) dir: Option<&'t Arc<dyn Dir>>,
    pub(super) point: Option<PointId>,
    pub(super) mount: PointId,
}

impl Spot {
    /// Whether the name is followed in its directory: a mounted file is what its name leads to, anything else was resolved already.
    pub(super) fn follow(&self) -> Follow {
        if self.point.is_some() { Follow::Yes } else { Follow::No }
    }
}

impl Walk<'_> {
    fn start(&self) -> Rc<Spot> {
        let Walk { dir, point, mount, .. } = *self;
        let name = Box::default();
        Rc::new(Spot { kind: FileType::Directory, dir: dir.cloned(), name, point, mount, parent: None })
    }

    pub(super) fn resolve(&self, path: &Path, follow: Follow) -> Result<Rc<Spot>> {
        resolve(self, self.start(), path, follow)
    }

    pub(super) fn locate<'p>(&self, path: &'p Path, follow: Follow) -> Result<Place<'p, Rc<Spot>>> {
        locate(self, self.start(), path, follow)
    }

    /// What is at the point `id` beneath `above`.
    fn at_point(&self, id: PointId, above: &Rc<Spot>) -> Result<Rc<Spot>> {
        let (kind, dir, name, mount) = match &self.table.point(id).source {
            Source::File(folder, name) => (file_kind(&**folder, name)?, Some(Arc::clone(folder)), name.clone(), id),
            Source::Tree(root) => (FileType::Directory, Some(Arc::clone(root)), Box::default(), id),
            Source::Way => {
                (FileType::Directory, self.table.dir_at(id, above.dir.as_deref()), Box::default(), above.mount)
            }
        };
        Ok(Rc::new(Spot { kind, dir, name, point: Some(id), mount, parent: Some(Rc::clone(above)) }))
    }
}

/// The kind of a mounted file, which may be still to be made.
fn file_kind(folder: &dyn Dir, name: &[u8]) -> Result<FileType> {
    match folder.stat(Path::new(name)?, Follow::Yes) {
        Err(Error::NotFound) => Ok(FileType::File),
        other => Ok(other?.kind),
    }
}

impl Tree for Walk<'_> {
    type Node = Rc<Spot>;

    fn kind(&self, node: &Rc<Spot>) -> FileType {
        node.kind
    }

    fn child(&self, dir: &Rc<Spot>, name: &[u8]) -> Result<Option<Rc<Spot>>> {
        if let Some(id) = dir.point.and_then(|point| self.table.below(point, name)) {
            return self.at_point(id, dir).map(Some);
        }
        let Some(inner) = &dir.dir else { return Ok(None) };
        let path = Path::new(name)?;
        let options = OpenOptions { follow: Follow::No, ..OpenOptions::directory() };
        let (kind, inner, name) = match inner.open(path, options) {
            Ok(node) => (FileType::Directory, node.dir()?, Box::default()),
            Err(Error::NotFound) => return Ok(None),
            Err(Error::NotDirectory | Error::Loop) => match inner.stat(path, Follow::No) {
                Err(Error::NotFound) => return Ok(None),
                other => (other?.kind, Arc::clone(inner), name.into()),
            },
            Err(error) => return Err(error),
        };
        let (mount, parent) = (dir.mount, Some(Rc::clone(dir)));
        Ok(Some(Rc::new(Spot { kind, dir: Some(inner), name, point: None, mount, parent })))
    }

    fn parent(&self, dir: &Rc<Spot>) -> Result<Rc<Spot>> {
        dir.parent.clone().ok_or(Error::NotPermitted)
    }

    fn target(&self, link: &Rc<Spot>) -> Result<Cow<'_, [u8]>> {
        let dir = link.dir.as_ref().ok_or(Error::NotFound)?;
        dir.read_link(Path::new(&link.name)?).map(|target| Cow::Owned(target.into()))
    }
}
