//! Which file systems a guest sees, and where: a set of mounts, turned into preopens.
//!
//! Mounts nest, and the order in which they are given says nothing: a mount inside another belongs to
//! it, whatever the outer one has there. What lies in no other mount is a preopen. Single files make their
//! folder one, so that several files of one folder are one preopen that shows just them.
//!
//! An overlay takes what is mounted at its place, or the part of a mount that lies there, as its lower layer. Mounts
//! inside that place stay what they are: what is written to them goes to them.
//!
//! Absolute and relative places are two worlds, as in the names of preopens: `.` holds `a`, and `/` does not.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use kitbag_fs::mounts::Mounts;
use kitbag_fs::overlay::Overlay;
use kitbag_fs::subtree::Subtree;
use kitbag_fs::{Dir, FileSystem, Path};

/// A place in the guest's view of its files, normalised: `/a/b`, `a/b` or `.`.
///
/// The order puts a place before everything inside it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    relative: bool,
    names: Vec<Box<[u8]>>,
}

impl Place {
    /// Reads a place as a user writes it; repeated and trailing slashes and `.` say nothing.
    ///
    /// # Errors
    /// [`LayoutError`] for an empty one, for `..`, for NUL and for names and paths that are too long.
    pub fn new(bytes: &[u8]) -> Result<Place, LayoutError> {
        let relative = bytes.first() != Some(&b'/');
        let trimmed = &bytes[bytes.iter().position(|&byte| byte != b'/').unwrap_or(bytes.len())..];
        let refuse = |problem| Err(LayoutError::new(String::from_utf8_lossy(bytes), problem));
        if bytes.is_empty() {
            return refuse("a place in the guest cannot be empty; write / or .");
        }
        let path = match trimmed {
            [] => Path::DOT,
            _ => match Path::new(trimmed) {
                Ok(path) => path,
                Err(kitbag_fs::Error::NameTooLong) => return refuse("the name is too long"),
                Err(_) => return refuse("a place in the guest cannot hold NUL"),
            },
        };
        let names: Vec<Box<[u8]>> = path.components().map(Box::from).collect();
        match names.iter().any(|name| **name == *b"..") {
            true => refuse("a place in the guest cannot hold `..`"),
            false => Ok(Place { relative, names }),
        }
    }

    /// Whether `other` lies inside this place, which does not lie inside itself.
    fn holds(&self, other: &Place) -> bool {
        self.relative == other.relative && other.names.len() > self.names.len() && other.names.starts_with(&self.names)
    }

    /// The folder that this place is in; itself at the top.
    fn parent(&self) -> Place {
        let names = self.names.split_last().map_or(&[][..], |(_, above)| above);
        Place { relative: self.relative, names: names.to_vec() }
    }

    /// This place, its folder, and so on to the top.
    fn and_above(&self) -> impl Iterator<Item = Place> {
        std::iter::successors(Some(self.clone()), |place| (!place.names.is_empty()).then(|| place.parent()))
    }

    /// The way from `outer`, which holds it or is the same.
    fn below(&self, outer: &Place) -> Vec<u8> {
        match &self.names[outer.names.len()..] {
            [] => b".".to_vec(),
            names => names.join(&b'/'),
        }
    }

