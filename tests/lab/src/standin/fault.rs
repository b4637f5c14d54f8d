//! Faults: which requests are to go wrong, how, and how often.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::StatusCode;
use tokio_util::sync::CancellationToken;

use super::call::{Call, Verb};
use crate::{cluster::Kind, lock};

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

/// What happens to such a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Refused with a `Status`, and not carried out.
    Status {
        code: StatusCode,
        retry_after_seconds: Option<u32>,
    },
    /// Not carried out and not answered until the fault is lifted.
    Hang,
    /// Carried out, and not answered until the fault is lifted.
    Unanswered,
    /// Carried out; the connection breaks in the middle of the answer.
    Disconnect,
    /// Carried out so much later.
    Slow(Duration),
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
        fn fits<T: PartialEq + ?Sized>(wanted: Option<&T>, found: Option<&T>) -> bool {
            wanted.is_none() || wanted == found
        }
        let namespace = call.namespace.as_deref().unwrap_or_default();
        fits(self.verb.as_ref(), Some(&call.verb))
            && fits(self.kind.as_ref(), Some(&call.kind))
            && fits(self.namespace.as_deref(), Some(namespace))
            && fits(self.name.as_deref(), call.name.as_deref())
            && fits(self.token.as_deref(), call.token.as_deref())
            && fits(self.status.as_ref(), Some(&call.status))
    }
}

impl Effect {
    pub fn status(code: StatusCode) -> Self {
        Self::Status {
            code,
            retry_after_seconds: None,
        }
    }

    /// 429 with `retryAfterSeconds`.
    pub fn too_many_requests(retry_after_seconds: u32) -> Self {
        Self::Status {
            code: StatusCode::TOO_MANY_REQUESTS,
            retry_after_seconds: Some(retry_after_seconds),
        }
    }
}

impl Faults {
    /// Among several faults that meet a request, the oldest has its way.
    pub fn inject(&self, on: On, effect: Effect, times: Times) -> FaultId {
        let mut inner = lock(&self.0);
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
        lock(&self.0).rules.retain(|rule| {
            if rule.id == id {
                rule.lifted.cancel();
            }
            rule.id != id
        });
    }

    /// What happens to this request, and what says that the fault is lifted.
    pub(super) fn meet(&self, call: &Call) -> Option<(Effect, CancellationToken)> {
        let mut inner = lock(&self.0);
        let meets = |rule: &&mut Rule| rule.times != Times::Next(0) && rule.on.meets(call);
        let rule = inner.rules.iter_mut().find(meets)?;
        if let Times::Next(left) = &mut rule.times {
            *left -= 1;
        }
        Some((rule.effect.clone(), rule.lifted.clone()))
    }
}
