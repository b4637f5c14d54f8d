//! Reads a request's body under four limits: its own size, the bytes that the requests of its source
//! and all requests together hold, and time.

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

/// What one source may take of the budget.
#[derive(Clone)]
pub struct Room(Arc<Semaphore>);

/// A whole body and its share of the budget, given back when this is dropped.
pub struct Arrived {
    pub bytes: Bytes,
    pub share: Share,
}

/// Bytes of the source's room and as many of the budget, held until the request is answered.
#[must_use]
#[derive(Default)]
pub struct Share(Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>);

impl Budget {
    pub fn new(limits: Limits) -> Self {
        Self {
            free: semaphore(limits.total),
            limits,
        }
    }

    /// Bytes of one body.
    pub fn largest_body(&self) -> usize {
        self.limits.body
    }

    /// # Errors
    /// [`Error::TooLarge`], [`Error::Overloaded`], [`Error::TooSlow`], or [`Error::Broken`] when the
    /// client goes away.
    pub async fn read(&self, mut body: Body, room: &Room) -> Result<Arrived, Error> {
        let end = Instant::now() + self.limits.time;
        // Refused before a byte is kept: most senders say how long the body is.
        let arrived = if body.size_hint().lower() > self.limits.body as u64 {
            Err(Error::TooLarge)
        } else {
            let frames = timeout_at(end, self.frames(&mut body, room)).await;
            frames.unwrap_or(Err(Error::TooSlow))
        };
        if matches!(arrived, Err(Error::TooLarge)) {
            timeout_at(end, discard(body)).await.ok();
        }
        arrived
    }

    async fn frames(&self, body: &mut Body, room: &Room) -> Result<Arrived, Error> {
        let mut bytes = BytesMut::new();
        let mut share = Share::default();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Error::Broken)?.into_data() else {
                continue;
            };
            if bytes.len() + data.len() > self.limits.body {
                return Err(Error::TooLarge);
            }
            let more = u32::try_from(data.len()).map_err(|_| Error::TooLarge)?;
            share.grow(take(&room.0, more)?, take(&self.free, more)?);
            // Copied: a frame may be a small part of the connection's buffer and keep all of it.
            bytes.extend_from_slice(&data);
        }
        Ok(Arrived {
            bytes: bytes.freeze(),
            share,
        })
    }
}

impl Room {
    pub fn of(bytes: usize) -> Self {
        Self(semaphore(bytes))
    }
}

impl Default for Room {
    /// As much as the budget has.
    fn default() -> Self {
        Self::of(Semaphore::MAX_PERMITS)
    }
}

impl Share {
    fn grow(&mut self, room: OwnedSemaphorePermit, budget: OwnedSemaphorePermit) {
        match &mut self.0 {
            Some(held) => {
                held.0.merge(room);
                held.1.merge(budget);
            }
            None => self.0 = Some((room, budget)),
        }
    }
}

fn semaphore(bytes: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS)))
}

fn take(from: &Arc<Semaphore>, bytes: u32) -> Result<OwnedSemaphorePermit, Error> {
    let taken = Arc::clone(from).try_acquire_many_owned(bytes);
    taken.map_err(|_| Error::Overloaded)
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

    async fn read(budget: &Budget, body: Body) -> Result<Arrived, Error> {
        budget.read(body, &Room::default()).await
    }

    /// A body that does not say its length before it arrives.
    fn chunks(chunks: Vec<&'static str>) -> Body {
        Body::from_stream(stream::iter(chunks).map(Ok::<_, std::io::Error>))
    }

    #[tokio::test]
    async fn a_body_of_the_limit_passes_and_one_byte_more_does_not() {
        let budget = budget(6, 100);
        assert_eq!(
            read(&budget, chunks(vec!["abc", "def"]))
                .await
                .unwrap()
                .bytes,
            "abcdef"
        );
        let refused = read(&budget, chunks(vec!["abc", "defg"])).await.err();
        assert!(matches!(refused, Some(Error::TooLarge)));
        let refused = read(&budget, Body::from("abcdefg")).await.err();
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
        let refused = read(&budget, Body::from_stream(chunks)).await.err();
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
        let first = read(&budget, chunks(vec!["abcdef"])).await.unwrap();
        let refused = read(&budget, chunks(vec!["abc"])).await.err();
        assert!(matches!(refused, Some(Error::Overloaded)));
        drop(first);
        assert!(read(&budget, chunks(vec!["abc"])).await.is_ok());
        assert_eq!(budget.free.available_permits(), 8);
    }

    #[tokio::test]
    async fn a_source_that_has_filled_its_room_leaves_the_rest_to_the_others() {
        let (budget, one, other) = (budget(6, 12), Room::of(8), Room::of(8));
        let first = budget.read(chunks(vec!["abcdef"]), &one).await.unwrap();
        let refused = budget.read(chunks(vec!["ab", "cd"]), &one).await.err();
        assert!(matches!(refused, Some(Error::Overloaded)));
        assert_eq!(budget.free.available_permits(), 6);
        let second = budget.read(chunks(vec!["abc"]), &other).await.unwrap();
        drop((first, second));
        assert_eq!(
            (one.0.available_permits(), budget.free.available_permits()),
            (8, 12)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stalls_is_told_so_and_holds_nothing() {
        let budget = budget(6, 8);
        let start = stream::iter([Ok::<_, std::io::Error>("abc")]);
        let body = Body::from_stream(start.chain(stream::pending()));
        assert!(matches!(
            read(&budget, body).await.err(),
            Some(Error::TooSlow)
        ));
        assert_eq!(budget.free.available_permits(), 8);
    }

    #[tokio::test]
    async fn a_client_that_goes_away_is_no_body() {
        let start = stream::iter([Ok("abc"), Err(std::io::Error::other("gone"))]);
        let refused = read(&budget(6, 8), Body::from_stream(start)).await.err();
        assert!(matches!(refused, Some(Error::Broken)));
    }
}
