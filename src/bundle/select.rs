//! Which of a bundle's programs runs.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path as HostPath;

use super::{Bundle, Error, Tool};

/// A program of a bundle, chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Selected {
    /// What the guest finds as its own name.
    pub name: String,
    /// Its module: a path in the bundle.
    pub entry: String,
    /// Arguments that come before those of the command line.
    pub args: Vec<String>,
    /// Its environment.
    pub env: BTreeMap<String, String>,
}

impl Bundle {
    /// The program that runs, called by the name `argv0` with the arguments `args`: the tool of that name; or the one of which the
    /// first argument is the name, which is taken away then; or what runs without a choice.
    ///
    /// # Errors
    /// [`Error::NoTool`], [`Error::NoEntry`].
    pub fn select(&self, argv0: Option<&OsStr>, args: &mut Vec<OsString>) -> Result<Selected, Error> {
        let manifest = self.manifest();
        let named = |name: &OsStr| manifest.tools.iter().find(|tool| name == tool.name.as_str());
        if let Some(tool) = argv0.and_then(|name| HostPath::new(name).file_name()).and_then(named) {
            return Ok(self.selected(tool));
        }
        if let Some(tool) = args.first().and_then(|word| named(word)) {
            args.remove(0);
            return Ok(self.selected(tool));
        }
        match &manifest.entry {
            Some(entry) => Ok(Selected {
                name: manifest.name.clone(),
                entry: entry.clone(),
                args: manifest.args.clone(),
                env: manifest.env.clone(),
            }),
            None if manifest.tools.is_empty() => Err(Error::NoEntry),
            None => {
                let names: Vec<_> = manifest.tools.iter().map(|tool| tool.name.as_str()).collect();
                Err(Error::NoTool(names.join(", ")))
            }
        }
    }

    fn selected(&self, tool: &Tool) -> Selected {
        let manifest = self.manifest();
        let mut env = manifest.env.clone();
        env.extend(tool.env.clone());
        Selected {
            name: tool.name.clone(),
            entry: tool.entry.clone(),
            args: [&manifest.args[..], &tool.args].concat(),
            env,
        }
    }

    /// The modules that can run, each once.
    #[must_use]
    pub fn modules(&self) -> Vec<&str> {
        let manifest = self.manifest();
        let mut modules: Vec<&str> = manifest.entry.as_deref().into_iter().collect();
        modules.extend(manifest.tools.iter().map(|tool| tool.entry.as_str()));
        modules.sort_unstable();
        modules.dedup();
        modules
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kitbag_fs::memory::Memory;
    use kitbag_fs::{Bytes, Path};

    use super::*;
    use crate::bundle::MANIFEST;

    fn bundle(entry: &str) -> Bundle {
        let files = Memory::new();
        let text = format!(
            "[bundle]\nname = \"avr\"\nargs = [\"-x\"]\nenv = {{ A = \"1\", B = \"2\" }}\n{entry}\n\
             [[tool]]\nname = \"as\"\nentry = \"as.wasm\"\nargs = [\"-y\"]\nenv = {{ B = \"3\" }}\n\
             [[tool]]\nname = \"ld\"\nentry = \"ld.wasm\"\n"
        );
        files.insert(Path::new(MANIFEST.as_bytes()).unwrap(), Bytes::from(text.into_bytes())).unwrap();
        Bundle::new(Arc::new(files)).unwrap()
    }

    fn select(bundle: &Bundle, argv0: &str, words: &[&str]) -> (Result<String, Error>, Vec<OsString>) {
        let mut args = words.iter().map(OsString::from).collect();
        (bundle.select(Some(OsStr::new(argv0)), &mut args).map(|selected| selected.entry), args)
    }

    #[test]
    fn by_name_by_argument_or_without_a_choice() {
        let plain = bundle("entry = \"main.wasm\"");
        assert_eq!(select(&plain, "/usr/bin/as", &["ld"]), (Ok("as.wasm".into()), vec!["ld".into()]));
        assert_eq!(select(&plain, "avr", &["ld", "-o"]), (Ok("ld.wasm".into()), vec!["-o".into()]));
        assert_eq!(select(&plain, "avr", &["-o", "ld"]), (Ok("main.wasm".into()), vec!["-o".into(), "ld".into()]));
        let without = bundle("");
        assert_eq!(select(&without, "avr", &["nm"]).0, Err(Error::NoTool("as, ld".into())));
        assert_eq!(without.modules(), ["as.wasm", "ld.wasm"]);
    }

    #[test]
    fn a_tool_adds_to_what_the_bundle_says() {
        let selected = bundle("").select(Some(OsStr::new("as")), &mut Vec::new()).unwrap();
        assert_eq!((selected.name.as_str(), &selected.args[..]), ("as", &["-x".to_owned(), "-y".to_owned()][..]));
        assert_eq!(selected.env.into_values().collect::<String>(), "13");
    }
}