    /// The place as the guest names it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let names = self.names.join(&b'/');
        match (self.relative, names.is_empty()) {
            (true, true) => b".".to_vec(),
            (true, false) => names,
            (false, _) => [b"/", &names[..]].concat(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}

/// What is mounted at a place.
enum Mounted {
    /// A whole file system.
    Tree(Arc<dyn FileSystem>),
    /// The file of this name in a directory.
    File(Arc<dyn Dir>, Vec<u8>),
}

/// A directory that a guest finds open when it starts.
pub struct Preopen {
    /// How the guest names it.
    pub name: Vec<u8>,
    /// The directory.
    pub root: Arc<dyn Dir>,
}

/// A set of mounts.
#[derive(Default)]
pub struct Layout {
    mounts: BTreeMap<Place, Mounted>,
    overlays: BTreeMap<Place, Arc<dyn FileSystem>>,
}

impl Layout {
    /// Mounts a file system.
    ///
    /// # Errors
    /// [`LayoutError`] for a place that has a mount already.
    pub fn mount(&mut self, place: Place, files: Arc<dyn FileSystem>) -> Result<(), LayoutError> {
        insert(&mut self.mounts, place, Mounted::Tree(files))
    }

    /// Mounts the file `name` of `folder`.
    ///
    /// # Errors
    /// [`LayoutError`] for a place that has a mount already, and for a top, which has no name.
    pub fn mount_file(&mut self, place: Place, folder: Arc<dyn Dir>, name: Vec<u8>) -> Result<(), LayoutError> {
        if place.names.is_empty() {
            return Err(LayoutError::new(place, "a file needs a name there"));
        }
        insert(&mut self.mounts, place, Mounted::File(folder, name))
    }

    /// Puts a writable file system over what is at a place.
    ///
    /// # Errors
    /// [`LayoutError`] for a place that has an overlay already.
    pub fn overlay(&mut self, place: Place, upper: Arc<dyn FileSystem>) -> Result<(), LayoutError> {
        insert(&mut self.overlays, place, upper)
    }

    /// Whether something is mounted at a place.
    #[must_use]
    pub fn holds_mount(&self, place: &Place) -> bool {
        self.mounts.contains_key(place)
    }

    /// Adds another set, whose mounts and overlays replace those at the same places in this one.
    pub fn replace_with(&mut self, other: Layout) {
        for place in other.mounts.keys() {
            self.overlays.remove(place);
        }
        self.mounts.extend(other.mounts);
        self.overlays.extend(other.overlays);
    }

    /// Builds the preopens, in the order of their names, absolute ones first.
    ///
    /// # Errors
    /// [`LayoutError`] for an overlay over nothing or over a file, for mounts inside a file, and for what
    /// the file systems answer when they are put together.
    pub fn preopens(mut self) -> Result<Vec<Preopen>, LayoutError> {
        self.apply_overlays()?;
        self.tops().into_iter().map(|top| self.preopen(&top)).collect()
    }

    fn apply_overlays(&mut self) -> Result<(), LayoutError> {
        for (place, upper) in std::mem::take(&mut self.overlays) {
            let lower = self.lower(&place)?;
            let overlay = Overlay::new(upper, [lower]).map_err(|error| LayoutError::new(&place, error))?;
            self.mounts.insert(place, Mounted::Tree(Arc::new(overlay)));
        }
        Ok(())
    }

    /// What is at `place` before anything is put over it: a mount there, or the part of the nearest one around it.
    fn lower(&self, place: &Place) -> Result<Arc<dyn FileSystem>, LayoutError> {
        match place.and_above().find_map(|at| self.mounts.get_key_value(&at)) {
            Some((at, Mounted::Tree(files))) if at == place => Ok(files.clone()),
            Some((at, Mounted::Tree(files))) => {
                subtree(files, &place.below(at)).map_err(|error| LayoutError::new(place, error))
            }
            Some((_, Mounted::File(..))) => Err(LayoutError::new(place, "a file cannot have an overlay")),
            None => Err(LayoutError::new(place, "there is nothing to put an overlay over; mount something there")),
        }
    }

    /// The places that are in no other: of file systems, and of the folders of files.
    fn tops(&self) -> Vec<Place> {
        let mut places: Vec<_> = self
            .mounts
            .iter()
            .map(|(place, mounted)| match mounted {
                Mounted::Tree(_) => place.clone(),
                Mounted::File(..) => place.parent(),
            })
            .collect();
        places.sort();
        places.dedup_by(|inner, outer| inner == outer || outer.holds(inner));
        places
    }

    /// The directory at `top` with everything mounted in it.
    fn preopen(&self, top: &Place) -> Result<Preopen, LayoutError> {
        let mut tree = Mounts::builder();
        let inside = self.mounts.range(top..).take_while(|(place, _)| *place == top || top.holds(place));
        for (place, mounted) in inside {
            let mount = || {
                let at = place.below(top);
                match mounted {
                    Mounted::Tree(files) => tree.mount(Path::new(&at)?, files.clone()),
                    Mounted::File(folder, name) => tree.mount_file(Path::new(&at)?, folder.clone(), name),
                }
            };
            tree = mount().map_err(|error| LayoutError::new(place, error))?;
        }
        let root = tree.build().root().map_err(|error| LayoutError::new(top, error))?;
        Ok(Preopen { name: top.to_bytes(), root })
    }
}

/// The directory at `path` of `files` as a file system.
pub(super) fn subtree(files: &Arc<dyn FileSystem>, path: &[u8]) -> kitbag_fs::Result<Arc<dyn FileSystem>> {
    Ok(Arc::new(Subtree::new(&**files, Path::new(path)?)?))
}

fn insert<T>(set: &mut BTreeMap<Place, T>, place: Place, what: T) -> Result<(), LayoutError> {
    match set.contains_key(&place) {
        true => Err(LayoutError::new(place, "it is given twice")),
        false => {
            set.insert(place, what);
            Ok(())
        }
    }
}

/// Why mounts cannot be put together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct LayoutError {
    /// The guest's place that it is about.
    pub place: String,
    /// What is wrong with it.
    pub problem: String,
}

impl LayoutError {
    fn new(place: impl fmt::Display, problem: impl fmt::Display) -> LayoutError {
        LayoutError { place: place.to_string(), problem: problem.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use kitbag_fs::memory::Memory;
    use kitbag_fs::{Follow, OpenOptions};

    use super::*;

    fn place(text: &str) -> Place {
        Place::new(text.as_bytes()).unwrap()
    }

    fn memory() -> Arc<dyn FileSystem> {
        Arc::new(Memory::new())
    }

    /// A file system with these files, each holding its own name.
    fn files(names: &[&str]) -> Arc<dyn FileSystem> {
        let memory = Memory::new();
        for name in names {
            memory.insert(Path::new(name.as_bytes()).unwrap(), name.as_bytes().to_vec().into()).unwrap();
        }
        Arc::new(memory)
    }

    fn folder(names: &[&str]) -> Arc<dyn Dir> {
        files(names).root().unwrap()
    }

    fn names(layout: Layout) -> Vec<String> {
        let preopens = layout.preopens().unwrap();
        preopens.iter().map(|preopen| String::from_utf8_lossy(&preopen.name).into_owned()).collect()
    }

    fn contents(preopen: &Preopen, path: &str) -> kitbag_fs::Result<Vec<u8>> {
        let path = Path::new(path.as_bytes())?;
        Ok(preopen.root.open(path, OpenOptions::read())?.file()?.read_all()?.to_vec())
    }

    #[test]
    fn places_are_normalised() {
        for (text, shown) in
            [("/", "/"), ("//", "/"), (".", "."), ("./", "."), ("/a//b/.", "/a/b"), ("./a/", "a"), ("\\a", "\\a")]
        {
            assert_eq!(place(text).to_string(), shown);
        }
        for bad in ["", "..", "/a/../b", "a\0", &"n".repeat(256)] {
            assert!(Place::new(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_in_no_other_mount_is_a_preopen() {
        let mut layout = Layout::default();
        for at in ["/a/b", "/a", "/ab", ".", "x", "/z/y"] {
            layout.mount(place(at), memory()).unwrap();
        }
        assert_eq!(names(layout), ["/a", "/ab", "/z/y", "."]);
    }

    #[test]
    fn files_make_their_folder_a_preopen() {
        let mut layout = Layout::default();
        for at in ["/etc/one", "/etc/more/two", "/a/b/three", "four"] {
            layout.mount_file(place(at), folder(&["f"]), b"f".to_vec()).unwrap();
        }
        layout.mount(place("/a"), memory()).unwrap();
        let preopens = layout.preopens().unwrap();
        assert_eq!(preopens.iter().map(|p| &p.name[..]).collect::<Vec<_>>(), [&b"/a"[..], b"/etc", b"."]);
        assert_eq!(contents(&preopens[0], "b/three").unwrap(), b"f");
        assert_eq!(contents(&preopens[1], "more/two").unwrap(), b"f");
        assert_eq!(contents(&preopens[2], "four").unwrap(), b"f");
    }

    #[test]
    fn the_root_has_everything_in_it() {
        let mut layout = Layout::default();
        layout.mount(place("/a/b"), files(&["f"])).unwrap();
        layout.mount(place("/"), files(&["a/b/hidden", "g"])).unwrap();
        let preopens = layout.preopens().unwrap();
        assert_eq!(preopens.len(), 1);
        assert_eq!(contents(&preopens[0], "a/b/f").unwrap(), b"f");
        assert_eq!(contents(&preopens[0], "g").unwrap(), b"g");
        assert_eq!(contents(&preopens[0], "a/b/hidden"), Err(kitbag_fs::Error::NotFound));
    }

    #[test]
    fn an_overlay_takes_what_is_at_its_place() {
        let (whole, part) = (files(&["a/f", "g"]), memory());
        let mut layout = Layout::default();
        layout.mount(place("/"), whole.clone()).unwrap();
        layout.overlay(place("/a"), part.clone()).unwrap();
        let preopens = layout.preopens().unwrap();
        let path = Path::new(b"a/f").unwrap();
        let file = preopens[0].root.open(path, OpenOptions::write()).unwrap().file().unwrap();
        file.write_at(b"F", 0).unwrap();
        assert_eq!(contents(&preopens[0], "a/f").unwrap(), b"F/f");
        assert_eq!(
            whole.root().unwrap().open(path, OpenOptions::read()).unwrap().file().unwrap().read_all().unwrap(),
            "a/f"
        );
        assert!(part.root().unwrap().stat(Path::new(b"f").unwrap(), Follow::Yes).is_ok());
    }

    #[test]
    fn contradictions_name_the_place() {
        let mut layout = Layout::default();
        layout.mount(place("/a"), memory()).unwrap();
        assert_eq!(layout.mount(place("/a/"), memory()).unwrap_err().place, "/a");
        assert_eq!(layout.mount_file(place("/"), folder(&[]), b"f".to_vec()).unwrap_err().place, "/");
        layout.overlay(place("/b"), memory()).unwrap();
        assert_eq!(layout.preopens().err().unwrap().place, "/b");
        let mut layout = Layout::default();
        layout.mount_file(place("/f"), folder(&["f"]), b"f".to_vec()).unwrap();
        layout.mount(place("/f/x"), memory()).unwrap();
        assert_eq!(layout.preopens().err().unwrap().place, "/f/x");
    }

    #[test]
    fn another_layout_replaces_what_is_at_its_places() {
        let mut layout = Layout::default();
        layout.mount(place("/a"), files(&["old"])).unwrap();
        layout.overlay(place("/a"), memory()).unwrap();
        layout.mount(place("/b"), files(&["kept"])).unwrap();
        let mut other = Layout::default();
        other.mount(place("/a"), files(&["new"])).unwrap();
        layout.replace_with(other);
        let preopens = layout.preopens().unwrap();
        assert_eq!(contents(&preopens[0], "new").unwrap(), b"new");
        assert_eq!(contents(&preopens[1], "kept").unwrap(), b"kept");
    }
}
