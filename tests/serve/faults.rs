//! Handlers that go wrong: each is told by a status or a cut, and by a line in the log, and disturbs nobody.

use std::io::Write as _;
use std::time::Duration;

use crate::harness::{Answer, ENDLESS, Entry, Served, manifest, module, printer, route, stored, wait};

/// What curl ends with where an answer is cut: a part of a body, a stream that was reset.
const CUT: [i32; 4] = [18, 56, 92, 52];

/// A head, 100 KiB of body, and then this.
fn begun(then: &str) -> String {
    let head = "Content-Type: text/plain\n\n";
    let print = format!("(call $print (i32.const 1024) (i32.const {}))", head.len());
    module(head, &format!("{print} {} {then}", "(call $print (i32.const 65536) (i32.const 51200))".repeat(2)))
}

fn site() -> Served {
    let sleep = "(i32.store8 (i32.const 2056) (i32.const 0)) (i32.store (i32.const 2064) (i32.const 1))
        (i64.store (i32.const 2072) (i64.const 0x7fffffffffffffff))
        (drop (call $poll_oneoff (i32.const 2048) (i32.const 3072) (i32.const 1) (i32.const 3200)))";
    let modules = [
        ("trap", module("", "unreachable")),
        ("spin", module("", "(loop $again (br $again))")),
        ("sleep", module("", sleep)),
        (
            "grow",
            module("", "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable"),
        ),
        ("silent", module("", "")),
        ("exit", module("", "(call $proc_exit (i32.const 3))")),
        ("printed", module("A: b\n\nbody", "(call $print (i32.const 1024) (i32.const 10)) unreachable")),
        (
            "stderr",
            module("oops\x1b[31m\n", "(call $print_to (i32.const 2) (i32.const 1024) (i32.const 10)) unreachable"),
        ),
        ("half", begun("unreachable")),
        ("stuck", begun("(loop $again (br $again))")),
        ("forever", begun(ENDLESS)),
        ("good", printer("A: b\n\ngood")),
    ];
    let text = "[serve.limits]\ntime = \"1500ms\"\nmemory = \"16M\"\nresponse = \"2M\"\nhandlers = 16".to_owned();
    let routes: String = modules.iter().map(|(name, _)| route(name, "")).collect();
    let mut entries: Vec<Entry> = Vec::new();
    for (name, module) in modules {
        entries.push(stored(Box::leak(format!("{name}.wat").into_boxed_str()), module));
    }
    entries.push(manifest(&(text + &routes)));
    Served::archive(&entries)
}

#[test]
fn before_the_head_is_sent() {
    let site = site();
    for (path, status, said) in [
        ("/trap", 500, "trap.wat: trap: unreachable"),
        ("/spin", 504, "spin.wat: it took too long"),
        ("/sleep", 504, "sleep.wat: it took too long"),
        ("/grow", 500, "grow.wat: trap: unreachable"),
        ("/silent", 502, "silent.wat: its answer has no head"),
        ("/exit", 500, "exit.wat: it exited with status 3"),
        ("/printed", 500, "printed.wat: trap: unreachable"),
        ("/stderr", 500, "stderr.wat: oops\\u{1b}[31m"),
    ] {
        assert_eq!(site.get(path).status, status, "{path}");
        site.says(said);
        assert_eq!(site.get("/good").text(), "good", "after {path}");
    }
    assert_eq!(site.metric("handler_failures_total"), 8);
    wait(|| site.metric("handlers") == 0, || "handlers to end".to_owned());
}

/// An answer beyond its limit is no answer, also where all that it may have would go out at once.
#[test]
fn longer_than_its_limit() {
    let print = "(call $print (i32.const 1024) (i32.const 1006))";
    let text = format!("A: b\n\n{}", "x".repeat(1000));
    let limits = "[serve.limits]\nresponse = \"2K\"".to_owned();
    let site = Served::archive(&[
        manifest(&(limits + &route("within", "") + &route("beyond", ""))),
        stored("within.wat", module(&text, &print.repeat(2))),
        stored("beyond.wat", module(&text, &print.repeat(4))),
    ]);
    assert_eq!(site.get("/within").body.len(), 2 * 1006 - 6);
    assert_eq!(site.get("/beyond").status, 500);
    site.says("beyond.wat: its answer is longer than the limit");
}

