//! Files: every road to one, and what a client may ask about it.

use std::io::Read as _;
use std::process::{Command, Stdio};

use crate::harness::{Served, deflated, manifest, stored};

/// Text that is worth packing.
fn prose() -> Vec<u8> {
    (0..5000).map(|number| format!("line {number}\n")).collect::<String>().into_bytes()
}

fn site() -> Served {
    Served::archive(&[
        stored("index.html", "<h1>top</h1>"),
        stored("plain.bin", (0..=255).collect::<Vec<u8>>()),
        deflated("prose.txt", prose()),
        deflated("sub/page.html", "<p>x</p>"),
        stored("sub/ü &<.txt", "named"),
        stored("app.js", "one();"),
        stored("app.js.gz", b"\x1f\x8b\x08\x00gz".to_vec()),
        stored("app.js.br", "br"),
        stored(".secret", "no"),
        stored(".well-known/x", "yes"),
    ])
}

#[test]
fn what_a_file_is_answered_with() {
    let site = site();
    let page = site.get("/");
    assert_eq!((page.status, page.text()), (200, "<h1>top</h1>".to_owned()));
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!((page.header("content-length"), page.header("accept-ranges")), ("12", "bytes"));
    assert!(page.header("etag").starts_with('"') && page.header("last-modified").ends_with("GMT"), "{page:?}");
    assert!(!page.header("date").is_empty());
    assert_eq!(site.get("/index.html").body, page.body);
    let head = site.curl("/", &["--head"]);
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, "12", 0));
    assert_eq!((head.header("etag"), head.header("content-type")), (page.header("etag"), page.header("content-type")));
}

#[test]
fn both_versions_of_http_and_connections_that_are_kept() {
    let site = site();
    let two = site.curl("/plain.bin", &["--http2-prior-knowledge"]);
    assert_eq!((two.status, two.body.len()), (200, 256));
    assert_eq!(site.curl("/plain.bin", &["--http1.0"]).body.len(), 256);
    let output = Command::new("curl")
        .args(["-s", "-w", "%{num_connects} "])
        .args(["-o", "/dev/null", &site.url("/"), "-o", "/dev/null", &site.url("/plain.bin")])
        .output()
        .unwrap();
    assert_eq!(output.stdout, b"1 0 ");
}

#[test]
fn conditions() {
    let site = site();
    let page = site.get("/prose.txt");
    let (etag, modified) = (page.header("etag"), page.header("last-modified"));
    for (header, status) in [
        (format!("If-None-Match: {etag}"), 304),
        ("If-None-Match: \"other\"".to_owned(), 200),
        (format!("If-Modified-Since: {modified}"), 304),
        ("If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT".to_owned(), 200),
        (format!("If-Match: {etag}"), 200),
        ("If-Match: \"other\"".to_owned(), 412),
        ("If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT".to_owned(), 412),
    ] {
        let answer = site.curl("/prose.txt", &["-H", &header]);
        assert_eq!((answer.status, answer.header("etag")), (status, etag), "{header}");
        assert_eq!(answer.body.is_empty(), status != 200, "{header}");
    }
}

#[test]
fn ranges() {
    let site = site();
    let range = |value: &str| site.curl("/plain.bin", &["-H", &format!("Range: {value}")]);
    for (value, content_range, bytes) in [
        ("bytes=0-0", "bytes 0-0/256", vec![0]),
        ("bytes=250-", "bytes 250-255/256", (250..=255).collect()),
        ("bytes=-2", "bytes 254-255/256", vec![254, 255]),
        ("bytes=255-9999", "bytes 255-255/256", vec![255]),
    ] {
        let answer = range(value);
        assert_eq!(
            (answer.status, answer.header("content-range"), &answer.body),
            (206, content_range, &bytes),
            "{value}"
        );
    }
    let beyond = range("bytes=256-");
    assert_eq!((beyond.status, beyond.header("content-range")), (416, "bytes */256"));
    assert_eq!((range("bytes=x").status, range("lines=1-2").status), (200, 200));
    let packed = site.curl("/prose.txt", &["-H", "Range: bytes=5-9", "-H", "Accept-Encoding: gzip"]);
    assert_eq!((packed.status, packed.header("content-encoding"), &packed.body[..]), (206, "", &prose()[5..10]));
    let head = site.curl("/plain.bin", &["--head", "-H", "Range: bytes=0-0"]);
    assert_eq!((head.status, head.header("content-length")), (200, "256"));
}

