//! The size of the index.

use super::Index;

/// The size of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// ExternalSecrets.
    pub objects: usize,
    /// Their references.
    pub references: usize,
    /// Distinct `dataFrom[].find`.
    pub patterns: usize,
    /// Of both kinds.
    pub stores: usize,
    /// ExternalSecrets with malformed fields.
    pub malformed: usize,
    /// Workloads that have opted in to restarts.
    pub workloads: usize,
}

impl Index {
    pub fn stats(&self) -> Stats {
        Stats {
            objects: self.objects.len() - self.pushes.len(),
            references: self.references,
            patterns: self.finds.len(),
            stores: self.stores.present(),
            malformed: self.problems.len(),
            workloads: self.workloads.len(),
        }
    }
}
