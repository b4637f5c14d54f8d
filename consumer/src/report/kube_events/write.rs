//! The task that writes notes as Events, one after the other.

use std::time::Duration;

use kube::{Api, Error, api::PostParams};
use tokio::{
    select,
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{Note, NoteLimiter};
use crate::{
    kubernetes::{Served, chain},
    report::metrics::{EventResult, Metrics},
};

/// The capacity of the channel to [`write`](fn@write).
pub(crate) const CAPACITY: usize = 1024;

/// For one request.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long the last notes may take once the worker has ended.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Runs until the worker has ended, and a little after `over`.
pub(crate) async fn write(
    served: Served,
    metrics: Metrics,
    mut notes: mpsc::Receiver<Note>,
    over: CancellationToken,
) {
    let mut writer = Writer::new(served);
    let (mut limiter, started) = (NoteLimiter::default(), Instant::now());
    let all = async {
        while let Some(note) = notes.recv().await {
            let result = match limiter.admit(started.elapsed(), &note) {
                Ok(()) => {
                    let result = writer.create(&note).await;
                    limiter.ended(started.elapsed(), &note, result);
                    result
                }
                Err(dropped) => dropped,
            };
            metrics.kube_event(result);
        }
    };
    let late = async {
        over.cancelled().await;
        sleep(FLUSH_TIMEOUT).await;
    };
    select! {
        () = all => {}
        () = late => debug!("the last Events were not written"),
    }
}

struct Writer {
    served: Served,
    instance: String,
    /// Whether the missing permission was logged: once is enough.
    permission_logged: bool,
}

impl Writer {
    fn new(served: Served) -> Self {
        // In a pod this is the pod's name.
        let instance = std::env::var("HOSTNAME").ok();
        let instance = instance.filter(|name| (1..=128).contains(&name.len()));
        Self {
            served,
            instance: instance.unwrap_or_else(|| "eso-relay-consumer".to_owned()),
            permission_logged: false,
        }
    }

    async fn create(&mut self, note: &Note) -> EventResult {
        let event = note.to_event(self.served.version(), &self.instance);
        let api = Api::namespaced(self.served.client().clone(), note.namespace());
        let params = PostParams::default();
        let error = match timeout(TIMEOUT, api.create(&params, &event)).await {
            Ok(Ok(_)) => return EventResult::written,
            Ok(Err(Error::Api(status))) if status.is_already_exists() => {
                return EventResult::already_there;
            }
            Ok(Err(error)) => error,
            Err(_) => {
                debug!(object = %note.target, "no Event was written within {TIMEOUT:?}");
                return EventResult::failed;
            }
        };
        let denied = matches!(&error, Error::Api(status) if status.code == 403);
        let error = chain(&error);
        debug!(object = %note.target, reason = note.reason(), error, "no Event was written");
        if !denied {
            return EventResult::failed;
        }
        if is_missing_permission(&error) && !std::mem::replace(&mut self.permission_logged, true) {
            warn!(
                namespace = note.namespace(),
                error,
                "no permission to create events in events.k8s.io, so `kubectl describe` does not show \
                 refreshes; grant it, or set kubernetes.events to false"
            );
        }
        EventResult::denied
    }
}

/// Other refusals have this code, too: a namespace that is being deleted, a quota, an admission webhook. This
/// text is the same for every authorizer (apiserver `endpoints/handlers/responsewriters/errors.go`,
/// `forbiddenMessage`).
fn is_missing_permission(error: &str) -> bool {
    error.contains(" cannot create resource ")
}
