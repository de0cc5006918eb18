//! Tables in tests that say which test answers for which line of a policy, and the check that the tests are there.

/// Checks that each row of the tables in `text` (lines of `//! | policy | tests |`) names tests, and that they are among `tests`.
pub(crate) fn name_tests(text: &str, tests: &str) {
    let tables = text.lines().filter_map(|line| line.strip_prefix("//! | "));
    let rows: Vec<_> = tables.filter(|row| !row.starts_with("policy |")).collect();
    assert!(rows.len() > 10, "{} rows", rows.len());
    for row in rows {
        let (line, names) = row.split_once(" | ").unwrap();
        let names: Vec<_> = names.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "{line}");
        for name in names {
            let name = name.rsplit("::").next().unwrap();
            let is_test = |indent| tests.contains(&format!("{indent}#[test]\n{indent}fn {name}("));
            assert!(["", "    "].into_iter().any(is_test), "{name}");
        }
    }
}
