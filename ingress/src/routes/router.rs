//! Finds the endpoint of a request by its path and method.
//!
//! A path with empty segments is normalised only if it matches no route, so that other requests pay nothing for
//! it.

use std::sync::Arc;

use axum::{
    Extension, Router,
    body::Body,
    extract::{Path, Request, State, rejection::PathRejection},
    http::{HeaderValue, StatusCode, header},
    routing::{get, post},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::{Ingress, Publish};
use crate::{
    answer::Response,
    error::Error,
    head::{Caller, Head},
    paths::{HOOKS, Paths, WEBHOOK, tidy_uri},
    source::Source,
};

/// The same for all requests: none has a copy of its own.
type Common<P> = State<Arc<Ingress<P>>>;
/// The connection gives it to each request.
type From = Extension<Arc<Caller>>;
/// A name that is not UTF-8 is answered like any unknown name.
type Name = Result<Path<String>, PathRejection>;

/// `stopping`: from then on the health check fails, while the port still serves.
pub(crate) fn router<P: Publish>(
    ingress: Ingress<P>,
    paths: &Paths,
    stopping: &CancellationToken,
) -> Router {
    let mut router = Router::new();
    for path in paths.of(HOOKS) {
        let hooks = post(hook::<P>).options(preflight::<P>);
        router = router.route(&format!("{path}/{{source}}"), hooks);
    }
    if ingress.akeyless_trigger.is_some() {
        for path in paths.of(WEBHOOK) {
            router = router.route(&path, post(akeyless_trigger::<P>));
        }
    }
    for path in paths.of_health() {
        let stopping = stopping.clone();
        let health = get(async move || health(&stopping)).fallback(only_get::<P>);
        router = router.route(&path, health);
    }
    let ingress = Arc::new(ingress);
    let router = router.method_not_allowed_fallback(method_not_allowed::<P>);
    let exact = router
        .clone()
        .fallback(not_found::<P>)
        .with_state(Arc::clone(&ingress));
    router
        .fallback(async move |request| untidy(exact, request).await)
        .with_state(ingress)
}

/// No `async fn`: its future would hold the request beside its parts, for each request that waits.
fn hook<P: Publish>(
    State(ingress): Common<P>,
    Extension(caller): From,
    name: Name,
    request: Request,
) -> impl Future<Output = Response> + Send {
    let (parts, body) = request.into_parts();
    async move {
        let head = Head::of(&parts, &caller);
        match ingress.source(name) {
            Some(source) => ingress.answer(source, head, body).await,
            None => ingress.refuse(Error::NotFound, head),
        }
    }
}

/// Answers a sender that asks whether it may send: [`crate::preflight`].
async fn preflight<P: Publish>(
    State(ingress): Common<P>,
    Extension(caller): From,
    name: Name,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let head = Head::of(&parts, &caller);
    match ingress.source(name) {
        Some(source) => ingress.answer_preflight(source, head).await,
        None => ingress.refuse(Error::NotFound, head),
    }
}

/// No `async fn`, as [`hook`].
fn akeyless_trigger<P: Publish>(
    State(ingress): Common<P>,
    Extension(caller): From,
    request: Request,
) -> impl Future<Output = Response> + Send {
    let (parts, body) = request.into_parts();
    async move {
        let head = Head::of(&parts, &caller);
        match &ingress.akeyless_trigger {
            Some(source) => ingress.answer(source, head, body).await,
            None => ingress.refuse(Error::NotFound, head),
        }
    }
}

/// For load balancers. Independent of NATS: while that is away a webhook has to be answered 503 with
/// `Retry-After`, which a load balancer without a healthy replica does not do.
fn health(stopping: &CancellationToken) -> (StatusCode, &'static str) {
    if stopping.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}

async fn only_get<P: Publish>(
    State(ingress): Common<P>,
    Extension(caller): From,
    request: Request,
) -> Response {
    let mut answer = refuse(&ingress, &caller, request, Error::Method);
    let allowed = HeaderValue::from_static("GET, HEAD");
    answer.headers_mut().insert(header::ALLOW, allowed);
    answer
}

async fn method_not_allowed<P: Publish>(
    State(ingress): Common<P>,
    Extension(caller): From,
    request: Request,
) -> Response {
    refuse(&ingress, &caller, request, Error::Method)
}

async fn not_found<P: Publish>(
    State(ingress): Common<P>,
    Extension(caller): From,
    request: Request,
) -> Response {
    refuse(&ingress, &caller, request, Error::NotFound)
}

fn refuse<P: Publish>(
    ingress: &Ingress<P>,
    caller: &Caller,
    request: Request,
    error: Error,
) -> Response {
    let (parts, _) = request.into_parts();
    ingress.refuse(error, Head::of(&parts, caller))
}

/// Answers a request by its path without empty segments.
async fn untidy(exact: Router, mut request: Request<Body>) -> Response {
    if let Some(uri) = tidy_uri(request.uri()) {
        *request.uri_mut() = uri;
    }
    let Ok(answer) = exact.oneshot(request).await;
    answer
}

impl<P: Publish> Ingress<P> {
    fn source(&self, name: Name) -> Option<&Source> {
        let Path(name) = name.ok()?;
        self.sources.get(name.as_str())
    }
}
