//! The grammar of the manifest for editors and other tools.

/// The [JSON schema](https://json-schema.org/draft/2020-12/schema) of a manifest, TOML's tables being its objects.
#[must_use]
pub fn schema() -> &'static str {
    include_str!("schema.json")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    /// The keys that are known where `table` begins, as the refusal of an unknown one lists them.
    fn known(table: &str) -> BTreeSet<String> {
        let text = format!("{table}\nno-such-key = 1\n");
        let error = toml::from_str::<super::super::Document>(&text).map(drop).unwrap_err().message().to_owned();
        error.split('`').skip(3).step_by(2).map(str::to_owned).collect()
    }

    fn keys(object: &Value) -> BTreeSet<String> {
        object["properties"].as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn it_has_the_keys_that_the_parser_knows() {
        let schema: Value = serde_json::from_str(schema()).unwrap();
        let bundle = "[bundle]\nname = \"n\"\n";
        let places = [
            ("", "".to_owned()),
            ("/properties/bundle", "[bundle]".to_owned()),
            ("/properties/mount/items", format!("{bundle}[[mount]]")),
            ("/properties/tool/items", format!("{bundle}[[tool]]")),
            ("/properties/limits", format!("{bundle}[limits]")),
            ("/properties/streams", format!("{bundle}[streams]")),
            ("/properties/serve", format!("{bundle}[serve]")),
            ("/properties/serve/properties/limits", format!("{bundle}[serve.limits]")),
            ("/properties/route/items", format!("{bundle}[[route]]")),
        ];
        for (pointer, table) in places {
            let object = schema.pointer(pointer).unwrap();
            assert_eq!(keys(object), known(&table), "{pointer}");
            assert_eq!(object["additionalProperties"], Value::Bool(false), "{pointer}");
        }
    }
}
