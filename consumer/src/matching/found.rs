//! What an event is to this cluster; also a label of the metrics.

use prometheus_client::encoding::EncodeLabelValue;

/// What an event meant to this cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the names are the label's values")]
pub enum Found {
    matched,
    /// All objects that it means are [`Unrefreshable`](crate::object::Unrefreshable).
    skipped,
    unmatched,
    /// Its target names other clusters.
    elsewhere,
    undecodable,
}

impl Found {
    pub(crate) const ALL: [Self; 5] = [
        Self::matched,
        Self::skipped,
        Self::unmatched,
        Self::elsewhere,
        Self::undecodable,
    ];
}
