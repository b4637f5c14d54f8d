//! Lists the cluster once into an index, for a command.

use std::collections::BTreeSet;

use anyhow::{Context as _, anyhow, bail};
use kube::{Api, Client, api::ListParams};
use tokio::time::timeout;

use super::{
    Object, Selection, chain, discover,
    kes::KesObject,
    listings::{counts, dispensable, listings},
    namespace::NamespaceObject,
    watch::{PAGE_TIMEOUT, api},
    watched::Watched,
    workload::WorkloadObject,
};
use crate::{
    config::FindPolicy,
    matching::index::Index,
    object::{ListKind, WorkloadKind},
};

/// Objects in one page.
const PAGE: u32 = 500;

/// The index that the consumer would have now.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a permission of its own"
)]
pub(crate) struct Listed {
    pub index: Index,
    /// Whether cluster stores may not be listed. Objects that read through one then match by their keys alone.
    pub without_cluster_stores: bool,
    /// Whether namespaces may not be listed. Then a selector for their labels allows every namespace.
    pub without_namespaces: bool,
    /// Whether ExternalSecrets of KES may not be listed.
    pub without_kes: bool,
    /// The kinds of workload that may not be listed.
    pub without_workloads: BTreeSet<WorkloadKind>,
    /// Namespaces in which ExternalSecrets or their stores may not be listed.
    pub closed: BTreeSet<String>,
    /// `refresh.find`.
    pub find: FindPolicy,
    /// Whether `restart.find` lets them restart workloads.
    pub restart_by_find: bool,
}

/// Lists what the consumer watches, in these namespaces; empty: in all.
///
/// Without retries: any failure is an error, unless one of several namespaces may not be listed.
pub(crate) async fn list(
    client: &Client,
    namespaces: &[String],
    selection: &Selection,
) -> anyhow::Result<Listed> {
    let version = discover::served(client).await;
    let version = version.map_err(|reason| anyhow!(reason))?;
    let mut listed = Listed {
        index: Index::new(),
        without_cluster_stores: false,
        without_namespaces: false,
        without_kes: false,
        without_workloads: BTreeSet::new(),
        closed: BTreeSet::new(),
        find: selection.find,
        restart_by_find: selection.restart_by_find,
    };
    let listings = listings(namespaces, selection).into_iter();
    let mut any = false;
    for listing in listings.filter(|listing| counts(listing.kind, version)) {
        let (kind, index) = (listing.kind, &mut listed.index);
        let done = match kind {
            ListKind::Workloads(_) => {
                let objects = api::<WorkloadObject>(client, version, &listing);
                pages(&objects, kind, selection, index).await
            }
            ListKind::KesExternalSecrets => {
                let objects = api::<KesObject>(client, version, &listing);
                pages(&objects, kind, selection, index).await
            }
            ListKind::Namespaces => {
                let objects = api::<NamespaceObject>(client, version, &listing);
                pages(&objects, kind, selection, index).await
            }
            _ => {
                let objects = api::<Object>(client, version, &listing);
                pages(&objects, kind, selection, index).await
            }
        };
        match done {
            Err(error) if dispensable(&listing, error.status()).is_some() => {
                match listing.kind {
                    ListKind::ExternalSecrets | ListKind::SecretStores => {
                        listed.closed.extend(listing.namespace);
                    }
                    ListKind::ClusterSecretStores => listed.without_cluster_stores = true,
                    ListKind::Namespaces => listed.without_namespaces = true,
                    ListKind::Workloads(kind) if error.status() == Some(403) => {
                        listed.without_workloads.insert(kind);
                    }
                    ListKind::KesExternalSecrets => {
                        listed.without_kes |= error.status() == Some(403);
                    }
                    // Without owners each object is refreshed itself; without PushSecrets none is pushed.
                    _ => {}
                }
            }
            done => {
                done.with_context(|| {
                    let place = listing.namespace.as_deref().unwrap_or("all namespaces");
                    format!("cannot list {:?} in {place}", listing.kind)
                })?;
                any |= listing.kind == ListKind::ExternalSecrets;
            }
        }
    }
    if !any {
        let closed = Vec::from_iter(listed.closed).join(", ");
        bail!("no permission to list externalsecrets in {closed}");
    }
    Ok(listed)
}

async fn pages<K: Watched>(
    objects: &Api<K>,
    kind: ListKind,
    selection: &Selection,
    index: &mut Index,
) -> Result<(), Unlisted> {
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = timeout(PAGE_TIMEOUT, objects.list(&params)).await;
        let page = page.map_err(|_| Unlisted::Silent)??;
        for change in page
            .items
            .iter()
            .filter_map(|object| object.applied(kind, selection))
        {
            index.apply(change);
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(()),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Unlisted {
    #[error("no answer within {PAGE_TIMEOUT:?}")]
    Silent,
    #[error("{}", chain(.0))]
    Api(#[from] kube::Error),
}

impl Unlisted {
    fn status(&self) -> Option<u16> {
        match self {
            Self::Api(kube::Error::Api(status)) => Some(status.code),
            _ => None,
        }
    }
}
