//! `kitbag.toml`: what a bundle says of itself.
//!
//! ```toml
//! [bundle]
//! name = "wordcount"              # required; also what the guest finds as its own name
//! version = "1.0"
//! description = "Counts words"
//! entry = "wc.wasm"               # the module that runs, a path in the bundle; required unless the bundle is served
//! args = ["-l"]                   # before those of the command line
//! env = { LANG = "C" }
//!
//! [[mount]]                       # any number; nothing of the bundle is visible without one
//! guest = "/texts"                # where the guest finds it
//! path = "share/texts"            # a folder (or a file) of the bundle, read-only …
//! overlay = true                  # … or writable, with what is written kept in memory
//!
//! [[mount]]
//! guest = "/tmp"
//! memory = true                   # an empty writable file system in memory
//! ```
//!
//! What it says of several tools, limits, streams and folders of the host is in [`Tool`]'s module, what it says of serving in
//! [`Serve`]'s.

mod running;
mod schema;
mod serve;

use std::collections::BTreeMap;

use serde::Deserialize;

pub use running::{HostFolder, RunLimits, StreamTo, Streams, Tool};
pub use schema::schema;
#[cfg(feature = "serve")]
pub(crate) use serve::open_ended;
pub use serve::{Action, Handler, Limits, Route, Serve};

/// A manifest, checked for everything that can be checked without the files that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Manifest {
    /// What the bundle is called.
    pub name: String,
    /// Its version, in whatever form its author counts.
    pub version: Option<String>,
    /// What it is, in a line.
    pub description: Option<String>,
    /// The module that runs: a path in the bundle. Only a bundle that is served, or one of tools, can be without.
    pub entry: Option<String>,
    /// Arguments that come before those of the command line.
    pub args: Vec<String>,
    /// The guest's environment.
    pub env: BTreeMap<String, String>,
    /// What the guest sees.
    pub mounts: Vec<Mount>,
    /// The programs that can be chosen.
    pub tools: Vec<Tool>,
    /// What a program is not to exceed.
    pub limits: RunLimits,
    /// The standard streams.
    pub streams: Streams,
    /// How it is served, if it says something of that.
    pub serve: Option<Serve>,
}

/// One mount of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mount {
    /// Where the guest finds it.
    pub guest: String,
    /// What it finds there.
    pub source: Source,
}

/// What a manifest mounts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// A folder of the bundle, or a file, which is read-only.
    Bundle {
        /// Its path in the bundle; `.` is the whole bundle.
        path: String,
        /// Whether the guest may write to it; what it writes is kept in memory.
        overlay: bool,
    },
    /// An empty writable file system in memory.
    Memory,
    /// A folder of the host, if who runs the bundle grants it.
    Host {
        /// Which.
        folder: HostFolder,
        /// Whether it can only be read.
        read_only: bool,
        /// Whether it may be missing.
        optional: bool,
    },
}

