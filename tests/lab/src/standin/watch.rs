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
    objects::{Change, ChangeKind, Pulse},
    read,
    stored::Form,
};

/// More often than a real server's minute, so that a test need not wait for one.
const BOOKMARK_EVERY: Duration = Duration::from_secs(1);
/// A real server chooses between 30 and 60 minutes.
const DEFAULT_TIMEOUT: u64 = 1800;

struct Watch {
    shared: Arc<Shared>,
    namespace: Option<String>,
    form: Form,
    /// Everything up to here has been told.
    version: u64,
    bookmarks: Option<Interval>,
    deadline: Instant,
    pulse: Receiver<Pulse>,
    closings: u64,
    over: bool,
}

/// # Errors
/// 410 when the history no longer holds the version asked for; 400 without one: a list comes first.
pub(super) fn watch(shared: &Arc<Shared>, call: &Call) -> Result<Response, Failure> {
    let number = |parameter: &str, default: u64| match call.query.get(parameter) {
        Some(text) => {
            let invalid = |_| Failure::bad_request(format!("{parameter} is not a number"));
            text.parse().map_err(invalid)
        }
        None => Ok(default),
    };
    let timeout = number("timeoutSeconds", DEFAULT_TIMEOUT)?;
    let version = number("resourceVersion", 0)?;
    if version == 0 {
        return Err(Failure::bad_request(
            "the stand-in watches from a version on",
        ));
    }
    read::refuse_selectors(call)?;
    shared.objects.reaches_back_to(call.kind, version)?;
    let pulse = shared.objects.pulse();
    let closings = pulse.borrow().closings;
    let bookmarks = call.flag("allowWatchBookmarks");
    let watch = Watch {
        shared: shared.clone(),
        namespace: call.namespace.clone(),
        form: Form::asked_by(call),
        version,
        bookmarks: bookmarks.then(|| interval_at(Instant::now() + BOOKMARK_EVERY, BOOKMARK_EVERY)),
        deadline: Instant::now() + Duration::from_secs(timeout),
        pulse,
        closings,
        over: false,
    };
    let mut response = Response::new(Body::from_stream(watch.lines()));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    Ok(response)
}

impl Watch {
    fn lines(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, |mut watch| async move {
            let lines = watch.next().await?;
            Some((Ok(lines.into()), watch))
        })
    }

    async fn next(&mut self) -> Option<String> {
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
                () = due(bookmarks) => return Some(self.bookmark()),
            }
        }
        None
    }

    fn tell(&self, change: &Change, lines: &mut String) {
        if !change.object.key.is_in(self.namespace.as_deref()) {
            return;
        }
        let kind = match change.kind {
            ChangeKind::Added => "ADDED",
            ChangeKind::Modified => "MODIFIED",
            ChangeKind::Deleted => "DELETED",
        };
        lines.push_str(&line(kind, &change.object.written(&self.form)));
    }

    fn bookmark(&self) -> String {
        let (api_version, kind) = self.form.types();
        let metadata = json!({ "resourceVersion": self.version.to_string() });
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
