//! Zip archives, and how they are read.

use arbitrary::{Result, Unstructured};
use kitbag_fs::zip::{Options, Zip};
use kitbag_fs::{Bytes, Dir, Error, FileSystem, Node, OpenOptions, Path};
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;

/// How far an archive may expand here: what is more takes the fuzzer's time. What is stored is no larger than the input.
const EXPANSION: u64 = 4 << 20;

/// The archive that `bytes` stand for: the rest of them as it is, or one that is made by their choices.
#[must_use]
pub fn archive(bytes: &[u8]) -> Option<Vec<u8>> {
    let (&mode, rest) = bytes.split_first()?;
    if mode.is_multiple_of(2) { Some(rest.to_vec()) } else { drawn(&mut Unstructured::new(rest)).ok() }
}

/// Reads all of an archive in four ways, which have to agree: whole and kept, piece by piece, through a cache that is too small,
/// and trusted.
///
/// # Panics
/// If they do not, or if more is kept than the budget allows.
pub fn read_alike(archive: Vec<u8>) {
    let archive = Bytes::from(archive);
    let options = Options::new().expansion(EXPANSION).entries(1000);
    let open = |options: Options| Zip::from_bytes(archive.clone(), &options);
    let Ok(kept) = open(options.clone().cache(1 << 30)) else {
        assert!(open(options.trusted(true)).is_err());
        return;
    };
    let whole = contents(&kept, |file| file.read_all());
    for (budget, trusted) in [(0, false), (40 << 10, false), (200, true)] {
        let zip = open(options.clone().cache(budget).trusted(trusted)).expect("the same archive");
        for ((name, whole), (same, pieces)) in whole.iter().zip(contents(&zip, in_pieces)) {
            assert_eq!(*name, same);
            match (whole, pieces) {
                (Ok(whole), Ok(pieces)) => assert!(*whole == pieces, "{name:?}"),
                // Without checksums what is damaged may be read; zstandard is never read piece by piece.
                (Err(Error::Io), Ok(_)) => assert!(trusted, "{name:?} is damaged and was read"),
                (_, Err(Error::TooLarge | Error::Io)) => {}
                other => panic!("{name:?}: {other:?}"),
            }
            assert!(zip.cached() <= budget);
        }
    }
    assert_eq!(kept.verify().is_ok(), whole.iter().all(|(_, contents)| contents.is_ok()));
}

type Contents = kitbag_fs::Result<Bytes>;

fn contents(zip: &Zip, read: impl Fn(&dyn kitbag_fs::File) -> Contents) -> Vec<(Vec<u8>, Contents)> {
    let mut found = Vec::new();
    let mut todo = vec![(Vec::new(), zip.root().expect("a root"))];
    while let Some((above, dir)) = todo.pop() {
        for entry in dir.list().expect("a listing").iter() {
            let path = [&above[..], b"/", &entry.name].concat();
            match open(&*dir, &entry.name) {
                Ok(Node::Dir(below)) if entry.kind == kitbag_fs::FileType::Directory => todo.push((path, below)),
                Ok(Node::File(file)) if entry.kind == kitbag_fs::FileType::File => found.push((path, read(&*file))),
                _ => assert_eq!(entry.kind, kitbag_fs::FileType::Symlink, "{path:?}"),
            }
        }
    }
    found
}

fn open(dir: &dyn Dir, name: &[u8]) -> kitbag_fs::Result<Node> {
    dir.open(Path::new(name)?, OpenOptions::read())
}

/// Backwards, so that each read has to find its place anew.
fn in_pieces(file: &dyn kitbag_fs::File) -> Contents {
    let size = file.metadata()?.size;
    assert!(size <= EXPANSION, "{size}");
    let mut bytes = vec![0; size as usize];
    file.read_at(&mut [0], 0)?;
    for (number, piece) in bytes.chunks_mut(100_000).enumerate().rev() {
        assert_eq!(file.read_at(piece, number as u64 * 100_000)?, piece.len());
    }
    Ok(bytes.into())
}

