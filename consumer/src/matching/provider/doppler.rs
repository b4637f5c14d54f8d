//! Doppler: a key is a secret's name in a config of a project (ESO `providers/v1/doppler/client.go`).

use serde_json::Value;

use super::rules::{Pattern, Query, Reading, RemoteRef, Rules, agree, setting};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Doppler {
    /// `None` when a service token implies it.
    project: Option<String>,
    config: Option<String>,
    /// Whether `find` sees transformed names, or one file with everything.
    transformed: bool,
}

impl Doppler {
    pub(super) fn of(spec: &Value) -> Self {
        Self {
            project: setting(spec, "project"),
            config: setting(spec, "config"),
            transformed: ["nameTransformer", "format"]
                .iter()
                .any(|field| setting(spec, field).is_some()),
        }
    }
}

impl Rules for Doppler {
    fn names(&self, RemoteRef { key, .. }: RemoteRef<'_>, name: &mut dyn FnMut(&str)) {
        name(key);
    }

    fn reaches(&self, _: &Reading<'_>, query: &Query<'_>) -> bool {
        agree(self.project.as_deref(), query.scope.get("project"))
            && agree(self.config.as_deref(), query.scope.get("config"))
    }

    /// `path` is a prefix of the name (`GetAllSecrets`).
    fn finds(&self, pattern: &Pattern<'_>, query: &Query<'_>) -> bool {
        let mut names = query.names.iter();
        self.transformed || names.any(|name| pattern.starts(name) && pattern.fits(name))
    }

    fn has_folders(&self) -> bool {
        false
    }

    fn root<'p>(&self, pattern: &Pattern<'p>) -> Option<&'p str> {
        (!self.transformed).then_some(pattern.path.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use crate::matching::provider::tests::{finds, in_scope, reads};

    #[test]
    fn a_name_is_read_in_its_project_and_config() {
        let place = &[("project", "shop"), ("config", "prd")][..];
        for (settings, key, read) in [
            (r#""project": "shop", "config": "prd""#, "DB_URL", true),
            (r#""project": "shop", "config": "prd""#, "DB", false),
            (r#""project": "shop", "config": "prd""#, "db_url", false),
            (r#""project": "shop", "config": "dev""#, "DB_URL", false),
            (r#""project": "blog", "config": "prd""#, "DB_URL", false),
            // A service token implies them, which is unknown here.
            ("", "DB_URL", true),
        ] {
            let spec = format!(r#"{{"doppler": {{{settings}}}}}"#);
            let found = reads(&spec, key, ("doppler", &["DB_URL"], place));
            assert_eq!(found, read, "{spec} {key}");
            let everything = in_scope(&spec, key, ("doppler", &[], place));
            assert_eq!(everything, read || key != "DB_URL", "{spec} {key}");
        }
    }

    #[test]
    fn a_find_sees_names_as_they_were_transformed() {
        let event = ("doppler", &["DB_URL"][..], &[][..]);
        for (settings, path, regexp, found) in [
            ("", None, Some("^DB_"), true),
            ("", Some("DB"), None, true),
            ("", Some("WEB"), None, false),
            ("", None, Some("^db"), false),
            (r#""nameTransformer": "camel""#, None, Some("^dbUrl$"), true),
            (r#""format": "json""#, None, Some("FILE"), true),
        ] {
            let spec = format!(r#"{{"doppler": {{{settings}}}}}"#);
            assert_eq!(
                finds(&spec, path, regexp, event),
                found,
                "{spec} {path:?} {regexp:?}"
            );
        }
    }
}
