//! The span of one event in this cluster.

use eso_relay::{
    Slug,
    event::Fingerprint,
    stream::{Stream, receipt::MAX_EXAMPLES},
    telemetry::spans::{Kind, Span},
    traceparent::TraceParent,
    tracestate::TraceState,
};
use jiff::Timestamp;

use crate::{
    matching::MatchedEvent,
    object::{ObjectRef, Sequence},
    report::metrics::DeliveryOutcome,
    stream::Message,
};

/// The handling of one event.
pub(super) struct Process {
    pub(super) event: MatchedEvent,
    pub(super) context: TraceParent,
    pub(super) parent: Option<TraceParent>,
    pub(super) link: Option<TraceParent>,
    pub(super) sequence: Sequence,
    pub(super) attempt: u64,
    pub(super) taken: Timestamp,
    /// When its delivery ended, and how.
    pub(super) ended: Option<(Timestamp, DeliveryOutcome)>,
    pub(super) is_sent: bool,
    /// The objects that have spans.
    pub(super) objects: Vec<ObjectRef>,
    pub(super) patch_spans: usize,
    pub(super) sync_spans: usize,
    /// Objects, by what became of them.
    pub(super) patched: usize,
    pub(super) refused: usize,
    /// Gone, given up or left to a newer event.
    pub(super) left: usize,
    /// Workloads that the event restarts.
    workloads: usize,
    /// Workloads, by what became of them.
    pub(super) restarted: usize,
    pub(super) not_restarted: usize,
    pub(super) restart_spans: usize,
    /// Those with a span whose rollouts have not ended.
    pub(super) rolling: Vec<ObjectRef>,
    /// Newer events that answered for it, each with its span.
    coalesced: Vec<(Timestamp, Option<Fingerprint>, Option<TraceParent>)>,
}

impl Process {
    pub(super) fn new(
        now: Timestamp,
        message: &Message,
        event: &MatchedEvent,
        workloads: usize,
        context: TraceParent,
        (parent, link): (Option<TraceParent>, Option<TraceParent>),
    ) -> Self {
        Self {
            event: event.clone(),
            context,
            parent,
            link,
            sequence: message.sequence,
            attempt: message.attempt,
            taken: now,
            ended: None,
            is_sent: false,
            objects: Vec::new(),
            patch_spans: 0,
            sync_spans: 0,
            patched: 0,
            refused: 0,
            left: 0,
            workloads,
            restarted: 0,
            not_restarted: 0,
            restart_spans: 0,
            rolling: Vec::new(),
            coalesced: Vec::new(),
        }
    }

    /// In the stream.
    pub(super) fn place(&self) -> (Sequence, usize) {
        (self.sequence, self.event.index)
    }

    /// Whether every object has had its patch, and every workload its restart, or needs none.
    pub(super) fn is_complete(&self) -> bool {
        let reached = self.patched + self.refused + self.left;
        let followed = self.restarted + self.not_restarted;
        reached >= self.event.targets && followed >= self.workloads
    }

    /// Of its trace, if that is the sender's.
    pub(super) fn state(&self) -> Option<&TraceState> {
        self.parent.and(self.event.tracestate.as_ref())
    }

    pub(super) fn coalesced_into(
        &mut self,
        now: Timestamp,
        newer: Option<Fingerprint>,
        context: Option<TraceParent>,
    ) {
        let is_new = self.coalesced.iter().all(|(_, known, _)| *known != newer);
        if is_new && self.coalesced.len() < MAX_EXAMPLES {
            self.coalesced.push((now, newer, context));
        }
    }

    pub(super) fn span(&self, cluster: &Slug) -> Span {
        let event = &self.event;
        // The names of both are the labels of the metrics.
        let (ended, end) = match self.ended {
            Some((at, end)) => (at, format!("{end:?}")),
            None => (self.taken, "open".to_owned()),
        };
        let stream = Stream::Events.name();
        let times = (self.taken, ended);
        let name = format!("process {stream}");
        let mut span = Span::new(name, Kind::Consumer, self.context, times)
            .child_of(self.parent)
            .in_state(self.state())
            .linked_to(self.link)
            .with("messaging.system", "nats")
            .with("messaging.operation.name", "process")
            .with("messaging.operation.type", "process")
            .with("messaging.destination.name", stream)
            .with("messaging.destination.subscription.name", cluster.as_str())
            .with(
                "cloudevents.event_source",
                format!("/sources/{}", event.source),
            )
            .with("cloudevents.event_type", event.event_type.as_str())
            .with("eso_relay.source", event.source.as_str())
            .with("eso_relay.cluster", cluster.as_str())
            .with("eso_relay.fingerprint", event.value.to_string())
            .with("eso_relay.stream.sequence", self.sequence)
            .with("eso_relay.attempt", self.attempt)
            .with("eso_relay.lane", format!("{:?}", event.lane))
            .with("eso_relay.result", end)
            .with("eso_relay.matched", event.targets)
            .with("eso_relay.skipped", event.skipped)
            .with("eso_relay.patched", self.patched)
            .with("eso_relay.refused", self.refused)
            .with("eso_relay.restarted", self.restarted)
            .with("eso_relay.not_restarted", self.not_restarted);
        for (at, newer, context) in &self.coalesced {
            let newer = newer.map(|newer| ("eso_relay.coalesced_into", newer.to_string()));
            span = span
                .linked_to(*context)
                .event(*at, "coalesced", newer.as_slice());
        }
        if let Some((_, DeliveryOutcome::dead_lettered)) = self.ended {
            span = span.failed("dead_lettered");
        }
        span
    }
}