#[test]
fn several_ranges() {
    let site = site();
    let answer = site.curl("/plain.bin", &["-H", "Range: bytes=65-66,97-98"]);
    assert_eq!(answer.status, 206);
    let (kind, boundary) = answer.header("content-type").split_once("; boundary=").unwrap();
    assert_eq!((kind, answer.header("content-length")), ("multipart/byteranges", &answer.body.len().to_string()[..]));
    let part = |range: &str, bytes: &str| {
        format!(
            "--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes {range}/256\r\n\r\n{bytes}\r\n"
        )
    };
    assert_eq!(answer.text(), format!("{}{}--{boundary}--\r\n", part("65-66", "AB"), part("97-98", "ab")));
}

#[test]
fn a_range_of_what_has_changed_is_the_whole() {
    let site = site();
    let etag = site.get("/plain.bin").header("etag").to_owned();
    let ask =
        |validator: &str| site.curl("/plain.bin", &["-H", "Range: bytes=0-1", "-H", &format!("If-Range: {validator}")]);
    assert_eq!((ask(&etag).status, ask("\"other\"").status), (206, 200));
}

/// What is packed goes out as it is, and gzip, which nobody here wrote, unpacks it.
#[test]
fn deflate_entries_go_out_as_gzip() {
    let site = site();
    let packed = site.curl("/prose.txt", &["-H", "Accept-Encoding: br;q=0.1, gzip"]);
    assert_eq!((packed.header("content-encoding"), packed.header("vary")), ("gzip", "accept-encoding"));
    assert!(packed.body.len() < prose().len() / 2);
    let mut gzip = Command::new("gzip").arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = gzip.stdin.take().unwrap();
    let body = packed.body.clone();
    let writer = std::thread::spawn(move || std::io::Write::write_all(&mut input, &body).unwrap());
    let mut unpacked = Vec::new();
    gzip.stdout.take().unwrap().read_to_end(&mut unpacked).unwrap();
    writer.join().unwrap();
    assert!(gzip.wait().unwrap().success() && unpacked == prose());
    let plain = site.get("/prose.txt");
    assert!(plain.header("content-encoding").is_empty() && plain.body == prose());
    assert_ne!(plain.header("etag"), packed.header("etag"));
    assert_eq!(site.curl("/prose.txt", &["--compressed"]).body, prose());
    assert_eq!(site.curl("/prose.txt", &["-H", "Accept-Encoding: gzip;q=0"]).header("content-encoding"), "");
}

#[test]
fn siblings_that_are_packed_already() {
    let site = site();
    let ask = |accepted: &str| {
        let answer = site.curl("/app.js", &["-H", &format!("Accept-Encoding: {accepted}")]);
        assert_eq!(answer.header("content-type"), "text/javascript; charset=utf-8");
        (answer.header("content-encoding").to_owned(), answer.body)
    };
    assert_eq!(ask("gzip, br"), ("br".to_owned(), b"br".to_vec()));
    assert_eq!(ask("gzip"), ("gzip".to_owned(), b"\x1f\x8b\x08\x00gz".to_vec()));
    assert_eq!(ask("identity"), (String::new(), b"one();".to_vec()));
}

#[test]
fn folders() {
    let site = site();
    let there = site.get("/sub?x=1");
    assert_eq!((there.status, there.header("location")), (301, "/sub/?x=1"));
    let list = site.get("/sub/");
    assert!(list.status == 200 && list.text().contains("<a href=\"./page.html\">page.html</a>"), "{list:?}");
    assert!(list.text().contains("<a href=\"./%C3%BC%20&%3C.txt\">ü &amp;&lt;.txt</a>"), "{}", list.text());
    assert_eq!(site.get("/sub/%C3%BC%20&%3C.txt").text(), "named");
    assert_eq!((site.get("/sub/page.html/").status, site.get("/nothing").status), (404, 404));
    assert_eq!((site.get("/.secret").status, site.get("/.well-known/x").status), (404, 200));
    // No path of a folder becomes another host.
    let host = site.get("//sub");
    assert_eq!((host.status, host.header("location")), (301, "/sub/"));
}

#[test]
fn methods() {
    let site = site();
    let post = site.curl("/", &["-d", "x"]);
    assert_eq!((post.status, post.header("allow")), (405, "GET, HEAD, OPTIONS"));
    assert_eq!(site.curl("/", &["-X", "OPTIONS"]).status, 204);
    assert_eq!(site.curl("/", &["-X", "BREW"]).status, 405);
}

