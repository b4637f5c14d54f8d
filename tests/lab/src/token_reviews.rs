//! A stand-in for the `TokenReviews` of a Kubernetes API, by which the auth methods of stores check service accounts.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::post,
};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use crate::{lock, port};

/// A server over plain HTTP; gone when dropped.
pub struct TokenReviews {
    url: String,
    valid: Valid,
    _running: AbortOnDropHandle<()>,
}

/// The one token that is accepted, with the answer to it.
type Valid = Arc<Mutex<Option<(String, Value)>>>;

impl TokenReviews {
    /// Refuses every token for now.
    pub async fn start() -> std::io::Result<Self> {
        let valid = Valid::default();
        let path = "/apis/authentication.k8s.io/v1/tokenreviews";
        let routes = Router::new().route(path, post(review));
        let (url, running) = port::serve(routes.with_state(Arc::clone(&valid))).await?;
        Ok(Self {
            url,
            valid,
            _running: running,
        })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on this token is that of a service account, and every other one is refused.
    pub fn accept_only(&self, token: &str, service_account: &ServiceAccount<'_>) {
        let ServiceAccount {
            namespace,
            name,
            uid,
        } = service_account;
        let user = json!({
            "username": format!("system:serviceaccount:{namespace}:{name}"),
            "uid": uid,
            "groups": ["system:serviceaccounts", "system:authenticated"],
        });
        let status = json!({ "authenticated": true, "user": user });
        *lock(&self.valid) = Some((token.to_owned(), status));
    }
}

#[derive(Debug, Clone, Copy)]
pub struct ServiceAccount<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
    pub uid: &'a str,
}

async fn review(State(valid): State<Valid>, body: Bytes) -> impl IntoResponse {
    let mut review: Value = serde_json::from_slice(&body).unwrap_or_default();
    let valid = lock(&valid).clone();
    let valid = valid.filter(|(token, _)| review["spec"]["token"] == **token);
    review["status"] = match valid {
        Some((_, mut status)) => {
            status["audiences"] = review["spec"]["audiences"].clone();
            status
        }
        None => json!({ "authenticated": false, "error": "invalid bearer token" }),
    };
    let json = [(CONTENT_TYPE, "application/json")];
    (StatusCode::CREATED, json, review.to_string())
}
