//! The kinds of the External Secrets Operator, made known to the API server.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams},
    core::GroupVersionKind,
};

use crate::wait;

const SERVED: Duration = Duration::from_secs(60);

/// The directory `ESO_CRDS`, else that of our own small definitions.
pub(super) fn directory() -> PathBuf {
    let own = || Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    let dir = std::env::var_os("ESO_CRDS").filter(|dir| !dir.is_empty());
    dir.map_or_else(own, PathBuf::from)
}

/// Applies the definitions in a directory and waits until their kinds are served.
pub(super) async fn install(client: &Client, dir: &Path) -> anyhow::Result<()> {
    let definitions = read(dir)?;
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for (name, definition) in &definitions {
        api.patch(
            name,
            &PatchParams::apply("eso-relay-lab").force(),
            &Patch::Apply(definition),
        )
        .await
        .with_context(|| format!("cannot apply the definition {name}"))?;
    }
    for (name, _) in &definitions {
        let served = || serves(client, &api, name);
        wait::until_ok(format!("{name} to be served"), SERVED, served).await?;
    }
    Ok(())
}

/// The definitions in the YAML files of a directory, by name; other objects are passed over.
fn read(dir: &Path) -> anyhow::Result<Vec<(String, serde_json::Value)>> {
    let entries =
        std::fs::read_dir(dir).with_context(|| format!("no definitions in {}", dir.display()))?;
    let mut definitions = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|end| end != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path)?;
        let documents: Vec<serde_json::Value> =
            serde_saphyr::from_multiple(&text).with_context(|| path.display().to_string())?;
        let of_the_kind = documents
            .into_iter()
            .filter(|document| document["kind"] == "CustomResourceDefinition");
        for definition in of_the_kind {
            let name = definition["metadata"]["name"].as_str();
            let name =
                name.with_context(|| format!("{}: a definition without a name", path.display()))?;
            definitions.push((name.to_owned(), definition));
        }
    }
    ensure!(
        !definitions.is_empty(),
        "there is no CustomResourceDefinition in {}",
        dir.display()
    );
    Ok(definitions)
}

/// Established is not enough: the API server needs a moment more before it answers for the kind.
async fn serves(
    client: &Client,
    api: &Api<CustomResourceDefinition>,
    name: &str,
) -> anyhow::Result<()> {
    let definition = api.get(name).await?;
    let conditions = definition.status.and_then(|status| status.conditions);
    let established = conditions
        .iter()
        .flatten()
        .any(|condition| condition.type_ == "Established" && condition.status == "True");
    ensure!(established, "not established");
    let spec = definition.spec;
    for version in spec.versions.iter().filter(|version| version.served) {
        let kind = GroupVersionKind::gvk(&spec.group, &version.name, &spec.names.kind);
        let resource = ApiResource::from_gvk_with_plural(&kind, &spec.names.plural);
        Api::<DynamicObject>::all_with(client.clone(), &resource)
            .list(&ListParams::default().limit(1))
            .await?;
    }
    Ok(())
}
