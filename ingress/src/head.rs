//! What is known of a request before its body.

use std::{net::IpAddr, sync::Arc};

use http::{HeaderMap, Uri, request};

use crate::{client::Client, tls::ClientCertificate};

/// The other end of a connection.
pub(crate) struct Caller {
    pub(crate) client: Arc<Client>,
    /// If the ingress ends TLS and the client showed one.
    pub(crate) certificate: Option<Arc<ClientCertificate>>,
}

#[derive(Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) caller: &'a Caller,
}

impl<'a> Head<'a> {
    pub(crate) fn of(parts: &'a request::Parts, caller: &'a Caller) -> Self {
        Self {
            uri: &parts.uri,
            headers: &parts.headers,
            caller,
        }
    }

    /// The address of the client, by the header of a trusted proxy if it comes through one.
    pub(crate) fn client(&self) -> IpAddr {
        self.caller.client.address(self.headers)
    }
}
