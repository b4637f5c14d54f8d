//! Faults: which requests are to go wrong, how, and how often.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::StatusCode;
use tokio_util::sync::CancellationToken;

use super::call::{Call, Verb};
use crate::cluster::Kind;

/// The requests that a fault meets. What is not named is not asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct On {
    pub verb: Option<Verb>,
    pub kind: Option<Kind>,
    /// `""` means requests across all namespaces.
    pub namespace: Option<String>,
    pub name: Option<String>,
    /// The bearer token of the request.
    pub token: Option<String>,
    /// Whether it is about the `/status` of an object.
    pub status: Option<bool>,
}

/// What becomes of such a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Refused with a `Status`, and not carried out.
    Status {
        code: u16,
        retry_after_seconds: Option<u32>,
    },
    /// Not carried out and not answered until the fault is lifted.
    Hang,
    /// Carried out; the connection breaks in the middle of the answer.
    Disconnect,
    /// Carried out this many milliseconds late.
    Slow { millis: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    Next(u32),
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultId(u64);

/// The faults in force; cheap to clone.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    next_id: u64,
    rules: Vec<Rule>,
}

struct Rule {
    id: FaultId,
    on: On,
    effect: Effect,
    times: Times,
    lifted: CancellationToken,
}

/// A fault that has met its request.
pub(super) struct Met {
    pub(super) effect: Effect,
    lifted: CancellationToken,
}

impl On {
    pub fn any() -> Self {
        Self::default()
    }

    pub fn verb(verb: Verb, kind: Kind) -> Self {
        Self {
            verb: Some(verb),
            kind: Some(kind),
            ..Self::default()
        }
    }

    #[must_use]
    pub fn in_namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    #[must_use]
    pub fn across_namespaces(self) -> Self {
        self.in_namespace("")
    }

    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    #[must_use]
    pub fn by_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// About the `/status` of an object, and not about the rest of it.
    #[must_use]
    pub fn of_status(mut self) -> Self {
        self.status = Some(true);
        self
    }

    fn meets(&self, call: &Call) -> bool {
        self.verb.is_none_or(|verb| verb == call.verb)
            && self.kind.is_none_or(|kind| kind == call.kind)
            && self
                .namespace
                .as_deref()
                .is_none_or(|wanted| wanted == call.namespace.as_deref().unwrap_or_default())
            && self
                .name
                .as_deref()
                .is_none_or(|wanted| Some(wanted) == call.name.as_deref())
            && self
                .token
                .as_deref()
                .is_none_or(|wanted| Some(wanted) == call.token.as_deref())
            && self.status.is_none_or(|status| status == call.status)
    }
}

impl Effect {
    pub fn status(code: StatusCode) -> Self {
        Self::Status {
            code: code.as_u16(),
            retry_after_seconds: None,
        }
    }

    /// 429 with `retryAfterSeconds`.
    pub fn too_many_requests(retry_after_seconds: u32) -> Self {
        Self::Status {
            code: 429,
            retry_after_seconds: Some(retry_after_seconds),
        }
    }

    pub fn slow(by: Duration) -> Self {
        Self::Slow {
            millis: by.as_millis().try_into().unwrap_or(u64::MAX),
        }
    }
}

impl Faults {
    /// Among several faults that meet a request, the oldest has its way.
    pub fn inject(&self, on: On, effect: Effect, times: Times) -> FaultId {
        let mut inner = self.lock();
        let id = FaultId(inner.next_id);
        inner.next_id += 1;
        inner.rules.push(Rule {
            id,
            on,
            effect,
            times,
            lifted: CancellationToken::new(),
        });
        id
    }

    /// 403 for all such requests, as when no role allows them.
    pub fn deny(&self, on: On) -> FaultId {
        self.inject(on, Effect::status(StatusCode::FORBIDDEN), Times::All)
    }

    /// Ends a fault; requests that hang in it go on.
    pub fn lift(&self, id: FaultId) {
        self.lock().rules.retain(|rule| {
            if rule.id == id {
                rule.lifted.cancel();
            }
            rule.id != id
        });
    }

    /// Ends all faults.
    pub fn clear(&self) {
        for rule in self.lock().rules.drain(..) {
            rule.lifted.cancel();
        }
    }

    pub(super) fn meet(&self, call: &Call) -> Option<Met> {
        let mut inner = self.lock();
        let rule = inner
            .rules
            .iter_mut()
            .find(|rule| rule.times != Times::Next(0) && rule.on.meets(call))?;
        if let Times::Next(left) = &mut rule.times {
            *left -= 1;
        }
        Some(Met {
            effect: rule.effect.clone(),
            lifted: rule.lifted.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Met {
    pub(super) async fn lifted(&self) {
        self.lifted.cancelled().await;
    }
}
