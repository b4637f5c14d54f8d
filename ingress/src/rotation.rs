//! Looks at the files of secrets and certificates while the ingress runs, so that a rotation needs no restart.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    metrics::Metrics,
    source::Source,
    tls::{self, Tls},
    verify::{Refresh, jwt::News},
};

/// Kubernetes takes up to a minute to bring a changed Secret into a pod; this adds next to nothing.
const INTERVAL: Duration = Duration::from_secs(1);

/// Until `stop`.
pub async fn watch(
    sources: Arc<std::collections::BTreeMap<eso_relay::Slug, Source>>,
    tls: Option<Arc<Tls>>,
    metrics: Metrics,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    while stop
        .run_until_cancelled(tokio::time::sleep(INTERVAL))
        .await
        .is_some()
    {
        let (sources, tls, metrics) = (Arc::clone(&sources), tls.clone(), metrics.clone());
        tokio::task::spawn_blocking(move || {
            for source in sources.values() {
                look(source, &metrics);
            }
            if let Some(tls) = tls {
                look_at_certificates(&tls, &metrics);
            }
        })
        .await
        .context("reading secret files again")?;
    }
    Ok(())
}

fn look(source: &Source, metrics: &Metrics) {
    for seen in source.scheme.refresh() {
        let source = &source.name;
        match seen {
            Refresh::Replaced(file) => {
                info!(%source, file = %file.path().display(), "the secret has changed; the new one is valid");
            }
            Refresh::Revoked(file) => {
                warn!(%source, file = %file.path().display(), "the secret file is gone; its secret is no longer valid. Take it out of the configuration before the next start");
            }
            Refresh::Issuer(News::Keys { origin, count }) => {
                info!(%source, origin, count, "the issuer's keys are known");
            }
            Refresh::Issuer(News::Failure { origin, reason }) => {
                metrics.credential_failed(source);
                warn!(%source, origin, reason, "the issuer's keys cannot be had; those that are known stay valid for a day");
            }
            Refresh::Kept(file, error) => {
                metrics.credential_failed(source);
                warn!(%source, file = %file.path().display(), %error, "cannot read the changed secret file; the secret that it held stays valid");
            }
        }
    }
}

fn look_at_certificates(tls: &Tls, metrics: &Metrics) {
    match tls.refresh() {
        None => {}
        Some(tls::Refresh::Replaced) => {
            info!("the certificates of `tls` have changed; new connections get the new ones");
        }
        Some(tls::Refresh::Kept(error)) => {
            metrics.certificate_failed();
            warn!(%error, "cannot take the changed files of `tls`; the certificates that they held stay in use");
        }
    }
}
