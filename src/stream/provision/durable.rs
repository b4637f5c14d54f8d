//! What has to happen to a cluster's durable. No I/O.

use async_nats::jetstream::consumer::{Config, FromConsumer, pull};

use super::{Difference, Item, ProvisionError};
use crate::{
    Slug,
    stream::rule::durable::{PUSH, RULES, fixed},
};

/// `None`: it is as it must be.
pub(super) fn plan(
    cluster: &Slug,
    found: &Config,
) -> Result<Option<(pull::Config, Vec<Difference>)>, ProvisionError> {
    let (old, config) = target(found).map_err(|what| refuse(cluster, what))?;
    let differences = super::differences(&RULES, &old, &config);
    Ok((!differences.is_empty()).then_some((config, differences)))
}

/// The durable as it was found, and with what eso-relay needs. An error is what the server cannot
/// change.
pub(in crate::stream) fn target(
    found: &Config,
) -> Result<(pull::Config, pull::Config), &'static str> {
    if let Some(what) = fixed(found) {
        return Err(what);
    }
    let old = pull::Config::try_from_consumer_config(found.clone()).map_err(|_| PUSH)?;
    let mut config = old.clone();
    for rule in &RULES {
        (rule.set)(&mut config, &old);
    }
    Ok((old, config))
}

pub(super) fn refuse(cluster: &Slug, what: &str) -> ProvisionError {
    ProvisionError::CannotChange {
        item: Item::Durable(cluster.clone()),
        what: what.to_owned(),
        advice: advice(cluster),
    }
}

/// The way out of a state that the server cannot change.
pub(in crate::stream) fn advice(cluster: &Slug) -> String {
    format!(
        "stop the cluster's consumers, note its ack floor (`nats consumer info ESO_RELAY {cluster}`), remove it with `nats consumer rm ESO_RELAY {cluster}` and run `eso-relay init --cluster {cluster} --start oldest` again"
    )
}
