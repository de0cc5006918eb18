//! What a manifest says of running beside its module: tools, limits, streams, folders of the host.
//!
//! ```toml
//! [[tool]]                        # several programs over the same files: chosen by the name that the executable is called
//! name = "as"                     # by, or else by its first argument; `entry` in [bundle] is what runs without a choice
//! entry = "bin/as.wasm"
//! args = ["-mmcu=avr5"]           # before those of the command line, after those in [bundle]
//! env = { TMPDIR = "/tmp" }       # beside those in [bundle]
//!
//! [limits]                        # options of the command line come before these
//! time = "5m"                     # how long it may run
//! memory = "512M"                 # bytes of each of its memories
//! fds = 64                        # descriptors open at once
//! write = "1G"                    # bytes that it may write in all
//!
//! [streams]                       # "inherit" is the default
//! stdin = "null"
//! stdout = "inherit"
//! stderr = "inherit"
//! ```
//!
//! A mount can be of the host, too. A self-contained executable opens it; `kitbag run` does so only when told to with `--grant`:
//!
//! ```toml
//! [[mount]]
//! guest = "."
//! host = "cwd"                    # the working directory; or "/a/path"; or "$NAME", the folder that a variable names
//! read-only = true                # default: false
//! optional = true                 # it is no error where it is not there (default: false)
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::serve::{Size, Time};
use super::{ManifestError, check_words, line_of};

/// One of several programs of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tool {
    /// What it is called, and what the guest finds as its own name.
    pub name: String,
    /// Its module: a path in the bundle.
    pub entry: String,
    /// Its arguments, after those of the bundle.
    pub args: Vec<String>,
    /// Its environment, beside that of the bundle.
    pub env: BTreeMap<String, String>,
}

/// What a program is not to exceed; none means the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunLimits {
    /// How long it may run.
    pub time: Option<Duration>,
    /// Bytes of each of its memories.
    pub memory: Option<u64>,
    /// Descriptors open at once.
    pub fds: Option<u32>,
    /// Bytes written in all.
    pub write: Option<u64>,
}

/// What a standard stream leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum StreamTo {
    /// The stream of the process.
    #[default]
    Inherit,
    /// Nothing: empty to read, gone when written.
    Null,
}

/// The standard streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Streams {
    /// Standard input.
    pub stdin: StreamTo,
    /// Standard output.
    pub stdout: StreamTo,
    /// Standard error.
    pub stderr: StreamTo,
}

/// A folder of the host that a bundle asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostFolder {
    /// The working directory.
    Cwd,
    /// An absolute path.
    Path(String),
    /// The folder that an environment variable of the host names.
    Variable(String),
}

impl HostFolder {
    /// As a manifest writes it.
    pub(super) fn parse(text: &str) -> Option<HostFolder> {
        match text {
            "cwd" => Some(HostFolder::Cwd),
            path if path.starts_with('/') && !path.contains('\0') => Some(HostFolder::Path(path.to_owned())),
            _ => {
                let name = text.strip_prefix('$').filter(|name| !name.is_empty() && !name.contains(['=', '\0']))?;
                Some(HostFolder::Variable(name.to_owned()))
            }
        }
    }
}

impl std::fmt::Display for HostFolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            HostFolder::Cwd => f.write_str("the working directory"),
            HostFolder::Path(path) => write!(f, "the folder {path}"),
            HostFolder::Variable(name) => write!(f, "the folder that the variable {name} names"),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ToolTable {
    name: String,
    entry: String,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsTable {
    time: Option<Time>,
    memory: Option<Size>,
    fds: Option<u32>,
    write: Option<Size>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StreamsTable {
    stdin: StreamTo,
    stdout: StreamTo,
    stderr: StreamTo,
}

/// Checks the tools, whose names are to be told apart.
pub(super) fn tools(tables: Vec<toml::Spanned<ToolTable>>, text: &str) -> Result<Vec<Tool>, ManifestError> {
    let mut tools: Vec<Tool> = Vec::new();
    for table in tables {
        let line = line_of(text, table.span().start);
        let ToolTable { name, entry, args, env } = table.into_inner();
        check_words(&name, &args, &env)?;
        let fail = |problem: &str| ManifestError { line: Some(line), message: format!("the tool `{name}` {problem}") };
        if name.is_empty() || name.contains('/') {
            return Err(fail("needs the name of a file"));
        }
        if tools.iter().any(|tool| tool.name == name) {
            return Err(fail("is there twice"));
        }
        tools.push(Tool { name, entry, args, env });
    }
    Ok(tools)
}

impl From<LimitsTable> for RunLimits {
    fn from(LimitsTable { time, memory, fds, write }: LimitsTable) -> RunLimits {
        let bytes = |size: Option<Size>| size.map(|size| size.0);
        RunLimits { time: time.map(|time| time.0), memory: bytes(memory), fds, write: bytes(write) }
    }
}

impl From<StreamsTable> for Streams {
    fn from(StreamsTable { stdin, stdout, stderr }: StreamsTable) -> Streams {
        Streams { stdin, stdout, stderr }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{HEAD, error, example};
    use super::super::{Manifest, Source};
    use super::*;

    #[test]
    fn the_examples_of_the_documentation() {
        let source = include_str!("running.rs");
        let manifest = Manifest::parse(&format!("{HEAD}{}", example(source))).unwrap();
        assert_eq!((manifest.tools[0].name.as_str(), manifest.tools[0].args.len()), ("as", 1));
        assert_eq!(manifest.limits.time, Some(Duration::from_secs(300)));
        assert_eq!((manifest.limits.memory, manifest.limits.fds), (Some(512 << 20), Some(64)));
        assert_eq!(manifest.streams, Streams { stdin: StreamTo::Null, ..Streams::default() });
        let mount = source.split("--grant`:").nth(1).unwrap();
        let manifest = Manifest::parse(&format!("{HEAD}{}", example(&format!("\n\n{mount}")))).unwrap();
        let wanted = Source::Host { folder: HostFolder::Cwd, read_only: true, optional: true };
        assert_eq!(manifest.mounts[0].source, wanted);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let twice = "[[tool]]\nname = \"a\"\nentry = \"b\"\n".repeat(2);
        assert_eq!(error(&twice), "line 7: the tool `a` is there twice");
        assert!(error("[[tool]]\nname = \"a/b\"\nentry = \"b\"").contains("name of a file"));
        assert!(error("[limits]\nmemory = \"12X\"").starts_with("line 5: it is no size"));
        assert!(error("[limits]\nmemroy = \"1M\"").contains("nearest known one is `memory`"));
        assert!(error("[streams]\nstdin = \"file\"").contains("inherit"));
        for folder in ["home", "$", "", "a/b"] {
            let error = error(&format!("[[mount]]\nguest = \"/\"\nhost = \"{folder}\""));
            assert!(error.contains("`host`"), "{error}");
        }
        assert!(error("[[mount]]\nguest = \"/\"\npath = \"a\"\nread-only = true").contains("needs either"));
    }

    #[test]
    fn tools_can_stand_for_an_entry() {
        let text = "[bundle]\nname = \"n\"\n[[tool]]\nname = \"a\"\nentry = \"a.wasm\"";
        assert_eq!(Manifest::parse(text).unwrap().entry, None);
    }
}
