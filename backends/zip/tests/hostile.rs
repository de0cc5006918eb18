//! Archives that lie: each line of the policy, and damage at every byte.

use proptest::prelude::*;

use super::*;

fn refusal(items: &[Item]) -> ZipError {
    Zip::from_bytes(bytes(items), &Options::new()).unwrap_err()
}

/// What is wrong with the entry that is named.
fn problem(items: &[Item], named: &str) -> Problem {
    match refusal(items) {
        ZipError::Entry { name, problem } if name == named => problem,
        other => panic!("{other}"),
    }
}

#[test]
fn names() {
    assert_eq!(problem(&[stored("/etc/passwd", b"")], "/etc/passwd"), Problem::Absolute);
    assert_eq!(problem(&[stored("a/../../b", b"")], "a/../../b"), Problem::ParentDir);
    assert_eq!(problem(&[stored("..", b"")], ".."), Problem::ParentDir);
    assert_eq!(problem(&[stored("../", b"")], "../"), Problem::ParentDir);
    assert_eq!(problem(&[stored("a\0b", b"")], "a\0b"), Problem::Nul);
    assert_eq!(problem(&[stored("", b"")], ""), Problem::BadName);
    assert_eq!(problem(&[stored(".", b"")], "."), Problem::BadName);
    let long = "x".repeat(256);
    assert_eq!(problem(&[stored(&long, b"")], &long), Problem::BadName);
    let deep = "x/".repeat(2048) + "x";
    assert_eq!(problem(&[stored(&deep, b"")], &deep), Problem::BadName);
}

#[test]
fn conflicts() {
    assert_eq!(problem(&[stored("a", b""), stored("a/b", b"")], "a/b"), Problem::Conflict);
    assert_eq!(problem(&[stored("a/b", b""), stored("a", b"")], "a"), Problem::Conflict);
    assert_eq!(problem(&[stored("a", b""), stored("a/", b"")], "a/"), Problem::Conflict);
    assert_eq!(problem(&[link("a", "b"), stored("a/c", b""), stored("b/", b"")], "a/c"), Problem::Conflict);
}

#[test]
fn unreadable_entries() {
    for bit in [0, 5, 6, 13] {
        assert_eq!(problem(&[stored("a", b"x").both(|fields| fields.flags = 1 << bit)], "a"), Problem::Encrypted);
    }
    for method in [1, 6, 9, 12, 14, 95, 98, 99] {
        assert_eq!(problem(&[stored("a", b"x").both(|fields| fields.method = method)], "a"), Problem::Method(method));
    }
}

#[test]
fn overlaps() {
    let shared = |offset, name| Item { offset: Some(offset), ..stored(name, b"x") };
    assert_eq!(problem(&[stored("a", b"x"), shared(0, "b")], "b"), Problem::Disagreement("name"));
    // An entry within the data of another.
    let inner = craft::archive(&[stored("in", b"x")]);
    let outer = stored("out", &inner);
    let start = 30 + 3;
    assert_eq!(problem(&[outer.clone(), shared(start, "in")], "out"), Problem::Overlap);
    // Data that reaches into the central directory.
    let reaching = stored("a", b"x").both(|fields| (fields.compressed, fields.size) = (20, 20));
    assert_eq!(problem(&[reaching], "a"), Problem::Overlap);
    // One header for two names cannot be; one for the same name twice is only one entry.
    assert!(Zip::from_bytes(bytes(&[stored("a", b"x"), shared(0, "a")]), &Options::new()).is_ok());
}

