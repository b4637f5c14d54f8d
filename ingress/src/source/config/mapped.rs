//! Turns the `mapping:` of a source into what its format decodes with; refuses what has no effect.

use super::{FormatName, SourceConfig};
use crate::source::{
    MappingConfig, MatchConfig, MatchKind, cloudevents, generic, meaning::Meaning,
};

impl SourceConfig {
    pub(super) fn generic(&self) -> Result<generic::Mapping, String> {
        let mapping = self.mapping.clone().unwrap_or_default();
        let refuse = |problem: &str| Err(format!("format {}: {problem}", self.format));
        let keyless = mapping.names().is_empty() && mapping.each.is_none();
        let placeless = !self.is_placed() && mapping.scope.is_empty();
        let told = matches!(mapping.matches, Some(MatchConfig::Always(_))) || mapping.allow_all;
        if keyless && placeless && !told {
            return refuse("set `mapping.keys`, such as /secret/name, or `scope`");
        }
        // The headers and bodies of the other formats tell the type.
        if self.format == FormatName::Generic && !mapping.types.is_empty() && mapping.kind.is_none()
        {
            return refuse("`mapping.types` needs `mapping.type`: say where the type stands");
        }
        let may_mean_all = matches!(
            mapping.matches,
            Some(MatchConfig::At(_) | MatchConfig::Always(MatchKind::All))
        );
        if mapping.allow_all && !may_mean_all {
            return refuse(
                "`mapping.allow_all` has no effect: remove it, or set `mapping.match` to `all` or to a pointer",
            );
        }
        if let (Some(MatchConfig::Always(kind @ (MatchKind::Exact | MatchKind::Prefix))), true) =
            (&mapping.matches, keyless)
        {
            return refuse(&format!(
                "`mapping.match: {kind}` needs a name: set `mapping.keys`, such as /secret/name"
            ));
        }
        let default = if keyless {
            MatchKind::Scope
        } else {
            MatchKind::Exact
        };
        Ok(generic::Mapping {
            meaning: self.meaning(&mapping, default)?,
            events: mapping.events,
            each: mapping.each,
            id: mapping.id,
            kind: mapping.kind,
            kinds: mapping.types,
            time: mapping.time,
        })
    }

    pub(super) fn cloudevents(&self) -> Result<cloudevents::Mapping, String> {
        let mapping = self.mapping.clone().unwrap_or_default();
        let meaning = self.meaning(&mapping, MatchKind::Exact)?;
        let fixed = [
            mapping.events,
            mapping.each,
            mapping.id,
            mapping.kind,
            mapping.time,
        ];
        if fixed.iter().any(Option::is_some) {
            return Err(
                "a CloudEvent is one change with its own id, type and time: remove events, each, id, type and time from `mapping`".to_owned(),
            );
        }
        Ok(cloudevents::Mapping {
            meaning,
            kinds: mapping.types,
        })
    }

    fn meaning(&self, mapping: &MappingConfig, default: MatchKind) -> Result<Meaning, String> {
        let placed = self.is_placed();
        let refuse = |problem: String| Err(format!("format {}: {problem}", self.format));
        if let Some(MatchConfig::Always(kind @ (MatchKind::Scope | MatchKind::All))) =
            mapping.matches
        {
            for (setting, given) in [
                ("keys", mapping.keys.is_some()),
                ("each", mapping.each.is_some()),
            ] {
                if given {
                    return refuse(format!(
                        "`mapping.match: {kind}` reads no names: remove `mapping.{setting}`"
                    ));
                }
            }
            if kind == MatchKind::Scope && !placed && mapping.scope.is_empty() {
                return refuse(
                    "`mapping.match: scope` needs a place: set `scope`, or `mapping.scope`"
                        .to_owned(),
                );
            }
            if kind == MatchKind::All && !mapping.allow_all {
                return refuse(
                    "`mapping.match: all` refreshes everything that `target` allows: if you mean that, set `mapping.allow_all: true`".to_owned(),
                );
            }
        }
        if mapping.template.is_some() {
            let exact = matches!(
                mapping.matches,
                None | Some(MatchConfig::Always(MatchKind::Exact))
            );
            if !exact || default != MatchKind::Exact {
                return refuse(
                    "`mapping.template` needs exact names: set `mapping.keys`, such as /metadata/name, and remove `mapping.match`".to_owned(),
                );
            }
            if self.provider.is_some() {
                return refuse(
                    "`mapping.template` names objects of the cluster, not of a store: remove `provider`".to_owned(),
                );
            }
        }
        Ok(Meaning {
            keys: mapping.names().to_vec(),
            matches: mapping.matches.clone(),
            template: mapping.template.clone(),
            default,
            allow_all: mapping.allow_all,
            operation: mapping.operation,
            scope: mapping.scope.clone(),
            placed,
        })
    }
}
