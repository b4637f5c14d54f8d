//! The clusters that have a durable.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};
use async_nats::jetstream::{Context, consumer::Info, stream::Stream as Found};
use eso_relay::{event::Pattern, stream::Stream};
use futures::TryStreamExt as _;

/// Every consumer of the events stream. What the command line reads with has no name.
pub(super) async fn durables<I>(events: &Found<I>) -> anyhow::Result<Vec<Info>> {
    let durables = events.consumers().try_collect().await;
    durables.context("cannot list the durables")
}

/// Their names.
pub(super) async fn names(jetstream: &Context) -> anyhow::Result<BTreeSet<String>> {
    let name = Stream::Events.name();
    let events = jetstream
        .get_stream(name)
        .await
        .with_context(|| format!("cannot look at stream {name} (`eso-relay init` declares it)"))?;
    let durables = durables(&events).await?.into_iter();
    Ok(durables
        .filter_map(|durable| durable.config.durable_name)
        .collect())
}

/// An error for a name or a pattern that is none of them: a misspelt one would refresh nothing.
pub(super) async fn must_exist(jetstream: &Context, wanted: &[String]) -> anyhow::Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    let clusters = names(jetstream).await?;
    for wanted in wanted {
        let pattern = Pattern::new(wanted);
        if !clusters.iter().any(|cluster| pattern.matches(cluster)) {
            let known = if clusters.is_empty() {
                "there is none".to_owned()
            } else {
                format!("there are {}", Vec::from_iter(clusters).join(", "))
            };
            bail!(
                "no cluster `{wanted}`: {known}; nothing was sent (`eso-relay init --cluster NAME` declares one)"
            );
        }
    }
    Ok(())
}
