//! Compiled functions as text: each operator, and below it the instructions that it became.
//!
//! ```text
//! func 3 $div (i32, i32) -> (i32): 26 bytes, 0 of frame
//!            0:  mov esi, edx
//!            3:  mov r8d, ecx
//!     64  local.get 0
//!     66  local.get 1
//!     68  i32.div_s
//!            6:  mov eax, esi
//!            9:  test r8d, r8d
//!            c:  je 0x17
//!           12:  cdq
//!           13:  idiv r8d
//!     69  end
//!           16:  ret
//!     68  ...
//!           17:  ud2  ; integer divide by zero
//! ```
//!
//! Operators begin with their offset in the module, instructions with theirs in the function; both are hexadecimal. What a
//! function needs only in rare cases comes after its end, with the offset of the operator that needs it.

mod instructions;
mod operators;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::ops::Range;

use self::instructions::Instructions;
use crate::jit::{self, Code, Env, Function, Origin, Span, Target};
use crate::module::{Names, parse, to_binary};
use crate::{Engine, FuncType, Result};

/// What ends a function, and how the text format writes it.
const END: &str = "end";
const CLOSED: &str = ")";

/// A module's code, and what there is to say about it.
pub struct Disassembly {
    bytes: Vec<u8>,
    env: Env,
    target: Target,
    code: Code,
    imported: u32,
    names: Names,
    types: Vec<FuncType>,
    exports: Vec<(Box<str>, u32)>,
    /// The bodies of the defined functions, in the module.
    bodies: Vec<Range<u64>>,
}

impl std::fmt::Debug for Disassembly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disassembly").field("functions", &self.bodies.len()).finish_non_exhaustive()
    }
}

impl Disassembly {
    /// Compiles a module, binary or in the text format, for [`Target::host`] as [`Module::new`](crate::Module::new) does.
    ///
    /// # Errors
    /// As for [`Module::new`](crate::Module::new).
    pub fn new(engine: &Engine, bytes: impl AsRef<[u8]>, target: Target) -> Result<Disassembly> {
        let bytes = to_binary(bytes.as_ref())?.into_owned();
        let (info, functions, _) = parse(engine, &bytes)?;
        let env = info.env(engine);
        let bodies = functions.iter().map(|(_, body)| body.range()).collect();
        let code = jit::compile(&env, target, functions, engine.config().threads())?;
        let ty = |&ty: &u32| info.types[ty as usize].clone();
        Ok(Disassembly {
            imported: info.imported_functions as u32,
            names: info.names.as_deref().map(Names::parse).unwrap_or_default(),
            types: info.functions.iter().map(ty).collect(),
            exports: info.exported_functions().map(|(name, function)| (name.into(), function)).collect(),
            bytes,
            env,
            target,
            code,
            bodies,
        })
    }

    /// The defined function that `name` means: its index, or its name, or one that it is exported by.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<u32> {
        let named = || self.names.functions.iter().find(|(_, known)| ***known == *name).map(|(&index, _)| index);
        let exported = || self.exports.iter().find(|(known, _)| **known == *name).map(|&(_, index)| index);
        let index = name.parse().ok().or_else(named).or_else(exported)?;
        let defined = self.imported..self.imported + self.bodies.len() as u32;
        defined.contains(&index).then_some(index)
    }

    /// Its defined functions, by index.
    #[must_use]
    pub fn functions(&self) -> Range<u32> {
        self.imported..self.imported + self.bodies.len() as u32
    }

    /// Writes functions in order of their indices, one after another.
    ///
    /// # Errors
    /// Where `out` cannot be written.
    pub fn write(&self, engine: &Engine, functions: Range<u32>, out: &mut dyn io::Write) -> Result<()> {
        let (_, bodies, _) = parse(engine, &self.bytes)?;
        let mut bodies: Vec<_> = bodies.into_iter().map(Some).collect();
        let wanted = functions.start - self.imported..functions.end - self.imported;
        let listed = |place: usize, texts: &HashMap<u64, String>| {
            let body = bodies[place].take().filter(|_| wanted.contains(&(place as u32)));
            body.map_or(Ok(()), |body| self.function(place, body, texts, out))
        };
        operators::each_function(&self.bytes, &self.bodies, listed)
    }

    fn function(
        &self,
        place: usize,
        body: Function<'_>,
        texts: &HashMap<u64, String>,
        out: &mut dyn io::Write,
    ) -> Result<()> {
        let instructions = Instructions::new(self.target, &self.code, place, |callee| self.label(callee));
        let spans = jit::positions(&self.env, self.target, &body, instructions.bytes())?;
        let spans = spans.expect("a function becomes the same code each time");
        let mut text = self.title(place);
        for (index, &Span { start, origin }) in spans.iter().enumerate() {
            let end = spans.get(index + 1).map_or(instructions.len(), |next| next.start);
            // A table cuts its operator's code in two.
            let continued = index > 1 && spans[index - 2].origin == origin;
            match origin {
                Origin::Operator(offset) if !continued => {
                    let operator = texts.get(&offset).map_or(END, String::as_str);
                    _ = writeln!(text, "{offset:>6x}  {}", if operator == CLOSED { END } else { operator });
                }
                Origin::Late(offset) => _ = writeln!(text, "{offset:>6x}  ..."),
                Origin::LateEntry => text.push_str("        ...\n"),
                Origin::Entry | Origin::Operator(_) | Origin::Table | Origin::Constants => {}
            }
            instructions.write(start..end, origin, &mut text);
        }
        out.write_all(text.as_bytes())?;
        Ok(())
    }

    fn title(&self, place: usize) -> String {
        let code = self.code.functions[place];
        let function = self.imported + place as u32;
        let (name, ty, size) = (self.label(place), &self.types[function as usize], code.end - code.start);
        format!("func {name} {ty}: {size} bytes, {} of frame\n", code.frame)
    }

    /// A defined function's index and name.
    fn label(&self, place: usize) -> String {
        let function = self.imported + place as u32;
        match self.names.functions.get(&function) {
            Some(name) => format!("{function} ${}", name.escape_default()),
            None => function.to_string(),
        }
    }
}
