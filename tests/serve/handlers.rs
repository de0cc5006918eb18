//! Handlers: what they are told, what they may say, and that each request has its own.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;

use crate::harness::{Entry, Served, manifest, module, printer, route, stored};

/// Prints its environment, or with `args` its arguments, each with a NUL after it.
fn words(kind: &str) -> String {
    let head = "Content-Type: text/plain\n\n";
    let get = format!(
        "(drop (call ${kind}_sizes_get (i32.const 16) (i32.const 20)))
         (drop (call ${kind}_get (i32.const 4096) (i32.const 16384)))
         (call $print (i32.const 1024) (i32.const {}))
         (call $print (i32.const 16384) (i32.load (i32.const 20)))",
        head.len()
    );
    module(head, &get)
}

/// Prints a head, then its input as it comes.
fn echo(head: &str) -> String {
    let body = format!(
        "(call $print (i32.const 1024) (i32.const {}))
         (loop $more
           (local.set $n (call $read (i32.const 65536) (i32.const 65536)))
           (if (local.get $n) (then (call $print (i32.const 65536) (local.get $n)) (br $more))))",
        head.len()
    );
    module(head, &body)
}

/// Prints as status whether the file at a path in its root is new: 201 if so, 200 if it was there.
fn creator(path: &str) -> String {
    let data = format!("{path}Status: 201\n\nStatus: 200\n\n");
    let len = path.len();
    let body = format!(
        "(if (call $path_open (i32.const 3) (i32.const 0) (i32.const 1024) (i32.const {len}) (i32.const 5)
               (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 24))
           (then (call $print (i32.const {}) (i32.const 13)))
           (else (call $print (i32.const {}) (i32.const 13))))",
        1024 + len + 13,
        1024 + len
    );
    module(&data, &body)
}

fn handlers(text: &str, modules: &[(&'static str, String)]) -> Served {
    let mut entries: Vec<Entry> = modules.iter().map(|(name, module)| stored(name, module.clone())).collect();
    entries.push(manifest(text));
    entries.push(stored("page.html", "page"));
    Served::archive(&entries)
}

#[test]
fn what_a_handler_is_told() {
    let text =
        "env = { MODE = \"test\" }\n[[route]]\npath = \"/env/:id/*\"\nhandler = \"env.wat\"\nenv = { OWN = \"1\" }\n
        [[route]]\npath = \"/args/*\"\nhandler = \"args.wat\"\nargs = [\"-v\"]";
    let site = handlers(text, &[("env.wat", words("environ")), ("args.wat", words("args"))]);
    let answer = site.curl(
        "/env/7/a%20b?x=1&y=%41",
        &[
            "-H",
            "Proxy: http://evil.example",
            "-H",
            "X-A: b",
            "-H",
            "Authorization: Basic x",
            "-H",
            "Foo_Bar: no",
            "-d",
            "abc",
        ],
    );
    let told = answer.text();
    let value = |name: &str| {
        let line = told.split('\0').find_map(|line| line.strip_prefix(&format!("{name}=")));
        line.map(str::to_owned)
    };
    for (name, expected) in [
        ("MODE", "test"),
        ("OWN", "1"),
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("REQUEST_METHOD", "POST"),
        ("SCRIPT_NAME", "/env/7"),
        ("PATH_INFO", "/a b"),
        ("X_RAW_PATH_INFO", "/a%20b"),
        ("X_MATCHED_ROUTE", "/env/:id/*"),
        ("X_PARAM_ID", "7"),
        ("QUERY_STRING", "x=1&y=%41"),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("SERVER_NAME", "127.0.0.1"),
        ("SERVER_PORT", &site.address.port().to_string()),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("CONTENT_LENGTH", "3"),
        ("CONTENT_TYPE", "application/x-www-form-urlencoded"),
        ("HTTP_X_A", "b"),
        ("X_FULL_URL", &site.url("/env/7/a%20b?x=1&y=%41")),
    ] {
        assert_eq!(value(name).as_deref(), Some(expected), "{name} in {told:?}");
    }
    for name in ["HTTP_PROXY", "HTTP_AUTHORIZATION", "HTTP_FOO_BAR", "HTTP_CONTENT_LENGTH"] {
        assert_eq!(value(name), None, "{name}");
    }
    // The host is a field by the one version and none by the other, and the target's where it has one.
    let host = format!("HTTP_HOST={}\0", site.address);
    assert!(told.contains(&host), "{told:?}");
    let two = site.curl("/env/7", &["--http2-prior-knowledge"]).text();
    assert!(two.contains(&host) && two.contains("SERVER_PROTOCOL=HTTP/2.0\0"), "{two:?}");
    let absolute = site.raw(b"GET http://one/env/7 HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n");
    let absolute = String::from_utf8_lossy(&absolute).into_owned();
    assert!(absolute.contains("HTTP_HOST=one\0") && !absolute.contains("other"), "{absolute:?}");
    assert_eq!(site.get("/args/x?a=1&b%20c").text(), "/args\0-v\0a=1\0b%20c\0");
    // The modules are nobody's business, and neither is the manifest.
    let open = handlers(
        "[[route]]\npath = \"/h\"\nhandler = \"h.wat\"\n[[route]]\npath = \"/*\"\nfiles = \".\"",
        &[("h.wat", words("args"))],
    );
    assert_eq!(
        (open.get("/h.wat").status, open.get("/kitbag.toml").status, open.get("/page.html").status),
        (404, 404, 200)
    );
}

#[test]
fn statuses_and_places() {
    let text = ["gone", "away", "near", "loop", "short", "empty"].map(|name| route(name, "")).concat()
        + "[[route]]\npath = \"/page\"\nfile = \"page.html\"";
    let site = handlers(
        &text,
        &[
            ("gone.wat", printer("Status: 410 Gone\nContent-Type: text/plain\nX-Own: a\n\ngone")),
            ("away.wat", printer("Location: https://example.org/x\n\n")),
            ("near.wat", printer("Location: /page\n\n")),
            ("loop.wat", printer("Location: /loop\n\n")),
            ("short.wat", printer("Content-Type: text/plain\r\nContent-Length: 4\r\n\r\nfour")),
            ("empty.wat", printer("Status: 204 No Content\n\n")),
        ],
    );
    let gone = site.get("/gone");
    assert_eq!((gone.status, gone.text(), gone.header("x-own")), (410, "gone".to_owned(), "a"));
    let away = site.get("/away");
    assert_eq!((away.status, away.header("location")), (302, "https://example.org/x"));
    assert_eq!((site.get("/near").text(), site.get("/loop").status), ("page".to_owned(), 502));
    assert_eq!((site.get("/short").text(), site.get("/empty").status), ("four".to_owned(), 204));
    let head = site.curl("/short", &["--head"]);
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, "4", 0));
}

