//! `.github/workflows`: least rights, and no code of others that may change under its name.

use std::{collections::BTreeSet, process::Command};

use serde_json::{Value, json};

use crate::docs::{path, read};

struct Workflow {
    file: String,
    text: String,
    content: Value,
}

impl Workflow {
    fn of(name: &str) -> Self {
        let file = format!(".github/workflows/{name}");
        let text = read(&file);
        let content = serde_saphyr::from_str(&text).unwrap();
        Self {
            file,
            text,
            content,
        }
    }

    fn jobs(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.content["jobs"].as_object().unwrap().iter()
    }

    fn steps(&self) -> impl Iterator<Item = &Value> {
        let steps = self.jobs().filter_map(|(_, job)| job["steps"].as_array());
        steps.flatten()
    }
}

fn workflows() -> Vec<Workflow> {
    let entries = std::fs::read_dir(path(".github/workflows")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let all: Vec<_> = names.map(|name| Workflow::of(&name)).collect();
    assert!(all.len() >= 3);
    all
}

#[test]
fn actions_of_others_are_pinned_by_their_commit() {
    let mut pins = BTreeSet::new();
    for workflow in workflows() {
        for line in workflow.text.lines() {
            let Some((_, used)) = line.split_once("uses: ") else {
                continue;
            };
            // A file of this commit.
            if used.starts_with("./.github/workflows/") {
                assert!(path(&used[2..]).is_file(), "{}: {used}", workflow.file);
                continue;
            }
            let (action, pin) = used.split_once('@').unwrap();
            // What the commit is called stands beside it, for people and for tools that renew it.
            let (commit, version) = pin.split_once(" # v").unwrap_or_else(|| panic!("{used}"));
            let is_commit = commit.len() == 40 && commit.bytes().all(|it| it.is_ascii_hexdigit());
            assert!(is_commit, "{}: {used}", workflow.file);
            assert!(version.split('.').count() == 3, "{}: {used}", workflow.file);
            pins.insert((action.to_owned(), commit.to_owned()));
        }
        let uses = workflow.text.matches("uses:").count();
        assert_eq!(
            uses,
            workflow.text.matches("uses: ").count(),
            "{}",
            workflow.file
        );
    }
    let actions: BTreeSet<_> = pins.iter().map(|(action, _)| action).collect();
    assert_eq!(
        actions.len(),
        pins.len(),
        "one action, two commits: {pins:?}"
    );
}

#[test]
fn a_job_has_the_rights_that_it_names_and_no_others() {
    for Workflow {
        file,
        content,
        text,
    } in workflows()
    {
        assert_eq!(content["permissions"], json!({}), "{file}");
        assert!(!text.contains("pull_request_target"), "{file}");
        for (name, job) in content["jobs"].as_object().unwrap() {
            let rights = job["permissions"].as_object();
            let rights = rights.unwrap_or_else(|| panic!("{file}: {name} has no permissions"));
            assert!(!rights.is_empty(), "{file}: {name}");
            // Someone approves what may change anything.
            let writes = rights.values().any(|right| right == "write");
            assert_eq!(writes, job["environment"] == "release", "{file}: {name}");
        }
    }
}

/// Text that others choose, such as a tag's, is a variable of a script and never a part of it.
#[test]
fn no_script_is_put_together_from_expressions() {
    let mut scripts = 0;
    for workflow in workflows() {
        for step in workflow.steps() {
            if let Some(script) = step["run"].as_str() {
                assert!(!script.contains("${{"), "{}: {script}", workflow.file);
                scripts += 1;
            }
            let checks_out = step["uses"]
                .as_str()
                .is_some_and(|it| it.starts_with("actions/checkout@"));
            if checks_out {
                let kept = &step["with"]["persist-credentials"];
                assert_eq!(kept, false, "{}: {step}", workflow.file);
            }
        }
    }
    assert!(scripts >= 10, "{scripts}");
}

#[test]
fn a_release_is_tested_and_nothing_is_named_before_it_is_signed() {
    let release = Workflow::of("release.yml");
    let content = &release.content;
    assert_eq!(content["on"], json!({ "push": { "tags": ["v*"] } }));
    let group = content["concurrency"]["group"].as_str().unwrap();
    assert!(group.contains("github.ref"), "{group}");
    assert_eq!(content["concurrency"]["cancel-in-progress"], false);
    // What is pushed has passed what a change must pass.
    assert_eq!(
        content["jobs"]["tests"]["uses"],
        "./.github/workflows/ci.yml"
    );
    let ci = Workflow::of("ci.yml");
    assert!(
        ci.content["on"]
            .as_object()
            .unwrap()
            .contains_key("workflow_call")
    );
    for (name, job) in release.jobs() {
        let needs: Vec<_> = job["needs"].as_array().into_iter().flatten().collect();
        let is_first = ["version", "tests"].contains(&name.as_str());
        assert!(
            is_first
                || needs
                    .iter()
                    .any(|it| ["tests", "image"].contains(&it.as_str().unwrap())),
            "{name}"
        );
    }
    let text = &release.text;
    let order = [
        "push-by-digest=true",
        "cosign sign --yes",
        "cosign attest",
        "attest-build-provenance@",
        "crane tag",
    ];
    let places = order.map(|it| text.find(it).unwrap_or_else(|| panic!("{it}")));
    assert!(places.is_sorted(), "{places:?}");
    // The architectures that deploy/binaries knows.
    assert!(text.contains("--platform linux/amd64,linux/arm64"));
    assert!(text.contains("--file deploy/Dockerfile"));
}

/// The notes of this version, and the lines of the chart that it puts the image's digest into.
#[test]
fn the_release_finds_what_it_looks_for() {
    let version = env!("CARGO_PKG_VERSION");
    let values = read("deploy/helm/eso-relay/values.yaml");
    for line in ["  repository: eso-relay", "  digest: \"\""] {
        assert_eq!(values.lines().filter(|it| *it == line).count(), 1, "{line}");
    }
    let notes = |version: &str| {
        Command::new(path("deploy/notes"))
            .arg(version)
            .output()
            .unwrap()
    };
    let said = notes(version);
    assert!(said.status.success(), "{said:?}");
    let said = String::from_utf8(said.stdout).unwrap();
    // Of this version alone.
    assert!(said.len() > 200 && !said.contains("\n## "), "{said}");
    assert!(!notes("99.0.0").status.success());
}
