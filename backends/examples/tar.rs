//! A backend of your own: a tar archive, read-only and in place.
//!
//! ```console
//! $ cargo run --example tar -- ARCHIVE.tar             lists everything
//! $ cargo run --example tar -- ARCHIVE.tar some/file   prints a file
//! ```
//!
//! What a backend needs is here in the order in which one would write it: what the tree is ([`Tar`], made by [`parse`]), how paths are
//! walked in it ([`Tree`], after which [`resolve`] does the rest as POSIX has it), and the three traits. Everything that
//! changes something has a default, which says that the file system is read-only. The test at the end hands a tree that
//! GNU tar has packed to the conformance suite.
//!
//! The format is that of POSIX (`pax`, with its extended headers for long names and links) and GNU's for long names.

use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::ops::Range;
use std::sync::Arc;

use kitbag_fs::resolve::{Tree, open_read_only, resolve};
use kitbag_fs::{
    Bytes, Dir, DirEntry, Error, File, FileSystem, FileType, Follow, Listing, Metadata, Node, OpenOptions, Path,
    Result, Timestamp, fresh_device,
};

const BLOCK: usize = 512;
const ROOT: usize = 0;

/// An archive as a file system.
struct Tar {
    bytes: Bytes,
    objects: Vec<Object>,
    device: u64,
}

struct Object {
    mode: u32,
    modified: Timestamp,
    /// Names, of what is no directory.
    names: u64,
    what: What,
}

enum What {
    Dir { children: BTreeMap<Box<[u8]>, usize>, parent: usize },
    File(Range<usize>),
    Link(Box<[u8]>),
}

impl Object {
    fn dir(mode: u32, modified: Timestamp, parent: usize) -> Object {
        Object { mode, modified, names: 0, what: What::Dir { children: BTreeMap::new(), parent } }
    }

    fn children(&self) -> Option<&BTreeMap<Box<[u8]>, usize>> {
        match &self.what {
            What::Dir { children, .. } => Some(children),
            _ => None,
        }
    }
}

impl Tar {
    fn new(bytes: Bytes) -> Result<Tar, String> {
        let root = Object::dir(0o755, 0, ROOT);
        let mut tar = Tar { bytes: bytes.clone(), objects: vec![root], device: fresh_device() };
        for entry in parse(&bytes)? {
            let name = String::from_utf8_lossy(&entry.name).into_owned();
            tar.add(entry).map_err(|error| format!("{name}: {error}"))?;
        }
        Ok(tar)
    }

    fn add(&mut self, entry: Entry) -> Result<()> {
        let mut parts: Vec<&[u8]> = parts(&entry.name)?;
        let Some(last) = parts.pop() else { return Ok(()) };
        let above = parts.into_iter().try_fold(ROOT, |dir, name| self.directory(dir, name, 0o755, entry.modified))?;
        let Entry { mode, modified, .. } = entry;
        let what = match entry.kind {
            Kind::Dir => return self.directory(above, last, mode, modified).map(drop),
            Kind::File => What::File(entry.data),
            Kind::Symlink => What::Link(entry.link.into()),
            Kind::HardLink => {
                let target = self.linked(&entry.link)?;
                return self.name(above, last, target);
            }
        };
        self.objects.push(Object { mode, modified, names: 0, what });
        self.name(above, last, self.objects.len() - 1)
    }

    /// The directory of that name, made if it is missing.
    fn directory(&mut self, above: usize, name: &[u8], mode: u32, modified: Timestamp) -> Result<usize> {
        let children = self.objects[above].children().ok_or(Error::NotDirectory)?;
        if let Some(&there) = children.get(name) {
            let object = &mut self.objects[there];
            (object.mode, object.modified) = (mode, modified);
            return if object.children().is_some() { Ok(there) } else { Err(Error::NotDirectory) };
        }
        self.objects.push(Object::dir(mode, modified, above));
        let made = self.objects.len() - 1;
        self.name(above, name, made).map(|()| made)
    }

