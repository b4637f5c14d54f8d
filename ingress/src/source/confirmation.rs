//! The first message of a subscription: it holds a URL, and fetching that confirms the subscription.
//!
//! Only hosts that the configuration names are called, and only for an authenticated sender.

use http::HeaderMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    DecodeError, Handshake,
    json::{Scalar, part, whole},
    malformed,
};
use crate::{clouds::oracle, outgoing::Https};

/// The message types of all these services for the beginning and the end of a subscription.
const BEGINS: &str = "SubscriptionConfirmation";
const ENDS: &str = "UnsubscribeConfirmation";

/// How a notification service asks for the confirmation.
struct Service {
    /// The header with the type of a message.
    kind: &'static str,
    /// The header with the URL, where there is one.
    header: Option<&'static str>,
    /// The member of the body with the URL.
    member: &'static str,
}

/// Oracle Notifications (<https://docs.oracle.com/en-us/iaas/Content/Notification/Tasks/confirm-subscription.htm>),
/// Huawei's SMN and Amazon's SNS, which it follows (the latter where a source is not one of `aws-sns`).
const SERVICES: [Service; 3] = [
    Service {
        kind: "x-oci-ns-messagetype",
        header: Some("x-oci-ns-confirmationurl"),
        member: "ConfirmationURL",
    },
    Service {
        kind: "x-smn-message-type",
        header: None,
        member: "subscribe_url",
    },
    Service {
        kind: "x-amz-sns-message-type",
        header: None,
        member: "SubscribeURL",
    },
];

/// `oracle`, or the name of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum ConfirmHost {
    /// Those of Oracle Notifications, in every realm.
    Oracle,
    /// In small letters.
    Host(String),
}

/// Where a source may confirm its subscriptions.
pub(super) struct Hosts(pub(super) Vec<ConfirmHost>);

impl TryFrom<String> for ConfirmHost {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "oracle" {
            return Ok(Self::Oracle);
        }
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
        let is_host = text.contains('.') && text.bytes().all(fits);
        if is_host && !text.starts_with('.') && !text.ends_with('.') {
            Ok(Self::Host(text.to_ascii_lowercase()))
        } else {
            Err(format!(
                "`{text}` is neither `oracle` nor the name of a host such as smn.example.com, without https:// and without a path"
            ))
        }
    }
}

impl From<ConfirmHost> for String {
    fn from(host: ConfirmHost) -> Self {
        match host {
            ConfirmHost::Oracle => "oracle".to_owned(),
            ConfirmHost::Host(name) => name,
        }
    }
}