#[test]
fn sizes() {
    let end = |fields: &mut craft::Fields| (fields.compressed, fields.size) = (100_000, 100_000);
    assert!(matches!(problem(&[stored("a", b"x").both(end)], "a"), Problem::Sizes(_)));
    assert!(matches!(problem(&[stored("a", b"x").both(|fields| fields.size = 2)], "a"), Problem::Sizes(_)));
    assert!(matches!(problem(&[stored("a/", b"x")], "a/"), Problem::Sizes(_)));
    let bomb = deflated("a", b"x").both(|fields| fields.size = 1 << 30);
    assert!(matches!(problem(&[bomb], "a"), Problem::Sizes(_)));
    let contents_of = prose(5000, 1);
    for wrong in [-5000, -4999, -1, 1, 5000] {
        let lie = |fields: &mut craft::Fields| fields.size = fields.size.wrapping_add_signed(wrong);
        for options in [Options::new(), Options::new().cache(0)] {
            let zip = Zip::from_bytes(bytes(&[deflated("a", &contents_of).both(lie)]), &options).unwrap();
            assert_eq!(open(&zip, "a").unwrap().read_at(&mut [0; 8], 0), Err(Error::Io), "{wrong}");
        }
    }
    // Data after the end of the stream.
    let mut trailing = deflated("a", &contents_of);
    trailing.data.push(0);
    let trailing = trailing.both(|fields| fields.compressed += 1);
    for options in [Options::new(), Options::new().cache(0)] {
        let zip = Zip::from_bytes(bytes(std::slice::from_ref(&trailing)), &options).unwrap();
        assert_eq!(open(&zip, "a").unwrap().read_at(&mut [0; 8], 0), Err(Error::Io));
    }
}

#[test]
fn headers_disagree() {
    type Change = fn(&mut craft::Fields);
    let changes: [(Change, &str); 7] = [
        (|fields| fields.name = b"b".to_vec(), "name"),
        (|fields| fields.flags = 8, "flags"),
        (|fields| fields.method = 8, "compression method"),
        (|fields| fields.crc ^= 1, "checksum"),
        (|fields| fields.compressed += 1, "compressed size"),
        (|fields| fields.size += 1, "size"),
        (|fields| fields.size = u32::MAX, "zip64 field"),
    ];
    for (change, what) in changes {
        assert_eq!(problem(&[stored("a", b"x").local(change)], "a"), Problem::Disagreement(what));
    }
    let nowhere = Item { offset: Some(1), ..stored("a", b"x") };
    assert!(matches!(problem(&[nowhere], "a"), Problem::Disagreement(_)));
}

#[test]
fn links() {
    assert_eq!(problem(&[link("a", "")], "a"), Problem::BadLink);
    assert_eq!(problem(&[link("a", "b\0c")], "a"), Problem::BadLink);
    assert_eq!(problem(&[link("a", &"x".repeat(5000))], "a"), Problem::BadLink);
    assert_eq!(problem(&[link("a", "b").both(|fields| fields.crc ^= 1)], "a"), Problem::Damaged);
    let zip = mount(&[link("up", "../x"), link("abs", "/etc/passwd"), link("d/up", "../../x"), link("loop", "loop")]);
    for name in ["up", "abs", "d/up"] {
        assert_eq!(contents(&zip, name), Err(Error::NotPermitted), "{name}");
    }
    assert_eq!(contents(&zip, "loop"), Err(Error::Loop));
}

#[test]
fn budgets() {
    let items = [deflated("a", &[0; 600]), stored("s", &[0; 600]), deflated("b", &[0; 600])];
    let open = |options: Options| Zip::from_bytes(bytes(&items), &options).err().map(|error| error.to_string());
    assert_eq!(open(Options::new().expansion(1200)), None);
    let error = open(Options::new().expansion(1199)).unwrap();
    assert_eq!(error, "archive entry \"b\": the archive expands beyond the limit of 1199 bytes");
    assert_eq!(open(Options::new().entries(4)), None);
    assert_eq!(
        open(Options::new().entries(3)).unwrap(),
        "archive entry \"b\": it exceeds the number of entries that are allowed"
    );
    assert_eq!(open(Options::new().entries(2)).unwrap(), "the archive lists 3 entries, and 2 are allowed");
    let deep = stored(&("x/".repeat(2000) + "x"), b"");
    let few = Options::new().entries(1000);
    let error = Zip::from_bytes(bytes(&[deep]), &few).unwrap_err();
    assert!(matches!(error, ZipError::Entry { problem: Problem::TooMany, .. }), "{error}");
}

