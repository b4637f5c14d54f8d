//! What the chart holds of other files, and what its pages say. Written by
//! `ESO_RELAY_REGENERATE=1 cargo test --test it chart::files`.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use super::{CASES, CHART};
use crate::docs::{blocks, path, read};

/// The file is as it should be; or becomes so, where that is asked for.
fn equal(file: &str, wanted: &str) {
    if std::env::var_os("ESO_RELAY_REGENERATE").is_some() {
        fs::write(path(file), wanted).unwrap();
    }
    let is = read(file) == wanted;
    assert!(
        is,
        "{file}: ESO_RELAY_REGENERATE=1 cargo test --test it chart::files"
    );
}

#[test]
fn the_schema_holds_those_of_the_daemons() {
    let file = format!("{CHART}/values.schema.json");
    let mut schema: Value = serde_json::from_str(&read(&file)).unwrap();
    for daemon in ["ingress", "consumer"] {
        let own = read(&format!("docs/schema/{daemon}.schema.json"));
        // Helm 3.17 and older know references within the file alone.
        let own = own.replace("\"#/$defs/", &format!("\"#/$defs/{daemon}/$defs/"));
        let mut own: Value = serde_json::from_str(&own).unwrap();
        let fields = own.as_object_mut().unwrap();
        fields.remove("$schema");
        // The chart sets what is required.
        fields.remove("required");
        schema["$defs"][daemon] = own;
    }
    let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    equal(&file, &text);
}

#[test]
fn copied_files_are_the_originals() {
    for (copy, original) in [
        ("alerts.yaml", "deploy/monitoring/alerts.yaml"),
        ("dashboard.json", "deploy/monitoring/dashboard.json"),
        (
            "restart-policy.yaml",
            "deploy/kubernetes/restart-policy.yaml",
        ),
    ] {
        equal(&format!("{CHART}/files/{copy}"), &read(original));
    }
}

#[test]
fn the_chart_is_of_this_version() {
    let about: Value = serde_saphyr::from_str(&read(&format!("{CHART}/Chart.yaml"))).unwrap();
    assert_eq!(about["appVersion"], env!("CARGO_PKG_VERSION"));
    assert_eq!(about["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn every_case_is_rendered() {
    let files: BTreeSet<String> = fs::read_dir(path(CHART).join("ci"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let cases = CASES.map(|(case, _)| format!("{case}.yaml"));
    assert_eq!(files, cases.into_iter().collect());
}

/// A value of `values.yaml`: its path, its default, and the comment above it.
struct Documented {
    path: Vec<String>,
    default: String,
    comment: String,
}

/// Mappings alone are written over several lines there.
fn values() -> Vec<Documented> {
    let mut found: Vec<Documented> = Vec::new();
    let mut path: Vec<String> = Vec::new();
    let mut comment: Vec<String> = Vec::new();
    for line in read(&format!("{CHART}/values.yaml")).lines() {
        let text = line.trim_start();
        let depth = (line.len() - text.len()) / 2;
        if let Some(words) = text.strip_prefix("# ") {
            comment.push(words.to_owned());
        } else if let Some((name, default)) = text.split_once(':') {
            path.truncate(depth);
            path.push(name.to_owned());
            found.push(Documented {
                path: path.clone(),
                default: default.trim().to_owned(),
                comment: std::mem::take(&mut comment).join(" "),
            });
        } else {
            comment.clear();
        }
    }
    found
}

/// The table of README.md: a section for each value at the root, with what is said of it.
fn table() -> String {
    let mut text = String::new();
    let values = values();
    let scalars = |it: &&Documented| it.path.len() == 1 && !it.default.is_empty();
    let head = "\n| value | default | meaning |\n|---|---|---|\n";
    let row = |it: &Documented| {
        let path = it.path.join(".");
        format!("| `{path}` | `{}` | {} |\n", it.default, it.comment)
    };
    text.push_str(head);
    text.extend(values.iter().filter(scalars).map(row));
    for group in values
        .iter()
        .filter(|it| it.path.len() == 1 && it.default.is_empty())
    {
        let (name, comment) = (&group.path[0], &group.comment);
        text.extend(["\n### ", name, "\n\n", comment, "\n", head]);
        let mut above = String::new();
        for value in values
            .iter()
            .filter(|it| it.path.len() > 1 && it.path[0] == group.path[0])
        {
            if value.default.is_empty() {
                // What is said of a mapping stands with its first value.
                above = format!("{} ", value.comment);
                continue;
            }
            let comment = format!("{}{}", std::mem::take(&mut above), value.comment);
            let value = Documented {
                comment: comment.trim().to_owned(),
                path: value.path.clone(),
                default: value.default.clone(),
            };
            text.push_str(&row(&value));
        }
    }
    text
}

#[test]
fn the_readme_has_every_value() {
    let file = format!("{CHART}/README.md");
    let (before, _) = read(&file)
        .split_once("## Values\n")
        .map(|(before, after)| (before.to_owned(), after.to_owned()))
        .unwrap();
    equal(&file, &format!("{before}## Values\n{}", table()));
    let names: BTreeSet<String> = values().iter().map(|it| it.path.join(".")).collect();
    let parsed: Value = serde_saphyr::from_str(&read(&format!("{CHART}/values.yaml"))).unwrap();
    let top: Vec<&String> = parsed.as_object().unwrap().keys().collect();
    assert!(top.iter().all(|it| names.contains(*it)));
    assert!(names.len() > 100, "{}", names.len());
}

/// What every user of a configuration may do, as a set of words, but for what is a comment.
fn permissions(text: &str, user: &str) -> BTreeSet<String> {
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    let text = lines.fold(String::new(), |text, line| text + line + "\n");
    let after = text.split(user).nth(1).unwrap();
    let own = after.split("user:").next().unwrap();
    let words = own.split(['"', '\'', ' ', ',', '[', ']', '\n']);
    let subjects = words.filter(|it| it.contains('.') && !it.contains("README"));
    subjects
        .filter(|it| it.starts_with(['$', '_']) || it.starts_with("eso-relay."))
        .map(str::to_owned)
        .collect()
}

#[test]
fn nats_has_the_documented_users() {
    let documented = blocks(&read("docs/operations.md"), "conf").remove(0);
    let values = read("deploy/nats/values.yaml");
    let parsed: Value = serde_saphyr::from_str(&values).unwrap();
    let users = parsed["config"]["merge"]["authorization"]["users"].as_array();
    assert_eq!(users.unwrap().len(), 3);
    for user in ["ingress", "east", "operator"] {
        let wanted = permissions(&documented, &format!("user: {user},"));
        assert!(wanted.len() >= 3, "{wanted:?}");
        assert_eq!(permissions(&values, &format!("user: {user}\n")), wanted);
    }
    assert_eq!(
        parsed["config"]["jetstream"]["merge"]["sync_interval"],
        "always"
    );
}
