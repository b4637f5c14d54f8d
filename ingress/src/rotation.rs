//! Checks the files of secrets and certificates while the ingress runs, so that a rotation needs no restart.

use std::{collections::BTreeMap, io, sync::Arc, thread, time::Duration};

use eso_relay::Slug;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    metrics::Metrics,
    source::Source,
    tls::{self, Expiry, Tls},
    verify::{Refresh, jwt::News},
};

/// Kubernetes takes up to a minute to bring a changed Secret into a pod; this adds next to nothing.
const INTERVAL: Duration = Duration::from_secs(1);

/// Checks the files every second until `stop`, in a thread for each source and one for `tls`: a file system
/// that hangs blocks only that thread.
pub(crate) fn watch(
    sources: &Arc<BTreeMap<Slug, Source>>,
    tls: Option<Arc<Tls>>,
    metrics: &Metrics,
    stop: &CancellationToken,
) -> io::Result<()> {
    for name in sources.keys() {
        let (name, sources, metrics) = (name.clone(), Arc::clone(sources), metrics.clone());
        every_second(format!("secrets of {name}"), stop, move || {
            if let Some(source) = sources.get(&name) {
                look(source, &metrics);
            }
        })?;
    }
    if let Some(tls) = tls {
        metrics.expect_certificates();
        report_expiry(&tls, metrics);
        let metrics = metrics.clone();
        every_second("certificates".to_owned(), stop, move || {
            look_at_certificates(&tls, &metrics);
        })?;
    }
    Ok(())
}

fn every_second(
    name: String,
    stop: &CancellationToken,
    look: impl Fn() + Send + 'static,
) -> io::Result<()> {
    // The keys of an issuer are fetched by a task, which needs the runtime.
    let (runtime, stop) = (Handle::current(), stop.clone());
    let looking = move || {
        let _entered = runtime.enter();
        while !stop.is_cancelled() {
            look();
            thread::sleep(INTERVAL);
        }
    };
    thread::Builder::new().name(name).spawn(looking)?;
    Ok(())
}

fn look(source: &Source, metrics: &Metrics) {
    let all = source.scheme.refresh();
    if !all.is_empty() {
        metrics.credentials_changed(&source.name, &source.scheme);
    }
    if let Some(keys) = source.scheme.issuer_keys() {
        source.metrics.jwks(keys);
    }
    for seen in all {
        let (counts, source) = (&source.metrics, &source.name);
        match seen {
            Refresh::Replaced(file) => {
                info!(%source, file = %file.path().display(), "the secret file has changed; using the new secret");
            }
            Refresh::Revoked(file) => {
                warn!(%source, file = %file.path().display(), "the secret file is missing; its secret is not valid until the file is back. Remove it from the configuration before the next start");
            }
            Refresh::Issuer(News::Keys { origin, count }) => {
                info!(%source, origin, count, "loaded the issuer's keys");
            }
            Refresh::Issuer(News::Failure { origin, reason }) => {
                counts.credential_failed();
                warn!(%source, origin, reason, "cannot load the issuer's keys; the known ones stay valid for a day");
            }
            Refresh::Kept(file, error) => {
                counts.credential_failed();
                warn!(%source, file = %file.path().display(), %error, "cannot read the changed secret file; the previous secret stays valid");
            }
        }
    }
}

fn look_at_certificates(tls: &Tls, metrics: &Metrics) {
    match tls.refresh() {
        None => {}
        Some(tls::Refresh::Replaced) => {
            report_expiry(tls, metrics);
            info!("the certificates of `tls` have changed; new connections get the new ones");
        }
        Some(tls::Refresh::Kept(error)) => {
            metrics.certificate_failed();
            warn!(%error, "cannot use the changed files of `tls`; the previous certificates stay in use");
        }
    }
}

pub(crate) fn report_expiry(tls: &Tls, metrics: &Metrics) {
    let Expiry { server, client_ca } = tls.expiry();
    for (certificate, expiry) in [("server", server), ("client_ca", client_ca)] {
        if let Some(at) = expiry {
            metrics.certificate_expires(certificate, at);
        }
    }
}
