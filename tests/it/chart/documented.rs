//! The commands that the pages print for Helm, with the files that they show.

use std::fs;

use super::{Chart, KUBERNETES};
use crate::docs::{blocks, path, read};

const PAGES: [&str; 2] = ["docs/install.md", "deploy/helm/eso-relay/README.md"];

/// What `helm install` and `helm upgrade` would apply; each file is that which the page showed last under its name.
#[tokio::test]
async fn every_printed_release_is_rendered() {
    let Some(chart) = Chart::new().await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let deploy = folder.path().join("deploy");
    std::os::unix::fs::symlink(path("deploy"), deploy).unwrap();
    let mut rendered = 0;
    for page in PAGES {
        let text = read(page);
        for file in ["hub", "cluster", "poller"] {
            let head = format!("# {file}.yaml\n");
            let shown = blocks(&text, "yaml");
            for (at, block) in shown.iter().filter(|it| it.starts_with(&head)).enumerate() {
                let name = match at {
                    0 => format!("{file}.yaml"),
                    more => format!("{file}-{more}.yaml"),
                };
                fs::write(folder.path().join(name), block).unwrap();
                // The first is whole; others are put over it.
                if at > 0 {
                    let values = format!("deploy/helm/eso-relay/values-{file}.yaml");
                    let (first, more) = (format!("{file}.yaml"), format!("{file}-{at}.yaml"));
                    let arguments = ["template", "eso-relay", "deploy/helm/eso-relay", "--values"];
                    let arguments =
                        arguments
                            .into_iter()
                            .chain([values.as_str(), "--values", &first]);
                    let arguments = arguments.chain(["--values", &more]).chain(KUBERNETES);
                    let whole = chart.helm.run(folder.path(), arguments).await;
                    whole.unwrap_or_else(|error| panic!("{page}: {error}\n{block}"));
                    rendered += 1;
                }
            }
        }
        for block in blocks(&text, "sh") {
            for line in block.replace("\\\n", " ").lines() {
                let line = line.replace('\'', "");
                let mut words: Vec<&str> = line.split_whitespace().collect();
                let is_ours = line.contains("deploy/helm/eso-relay");
                if !is_ours || words[0] != "helm" {
                    continue;
                }
                assert!(["install", "upgrade"].contains(&words[1]), "{page}: {line}");
                words[1] = "template";
                words.remove(0);
                words.extend(KUBERNETES);
                let whole = chart.helm.run(folder.path(), words).await;
                whole.unwrap_or_else(|error| panic!("{page}: {line}\n{error}"));
                rendered += 1;
            }
        }
    }
    assert!(rendered >= 9, "{rendered}");
}
