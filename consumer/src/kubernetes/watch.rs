//! From the API to the index, for ever.

use std::{future::pending, pin::pin, time::Duration};

use anyhow::Context as _;
use eso_relay::admin::Condition;
use futures::{StreamExt as _, future::join_all};
use kube::{
    Api, Client,
    runtime::watcher::{self, DefaultBackoff, Event, watcher},
};
use tokio::{
    select,
    sync::mpsc::{self, Receiver, Sender},
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::{ApiVersion, Object, Selection, Served, chain, progress::Progress, read};
use crate::{
    matching::index::{Change, Listing},
    object::ListKind,
};

/// For one page of a list. kube waits for an answer without end.
pub(super) const PAGE_TIMEOUT: Duration = Duration::from_secs(30);
/// Objects that wait to be read: a page.
const AHEAD: usize = 500;
/// Before asking again for what we may not see, and can do without.
const FORBIDDEN_PAUSE: Duration = Duration::from_secs(300);
/// Before asking again for what we should see: a Role that is there again should count soon.
const CLOSED_PAUSE: Duration = Duration::from_secs(10);

/// Watches ExternalSecrets, their owners, both kinds of store and Namespaces, in these namespaces or in all, and sends every change. Errors are logged and tried again with a jittered exponential delay; it ends when nobody receives.
///
/// `condition` is met once everything has been listed, and stays so: an index that is a little old
/// is better than none. Without permission to see cluster stores it is met without them; what
/// reads through one then matches by its key, whatever the provider. Without ClusterExternalSecrets
/// what they own counts as if nobody owned it; without Namespaces nobody is kept out by their labels.
///
/// One of several namespaces that may not be seen, or not any more, leaves the condition unmet and the
/// others served. What was known of it is kept: its refreshes are tried until the Role is there again.
///
/// When the API serves ESO's kinds in another version, all is listed again in that.
pub(crate) async fn watch(
    served: Served,
    namespaces: &[String],
    selection: Selection,
    changes: Sender<Change>,
    condition: Condition,
) -> anyhow::Result<()> {
    let listings = listings(namespaces, selection.push_secrets);
    let (told, to_read) = mpsc::channel(AHEAD);
    let reading = AbortOnDropHandle::new(tokio::spawn(read_all(to_read, selection, changes)));
    let common = Common {
        progress: Progress::new(listings.len(), condition),
        served,
        told,
    };
    let watches = listings.into_iter().map(|listing| {
        Watch {
            listing,
            listed: false,
            denied: false,
            common: &common,
        }
        .run()
    });
    select! {
        _ = join_all(watches) => {}
        () = common.served.find_again() => {}
    }
    // They end when whoever reads has ended, which may be by a panic.
    drop(common);
    reading.await.context("reading what the API has shown")
}

pub(super) fn listings(namespaces: &[String], push_secrets: bool) -> Vec<Listing> {
    let mut everywhere = vec![None];
    if !namespaces.is_empty() {
        everywhere = namespaces.iter().cloned().map(Some).collect();
        everywhere.sort();
        everywhere.dedup();
    }
    let in_each = |kind| {
        everywhere
            .iter()
            .map(move |namespace| Listing {
                kind,
                namespace: namespace.clone(),
            })
            .collect::<Vec<_>>()
    };
    let mut listings = in_each(ListKind::ExternalSecrets);
    listings.extend(in_each(ListKind::SecretStores));
    if push_secrets {
        listings.extend(in_each(ListKind::PushSecrets));
    }
    let in_cluster = |kind| Listing {
        kind,
        namespace: None,
    };
    listings.push(in_cluster(ListKind::ClusterSecretStores));
    // Who may see only some namespaces has no right to list them, and must not refresh all that an
    // owner has.
    if namespaces.is_empty() {
        listings.push(in_cluster(ListKind::Namespaces));
        listings.push(in_cluster(ListKind::ClusterExternalSecrets));
    }
    listings
}

/// Whether objects of the kind count. ESO before 0.17 copies no annotation from owner to owned.
pub(super) fn counts(kind: ListKind, version: ApiVersion) -> bool {
    kind != ListKind::ClusterExternalSecrets || version == ApiVersion::V1
}

pub(super) fn api(client: &Client, version: ApiVersion, listing: &Listing) -> Api<Object> {
    let resource = version.resource(listing.kind);
    match &listing.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// What the watches have in common.
struct Common {
    served: Served,
    told: Sender<WatchItem>,
    progress: Progress,
}

/// What a watch hands over to be read.
enum WatchItem {
    Applied(ListKind, Object),
    Deleted(ListKind, Object),
    Change(Change),
}

/// Reads what the watches hand over, in its order. On a task of its own: while one page is read, the next is
/// on its way.
async fn read_all(mut told: Receiver<WatchItem>, selection: Selection, changes: Sender<Change>) {
    while let Some(told) = told.recv().await {
        let change = match told {
            WatchItem::Applied(kind, object) => read::applied(kind, &object, &selection),
            WatchItem::Deleted(kind, object) => read::deleted(kind, &object),
            WatchItem::Change(change) => Some(change),
        };
        if let Some(change) = change
            && changes.send(change).await.is_err()
        {
            return;
        }
    }
}

struct Watch<'a> {
    listing: Listing,
    /// Whether it counts as listed once.
    listed: bool,
    /// Whether it may not be listed, and that has been said.
    denied: bool,
    common: &'a Common,
}

/// Nobody receives changes any more.
struct Closed;

/// Why a watch has to begin anew, and when.
struct Broken {
    pause: Option<Duration>,
}

impl Watch<'_> {
    async fn run(mut self) {
        let mut backoff = DefaultBackoff::default();
        let mut versions = self.common.served.subscribe();
        loop {
            let version = *versions.borrow_and_update();
            let round = select! {
                round = self.round(version, &mut backoff) => round,
                _ = versions.changed() => Ok(()),
            };
            if let Err(Closed) = round {
                return;
            }
        }
    }

    /// Until the watch has to begin again.
    async fn round(
        &mut self,
        version: ApiVersion,
        backoff: &mut DefaultBackoff,
    ) -> Result<(), Closed> {
        if !counts(self.listing.kind, version) {
            self.take(Event::Init).await?;
            self.take(Event::InitDone).await?;
            return pending().await;
        }
        let Broken { pause } = self.follow(version, backoff).await?;
        let pause = pause.or_else(|| backoff.next()).unwrap_or(PAGE_TIMEOUT);
        sleep(pause).await;
        Ok(())
    }

    /// Lists, then watches, from the beginning; ends only for what kube's watcher does not mend.
    async fn follow(
        &mut self,
        version: ApiVersion,
        backoff: &mut DefaultBackoff,
    ) -> Result<Broken, Closed> {
        let api = api(self.common.served.client(), version, &self.listing);
        let mut events = pin!(watcher(api, watcher::Config::default()));
        let mut listing = true;
        loop {
            let next = if listing {
                timeout(PAGE_TIMEOUT, events.next()).await
            } else {
                Ok(events.next().await)
            };
            let event = match next {
                Ok(Some(Ok(event))) => event,
                Ok(Some(Err(error))) => {
                    if let Some(broken) = self.failed(&error, version).await? {
                        return Ok(broken);
                    }
                    sleep(backoff.next().unwrap_or(PAGE_TIMEOUT)).await;
                    continue;
                }
                Ok(None) => return Ok(Broken { pause: None }),
                Err(_) => {
                    self.say(&format!("no answer within {PAGE_TIMEOUT:?}"));
                    return Ok(Broken { pause: None });
                }
            };
            listing =
                matches!(event, Event::Init) || (listing && !matches!(event, Event::InitDone));
            self.take(event).await?;
        }
    }

    async fn take(&mut self, event: Event<Object>) -> Result<(), Closed> {
        let kind = self.listing.kind;
        match event {
            Event::Init => self.send(Change::ListBegins(self.listing.clone())).await,
            Event::InitApply(object) | Event::Apply(object) => {
                self.tell(WatchItem::Applied(kind, object)).await
            }
            Event::Delete(object) => self.tell(WatchItem::Deleted(kind, object)).await,
            Event::InitDone => {
                let opened = std::mem::replace(&mut self.denied, false);
                self.send(Change::ListEnds(self.listing.clone())).await?;
                if opened && kind == ListKind::ExternalSecrets {
                    self.send(Change::AccessRestored(self.listing.clone()))
                        .await?;
                }
                let first = !std::mem::replace(&mut self.listed, true);
                self.completes(self.common.progress.listed(&self.listing, first))
                    .await
            }
        }
    }

    /// Whether to begin anew rather than to let kube's watcher go on from where it is.
    async fn failed(
        &mut self,
        error: &watcher::Error,
        version: ApiVersion,
    ) -> Result<Option<Broken>, Closed> {
        let status = status(error);
        if let Some(without) = dispensable(&self.listing, status) {
            if !std::mem::replace(&mut self.denied, true) {
                warn!(namespace = self.listing.namespace, "{without}");
                self.send(Change::ListDenied(self.listing.clone())).await?;
                let first = !std::mem::replace(&mut self.listed, true);
                self.completes(self.common.progress.denied(&self.listing, first))
                    .await?;
            }
            let pause = match self.listing.kind {
                ListKind::ExternalSecrets | ListKind::SecretStores => CLOSED_PAUSE,
                _ => FORBIDDEN_PAUSE,
            };
            return Ok(Some(Broken { pause: Some(pause) }));
        }
        if status == Some(404) && self.listing.kind != ListKind::Namespaces {
            self.common.served.is_missing(version);
        }
        self.say(&chain(error));
        Ok(None)
    }

    fn say(&self, reason: &str) {
        let Listing { kind, namespace } = &self.listing;
        warn!(?kind, namespace, reason, "cannot watch; trying again");
        if !self.listed {
            let place = namespace.as_deref().unwrap_or("all namespaces");
            let unmet = format!("cannot list {kind:?} in {place}: {reason}");
            self.common.progress.failed(unmet);
        }
    }

    async fn completes(&self, completes: bool) -> Result<(), Closed> {
        if completes {
            info!("everything is listed");
            self.send(Change::Synced).await?;
        }
        Ok(())
    }

    async fn send(&self, change: Change) -> Result<(), Closed> {
        self.tell(WatchItem::Change(change)).await
    }

    async fn tell(&self, told: WatchItem) -> Result<(), Closed> {
        self.common.told.send(told).await.map_err(|_| Closed)
    }
}

