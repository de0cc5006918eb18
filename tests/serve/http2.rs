//! What HTTP/2 lets a client do that no client should: frames by hand, since no library sends these.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::harness::{ENDLESS, PATIENCE, Served, manifest, module, printer, route, stored, wait};

// Types of frames (RFC 9113, 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

// Their flags.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

// Codes of errors (RFC 9113, 7).
const PROTOCOL_ERROR: u8 = 1;
const REFUSED_STREAM: u8 = 7;
const CANCEL: u8 = 8;

const INITIAL_WINDOW_SIZE: u8 = 4;

/// A connection whose frames are ours.
struct Client(TcpStream);

#[derive(Debug)]
struct Frame {
    kind: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Client {
    /// A connection with this window for each stream's answer.
    fn connect(site: &Served, window: u32) -> Client {
        let mut client = Client(site.connect());
        client.0.set_write_timeout(Some(PATIENCE)).unwrap();
        client.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        client.send(SETTINGS, 0, 0, &[&[0, INITIAL_WINDOW_SIZE], &window.to_be_bytes()[..]].concat());
        client
    }

    /// Whether the server still takes it.
    fn try_send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        self.0.write_all(&frame(kind, flags, stream, payload)).is_ok()
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        assert!(self.try_send(kind, flags, stream, payload), "the server has closed");
    }

    fn get(&mut self, stream: u32, path: &str) {
        self.send(HEADERS, END_HEADERS | END_STREAM, stream, &request("GET", path, &[]));
    }

