//! Bundles that change while they are served.

use std::fs;
use std::io::Write as _;

use crate::harness::{Answer, Served, archive, deflated, manifest, module, printer, route, stored, wait};

fn version(text: &'static str) -> Vec<u8> {
    archive(&[
        stored("a", text),
        manifest(&(route("h", "") + "[[route]]\npath = \"/*\"\nfiles = \".\"")),
        stored("h.wat", printer(&format!("A: b\n\n{text}"))),
    ])
}

/// Replaces the bundle as a careful tool does: by a rename.
fn replace(site: &Served, bytes: &[u8]) {
    let new = site.bundle.with_extension("new");
    fs::write(&new, bytes).unwrap();
    fs::rename(new, &site.bundle).unwrap();
}

#[test]
fn swapped_in_whole_or_not_at_all() {
    let site = Served::archive(&[stored("a", "zero")]);
    for (round, text) in ["one", "two"].into_iter().enumerate() {
        replace(&site, &version(text));
        site.signal("HUP");
        wait(|| site.metric("reloads_total") == round as u64 + 1, || "the bundle to be swapped in".to_owned());
        assert_eq!((site.get("/a").text(), site.get("/h").text()), (text.to_owned(), text.to_owned()));
    }
    for (round, broken) in [
        b"no archive".to_vec(),
        archive(&[manifest("[[route]]\npath = \"/\"\nhandler = \"no.wasm\"")]),
        archive(&[manifest(&route("h", "")), stored("h.wat", "(module (func")]),
    ]
    .into_iter()
    .enumerate()
    {
        replace(&site, &broken);
        site.signal("HUP");
        wait(|| site.metric("failed_reloads_total") == round as u64 + 1, || "the bundle to be refused".to_owned());
        site.says("not reloaded, the old one stays");
        assert_eq!((site.get("/a").text(), site.get("/h").text()), ("two".to_owned(), "two".to_owned()));
    }
}

#[test]
fn watched() {
    let site = Served::with(&[stored("a", "zero")], &["--watch"]);
    replace(&site, &version("one"));
    wait(|| site.get("/a").text() == "one", || "the bundle to be swapped in".to_owned());
}

#[test]
fn requests_in_flight_finish_on_the_old_one() {
    let echo = "(call $print_to (i32.const 2) (i32.const 1024) (i32.const 6))
        (loop $more (br_if $more (call $read (i32.const 65536) (i32.const 65536))))
        (call $print (i32.const 1030) (i32.const 9))";
    let site = Served::archive(&[manifest(&route("h", "")), stored("h.wat", module("begun\nA: b\n\nold", echo))]);
    let mut stream = site.connect();
    stream.write_all(b"POST /h HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: close\r\n\r\n").unwrap();
    site.says("h.wat: begun");
    replace(&site, &version("new"));
    site.signal("HUP");
    wait(|| site.metric("reloads_total") == 1, || "the bundle to be swapped in".to_owned());
    assert_eq!(site.get("/h").text(), "new");
    stream.write_all(b"x").unwrap();
    assert_eq!(Answer::receive(&mut stream).text(), "old");
}

/// Whoever cuts the archive short takes its files away, not the server.
#[test]
fn shortened_while_it_is_served() {
    let text: Vec<u8> = (0..2_000_000u32).flat_map(u32::to_le_bytes).collect();
    let entries = [
        stored("read", text.clone()),
        stored("unread", text.clone()),
        deflated("packed", text.clone()),
        stored("last", "x"),
    ];
    let site = Served::archive(&entries);
    assert!(site.get("/read").body == text);
    let file = fs::OpenOptions::new().write(true).open(&site.bundle).unwrap();
    file.set_len(4096).unwrap();
    for path in ["/read", "/unread", "/packed", "/read"] {
        let answer = site.try_curl(path, &[]);
        assert!(
            answer.as_ref().map_or(true, |answer| answer.status == 500),
            "{path}: {:?}",
            answer.as_ref().map(|answer| answer.status)
        );
    }
    replace(&site, &version("new"));
    site.signal("HUP");
    wait(|| site.metric("reloads_total") == 1, || "the bundle to be swapped in".to_owned());
    assert_eq!(site.get("/a").text(), "new");
}

#[test]
fn overwritten_while_it_is_served() {
    let site = Served::archive(&[stored("a", vec![1; 1 << 20]), deflated("b", vec![2; 1 << 20])]);
    let len = fs::metadata(&site.bundle).unwrap().len() as usize;
    // In place: what maps it sees the change.
    fs::OpenOptions::new().write(true).open(&site.bundle).unwrap().write_all(&vec![9; len]).unwrap();
    for path in ["/a", "/b"] {
        let answer = site.try_curl(path, &[]);
        assert!(answer.is_err() || answer.unwrap().status == 500, "{path}");
    }
    assert_eq!(site.get("/none").status, 404);
}