#[test]
fn claims_of_more_entries_than_there_is_room_for() {
    let mut archive = craft::archive(&[stored("a", b"x")]);
    let end = archive.len() - 22;
    archive[end + 8..end + 12].copy_from_slice(&[0xff; 4]);
    assert!(matches!(Zip::from_bytes(archive.into(), &Options::new()), Err(ZipError::Archive(_))));
}

fn sample() -> Vec<Item> {
    let text = prose(300, 7);
    vec![stored("s/one", &text[..40]), deflated("d/two", &text), link("l", "s/one"), stored("e/", b"")]
}

/// Reads whatever there is, and says what the files hold.
fn read_everything(zip: &Zip) -> Vec<(Vec<u8>, Result<Bytes>)> {
    let mut found = Vec::new();
    let mut todo = vec![(Vec::new(), zip.root().unwrap())];
    while let Some((above, dir)) = todo.pop() {
        for entry in dir.list().unwrap().iter() {
            let name = [&above[..], b"/", &entry.name].concat();
            match dir.open(Path::new(&entry.name).unwrap(), OpenOptions::read()) {
                Ok(crate::Node::Dir(dir)) => todo.push((name, dir)),
                Ok(crate::Node::File(file)) => found.push((name, file.read_all())),
                Err(error) => found.push((name, Err(error))),
            }
        }
    }
    found.sort_by(|left, right| left.0.cmp(&right.0));
    found
}

#[test]
fn truncated_at_every_byte() {
    let archive = craft::archive(&sample());
    for len in 0..archive.len() {
        let error = Zip::from_bytes(Bytes::copy_from_slice(&archive[..len]), &Options::new()).unwrap_err();
        assert!(matches!(error, ZipError::Archive(_)), "{len}: {error}");
    }
    for start in 1..archive.len() {
        if let Ok(zip) = Zip::from_bytes(Bytes::copy_from_slice(&archive[start..]), &Options::new()) {
            read_everything(&zip);
        }
    }
}

#[test]
fn every_byte_changed() {
    let archive = craft::archive(&sample());
    let mut truth: Vec<Bytes> = read_everything(&mount(&sample())).into_iter().filter_map(|file| file.1.ok()).collect();
    // The link, once its mode says that it is a file.
    truth.push(Bytes::from_static(b"s/one"));
    for place in 0..archive.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut changed = archive.clone();
            changed[place] ^= change;
            let Ok(zip) = Zip::from_bytes(changed.into(), &Options::new()) else { continue };
            for (name, contents) in read_everything(&zip) {
                let sound = contents.as_ref().is_err() || contents.as_ref().is_ok_and(|bytes| truth.contains(bytes));
                assert!(sound, "{place} {change}: {}", String::from_utf8_lossy(&name));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Nothing panics and what is read is true, however many bytes of an archive are overwritten, cut out or doubled.
    #[test]
    fn mangled(
        changes in prop::collection::vec((0.0f64..1.0, 0u8..4, prop::array::uniform4(any::<u8>()), 0usize..40), 1..6),
        budget in prop::sample::select(vec![0u64, 350, 1 << 20]),
    ) {
        let mut archive = craft::archive(&sample());
        for (place, way, bytes, len) in changes {
            let place = (place * archive.len() as f64) as usize;
            let end = (place + len).min(archive.len());
            match way {
                0 => archive[place..].iter_mut().zip(bytes).for_each(|(old, new)| *old = new),
                1 => drop(archive.drain(place..end)),
                2 => archive.extend_from_within(place..end),
                _ => archive[place..].iter_mut().take(4).zip([0xff; 4]).for_each(|(old, new)| *old = new),
            }
            if archive.is_empty() {
                break;
            }
        }
        if let Ok(zip) = Zip::from_bytes(archive.into(), &Options::new().cache(budget)) {
            read_everything(&zip);
            prop_assert!(zip.cached() <= budget);
        }
    }
}
