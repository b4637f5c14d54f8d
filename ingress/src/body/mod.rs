//! Reads a request's body within five limits: its own size; the bytes that bodies hold together: those of
//! its source, those not verified yet, all; and time.

mod unverified;

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Body;
use tokio::time::{Instant, timeout_at};

use self::unverified::{Full, Unverified, UnverifiedBody};
use crate::client::Peer;

/// The memory for the bodies of all requests. Only bytes that have arrived count, so a slow client holds
/// no more than it has sent.
pub(crate) struct Budget {
    free: Quota,
    unverified: Unverified,
    limits: BodyLimits,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    /// Bytes of one body.
    pub(crate) body: usize,
    /// Bytes of all bodies together.
    pub(crate) total: usize,
    /// The part of `total` for bodies that are not verified yet.
    pub(crate) unverified: usize,
    /// From the end of the headers to the end of the body.
    pub(crate) time: Duration,
}

/// A number of free bytes. Nothing waits for them: a body that does not fit is refused.
pub(crate) struct Quota(AtomicUsize);

/// Bytes taken from a quota; dropping it returns them.
struct Permit<'a> {
    quota: &'a Quota,
    bytes: usize,
}

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It is larger than `body_limit`.
    TooLarge,
    /// A quota has too few free bytes.
    Overloaded,
    /// It did not arrive in time.
    TooSlow,
    /// The client closed the connection.
    Broken,
}

/// A whole body and the permits for its bytes.
pub(crate) struct BufferedBody<'a> {
    pub(crate) bytes: Bytes,
    pub(crate) permits: Permits<'a>,
}

/// The bytes of one body, taken from the budget and from the quota of its source, until the request is
/// answered.
#[must_use]
pub(crate) struct Permits<'a> {
    budget: Permit<'a>,
    /// `None` until the sender is verified: other clients cannot use up the quota of a source.
    source: Option<Permit<'a>>,
    /// `None` once the sender is verified.
    unverified: Option<UnverifiedBody<'a>>,
}

impl Budget {
    pub(crate) fn new(limits: BodyLimits) -> Self {
        Self {
            free: Quota::of(limits.total),
            unverified: Unverified::new(limits.unverified),
            limits,
        }
    }

    /// Bytes of one body.
    pub(crate) fn largest_body(&self) -> usize {
        self.limits.body
    }

    /// Reads the body of a sender that the headers have verified, until `by` at the latest. `source`: the
    /// quota of its source.
    pub(crate) fn read<'a>(
        &'a self,
        body: impl Body<Data = Bytes> + Unpin,
        source: &'a Quota,
        by: Option<Instant>,
    ) -> impl Future<Output = Result<BufferedBody<'a>, Unread>> {
        let permits = Permits {
            budget: self.free.permit(),
            source: Some(source.permit()),
            unverified: None,
        };
        self.whole(body, permits, by)
    }

    /// Reads the body of a sender that is not verified yet; call [`Permits::verified`] once it is.
    ///
    /// # Errors
    /// [`Unread::Overloaded`] also when the body was dropped to free bytes for another one.
    pub(crate) fn read_unverified(
        &self,
        body: impl Body<Data = Bytes> + Unpin,
        peer: Peer,
        by: Option<Instant>,
    ) -> impl Future<Output = Result<BufferedBody<'_>, Unread>> {
        let permits = Permits {
            budget: self.free.permit(),
            source: None,
            unverified: Some(self.unverified.body(peer)),
        };
        self.whole(body, permits, by)
    }

    async fn whole<'a>(
        &self,
        mut body: impl Body<Data = Bytes> + Unpin,
        mut permits: Permits<'a>,
        by: Option<Instant>,
    ) -> Result<BufferedBody<'a>, Unread> {
        // Refused before a byte is read, where the headers tell the length: a client that sent
        // `Expect: 100-continue` then never sends the body.
        if body.size_hint().lower() > self.limits.body as u64 {
            return Err(Unread::TooLarge);
        }
        let end = Instant::now() + self.limits.time;
        let end = by.map_or(end, |by| by.min(end));
        let bytes = timeout_at(end, self.frames(&mut body, &mut permits)).await;
        let bytes = bytes.unwrap_or(Err(Unread::TooSlow))?;
        Ok(BufferedBody { bytes, permits })
    }

    async fn frames(
        &self,
        body: &mut (impl Body<Data = Bytes> + Unpin),
        permits: &mut Permits<'_>,
    ) -> Result<Bytes, Unread> {
        let mut bytes = BytesMut::new();
        while let Some(frame) = permits.unless_dropped(body.frame()).await? {
            let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else {
                continue;
            };
            if bytes.len() + data.len() > self.limits.body {
                return Err(Unread::TooLarge);
            }
            permits.grow(data.len(), !body.is_end_stream())?;
            // Copied: a frame may be a small part of the connection's buffer and keep all of it.
            bytes.extend_from_slice(&data);
        }
        Ok(bytes.freeze())
    }
}

impl<'a> Permits<'a> {
    /// The sender is verified: moves the bytes to the quota of its source.
    ///
    /// # Errors
    /// [`Unread::Overloaded`]: the source's quota is used up.
    pub(crate) fn verified(&mut self, source: &'a Quota) -> Result<(), Unread> {
        if self.unverified.take().is_some() {
            let mut permit = source.permit();
            permit.grow(self.budget.bytes)?;
            self.source = Some(permit);
        }
        Ok(())
    }

    /// The body was decompressed and holds `more` bytes more.
    ///
    /// # Errors
    /// [`Unread::Overloaded`]: a quota has too few free bytes.
    pub(crate) fn decompressed(&mut self, more: usize) -> Result<(), Unread> {
        match more {
            // Most bodies are not compressed.
            0 => Ok(()),
            more => self.grow(more, false),
        }
    }

    fn grow(&mut self, bytes: usize, more_follow: bool) -> Result<(), Unread> {
        if let Some(source) = &mut self.source {
            source.grow(bytes)?;
        }
        if let Some(unverified) = &mut self.unverified {
            let grown = unverified.grow(bytes, more_follow);
            grown.map_err(|Full| Unread::Overloaded)?;
        }
        self.budget.grow(bytes)
    }

    /// The result of `next`, unless the body is dropped meanwhile to free bytes for another one.
    async fn unless_dropped<T>(&self, next: impl Future<Output = T>) -> Result<T, Unread> {
        match self.unverified.as_ref().and_then(UnverifiedBody::dropped) {
            None => Ok(next.await),
            Some(dropped) => dropped
                .run_until_cancelled(next)
                .await
                .ok_or(Unread::Overloaded),
        }
    }
}

impl Quota {
    pub(crate) fn of(bytes: usize) -> Self {
        Self(AtomicUsize::new(bytes))
    }

    /// A permit that holds nothing yet.
    fn permit(&self) -> Permit<'_> {
        Permit {
            quota: self,
            bytes: 0,
        }
    }

    /// False if fewer are free.
    fn take(&self, bytes: usize) -> bool {
        let less = |free: usize| free.checked_sub(bytes);
        self.0.fetch_update(Relaxed, Relaxed, less).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.0.fetch_add(bytes, Relaxed);
    }

    #[cfg(test)]
    fn left(&self) -> usize {
        self.0.load(Relaxed)
    }
}

impl Default for Quota {
    /// Without a limit of its own.
    fn default() -> Self {
        Self::of(usize::MAX)
    }
}

impl Permit<'_> {
    fn grow(&mut self, bytes: usize) -> Result<(), Unread> {
        if !self.quota.take(bytes) {
            return Err(Unread::Overloaded);
        }
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.quota.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests;
