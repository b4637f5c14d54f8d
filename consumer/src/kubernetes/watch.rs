//! Watches the API, and sends every change to the index.

use std::{future::pending, pin::pin, time::Duration};

use anyhow::Context as _;
use eso_relay::admin::{Condition, ProblemLog};
use futures::{StreamExt as _, future::join_all};
use jiff::Timestamp;
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
use tracing::{debug, info, warn};

use super::{
    ApiVersion, Object, Selection, Served, chain,
    kes::KesObject,
    listings::{counts, dispensable, listings},
    namespace::NamespaceObject,
    progress::Progress,
    watched::{Item, Watched},
    workload::WorkloadObject,
};
use crate::{
    matching::index::{Change, Listing},
    object::ListKind,
    report::metrics::{WatchMeter, WatchMetrics},
};

/// For one page of a list, as kube has no timeout.
pub(super) const PAGE_TIMEOUT: Duration = Duration::from_secs(30);
/// Objects that wait to be read: one page.
const READ_AHEAD: usize = 500;
/// The retry delay for a forbidden list that is dispensable.
const FORBIDDEN_PAUSE: Duration = Duration::from_secs(300);
/// The retry delay for a forbidden list of a configured namespace: a restored Role should take effect soon.
const CLOSED_PAUSE: Duration = Duration::from_secs(10);

/// Watches ExternalSecrets, their owners, both kinds of store and Namespaces, in these namespaces or in all, and sends
/// every change. Errors are logged and retried with an exponential back-off with jitter; it ends when the worker has
/// ended.
///
/// `condition` is met once everything has been listed, and stays met: a slightly stale index is better than none.
/// Without permission to list cluster stores, objects that read through one match by their keys alone. Without
/// ClusterExternalSecrets, the objects that they own are refreshed themselves. Without Namespaces, no object is
/// denied by their labels.
///
/// If one of several namespaces may not be listed, the condition is unmet, and the others are served. What was
/// known of the namespace is kept, and its refreshes are retried until the Role is restored.
///
/// When the API serves ESO's kinds in another version, everything is listed again in that version.
pub(crate) async fn watch(
    served: Served,
    namespaces: &[String],
    selection: Selection,
    changes: Sender<Change>,
    condition: Condition,
    metrics: &WatchMetrics,
) -> anyhow::Result<()> {
    let listings = listings(namespaces, &selection);
    let (items, to_read) = mpsc::channel(READ_AHEAD);
    let reading = AbortOnDropHandle::new(tokio::spawn(read_all(to_read, selection, changes)));
    let common = Common {
        progress: Progress::new(listings.len(), condition),
        served,
        items,
    };
    let watches = listings.into_iter().map(|listing| {
        Watch {
            meter: metrics.of(listing.kind),
            listing,
            listed: false,
            denied: false,
            log: ProblemLog::default(),
            common: &common,
        }
        .run()
    });
    select! {
        _ = join_all(watches) => {}
        () = common.served.rediscover() => {}
    }
    // They end when the reading task has ended, perhaps by a panic.
    drop(common);
    reading.await.context("reading the watched objects")
}

