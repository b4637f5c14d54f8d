//! For each provider: stores, references, and events in the form in which an ingress publishes them.

mod vault;
mod webhook;

use proptest::{prelude::*, sample::select};

use super::*;

/// A reference, and what an ingress says of the secret that it reads.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) spec: Value,
    pub(super) key: String,
    pub(super) said: Published,
    /// Of other secrets.
    pub(super) elsewhere: Vec<Published>,
}

#[derive(Debug, Clone)]
pub(super) struct Published {
    provider: &'static str,
    keys: Vec<String>,
    scope: Vec<(&'static str, String)>,
}

impl Published {
    fn new(provider: &'static str, keys: &[&str], scope: &[(&'static str, &str)]) -> Self {
        Self {
            provider,
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            scope: scope
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect(),
        }
    }

    /// The same of another place.
    fn but(&self, attribute: &str, value: &str) -> Self {
        let mut other = self.clone();
        for (name, known) in &mut other.scope {
            if *name == attribute {
                value.clone_into(known);
            }
        }
        other
    }

    /// Whether it means a reference with this key.
    pub(super) fn means(&self, spec: &Value, key: &str) -> bool {
        let keys: Vec<&str> = self.keys.iter().map(String::as_str).collect();
        let scope: Vec<(&str, &str)> = (self.scope.iter())
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let (spec, said) = (spec.to_string(), (self.provider, &keys[..], &scope[..]));
        if keys.is_empty() {
            in_scope(&spec, key, said)
        } else {
            reads(&spec, key, said)
        }
    }
}

/// `None` where a setting is left out.
fn maybe(value: &str) -> impl Strategy<Value = Option<String>> + use<> {
    let value = value.to_owned();
    any::<bool>().prop_map(move |known| known.then(|| value.clone()))
}

fn secrets_manager() -> impl Strategy<Value = Case> {
    let name = "[a-zA-Z0-9/_+=.@-]{2,16}";
    let known = (
        maybe("eu-west-1"),
        maybe("arn:aws:iam::012345678901:role/eso"),
    );
    (name, "[a-zA-Z0-9]{6}", known, 0..4).prop_map(|(name, tail, (region, role), form)| {
        let partial = format!("arn:aws:secretsmanager:eu-west-1:012345678901:secret:{name}");
        let arn = format!("{partial}-{tail}");
        let (prefix, rest) = name.split_at(1);
        let (prefix, key) = match form {
            0 => ("", name.as_str()),
            1 => ("", arn.as_str()),
            2 => ("", partial.as_str()),
            _ => (prefix, rest),
        };
        let is_arn = matches!(form, 1 | 2);
        let scope = [("account", "012345678901"), ("region", "eu-west-1")];
        let with_tail = format!("{name}-{tail}");
        let said = Published::new("aws-sm", &[&name, &arn, &with_tail], &scope);
        let mut elsewhere = vec![Published::new("aws-sm", &[&format!("{name}!")], &scope)];
        if is_arn || role.is_some() {
            elsewhere.push(said.but("account", "999999999999"));
        }
        Case {
            spec: json!({ "aws": { "region": region, "role": role, "prefix": prefix } }),
            key: key.to_owned(),
            said,
            elsewhere,
        }
    })
}

fn parameter_store() -> impl Strategy<Value = Case> {
    let name = "(/[a-zA-Z0-9_.-]{1,4}){1,3}|[a-zA-Z0-9_.-]{2,6}";
    (name, maybe("eu-west-1"), 0..4).prop_map(|(name, region, form)| {
        let bare = name.trim_start_matches('/');
        let arn = format!("arn:aws:ssm:eu-west-1:012345678901:parameter/{bare}");
        let (prefix, rest) = name.split_at(1);
        let (prefix, key) = match form {
            0 => ("", name.clone()),
            1 => ("", format!("{name}:7")),
            2 => ("", arn.clone()),
            _ => (prefix, rest.to_owned()),
        };
        let scope = [("account", "012345678901"), ("region", "eu-west-1")];
        let said = Published::new("aws-ps", &[&name, &arn], &scope);
        let mut elsewhere = vec![Published::new("aws-ps", &[&format!("{name}!")], &scope)];
        if form == 2 || region.is_some() {
            elsewhere.push(said.but("region", "us-east-1"));
        }
        let settings = json!({ "service": "ParameterStore", "region": region, "prefix": prefix });
        Case {
            spec: json!({ "aws": settings }),
            key,
            said,
            elsewhere,
        }
    })
}

