//! `status.syncedResourceVersion`: the hash by which ESO knows that an object has changed.

use std::collections::BTreeMap;

use kube::core::ObjectMeta;
use sha3::{Digest, Sha3_224};

/// What ESO writes once it has synced an object with this metadata: the generation and the SHA3-224 of
/// all annotations and labels as Go's `%+v` prints them (ESO `pkg/controllers/util/util.go`,
/// `runtime/esutils/utils.go`; since 0.16.2).
pub fn synced_resource_version(metadata: &ObjectMeta) -> String {
    let text = format!(
        "{{annotations:{} labels:{}}}",
        go_map(metadata.annotations.as_ref()),
        go_map(metadata.labels.as_ref())
    );
    let generation = metadata.generation.unwrap_or_default();
    format!("{generation}-{:x}", Sha3_224::digest(text))
}

fn go_map(map: Option<&BTreeMap<String, String>>) -> String {
    let pairs: Vec<_> = map
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}:{value}"))
        .collect();
    format!("map[{}]", pairs.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(annotations: &[(&str, &str)], labels: &[(&str, &str)]) -> ObjectMeta {
        let map = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            Some(
                pairs
                    .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                    .collect(),
            )
        };
        ObjectMeta {
            generation: Some(1),
            annotations: map(annotations),
            labels: map(labels),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn metadata_without_annotations_and_labels_hashes_as_in_a_real_cluster() {
        let expected = "1-f47fe3c0b255b6dd8047cdffa772587bb829efe7a1cb70febeda2eb2";
        assert_eq!(synced_resource_version(&metadata(&[], &[])), expected);
        let absent = ObjectMeta {
            generation: Some(1),
            ..ObjectMeta::default()
        };
        assert_eq!(synced_resource_version(&absent), expected);
    }

    #[test]
    fn an_annotation_and_a_label_of_the_same_text_hash_differently() {
        let annotated = synced_resource_version(&metadata(&[("a", "1")], &[]));
        let labelled = synced_resource_version(&metadata(&[], &[("a", "1")]));
        assert_ne!(annotated, labelled);
    }
}
