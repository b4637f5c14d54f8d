//! GCP Secret Manager: a key is a short name in the store's project and location (ESO
//! `providers/v1/gcp/secretmanager/client.go`).

use std::borrow::Cow;

use eso_relay::event::Version;
use serde_json::Value;

use super::rules::{
    self, Pattern, Query, Reading, RemoteRef, Rules, Scope, agree, is_other, setting,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Gcp {
    /// The id or the number.
    project: Option<String>,
    /// Empty for a global secret, which has none.
    location: String,
}

/// `projects/P[/locations/L]/secrets/S[/…]`.
struct FullName<'a> {
    project: &'a str,
    location: &'a str,
    name: &'a str,
}

impl<'a> FullName<'a> {
    fn of(key: &'a str) -> Option<Self> {
        let rest = key.trim_start_matches('/').strip_prefix("projects/")?;
        let (place, name) = rest.split_once("/secrets/")?;
        let (project, location) = place.split_once("/locations/").unwrap_or((place, ""));
        Some(Self {
            project,
            location,
            name: name.split('/').next().unwrap_or_default(),
        })
    }
}

pub(super) fn query_names<'e>(key: &'e str, _: Scope<'_>, names: &mut Vec<Cow<'e, str>>) {
    names.push(FullName::of(key).map_or(key, |full| full.name).into());
}

/// An id begins with a letter.
fn is_number(project: &str) -> bool {
    project.bytes().all(|digit| digit.is_ascii_digit())
}

impl Gcp {
    pub(super) fn of(spec: &Value) -> Self {
        Self {
            project: setting(spec, "projectID"),
            location: setting(spec, "location").unwrap_or_default(),
        }
    }
}

impl Rules for Gcp {
    fn names(&self, RemoteRef { key, .. }: RemoteRef<'_>, name: &mut dyn FnMut(&str)) {
        name(key);
    }

    /// GCP's events contain the project's number where users write its id: ids are compared with ids and numbers with
    /// numbers. A full name without a location is global.
    fn reaches(&self, _: &Reading<'_>, query: &Query<'_>) -> bool {
        let full = query.keys.iter().find_map(|key| FullName::of(key));
        let (scope, named) = (query.scope, full.as_ref().map(|full| full.project));
        let agrees = |mine: &str| {
            let number = is_number(mine);
            let attribute = if number { "project_number" } else { "project" };
            let theirs = scope.get(attribute).or(named);
            agree(Some(mine), theirs.filter(|name| is_number(name) == number))
        };
        let location = scope
            .get("location")
            .or_else(|| full.as_ref().map(|full| full.location));
        self.project.as_deref().is_none_or(agrees) && agree(Some(self.location.as_str()), location)
    }

    /// On the short name; `path` is a prefix of it (`findByName`).
    fn finds(&self, pattern: &Pattern<'_>, query: &Query<'_>) -> bool {
        let mut names = query.names.iter();
        names.any(|name| pattern.starts(name) && pattern.fits(name))
    }

    /// A number is fixed; `latest` and an alias may move (`GetSecret`).
    fn is_other_version(&self, version: &str, changed: Option<&Version>) -> bool {
        rules::is_number(version) && is_other(version, changed)
    }

    fn has_folders(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use crate::matching::provider::tests::{finds, reads};

    #[test]
    fn a_project_and_a_location_tell_secrets_of_one_name_apart() {
        let global = &["db", "projects/4711/secrets/db"][..];
        let regional = &["projects/acme/locations/europe-west3/secrets/db"][..];
        let scope = &[("project", "acme"), ("project_number", "4711")][..];
        let region = &[("location", "europe-west3")][..];
        for (settings, keys, scope, read) in [
            (r#""projectID": "acme""#, global, scope, true),
            (r#""projectID": "other""#, global, scope, false),
            (r#""projectID": "4711""#, global, scope, true),
            (r#""projectID": "4712""#, global, scope, false),
            // The id on one side, the number on the other.
            (r#""projectID": "other""#, global, &[][..], true),
            (r#""projectID": "4712""#, global, &[], false),
            (r#""projectID": "acme""#, regional, &[], false),
            (
                r#""projectID": "acme", "location": "europe-west3""#,
                regional,
                &[],
                true,
            ),
            (
                r#""projectID": "other", "location": "europe-west3""#,
                regional,
                &[],
                false,
            ),
            (
                r#""projectID": "acme", "location": "europe-west3""#,
                global,
                scope,
                false,
            ),
            (
                r#""projectID": "acme", "location": "europe-west3""#,
                &["db"],
                region,
                true,
            ),
            (
                r#""projectID": "acme", "location": "us-east1""#,
                &["db"],
                region,
                false,
            ),
            (
                r#""projectID": "acme", "location": "us-east1""#,
                &["db"],
                scope,
                true,
            ),
            ("", global, scope, true),
        ] {
            let spec = format!(r#"{{"gcpsm": {{{settings}}}}}"#);
            let found = reads(&spec, "db", ("gcp-sm", keys, scope));
            assert_eq!(found, read, "{spec} {keys:?} {scope:?}");
        }
        assert!(!reads(r#"{"gcpsm": {}}"#, "db2", ("gcp-sm", global, scope)));
    }

    #[test]
    fn a_find_goes_by_the_short_name() {
        let event = ("gcp-sm", &["projects/4711/secrets/prod-db"][..], &[][..]);
        for (path, regexp, found) in [
            (None, Some("^prod-db$"), true),
            (Some("prod"), Some("db"), true),
            (Some("test"), Some("db"), false),
            (Some("prod"), Some("web"), false),
        ] {
            let hit = finds(r#"{"gcpsm": {"projectID": "acme"}}"#, path, regexp, event);
            assert_eq!(hit, found, "{path:?} {regexp:?}");
        }
    }
}
