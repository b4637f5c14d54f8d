//! Looks at the secret files while the ingress runs, so that a rotation needs no restart.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{metrics::Metrics, source::Source, verify::Refresh};

/// Kubernetes takes up to a minute to bring a changed Secret into a pod; this adds next to nothing.
const INTERVAL: Duration = Duration::from_secs(1);

/// Until `stop`.
pub async fn watch(
    sources: Arc<std::collections::BTreeMap<eso_relay::Slug, Source>>,
    metrics: Metrics,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    while stop
        .run_until_cancelled(tokio::time::sleep(INTERVAL))
        .await
        .is_some()
    {
        let (sources, metrics) = (Arc::clone(&sources), metrics.clone());
        tokio::task::spawn_blocking(move || {
            for source in sources.values() {
                look(source, &metrics);
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
            Refresh::Kept(file, error) => {
                metrics.credential_failed(source);
                warn!(%source, file = %file.path().display(), %error, "cannot read the changed secret file; the secret that it held stays valid");
            }
        }
    }
}
