//! The Kubernetes API: connects to it, watches objects, and patches them.

mod discover;
mod kes;
mod list;
mod listings;
mod namespace;
mod object;
pub(crate) mod outcome;
mod policy;
mod problems;
mod progress;
mod push_secret;
mod read;
pub(crate) mod refresh;
mod restart;
mod watch;
mod watched;
mod workload;

use std::time::Duration;

use anyhow::Context as _;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::config::KubernetesConfig;

#[cfg(test)]
pub(crate) use self::kes::claims as claims_of_kes;
pub(crate) use self::object::Object;
pub(crate) use self::{
    discover::{ApiVersion, Served},
    list::{Listed, list},
    policy::Selection,
    watch::watch,
};

/// For a connection that is open but dead. Longer than a watch may be silent before kube's watcher restarts it
/// (295 s).
const READ_TIMEOUT: Duration = Duration::from_secs(330);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Creates a client. It sends no request yet, so an unavailable API is no error here; an invalid configuration is.
///
/// The client opens one connection for each concurrent request (HTTP/1.1). It does not retry: kube's own 15
/// retries with up to 1,000 s between them would hide an overloaded API from the engine, and take longer than a
/// delivery may.
pub(crate) async fn client(config: &KubernetesConfig) -> anyhow::Result<Client> {
    let mut config = load(config).await?;
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    config.reset_reader_on_write = true;
    tracing::info!(api = %config.cluster_url, "using the Kubernetes API");
    Client::try_from(config).context("cannot set up a client for the Kubernetes API")
}

async fn load(config: &KubernetesConfig) -> anyhow::Result<Config> {
    let options = KubeConfigOptions {
        context: config.context.clone(),
        ..KubeConfigOptions::default()
    };
    if let Some(path) = &config.kubeconfig {
        let setting = || format!("setting `kubernetes.kubeconfig` ({})", path.display());
        let kubeconfig = Kubeconfig::read_from(path).with_context(setting)?;
        return Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .with_context(setting);
    }
    if config.context.is_none()
        && let Ok(in_cluster) = Config::incluster()
    {
        return Ok(in_cluster);
    }
    let found = Config::from_kubeconfig(&options).await;
    found.with_context(|| match &config.context {
        Some(context) => format!(
            "cannot use context `{context}` of the kubeconfig ($KUBECONFIG, else ~/.kube/config; setting `kubernetes.context`)"
        ),
        None => "neither in a pod nor with a kubeconfig: set `kubernetes.kubeconfig` and `kubernetes.context`".to_owned(),
    })
}

/// An error and its causes in one line; the outermost message of kube's errors says little.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = Some(error);
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        if let Some(kube::Error::Api(status)) = error.downcast_ref() {
            // kube shows the status three times, once as Rust prints it.
            let said = format!("{} {}: {}", status.code, status.reason, status.message);
            return text.replace(&message, &said);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_unreadable_kubeconfig_names_the_setting() {
        let config = KubernetesConfig {
            kubeconfig: Some("/nowhere/kubeconfig".into()),
            ..KubernetesConfig::default()
        };
        let error = client(&config).await.err().unwrap();
        assert!(
            format!("{error:#}").contains("setting `kubernetes.kubeconfig` (/nowhere/kubeconfig)")
        );
    }

    #[test]
    fn what_the_api_refuses_is_said_once() {
        let message = r#"externalsecrets is forbidden: User "east" cannot list"#;
        let status = kube::core::Status::failure(message, "Forbidden").with_code(403);
        let error = kube::Error::Api(Box::new(status));
        assert_eq!(chain(&error), format!("403 Forbidden: {message}"));
        let error = kube::runtime::watcher::Error::InitialListFailed(error);
        let said = chain(&error);
        assert_eq!(said.matches("is forbidden").count(), 1, "{said}");
        assert!(!said.contains("Status {"), "{said}");
    }
}
