//! Requests that no browser sends.

use crate::harness::{Answer, Served, manifest, module, route, stored};

fn site() -> Served {
    Served::archive(&[
        stored("index.html", "top"),
        stored("a/b.txt", "file"),
        stored("%2e%2e", "a name like any other"),
    ])
}

#[test]
fn traversal_in_every_encoding() {
    let folder = crate::harness::scratch();
    std::fs::write(folder.path().join("secret"), "secret").unwrap();
    let sites = [site(), Served::folder(&[stored("a/b.txt", "file")])];
    std::fs::write(sites[1].bundle.parent().unwrap().join("secret"), "secret").unwrap();
    for site in &sites {
        for path in [
            "/../secret",
            "/a/../../secret",
            "/%2e%2e/secret",
            "/%2E%2E/secret",
            "/.%2e/secret",
            "/%2e./secret",
            "/..%2fsecret",
            "/..%2Fsecret",
            "/a/..%2f..%2fsecret",
            "/..%5csecret",
            "/..\\secret",
            "/%252e%252e/secret",
            "/%252e%252e%252fsecret",
            "/..;/secret",
            "/%c0%ae%c0%ae/secret",
            "/%c0%ae%c0%ae%c0%afsecret",
            "/%e0%80%ae%e0%80%ae/secret",
            "/%uff0e%uff0e/secret",
            "/..%00/secret",
            "/..%0d/secret",
            "/....//secret",
            "//../secret",
            "/./../secret",
            "/a/%2e%2e/%2e%2e/secret",
            "/%2e%2e%2fsecret",
            "/%5c..%5csecret",
            "/file:///etc/passwd",
            "//etc/passwd",
            "/%2fetc%2fpasswd",
            "/a/b.txt/../../../secret",
        ] {
            let answer = Answer::parse(
                &site.raw(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()),
            );
            assert!(matches!(answer.status, 400 | 404) && !answer.text().contains("secret\n"), "{path}: {answer:?}");
        }
        assert_eq!(site.get("/a/b.txt").text(), "file");
    }
    // Decoded once, and only once.
    assert_eq!(sites[0].get("/%252e%252e").text(), "a name like any other");
}

#[test]
fn links_lead_nowhere_else() {
    let site = Served::folder(&[stored("a/b.txt", "file")]);
    std::fs::write(site.bundle.parent().unwrap().join("secret"), "secret").unwrap();
    for (name, target) in [("up", "../secret"), ("absolute", "/etc/passwd"), ("in", "a/b.txt")] {
        std::os::unix::fs::symlink(target, site.bundle.join(name)).unwrap();
    }
    assert_eq!(
        (site.get("/up").status, site.get("/absolute").status, site.get("/in").text()),
        (404, 404, "file".to_owned())
    );
}

#[test]
fn malformed_requests() {
    let site = site();
    for request in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nA\0: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nA: b\0c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /% HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/9.9\r\nHost: a\r\n\r\n",
        "G@T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 2\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n",
        "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let all = site.raw(request.as_bytes());
        assert!(all.starts_with(b"HTTP/1.1 400 "), "{request:?}: {}", all.escape_ascii());
    }
    assert_eq!(Answer::parse(&site.raw(b"GET / HTTP/1.0\r\n\r\n")).text(), "top");
    assert_eq!(
        Answer::parse(&site.raw(b"GET http://a/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).text(),
        "top"
    );
    assert!(!site.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n").starts_with(b"HTTP/1.1 200"));
    assert_eq!(site.get("/").text(), "top");
}

#[test]
fn oversized_requests() {
    let site = site();
    let many: String = (0..200).map(|number| format!("X-{number}: y\r\n")).collect();
    for (request, status) in [
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(40_000)), 431),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), 431),
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "y".repeat(70_000)), 431),
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "y".repeat(5000)), 404),
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "y/".repeat(5000)), 404),
    ] {
        let all = site.raw(request.as_bytes());
        assert!(all.starts_with(format!("HTTP/1.1 {status} ").as_bytes()), "{request:.60}: {}", all.escape_ascii());
    }
    let two = site.try_curl("/", &["--http2-prior-knowledge", "-H", &format!("X: {}", "y".repeat(40_000))]);
    assert!(two.as_ref().map_or(true, |answer| answer.status == 431), "{two:?}");
    assert_eq!(site.get("/").text(), "top");
}

/// Where one body ends and the next request begins is never in doubt: what follows a request of two meanings is not
/// answered, and what follows one of a single meaning is.
#[test]
fn smuggling() {
    let echo = "(call $print (i32.const 1024) (i32.const 6))
        (loop $more
          (local.set $n (call $read (i32.const 65536) (i32.const 65536)))
          (if (local.get $n) (then (call $print (i32.const 65536) (local.get $n)) (br $more))))";
    let site = Served::archive(&[manifest(&route("echo", "")), stored("echo.wat", module("A: b\n\n", echo))]);
    let second = "GET /smuggled HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let count = |request: &str| {
        let all = String::from_utf8_lossy(&site.raw(format!("{request}{second}").as_bytes())).into_owned();
        (all.matches("HTTP/1.1 ").count(), all)
    };
    for head in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: identity, chunked\r\nContent-Length: 3",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding:\x0bchunked",
        "Content-Length: +5",
        "Content-Length: 0x5",
        "Content-Length: 5\r\nContent-Length: 6",
        "X: y\rTransfer-Encoding: chunked",
    ] {
        let (answers, all) = count(&format!("POST /echo HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n0\r\n\r\n"));
        assert_eq!(answers, 1, "{head:?}: {all}");
    }
    for body in
        ["0x1\r\na\r\n0\r\n\r\n", "-1\r\na\r\n0\r\n\r\n", "1\r\nab\r\n0\r\n\r\n", "fffffffffffffffff\r\na\r\n0\r\n\r\n"]
    {
        let (answers, all) =
            count(&format!("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}"));
        assert!(answers <= 1, "{body:?}: {all}");
    }
    let plain = [
        "Content-Length: 5\r\n\r\nhello",
        "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ];
    for request in plain {
        let (answers, all) = count(&format!("POST /echo HTTP/1.1\r\nHost: a\r\n{request}"));
        assert!(answers == 2 && all.contains("hello"), "{request:?}: {all}");
    }
}
