//! Directory handles on an index.

use std::any::Any;
use std::sync::Arc;

use super::{Index, Source, What};
use crate::resolve::{Tree as _, open_read_only, resolve};
use crate::{Dir, Error, FileType, Follow, Listing, Metadata, Node, OpenOptions, Path, Result};

/// A directory of an index, by the number of its node.
pub(crate) struct IndexDir<S: Source> {
    index: Arc<Index<S>>,
    node: u32,
}

impl<S: Source> IndexDir<S> {
    /// The handle of directory `node`.
    pub(crate) fn new(index: Arc<Index<S>>, node: u32) -> IndexDir<S> {
        IndexDir { index, node }
    }

    /// What `path` leads to, by one probe where that can decide it.
    pub(super) fn lookup(&self, path: &Path, follow: Follow) -> Result<u32> {
        match self.probe(path) {
            Some((node, kind)) if follow == Follow::No || kind != FileType::Symlink => Ok(node),
            _ => resolve(&*self.index, self.node, path, follow),
        }
    }

    fn probe(&self, path: &Path) -> Option<(u32, FileType)> {
        let node = self.index.probe(self.node, path.as_bytes())?;
        Some((node, self.index.kind(&node)))
    }

    fn lookup_to_open(&self, path: &Path, options: OpenOptions) -> Result<u32> {
        match self.probe(path) {
            Some((node, kind)) if kind != FileType::Symlink && !options.mutates() => options.admit(kind).map(|()| node),
            _ => open_read_only(&*self.index, self.node, path, options),
        }
    }
}

impl<S: Source> Dir for IndexDir<S> {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn open(&self, path: &Path, options: OpenOptions) -> Result<Node> {
        let node = self.lookup_to_open(path, options)?;
        match &self.index.node(node).what {
            What::File { entry, .. } => self.index.open_file(node, entry, options.access).map(Node::File),
            What::Dir(_) => Ok(Node::Dir(Arc::new(IndexDir::new(Arc::clone(&self.index), node)))),
            What::Link(_) => Err(Error::Loop),
        }
    }

    fn stat(&self, path: &Path, follow: Follow) -> Result<Metadata> {
        Ok(self.index.metadata(self.lookup(path, follow)?))
    }

    fn metadata(&self) -> Result<Metadata> {
        Ok(self.index.metadata(self.node))
    }

    fn list(&self) -> Result<Listing> {
        match &self.index.node(self.node).what {
            What::Dir(directory) => Ok(Arc::clone(&directory.listing)),
            _ => Err(Error::NotDirectory),
        }
    }

    fn read_link(&self, path: &Path) -> Result<Box<[u8]>> {
        let node = self.lookup(path, Follow::No)?;
        self.index.target(&node).map(|target| target.into_owned().into_boxed_slice())
    }
}
