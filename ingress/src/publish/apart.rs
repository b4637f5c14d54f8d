//! A message that is larger than the server or the stream takes goes out again in halves, until each
//! fits or is a single event: what several events are too large for says nothing about one of them.

use futures::future::BoxFuture;
use tokio::sync::oneshot;

use super::{
    PublishError,
    lanes::{Submission, Waiter},
    message::{Message, Sender},
};

impl Sender {
    /// One half after the other, so that events of a subject stay in order. Boxed, because a half may
    /// be too large again.
    pub(super) fn publish_apart(&self, message: Message) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // The halves of a message have the same ids whenever it is sent: the stream drops copies.
            let ids = [format!("{}.1", message.id), format!("{}.2", message.id)];
            let mut waiting = message.waiting;
            let half = waiting.split_off(waiting.len() / 2);
            match (waiting.is_empty(), half) {
                (true, mut one) => {
                    if let Some(one) = one.pop() {
                        self.publish_halves(one, ids).await;
                    }
                }
                (false, half) => {
                    let [first, second] = ids;
                    self.publish(waiting, first).await;
                    self.publish(half, second).await;
                }
            }
        })
    }

    /// The events of one request: it is answered when both halves stand in the stream.
    async fn publish_halves(&self, mut submission: Submission, [first, second]: [String; 2]) {
        let rest = submission.part.split_off();
        let (done, stored) = oneshot::channel();
        let Waiter {
            accepted, deadline, ..
        } = submission.waiter;
        let waiter = std::mem::replace(
            &mut submission.waiter,
            Waiter {
                accepted,
                deadline,
                done,
            },
        );
        self.publish(vec![submission], first).await;
        match stored.await.unwrap_or(Err(PublishError::NoAck)) {
            Ok(()) => {
                let rest = Submission {
                    part: rest,
                    places: 0,
                    waiter,
                };
                self.publish(vec![rest], second).await;
            }
            Err(error) => waiter.answer(Err(error)),
        }
    }
}