    /// The next frame that is no setting; none at the end.
    fn next(&mut self) -> Option<Frame> {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).ok()?;
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            self.0.read_exact(&mut payload).ok()?;
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            if head[3] != SETTINGS {
                return Some(Frame { kind: head[3], stream, payload });
            }
        }
    }

    /// The first frame of this kind, before the end.
    fn find(&mut self, kind: u8) -> Option<Frame> {
        std::iter::from_fn(|| self.next()).find(|frame| frame.kind == kind)
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Fields as HPACK has them, each as a literal that is not indexed (RFC 7541, 6.2.2).
fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| {
        assert!(text.len() < 127);
        [&[text.len() as u8], text.as_bytes()].concat()
    };
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

fn request(method: &str, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let pseudo = [(":method", method), (":scheme", "http"), (":path", path)];
    let authority = more.iter().all(|(name, _)| *name != ":authority").then_some((":authority", "a"));
    fields(&[&pseudo[..], authority.as_slice(), more].concat())
}

/// The status of an answer: the one field that our requests make the server send first, indexed or as digits.
fn status(frame: &Frame) -> u16 {
    match frame.payload[..] {
        [0x88, ..] => 200,
        [0x8c, ..] => 400,
        [0x8d, ..] => 404,
        [0x8e, ..] => 500,
        // With an indexed name, digits in Huffman's code or as they are (RFC 7541, appendix B: digits take five or six bits).
        [0x08 | 0x48, len, ..] => huffman(&frame.payload[2..2 + usize::from(len & 0x7f)], len & 0x80 != 0),
        _ => panic!("{}", frame.payload.escape_ascii()),
    }
}

/// Three digits: `0` to `2` take five bits, the others six.
fn huffman(bytes: &[u8], coded: bool) -> u16 {
    if !coded {
        return std::str::from_utf8(bytes).unwrap().parse().unwrap();
    }
    let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    let (mut at, mut number) = (0, 0);
    for _ in 0..3 {
        let short = u16::from_str_radix(&bits[at..at + 5], 2).unwrap();
        let digit = if short < 3 { short } else { u16::from_str_radix(&bits[at..at + 6], 2).unwrap() - 0x19 + 3 };
        at += if short < 3 { 5 } else { 6 };
        number = number * 10 + digit;
    }
    number
}

#[test]
fn frames_by_hand_are_answered() {
    let site = Served::archive(&[stored("a", "file")]);
    let mut client = Client::connect(&site, 65_535);
    client.get(1, "/a");
    let head = client.find(HEADERS).unwrap();
    assert_eq!((head.stream, status(&head), client.find(DATA).unwrap().payload), (1, 200, b"file".to_vec()));
    client.get(3, "/b");
    assert_eq!(status(&client.find(HEADERS).unwrap()), 404);
    client.send(HEADERS, END_HEADERS | END_STREAM, 5, &request("DELETE", "/a", &[]));
    assert_eq!(status(&client.find(HEADERS).unwrap()), 405);
}

/// Requests that are taken back at once (CVE-2023-44487): the connection ends, and few of them were worth a handler.
#[test]
fn rapid_resets() {
    let site = Served::archive(&[manifest(&route("h", "")), stored("h.wat", printer("A: b\n\nhello"))]);
    let mut client = Client::connect(&site, 65_535);
    let mut sent = 0;
    for stream in (1..200_000).step_by(2) {
        let head = frame(HEADERS, END_HEADERS | END_STREAM, stream, &request("GET", "/h", &[]));
        let both = [head, frame(RST_STREAM, 0, stream, &[0, 0, 0, CANCEL])].concat();
        if client.0.write_all(&both).is_err() {
            break;
        }
        sent += 1;
    }
    wait(|| site.metric("connections") == 0, || format!("an end after {sent}"));
    let run = site.metric("handlers_total");
    assert!(sent < 90_000 && run < 2000, "{sent} sent, {run} run");
    assert_eq!(site.get("/h").text(), "hello");
}

/// A head that never ends (CVE-2024-27316) costs no more than a head may.
#[test]
fn continuations_for_ever() {
    let site = Served::archive(&[stored("a", "file")]);
    let mut client = Client::connect(&site, 65_535);
    client.send(HEADERS, END_STREAM, 1, &request("GET", "/a", &[]));
    let long = "y".repeat(100);
    let more = fields(&[("x", &long[..]); 150]);
    let sent = (0..10_000).take_while(|_| client.try_send(CONTINUATION, 0, 1, &more)).count();
    // What the sockets hold between the two.
    assert!(sent * more.len() < 32 << 20, "{sent} frames were taken");
    wait(|| site.metric("connections") == 0, || "its end".to_owned());
    assert_eq!(site.get("/a").text(), "file");
}

/// A client that lets nothing come has its handler for the time of handlers, and the connection as long as slow clients have it.
#[test]
fn windows_that_never_open() {
    let limits = "[serve.limits]\ntime = \"1s\"\nstall = \"1s\"\nidle = \"1h\"";
    let forever = format!("(call $print (i32.const 1024) (i32.const 6)) {ENDLESS}");
    let site = Served::archive(&[
        manifest(&format!("{limits}{}\n[[route]]\npath = \"/*\"\nfiles = \".\"", route("forever", ""))),
        stored("forever.wat", module("A: b\n\n", &forever)),
        stored("a", vec![7; 4 << 20]),
    ]);
    let mut client = Client::connect(&site, 0);
    for stream in [1, 3, 5] {
        client.get(stream, "/forever");
    }
    wait(|| site.metric("handlers_total") == 3, || "handlers to run".to_owned());
    wait(|| site.metric("handlers") == 0, || "handlers to end".to_owned());
    wait(|| site.metric("connections") == 0, || "the connection to end".to_owned());
    assert_eq!(site.curl("/a", &["--http2-prior-knowledge"]).body.len(), 4 << 20);
}

#[test]
fn no_more_streams_than_may_be() {
    let read = "(loop $more (br_if $more (call $read (i32.const 65536) (i32.const 65536))))";
    let text = "[serve.limits]\ntime = \"1h\"".to_owned() + &route("read", "");
    let site = Served::archive(&[manifest(&text), stored("read.wat", module("", read))]);
    let mut client = Client::connect(&site, 65_535);
    for stream in (1..600).step_by(2) {
        client.send(HEADERS, END_HEADERS, stream, &request("POST", "/read", &[]));
    }
    let refused = client.find(RST_STREAM).unwrap();
    assert_eq!(refused.payload, [0, 0, 0, REFUSED_STREAM]);
    // Those of this connection, and the one for metrics is not counted.
    assert!(site.metric("requests") <= 128);
}

/// A client that asks for answers and reads none is not answered for ever.
#[test]
fn pings_that_nobody_reads() {
    let site = Served::archive(&[manifest("[serve.limits]\nstall = \"1s\""), stored("a", "file")]);
    let mut client = Client::connect(&site, 65_535);
    let many = frame(PING, 0, 0, b"abcdefgh").repeat(1000);
    let begun = Instant::now();
    while client.0.write_all(&many).is_ok() {
        assert!(begun.elapsed() < PATIENCE, "it goes on");
    }
    wait(|| site.metric("connections") == 0, || "its end".to_owned());
    assert_eq!(site.get("/a").text(), "file");
}

#[test]
fn what_is_no_request() {
    let site = Served::archive(&[manifest(&route("h", "")), stored("h.wat", printer("A: b\n\nhello"))]);
    for fields in [
        &[("connection", "close")][..],
        &[("transfer-encoding", "chunked")],
        &[("te", "gzip")],
        &[("X-Upper", "a")],
        &[("a b", "c")],
        &[("a", "b\r\nc: d")],
        &[("a", "b\0")],
        &[("", "b")],
        &[(":path", "/other")],
        &[("a", "b"), (":authority", "a")],
        &[(":unknown", "b")],
    ] {
        let mut client = Client::connect(&site, 65_535);
        client.send(HEADERS, END_HEADERS | END_STREAM, 1, &request("GET", "/h", fields));
        let answer =
            std::iter::from_fn(|| client.next()).find(|frame| matches!(frame.kind, HEADERS | RST_STREAM | GOAWAY));
        match answer.unwrap() {
            Frame { kind: RST_STREAM, payload, .. } => assert_eq!(payload[3], PROTOCOL_ERROR, "{fields:?}"),
            Frame { kind: GOAWAY, payload, .. } => assert_eq!(payload[7], PROTOCOL_ERROR, "{fields:?}"),
            head => assert_eq!(status(&head), 400, "{fields:?}"),
        }
    }
    assert_eq!(site.metric("handlers_total"), 0);
}

/// Who is asked is never in doubt (RFC 9113, 8.3.1).
#[test]
fn one_host() {
    let site = Served::archive(&[stored("a", "file")]);
    for (fields, expected) in [
        (&[(":authority", "a"), ("host", "a")][..], 200),
        (&[(":authority", "a"), ("host", "A")], 200),
        (&[(":authority", "a"), ("host", "b")], 400),
        (&[(":authority", "a"), ("host", "a"), ("host", "a")], 400),
        (&[(":authority", "user@a")], 400),
        (&[(":authority", "user:password@a")], 400),
    ] {
        let mut client = Client::connect(&site, 65_535);
        client.send(HEADERS, END_HEADERS | END_STREAM, 1, &request("GET", "/a", fields));
        assert_eq!(status(&client.find(HEADERS).unwrap()), expected, "{fields:?}");
    }
}

/// A body that is not what its head announced reaches no handler as a whole one.
#[test]
fn bodies_of_other_lengths() {
    let count = "(loop $more (br_if $more (call $read (i32.const 65536) (i32.const 65536))))
        (call $print (i32.const 1024) (i32.const 10))";
    let site = Served::archive(&[manifest(&route("h", "")), stored("h.wat", module("A: b\n\ndone", count))]);
    for (length, body) in [("5", "hello!"), ("5", "hell"), ("0", "x")] {
        let mut client = Client::connect(&site, 65_535);
        client.send(HEADERS, END_HEADERS, 1, &request("POST", "/h", &[("content-length", length)]));
        client.send(DATA, END_STREAM, 1, body.as_bytes());
        let reset = client.find(RST_STREAM).unwrap();
        assert_eq!(reset.payload, [0, 0, 0, PROTOCOL_ERROR], "{length} {body}");
    }
}

/// An answer takes as long as it takes, as long as its client takes it: neither the time for idle connections nor the one for heads
/// is over meanwhile.
#[test]
fn downloads_longer_than_idle_connections() {
    let limits = "[serve.limits]\nidle = \"1s\"\nhead = \"1s\"\nstall = \"10s\"";
    let large = vec![7; 64 << 20];
    let site = Served::archive(&[manifest(limits), stored("large", large)]);
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let begun = Instant::now();
        let answer = site.curl("/large", &[version, "--limit-rate", "16M"]);
        assert_eq!(answer.body.len(), 64 << 20, "{version}");
        assert!(begun.elapsed() > Duration::from_secs(2), "{version}: it was not slow");
    }
}

#[test]
fn half_a_connection() {
    let site = Served::archive(&[stored("a", "file")]);
    let mut client = Client::connect(&site, 65_535);
    client.get(1, "/a");
    client.0.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.find(DATA).unwrap().payload, b"file");
    wait(|| site.metric("connections") == 0, || "its end".to_owned());
}
