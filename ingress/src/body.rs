//! Reads a request's body under three limits: its own size, the bytes that all requests together
//! hold, and time.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::error::Error;

/// Bytes for bodies, common to all requests. Only what has arrived counts, so that a slow client
/// holds no more than it sent.
#[derive(Clone)]
pub struct Budget {
    free: Arc<Semaphore>,
    limits: Limits,
}

#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of one body.
    pub body: usize,
    /// Bytes of all bodies together.
    pub total: usize,
    /// From the end of the headers to the end of the body.
    pub time: Duration,
}

/// A whole body and its share of the budget, given back when this is dropped.
pub struct Arrived {
    pub bytes: Bytes,
    pub share: Share,
}

/// Held until the request is answered.
#[must_use]
pub struct Share(#[expect(dead_code, reason = "held, not read")] Option<OwnedSemaphorePermit>);

impl Budget {
    pub fn new(limits: Limits) -> Self {
        Self {
            free: Arc::new(Semaphore::new(limits.total.min(Semaphore::MAX_PERMITS))),
            limits,
        }
    }

    /// # Errors
    /// [`Error::TooLarge`], [`Error::Overloaded`], [`Error::TooSlow`], or [`Error::Broken`] when the
    /// client goes away.
    pub async fn read(&self, body: Body) -> Result<Arrived, Error> {
        // Refused before a byte is read: most senders say how long the body is.
        if body.size_hint().lower() > self.limits.body as u64 {
            return Err(Error::TooLarge);
        }
        timeout(self.limits.time, self.frames(body))
            .await
            .unwrap_or(Err(Error::TooSlow))
    }

    async fn frames(&self, mut body: Body) -> Result<Arrived, Error> {
        let mut bytes = BytesMut::new();
        let mut share: Option<OwnedSemaphorePermit> = None;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Error::Broken)?.into_data() else {
                continue;
            };
            if bytes.len() + data.len() > self.limits.body {
                return Err(Error::TooLarge);
            }
            let more = u32::try_from(data.len()).map_err(|_| Error::TooLarge)?;
            let more = Arc::clone(&self.free)
                .try_acquire_many_owned(more)
                .map_err(|_| Error::Overloaded)?;
            match &mut share {
                Some(share) => share.merge(more),
                None => share = Some(more),
            }
            // Copied: a frame may be a small part of the connection's buffer and keep all of it.
            bytes.extend_from_slice(&data);
        }
        Ok(Arrived {
            bytes: bytes.freeze(),
            share: Share(share),
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt as _, stream};

    use super::*;

    fn budget(body: usize, total: usize) -> Budget {
        Budget::new(Limits {
            body,
            total,
            time: Duration::from_secs(10),
        })
    }

    /// A body that does not say its length before it arrives.
    fn chunks(chunks: Vec<&'static str>) -> Body {
        Body::from_stream(stream::iter(chunks).map(Ok::<_, std::io::Error>))
    }

    #[tokio::test]
    async fn a_body_of_the_limit_passes_and_one_byte_more_does_not() {
        let budget = budget(6, 100);
        assert_eq!(
            budget.read(chunks(vec!["abc", "def"])).await.unwrap().bytes,
            "abcdef"
        );
        let refused = budget.read(chunks(vec!["abc", "defg"])).await.err();
        assert!(matches!(refused, Some(Error::TooLarge)));
        let refused = budget.read(Body::from("abcdefg")).await.err();
        assert!(matches!(refused, Some(Error::TooLarge)));
    }

    #[tokio::test]
    async fn bodies_share_a_budget_and_give_it_back() {
        let budget = budget(6, 8);
        let first = budget.read(chunks(vec!["abcdef"])).await.unwrap();
        let refused = budget.read(chunks(vec!["abc"])).await.err();
        assert!(matches!(refused, Some(Error::Overloaded)));
        drop(first);
        assert!(budget.read(chunks(vec!["abc"])).await.is_ok());
        assert_eq!(budget.free.available_permits(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stalls_is_told_so_and_holds_nothing() {
        let budget = budget(6, 8);
        let start = stream::iter([Ok::<_, std::io::Error>("abc")]);
        let body = Body::from_stream(start.chain(stream::pending()));
        assert!(matches!(
            budget.read(body).await.err(),
            Some(Error::TooSlow)
        ));
        assert_eq!(budget.free.available_permits(), 8);
    }

    #[tokio::test]
    async fn a_client_that_goes_away_is_no_body() {
        let start = stream::iter([Ok("abc"), Err(std::io::Error::other("gone"))]);
        let refused = budget(6, 8).read(Body::from_stream(start)).await.err();
        assert!(matches!(refused, Some(Error::Broken)));
    }
}
