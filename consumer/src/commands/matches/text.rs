//! Prints the report as text.

use std::fmt;

use eso_relay::{command::Table, event::GENERIC};

use super::report::{Answer, Asked, Object, Reads, Reference, Report, Restart, State, Store};
use crate::matching::index::Differs;

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Some(kind) => write!(f, "{kind:?}/{}", self.name),
            None => f.write_str("-"),
        }
    }
}

impl Reference {
    /// The columns STORE, PROVIDER and READS.
    fn cells(&self) -> [String; 3] {
        let (store, provider) = match &self.store {
            Some(store) => {
                let provider = store.provider.as_deref().unwrap_or("unknown");
                (store.to_string(), provider)
            }
            None => ("-".to_owned(), "template"),
        };
        [store, provider.to_owned(), self.reads.to_string()]
    }
}

impl fmt::Display for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(name) | Self::Template(name) => f.write_str(name),
            Self::Find { path, regexp } => {
                f.write_str("find")?;
                if let Some(path) = path {
                    write!(f, " path {path}")?;
                }
                if let Some(regexp) = regexp {
                    write!(f, " name {regexp}")?;
                }
                Ok(())
            }
        }
    }
}

/// The column RESTARTED.
impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.reason, self.advice) {
            (Some(reason), Some(advice)) => write!(f, "no, {reason}: {advice}"),
            _ if self.after.is_empty() => f.write_str("yes"),
            _ => write!(f, "after {}", self.after.join(", ")),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for answer in &self.events {
            if self.events.len() > 1 {
                let count = answer.matches.len();
                writeln!(
                    f,
                    "{}: {count} of {} match",
                    answer.title, self.external_secrets
                )?;
            }
            write!(f, "{answer}")?;
            if self.events.len() > 1 {
                writeln!(f)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.reaches_cluster {
            writeln!(f, "The event is not for this cluster.")?;
        }
        let mut table = Table::new(&["NAMESPACE", "NAME", "STORE", "PROVIDER", "READS"]);
        for Object {
            namespace,
            name,
            references,
            ..
        } in &self.matches
        {
            for reference in references {
                let mut row = vec![namespace.clone(), name.clone()];
                row.extend(reference.cells());
                table.row(row);
            }
        }
        if !self.matches.is_empty() {
            write!(f, "{table}")?;
        }
        if !self.skipped.is_empty() {
            if !self.matches.is_empty() {
                writeln!(f)?;
            }
            let mut table = Table::new(&["NAMESPACE", "NAME", "SKIPPED", "WHAT TO CHANGE"]);
            for left in &self.skipped {
                let because = left.not_permitted.as_ref();
                let because = because.map(|why| format!("{why}: ")).unwrap_or_default();
                let (reason, advice) =
                    (left.reason.to_owned(), format!("{because}{}", left.advice));
                table.row(vec![
                    left.namespace.clone(),
                    left.name.clone(),
                    reason,
                    advice,
                ]);
            }
            write!(f, "{table}")?;
        }
        let mut tables = !self.matches.is_empty() || !self.skipped.is_empty();
        if !self.workloads.is_empty() {
            if tables {
                writeln!(f)?;
            }
            let mut table = Table::new(&["NAMESPACE", "WORKLOAD", "RESTARTED"]);
            for restart in &self.workloads {
                let Restart {
                    namespace,
                    workload,
                    ..
                } = restart;
                table.row(vec![
                    namespace.clone(),
                    workload.clone(),
                    restart.to_string(),
                ]);
            }
            write!(f, "{table}")?;
            tables = true;
        }
        for (place, asked) in self.objects.iter().enumerate() {
            if place > 0 || tables {
                writeln!(f)?;
            }
            self.explain(asked, f)?;
        }
        Ok(())
    }
}

impl Answer {
    fn explain(&self, asked: &Asked, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Object {
            target, references, ..
        } = &asked.object;
        let found = match asked.state {
            State::Matches => "matches",
            State::Skipped => "matches, and is skipped for the reason above",
            State::Differs if !self.reaches_cluster => {
                "is in a cluster that the event does not reach"
            }
            State::Differs if references.is_empty() => "references no secret of a store",
            State::Differs => "does not match",
            State::NotFound => "does not exist, or is being deleted",
            State::NotLookedAt => "is in a namespace that was not listed",
        };
        writeln!(f, "{target} {found}.")?;
        for problem in &asked.problems {
            writeln!(f, "A part of it is malformed: {problem}.")?;
        }
        if references.is_empty() {
            return Ok(());
        }
        let mut table = Table::new(&["STORE", "PROVIDER", "READS", "BECAUSE"]);
        for reference in references {
            let mut row = Vec::from(reference.cells());
            row.push(self.because(reference));
            table.row(row);
        }
        write!(f, "{table}")
    }

    fn because(&self, reference: &Reference) -> String {
        let reasons = reference.differs.iter().map(|differs| match differs {
            Differs::Kind if reference.store.is_none() => {
                "the event is about secrets of stores".to_owned()
            }
            Differs::Kind => "the event is about sources of templates".to_owned(),
            Differs::Namespace => "the event's target excludes its namespace".to_owned(),
            Differs::Store if reference.store.is_none() => {
                "the event's target excludes all of its stores".to_owned()
            }
            Differs::Store => "the event's target excludes this store".to_owned(),
            Differs::FindNotSupported => "ESO's provider has no find".to_owned(),
            Differs::Provider => format!("the event is about {}", self.provider),
            Differs::Secret if reference.store.is_none() => {
                "the event is about another source of templates".to_owned()
            }
            Differs::Secret => "the event is about another secret".to_owned(),
            Differs::Place { scope } if scope.is_empty() => {
                "it is not in the place that the event's key names".to_owned()
            }
            Differs::Place { scope } => {
                let pairs = scope.iter().map(|(name, value)| format!("{name}={value}"));
                format!("it is not in {}", pairs.collect::<Vec<_>>().join(", "))
            }
        });
        let reasons: Vec<_> = reasons.collect();
        let store_is_unknown = reference.store.as_ref().is_some_and(Store::is_unknown);
        let unknown = store_is_unknown && self.provider.as_str() != GENERIC;
        match reasons.is_empty() {
            true if unknown => "the event may match: its store is unknown".to_owned(),
            true => "the event matches".to_owned(),
            false => reasons.join("; "),
        }
    }
}