#[test]
fn after_the_head_was_sent() {
    let site = site();
    for (path, said) in [
        ("/half", "half.wat: trap: unreachable"),
        ("/stuck", "stuck.wat: it took too long"),
        ("/forever", "forever.wat: it"),
    ] {
        for version in ["--http1.1", "--http2-prior-knowledge"] {
            let cut = site.try_curl(path, &[version]);
            // A handler that fails at once may do so before its head went out.
            let told = cut.as_ref().is_ok_and(|answer| answer.status == 500);
            assert!(
                told || cut.as_ref().is_err_and(|status| CUT.contains(&status.unwrap())),
                "{path} {version}: {cut:?}"
            );
        }
        site.says(said);
        assert_eq!(site.get("/good").text(), "good", "after {path}");
    }
    wait(|| site.metric("handlers") == 0, || "handlers to end".to_owned());
}

#[test]
fn all_at_once_disturb_nobody() {
    let site = site();
    std::thread::scope(|scope| {
        for path in ["/trap", "/spin", "/sleep", "/grow", "/half", "/forever", "/stuck"] {
            let site = &site;
            scope.spawn(move || {
                for _ in 0..3 {
                    _ = site.try_curl(path, &[]);
                }
            });
        }
        for _ in 0..20 {
            assert_eq!(site.get("/good").text(), "good");
        }
    });
    wait(|| site.metric("handlers") == 0, || "handlers to end".to_owned());
}

/// Beyond as many as run and wait, requests are refused at once.
#[test]
fn too_many() {
    let text = "[serve.limits]\ntime = \"1h\"\nhandlers = 1\nqueue = 1".to_owned() + &route("read", "");
    let read = "(loop $more (br_if $more (call $read (i32.const 65536) (i32.const 65536))))
        (call $print (i32.const 1024) (i32.const 10))";
    let site = Served::archive(&[manifest(&text), stored("read.wat", module("A: b\n\ndone", read))]);
    let ask = || {
        let mut stream = site.connect();
        stream.write_all(b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: close\r\n\r\n").unwrap();
        stream
    };
    let runs = ask();
    wait(|| site.metric("handlers") == 1, || "a handler to run".to_owned());
    let waits = ask();
    wait(|| site.metric("handlers_waiting") == 1, || "a request to wait".to_owned());
    let refused = site.get("/read");
    assert_eq!((refused.status, refused.header("retry-after"), site.metric("refused_total")), (503, "1", 1));
    for mut stream in [runs, waits] {
        stream.write_all(b"x").unwrap();
        let answer = Answer::receive(&mut stream);
        assert_eq!((answer.status, answer.text().as_str()), (200, "done"));
    }
}

/// Whoever goes away takes the handler along.
#[test]
fn clients_that_are_killed() {
    let text = "[serve.limits]\ntime = \"1h\"".to_owned() + &route("spin", "") + &route("forever", "");
    let forever = begun(ENDLESS);
    let spin = module("", "(loop $again (br $again))");
    let site = Served::archive(&[manifest(&text), stored("spin.wat", spin), stored("forever.wat", forever)]);
    for path in ["/spin", "/forever"] {
        let mut client =
            std::process::Command::new("curl").args(["-s", "-o", "/dev/null", &site.url(path)]).spawn().unwrap();
        wait(|| site.metric("handlers") == 1, || "the handler to run".to_owned());
        std::thread::sleep(Duration::from_millis(100));
        // SIGKILL.
        client.kill().unwrap();
        client.wait().unwrap();
        wait(|| site.metric("handlers") == 0, || "the handler to end".to_owned());
    }
}
