//! What archives mean, what is refused, and what reading costs.

use std::sync::Arc;

use super::*;
use crate::{Error, File, FileType, Follow, OpenOptions, Path};

#[cfg(feature = "conformance")]
mod conforming;
mod craft;
mod hostile;
mod large;
mod oracles;
mod policy;

use craft::{Item, bytes, deflated, link, prose, stored};

fn path(text: &str) -> &Path {
    Path::new(text.as_bytes()).unwrap()
}

fn mount(items: &[Item]) -> Zip {
    Zip::from_bytes(bytes(items), &Options::new()).unwrap()
}

fn open(zip: &Zip, name: &str) -> Result<Arc<dyn File>> {
    zip.root()?.open(path(name), OpenOptions::read())?.file()
}

fn contents(zip: &Zip, name: &str) -> Result<Bytes> {
    open(zip, name)?.read_all()
}

#[test]
fn modes_times_and_types() {
    let mut directory = stored("d/", b"");
    directory.attributes = 0o040_2750 << 16;
    let mut dos = stored("d/dos", b"x");
    (dos.made_by, dos.attributes) = (20, 1);
    let mut bare = stored("bare", b"x");
    bare.attributes = 0;
    let mut ported = link("ported", "d");
    (ported.made_by, ported.attributes) = (20, 0o120_777 << 16 | 0x8000);
    let zip = mount(&[directory, deflated("d/file", b"hello"), link("l", "d/file"), dos, bare, ported]);
    let root = zip.root().unwrap();
    let stat = |name| root.stat(path(name), Follow::No).unwrap();
    let noon = 1_592_224_210 * 1_000_000_000;
    assert_eq!((stat("d").kind, stat("d").mode, stat("d").links), (FileType::Directory, 0o750, 2));
    assert_eq!((stat("d/file").kind, stat("d/file").mode, stat("d/file").size), (FileType::File, 0o640, 5));
    assert_eq!((stat("l").kind, stat("l").mode, stat("l").size), (FileType::Symlink, 0o777, 6));
    assert_eq!(stat("ported").kind, FileType::Symlink);
    assert_eq!((stat("d/dos").mode, stat("bare").mode), (0o444, 0o644));
    assert_eq!([stat("d/file").accessed, stat("d/file").modified, stat("d/file").changed], [noon; 3]);
    assert_eq!(&*root.read_link(path("l")).unwrap(), b"d/file");
    assert_eq!(contents(&zip, "l").unwrap(), &b"hello"[..]);
}

#[test]
fn exact_times() {
    let extended = |seconds: i32| [&b"UT\x05\0\x01"[..], &seconds.to_le_bytes()].concat();
    let windows = 132_366_978_105_000_000u64.to_le_bytes();
    let ntfs = [&[10, 0, 32, 0, 0, 0, 0, 0, 1, 0, 24, 0], &windows[..], &windows[..], &windows[..]].concat();
    let zip = mount(&[
        stored("u", b"").both(|fields| fields.extra = extended(-5)),
        stored("n", b"").both(|fields| fields.extra = ntfs.clone()),
        stored("zero", b"").both(|fields| fields.time = 0),
    ]);
    let modified = |name| zip.root().unwrap().stat(path(name), Follow::No).unwrap().modified;
    assert_eq!(modified("u"), -5_000_000_000);
    assert_eq!(modified("n"), 1_592_224_210_500_000_000);
    assert_eq!(modified("zero"), 0);
}

#[test]
fn implied_directories_and_odd_spellings() {
    let zip = mount(&[stored("a/b/c/file", b"1"), stored("./a//x", b"2"), stored("a/", b""), stored("./", b"")]);
    let root = zip.root().unwrap();
    for directory in [".", "a", "a/b", "a/b/c"] {
        assert_eq!(root.stat(path(directory), Follow::No).unwrap().kind, FileType::Directory, "{directory}");
    }
    assert_eq!(contents(&zip, "a/x").unwrap(), &b"2"[..]);
    assert_eq!(root.stat(path("a"), Follow::No).unwrap().links, 3);
    assert_eq!(zip.entries(), 6);
    let below = root.open(path("a/b"), OpenOptions::directory()).unwrap().dir().unwrap();
    assert_eq!(below.stat(path("c/file"), Follow::No).unwrap().size, 1);
    assert_eq!(below.open(path("../x"), OpenOptions::read()).err(), Some(Error::NotPermitted));
}

#[test]
fn of_duplicates_the_last_counts() {
    let same = mount(&[stored("a", b"first"), stored("b", b""), deflated("a", b"second")]);
    assert_eq!(contents(&same, "a").unwrap(), &b"second"[..]);
    let spelled = mount(&[stored("a", b"1"), stored("./a", b"2"), stored("a", b"3"), stored(".//a", b"4")]);
    assert_eq!(contents(&spelled, "a").unwrap(), &b"4"[..]);
    assert_eq!(spelled.root().unwrap().list().unwrap().len(), 1);
    let back = mount(&[stored("a", b"1"), stored("./a", b"2"), stored("a", b"3")]);
    assert_eq!(contents(&back, "a").unwrap(), &b"3"[..]);
    let link_last = mount(&[stored("a", b"1"), link("a", "b"), stored("b", b"2")]);
    assert_eq!(contents(&link_last, "a").unwrap(), &b"2"[..]);
}

