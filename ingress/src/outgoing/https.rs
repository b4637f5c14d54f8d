//! The URLs of outgoing requests.

use std::fmt;

use reqwest::Url;

use crate::clouds::amazon;

/// An https URL without user and password. Prints without its query, which may hold a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Https(Url);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an https URL that may be called")]
pub struct NotAllowed;

impl Https {
    /// From the configuration: any host and port.
    pub fn parse(text: &str) -> Result<Self, NotAllowed> {
        let url = Url::parse(text).map_err(|_| NotAllowed)?;
        let anonymous = url.username().is_empty() && url.password().is_none();
        if url.scheme() == "https" && url.has_host() && anonymous {
            Ok(Self(url))
        } else {
            Err(NotAllowed)
        }
    }

    /// From a payload: only an endpoint of Amazon SNS, at port 443.
    pub fn of_sns(text: &str) -> Result<Self, NotAllowed> {
        Self::within(text, |host| amazon::sns_region(host).is_some())
    }

    /// From a payload: only a host that `allows` accepts, at port 443.
    pub fn within(text: &str, allows: impl Fn(&str) -> bool) -> Result<Self, NotAllowed> {
        let url = Self::parse(text)?;
        // The parser has left out a port that is the default.
        if url.0.port().is_none() && url.0.host_str().is_some_and(allows) {
            Ok(url)
        } else {
            Err(NotAllowed)
        }
    }

    /// The host of any URL, as the setting `confirm` would name it.
    pub fn host_of(text: &str) -> Option<String> {
        Url::parse(text).ok()?.host_str().map(str::to_owned)
    }

    /// The region of an endpoint of Amazon SNS.
    pub fn sns_region(&self) -> Option<&str> {
        self.0.host_str().and_then(amazon::sns_region)
    }

    pub fn path(&self) -> &str {
        self.0.path()
    }

    pub(super) fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for Https {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.0.host_str().unwrap_or_default())?;
        if let Some(port) = self.0.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(self.0.path())
    }
}

impl fmt::Debug for Https {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_the_configuration_is_https_and_anonymous() {
        for right in [
            "https://issuer.example/keys",
            "https://10.0.0.7:8443/keys?v=1",
            "https://[::1]/",
        ] {
            assert!(Https::parse(right).is_ok(), "{right}");
        }
        for wrong in [
            "http://issuer.example/keys",
            "https://user@issuer.example/",
            "https://:password@issuer.example/",
            "https://",
            "file:///etc/passwd",
            "issuer.example",
            "",
        ] {
            assert!(Https::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_payload_leads_to_sns_only() {
        for right in [
            "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-1.pem",
            "https://sns.us-east-1.amazonaws.com:443/?Action=ConfirmSubscription",
            "https://sns.cn-north-1.amazonaws.com.cn/a.pem",
            "https://SNS.us-gov-west-1.amazonaws.com/a.pem",
            "https://sns.eusc-de-east-1.amazonaws.eu/a.pem",
            "https://sns.us-iso-east-1.c2s.ic.gov/a.pem",
        ] {
            assert!(Https::of_sns(right).is_ok(), "{right}");
        }
        for wrong in [
            "http://sns.us-east-1.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com:8443/a.pem",
            "https://sns.us-east-1.amazonaws.com./a.pem",
            "https://sns.us-east-1.amazonaws.com.evil.example/a.pem",
            "https://sns.us-east-1.amazonaws.com@evil.example/a.pem",
            "https://evil.example/sns.us-east-1.amazonaws.com",
            "https://evil.example\\sns.us-east-1.amazonaws.com/",
            "https://sns.a.b.amazonaws.com/a.pem",
            "https://sns.us_east.amazonaws.com/a.pem",
            "https://sns..amazonaws.com/a.pem",
            "https://sns.s3.amazonaws.com/a.pem",
            "https://sns.s3-us-west-2.amazonaws.com/a.pem",
            "https://sns.us-east.amazonaws.com/a.pem",
            "https://sns.us--1.amazonaws.com/a.pem",
            "https://sns.amazonaws.com/a.pem",
            "https://xsns.us-east-1.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com.cn.cn/a.pem",
            "https://sns.us-east-1.xamazonaws.com/a.pem",
            "https://127.0.0.1/a.pem",
        ] {
            assert!(Https::of_sns(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_token_in_the_query_is_not_printed() {
        let url = Https::parse("https://a.example:8443/b?Token=s3cret#s3cret").unwrap();
        assert_eq!(
            format!("{url} {url:?}"),
            "https://a.example:8443/b https://a.example:8443/b"
        );
    }
}
