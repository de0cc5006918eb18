//! Which of WebAssembly's later features a module uses.

use wasmparser::{Validator, WasmFeatures};

use super::{Module, text};
use crate::{Config, Result};

/// What came after WebAssembly 1.0, by the names of the proposals.
const FEATURES: [(&str, WasmFeatures); 14] = [
    ("mutable-globals", WasmFeatures::MUTABLE_GLOBAL),
    ("sign-extension", WasmFeatures::SIGN_EXTENSION),
    ("saturating-float-to-int", WasmFeatures::SATURATING_FLOAT_TO_INT),
    ("multi-value", WasmFeatures::MULTI_VALUE),
    ("bulk-memory", WasmFeatures::BULK_MEMORY),
    ("reference-types", WasmFeatures::REFERENCE_TYPES),
    ("simd", WasmFeatures::SIMD),
    ("relaxed-simd", WasmFeatures::RELAXED_SIMD),
    ("tail-call", WasmFeatures::TAIL_CALL),
    ("extended-const", WasmFeatures::EXTENDED_CONST),
    ("multi-memory", WasmFeatures::MULTI_MEMORY),
    ("memory64", WasmFeatures::MEMORY64),
    ("exceptions", WasmFeatures::EXCEPTIONS),
    ("threads", WasmFeatures::THREADS),
];

impl Module {
    /// The features after WebAssembly 1.0 without which the bytes, binary or text, would be no valid module: names of the proposals.
    ///
    /// # Errors
    /// [`Parse`](crate::Error::Parse); [`Invalid`](crate::Error::Invalid), where they are none with all of them.
    pub fn used_features(bytes: impl AsRef<[u8]>) -> Result<Vec<&'static str>> {
        let binary = text::to_binary(bytes.as_ref())?;
        let all = FEATURES.iter().fold(Config::new().features, |all, (_, feature)| all | *feature);
        Validator::new_with_features(all).validate_all(&binary)?;
        let needed = |feature: WasmFeatures| {
            // Nothing of vectors is left without vectors.
            let rest = if feature == WasmFeatures::SIMD { feature | WasmFeatures::RELAXED_SIMD } else { feature };
            Validator::new_with_features(all - rest).validate_all(&binary).is_err()
        };
        Ok(FEATURES.iter().filter(|(_, feature)| needed(*feature)).map(|(name, _)| *name).collect())
    }

    /// The binary format of a module, of which bytes that are in that already are a copy.
    ///
    /// # Errors
    /// [`Parse`](crate::Error::Parse), with line and column.
    pub fn text_to_binary(bytes: &[u8]) -> Result<Vec<u8>> {
        Ok(text::to_binary(bytes)?.into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_module_uses() {
        let features = |text: &str| Module::used_features(text).unwrap();
        assert_eq!(features("(module (func))"), [""; 0]);
        assert_eq!(features("(module (func (result i32 i32) i32.const 1 i32.const 2))"), ["multi-value"]);
        assert_eq!(features("(module (memory i64 1) (func (drop (v128.const i64x2 0 0))))"), ["simd", "memory64"]);
        assert_eq!(features("(module (func $f (return_call $f)))"), ["tail-call"]);
        assert!(Module::used_features("(module (func (result i32)))").is_err());
    }
}
