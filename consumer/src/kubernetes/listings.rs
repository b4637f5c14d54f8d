//! What is listed, and what happens without permission to list it.

use super::{ApiVersion, Selection};
use crate::{
    matching::index::Listing,
    object::{ListKind, WorkloadKind},
};

pub(super) fn listings(namespaces: &[String], selection: &Selection) -> Vec<Listing> {
    let mut everywhere = vec![None];
    if !namespaces.is_empty() {
        everywhere = namespaces.iter().cloned().map(Some).collect();
        everywhere.sort();
        everywhere.dedup();
    }
    let in_each = |kind| {
        everywhere
            .iter()
            .map(move |namespace| Listing {
                kind,
                namespace: namespace.clone(),
            })
            .collect::<Vec<_>>()
    };
    let mut listings = in_each(ListKind::ExternalSecrets);
    listings.extend(in_each(ListKind::SecretStores));
    if selection.kes {
        listings.extend(in_each(ListKind::KesExternalSecrets));
    }
    if selection.push_secrets {
        listings.extend(in_each(ListKind::PushSecrets));
    }
    if selection.workloads {
        let kinds = WorkloadKind::ALL.map(ListKind::Workloads);
        listings.extend(kinds.into_iter().flat_map(in_each));
    }
    let in_cluster = |kind| Listing {
        kind,
        namespace: None,
    };
    listings.push(in_cluster(ListKind::ClusterSecretStores));
    // A consumer of some namespaces may not list Namespaces, and must not refresh everything that an owner has.
    if namespaces.is_empty() {
        listings.push(in_cluster(ListKind::Namespaces));
        listings.push(in_cluster(ListKind::ClusterExternalSecrets));
    }
    listings
}

/// Whether the kind is watched. ESO before 0.17 copies no annotation from an owner to its objects.
pub(super) fn counts(kind: ListKind, version: ApiVersion) -> bool {
    kind != ListKind::ClusterExternalSecrets || version == ApiVersion::V1
}

/// The consequence of continuing without these objects, if that is possible.
pub(super) fn dispensable(listing: &Listing, status: Option<u16>) -> Option<&'static str> {
    match (listing.kind, status) {
        (ListKind::ExternalSecrets, Some(403)) if listing.namespace.is_some() => Some(
            "no permission to list externalsecrets in this namespace: what is known of it is kept, and changes there are not seen",
        ),
        (ListKind::SecretStores, Some(403)) if listing.namespace.is_some() => Some(
            "no permission to list secretstores in this namespace: objects that read through an unknown store match by their keys alone",
        ),
        (ListKind::ClusterSecretStores, Some(403)) => Some(
            "no permission to list clustersecretstores: objects that read through one match by their keys alone",
        ),
        (ListKind::ClusterExternalSecrets, Some(403)) => Some(
            "no permission to list clusterexternalsecrets: the objects that they own are refreshed one by one",
        ),
        (ListKind::Namespaces, Some(403)) => Some(
            "no permission to list namespaces: a namespaceSelector of a store allows every namespace",
        ),
        (ListKind::KesExternalSecrets, Some(403)) => Some(
            "no permission to list externalsecrets of kubernetes-client.io: none of KES is refreshed",
        ),
        (ListKind::KesExternalSecrets, Some(404)) => {
            Some("the API serves no externalsecrets of kubernetes-client.io")
        }
        (ListKind::PushSecrets, Some(403)) => {
            Some("no permission to list pushsecrets: none is pushed")
        }
        (ListKind::PushSecrets, Some(404)) => Some("the API serves no pushsecrets: none is pushed"),
        (ListKind::Workloads(kind), Some(403)) => Some(match kind {
            WorkloadKind::DaemonSet => "no permission to list daemonsets: none is restarted",
            WorkloadKind::Deployment => "no permission to list deployments: none is restarted",
            WorkloadKind::Rollout => "no permission to list rollouts: none is restarted",
            WorkloadKind::StatefulSet => "no permission to list statefulsets: none is restarted",
        }),
        (ListKind::Workloads(_), Some(404)) => {
            Some("the API serves no such workloads: none is restarted")
        }
        (ListKind::ClusterExternalSecrets, Some(404)) => {
            Some("the API serves no clusterexternalsecrets")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_configured_namespace_is_listed() {
        let shown = |namespaces: &[String]| {
            let list = listings(namespaces, &Selection::default()).into_iter();
            list.map(|l| format!("{:?} {}", l.kind, l.namespace.unwrap_or_default()))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            shown(&["b".into(), "a".into(), "b".into()]),
            [
                "ExternalSecrets a",
                "ExternalSecrets b",
                "SecretStores a",
                "SecretStores b",
                "ClusterSecretStores "
            ]
        );
        assert_eq!(shown(&[]).len(), 5);
        let two = ["a".into(), "b".into()];
        let pushing = Selection {
            push_secrets: true,
            ..Selection::default()
        };
        assert_eq!(listings(&two, &pushing).len(), 7);
        let of_kes = Selection {
            kes: true,
            ..Selection::default()
        };
        assert_eq!(listings(&two, &of_kes).len(), 7);
        let restarting = Selection {
            workloads: true,
            ..Selection::default()
        };
        assert_eq!(listings(&two, &restarting).len(), 5 + 8);
        assert_eq!(listings(&[], &restarting).len(), 5 + 4);
    }
}