fn gcp() -> impl Strategy<Value = Case> {
    let project = select(vec![None, Some("acme"), Some("4711")]);
    let said_as = select(vec!["acme", "4711"]);
    (project, maybe("us-east1"), "[a-zA-Z0-9_-]{1,8}", said_as).prop_map(
        |(project, location, name, said_as)| {
            let regional = location.as_ref().map(|place| format!("/locations/{place}"));
            let full = |project: &str, place: &str, name: &str| {
                format!("projects/{project}{place}/secrets/{name}")
            };
            let here = regional.unwrap_or_default();
            let scope = [("project", "acme"), ("project_number", "4711")];
            let said = Published::new("gcp-sm", &[&name, &full(said_as, &here, &name)], &scope);
            let there = full(said_as, "/locations/mars-north1", &name);
            let mut elsewhere = vec![
                Published::new("gcp-sm", &[&name, &there], &scope),
                Published::new("gcp-sm", &[&full(said_as, &here, "other!")], &scope),
            ];
            match project {
                Some("acme") => elsewhere.push(said.but("project", "other")),
                Some(_) => elsewhere.push(said.but("project_number", "4712")),
                None => {}
            }
            Case {
                spec: json!({ "gcpsm": { "projectID": project, "location": location } }),
                key: name,
                said,
                elsewhere,
            }
        },
    )
}

fn azure() -> impl Strategy<Value = Case> {
    let kind = select(vec!["secret", "key", "cert"]);
    let url = maybe("https://Sample.vault.azure.net/");
    (kind, "[a-zA-Z0-9-]{1,8}", any::<bool>(), url).prop_map(|(kind, name, short, url)| {
        let key = match kind {
            "secret" if short => name.clone(),
            kind => format!("{kind}/{name}"),
        };
        let plain = name.to_lowercase();
        let aliases = ["cert", "secret", "key"].map(|kind| format!("{kind}/{plain}"));
        let aliases: Vec<&str> = aliases.iter().map(String::as_str).collect();
        let own = [format!("{kind}/{plain}")];
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        let keys = if kind == "cert" { aliases } else { own };
        let said = Published::new("azure-kv", &keys, &[("vault", "sample.vault.azure.net")]);
        let mut elsewhere = vec![Published::new("azure-kv", &["secret/_", "key/_"], &[])];
        elsewhere.extend(
            url.iter()
                .map(|_| said.but("vault", "other.vault.azure.net")),
        );
        Case {
            spec: json!({ "azurekv": { "vaultUrl": url } }),
            key,
            said,
            elsewhere,
        }
    })
}

fn akeyless() -> impl Strategy<Value = Case> {
    ("/?[a-c ]{1,3}(/[a-c]{1,3}){0,2}", any::<bool>()).prop_map(|(key, slash)| {
        let bare = key.trim_start_matches('/');
        let item = format!("{}{bare}", if slash { "/" } else { "" });
        Case {
            spec: json!({ "akeyless": {} }),
            said: Published::new("akeyless", &[&item], &[]),
            elsewhere: vec![Published::new("akeyless", &[&format!("{item}/x")], &[])],
            key,
        }
    })
}

fn doppler() -> impl Strategy<Value = Case> {
    ("[A-Z_]{1,8}", maybe("shop"), maybe("prd")).prop_map(|(key, project, config)| {
        let scope = [("project", "shop"), ("config", "prd")];
        let said = Published::new("doppler", &[&key], &scope);
        let mut elsewhere = vec![Published::new("doppler", &["other"], &scope)];
        elsewhere.extend(project.iter().map(|_| said.but("project", "blog")));
        elsewhere.extend(config.iter().map(|_| said.but("config", "dev")));
        Case {
            spec: json!({ "doppler": { "project": project, "config": config } }),
            key,
            said,
            elsewhere,
        }
    })
}

fn infisical() -> impl Strategy<Value = Case> {
    let below = "([a-c]{1,2}/){0,2}";
    (below, below, "[A-Z]{1,4}", 0..2, any::<bool>()).prop_map(
        |(store, folder, name, form, named)| {
            let (key, path) = match form {
                0 => (format!("/{folder}{name}"), format!("/{folder}")),
                _ => (format!("{folder}{name}"), format!("/{store}{folder}")),
            };
            let scope = [("project", "shop"), ("environment", "prod"), ("path", &*path)];
            let keys: &[&str] = if named { &[&name] } else { &[] };
            let said = Published::new("infisical", keys, &scope);
            let settings = json!({
                "projectSlug": "shop", "environmentSlug": "prod", "secretsPath": format!("/{store}"),
            });
            Case {
                spec: json!({ "infisical": { "secretsScope": settings } }),
                key,
                elsewhere: vec![
                    said.but("project", "blog"),
                    said.but("environment", "dev"),
                    said.but("path", &format!("{path}/zz")),
                ],
                said,
            }
        },
    )
}

