//! The variables of vault-secrets-reloader, for an ingress without a port and without `polls`: its poll is called
//! `vault` and looks at what the clusters read.

use std::time::Duration;

use eso_relay::config::ConfigError;

use super::config::{
    KubernetesLogin, PollAuthConfig, PollConfig, PollProvider, kubernetes, minute, service_account,
    ten_seconds,
};
use crate::akeyless_trigger::go_duration;

const ADDRESS: &str = "VAULT_ADDR";
const ROLE: &str = "VAULT_ROLE";
const METHOD: &str = "VAULT_AUTH_METHOD";
const TIMEOUT: &str = "VAULT_CLIENT_TIMEOUT";

impl PollConfig {
    /// `None` when neither `VAULT_ADDR` nor `VAULT_ROLE` is set; an error when one is missing. Empty counts as missing.
    pub(crate) fn from(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, ConfigError> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let refuse = |problem: String| Err(ConfigError::Invalid(problem));
        let (address, role) = match (set(ADDRESS), set(ROLE)) {
            (None, None) => return Ok(None),
            (Some(address), Some(role)) => (address, role),
            (None, _) => return refuse(format!("{ADDRESS} is not set, and {ROLE} is: set both")),
            (_, None) => return refuse(format!("{ROLE} is not set, and {ADDRESS} is: set both")),
        };
        // Both post the token of the service account to the same path.
        if let Some(method) = set(METHOD).filter(|method| method != "jwt" && method != "kubernetes")
        {
            return refuse(format!(
                "{METHOD} is `{}`: only jwt and kubernetes log in with a role; write `polls` for another",
                method.escape_default()
            ));
        }
        let timeout = match set(TIMEOUT).as_deref().map(go_duration) {
            None => ten_seconds(),
            Some(Some(timeout)) if timeout > Duration::ZERO => timeout,
            Some(_) => return refuse(format!("{TIMEOUT} is not a duration such as 10s")),
        };
        let is_true = |name| set(name).is_some_and(|value| value == "true");
        Ok(Some(Self {
            // OK because it is a slug.
            name: "vault".parse().expect("a slug"),
            provider: PollProvider::Vault,
            address,
            host: None,
            namespace: set("VAULT_NAMESPACE"),
            auth: PollAuthConfig::Kubernetes(KubernetesLogin {
                role,
                path: set("VAULT_PATH").unwrap_or_else(kubernetes),
                token_file: service_account(),
            }),
            ca_file: None,
            skip_verify: is_true("VAULT_SKIP_VERIFY"),
            paths: Vec::new(),
            prefixes: Vec::new(),
            watch_list: true,
            interval: minute(),
            timeout,
            ignore_missing: is_true("VAULT_IGNORE_MISSING_SECRETS"),
            target: None,
            settle: None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(variables: &[(&str, &str)]) -> Result<Option<PollConfig>, String> {
        let find = |name: &str| {
            let mut found = variables.iter().filter(|(other, _)| *other == name);
            found.next().map(|(_, value)| (*value).to_owned())
        };
        PollConfig::from(find).map_err(|error| error.to_string())
    }

    #[test]
    fn two_variables_are_a_poll() {
        assert!(from(&[("VAULT_NAMESPACE", "a")]).unwrap().is_none());
        let two = [(ADDRESS, "https://vault:8200"), (ROLE, "reloader")];
        let poll = from(&two).unwrap().unwrap();
        poll.check().unwrap();
        assert_eq!((poll.namespace, poll.timeout), (None, ten_seconds()));
        let more = [
            ("VAULT_PATH", "east"),
            (METHOD, "kubernetes"),
            ("VAULT_NAMESPACE", "team"),
            (TIMEOUT, "1m30s"),
            ("VAULT_SKIP_VERIFY", "true"),
            ("VAULT_IGNORE_MISSING_SECRETS", "true"),
        ];
        let poll = from(&[&two[..], &more].concat()).unwrap().unwrap();
        assert_eq!(poll.timeout, Duration::from_secs(90));
        assert_eq!(poll.namespace.as_deref(), Some("team"));
        assert!(poll.skip_verify && poll.ignore_missing);
        let PollAuthConfig::Kubernetes(login) = poll.auth else {
            panic!("another way to log in");
        };
        assert_eq!(login.path, "east");
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        let two = [(ADDRESS, "https://vault:8200"), (ROLE, "reloader")];
        for (variables, named) in [
            (two[..1].to_vec(), "VAULT_ROLE is not set"),
            (two[1..].to_vec(), "VAULT_ADDR is not set"),
            ([&two[..], &[(METHOD, "gcp-gce")]].concat(), METHOD),
            ([&two[..], &[(TIMEOUT, "soon")]].concat(), TIMEOUT),
            ([&two[..], &[(TIMEOUT, "0s")]].concat(), TIMEOUT),
        ] {
            let error = from(&variables).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }
}