/// What is wrong with a manifest, and in which line if it is in one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", .line.map(|line| format!("line {line}: ")).unwrap_or_default())]
pub struct ManifestError {
    line: Option<usize>,
    message: String,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    bundle: BundleTable,
    #[serde(default)]
    mount: Vec<toml::Spanned<MountTable>>,
    #[serde(default)]
    tool: Vec<toml::Spanned<running::ToolTable>>,
    #[serde(default)]
    limits: running::LimitsTable,
    #[serde(default)]
    streams: running::StreamsTable,
    serve: Option<serve::ServeTable>,
    #[serde(default)]
    route: Vec<toml::Spanned<serve::RouteTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BundleTable {
    name: String,
    version: Option<String>,
    description: Option<String>,
    entry: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MountTable {
    guest: String,
    path: Option<String>,
    #[serde(default)]
    overlay: bool,
    #[serde(default)]
    memory: bool,
    host: Option<String>,
    #[serde(default, rename = "read-only")]
    read_only: bool,
    #[serde(default)]
    optional: bool,
}

impl Manifest {
    /// Reads the text of a manifest.
    ///
    /// # Errors
    /// What is not TOML, unknown keys (with the nearest known one), missing and contradicting ones, and NULs
    /// in what becomes arguments and environment.
    pub fn parse(text: &str) -> Result<Manifest, ManifestError> {
        let document: Document = toml::from_str(text).map_err(|error| ManifestError::from_toml(&error, text))?;
        let BundleTable { name, version, description, entry, args, env } = document.bundle;
        check_words(&name, &args, &env)?;
        let mounts = document.mount.into_iter().map(|table| mount(table, text)).collect::<Result<_, _>>()?;
        let tools = running::tools(document.tool, text)?;
        let (limits, streams) = (document.limits.into(), document.streams.into());
        let served = document.serve.is_some() || !document.route.is_empty();
        if entry.is_none() && tools.is_empty() && !served {
            return Err(ManifestError::anywhere("`entry` is missing in [bundle]: the module that runs".to_owned()));
        }
        let serve = served.then(|| Serve::new(document.serve, document.route, text)).transpose()?;
        Ok(Manifest { name, version, description, entry, args, env, mounts, tools, limits, streams, serve })
    }
}

fn mount(table: toml::Spanned<MountTable>, text: &str) -> Result<Mount, ManifestError> {
    let line = line_of(text, table.span().start);
    let MountTable { guest, path, overlay, memory, host, read_only, optional } = table.into_inner();
    let fail = |message| Err(ManifestError { line: Some(line), message });
    let of_host = read_only || optional;
    let source = match (path, memory, host) {
        (Some(path), false, None) if !of_host => Source::Bundle { path, overlay },
        (None, true, None) if !overlay && !of_host => Source::Memory,
        (None, false, Some(host)) if !overlay => match HostFolder::parse(&host) {
            Some(folder) => Source::Host { folder, read_only, optional },
            None => {
                return fail(format!(
                    "`host` of the mount at `{guest}` is `cwd`, an absolute path, or `$` and the name of a variable"
                ));
            }
        },
        _ => {
            return fail(format!(
                "the mount at `{guest}` needs either `path` (with `overlay = true` or not), `memory = true`, or `host` (with \
                 `read-only = true` and `optional = true` or not)"
            ));
        }
    };
    Ok(Mount { guest, source })
}

/// Arguments and environment travel as C strings, the latter as `K=V`.
fn check_words(name: &str, args: &[String], env: &BTreeMap<String, String>) -> Result<(), ManifestError> {
    let fail = |message: &str| Err(ManifestError { line: None, message: message.to_owned() });
    if env.keys().any(|key| key.is_empty() || key.contains('=')) {
        return fail("a name in `env` is empty or holds a `=`");
    }
    let mut words = args.iter().chain(env.keys()).chain(env.values()).map(String::as_str).chain([name]);
    if words.any(|word| word.contains('\0')) {
        return fail("`name`, `args` and `env` cannot hold NUL");
    }
    Ok(())
}

impl ManifestError {
    fn anywhere(message: String) -> ManifestError {
        ManifestError { line: None, message }
    }

    fn from_toml(error: &toml::de::Error, text: &str) -> ManifestError {
        let line = error.span().map(|span| line_of(text, span.start));
        let message = unknown_key(error.message()).unwrap_or_else(|| error.message().trim().replace('\n', ", "));
        ManifestError { line, message }
    }
}

/// serde's message of a key it does not know, "unknown field `a`, expected one of `b`, `c`", with the list
/// reduced to the nearest.
fn unknown_key(message: &str) -> Option<String> {
    let mut names = message.strip_prefix("unknown field ")?.split('`').skip(1).step_by(2);
    let unknown = names.next()?;
    let nearest = names.min_by_key(|name| strsim::osa_distance(name, unknown))?;
    Some(format!("unknown key `{unknown}`; the nearest known one is `{nearest}`"))
}

/// The number of the line that holds the byte at `offset`.
fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) const HEAD: &str = "[bundle]\nname = \"n\"\nentry = \"e.wasm\"\n";

    /// The manifest in a module's documentation.
    pub(super) fn example(source: &str) -> String {
        source
            .lines()
            .skip(2)
            .skip_while(|line| !line.contains("```toml"))
            .skip(1)
            .take_while(|line| !line.contains("```"))
            .map(|line| format!("{}\n", &line[4.min(line.len())..]))
            .collect()
    }

    pub(super) fn error(tail: &str) -> String {
        Manifest::parse(&format!("{HEAD}{tail}")).unwrap_err().to_string()
    }

    #[test]
    fn the_example_of_the_documentation() {
        let text = example(include_str!("manifest.rs"));
        let manifest = Manifest::parse(&text).unwrap();
        assert_eq!((manifest.name.as_str(), manifest.entry.as_deref()), ("wordcount", Some("wc.wasm")));
        assert_eq!((&manifest.args[..], manifest.env.len()), (&["-l".to_owned()][..], 1));
        assert_eq!(manifest.mounts.len(), 2);
        assert_eq!(manifest.mounts[0].source, Source::Bundle { path: "share/texts".into(), overlay: true });
        assert_eq!(manifest.mounts[1], Mount { guest: "/tmp".into(), source: Source::Memory });
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest() {
        assert_eq!(error("argz = []"), "line 4: unknown key `argz`; the nearest known one is `args`");
        assert_eq!(error("[[mounts]]\n"), "line 4: unknown key `mounts`; the nearest known one is `mount`");
        assert_eq!(error("[[mount]]\nguets = \"/\""), "line 5: unknown key `guets`; the nearest known one is `guest`");
    }

    #[test]
    fn what_is_missing_or_contradicts_itself() {
        assert!(Manifest::parse("").unwrap_err().to_string().contains("missing field `bundle`"));
        assert!(Manifest::parse("[bundle]\nname = \"n\"").unwrap_err().to_string().contains("`entry` is missing"));
        assert!(error("[[mount]]\npath = \"a\"").contains("missing field `guest`"));
        assert!(error("args = 1").starts_with("line 4: invalid type"));
        assert!(error("args = [").starts_with("line 4: "));
        for body in ["", "path = \"a\"\nmemory = true", "overlay = true", "memory = true\noverlay = true"] {
            let error = error(&format!("\n[[mount]]\nguest = \"/g\"\n{body}"));
            assert!(error.starts_with("line 5: the mount at `/g` needs either"), "{error}");
        }
    }

    #[test]
    fn words_that_are_no_c_strings() {
        assert!(error("args = [\"a\\u0000\"]").contains("NUL"));
        assert!(error("env = { \"A=B\" = \"c\" }").contains("`=`"));
    }
}