#[test]
fn names_are_bytes_or_code_page_437() {
    let unix = craft::item(b"\x82t\x82", 0, b"", Vec::new());
    let mut dos = craft::item(b"\x82t\x82.txt", 0, b"", Vec::new());
    dos.made_by = 20;
    let zip = mount(&[unix, dos]);
    let listing = zip.root().unwrap().list().unwrap();
    let names: Vec<&[u8]> = listing.iter().map(|entry| &*entry.name).collect();
    assert_eq!(names, [b"\x82t\x82", "été.txt".as_bytes()]);
}

#[test]
fn data_before_and_comment_after() {
    let inner = craft::archive(&[stored("a", b"contents"), deflated("b", b"contents")]);
    let mut comment = inner.clone();
    let len = comment.len();
    comment[len - 2..].copy_from_slice(&7u16.to_le_bytes());
    comment.extend(b"comment");
    for before in [&b""[..], b"#!/bin/sh\nPK\x03\x04 is what an archive begins with\n", &[0; 5000], &inner] {
        let zip = Zip::from_bytes([before, &comment].concat().into(), &Options::new()).unwrap();
        assert_eq!(contents(&zip, "a").unwrap(), &b"contents"[..]);
        assert_eq!(contents(&zip, "b").unwrap(), &b"contents"[..]);
    }
}

#[test]
fn nothing_needs_no_method() {
    let zip = mount(&[craft::item(b"a", 8, b"", Vec::new()), deflated("b", b"")]);
    assert_eq!(contents(&zip, "a").unwrap(), &b""[..]);
    assert_eq!(contents(&zip, "b").unwrap(), &b""[..]);
}

#[test]
fn an_empty_archive_is_an_empty_directory() {
    assert_eq!(mount(&[]).root().unwrap().list().unwrap().len(), 0);
}

#[test]
fn opened_from_a_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), craft::archive(&[stored("a", b"contents")])).unwrap();
    let zip = Zip::open(file.path(), &Options::new()).unwrap();
    assert_eq!(contents(&zip, "a").unwrap(), &b"contents"[..]);
    std::fs::write(file.path(), b"").unwrap();
    assert!(matches!(Zip::open(file.path(), &Options::new()), Err(ZipError::Archive(_))));
    assert!(matches!(Zip::open(file.path().with_extension("missing"), &Options::new()), Err(ZipError::Io(_))));
    assert!(matches!(Zip::open("/", &Options::new()), Err(ZipError::Io(_))));
}

#[test]
fn stored_entries_are_slices_of_the_archive() {
    let archive = bytes(&[stored("a", b"contents")]);
    let zip = Zip::from_bytes(archive.clone(), &Options::new()).unwrap();
    let all = contents(&zip, "a").unwrap();
    assert!(archive.as_ptr_range().contains(&all.as_ptr()));
    let file = open(&zip, "a").unwrap();
    let mut buffer = [0; 5];
    assert_eq!(file.read_at(&mut buffer, 4), Ok(4));
    assert_eq!(&buffer[..4], b"ents");
    assert_eq!(file.read_at(&mut buffer, 8), Ok(0));
    assert_eq!(file.read_at(&mut buffer, u64::MAX), Ok(0));
}

/// A deflate entry becomes a gzip file by a header and a trailer (RFC 1952), which another decoder reads.
#[test]
fn raw_entries_are_what_lies_in_the_archive() {
    let text = prose(5000, 1);
    let archive = bytes(&[stored("s", b"contents"), deflated("d/d", &text), link("l", "d/d")]);
    let zip = Zip::from_bytes(archive.clone(), &Options::new()).unwrap();
    let raw = |name| zip.raw(path(name));
    let plain = raw("s").unwrap();
    assert_eq!(
        (plain.method, &plain.data[..], plain.crc),
        (Method::Stored, &b"contents"[..], crc32fast::hash(b"contents"))
    );
    let packed = raw("l").unwrap();
    assert_eq!(
        (packed.method, packed.metadata),
        (Method::Deflated, zip.root().unwrap().stat(path("d/d"), Follow::No).unwrap())
    );
    assert!(archive.as_ptr_range().contains(&packed.data.as_ptr()));
    assert_eq!(zip.cached(), 0);
    let trailer = [packed.crc.to_le_bytes(), (packed.metadata.size as u32).to_le_bytes()].concat();
    let gzip = [b"\x1f\x8b\x08\0\0\0\0\0\0\xff", &packed.data[..], &trailer].concat();
    let mut decoded = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&gzip[..]), &mut decoded).unwrap();
    assert_eq!(decoded, text);
    assert_eq!(raw("d").map(drop), Err(Error::IsDirectory));
    assert_eq!(raw("no").map(drop), Err(Error::NotFound));
    assert_eq!(raw("../s").map(drop), Err(Error::NotPermitted));
}

