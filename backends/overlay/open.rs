//! Opening a file for reading with no lookup before it.

use std::sync::Arc;

use super::Inner;
use super::file::OverlayFile;
use super::identity::Key;
use super::node::{DirNode, Leaf, Peek, Whence};
use super::upper::{PLAIN, stored};
use crate::{Access, Error, File, FileType, Node, OpenOptions, Path, Result};

/// What a layer opens for a name.
enum Probe {
    /// It has nothing there, or cannot have.
    Nothing,
    File(Arc<dyn File>),
    /// A directory or a link.
    Other,
}

impl Probe {
    fn new(opened: Result<Node>) -> Result<Probe> {
        match opened {
            Ok(Node::File(file)) => Ok(Probe::File(file)),
            Ok(Node::Dir(_)) | Err(Error::Loop) => Ok(Probe::Other),
            Err(Error::NotFound | Error::IllegalSequence | Error::NameTooLong) => Ok(Probe::Nothing),
            Err(error) => Err(error),
        }
    }
}

impl Inner {
    /// Opens the file that has `name` in `dir`, with one probe of each layer down to its own. Nothing where it is no
    /// file, or one that the index has to be asked for.
    pub(super) fn open_at(
        self: &Arc<Self>,
        dir: &Arc<DirNode>,
        name: &[u8],
        access: Access,
    ) -> Result<Option<OverlayFile>> {
        let (upper, hidden) = match dir.peek(name) {
            Peek::Removed => return Err(Error::NotFound),
            Peek::Known(_) => return Ok(None),
            Peek::Look { upper, hidden } => (upper, hidden),
        };
        let options = OpenOptions { access, ..PLAIN };
        if let Some(upper) = upper {
            match Probe::new(upper.open(stored(name)?, options))? {
                Probe::File(file) => return self.opened_in_upper(access, file).map(Some),
                Probe::Other => return Ok(None),
                Probe::Nothing => {}
            }
        }
        let lowers = if hidden { &[] } else { dir.lowers() };
        for (at, lower) in lowers.iter().enumerate() {
            match Probe::new(lower.dir.open(Path::new(name)?, options))? {
                Probe::File(file) => return self.opened_in_lower(dir, name, at, access, file),
                Probe::Other => return Ok(None),
                Probe::Nothing => {}
            }
        }
        Err(Error::NotFound)
    }

    fn opened_in_upper(self: &Arc<Self>, access: Access, file: Arc<dyn File>) -> Result<OverlayFile> {
        let identity = self.ids.of_upper(&file.metadata()?);
        Ok(OverlayFile::direct(self.clone(), access, Some(identity), file))
    }

    fn opened_in_lower(
        self: &Arc<Self>,
        dir: &Arc<DirNode>,
        name: &[u8],
        at: usize,
        access: Access,
        file: Arc<dyn File>,
    ) -> Result<Option<OverlayFile>> {
        let raw = file.metadata()?;
        let layer = dir.lower(at).layer;
        let (key, identity) = (Key::new(layer, &raw), self.ids.of_lower(layer, &raw));
        if raw.kind != FileType::File {
            return Ok(Some(OverlayFile::direct(self.clone(), access, Some(identity), file)));
        }
        if raw.links > 1 && self.ids.indexed(key).is_some() {
            return Ok(None);
        }
        let shown = self.ids.show(raw, identity);
        let leaf = Leaf { dir: dir.clone(), name: name.into(), whence: Whence::Lower { at, key }, shown };
        Ok(Some(OverlayFile::lower(self.clone(), access, Arc::new(leaf), key, file)))
    }
}