#[test]
fn bodies_are_streamed_both_ways() {
    let large: Vec<u8> = (0..500_000u32).flat_map(u32::to_le_bytes).collect();
    let folder = crate::harness::scratch();
    let file = folder.path().join("body");
    std::fs::write(&file, &large).unwrap();
    let data = format!("@{}", file.display());
    let site = handlers(
        &format!("[serve.limits]\nbody = \"3M\"{}", route("echo", "")),
        &[("echo.wat", echo("Content-Type: x/y\n\n"))],
    );
    for arguments in [&["--http1.1"][..], &["--http2-prior-knowledge"], &["-H", "Transfer-Encoding: chunked"]] {
        let answer = site.curl("/echo", &[arguments, &["--data-binary", &data]].concat());
        assert!((answer.status, &answer.body) == (200, &large), "{arguments:?}: {} bytes", answer.body.len());
    }
    // What was sent comes back before there is an end of it.
    let mut stream = site.connect();
    stream.write_all(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nping\r\n").unwrap();
    let mut seen = Vec::new();
    while !seen.windows(4).any(|four| four == b"ping") {
        let mut some = [0; 1000];
        let count = stream.read(&mut some).unwrap();
        assert_ne!(count, 0, "{}", seen.escape_ascii());
        seen.extend_from_slice(&some[..count]);
    }
    stream.write_all(b"4\r\npong\r\n0\r\n\r\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
}

#[test]
fn bodies_that_are_too_large() {
    let site = handlers(&format!("[serve.limits]\nbody = 10{}", route("echo", "")), &[("echo.wat", echo("A: b\n\n"))]);
    assert_eq!(
        (site.curl("/echo", &["-d", "0123456789"]).status, site.curl("/echo", &["-d", "0123456789a"]).status),
        (200, 413)
    );
    let answer = site.try_curl("/echo", &["-H", "Transfer-Encoding: chunked", "-d", "0123456789a"]);
    // It is told as long as it can be, and else by a cut.
    assert!(answer.as_ref().map_or(true, |answer| answer.status == 413 || answer.body.is_empty()), "{answer:?}");
}

/// What a request writes is gone with it, but in what all share.
#[test]
fn files_of_a_request() {
    let text =
        "[serve]\nshared = [\"/state\"]".to_owned() + &route("own", "") + &route("state", "") + &route("page", "");
    let site = handlers(
        &text,
        &[("own.wat", creator("note")), ("state.wat", creator("state/note")), ("page.wat", creator("page.html"))],
    );
    assert_eq!([site.get("/own").status, site.get("/own").status], [201, 201]);
    assert_eq!([site.get("/state").status, site.get("/state").status], [201, 200]);
    assert_eq!(site.get("/page").status, 200);
}

/// What a client sends comes out of a handler's head as fields of that head at the most.
#[test]
fn no_answer_within_an_answer() {
    let site =
        handlers(&(route("echo", "") + &route("raw", "")), &[("echo.wat", echo("X-Said: ")), ("raw.wat", echo(""))]);
    let injected = site.curl("/echo", &["--data-binary", "a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]);
    assert_eq!(injected.text(), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    for head in [
        "A: b\rSet-Cookie: c\n\n",
        "A: b\u{b}\n\n",
        "A b: c\n\n",
        "HTTP/1.1 200 OK\n\n",
        "\n",
        "Status: 100 Continue\n\n",
    ] {
        let answer = site.curl("/raw", &["--data-binary", head]);
        assert_eq!((answer.status, answer.header("set-cookie")), (502, ""), "{head:?}");
    }
    let framing = "A: b\nTransfer-Encoding: chunked\nConnection: close\n\n5\r\nhello\r\n0\r\n\r\n";
    let framed = site.curl("/raw", &["--data-binary", framing]);
    assert_eq!((framed.status, framed.text()), (200, "5\r\nhello\r\n0\r\n\r\n".to_owned()));
    assert_eq!(site.curl("/raw", &["--data-binary", "Content-Length: 5\n\nhello!"]).status, 502);
    assert_eq!(site.curl("/raw", &["--data-binary", "Content-Length: 5\n\nhell"]).status, 502);
}
