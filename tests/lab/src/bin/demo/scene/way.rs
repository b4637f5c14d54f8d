//! The way of an event: webhook, stream, patch, sync, value.

use std::time::{Duration, Instant};

use anyhow::ensure;
use futures::future::{try_join, try_join_all};
use jiff::Timestamp;
use serde_json::json;

use super::EFFECT;
use crate::{
    cast::Part,
    narrate::{Narrator, expect, short},
    stage::{Sighting, Site, Stage},
};

/// A webhook that was answered 202.
pub(crate) struct Sent {
    pub(crate) what: String,
    pub(crate) at: Instant,
    /// The same moment, to compare with the stream's clock.
    pub(crate) clock: Timestamp,
    pub(crate) answered: Duration,
    /// The ids of its events, in the order of its elements.
    pub(crate) ids: Vec<String>,
}

/// A secret that has just changed.
pub(crate) struct Rotated {
    pub(crate) part: Part,
    pub(crate) value: String,
}

/// Waits for all that the webhook must lead to, and tells when each of it happened.
///
/// # Errors
/// Something of it did not happen in time.
pub(crate) async fn follow(
    stage: &mut Stage<'_>,
    tell: &Narrator,
    sent: &Sent,
    rotated: &[Rotated],
) -> anyhow::Result<()> {
    let Sent {
        what,
        answered,
        ids,
        ..
    } = sent;
    ensure!(
        ids.len() == rotated.len(),
        "expected: an event for each of {} elements; accepted: {ids:?}",
        rotated.len()
    );
    tell.fact(
        &format!("{what:<44} 202 after {}", short(*answered)),
        json!({ "webhook": what, "answered_seconds": answered.as_secs_f64() }),
    );
    let Stage {
        east,
        west,
        journal,
        ..
    } = stage;
    let sites = [&*east, &*west];
    // From now on, so that a value's time is not that of the looking.
    let pairs = rotated
        .iter()
        .flat_map(|it| sites.map(|site| arrival(site, it, sent.at)));
    let published = async {
        let mut all = Vec::new();
        for id in ids {
            all.push(journal.find(id).await?);
        }
        Ok(all)
    };
    let (arrivals, published) = try_join(try_join_all(pairs), published).await?;
    let mut arrivals = arrivals.into_iter();
    for (it, event) in rotated.iter().zip(published) {
        let stored = event.at.duration_since(sent.clock);
        let stored = Duration::try_from(stored).unwrap_or_default();
        tell.fact(
            &format!(
                "  {:<42} in the stream after {}, as message {}",
                it.part.key,
                short(stored),
                event.sequence
            ),
            json!({ "key": it.part.key, "stored_seconds": stored.as_secs_f64(), "sequence": event.sequence }),
        );
        for (site, arrived) in sites.into_iter().zip(arrivals.by_ref().take(sites.len())) {
            refreshed(tell, site, it.part, &event.refresh, sent.at, arrived).await?;
        }
    }
    Ok(())
}

/// How long after `since` the Secret held the new value; `None` where the ESO cannot give one.
async fn arrival(
    site: &Site<'_>,
    it: &Rotated,
    since: Instant,
) -> anyhow::Result<Option<Duration>> {
    if !site.gives_values_to(it.part) {
        return Ok(None);
    }
    let (name, cluster) = (it.part.name, site.name);
    let what = format!("the new value in Secret {name} of {cluster}");
    expect(what, EFFECT, || site.secret_holds(name, &it.value)).await?;
    Ok(Some(since.elapsed()))
}

async fn refreshed(
    tell: &Narrator,
    site: &Site<'_>,
    part: Part,
    refresh: &str,
    since: Instant,
    arrived: Option<Duration>,
) -> anyhow::Result<()> {
    let (name, cluster) = (part.name, site.name);
    let sighting = || async {
        let seen = site.sightings.of(name, refresh);
        seen.filter(|seen| seen.synced.is_some() || arrived.is_none())
            .ok_or("it has not been seen")
    };
    let what = format!("{name} in {cluster} patched with {refresh} and synced");
    let Sighting {
        patched, synced, ..
    } = expect(what, EFFECT, sighting).await?;
    let after = |moment: Instant| short(moment - since);
    let value = match (synced, arrived) {
        (Some(synced), Some(arrived)) => {
            format!(
                "synced {:<8}  value in its Secret {}",
                after(synced),
                short(arrived)
            )
        }
        _ => "(its store cannot be searched by path)".to_owned(),
    };
    tell.fact(
        &format!(
            "    {cluster}  {name:<14} patched {:<8}  {value}",
            after(patched)
        ),
        json!({
            "cluster": cluster,
            "name": name,
            "patched_seconds": (patched - since).as_secs_f64(),
            "synced_seconds": synced.map(|synced| (synced - since).as_secs_f64()),
            "value_seconds": arrived.map(|arrived| arrived.as_secs_f64()),
        }),
    );
    Ok(())
}
