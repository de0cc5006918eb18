//! Directory handles.

use std::any::Any;
use std::sync::Arc;

use super::copy_up::Contents;
use super::file::OverlayFile;
use super::mutate::Spot;
use super::node::{DirNode, Found, Leaf, Whence};
use super::upper::PLAIN;
use super::{Inner, lock, read};
use crate::resolve::{Entry, Place, locate, resolve};
use crate::{Dir, Error, FileType, Follow, Listing, Metadata, Node, OpenOptions, Path, Result, SetTimes};

/// A handle on a directory of an overlay.
pub(super) struct OverlayDir {
    overlay: Arc<Inner>,
    node: Arc<DirNode>,
}

impl OverlayDir {
    pub(super) fn new(overlay: Arc<Inner>, node: Arc<DirNode>) -> OverlayDir {
        OverlayDir { overlay, node }
    }

    fn start(&self) -> Found {
        Found::Dir(self.node.clone())
    }

    fn resolve(&self, path: &Path, follow: Follow) -> Result<Found> {
        self.overlay.sparing(|| resolve(&*self.overlay, self.start(), path, follow))
    }

    fn locate<'p>(&self, path: &'p Path) -> Result<Place<'p, Found>> {
        self.overlay.sparing(|| locate(&*self.overlay, self.start(), path, Follow::No))
    }

    fn spot<'p>(&self, path: &'p Path, dot: Error, dotdot: Error) -> Result<Spot<'p>> {
        Spot::new(self.locate(path)?.entry(dot, dotdot)?)
    }

    /// A spot for something new.
    fn vacancy<'p>(&self, path: &'p Path, directory: bool) -> Result<Spot<'p>> {
        let spot = self.spot(path, Error::Exists, Error::Exists)?;
        spot.vacant(directory)?;
        Ok(spot)
    }

    fn same_overlay<'d>(&self, target: &'d dyn Dir) -> Result<&'d OverlayDir> {
        let target: Option<&OverlayDir> = target.as_any().downcast_ref();
        target.filter(|target| Arc::ptr_eq(&self.overlay, &target.overlay)).ok_or(Error::CrossDevice)
    }

    fn open_dir(&self, node: Arc<DirNode>) -> Node {
        Node::Dir(Arc::new(OverlayDir::new(self.overlay.clone(), node)))
    }

    /// What `path` leads to for `options`: something admitted, or a spot for a new file.
    fn find<'p>(&self, path: &'p Path, options: OpenOptions) -> Result<Result<Found, Spot<'p>>> {
        let found = if options.creates() {
            match locate(&*self.overlay, self.start(), path, options.follow_last())? {
                Place::Name(Entry { slash: true, .. }) => return Err(Error::IsDirectory),
                Place::Name(Entry { node: Some(found), .. }) | Place::Dot(found) | Place::DotDot(found) => found,
                Place::Name(entry) => return Spot::new(entry).map(Err),
            }
        } else {
            self.resolve(path, options.follow)?
        };
        options.admit(found.kind())?;
        Ok(Ok(found))
    }

    /// Opens what needs no change of the namespace; nothing where it does.
    fn open_unchanged(&self, path: &Path, options: OpenOptions) -> Result<Option<Node>> {
        let _stable = read(&self.overlay.topology);
        if let Some(file) = self.open_at_once(path, options)? {
            return Ok(Some(Node::File(Arc::new(file))));
        }
        match self.find(path, options)? {
            Ok(Found::Dir(node)) => Ok(Some(self.open_dir(node))),
            Ok(Found::Leaf(leaf)) if options.access.write && !is_writable(&leaf) => Ok(None),
            Ok(Found::Leaf(leaf)) => self.open_leaf(leaf, options).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Opens a file for reading without looking it up first; nothing where it is a directory or a link, or may be meant to
    /// be one.
    fn open_at_once(&self, path: &Path, options: OpenOptions) -> Result<Option<OverlayFile>> {
        match path.split_last() {
            Some((parent, name)) if !options.mutates() && !options.directory && !path.wants_directory() => {
                let parent = self.resolve(parent, Follow::Yes)?.dir()?;
                self.overlay.open_at(&parent, name, options.access)
            }
            _ => Ok(None),
        }
    }

    fn open_changing(&self, path: &Path, options: OpenOptions) -> Result<Node> {
        let _turn = lock(&self.overlay.mutation);
        match self.find(path, options)? {
            Ok(Found::Dir(node)) => Ok(self.open_dir(node)),
            Ok(Found::Leaf(leaf)) => {
                let contents = if options.truncate { Contents::None } else { Contents::Whole };
                self.open_leaf(self.overlay.copied_up(leaf, contents)?, options)
            }
            Err(spot) => {
                spot.vacant(false)?;
                Ok(Node::File(Arc::new(self.overlay.create_file(&spot, options)?)))
            }
        }
    }

    fn open_leaf(&self, leaf: Arc<Leaf>, options: OpenOptions) -> Result<Node> {
        let (overlay, access) = (self.overlay.clone(), options.access);
        let options = OpenOptions { access, truncate: options.truncate, ..PLAIN };
        let file = overlay.open_stored(&leaf, options)?;
        Ok(Node::File(Arc::new(match leaf.whence {
            Whence::Lower { key, .. } if leaf.shown.kind == FileType::File => {
                OverlayFile::lower(overlay, access, leaf, key, file)
            }
            _ => OverlayFile::direct(overlay, access, Some(leaf.identity()), file),
        })))
    }
}

/// Whether opening for writing leaves the object where it is: in the upper, or a device or pipe.
fn is_writable(leaf: &Leaf) -> bool {
    matches!(leaf.whence, Whence::Upper(_)) || !matches!(leaf.shown.kind, FileType::File)
}

impl Dir for OverlayDir {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn open(&self, path: &Path, options: OpenOptions) -> Result<Node> {
        options.validate()?;
        match self.overlay.sparing(|| self.open_unchanged(path, options))? {
            Some(node) => Ok(node),
            None => self.open_changing(path, options),
        }
    }

    fn stat(&self, path: &Path, follow: Follow) -> Result<Metadata> {
        let _stable = read(&self.overlay.topology);
        self.overlay.metadata(&self.resolve(path, follow)?)
    }

    fn metadata(&self) -> Result<Metadata> {
        self.overlay.dir_metadata(&self.node)
    }

    fn list(&self) -> Result<Listing> {
        let _stable = read(&self.overlay.topology);
        self.overlay.list(&self.node)
    }

    fn read_link(&self, path: &Path) -> Result<Box<[u8]>> {
        let _stable = read(&self.overlay.topology);
        match self.resolve(path, Follow::No)? {
            Found::Leaf(leaf) if leaf.shown.kind == FileType::Symlink => self.overlay.read_link(&leaf),
            _ => Err(Error::Invalid),
        }
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        let _turn = lock(&self.overlay.mutation);
        self.overlay.create_dir(&self.vacancy(path, true)?)
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        let _turn = lock(&self.overlay.mutation);
        let spot = self.spot(path, Error::Invalid, Error::NotEmpty)?;
        let node = spot.node.clone().ok_or(Error::NotFound)?.dir()?;
        self.overlay.remove_dir(&spot, &node)
    }

    fn unlink(&self, path: &Path) -> Result<()> {
        let _turn = lock(&self.overlay.mutation);
        let spot = self.spot(path, Error::IsDirectory, Error::IsDirectory)?;
        match spot.node.ok_or(Error::NotFound)? {
            Found::Dir(_) => Err(Error::IsDirectory),
            Found::Leaf(_) if spot.slash => Err(Error::NotDirectory),
            Found::Leaf(leaf) => self.overlay.unlink(&leaf),
        }
    }

    fn symlink(&self, target: &[u8], path: &Path) -> Result<()> {
        if target.is_empty() {
            return Err(Error::NotFound);
        }
        let _turn = lock(&self.overlay.mutation);
        self.overlay.symlink(target, &self.vacancy(path, false)?)
    }

    fn link(&self, from: &Path, follow: Follow, target: &dyn Dir, to: &Path) -> Result<()> {
        let target = self.same_overlay(target)?;
        let _turn = lock(&self.overlay.mutation);
        let found = self.resolve(from, follow)?;
        let spot = target.vacancy(to, false)?;
        self.overlay.link(found.leaf().map_err(|_| Error::NotPermitted)?, &spot)
    }

    fn rename(&self, from: &Path, target: &dyn Dir, to: &Path) -> Result<()> {
        let target = self.same_overlay(target)?;
        let _turn = lock(&self.overlay.mutation);
        let (from, to) = (self.locate(from)?, target.locate(to)?);
        let from = Spot::new(from.entry(Error::Busy, Error::Busy)?)?;
        let to = Spot::new(to.entry(Error::Busy, Error::Busy)?)?;
        self.overlay.rename(&from, &to)
    }

    fn set_times(&self, path: &Path, follow: Follow, times: SetTimes) -> Result<()> {
        let _turn = lock(&self.overlay.mutation);
        self.overlay.set_times_at(self.resolve(path, follow)?, times)
    }

    fn set_own_times(&self, times: SetTimes) -> Result<()> {
        let _turn = lock(&self.overlay.mutation);
        self.overlay.set_dir_times(&self.node, times)
    }

    fn sync(&self) -> Result<()> {
        self.node.upper().map_or(Ok(()), |upper| upper.sync())
    }
}
