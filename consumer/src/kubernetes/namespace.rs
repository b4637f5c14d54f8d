//! Reads Namespaces: their labels, and the annotations that permit.

use kube::{Resource as _, core::ObjectMeta};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{
    object::{dynamic_resource, take, watched_metadata},
    policy::{self, Selection},
};
use crate::matching::index::Change;

/// Its deserialization succeeds whatever the fields hold.
#[derive(Debug, Clone)]
pub(crate) struct NamespaceObject {
    /// Name and resourceVersion.
    metadata: Box<ObjectMeta>,
    labels: Value,
    annotations: Value,
}

dynamic_resource!(NamespaceObject);

impl<'de> Deserialize<'de> for NamespaceObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Raw {
            #[serde(default)]
            metadata: Value,
        }

        let Raw { mut metadata } = Raw::deserialize(deserializer)?;
        Ok(Self {
            metadata: watched_metadata(&metadata),
            labels: take(&mut metadata, "labels"),
            annotations: take(&mut metadata, "annotations"),
        })
    }
}

/// A namespace that exists. `None` if it has no name, which no API server serves.
pub(super) fn applied(object: &NamespaceObject, selection: &Selection) -> Option<Change> {
    Some(Change::NamespaceApplied {
        name: object.meta().name.clone()?,
        labels: policy::labels(&object.labels),
        permitted: policy::permitted(&object.annotations, selection),
    })
}

/// A namespace that was deleted.
pub(super) fn deleted(object: &NamespaceObject) -> Option<Change> {
    object.meta().name.clone().map(Change::NamespaceDeleted)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::matching::tenancy::{Permitted, Tenancy};

    #[test]
    fn its_labels_and_the_annotations_of_the_rule_are_read() {
        let object: NamespaceObject = serde_json::from_value(json!({ "metadata": {
            "name": "team",
            "labels": { "env": "prod" },
            "annotations": { "names": "^a", "roles": 7, "other": "x" },
        } }))
        .unwrap();
        let rule = Tenancy {
            of_eso: false,
            names: "names".to_owned(),
            roles: "roles".to_owned(),
            enforce: false,
        };
        for (tenancy, names) in [(None, None), (Some(rule), Some("^a".to_owned()))] {
            let selection = Selection {
                tenancy,
                ..Selection::default()
            };
            let Some(Change::NamespaceApplied {
                name,
                labels,
                permitted,
            }) = applied(&object, &selection)
            else {
                panic!("it has a name");
            };
            assert_eq!((name.as_str(), labels.len()), ("team", 1));
            assert_eq!(permitted, Permitted { names, roles: None });
        }
        for malformed in [json!({}), json!({ "metadata": [] })] {
            let object: NamespaceObject = serde_json::from_value(malformed).unwrap();
            assert!(applied(&object, &Selection::default()).is_none());
        }
    }
}
