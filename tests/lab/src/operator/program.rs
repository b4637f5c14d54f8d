//! Where the operator comes from.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use crate::{cache, obtain::GoProgram};

const OPERATOR: GoProgram = GoProgram {
    name: "eso",
    package: ".",
    title: "the External Secrets Operator",
    duration: "about 5 minutes",
};
const MODULE: &str = "github.com/external-secrets/external-secrets";
const DEFINITIONS: &str = "crds";

/// A directory of the cache with the operator and the definitions of its version.
#[derive(Debug, Clone)]
pub(super) struct Program(PathBuf);

impl Program {
    pub(super) fn operator(&self) -> PathBuf {
        self.0.join(OPERATOR.name)
    }

    pub(super) fn definitions(&self) -> PathBuf {
        self.0.join(DEFINITIONS)
    }
}

/// Built with Go into the cache, once for each version of its source.
pub(super) async fn obtain() -> anyhow::Result<Program> {
    let path = cache::entry(&OPERATOR.entry()?, build).await;
    path.map(Program).context("no External Secrets Operator")
}

async fn build(dir: PathBuf) -> anyhow::Result<PathBuf> {
    let whole = dir.join("whole");
    std::fs::create_dir(&whole)?;
    OPERATOR.build(&whole).await?;
    let module = OPERATOR.module(MODULE).await?;
    let definitions = module.join("config/crds/bases");
    copy_definitions(&definitions, &whole.join(DEFINITIONS))
        .with_context(|| format!("cannot copy the definitions from {}", definitions.display()))?;
    Ok(whole)
}

/// Those of the kinds that the operator watches, of some twenty.
fn copy_definitions(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir(to)?;
    let mut copied = 0;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if !is_watched(&name.to_string_lossy()) {
            continue;
        }
        // Not `copy`: files of Go's module cache are read-only.
        std::fs::write(to.join(name), std::fs::read(entry.path())?)?;
        copied += 1;
    }
    ensure!(copied > 0, "there are none");
    Ok(())
}

fn is_watched(name: &str) -> bool {
    name.starts_with("external-secrets.io_")
        || name == "generators.external-secrets.io_generatorstates.yaml"
}
