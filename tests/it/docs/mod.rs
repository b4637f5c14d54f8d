//! The documents say what is true: their examples run, and their tables are complete.

mod architecture;
mod commands;
mod configuration;
mod everything;
mod guides;
mod operations;
mod permissions;
mod reliability;

use std::path::PathBuf;

pub(crate) use self::{
    configuration::check_example,
    everything::Everything,
    operations::{listed_metrics, metrics_in},
};

/// The path of a file in the repository.
pub(crate) fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file)
}

pub(crate) fn read(file: &str) -> String {
    std::fs::read_to_string(path(file)).unwrap()
}

/// Every Markdown file that a reader comes to, with its path.
fn documents() -> Vec<(String, String)> {
    let mut files = vec![
        "README.md".to_owned(),
        "CHANGELOG.md".to_owned(),
        "CONTRIBUTING.md".to_owned(),
        "deploy/kubernetes/README.md".to_owned(),
        "deploy/helm/eso-relay/README.md".to_owned(),
    ];
    for folder in ["docs", "docs/providers"] {
        for entry in std::fs::read_dir(path(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.rsplit('.').next() == Some("md") {
                files.push(format!("{folder}/{name}"));
            }
        }
    }
    files
        .into_iter()
        .map(|file| (file.clone(), read(&file)))
        .collect()
}

/// The fenced blocks of a language, also those inside a list.
pub(crate) fn blocks(document: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        let indent = line.len() - line.trim_start().len();
        let Some(found) = line.trim_start().strip_prefix("```") else {
            continue;
        };
        let block: Vec<&str> = lines
            .by_ref()
            .take_while(|line| line.trim_start() != "```")
            .map(|line| line.get(indent..).unwrap_or_default())
            .collect();
        if found == language {
            blocks.push(block.join("\n"));
        }
    }
    blocks
}

/// The objects of a cluster that the documents show: blocks that begin with this line.
const KUBERNETES: &str = "# kubernetes.yaml";

/// All of them, in the namespaces `team-a` and `team-b`.
pub(crate) fn documented_objects() -> Vec<String> {
    let documents = documents();
    let blocks = documents
        .iter()
        .flat_map(|(_, document)| blocks(document, "yaml"));
    blocks
        .filter(|block| block.starts_with(KUBERNETES))
        .collect()
}

/// The rows of the tables below a heading, up to the next heading; without the tables' own heads.
fn rows(document: &str, heading: &str) -> Vec<Vec<String>> {
    let section = document.lines().skip_while(|line| *line != heading).skip(1);
    let lines: Vec<&str> = section.take_while(|line| !line.starts_with('#')).collect();
    let rows = lines.iter().enumerate().filter(|(at, line)| {
        let head = |line: Option<&&str>| line.is_some_and(|line| line.starts_with("|---"));
        line.starts_with('|') && !head(Some(line)) && !head(lines.get(at + 1))
    });
    let rows: Vec<Vec<String>> = rows
        .map(|(_, line)| {
            let cells = line.trim_matches('|').split(" | ");
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect();
    assert!(!rows.is_empty(), "no table below {heading:?}");
    rows
}

/// What stands between backticks.
fn code(cell: &str) -> Vec<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_link_between_the_documents_leads_somewhere() {
    for (file, document) in documents() {
        for link in document.split("](").skip(1) {
            let link = link.split(')').next().unwrap();
            let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
            if target.starts_with("http") {
                continue;
            }
            let there = match target {
                "" => path(&file),
                target => path(&file).parent().unwrap().join(target),
            };
            assert!(there.exists(), "{file}: {link}");
            if !anchor.is_empty() {
                let text = std::fs::read_to_string(there).unwrap();
                let headings = text.lines().filter(|line| line.starts_with('#'));
                let mut anchors = headings.map(|line| {
                    let title = line.trim_start_matches('#').trim().to_lowercase();
                    // As GitHub makes them: punctuation goes.
                    let stays = |letter: &char| letter.is_alphanumeric() || " -_".contains(*letter);
                    let kept: String = title.chars().filter(stays).collect();
                    kept.replace(' ', "-")
                });
                assert!(anchors.any(|found| found == anchor), "{file}: {link}");
            }
        }
    }
}
