//! Kinds that an API server does not know by itself.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, ListParams},
    core::GroupVersionKind,
};

use crate::{
    cluster::{apply_one, read},
    wait,
};

const SERVED: Duration = Duration::from_secs(60);

/// The directory `ESO_CRDS`, else that of our own small definitions of the External Secrets Operator's kinds.
pub(super) fn directory() -> PathBuf {
    let dir = std::env::var_os("ESO_CRDS").filter(|dir| !dir.is_empty());
    dir.map_or_else(|| own("crds"), PathBuf::from)
}

/// A path in this package.
fn own(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Applies the definitions in the YAML files of a directory and waits until their kinds are served.
pub(super) async fn install_all(client: &Client, dir: &Path) -> anyhow::Result<()> {
    let entries =
        std::fs::read_dir(dir).with_context(|| format!("no definitions in {}", dir.display()))?;
    let mut objects = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "yaml") {
            objects.extend(read(&path)?);
        }
    }
    install(client, objects)
        .await
        .with_context(|| dir.display().to_string())
}

/// Applies the definitions in a YAML file of this package and waits until their kinds are served.
pub(crate) async fn install_own(client: &Client, manifest: &str) -> anyhow::Result<()> {
    install(client, read(&own(manifest))?).await
}

/// Objects other than definitions are passed over.
async fn install(client: &Client, mut objects: Vec<DynamicObject>) -> anyhow::Result<()> {
    objects.retain(|object| {
        let types = object.types.as_ref();
        types.is_some_and(|types| types.kind == "CustomResourceDefinition")
    });
    ensure!(!objects.is_empty(), "there is no CustomResourceDefinition");
    for object in &objects {
        apply_one(client, object).await?;
    }
    for object in objects {
        let definition: CustomResourceDefinition = object.try_parse()?;
        let what = format!("{} to be served", definition.spec.names.plural);
        wait::until_ok(what, SERVED, || serves(client, &definition)).await?;
    }
    Ok(())
}

/// Not when it is established: the API server needs a moment more before it answers for the kind.
async fn serves(client: &Client, definition: &CustomResourceDefinition) -> kube::Result<()> {
    let spec = &definition.spec;
    for version in spec.versions.iter().filter(|version| version.served) {
        let kind = GroupVersionKind::gvk(&spec.group, &version.name, &spec.names.kind);
        let resource = ApiResource::from_gvk_with_plural(&kind, &spec.names.plural);
        Api::<DynamicObject>::all_with(client.clone(), &resource)
            .list(&ListParams::default().limit(1))
            .await?;
    }
    Ok(())
}
