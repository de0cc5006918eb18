//! What the README says about running it: behind a load balancer, and with nothing else in a container.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::harness::{Served, repository, scratch, wait};

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

/// The command without any libraries, as for a container from scratch: with musl where that is installed, else with what this
/// machine has. It is built once, beside what the tests are built from.
fn static_build() -> Result<PathBuf, String> {
    let arch = std::env::consts::ARCH;
    let rustc = Command::new("rustc").args(["--print", "sysroot"]).output().map_err(|error| error.to_string())?;
    let libraries = Path::new(String::from_utf8_lossy(&rustc.stdout).trim()).join("lib/rustlib");
    let musl = format!("{arch}-unknown-linux-musl");
    let target = if libraries.join(&musl).is_dir() { musl } else { format!("{arch}-unknown-linux-gnu") };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("static");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--bin", "kitbag", "--target", &target, "--target-dir"]).arg(&folder);
    cargo.args(["--config", "profile.dev.debug=false"]).current_dir(repository("."));
    let built = cargo.env("RUSTFLAGS", "-C target-feature=+crt-static").output().map_err(|error| error.to_string())?;
    match built.status.success() {
        true => Ok(folder.join(target).join("debug/kitbag")),
        false => Err(String::from_utf8_lossy(&built.stderr).into_owned()),
    }
}

/// What a container from scratch has: the static build, one file, and nothing else, not even `/tmp`; as nobody, as its Dockerfile says.
#[test]
fn with_nothing_else() {
    if !Command::new("unshare").args(["-r", "true"]).status().is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: this user may not make namespaces");
        return;
    }
    let kitbag = match static_build() {
        Ok(kitbag) => kitbag,
        Err(problem) => {
            eprintln!("SKIPPED: there is no static build: {problem}");
            return;
        }
    };
    let root = scratch();
    fs::copy(&kitbag, root.path().join("kitbag")).unwrap();
    // The files that the Dockerfile has packed, and its words.
    let docker = fs::read_to_string(repository("assets/site/Dockerfile")).unwrap();
    let (_, packed) = docker.split_once("zip -qr site.zip ").unwrap();
    let packed: Vec<_> = packed.split(')').next().unwrap().split(' ').collect();
    let mut zip = Command::new("zip");
    zip.arg("-qr").arg(root.path().join("site.zip")).args(packed).current_dir(repository("assets/site"));
    match zip.status() {
        Ok(status) => assert!(status.success()),
        Err(_) => {
            eprintln!("SKIPPED: zip is not installed");
            return;
        }
    }
    let mut files: Vec<_> = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["kitbag", "site.zip"]);
    let (_, entry) = docker.split_once("ENTRYPOINT ").unwrap();
    let words: Vec<String> = serde_json::from_str(entry.trim()).unwrap();
    let address = format!("127.0.0.1:{}", port());
    let words = words.iter().map(|word| word.replace("0.0.0.0:8080", &address));
    // Who is root may become whom the Dockerfile names; others are root of a namespace.
    let mut command = Command::new("chroot");
    if rustix::process::getuid().is_root() {
        let user = docker.lines().find_map(|line| line.strip_prefix("USER ")).unwrap();
        command.arg(format!("--userspec={user}"));
        let readable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(root.path(), readable).unwrap();
    } else {
        command = Command::new("unshare");
        command.args(["-r", "chroot"]);
    }
    command.arg(root.path()).args(words).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stderr(Stdio::null());
    let server = Running(command.spawn().unwrap());
    let get =
        || Command::new("curl").args(["-s", "-f", &format!("http://{address}/search?q=iceland")]).output().unwrap();
    wait(|| get().status.success(), || "it to answer".to_owned());
    assert!(String::from_utf8(get().stdout).unwrap().contains("Africa/Abidjan"));
    // Nothing else is in it but what the kernel gives: its own file, and no library.
    let maps = fs::read_to_string(format!("/proc/{}/maps", server.0.id())).unwrap();
    let mapped: Vec<_> = maps.lines().filter_map(|line| line.split_once('/')).map(|(_, path)| path).collect();
    assert!(!mapped.is_empty() && mapped.iter().all(|path| !path.contains(".so")), "{mapped:?}");
}