/// What the headers of an entry say.
struct Entry {
    name: Vec<u8>,
    flags: u16,
    method: u16,
    crc: u32,
    size: u32,
    attributes: u32,
    data: Vec<u8>,
    extra: Vec<u8>,
}

fn drawn(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut entries = Vec::new();
    while !u.is_empty() && entries.len() < 20 {
        entries.push(entry(u)?);
    }
    Ok(written(&entries))
}

fn entry(u: &mut Unstructured<'_>) -> Result<Entry> {
    let choice = u.arbitrary::<u8>()?;
    let name = (0..=choice / 64).map(|_| part(u)).collect::<Result<Vec<_>>>()?.join(&b'/');
    let (method, data, contents) = packed(u)?;
    let size = contents.len() as u32;
    let mut entry = Entry {
        name,
        flags: 0,
        method,
        crc: crc32fast::hash(&contents),
        size,
        attributes: [0o100_644, 0o040_755, 0o120_777, 0][usize::from(choice / 16 % 4)] << 16,
        data,
        extra: Vec::new(),
    };
    match choice % 16 {
        0 => entry.crc ^= 1,
        1 => entry.size = u.arbitrary()?,
        2 => entry.flags = u.arbitrary()?,
        3 => entry.method = u.arbitrary()?,
        4 => entry.name.push(b'/'),
        5 => entry.extra = u.arbitrary::<[u8; 12]>()?.to_vec(),
        _ => {}
    }
    Ok(entry)
}

fn part(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    Ok(match u.arbitrary::<u8>()? % 16 {
        0..5 => b"a".to_vec(),
        5..10 => b"b".to_vec(),
        10..13 => b"c".to_vec(),
        13 => b".".to_vec(),
        14 => b"..".to_vec(),
        _ => u.arbitrary::<[u8; 2]>()?.to_vec(),
    })
}

/// Data and contents, which are the same for what is stored; streams of deflate are compressed, or bytes that happen to be one.
fn packed(u: &mut Unstructured<'_>) -> Result<(u16, Vec<u8>, Vec<u8>)> {
    let way = u.arbitrary::<u8>()?;
    let length = usize::from(u.arbitrary::<u16>()?);
    let bytes = u.bytes(length.min(u.len()))?.to_vec();
    Ok(match way % 4 {
        0 => (0, bytes.clone(), bytes),
        1 => {
            let repeated = bytes.repeat(usize::from(way));
            (8, compress_to_vec(&repeated, way / 16 % 10), repeated)
        }
        2 => {
            let contents = decompress_to_vec_with_limit(&bytes, 1 << 20).unwrap_or_default();
            (8, bytes, contents)
        }
        _ => (93, bytes.clone(), bytes),
    })
}

/// From the version needed to the lengths, which both headers have (APPNOTE.TXT, 4.3.7 and 4.3.12).
fn shared(entry: &Entry, out: &mut Vec<u8>) {
    out.extend(20u16.to_le_bytes());
    out.extend(entry.flags.to_le_bytes());
    out.extend(entry.method.to_le_bytes());
    out.extend(0x50CF_6345_u32.to_le_bytes());
    out.extend(entry.crc.to_le_bytes());
    out.extend((entry.data.len() as u32).to_le_bytes());
    out.extend(entry.size.to_le_bytes());
    out.extend((entry.name.len() as u16).to_le_bytes());
    out.extend((entry.extra.len() as u16).to_le_bytes());
}

fn written(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for entry in entries {
        directory.extend(b"PK\x01\x02\x1e\x03");
        shared(entry, &mut directory);
        directory.extend([0; 6]);
        directory.extend(entry.attributes.to_le_bytes());
        directory.extend((out.len() as u32).to_le_bytes());
        out.extend(b"PK\x03\x04");
        shared(entry, &mut out);
        for out in [&mut out, &mut directory] {
            out.extend(&entry.name);
            out.extend(&entry.extra);
        }
        out.extend(&entry.data);
    }
    let start = out.len() as u32;
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend((entries.len() as u16).to_le_bytes());
    out.extend((entries.len() as u16).to_le_bytes());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0; 2]);
    out
}
