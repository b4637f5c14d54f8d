//! The malformed fields of an object: each is told, and the others count.

use serde_json::Value;

/// By their place, without their values.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<String>);

impl Problems {
    pub(super) fn add(&mut self, place: &str, problem: &str) {
        self.0.push(format!("{place} {problem}"));
    }

    /// The entries of a list, each with its place; none where it is missing.
    pub(super) fn list<'v>(&mut self, parent: &'v Value, field: &str) -> Vec<(String, &'v Value)> {
        match &parent[field] {
            Value::Null => Vec::new(),
            Value::Array(entries) => (0..)
                .zip(entries)
                .map(|(at, entry): (usize, _)| (format!("{field}[{at}]"), entry))
                .collect(),
            _ => {
                self.add(field, "is not a list");
                Vec::new()
            }
        }
    }

    pub(super) fn into_texts(self) -> Vec<String> {
        self.0
    }
}
