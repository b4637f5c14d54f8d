//! Reads a request's body under five limits: its own size, the bytes that the requests of its source,
//! all that are not verified and all requests together hold, and time.

mod unverified;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use tokio::time::{Instant, timeout_at};

use self::unverified::{Full, Held, Unverified};
use crate::client::Peer;

/// How much of a body that is too large is read for the sake of its answer.
const DISCARDED_BYTES: usize = 8 * 1024 * 1024;

/// Bytes for bodies, common to all requests. Only what has arrived counts, so that a slow client
/// holds no more than it sent.
#[derive(Clone)]
pub struct Budget {
    free: Quota,
    unverified: Unverified,
    limits: Limits,
}

#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of one body.
    pub body: usize,
    /// Bytes of all bodies together.
    pub total: usize,
    /// Those of them that bodies may hold which are not verified yet.
    pub unverified: usize,
    /// From the end of the headers to the end of the body.
    pub time: Duration,
}

/// What one source may take of the budget.
#[derive(Clone)]
pub struct Room(Quota);

/// A number of bytes that are free. Nothing waits for them.
#[derive(Clone)]
struct Quota(Arc<AtomicUsize>);

/// Bytes of a quota, given back when this is dropped.
struct Taken {
    from: Quota,
    bytes: usize,
}

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// It is larger than `body_limit`.
    TooLarge,
    /// There is no room for it now.
    Overloaded,
    /// It did not arrive in time.
    TooSlow,
    /// The client went away.
    Broken,
}

/// A whole body and its share of the budget, given back when this is dropped.
pub struct Arrived {
    pub bytes: Bytes,
    pub share: Share,
}

/// Bytes of the budget and as many of the source's room, held until the request is answered.
#[must_use]
pub struct Share {
    budget: Taken,
    /// One of the two: a stranger takes nothing of a source's room.
    room: Option<Taken>,
    unverified: Option<Held>,
}

impl Budget {
    pub fn new(limits: Limits) -> Self {
        Self {
            free: Quota::of(limits.total),
            unverified: Unverified::new(limits.unverified),
            limits,
        }
    }

    /// Bytes of one body.
    pub fn largest_body(&self) -> usize {
        self.limits.body
    }

    /// Of a sender that is verified by the headers, until the moment `by` at the latest.
    ///
    /// # Errors
    /// [`Unread::TooLarge`], [`Unread::Overloaded`], [`Unread::TooSlow`], or [`Unread::Broken`] when the
    /// client goes away.
    pub fn read(
        &self,
        body: Body,
        room: &Room,
        by: Option<Instant>,
    ) -> impl Future<Output = Result<Arrived, Unread>> {
        let share = Share {
            budget: self.free.nothing(),
            room: Some(room.0.nothing()),
            unverified: None,
        };
        self.whole(body, share, by)
    }

    /// Of a sender that is verified by the body, or not at all. [`Share::verified`] follows.
    ///
    /// # Errors
    /// As of [`Budget::read`]; [`Unread::Overloaded`] also when it had to give way to another one.
    pub fn read_unverified(
        &self,
        body: Body,
        peer: Option<Peer>,
        by: Option<Instant>,
    ) -> impl Future<Output = Result<Arrived, Unread>> {
        let share = Share {
            budget: self.free.nothing(),
            room: None,
            unverified: Some(self.unverified.body(peer)),
        };
        self.whole(body, share, by)
    }

    async fn whole(
        &self,
        mut body: Body,
        share: Share,
        by: Option<Instant>,
    ) -> Result<Arrived, Unread> {
        // Most senders say how long the body is, and some wait to be asked for it: not a byte of it
        // is read.
        if body.size_hint().lower() > self.limits.body as u64 {
            return Err(Unread::TooLarge);
        }
        let end = Instant::now() + self.limits.time;
        let end = by.map_or(end, |by| by.min(end));
        let frames = timeout_at(end, self.frames(&mut body, share)).await;
        let arrived = frames.unwrap_or(Err(Unread::TooSlow));
        if matches!(arrived, Err(Unread::TooLarge)) {
            timeout_at(end, discard(body)).await.ok();
        }
        arrived
    }

    async fn frames(&self, body: &mut Body, mut share: Share) -> Result<Arrived, Unread> {
        let mut bytes = BytesMut::new();
        while let Some(frame) = share.unless_it_gives_way(body.frame()).await? {
            let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else {
                continue;
            };
            if bytes.len() + data.len() > self.limits.body {
                return Err(Unread::TooLarge);
            }
            share.grow(data.len(), !body.is_end_stream())?;
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
        Self(Quota::of(bytes))
    }
}

impl Default for Room {
    /// As much as the budget has.
    fn default() -> Self {
        Self::of(usize::MAX)
    }
}

impl Share {
    /// The sender has proved itself: from now on the body counts as one of its source.
    ///
    /// # Errors
    /// [`Unread::Overloaded`]: the source's room is full.
    pub fn verified(&mut self, room: &Room) -> Result<(), Unread> {
        if self.unverified.take().is_some() {
            let mut taken = room.0.nothing();
            taken.grow(self.budget.bytes)?;
            self.room = Some(taken);
        }
        Ok(())
    }

    /// The body was unpacked and holds so many bytes more.
    ///
    /// # Errors
    /// [`Unread::Overloaded`]: they find no room.
    pub fn unpacked(&mut self, more: usize) -> Result<(), Unread> {
        match more {
            // Most bodies are not packed: nothing to count.
            0 => Ok(()),
            more => self.grow(more, false),
        }
    }

    fn grow(&mut self, bytes: usize, more_comes: bool) -> Result<(), Unread> {
        if let Some(room) = &mut self.room {
            room.grow(bytes)?;
        }
        if let Some(unverified) = &mut self.unverified {
            let grown = unverified.grow(bytes, more_comes);
            grown.map_err(|Full| Unread::Overloaded)?;
        }
        self.budget.grow(bytes)
    }

    async fn unless_it_gives_way<T>(&self, next: impl Future<Output = T>) -> Result<T, Unread> {
        match self.unverified.as_ref().and_then(Held::gives_way) {
            None => Ok(next.await),
            Some(gives_way) => gives_way
                .run_until_cancelled(next)
                .await
                .ok_or(Unread::Overloaded),
        }
    }
}

impl Quota {
    fn of(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    fn nothing(&self) -> Taken {
        Taken {
            from: self.clone(),
            bytes: 0,
        }
    }

    #[cfg(test)]
    fn left(&self) -> usize {
        self.0.load(Relaxed)
    }
}

impl Taken {
    fn grow(&mut self, bytes: usize) -> Result<(), Unread> {
        let free = &self.from.0;
        let less = |free: usize| free.checked_sub(bytes);
        let taken = free.fetch_update(Relaxed, Relaxed, less);
        taken.map_err(|_| Unread::Overloaded)?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.from.0.fetch_add(self.bytes, Relaxed);
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
mod tests;