#[test]
fn what_the_manifest_says() {
    let text = "
        [serve]
        errors = { 404 = \"lost.html\" }
        headers = { X-Frame-Options = \"DENY\" }
        [[route]]
        path = \"/static/*\"
        files = \"public\"
        headers = { Cache-Control = \"max-age=60\" }
        [[route]]
        path = \"/icon\"
        file = \"public/i.png\"
        methods = [\"GET\"]
        [[route]]
        path = \"/old/*\"
        redirect = \"https://example.org/new/*\"
        status = 308";
    let files =
        || [manifest(text), stored("lost.html", "lost"), stored("public/i.png", "png"), stored("private", "no")];
    for site in [Served::archive(&files()), Served::folder(&files())] {
        let file = site.get("/static/i.png");
        assert_eq!((file.text(), file.header("content-type")), ("png".to_owned(), "image/png"));
        assert_eq!((file.header("cache-control"), file.header("x-frame-options")), ("max-age=60", "DENY"));
        // Once more, by the way that is remembered.
        assert_eq!(site.get("/static/i.png").header("cache-control"), "max-age=60");
        assert_eq!((site.get("/icon").text(), site.curl("/icon", &["--head"]).status), ("png".to_owned(), 405));
        let lost = site.get("/private");
        assert_eq!((lost.status, lost.text(), lost.header("x-frame-options")), (404, "lost".to_owned(), "DENY"));
        assert_eq!(lost.header("etag"), "");
        let moved = site.get("/old/a%20b/c?d=e");
        assert_eq!((moved.status, moved.header("location")), (308, "https://example.org/new/a%20b/c?d=e"));
        assert_eq!((site.get("/kitbag.toml").status, site.get("/static/").status), (404, 404));
    }
}

#[test]
fn a_site_of_one_page() {
    let site = Served::archive(&[
        manifest("[serve]\nfallback = \"app.html\"\n[[route]]\npath = \"/*\"\nfiles = \"www\""),
        stored("app.html", "app"),
        stored("www/a.css", "css"),
    ]);
    assert_eq!((site.get("/some/where").text(), site.get("/a.css").text()), ("app".to_owned(), "css".to_owned()));
    assert_eq!(site.curl("/some/where", &["-d", "x"]).status, 405);
}

#[test]
fn folders_are_served_as_they_are() {
    let site = Served::folder(&[stored("a.txt", "one")]);
    let before = site.get("/a.txt");
    std::fs::write(site.bundle.join("a.txt"), "longer").unwrap();
    let after = site.get("/a.txt");
    assert_eq!((before.text(), after.text()), ("one".to_owned(), "longer".to_owned()));
    assert_ne!(before.header("etag"), after.header("etag"));
}

/// By a library that has its own idea of HTTP.
#[test]
fn a_library_gets_what_curl_gets() {
    let site = site();
    let mut answer = ureq::get(site.url("/prose.txt")).header("Range", "bytes=0-5").call().unwrap();
    assert_eq!((answer.status().as_u16(), answer.body_mut().read_to_vec().unwrap()), (206, prose()[..6].to_vec()));
    let agent = ureq::agent();
    for _ in 0..3 {
        let mut answer = agent.get(site.url("/prose.txt")).call().unwrap();
        assert_eq!(answer.body_mut().read_to_vec().unwrap(), prose());
    }
    assert!(matches!(agent.get(site.url("/no")).call(), Err(ureq::Error::StatusCode(404))));
}

#[test]
fn large_files_arrive_whole() {
    let large: Vec<u8> = (0..3_000_000u32).flat_map(u32::to_le_bytes).collect();
    let site = Served::archive(&[stored("stored", large.clone()), deflated("deflated", large.clone())]);
    for path in ["/stored", "/deflated"] {
        for version in ["--http1.1", "--http2-prior-knowledge"] {
            assert!(site.curl(path, &[version]).body == large, "{path} {version}");
        }
        let part = site.curl(path, &["-H", "Range: bytes=4000000-7999999"]);
        assert!(part.body == large[4_000_000..8_000_000], "{path}");
    }
}

#[test]
fn access_logs() {
    let site = Served::with(&[stored("a", "12345")], &["--log", "common"]);
    site.get("/a?b");
    site.get("/no\"");
    crate::harness::wait(|| site.access_log().lines().count() == 2, || site.access_log());
    let log = site.access_log();
    assert!(log.starts_with("127.0.0.1 - - [") && log.contains("] \"GET /a?b HTTP/1.1\" 200 5\n"), "{log}");
    let json = Served::with(&[stored("a", "12345")], &["--log", "json"]);
    json.get("/a");
    crate::harness::wait(|| json.access_log().contains("\"status\":200,\"bytes\":5,"), || json.access_log());
    assert_eq!((json.metric("requests_total"), json.metric("answers_total{status=\"2xx\"}")), (1, 1));
}
