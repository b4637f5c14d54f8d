//! Watch: the history from a version on, line by line.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures::{Stream, stream};
use http::header;
use serde_json::json;
use tokio::{
    sync::watch::Receiver,
    time::{Instant, Interval, interval_at},
};

use super::{
    Shared,
    call::Call,
    failure::Failure,
    objects::{Change, ChangeKind, Pulse, Selection},
    read,
    stored::Form,
};

/// More often than a real server's minute, so that a test need not wait for one.
const BOOKMARK_EVERY: Duration = Duration::from_secs(1);
/// A real server chooses between 30 and 60 minutes.
const DEFAULT_TIMEOUT: u64 = 1800;

struct Watch {
    shared: Arc<Shared>,
    selection: Selection,
    form: Form,
    /// Everything up to here has been told.
    version: u64,
    /// The initial state, to be told first.
    pending: Option<String>,
    bookmarks: Option<Interval>,
    deadline: Instant,
    pulse: Receiver<Pulse>,
    closings: u64,
    over: bool,
}

/// # Errors
/// 410 when the history no longer holds the version asked for.
pub(super) fn watch(shared: &Arc<Shared>, call: &Call) -> Result<Response, Failure> {
    let pulse = shared.objects.pulse();
    let closings = pulse.borrow().closings;
    let timeout = match call.query.get("timeoutSeconds") {
        Some(seconds) => seconds
            .parse()
            .map_err(|_| Failure::bad_request("timeoutSeconds is not a number"))?,
        None => DEFAULT_TIMEOUT,
    };
    let mut watch = Watch {
        shared: shared.clone(),
        selection: read::selection(call)?,
        form: Form::asked_by(call),
        version: 0,
        pending: None,
        bookmarks: call
            .flag("allowWatchBookmarks")
            .then(|| interval_at(Instant::now() + BOOKMARK_EVERY, BOOKMARK_EVERY)),
        deadline: Instant::now() + Duration::from_secs(timeout),
        pulse,
        closings,
        over: false,
    };
    match call.query.get("resourceVersion").map_or("", String::as_str) {
        "" | "0" => watch.begin_with_all(call.flag("sendInitialEvents")),
        version => {
            watch.version = version
                .parse()
                .map_err(|_| Failure::bad_request("resourceVersion is not a number"))?;
            shared.objects.reaches_back_to(call.kind, watch.version)?;
        }
    }
    let mut response = Response::new(Body::from_stream(watch.lines()));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    Ok(response)
}

impl Watch {
    /// The state as it is, as `ADDED` events, for a watch without a version; `marked` asks for the
    /// bookmark that ends a streaming list (KEP-3157).
    fn begin_with_all(&mut self, marked: bool) {
        let page = self
            .shared
            .objects
            .page(self.form.kind, &self.selection, None, None);
        let mut lines = String::new();
        for object in page.objects {
            self.tell(
                &Change {
                    kind: ChangeKind::Added,
                    object,
                },
                &mut lines,
            );
        }
        self.version = page.version;
        if marked {
            lines.push_str(&self.bookmark(&json!({ "k8s.io/initial-events-end": "true" })));
        }
        self.pending = (!lines.is_empty()).then_some(lines);
    }

    fn lines(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, |mut watch| async move {
            let lines = watch.next().await?;
            Some((Ok(lines.into()), watch))
        })
    }

    async fn next(&mut self) -> Option<String> {
        if let Some(lines) = self.pending.take() {
            return Some(lines);
        }
        while !self.over {
            // Read the pulse before the history: a change in between wakes us again.
            if self.pulse.borrow_and_update().closings != self.closings {
                return None;
            }
            match self.shared.objects.changes(self.form.kind, self.version) {
                Err(expired) => {
                    self.over = true;
                    return Some(line("ERROR", &expired.status().to_string()));
                }
                Ok((changes, version)) => {
                    self.version = version.max(self.version);
                    let mut lines = String::new();
                    for change in changes {
                        self.tell(&change, &mut lines);
                    }
                    if !lines.is_empty() {
                        return Some(lines);
                    }
                }
            }
            let bookmarks = self.bookmarks.as_mut();
            tokio::select! {
                changed = self.pulse.changed() => self.over = changed.is_err(),
                () = tokio::time::sleep_until(self.deadline) => self.over = true,
                () = due(bookmarks) => return Some(self.bookmark(&json!({}))),
            }
        }
        None
    }

    fn tell(&self, change: &Change, lines: &mut String) {
        if !self.selection.has(&change.object.key) {
            return;
        }
        let kind = match change.kind {
            ChangeKind::Added => "ADDED",
            ChangeKind::Modified => "MODIFIED",
            ChangeKind::Deleted => "DELETED",
        };
        lines.push_str(&line(kind, &change.object.written(&self.form)));
    }

    fn bookmark(&self, annotations: &serde_json::Value) -> String {
        let (api_version, kind) = self.form.types();
        let version = self.version.to_string();
        let metadata = json!({ "resourceVersion": version, "annotations": annotations });
        let object = json!({ "apiVersion": api_version, "kind": kind, "metadata": metadata });
        line("BOOKMARK", &object.to_string())
    }
}

async fn due(bookmarks: Option<&mut Interval>) {
    match bookmarks {
        Some(interval) => drop(interval.tick().await),
        None => std::future::pending().await,
    }
}

fn line(kind: &str, object: &str) -> String {
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")
}
