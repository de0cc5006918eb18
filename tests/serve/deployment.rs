//! What the README says about running it: behind a load balancer, and with nothing else in a container.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::harness::{Served, deflated, repository, scratch, stored, wait};

/// A process that ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        _ = Command::new("kill").arg(self.0.id().to_string()).status();
        _ = self.0.wait();
    }
}

/// A port that was free a moment ago.
fn port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The configuration of the example with other addresses, in an nginx of its own; one of the two servers ends meanwhile.
#[test]
fn behind_a_load_balancer() {
    if Command::new("nginx").arg("-v").output().is_err() {
        eprintln!("SKIPPED: nginx is not installed");
        return;
    }
    let site = || Served::start(repository("assets/site"), scratch(), &["--workers", "1"]);
    let (first, second, front, folder) = (site(), site(), port(), scratch());
    let text = fs::read_to_string(repository("assets/site/nginx.conf")).unwrap();
    let text = text
        .replace("127.0.0.1:8081", &first.address.to_string())
        .replace("127.0.0.1:8082", &second.address.to_string())
        .replace("127.0.0.1:8080", &format!("127.0.0.1:{front}"))
        .replace("events {}", "events {} daemon off; pid nginx.pid; error_log stderr;")
        .replace("http {", "http { access_log off;");
    fs::write(folder.path().join("nginx.conf"), text).unwrap();
    let prefix = folder.path().to_str().unwrap();
    let nginx = Command::new("nginx").args(["-p", prefix, "-c", "nginx.conf"]).stderr(Stdio::null()).spawn().unwrap();
    let _nginx = Running(nginx);
    let get = |path: &str| {
        let output =
            Command::new("curl").args(["-s", "-f", &format!("http://127.0.0.1:{front}{path}")]).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    };
    wait(|| get("/").is_some(), || "nginx to answer".to_owned());
    for _ in 0..10 {
        assert!(get("/search?q=iceland").unwrap().contains("Africa/Abidjan"));
    }
    assert!(first.metric("requests_total") > 0 && second.metric("requests_total") > 0);
    drop(first);
    for _ in 0..10 {
        assert!(get("/search?q=iceland").unwrap().contains("Africa/Abidjan"));
    }
}

/// What a container from scratch has: the command, what it is linked with, one file, and nothing else, not even `/tmp`.
#[test]
fn with_nothing_else() {
    if !Command::new("unshare").args(["-r", "true"]).status().is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: this user may not make namespaces");
        return;
    }
    let root = scratch();
    let kitbag = Path::new(env!("CARGO_BIN_EXE_kitbag"));
    fs::copy(kitbag, root.path().join("kitbag")).unwrap();
    // None for a static build.
    let linked = String::from_utf8(Command::new("ldd").arg(kitbag).output().unwrap().stdout).unwrap();
    for library in linked.split_whitespace().filter(|word| word.starts_with('/')) {
        let copy = root.path().join(&library[1..]);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(library, copy).unwrap();
    }
    let entries =
        ["kitbag.toml", "search.wasm", "www/index.html", "www/404.html", "tables/zone1970.tab", "tables/iso3166.tab"];
    let entry = |name: &'static str| {
        let contents = fs::read(repository("assets/site").join(name)).unwrap();
        if name.ends_with(".wasm") { stored(name, contents) } else { deflated(name, contents) }
    };
    fs::write(root.path().join("site.zip"), crate::harness::archive(&entries.map(entry))).unwrap();
    let port = port();
    let address = format!("127.0.0.1:{port}");
    // The words of the Dockerfile.
    let docker = fs::read_to_string(repository("assets/site/Dockerfile")).unwrap();
    assert!(docker.contains("ENTRYPOINT [\"/kitbag\", \"serve\", \"/site.zip\", \"--addr\", \"0.0.0.0:8080\"]"));
    let mut command = Command::new("unshare");
    command.args(["-r", "chroot"]).arg(root.path()).args(["/kitbag", "serve", "/site.zip", "--addr", &address]);
    let _server = Running(
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stderr(Stdio::null()).spawn().unwrap(),
    );
    let get =
        || Command::new("curl").args(["-s", "-f", &format!("http://{address}/search?q=iceland")]).output().unwrap();
    wait(|| get().status.success(), || "it to answer".to_owned());
    assert!(String::from_utf8(get().stdout).unwrap().contains("Africa/Abidjan"));
}
