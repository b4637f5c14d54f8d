//! Notes become Events, one after the other, in a task of their own.

use std::time::Duration;

use kube::{Api, Error, api::PostParams};
use tokio::{
    select,
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{Note, Notebook, Told};
use crate::{
    kubernetes::{Served, chain},
    report::metrics::Metrics,
};

/// The most notes on their way to [`write`](fn@write).
pub const CAPACITY: usize = 1024;

/// For one Event to be created.
const TIMEOUT: Duration = Duration::from_secs(5);
/// For what is still on its way at the end.
const FAREWELL: Duration = Duration::from_secs(2);

/// Until nobody makes notes any more, or a little after `over`.
pub async fn write(
    served: Served,
    metrics: Metrics,
    mut notes: mpsc::Receiver<Note>,
    over: CancellationToken,
) {
    let mut writer = Writer::new(served);
    let (mut notebook, started) = (Notebook::default(), Instant::now());
    let all = async {
        while let Some(note) = notes.recv().await {
            let told = match notebook.admit(started.elapsed(), &note) {
                Ok(()) => {
                    let told = writer.create(&note).await;
                    notebook.ended(started.elapsed(), &note, told);
                    told
                }
                Err(left_out) => left_out,
            };
            metrics.noted(told);
        }
    };
    let late = async {
        over.cancelled().await;
        sleep(FAREWELL).await;
    };
    select! {
        () = all => {}
        () = late => debug!("the last Events were not written"),
    }
}

struct Writer {
    served: Served,
    instance: String,
    /// Whether the missing permission has been named: whoever does not want to give it has read it.
    complained: bool,
}

impl Writer {
    fn new(served: Served) -> Self {
        // In a pod that is the pod's name.
        let instance = std::env::var("HOSTNAME").ok();
        let instance = instance.filter(|name| (1..=128).contains(&name.len()));
        Self {
            served,
            instance: instance.unwrap_or_else(|| "eso-relay-consumer".to_owned()),
            complained: false,
        }
    }

    async fn create(&mut self, note: &Note) -> Told {
        let event = note.to_event(self.served.version(), &self.instance);
        let api = Api::namespaced(self.served.client().clone(), note.namespace());
        let params = PostParams::default();
        let error = match timeout(TIMEOUT, api.create(&params, &event)).await {
            Ok(Ok(_)) => return Told::written,
            Ok(Err(Error::Api(status))) if status.is_already_exists() => {
                return Told::already_there;
            }
            Ok(Err(error)) => error,
            Err(_) => {
                debug!(object = %note.target, "no Event was written within {TIMEOUT:?}");
                return Told::failed;
            }
        };
        let denied = matches!(&error, Error::Api(status) if status.code == 403);
        let error = chain(&error);
        debug!(object = %note.target, reason = note.reason(), error, "no Event was written");
        if !denied {
            return Told::failed;
        }
        if is_missing_permission(&error) && !std::mem::replace(&mut self.complained, true) {
            warn!(
                namespace = note.namespace(),
                error,
                "no permission to create events in events.k8s.io: objects do not show what became of \
                 their refreshes; allow it, or set kubernetes.events to false"
            );
        }
        Told::denied
    }
}

/// Other refusals have its code, too: of a namespace that is being deleted, of a quota, of an
/// admission webhook. This text is the same whoever decides on permissions (apiserver
/// `endpoints/handlers/responsewriters/errors.go`, `forbiddenMessage`).
fn is_missing_permission(error: &str) -> bool {
    error.contains(" cannot create resource ")
}
