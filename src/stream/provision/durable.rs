//! What has to happen to a cluster's durable. No I/O.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, Config, DeliverPolicy, FromConsumer, pull};

use super::{Difference, Item, ProvisionError, plan::duration};
use crate::{Slug, stream::spec::ACK_WAIT};

/// `None`: it is as it must be. What eso-relay does not need otherwise (filters,
/// `max_ack_pending`, replicas, a pause) is the operator's own.
pub(super) fn plan(
    cluster: &Slug,
    found: &Config,
) -> Result<Option<(pull::Config, Vec<Difference>)>, ProvisionError> {
    if found.ack_policy != AckPolicy::Explicit {
        return Err(refuse(cluster, "does not ask for an ack of each message"));
    }
    if found.deliver_policy == DeliverPolicy::LastPerSubject {
        return Err(refuse(
            cluster,
            "delivers only the last message of each subject",
        ));
    }
    let mut config =
        pull::Config::try_from_consumer_config(found.clone()).map_err(|_| push(cluster))?;
    let old = config.clone();
    config.max_deliver = -1;
    // Each delivery attempt would take its own time-out instead of ack_wait.
    config.backoff = Vec::new();
    config.ack_wait = config.ack_wait.max(ACK_WAIT);
    config.headers_only = false;
    // A cluster that is away for long must find its durable again.
    config.inactive_threshold = Duration::ZERO;
    let differences = differences(&old, &config);
    Ok((!differences.is_empty()).then_some((config, differences)))
}

/// The durable is one of the kind that the server pushes to.
pub(super) fn push(cluster: &Slug) -> ProvisionError {
    refuse(cluster, "is a push consumer")
}

fn refuse(cluster: &Slug, what: &str) -> ProvisionError {
    ProvisionError::CannotChange {
        item: Item::Durable(cluster.clone()),
        what: what.to_owned(),
        advice: format!(
            "stop the cluster's consumers, note its ack floor (`nats consumer info ESO_RELAY {cluster}`), remove it with `nats consumer rm ESO_RELAY {cluster}` and run `eso-relay init --cluster {cluster} --start oldest` again"
        ),
    }
}

fn differences(old: &pull::Config, new: &pull::Config) -> Vec<Difference> {
    type Setting = (&'static str, fn(&pull::Config) -> String);
    const SETTINGS: [Setting; 5] = [
        ("max_deliver", |c| match c.max_deliver {
            ..=0 => "unlimited".to_owned(),
            limit => limit.to_string(),
        }),
        ("ack_wait", |c| duration(c.ack_wait)),
        ("backoff", |c| format!("{:?}", c.backoff)),
        ("headers_only", |c| c.headers_only.to_string()),
        ("inactive_threshold", |c| duration(c.inactive_threshold)),
    ];
    SETTINGS
        .into_iter()
        .map(|(setting, value)| Difference {
            setting,
            old: value(old),
            new: value(new),
        })
        .filter(|difference| difference.old != difference.new)
        .collect()
}
