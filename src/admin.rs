//! `/livez`, `/readyz` and `/metrics`, on a port of their own.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use axum::{
    Router,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use prometheus_client::registry::Registry;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Where health and metrics are served.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdminConfig {
    /// Default `0.0.0.0:9090`. Keep it off the public network.
    pub listen: SocketAddr,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            listen: ([0, 0, 0, 0], 9090).into(),
        }
    }
}

/// What must hold before the daemon takes work. Ready when every condition is met.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, State>>>);

#[derive(Debug, Default)]
struct State {
    /// `None`: met.
    unmet: Option<String>,
    /// Shown although the condition is met.
    warning: Option<String>,
}

/// One condition of a [`Readiness`]; unmet at first.
#[derive(Clone)]
pub struct Condition {
    name: &'static str,
    readiness: Readiness,
}

impl Readiness {
    pub fn condition(&self, name: &'static str) -> Condition {
        let condition = Condition {
            name,
            readiness: self.clone(),
        };
        condition.unmet("starting");
        condition
    }

    pub fn is_ready(&self) -> bool {
        self.lock().values().all(|state| state.unmet.is_none())
    }

    /// The conditions by name, and whether each is met.
    pub(crate) fn conditions(&self) -> Vec<(&'static str, bool)> {
        let conditions = self.lock();
        let conditions = conditions.iter();
        conditions
            .map(|(name, state)| (*name, state.unmet.is_none()))
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, State>> {
        // OK to go on after a panic elsewhere: the map is whole after each statement.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self) -> (StatusCode, String) {
        let conditions = self.lock();
        let status = if conditions.values().all(|state| state.unmet.is_none()) {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        let lines = conditions
            .iter()
            .map(|(name, state)| match (&state.unmet, &state.warning) {
                (Some(reason), _) => format!("[-]{name} {reason}\n"),
                (None, Some(warning)) => format!("[+]{name} ok, but {warning}\n"),
                (None, None) => format!("[+]{name} ok\n"),
            });
        (status, lines.collect())
    }
}

impl Condition {
    pub fn met(&self) {
        self.change(|state| state.unmet = None);
    }

    /// `reason` is shown at `/readyz`: no credentials.
    pub fn unmet(&self, reason: impl Into<String>) {
        self.change(|state| state.unmet = Some(reason.into()));
    }

    /// As [`Self::unmet`]; true if `reason` differs from the last one. A loop that tries again logs it then,
    /// and not at every try.
    pub fn report(&self, reason: impl Into<String>) -> bool {
        let reason = Some(reason.into());
        let mut is_new = false;
        self.change(|state| {
            is_new = state.unmet != reason;
            state.unmet = reason;
        });
        is_new
    }

    /// Shown while the condition is met; it changes nothing else. No credentials here either.
    pub fn warn(&self, warning: Option<String>) {
        self.change(|state| state.warning = warning);
    }

    /// Tries until `attempt` succeeds, with these pauses. Meanwhile the condition is unmet, and each new
    /// reason is logged once.
    pub async fn retry<T, F: Future<Output = anyhow::Result<T>>>(
        &self,
        message: &str,
        mut pauses: impl Iterator<Item = Duration>,
        mut attempt: impl FnMut() -> F,
    ) -> T {
        loop {
            let problem = match attempt().await {
                Ok(value) => return value,
                Err(error) => format!("{error:#}"),
            };
            if self.report(problem.clone()) {
                warn!(problem, "{message}");
            }
            sleep(pauses.next().unwrap_or_default()).await;
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(self.readiness.lock().entry(self.name).or_default());
    }
}

/// The problem that was logged last, where no [`Condition`] has it: one that persists is logged once.
#[derive(Debug, Default)]
pub struct ProblemLog(Option<String>);

impl ProblemLog {
    /// Whether this is another problem than the last one; remembers it.
    pub fn is_new(&mut self, problem: &str) -> bool {
        let is_new = self.0.as_deref() != Some(problem);
        if is_new {
            self.0 = Some(problem.to_owned());
        }
        is_new
    }

    /// The problem is over.
    pub fn clear(&mut self) {
        self.0 = None;
    }
}

/// Serves until `stop`; bind first, so that a taken port is an error at the start.
pub async fn serve(
    listener: TcpListener,
    readiness: Readiness,
    metrics: Registry,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    info!(listen = %listener.local_addr()?, "serving /livez, /readyz and /metrics");
    axum::serve(listener, router(readiness, metrics))
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
        .context("admin server")
}

/// Binds a listener; the error names the setting to change.
pub async fn bind(setting: &str, listen: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen} (setting `{setting}`)"))
}

fn router(readiness: Readiness, metrics: Registry) -> Router {
    let metrics = Arc::new(metrics);
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(move || async move { readiness.report() }))
        .route("/metrics", get(move || async move { render(&metrics) }))
}

fn render(registry: &Registry) -> impl IntoResponse + use<> {
    const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match crate::metrics::text(registry) {
        Ok(text) => (StatusCode::OK, [(header::CONTENT_TYPE, OPENMETRICS)], text),
        Err(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            [(header::CONTENT_TYPE, "text/plain")],
            String::new(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_that_every_condition_is_met() {
        let readiness = Readiness::default();
        let (nats, caches) = (readiness.condition("nats"), readiness.condition("caches"));
        assert!(!readiness.is_ready());
        nats.met();
        assert_eq!(
            readiness.report(),
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "[-]caches starting\n[+]nats ok\n".into()
            )
        );
        caches.met();
        assert!(readiness.is_ready());
        nats.unmet("disconnected");
        assert!(!readiness.is_ready());
    }

    #[test]
    fn a_repeated_reason_is_not_new() {
        let readiness = Readiness::default();
        let stream = readiness.condition("stream");
        assert!(stream.report("missing") && !stream.report("missing"));
        assert_eq!(readiness.report().1, "[-]stream missing\n");
        assert!(stream.report("a mirror"));
        stream.met();
        assert!(stream.report("a mirror"));
    }

    #[test]
    fn a_warning_is_shown_and_leaves_the_daemon_ready() {
        let readiness = Readiness::default();
        let stream = readiness.condition("stream");
        stream.warn(Some("it is 90 % full".to_owned()));
        assert_eq!(readiness.report().1, "[-]stream starting\n");
        stream.met();
        let ready = (StatusCode::OK, "[+]stream ok, but it is 90 % full\n".into());
        assert_eq!(readiness.report(), ready);
        stream.warn(None);
        assert_eq!(readiness.report().1, "[+]stream ok\n");
    }
}
