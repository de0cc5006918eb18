//! Many clients, slow ones, and the end.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::harness::{Answer, ENDLESS, PATIENCE, Served, deflated, manifest, module, route, stored, wait};

/// Descriptors that this process and the server may have.
fn descriptors() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).unwrap();
    limit.maximum.map_or(usize::MAX, |maximum| maximum as usize)
}

#[test]
fn ten_thousand_idle_connections() {
    let count = 10_000.min(descriptors().saturating_sub(500));
    if count < 10_000 {
        eprintln!("SKIPPED in part: only {count} connections are allowed here");
    }
    let site = Served::archive(&[stored("a", "file")]);
    let mut idle: Vec<TcpStream> = Vec::with_capacity(count);
    for number in 0..count {
        let mut stream = site.connect();
        // Every other has asked for something already.
        if number % 2 == 0 {
            stream.write_all(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        }
        idle.push(stream);
    }
    wait(|| site.metric("connections") >= count as u64, || format!("{count} connections"));
    assert_eq!(site.get("/a").text(), "file");
    for stream in idle.iter_mut().step_by(2) {
        let mut some = [0; 15];
        stream.read_exact(&mut some).unwrap();
        assert_eq!(&some, b"HTTP/1.1 200 OK");
    }
    drop(idle);
    wait(|| site.metric("connections") < 10, || "them to end".to_owned());
}

#[test]
fn more_connections_than_may_be() {
    let site = Served::archive(&[manifest("[serve.limits]\nconnections = 3"), stored("a", "file")]);
    let mut held: Vec<_> = (0..3).map(|_| site.connect()).collect();
    wait(|| site.metric("connections") == 3, || "three connections".to_owned());
    let mut refused = site.connect();
    assert_eq!(refused.read(&mut [0; 10]).unwrap_or(0), 0);
    held.pop();
    wait(|| site.metric("connections") == 2, || "two connections".to_owned());
    assert_eq!(site.get("/a").text(), "file");
}

/// Clients that are silent, that send a head byte by byte, that take nothing: each is let go.
#[test]
fn clients_that_take_their_time() {
    let limits = "[serve.limits]\nidle = \"1s\"\nhead = \"1s\"\nstall = \"1s\"\ntime = \"2s\"";
    let echo = "(loop $more (br_if $more (call $read (i32.const 65536) (i32.const 65536))))";
    let site = Served::archive(&[
        manifest(&format!("{limits}{}\n[[route]]\npath = \"/*\"\nfiles = \".\"", route("read", ""))),
        stored("read.wat", module("", echo)),
        stored("large", vec![7; 64 << 20]),
    ]);
    // Silent from the beginning, and after an answer.
    for request in [&b""[..], b"HEAD /large HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let mut stream = site.connect();
        stream.write_all(request).unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
    }
    // A head that never ends, one byte at a time.
    let mut drip = site.connect();
    drip.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX: ").unwrap();
    let begun = Instant::now();
    while drip.write_all(b"y").is_ok() {
        assert!(begun.elapsed() < PATIENCE, "it goes on");
        std::thread::sleep(Duration::from_millis(50));
    }
    // A body that never comes.
    let mut body = site.connect();
    body.write_all(b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    body.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    // A reader of one byte a second, of which the kernel's buffers are the smaller part.
    let mut reader = site.connect();
    reader.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    wait(|| site.metric("connections") == 0, || "the connections to be let go".to_owned());
    let mut all = Vec::new();
    _ = reader.read_to_end(&mut all);
    assert!(all.len() < 64 << 20, "all was sent");
}

/// Each byte in time, but not as many as have to be: it is let go, and nobody notices before.
#[test]
fn a_client_that_reads_one_byte_a_second() {
    let site = Served::with(
        &[
            manifest("[serve.limits]\nstall = \"3s\"\nidle = \"1h\""),
            stored("large", vec![7; 64 << 20]),
            stored("a", "file"),
        ],
        &["--workers", "1"],
    );
    for version in ["HTTP/1.1", "HTTP/1.0"] {
        let mut slow = site.connect();
        slow.write_all(format!("GET /large {version}\r\nHost: a\r\n\r\n").as_bytes()).unwrap();
        let mut bytes = 0;
        while site.metric("connections") > 0 {
            assert_eq!((slow.read(&mut [0; 1]).unwrap(), site.get("/a").text()), (1, "file".to_owned()));
            bytes += 1;
            assert!(bytes < PATIENCE.as_secs(), "it goes on");
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}

/// A body that trickles in holds its handler as long as slow clients may, however long handlers may take.
#[test]
fn a_body_that_trickles_in() {
    let limits = "[serve.limits]\ntime = \"1h\"\nstall = \"1s\"\nidle = \"1h\"";
    let read = "(loop $more (br_if $more (call $read (i32.const 65536) (i32.const 65536))))
        (call $print (i32.const 1024) (i32.const 10))";
    let site = Served::archive(&[
        manifest(&format!("{limits}{}", route("read", ""))),
        stored("read.wat", module("A: b\n\ndone", read)),
    ]);
    let mut stream = site.connect();
    stream.write_all(b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n").unwrap();
    let mut trickle = stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        let begun = Instant::now();
        while trickle.write_all(b"x").is_ok() && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    wait(|| site.metric("handlers") == 0, || "the handler to end".to_owned());
    site.says("read.wat: its client is too slow to send the body");
    drop(stream);
    writer.join().unwrap();
    // As long as enough of it comes, it may take longer than that.
    let mut stream = site.connect();
    stream.write_all(b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 160000\r\nConnection: close\r\n\r\n").unwrap();
    for _ in 0..8 {
        stream.write_all(&[7; 20_000]).unwrap();
        std::thread::sleep(Duration::from_millis(250));
    }
    let answer = Answer::receive(&mut stream);
    assert_eq!((answer.status, answer.text().as_str()), (200, "done"));
}

/// A client that takes as much as it has to, and no more, does not lengthen the time of a handler that has more to say.
#[test]
fn a_handler_whose_client_is_slow() {
    let limits = "[serve.limits]\ntime = \"2s\"\nstall = \"1h\"";
    let forever = format!("(call $print (i32.const 1024) (i32.const 6)) {ENDLESS}");
    let site = Served::archive(&[
        manifest(&format!("{limits}{}", route("forever", ""))),
        stored("forever.wat", module("A: b\n\n", &forever)),
    ]);
    let mut streams: Vec<_> = (0..4).map(|_| site.connect()).collect();
    for stream in &mut streams {
        stream.write_all(b"GET /forever HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    }
    wait(|| site.metric("handlers_total") == 4, || "handlers to run".to_owned());
    // Two take nothing, two a little.
    wait(
        || {
            streams.iter_mut().take(2).for_each(|stream| _ = stream.read(&mut [0; 4096]));
            site.metric("handlers") == 0
        },
        || "handlers to end".to_owned(),
    );
    site.says("forever.wat: it took too long");
}

/// Clients go in the middle of an answer, however it is on its way: out of the archive's file, by copying, by HTTP/2.
#[test]
fn clients_that_go_away() {
    let site = Served::archive(&[stored("large", vec![7; 64 << 20]), deflated("packed", vec![7; 4 << 20])]);
    for path in ["/large", "/packed"] {
        for _ in 0..100 {
            let mut stream = site.connect();
            stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).unwrap();
            stream.read_exact(&mut [0; 1000]).unwrap();
        }
        for _ in 0..5 {
            let cut = site.try_curl(path, &["--http2-prior-knowledge", "--max-filesize", "1000"]);
            assert!(cut.is_err(), "it was not cut");
        }
    }
    wait(|| site.metric("connections") == 0, || "the connections to end".to_owned());
    assert_eq!(site.get("/large").body.len(), 64 << 20);
}

#[test]
fn more_requests_than_may_be() {
    let text = "[serve.limits]\ntime = \"1h\"\nrequests = 2".to_owned()
        + &route("read", "")
        + "[[route]]\npath = \"/*\"\nfiles = \".\"";
    let read = "(loop $more (br_if $more (call $read (i32.const 65536) (i32.const 65536))))";
    let site = Served::archive(&[manifest(&text), stored("read.wat", module("", read)), stored("a", "file")]);
    let mut held: Vec<_> = (0..2).map(|_| site.connect()).collect();
    for stream in &mut held {
        stream.write_all(b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n").unwrap();
    }
    wait(|| site.metric("requests") == 2, || "two requests".to_owned());
    let refused = site.get("/a");
    assert_eq!((refused.status, refused.header("retry-after")), (503, "1"));
    drop(held);
    wait(|| site.metric("requests") == 0, || "them to end".to_owned());
    assert_eq!(site.get("/a").text(), "file");
}

#[test]
fn a_slow_reader_holds_nobody_up() {
    let site = Served::with(&[stored("large", vec![7; 64 << 20]), stored("a", "file")], &["--workers", "1"]);
    let mut slow = site.connect();
    slow.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    for _ in 0..20 {
        slow.read_exact(&mut [0; 1]).unwrap();
        assert_eq!(site.get("/a").text(), "file");
    }
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(&[7; 1000]) && rest.len() > 64 << 20);
}

/// Requests in flight are answered, new ones are not, and the status is 0.
#[test]
fn ending_gracefully() {
    for signal in ["TERM", "INT"] {
        // It says that it has begun, and answers when it has read all.
        let echo = "(call $print_to (i32.const 2) (i32.const 1024) (i32.const 6))
            (loop $more (br_if $more (call $read (i32.const 65536) (i32.const 65536))))
            (call $print (i32.const 1030) (i32.const 10))";
        let text = module("begun\nA: b\n\ndone", echo);
        let mut site = Served::archive(&[manifest(&route("slow", "")), stored("slow.wat", text)]);
        let mut stream = site.connect();
        stream.write_all(b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n").unwrap();
        site.says("slow.wat: begun");
        let mut idle = site.connect();
        site.signal(signal);
        assert_eq!(idle.read(&mut [0; 1]).unwrap_or(0), 0);
        wait(|| TcpStream::connect(site.address).is_err(), || "it to stop listening".to_owned());
        stream.write_all(b"body").unwrap();
        let answer = Answer::receive(&mut stream);
        assert_eq!((answer.status, answer.text().as_str()), (200, "done"));
        assert_eq!(site.ended(), Some(0));
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let spin =
        module("begun\n", "(call $print_to (i32.const 2) (i32.const 1024) (i32.const 6)) (loop $again (br $again))");
    let text = "[serve.limits]\ntime = \"1h\"".to_owned() + &route("spin", "");
    let mut site = Served::with(&[manifest(&text), stored("spin.wat", spin)], &["--grace", "1h"]);
    let mut stream = site.connect();
    stream.write_all(b"GET /spin HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    site.says("spin.wat: begun");
    site.signal("TERM");
    wait(|| TcpStream::connect(site.address).is_err(), || "it to stop listening".to_owned());
    site.signal("TERM");
    assert_eq!(site.ended(), Some(0));
}

#[test]
fn two_servers_at_one_address() {
    let site = Served::archive(&[stored("a", "file")]);
    let mut second = std::process::Command::new(env!("CARGO_BIN_EXE_kitbag"));
    let output = second.args(["serve", "--addr", &site.address.to_string()]).arg(&site.bundle).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("cannot listen") && said.contains("in use"), "{said}");
}