impl Hosts {
    /// The handshake, if the message is not a notification.
    pub(super) fn handshake(
        &self,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Option<Handshake>, DecodeError> {
        let kind = |service: &Service| {
            headers
                .get(service.kind)
                .map(|kind| (service.header, service.member, kind.as_bytes()))
        };
        let Some((header, member, kind)) = SERVICES.iter().find_map(kind) else {
            return Ok(None);
        };
        if kind == ENDS.as_bytes() {
            return Ok(Some(Handshake::Unsubscribed));
        }
        if kind != BEGINS.as_bytes() {
            return Ok(None);
        }
        let told = match header.map(|name| Scalar::of_header(headers, name)) {
            Some(Scalar::Text(url)) => url,
            _ => in_body(member, body)?,
        };
        Ok(Some(match Https::within(&told, |host| self.allow(host)) {
            Ok(url) => Handshake::Confirmation { url },
            Err(_) => Handshake::Unwanted {
                host: Https::host_of(&told),
            },
        }))
    }

    fn allow(&self, host: &str) -> bool {
        self.0.iter().any(|allowed| match allowed {
            ConfirmHost::Oracle => oracle::is_notifications(host),
            ConfirmHost::Host(name) => name == host,
        })
    }
}

fn in_body(member: &str, body: &[u8]) -> Result<String, DecodeError> {
    let url = part(whole(body)?, member).map_or(Scalar::Missing, Scalar::of);
    let url = url.required(member).map_err(|_| {
        malformed(format!(
            "{member} is missing: the subscription cannot be confirmed"
        ))
    })?;
    // Oracle escapes it as in HTML.
    Ok(url.replace("&amp;", "&"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const ORACLE: &str = "https://cell1.notification.us-phoenix-1.oci.oraclecloud.com/20181201/subscriptions/s/confirmation?token=t&protocol=CUSTOM_HTTPS";

    fn hosts(names: &[&str]) -> Hosts {
        let parse = |name: &&str| ConfirmHost::try_from((*name).to_owned()).unwrap();
        Hosts(names.iter().map(parse).collect())
    }

    fn asked(
        hosts: &Hosts,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> Result<Option<Handshake>, DecodeError> {
        let headers = headers.iter().map(|(name, value)| {
            (
                http::HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        });
        hosts.handshake(&headers.collect(), body.as_bytes())
    }

    fn wanted(url: &str) -> Handshake {
        Handshake::Confirmation {
            url: Https::parse(url).unwrap(),
        }
    }

    #[test]
    fn the_url_is_found_where_each_service_puts_it() {
        let oracle = hosts(&["oracle", "SMN.example.com", "sns.eu-west-1.amazonaws.com"]);
        let begins = |name| (name, BEGINS);
        let header = ("x-oci-ns-confirmationurl", ORACLE);
        let escaped = ORACLE.replace('&', "&amp;");
        for (headers, body, url) in [
            (&[begins("x-oci-ns-messagetype"), header][..], "no JSON".to_owned(), ORACLE),
            (&[begins("x-oci-ns-messagetype")], format!(r#"{{"ConfirmationURL":"{escaped}"}}"#), ORACLE),
            (
                &[begins("x-smn-message-type")],
                r#"{"type":"SubscriptionConfirmation","subscribe_url":"https://smn.example.com/confirm?a=b"}"#.to_owned(),
                "https://smn.example.com/confirm?a=b",
            ),
            (
                &[begins("x-amz-sns-message-type")],
                r#"{"SubscribeURL":"https://sns.eu-west-1.amazonaws.com/?Token=t"}"#.to_owned(),
                "https://sns.eu-west-1.amazonaws.com/?Token=t",
            ),
        ] {
            assert_eq!(asked(&oracle, headers, &body), Ok(Some(wanted(url))), "{body}");
        }
        let ends = asked(&oracle, &[("x-smn-message-type", ENDS)], "{}");
        assert_eq!(ends, Ok(Some(Handshake::Unsubscribed)));
        for kind in ["Notification", ""] {
            assert_eq!(
                asked(&oracle, &[("x-oci-ns-messagetype", kind)], "{}"),
                Ok(None)
            );
        }
        assert_eq!(
            asked(&oracle, &[header], "{}"),
            Ok(None),
            "no message says so"
        );
        assert!(asked(&oracle, &[begins("x-smn-message-type")], "{}").is_err());
    }

    #[test]
    fn no_host_is_visited_that_is_not_allowed() {
        for (allowed, url, host) in [
            (
                &[][..],
                ORACLE,
                Some("cell1.notification.us-phoenix-1.oci.oraclecloud.com"),
            ),
            (
                &["oracle"],
                "https://169.254.169.254/latest/meta-data",
                Some("169.254.169.254"),
            ),
            (
                &["oracle"],
                "http://notification.eu-frankfurt-1.oraclecloud.com/",
                Some("notification.eu-frankfurt-1.oraclecloud.com"),
            ),
            (
                &["oracle"],
                "https://notification.eu-frankfurt-1.oraclecloud.com:8443/",
                Some("notification.eu-frankfurt-1.oraclecloud.com"),
            ),
            (
                &["oracle"],
                "https://u@notification.eu-frankfurt-1.oraclecloud.com/",
                Some("notification.eu-frankfurt-1.oraclecloud.com"),
            ),
            (
                &["smn.example.com"],
                "https://smn.example.com.evil.example/",
                Some("smn.example.com.evil.example"),
            ),
            (
                &["smn.example.com"],
                "https://localhost/",
                Some("localhost"),
            ),
            (&["smn.example.com"], "x", None),
        ] {
            let headers = [
                ("x-oci-ns-messagetype", BEGINS),
                ("x-oci-ns-confirmationurl", url),
            ];
            let expected = Handshake::Unwanted {
                host: host.map(str::to_owned),
            };
            assert_eq!(
                asked(&hosts(allowed), &headers, "{}"),
                Ok(Some(expected)),
                "{url}"
            );
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for wrong in [
            "https://a.example",
            "a.example/b",
            "a.example:443",
            "a b.c",
            "oracl",
            ".a",
            "a.",
            "*.a.example",
            "",
        ] {
            assert!(ConfirmHost::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
