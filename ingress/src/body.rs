//! Reads a request's body under three limits: its own size, the bytes that all requests together
//! hold, and time.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use crate::error::Error;

/// How much of a body that is too large is read for the sake of its answer.
const DISCARDED_BYTES: usize = 8 * 1024 * 1024;

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
    pub async fn read(&self, mut body: Body) -> Result<Arrived, Error> {
        let end = Instant::now() + self.limits.time;
        // Refused before a byte is kept: most senders say how long the body is.
        let arrived = if body.size_hint().lower() > self.limits.body as u64 {
            Err(Error::TooLarge)
        } else {
            let frames = timeout_at(end, self.frames(&mut body)).await;
            frames.unwrap_or(Err(Error::TooSlow))
        };
        if matches!(arrived, Err(Error::TooLarge)) {
            timeout_at(end, discard(body)).await.ok();
        }
        arrived
    }

    async fn frames(&self, body: &mut Body) -> Result<Arrived, Error> {
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

/// Reads on without keeping anything: a sender that is still writing when the connection closes sees
/// it break, not the answer (RFC 9112 §9.6), and would send the same again. What is far too long is
/// not worth it.
async fn discard(mut body: Body) {
    let mut left = DISCARDED_BYTES;
    if body.size_hint().lower() > left as u64 {
        return;
    }
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(length) {
            Some(rest) => left = rest,
            None => return,
        }
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
    async fn what_is_too_large_is_read_to_its_end_and_not_kept() {
        let budget = budget(6, 8);
        let (sent, mut rest) = tokio::sync::mpsc::unbounded_channel();
        let chunks = stream::iter(["abcd"; 10]).map(move |chunk| {
            sent.send(chunk).ok();
            Ok::<_, std::io::Error>(chunk)
        });
        let refused = budget.read(Body::from_stream(chunks)).await.err();
        assert!(matches!(refused, Some(Error::TooLarge)));
        let mut read = 0;
        while rest.try_recv().is_ok() {
            read += 1;
        }
        assert_eq!((read, budget.free.available_permits()), (10, 8));
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
