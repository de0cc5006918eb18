//! Names from a module's name section, read when they are first asked for.

use std::collections::HashMap;

use wasmparser::{BinaryReader, Name, NameSectionReader};

/// Names of a module and its functions.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) module: Option<Box<str>>,
    pub(crate) functions: HashMap<u32, Box<str>>,
}

impl Names {
    /// What can be read: a name section is no part of what is validated, and ends where it is malformed.
    pub(crate) fn parse(section: &[u8]) -> Names {
        let mut names = Names::default();
        for name in NameSectionReader::new(BinaryReader::new(section, 0)).map_while(Result::ok) {
            match name {
                Name::Module { name, .. } => names.module = Some(name.into()),
                Name::Function(functions) => {
                    let pairs = functions.into_iter().map_while(Result::ok);
                    names.functions.extend(pairs.map(|naming| (naming.index, naming.name.into())));
                }
                _ => {}
            }
        }
        names
    }
}
