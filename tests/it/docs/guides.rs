//! The guides to the senders: their HCL is complete, and each says what a platform engineer asks.

use std::{collections::BTreeSet, iter::once};

use hcl_edit::{
    expr::{Expression, Traversal, TraversalOperator},
    parser::parse_body,
    structure::{Block, BlockLabel, Body},
    visit::{Visit, visit_traversal},
};

use super::{blocks, documents, rows};

/// The pages of senders, with their paths.
fn guides() -> Vec<(String, String)> {
    let mut guides = documents();
    guides.retain(|(file, _)| file.starts_with("docs/providers/") && !file.ends_with("README.md"));
    assert!(guides.len() >= 10);
    guides
}

/// What expressions refer to: variables, locals, resources and data, such as `data.aws_region.here`.
#[derive(Default)]
struct References(BTreeSet<String>);

impl Visit for References {
    fn visit_traversal(&mut self, traversal: &Traversal) {
        if let Expression::Variable(root) = &traversal.expr {
            let root = root.as_str();
            let names = traversal
                .operators
                .iter()
                .map_while(|operator| match operator.value() {
                    TraversalOperator::GetAttr(name) => Some(name.as_str()),
                    _ => None,
                });
            let length = if root == "data" { 3 } else { 2 };
            let path: Vec<&str> = once(root).chain(names).take(length).collect();
            // All types of resources have a `_`; what else has none is of Terraform, such as `each`.
            if matches!(root, "var" | "local" | "data") || root.contains('_') {
                self.0.insert(path.join("."));
            }
        }
        visit_traversal(self, traversal);
    }
}

fn labels(block: &Block) -> Vec<&str> {
    block.labels.iter().map(BlockLabel::as_str).collect()
}

/// What a reference can lead to.
fn declared(body: &Body) -> BTreeSet<String> {
    let mut declared = BTreeSet::new();
    for block in body.blocks() {
        let labels = labels(block).join(".");
        match block.ident.as_str() {
            "variable" => declared.insert(format!("var.{labels}")),
            "resource" => declared.insert(labels),
            "data" => declared.insert(format!("data.{labels}")),
            _ => false,
        };
    }
    for locals in body.get_blocks("locals") {
        let names = locals.body.attributes();
        declared.extend(names.map(|local| format!("local.{}", local.key.as_str())));
    }
    declared
}

/// The names in `required_providers`.
fn required_providers(body: &Body) -> BTreeSet<&str> {
    let terraform = body.get_blocks("terraform");
    let required = terraform.flat_map(|block| block.body.get_blocks("required_providers"));
    let providers = required.flat_map(|block| block.body.attributes());
    providers.map(|provider| provider.key.as_str()).collect()
}

/// Whether every name leads to something is all that can be checked without the providers.
#[test]
fn the_hcl_of_a_guide_is_complete() {
    let mut with_terraform = 0;
    for (file, document) in guides() {
        let hcl = blocks(&document, "hcl").join("\n\n");
        let body = parse_body(&hcl).unwrap_or_else(|error| panic!("{file}: {error}"));
        let mut references = References::default();
        references.visit_body(&body);
        let (declared, used) = (declared(&body), references.0);
        let missing: Vec<_> = used.difference(&declared).collect();
        assert!(missing.is_empty(), "{file}: not declared: {missing:?}");
        for name in declared.iter().filter(|name| name.starts_with("var.")) {
            assert!(used.contains(name), "{file}: {name} is not used");
        }
        let providers = required_providers(&body);
        let made = body.blocks().filter(|block| block.has_ident("resource"));
        for block in made {
            let kind = labels(block)[0];
            let provider = kind.split('_').next().unwrap();
            assert!(
                providers.contains(provider),
                "{file}: {kind}: of which provider?"
            );
        }
        with_terraform += usize::from(!providers.is_empty());
    }
    assert!(with_terraform >= 8, "{with_terraform}");
}

#[test]
fn every_guide_tells_the_answers_and_how_to_see_an_event() {
    for (file, document) in guides() {
        let answers = "## What the sender does with our answers";
        let answers = rows(&document, answers);
        assert!(
            answers
                .iter()
                .any(|row| row[0] == "2xx" || row[0].contains("20")),
            "{file}"
        );
        let (_, section) = document.split_once("\n## What the sender does").unwrap();
        let (section, arrival) = section
            .split_once("\n## How to see that it arrived\n")
            .unwrap_or_else(|| panic!("{file}: how does somebody see that it arrived?"));
        assert!(
            section.contains("](https://"),
            "{file}: the answers have no source"
        );
        assert!(
            arrival.contains("README.md#how-to-see-that-it-arrived"),
            "{file}"
        );
    }
}