fn onepassword() -> impl Strategy<Value = Case> {
    ("[A-Za-z ]{1,8}", "[a-z0-9]{26}", any::<bool>(), 0..3).prop_map(|(title, id, by_id, form)| {
        let item = if by_id { id.clone() } else { title.clone() };
        let (kind, key) = match form {
            0 => ("onepassword", item),
            1 => ("onepasswordSDK", item),
            _ => ("onepasswordSDK", format!("{item}/section/password")),
        };
        Case {
            spec: json!({ kind: {} }),
            key,
            said: Published::new("onepassword", &[&title, &id], &[]),
            elsewhere: vec![Published::new("onepassword", &["other!"], &[])],
        }
    })
}

fn gitlab() -> impl Strategy<Value = Case> {
    "[A-Z_-]{1,8}".prop_map(|key| Case {
        spec: json!({ "gitlab": {} }),
        said: Published::new("gitlab", &[&key.replace('-', "_")], &[]),
        elsewhere: vec![Published::new("gitlab", &["other"], &[])],
        key,
    })
}

fn ibm() -> impl Strategy<Value = Case> {
    const GUID: &str = "01234567-89ab-cdef-0123-456789abcdef";
    let url = maybe(&format!(
        "https://{GUID}.eu-de.secrets-manager.appdomain.cloud"
    ));
    let id = "aaaaaaaa-0000-0000-0000-000000000000";
    let kind = select(vec!["arbitrary", "kv", "imported_cert"]);
    (url, kind, "[a-z0-9-]{1,8}", 0..4).prop_map(move |(url, kind, name, form)| {
        let key = match form {
            0 if kind == "arbitrary" => name.clone(),
            1 => format!("group/{kind}/{name}"),
            2 => format!("{kind}/{id}"),
            _ => format!("{kind}/{name}"),
        };
        let scope = [("instance", GUID)];
        let said = Published::new("ibm", &[&format!("{kind}/{name}"), &name, id], &scope);
        let other = Published::new("ibm", &[&format!("other/{name}"), &name, id], &scope);
        let mut elsewhere = vec![other];
        elsewhere.extend(url.iter().map(|_| said.but("instance", id)));
        Case {
            spec: json!({ "ibm": { "serviceUrl": url } }),
            key,
            said,
            elsewhere,
        }
    })
}

fn pulumi() -> impl Strategy<Value = Case> {
    "[a-z.]{1,8}".prop_map(|key| {
        let scope = [
            ("organization", "acme"),
            ("project", "shop"),
            ("environment", "prod"),
        ];
        let said = Published::new("pulumi", &[], &scope);
        Case {
            spec: json!({ "pulumi": {
                "organization": "acme", "project": "shop", "environment": "prod",
            } }),
            key,
            elsewhere: scope.map(|(name, _)| said.but(name, "other")).to_vec(),
            said,
        }
    })
}

fn alibaba() -> impl Strategy<Value = Case> {
    let known = (maybe("cn-hangzhou"), maybe("acs:ram::1234:role/eso"));
    ("[a-zA-Z0-9/_+=.@-]{2,16}", known, any::<bool>()).prop_map(|(name, (region, role), by_arn)| {
        let arn = format!("acs:kms:cn-hangzhou:1234:secret/{name}");
        let scope = [("account", "1234"), ("region", "cn-hangzhou")];
        let said = Published::new("alibaba", &[&name, &arn], &scope);
        let mut elsewhere = vec![Published::new("alibaba", &[&format!("{name}!")], &scope)];
        if by_arn || role.is_some() {
            elsewhere.push(said.but("account", "5678"));
        }
        if by_arn || region.is_some() {
            elsewhere.push(said.but("region", "cn-beijing"));
        }
        Case {
            spec: json!({ "alibaba": { "regionID": region, "roleArn": role } }),
            key: if by_arn { arn } else { name },
            said,
            elsewhere,
        }
    })
}

pub(super) fn case() -> impl Strategy<Value = Case> {
    prop_oneof![
        secrets_manager(),
        parameter_store(),
        vault::vault(),
        vault::vault(),
        vault::openbao(),
        gcp(),
        azure(),
        prop_oneof![akeyless(), alibaba()],
        prop_oneof![doppler(), infisical(), onepassword()],
        prop_oneof![gitlab(), ibm(), pulumi()],
        prop_oneof![webhook::by_key(), webhook::by_document()],
    ]
}
