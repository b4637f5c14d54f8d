//! Ours and the floor in turns, so that whatever else the machine does meets both.

use std::time::Duration;

use crate::progress;

/// What each round gave, in the order of the rounds.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    pub(crate) ours: Vec<f64>,
    pub(crate) floor: Vec<f64>,
}

impl Rounds {
    pub(crate) fn push(&mut self, ours: f64, floor: f64) {
        self.ours.push(ours);
        self.floor.push(floor);
    }

    /// The ratio within each round.
    pub(crate) fn ratios(&self) -> Vec<f64> {
        let pairs = self.ours.iter().zip(&self.floor);
        pairs.map(|(ours, floor)| ours / floor).collect()
    }
}

/// So many rounds of both, after one of each that does not count.
pub(crate) async fn alternate(
    what: &str,
    rounds: usize,
    mut ours: impl AsyncFnMut() -> anyhow::Result<f64>,
    mut floor: impl AsyncFnMut() -> anyhow::Result<f64>,
) -> anyhow::Result<Rounds> {
    progress(&format!("{what}: warming up"));
    ours().await?;
    floor().await?;
    let mut measured = Rounds::default();
    for round in 1..=rounds {
        measured.ours.push(ours().await?);
        measured.floor.push(floor().await?);
        let ratio = measured.ratios()[round - 1];
        progress(&format!("{what}: round {round} of {rounds}: {ratio:.2}"));
    }
    Ok(measured)
}

/// The value below which this share of all values lies; 0 of none.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place in a list of thousands"
    )]
    let place = (sorted.len().saturating_sub(1) as f64 * share).round() as usize;
    sorted.get(place).copied().unwrap_or_default()
}

/// Of an even number of values, the mean of the two in the middle: neither side is favoured.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.len(), sorted.len() / 2) {
        (0, _) => 0.0,
        (count, middle) if count % 2 == 0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
        (_, middle) => sorted[middle],
    }
}

/// So many of them in that time, per second.
#[expect(clippy::cast_precision_loss, reason = "counts below 2^52")]
pub(crate) fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let values = [5.0, 1.0, 3.0, 2.0, 4.0];
        assert_eq!(median(&values).to_string(), "3");
        assert_eq!(quantile(&values, 0.99).to_string(), "5");
        assert_eq!(median(&[]).to_string(), "0");
        assert_eq!(median(&[0.9, 1.1]).to_string(), "1");
    }

    #[tokio::test]
    async fn the_first_round_does_not_count() {
        let mut ours = [100.0, 2.0, 4.0].into_iter();
        let mut floor = [100.0, 4.0, 4.0].into_iter();
        let measured = alternate(
            "a test",
            2,
            async || Ok(ours.next().unwrap()),
            async || Ok(floor.next().unwrap()),
        );
        assert_eq!(measured.await.unwrap().ratios(), [0.5, 1.0]);
    }
}