/// What it means to go on without these objects, if that is possible.
pub(super) fn dispensable(listing: &Listing, status: Option<u16>) -> Option<&'static str> {
    match (listing.kind, status) {
        (ListKind::ExternalSecrets, Some(403)) if listing.namespace.is_some() => Some(
            "no permission to list externalsecrets in this namespace: what is known of it is kept, and what changes there is not seen",
        ),
        (ListKind::SecretStores, Some(403)) if listing.namespace.is_some() => Some(
            "no permission to list secretstores in this namespace: what reads through one that is not known matches by its key alone",
        ),
        (ListKind::ClusterSecretStores, Some(403)) => Some(
            "no permission to list clustersecretstores: what reads through one matches by its key alone",
        ),
        (ListKind::ClusterExternalSecrets, Some(403)) => Some(
            "no permission to list clusterexternalsecrets: what they own is refreshed one by one",
        ),
        (ListKind::Namespaces, Some(403)) => Some(
            "no permission to list namespaces: a namespaceSelector of a store lets everybody in",
        ),
        (ListKind::PushSecrets, Some(403)) => {
            Some("no permission to list pushsecrets: none is pushed")
        }
        (ListKind::PushSecrets, Some(404)) => Some("the API serves no pushsecrets: none is pushed"),
        (ListKind::ClusterExternalSecrets, Some(404)) => {
            Some("the API serves no clusterexternalsecrets")
        }
        _ => None,
    }
}

fn status(error: &watcher::Error) -> Option<u16> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => Some(status.code),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_namespaces_are_watched_each_and_cluster_stores_once() {
        let shown = |namespaces: &[String]| {
            let list = listings(namespaces, false).into_iter();
            list.map(|l| format!("{:?} {}", l.kind, l.namespace.unwrap_or_default()))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            shown(&["b".into(), "a".into(), "b".into()]),
            [
                "ExternalSecrets a",
                "ExternalSecrets b",
                "SecretStores a",
                "SecretStores b",
                "ClusterSecretStores "
            ]
        );
        assert_eq!(shown(&[]).len(), 5);
        let two = ["a".into(), "b".into()];
        assert_eq!(listings(&two, true).len(), 7);
    }
}
