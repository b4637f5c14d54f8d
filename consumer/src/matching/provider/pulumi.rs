//! Pulumi ESC: a key is the path of a property of an environment (ESO
//! `providers/v1/pulumi/provider.go`). Its events contain the environment, not the property.

use serde_json::Value;

use super::rules::{Query, Reading, RemoteRef, Rules, agree, setting};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pulumi {
    organization: Option<String>,
    project: Option<String>,
    environment: Option<String>,
}

impl Pulumi {
    pub(super) fn of(spec: &Value) -> Self {
        Self {
            organization: setting(spec, "organization"),
            project: setting(spec, "project"),
            environment: setting(spec, "environment"),
        }
    }
}

impl Rules for Pulumi {
    fn names(&self, RemoteRef { key, .. }: RemoteRef<'_>, name: &mut dyn FnMut(&str)) {
        name(key);
    }

    fn reaches(&self, _: &Reading<'_>, query: &Query<'_>) -> bool {
        let scope = query.scope;
        agree(self.organization.as_deref(), scope.get("organization"))
            && agree(self.project.as_deref(), scope.get("project"))
            && agree(self.environment.as_deref(), scope.get("environment"))
    }
}

#[cfg(test)]
mod tests {
    use crate::matching::provider::tests::in_scope;

    #[test]
    fn an_environment_that_changed_is_read_by_its_stores() {
        let spec =
            r#"{"pulumi": {"organization": "acme", "project": "shop", "environment": "prod"}}"#;
        for (organization, project, environment, read) in [
            ("acme", "shop", "prod", true),
            ("acme", "shop", "dev", false),
            ("acme", "blog", "prod", false),
            ("other", "shop", "prod", false),
            ("", "shop", "prod", true),
        ] {
            let place = [
                ("organization", organization),
                ("project", project),
                ("environment", environment),
            ];
            let found = in_scope(spec, "db.password", ("pulumi", &[], &place));
            assert_eq!(found, read, "{place:?}");
        }
    }
}
