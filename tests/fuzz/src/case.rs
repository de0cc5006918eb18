//! What a fuzzer's bytes stand for.

use crate::compare::Tally;
use crate::engines::Wasmi;
#[cfg(feature = "wasmtime")]
use crate::engines::Wasmtime;
use crate::{compare, dense, smith};
use arbitrary::{Arbitrary, Result, Unstructured};
use std::fmt::Write;

/// Features of the processor that the compiler can do without.
const FEATURES: [&str; 7] = ["avx", "avx2", "bmi1", "bmi2", "lzcnt", "popcnt", "fma"];

/// Bytes that a short input is expanded to.
const EXPANDED: usize = 6000;

/// How kitbag is set up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) unused_features: Vec<&'static str>,
    pub(crate) guard_pages: bool,
    pub(crate) check_values: bool,
    pub(crate) relaxed_simd_deterministic: bool,
    /// Whether code counts what it executes.
    pub(crate) fuel: bool,
}

impl Settings {
    /// Mostly the machine as it is; else without one of its features, or without any.
    pub(crate) fn draw(mode: u8, u: &mut Unstructured<'_>) -> Result<Settings> {
        let choice = u.arbitrary::<u8>()?;
        let unused_features = match choice % 16 {
            0..8 => Vec::new(),
            one @ 8..15 => vec![FEATURES[usize::from(one) - 8]],
            _ => FEATURES.to_vec(),
        };
        let fuel = mode & 4 != 0;
        Ok(Settings {
            unused_features,
            guard_pages: choice < 192,
            check_values: choice % 5 == 0,
            relaxed_simd_deterministic: choice % 3 == 0,
            fuel,
        })
    }
}

/// What modules are made of, which decides with whom they are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// What wasmi has, too.
    Common,
    /// Exceptions and typed references as well, which wasmtime has.
    Exceptions,
}

/// A module and how to run it.
pub struct Case {
    pub(crate) settings: Settings,
    pub(crate) language: Language,
    pub(crate) module: Vec<u8>,
    /// What arguments of calls are drawn from.
    pub(crate) arguments: u64,
}

impl Case {
    /// The case that `bytes` stand for, if they do for one.
    #[must_use]
    pub fn new(bytes: &[u8], language: Language) -> Option<Case> {
        let (&mode, rest) = bytes.split_first()?;
        if mode & 2 == 0 {
            return Case::draw(mode, language, &mut Unstructured::new(rest)).ok();
        }
        Case::draw(mode, language, &mut Unstructured::new(&expand(rest))).ok()
    }

    /// The same case as an input that is not expanded, and so can be made smaller bit by bit.
    #[must_use]
    pub fn unfolded(bytes: &[u8]) -> Vec<u8> {
        match bytes.split_first() {
            Some((&mode, rest)) if mode & 2 != 0 => [&[mode & !2], &expand(rest)[..]].concat(),
            _ => bytes.to_vec(),
        }
    }

    fn draw(mode: u8, language: Language, u: &mut Unstructured<'_>) -> Result<Case> {
        let settings = Settings::draw(mode, u)?;
        let arguments = u64::arbitrary(u)?;
        let exceptions = language == Language::Exceptions;
        let module = if mode & 1 == 0 { dense::module(u, exceptions)? } else { smith::module(u, exceptions)? };
        Ok(Case { settings, language, module, arguments })
    }

    /// The module's bytes.
    #[must_use]
    pub fn module(&self) -> &[u8] {
        &self.module
    }

    /// Runs it in both engines.
    ///
    /// # Errors
    /// Where they differ.
    ///
    /// # Panics
    /// If the language needs an oracle that is not built in: the feature `wasmtime`.
    pub fn compare(&self) -> Result<Tally, String> {
        match self.language {
            Language::Common => compare::compare::<Wasmi>(self).or_else(|difference| self.second_opinion(difference)),
            #[cfg(feature = "wasmtime")]
            Language::Exceptions => compare::compare::<Wasmtime>(self),
            #[cfg(not(feature = "wasmtime"))]
            Language::Exceptions => panic!("the feature wasmtime is off"),
        }
    }

    /// What wasmtime says to a difference from wasmi, which is no finding where it answers as kitbag does: of vectors that wasmi takes for
    /// numbers, since they are what `replace_lane` or a load of a lane gave, it loses the upper half now and then.
    #[cfg(feature = "wasmtime")]
    fn second_opinion(&self, difference: String) -> Result<Tally, String> {
        let agreed = compare::compare::<Wasmtime>(self);
        agreed.map(|tally| Tally { outvoted: 1, ..tally }).map_err(|other| format!("{difference}; {other}"))
    }

    #[cfg(not(feature = "wasmtime"))]
    fn second_opinion(&self, difference: String) -> Result<Tally, String> {
        Err(difference)
    }

    /// The case without its module, in words.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text = String::new();
        let _ = write!(text, "{} bytes of module, {:?}", self.module.len(), self.settings);
        text
    }
}

/// A random sequence that depends on all of `seed`: a few bytes are a whole program then, and any others another.
#[must_use]
pub fn expand(seed: &[u8]) -> Vec<u8> {
    let hash = seed
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mut random = Random(hash);
    (0..EXPANDED / 8).flat_map(|_| random.next().to_le_bytes()).collect()
}

/// splitmix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