pub(super) fn api<K: Watched>(client: &Client, version: ApiVersion, listing: &Listing) -> Api<K> {
    let resource = version.resource(listing.kind);
    match &listing.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// What the watches share.
struct Common {
    served: Served,
    items: Sender<WatchItem>,
    progress: Progress,
}

/// What a watch sends to the reading task.
enum WatchItem {
    Applied(ListKind, Item),
    Deleted(ListKind, Item),
    Change(Change),
}

/// Reads the objects of all watches in order. In a separate task, so that the next page is requested meanwhile.
async fn read_all(mut items: Receiver<WatchItem>, selection: Selection, changes: Sender<Change>) {
    while let Some(item) = items.recv().await {
        let change = match item {
            WatchItem::Applied(kind, item) => item.applied(kind, &selection),
            WatchItem::Deleted(kind, item) => item.deleted(kind),
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
    /// Whether it was listed once, or denied.
    listed: bool,
    /// Whether it may not be listed, which was logged.
    denied: bool,
    log: ProblemLog,
    meter: WatchMeter,
    common: &'a Common,
}

/// The worker receives no changes any more.
struct Closed;

/// A watch has to be restarted, after a pause.
struct Restart {
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

    /// Watches until a restart is needed.
    async fn round(
        &mut self,
        version: ApiVersion,
        backoff: &mut DefaultBackoff,
    ) -> Result<(), Closed> {
        if !counts(self.listing.kind, version) {
            self.take::<Object>(Event::Init).await?;
            self.take::<Object>(Event::InitDone).await?;
            return pending().await;
        }
        let Restart { pause } = match self.listing.kind {
            ListKind::Workloads(_) => self.follow::<WorkloadObject>(version, backoff).await?,
            ListKind::KesExternalSecrets => self.follow::<KesObject>(version, backoff).await?,
            ListKind::Namespaces => self.follow::<NamespaceObject>(version, backoff).await?,
            _ => self.follow::<Object>(version, backoff).await?,
        };
        let pause = pause.or_else(|| backoff.next()).unwrap_or(PAGE_TIMEOUT);
        sleep(pause).await;
        Ok(())
    }

    /// Lists, then watches; ends only for errors that kube's watcher does not recover from.
    async fn follow<K: Watched>(
        &mut self,
        version: ApiVersion,
        backoff: &mut DefaultBackoff,
    ) -> Result<Restart, Closed> {
        let api = api::<K>(self.common.served.client(), version, &self.listing);
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
                    if let Some(restart) = self.failed(&error, version).await? {
                        return Ok(restart);
                    }
                    sleep(backoff.next().unwrap_or(PAGE_TIMEOUT)).await;
                    continue;
                }
                Ok(None) => return Ok(Restart { pause: None }),
                Err(_) => {
                    self.meter.restarted();
                    self.problem(&format!("no answer within {PAGE_TIMEOUT:?}"));
                    return Ok(Restart { pause: None });
                }
            };
            listing =
                matches!(event, Event::Init) || (listing && !matches!(event, Event::InitDone));
            if !matches!(event, Event::Init) {
                self.meter.said_something(now());
            }
            self.take(event).await?;
        }
    }

    async fn take<K: Watched>(&mut self, event: Event<K>) -> Result<(), Closed> {
        let kind = self.listing.kind;
        match event {
            Event::Init => self.send(Change::ListBegins(self.listing.clone())).await,
            Event::InitApply(object) | Event::Apply(object) => {
                self.send_item(WatchItem::Applied(kind, object.into_item()))
                    .await
            }
            Event::Delete(object) => {
                self.send_item(WatchItem::Deleted(kind, object.into_item()))
                    .await
            }
            Event::InitDone => {
                self.log.clear();
                let restored = std::mem::replace(&mut self.denied, false);
                self.send(Change::ListEnds(self.listing.clone())).await?;
                if restored && kind == ListKind::ExternalSecrets {
                    self.send(Change::AccessRestored(self.listing.clone()))
                        .await?;
                }
                let first = !std::mem::replace(&mut self.listed, true);
                self.completes(self.common.progress.listed(&self.listing, first))
                    .await
            }
        }
    }

    /// Returns whether to restart the watch, instead of letting kube's watcher continue.
    async fn failed(
        &mut self,
        error: &watcher::Error,
        version: ApiVersion,
    ) -> Result<Option<Restart>, Closed> {
        self.meter.restarted();
        let status = status(error);
        if let Some(without) = dispensable(&self.listing, status) {
            if !std::mem::replace(&mut self.denied, true) {
                match self.listing.kind {
                    // They are installed separately, so without them all is well.
                    ListKind::Workloads(_) | ListKind::KesExternalSecrets
                        if status == Some(404) =>
                    {
                        debug!("{without}");
                    }
                    _ => warn!(namespace = self.listing.namespace, "{without}"),
                }
                self.send(Change::ListDenied(self.listing.clone())).await?;
                let first = !std::mem::replace(&mut self.listed, true);
                self.completes(self.common.progress.denied(&self.listing, first))
                    .await?;
            }
            let pause = match self.listing.kind {
                ListKind::ExternalSecrets | ListKind::SecretStores => CLOSED_PAUSE,
                _ => FORBIDDEN_PAUSE,
            };
            return Ok(Some(Restart { pause: Some(pause) }));
        }
        if status == Some(404) && self.listing.kind != ListKind::Namespaces {
            self.common.served.is_missing(version);
        }
        self.problem(&chain(error));
        Ok(None)
    }

    fn problem(&mut self, reason: &str) {
        let Listing { kind, namespace } = &self.listing;
        if self.log.is_new(reason) {
            warn!(?kind, namespace, reason, "cannot watch; retrying");
        }
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
        self.send_item(WatchItem::Change(change)).await
    }

    async fn send_item(&self, item: WatchItem) -> Result<(), Closed> {
        self.common.items.send(item).await.map_err(|_| Closed)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a watch knows when it said something"
)]
fn now() -> Timestamp {
    Timestamp::now()
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
