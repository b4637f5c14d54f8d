//! deploy/helm/eso-relay: what the real Helm makes of it, and what the daemons and the Kubernetes API say to that.

mod api;
mod documented;
mod files;
mod names;
mod poller;
mod refusals;
mod rendered;
mod upgrade;

use std::{fs, path::Path};

use eso_relay_lab::helm::{self, Helm, HelmVersion};
use serde_json::Value;
use tempfile::TempDir;

use crate::docs::path;

const CHART: &str = "deploy/helm/eso-relay";
const RELEASE: &str = "eso-relay";
const NAMESPACE: &str = "eso-relay";
/// What Helm renders for, with no cluster to ask.
const KUBERNETES: [&str; 2] = ["--kube-version", "1.36.0"];

/// The files of `ci/`, each with the preset that it is for.
const CASES: [(&str, Option<&str>); 8] = [
    ("minimal", None),
    ("hub", Some("hub")),
    ("cluster", Some("cluster")),
    ("namespaced", Some("cluster")),
    ("scaled", Some("cluster")),
    ("balanced", None),
    ("poller", None),
    ("everything", None),
];

/// The chart, or a copy of it, in Helm's hands.
struct Chart {
    helm: Helm,
    folder: String,
    release: String,
}

impl Chart {
    /// `None` where the real Helm is not asked for.
    async fn new() -> Option<Self> {
        Self::with(HelmVersion::V3).await
    }

    async fn with(version: HelmVersion) -> Option<Self> {
        if !helm::is_asked_for() {
            return None;
        }
        Some(Self {
            helm: Helm::obtain(version).await.unwrap(),
            folder: CHART.to_owned(),
            release: RELEASE.to_owned(),
        })
    }

    /// The manifest, or what Helm refuses.
    async fn text(&self, values: &[String]) -> Result<String, String> {
        let mut arguments = vec!["template", &self.release, &self.folder];
        arguments.extend(["--namespace", NAMESPACE]);
        arguments.extend(KUBERNETES);
        arguments.extend(values.iter().map(String::as_str));
        let rendered = self.helm.run(&path(""), arguments).await;
        rendered.map_err(|error| error.to_string())
    }

    async fn objects(&self, values: &[String]) -> Vec<Value> {
        let text = self.text(values).await;
        let text = text.unwrap_or_else(|error| panic!("{values:?}: {error}"));
        let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        objects.into_iter().filter(|it| !it.is_null()).collect()
    }
}

/// A folder with a copy of the chart, in which the line of `Chart.yaml` that begins so is another.
fn copied(begin: &str, line: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join(RELEASE);
    copy_folder(&path(CHART), &copy);
    let about = copy.join("Chart.yaml");
    let text = fs::read_to_string(&about).unwrap();
    let old = text.lines().find(|it| it.starts_with(begin)).unwrap();
    fs::write(&about, text.replace(old, line)).unwrap();
    folder
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The arguments of a case.
fn case(name: &str) -> Vec<String> {
    let (_, preset) = CASES.iter().find(|(it, _)| *it == name).unwrap();
    let preset = preset.map(|preset| format!("{CHART}/values-{preset}.yaml"));
    let files = preset
        .into_iter()
        .chain([format!("{CHART}/ci/{name}.yaml")]);
    files
        .flat_map(|file| ["--values".to_owned(), file])
        .collect()
}

/// The arguments of a case, and values set over it.
fn case_with(name: &str, set: &[&str]) -> Vec<String> {
    let mut arguments = case(name);
    for value in set {
        arguments.extend(["--set".to_owned(), (*value).to_owned()]);
    }
    arguments
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|it| it["kind"] == kind).collect()
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

/// The one object of this kind and name.
fn one<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found = of_kind(objects, kind);
    let found: Vec<_> = found
        .into_iter()
        .filter(|it| self::name(it) == name)
        .collect();
    assert_eq!(found.len(), 1, "{kind} {name}");
    found[0]
}
