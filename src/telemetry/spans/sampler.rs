//! Which traces are recorded: a part of those that start here, and those whose parent is.

use crate::traceparent::TraceParent;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sampler {
    /// 0 to 1: of the traces that it decides on.
    pub(super) ratio: f64,
    /// Whether a trace with a parent is recorded as the parent is, whatever the ratio.
    pub(super) follows_parent: bool,
}

impl Sampler {
    /// What the variables `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` say; `None` for a name that is none of
    /// the specification's.
    pub(super) fn named(name: &str, ratio: f64) -> Option<Self> {
        let (name, follows_parent) = match name.strip_prefix("parentbased_") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let ratio = match name {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => ratio,
            _ => return None,
        };
        Some(Self {
            ratio,
            follows_parent,
        })
    }

    pub(super) fn child_of(self, parent: TraceParent) -> TraceParent {
        let child = parent.child();
        if self.follows_parent {
            child
        } else {
            self.sample(child)
        }
    }

    /// By the trace's id, so that every process with this ratio decides alike.
    pub(super) fn sample(self, context: TraceParent) -> TraceParent {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a share of 2⁵³ parts is fine enough"
        )]
        let place = (context.low_bits() >> 11) as f64 / (1_u64 << 53) as f64;
        context.sampled(place < self.ratio)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_takes_its_part_of_the_traces() {
        let sampler = |ratio| Sampler {
            ratio,
            follows_parent: true,
        };
        let taken = |ratio| {
            let contexts = (0..10_000).map(|_| sampler(ratio).sample(TraceParent::random()));
            contexts.filter(TraceParent::is_sampled).count()
        };
        assert_eq!((taken(0.0), taken(1.0)), (0, 10_000));
        assert!((2000..3000).contains(&taken(0.25)));
    }

    #[test]
    fn a_child_follows_its_parent_unless_it_is_told_otherwise() {
        let parent = TraceParent::random();
        for sampled in [true, false] {
            let parent = parent.sampled(sampled);
            for ratio in [0.0, 1.0] {
                let child = |name| Sampler::named(name, ratio).unwrap().child_of(parent);
                assert_eq!(child("parentbased_traceidratio").is_sampled(), sampled);
                assert_eq!(child("traceidratio").is_sampled(), ratio > 0.5);
                assert_eq!(child("always_on").trace_id(), parent.trace_id());
            }
        }
        assert_eq!(Sampler::named("jaeger_remote", 1.0), None);
    }
}
