//! A cluster of the user's own: one namespace and one ClusterSecretStore, made here and removed at the end.

use std::{collections::BTreeMap, sync::Mutex, sync::PoisonError, time::Duration};

use anyhow::Context as _;
use eso_relay_lab::{
    cluster::{Kind, objects},
    standin::SecretValues,
    wait,
};
use kube::{
    Client, Config,
    api::{DeleteParams, ListParams, Patch, PatchParams},
    config::KubeConfigOptions,
};
use serde_json::json;

use crate::{
    cast::{OTHER_STORE, STORE},
    tell::Teller,
};

const DEADLINE: Duration = Duration::from_secs(60);
/// ESO looks at a new store at once.
const ESO_LOOKS: Duration = Duration::from_secs(15);

pub(crate) struct Own {
    pub(crate) context: String,
    pub(crate) namespace: String,
    pub(crate) client: Client,
    /// What the stores hold: for the stand-in ESO here, for the real one in the stores themselves.
    pub(crate) values: SecretValues,
    data: Mutex<BTreeMap<String, String>>,
}

impl Own {
    /// # Errors
    /// There is no such context, its API does not answer, or it has no ESO kinds of version v1.
    pub(crate) async fn connect(context: &str) -> anyhow::Result<Self> {
        eso_relay::nats::install_crypto();
        let options = KubeConfigOptions {
            context: Some(context.to_owned()),
            ..KubeConfigOptions::default()
        };
        let config = Config::from_kubeconfig(&options).await.with_context(|| {
            format!("--context {context}: `kubectl config get-contexts` lists them")
        })?;
        let client = Client::try_from(config)?;
        objects(&client, Kind::ExternalSecret, None)
            .list(&ListParams::default().limit(1))
            .await
            .with_context(|| format!(
                "--context {context}: cannot list externalsecrets of external-secrets.io/v1; is ESO (0.16 or later) installed?"
            ))?;
        Ok(Self {
            context: context.to_owned(),
            namespace: format!("eso-relay-demo-{:06x}", fastrand::u32(..1 << 24)),
            client,
            values: SecretValues::default(),
            data: Mutex::default(),
        })
    }

    /// Whether an ESO is at work: it has looked at our new store.
    pub(crate) async fn has_eso(&self) -> bool {
        let stores = objects(&self.client, Kind::SecretStore, Some(&self.namespace));
        let looked = || async {
            let store = stores.get_opt(STORE).await.ok()??;
            store.data["status"]["conditions"].as_array().map(drop)
        };
        wait::until("ESO's look at a store", ESO_LOOKS, looked)
            .await
            .is_ok()
    }

    /// For a real ESO, whose `fake` provider reads the values from the store's own spec.
    pub(crate) async fn write_stores(&self, values: &[(String, String)]) -> anyhow::Result<()> {
        let data: Vec<_> = {
            let mut all = self.data.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend(values.iter().cloned());
            let entries = all.iter();
            entries
                .map(|(key, value)| json!({ "key": key, "value": value }))
                .collect()
        };
        let patch = Patch::Merge(json!({ "spec": { "provider": { "fake": { "data": data } } } }));
        let namespace = Some(self.namespace.as_str());
        for (kind, namespace, name) in [
            (Kind::SecretStore, namespace, STORE),
            (Kind::SecretStore, namespace, OTHER_STORE),
            (Kind::ClusterSecretStore, None, self.namespace.as_str()),
        ] {
            objects(&self.client, kind, namespace)
                .patch(name, &PatchParams::default(), &patch)
                .await
                .with_context(|| format!("cannot write the store {name}"))?;
        }
        Ok(())
    }

    /// Removes what was made, if it was.
    pub(crate) async fn remove(&self, tell: &Teller) -> anyhow::Result<()> {
        let removal = tokio::time::timeout(DEADLINE, self.try_remove());
        let what = format!("removing namespace {}", self.namespace);
        let removed = tell.during(&what, removal).await;
        let removed = removed.map_err(anyhow::Error::from).flatten();
        if let Err(error) = &removed {
            let (name, context) = (&self.namespace, &self.context);
            tell.say(format!(
                "could not remove all ({error:#}); please run\n  kubectl --context {context} delete namespace/{name} clustersecretstore/{name}"
            ));
        }
        removed
    }

    async fn try_remove(&self) -> anyhow::Result<()> {
        let namespace = Some(self.namespace.as_str());
        let all = ListParams::default();
        // Before the namespace, so that ESO is there to let go of them.
        let external_secrets = objects(&self.client, Kind::ExternalSecret, namespace);
        external_secrets
            .delete_collection(&DeleteParams::default(), &all)
            .await?;
        for kind in [Kind::ClusterSecretStore, Kind::Namespace] {
            let all = objects(&self.client, kind, None);
            match all.delete(&self.namespace, &DeleteParams::default()).await {
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                other => drop(other?),
            }
        }
        Ok(())
    }
}