    /// Gives a name to an object; of two objects with one name the last counts, as for tar itself.
    fn name(&mut self, above: usize, name: &[u8], object: usize) -> Result<()> {
        let What::Dir { children, .. } = &mut self.objects[above].what else { return Err(Error::NotDirectory) };
        let before = children.insert(name.into(), object);
        self.objects[object].names += 1;
        match before.map(|before| &mut self.objects[before]) {
            Some(before) if before.children().is_some() => Err(Error::IsDirectory),
            Some(before) => {
                before.names -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// What a hard link means, which has to be there already.
    fn linked(&self, path: &[u8]) -> Result<usize> {
        let child = |dir: usize, name: &[u8]| self.objects[dir].children()?.get(name).copied();
        let found = parts(path)?.into_iter().try_fold(ROOT, child).ok_or(Error::NotFound)?;
        if self.objects[found].children().is_some() { Err(Error::NotPermitted) } else { Ok(found) }
    }

    fn metadata(&self, object: usize) -> Metadata {
        let Object { mode, modified, names, what } = &self.objects[object];
        let is_dir = |&child: &usize| self.objects[child].children().is_some();
        let (kind, size, links) = match what {
            What::Dir { children, .. } => {
                (FileType::Directory, 0, 2 + children.values().filter(|child| is_dir(child)).count() as u64)
            }
            What::File(data) => (FileType::File, data.len() as u64, *names),
            What::Link(target) => (FileType::Symlink, target.len() as u64, *names),
        };
        let (mode, modified) = (*mode, *modified);
        let inode = object as u64 + 1;
        Metadata {
            kind,
            size,
            inode,
            device: self.device,
            links,
            mode,
            accessed: modified,
            modified,
            changed: modified,
        }
    }
}

/// The names of a path that leads nowhere else than down.
fn parts(path: &[u8]) -> Result<Vec<&[u8]>> {
    let names = path.split(|&byte| byte == b'/').filter(|name| !matches!(*name, b"" | b"."));
    let legal = |name: &&[u8]| *name != b".." && Path::new(name).is_ok();
    let names: Vec<_> = names.collect();
    if path.starts_with(b"/") || !names.iter().all(legal) { Err(Error::NotPermitted) } else { Ok(names) }
}

enum Kind {
    File,
    Dir,
    Symlink,
    HardLink,
}

struct Entry {
    name: Vec<u8>,
    kind: Kind,
    mode: u32,
    modified: Timestamp,
    data: Range<usize>,
    link: Vec<u8>,
}

/// All entries, in order.
fn parse(bytes: &[u8]) -> Result<Vec<Entry>, String> {
    let (mut entries, mut at) = (Vec::new(), 0);
    let (mut long_name, mut long_link) = (None, None);
    while let Some(header) = bytes.get(at..at + BLOCK).filter(|header| header.iter().any(|&byte| byte != 0)) {
        let broken = |what: &str| format!("the header at {at}: {what}");
        if octal(&header[148..156]) != Some(checksum(header)) {
            return Err(broken("its checksum is wrong"));
        }
        let size = octal(&header[124..136]).ok_or_else(|| broken("its size is no number"))? as usize;
        let data = at + BLOCK..(at + BLOCK).saturating_add(size);
        let contents = bytes.get(data.clone()).ok_or_else(|| broken("its contents end past the archive"))?;
        at = data.end.next_multiple_of(BLOCK);
        let kind = match header[156] {
            b'x' => {
                (long_name, long_link) = (pax(contents, b"path"), pax(contents, b"linkpath"));
                continue;
            }
            b'L' => {
                long_name = Some(until_nul(contents).to_vec());
                continue;
            }
            b'K' => {
                long_link = Some(until_nul(contents).to_vec());
                continue;
            }
            b'0' | b'\0' | b'7' => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::Symlink,
            b'5' => Kind::Dir,
            // Devices, pipes, and what is said of the whole archive.
            _ => continue,
        };
        entries.push(Entry {
            name: long_name.take().unwrap_or_else(|| short_name(header)),
            kind,
            mode: octal(&header[100..108]).unwrap_or(0o644) as u32 & 0o777,
            modified: Timestamp::from(octal(&header[136..148]).unwrap_or(0)) * 1_000_000_000,
            data,
            link: long_link.take().unwrap_or_else(|| until_nul(&header[157..257]).to_vec()),
        });
    }
    Ok(entries)
}

fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

fn octal(field: &[u8]) -> Option<u64> {
    let digits = str::from_utf8(until_nul(field)).ok()?;
    u64::from_str_radix(digits.trim(), 8).ok()
}

/// The sum of a header's bytes, with spaces for the sum itself.
fn checksum(header: &[u8]) -> u64 {
    let own = |place: usize| (148..156).contains(&place);
    let bytes = header.iter().enumerate();
    bytes.map(|(place, &byte)| if own(place) { u64::from(b' ') } else { u64::from(byte) }).sum()
}

fn short_name(header: &[u8]) -> Vec<u8> {
    let (prefix, name) = (until_nul(&header[345..500]), until_nul(&header[..100]));
    // GNU's own format has other things in the place of the prefix.
    if prefix.is_empty() || &header[257..263] != b"ustar\0" { name.to_vec() } else { [prefix, b"/", name].concat() }
}

/// A record of an extended header: `LENGTH KEY=VALUE\n`.
fn pax(mut records: &[u8], key: &[u8]) -> Option<Vec<u8>> {
    let mut found = None;
    while let Some(space) = records.iter().position(|&byte| byte == b' ') {
        let length: usize = str::from_utf8(&records[..space]).ok()?.parse().ok()?;
        let record = records.get(space + 1..length)?.strip_suffix(b"\n")?;
        if let Some(value) = record.strip_prefix(key).and_then(|rest| rest.strip_prefix(b"=")) {
            found = Some(value.to_vec());
        }
        records = &records[length..];
    }
    found
}

impl Tree for Tar {
    type Node = usize;

    fn kind(&self, &object: &usize) -> FileType {
        self.metadata(object).kind
    }

    fn child(&self, &dir: &usize, name: &[u8]) -> Result<Option<usize>> {
        Ok(self.objects[dir].children().ok_or(Error::NotDirectory)?.get(name).copied())
    }

    fn parent(&self, &dir: &usize) -> Result<usize> {
        match &self.objects[dir].what {
            What::Dir { parent, .. } => Ok(*parent),
            _ => Err(Error::NotDirectory),
        }
    }

    fn target(&self, &link: &usize) -> Result<Cow<'_, [u8]>> {
        match &self.objects[link].what {
            What::Link(target) => Ok(Cow::Borrowed(target)),
            _ => Err(Error::Invalid),
        }
    }
}

/// A handle on a directory: the archive, and which one.
struct TarDir(Arc<Tar>, usize);

impl Dir for TarDir {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn open(&self, path: &Path, options: OpenOptions) -> Result<Node> {
        let found = open_read_only(&*self.0, self.1, path, options)?;
        match &self.0.objects[found].what {
            What::Dir { .. } => Ok(Node::Dir(Arc::new(TarDir(Arc::clone(&self.0), found)))),
            What::File(data) => Ok(Node::File(Arc::new(TarFile {
                bytes: self.0.bytes.slice(data.clone()),
                metadata: self.0.metadata(found),
                readable: options.access.read,
            }))),
            What::Link(_) => Err(Error::Loop),
        }
    }

    fn stat(&self, path: &Path, follow: Follow) -> Result<Metadata> {
        resolve(&*self.0, self.1, path, follow).map(|found| self.0.metadata(found))
    }

    fn metadata(&self) -> Result<Metadata> {
        Ok(self.0.metadata(self.1))
    }

    fn list(&self) -> Result<Listing> {
        let children = self.0.objects[self.1].children().ok_or(Error::NotDirectory)?;
        let entries = children.iter().map(|(name, &child)| {
            let Metadata { inode, kind, .. } = self.0.metadata(child);
            DirEntry { name: name.clone(), inode, kind }
        });
        Ok(entries.collect())
    }

    fn read_link(&self, path: &Path) -> Result<Box<[u8]>> {
        let found = resolve(&*self.0, self.1, path, Follow::No)?;
        self.0.target(&found).map(|target| target.into_owned().into())
    }
}

/// A handle on a file: its bytes, which are the archive's.
struct TarFile {
    bytes: Bytes,
    metadata: Metadata,
    readable: bool,
}

impl File for TarFile {
    fn metadata(&self) -> Result<Metadata> {
        Ok(self.metadata)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let bytes = self.read_all()?;
        let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn read_all(&self) -> Result<Bytes> {
        if self.readable { Ok(self.bytes.clone()) } else { Err(Error::BadHandle) }
    }
}

/// The file system.
struct TarFs(Arc<Tar>);

impl FileSystem for TarFs {
    fn root(&self) -> Result<Arc<dyn Dir>> {
        Ok(Arc::new(TarDir(Arc::clone(&self.0), ROOT)))
    }
}

fn list(dir: &dyn Dir, above: &str) -> Result<()> {
    for entry in dir.list()?.iter() {
        let path = format!("{above}{}", String::from_utf8_lossy(&entry.name));
        println!("{path}");
        if entry.kind == FileType::Directory {
            let below = dir.open(Path::new(&entry.name)?, OpenOptions::directory())?.dir()?;
            list(&*below, &format!("{path}/"))?;
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(archive) = arguments.first() else { return Err("usage: tar ARCHIVE [FILE]".into()) };
    let root = TarFs(Arc::new(Tar::new(std::fs::read(archive)?.into())?)).root()?;
    match arguments.get(1) {
        None => list(&*root, "")?,
        Some(file) => {
            let file = root.open(Path::new(file.as_bytes())?, OpenOptions::read())?.file()?;
            std::io::stdout().write_all(&file.read_all()?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use kitbag_fs::conformance::{Capabilities, check, tree};

    use super::*;

    fn packed(folder: &std::path::Path, format: &str) -> Vec<u8> {
        let packed = Command::new("tar").args(["-c", "-f", "-", format, "."]).current_dir(folder).output();
        let packed = packed.expect("GNU tar");
        assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
        packed.stdout
    }

    #[test]
    fn conforms() {
        let folder = tempfile::tempdir().unwrap();
        tree::write_to_host(folder.path(), Capabilities::READ_ONLY).unwrap();
        for format in ["--format=pax", "--format=gnu"] {
            let tar = TarFs(Arc::new(Tar::new(packed(folder.path(), format).into()).unwrap()));
            assert_eq!(check(&tar, Capabilities::READ_ONLY), [], "{format}");
        }
    }

    #[test]
    fn broken_archives_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("d")).unwrap();
        std::fs::write(folder.path().join("d/f"), [7; 1000]).unwrap();
        let whole = packed(folder.path(), "--format=pax");
        for len in (0..whole.len().min(6000)).step_by(7) {
            if let Ok(tar) = Tar::new(Bytes::copy_from_slice(&whole[..len])) {
                list(&*TarFs(Arc::new(tar)).root().unwrap(), "").unwrap();
            }
        }
        let mut changed = whole.clone();
        changed[0] ^= 1;
        assert!(Tar::new(changed.into()).is_err());
    }
}
