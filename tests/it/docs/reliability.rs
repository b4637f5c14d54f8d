//! What is said to be tested is tested.

use std::path::Path;

use super::{code, path, read, rows};

fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap().path();
        if entry.is_dir() {
            sources(&entry, text);
        } else if entry.extension().is_some_and(|it| it == "rs") {
            text.push_str(&std::fs::read_to_string(entry).unwrap());
        }
    }
}

#[test]
fn every_named_test_exists() {
    let mut text = String::new();
    sources(&path("tests/it"), &mut text);
    let mut named = 0;
    for row in rows(&read("docs/reliability.md"), "## Promises") {
        let tests = code(&row[1]);
        for test in tests {
            let (_, name) = test.rsplit_once("::").unwrap();
            assert!(text.contains(&format!("fn {name}()")), "{test}");
            named += 1;
        }
    }
    assert!(named >= 10, "{named}");
}