#[test]
fn a_handle_without_reading_does_not_read() {
    let zip = mount(&[stored("a", b"contents"), deflated("b", b"contents")]);
    let none = OpenOptions { access: crate::Access::default(), ..OpenOptions::read() };
    for name in ["a", "b"] {
        let file = zip.root().unwrap().open(path(name), none).unwrap().file().unwrap();
        assert_eq!(file.metadata().unwrap().size, 8);
        assert_eq!(file.read_at(&mut [0; 4], 0), Err(Error::BadHandle));
        assert_eq!(file.read_all(), Err(Error::BadHandle));
    }
}

#[test]
fn damage_is_found_on_reading() {
    let wrong = |item: Item| item.both(|fields| fields.crc ^= 1);
    let archive = bytes(&[wrong(stored("s", b"contents")), wrong(deflated("d", b"contents"))]);
    let zip = Zip::from_bytes(archive.clone(), &Options::new()).unwrap();
    assert_eq!(zip.verify().unwrap_err().to_string(), "archive entry \"d\": its contents are damaged");
    for name in ["s", "d", "s", "d"] {
        assert_eq!(contents(&zip, name), Err(Error::Io));
        assert_eq!(open(&zip, name).unwrap().read_at(&mut [0; 4], 0), Err(Error::Io));
    }
    let trusting = Zip::from_bytes(archive, &Options::new().trusted(true)).unwrap();
    assert_eq!(contents(&trusting, "s").unwrap(), &b"contents"[..]);
    assert_eq!(contents(&trusting, "d"), Err(Error::Io));
    assert!(mount(&[stored("s", b"contents"), deflated("d", b""), link("l", "s")]).verify().is_ok());
}

#[test]
fn zip64_sizes_and_descriptors() {
    let contents_of = b"contents".as_slice();
    let in_zip64 = stored("z", contents_of).both(|fields| {
        (fields.compressed, fields.size) = (u32::MAX, u32::MAX);
        fields.extra = [&[1, 0, 16, 0][..], &8u64.to_le_bytes(), &8u64.to_le_bytes()].concat();
    });
    let mut streamed = deflated("s", contents_of).both(|fields| fields.flags = 8).local(|fields| {
        (fields.crc, fields.compressed, fields.size) = (0, 0, 0);
    });
    streamed.data.extend(b"PK\x07\x08 descriptor.");
    let zip = mount(&[in_zip64, streamed, stored("last", b"")]);
    assert_eq!(contents(&zip, "z").unwrap(), contents_of);
    assert_eq!(contents(&zip, "s").unwrap(), contents_of);
}

/// The frame is what the reference implementation makes of the text.
#[cfg(feature = "zip-zstd")]
#[test]
fn zstandard() {
    let frame: &[u8] = b"(\xb5/\xfd\x00hu\x00\x008kitbag \x01\x00\x0eR\x8b\x11";
    let text = b"kitbag ".repeat(40);
    let item = |name: &str| craft::item(name.as_bytes(), 93, &text, frame.to_vec());
    let large = prose(300_000, 4);
    let encoded = ruzstd::encoding::compress_to_vec(&large[..], ruzstd::encoding::CompressionLevel::Fastest);
    let items = [item("a"), item("wrong").both(|fields| fields.crc ^= 1), craft::item(b"large", 93, &large, encoded)];
    let zip = mount(&items);
    assert_eq!(contents(&zip, "a").unwrap(), text);
    assert_eq!(contents(&zip, "large").unwrap(), large);
    assert_eq!(contents(&zip, "wrong"), Err(Error::Io));
    for size in [0, 1, 279, 281] {
        let lie = item("a").both(|fields| fields.size = size);
        assert_eq!(contents(&mount(&[lie]), "a"), Err(Error::Io));
    }
    let small = Zip::from_bytes(bytes(&items), &Options::new().cache(1000)).unwrap();
    assert_eq!(contents(&small, "large"), Err(Error::TooLarge));
    assert_eq!(contents(&small, "a").unwrap(), text);
}

#[test]
fn many_entries() {
    let items: Vec<Item> = (0..60_000).map(|n| stored(&format!("d{}/e{}/f{n}", n % 100, n % 7), &[n as u8])).collect();
    let zip = mount(&items);
    assert_eq!(zip.entries(), 60_000 + 100 + 700 + 1);
    for n in (0..60_000).step_by(997) {
        assert_eq!(contents(&zip, &format!("d{}/e{}/f{n}", n % 100, n % 7)).unwrap(), &[n as u8][..]);
    }
    assert_eq!(contents(&zip, "d1/e1/f2").err(), Some(Error::NotFound));
}
