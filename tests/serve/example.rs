//! The example, `assets/site`: by curl, by a browser, and as one file.

use std::process::Command;

use crate::harness::{Served, repository, scratch};

fn example() -> Served {
    Served::start(repository("assets/site"), scratch(), &[])
}

#[test]
fn the_handler_searches_the_tables() {
    let site = example();
    let found = site.get("/search?q=liechtenstein");
    assert_eq!(
        found.text(),
        "[{\"zone\":\"Europe/Zurich\",\"countries\":[\"Switzerland\",\"Germany\",\"Liechtenstein\"],\"comment\":\"Büsingen\"}]\n"
    );
    assert_eq!((found.header("content-type"), found.header("cache-control")), ("application/json", "no-store"));
    assert_eq!(
        (site.get("/search?x=y&q=no+such+place").text(), site.get("/search?q=%").status),
        ("[]\n".to_owned(), 200)
    );
    let all = site.get("/search").text();
    // As many as the table has lines, counted by somebody else.
    let lines =
        Command::new("grep").args(["-vc", "^#"]).arg(repository("assets/site/tables/zone1970.tab")).output().unwrap();
    assert_eq!(all.matches("\"zone\":").count().to_string(), String::from_utf8(lines.stdout).unwrap().trim());
    assert_eq!((site.curl("/search", &["-d", "x"]).status, site.get("/search.wasm").status), (405, 404));
}

/// With the words that the README has for it.
#[test]
fn one_command_serves_it() {
    let readme = std::fs::read_to_string(repository("README.md")).unwrap();
    let line = readme.lines().find_map(|line| line.strip_prefix("kitbag serve ")).unwrap();
    let (bundle, place) = line.split_once('#').unwrap();
    assert_eq!(place.trim(), "http://127.0.0.1:8080/");
    let site = Served::start(repository(bundle.trim()), scratch(), &[]);
    assert!(site.get("/").text().contains("<title>Time zones</title>"));
    assert!(site.get("/search?q=iceland").text().contains("Africa/Abidjan"));
}

#[test]
fn the_page_and_what_it_needs() {
    let site = example();
    let page = site.get("/");
    assert!(page.status == 200 && page.header("content-security-policy") == "default-src 'self'", "{page:?}");
    for (path, kind) in [
        ("/zones.svg", "image/svg+xml"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/search.js", "text/javascript; charset=utf-8"),
        ("/tables/zone1970.tab", "application/octet-stream"),
    ] {
        let answer = site.get(path);
        assert_eq!((answer.status, answer.header("content-type")), (200, kind), "{path}");
    }
    let lost = site.get("/nowhere");
    assert!(lost.status == 404 && lost.text().contains("There is nothing here"), "{lost:?}");
}

/// A browser loads the page, whose script asks the handler and shows what it found; and takes a picture of that.
#[test]
fn in_a_browser() {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let Some(browser) = names.into_iter().find(|name| Command::new(name).arg("--version").output().is_ok()) else {
        eprintln!("SKIPPED: there is no browser; Debian has one: apt-get install chromium");
        return;
    };
    let site = example();
    let folder = scratch();
    let picture = folder.path().join("page.png");
    let profile = format!("--user-data-dir={}", folder.path().join("profile").display());
    let run = |arguments: &[&str]| {
        let mut command = Command::new(browser);
        command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", &profile]);
        let output = command
            .args(["--virtual-time-budget=20000"])
            .args(arguments)
            .arg(site.url("/?q=iceland"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let page = run(&["--dump-dom"]);
    assert!(page.contains("<td>Africa/Abidjan</td>") && page.contains("1 zones"), "{page}");
    run(&[&format!("--screenshot={}", picture.display()), "--window-size=800,600"]);
    let png = std::fs::read(&picture).unwrap();
    assert!(png.starts_with(b"\x89PNG") && png.len() > 5000, "{} bytes", png.len());
}
