//! What was measured: ours and the floor in turns, and the result as a table for people or as JSON.

use std::{fmt, time::Duration};

use eso_relay::command::Table;
use serde::Serialize;

use super::{Line, progress};

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
    fn ratios(&self) -> Vec<f64> {
        let pairs = self.ours.iter().zip(&self.floor);
        pairs.map(|(ours, floor)| ours / floor).collect()
    }
}

/// So many rounds, after one that does not count. Each gives ours and the floor of every row, measured in
/// turns, so that whatever else the machine does meets both.
pub(crate) async fn rounds<const ROWS: usize>(
    what: &str,
    rounds: usize,
    mut one: impl AsyncFnMut(usize) -> anyhow::Result<[(f64, f64); ROWS]>,
) -> anyhow::Result<[Rounds; ROWS]> {
    let mut measured = [(); ROWS].map(|()| Rounds::default());
    for round in 0..=rounds {
        progress(&format!("{what}: round {round} of {rounds}"));
        let figures = one(round).await?;
        if round > 0 {
            for (row, (ours, floor)) in measured.iter_mut().zip(figures) {
                row.push(ours, floor);
            }
        }
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

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[derive(Default, Serialize)]
pub(crate) struct Report {
    measures: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    line: Line,
    #[serde(flatten)]
    measure: Measure,
    /// None without a goal.
    met: Option<bool>,
}

/// One row: a figure and what it should be, where that is said. The figure is a ratio where there is a floor.
#[derive(Serialize)]
pub(crate) struct Measure {
    what: String,
    unit: Unit,
    ours: f64,
    floor: Option<f64>,
    figure: f64,
    goal: Option<Goal>,
    /// The figure of each round.
    rounds: Vec<f64>,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unit {
    PerSecond,
    Milliseconds,
    Microseconds,
    Bytes,
    Mebibytes,
}

impl Measure {
    /// The medians of all rounds, and of the ratios within each round.
    pub(crate) fn ratio(what: impl Into<String>, unit: Unit, rounds: &Rounds) -> Self {
        let ratios = rounds.ratios();
        Self {
            what: what.into(),
            unit,
            ours: median(&rounds.ours),
            floor: Some(median(&rounds.floor)),
            figure: median(&ratios),
            goal: None,
            rounds: ratios,
        }
    }

    /// A value that speaks for itself.
    pub(crate) fn value(what: impl Into<String>, unit: Unit, value: f64) -> Self {
        Self {
            what: what.into(),
            unit,
            ours: value,
            floor: None,
            figure: value,
            goal: None,
            rounds: vec![value],
        }
    }

    pub(crate) fn at_least(mut self, goal: f64) -> Self {
        self.goal = Some(Goal::AtLeast(goal));
        self
    }

    pub(crate) fn at_most(mut self, goal: f64) -> Self {
        self.goal = Some(Goal::AtMost(goal));
        self
    }

    fn met(&self) -> Option<bool> {
        self.goal.map(|goal| match goal {
            Goal::AtLeast(goal) => self.figure >= goal,
            Goal::AtMost(goal) => self.figure <= goal,
        })
    }

    fn row(&self) -> Vec<String> {
        let ratio = |value: f64| format!("{value:.2}");
        let figure = |value: f64| match self.floor {
            Some(_) => ratio(value),
            None => self.unit.show(value),
        };
        let (mut shown, mut spread) = (String::new(), String::new());
        if self.floor.is_some() {
            let lowest = self.rounds.iter().copied().fold(f64::INFINITY, f64::min);
            let highest = self.rounds.iter().copied().fold(0.0, f64::max);
            shown = ratio(self.figure);
            spread = format!("{}–{}", ratio(lowest), ratio(highest));
        }
        let goal = self.goal.map(|goal| match goal {
            Goal::AtLeast(goal) => format!("≥ {}", figure(goal)),
            Goal::AtMost(goal) => format!("≤ {}", figure(goal)),
        });
        let verdict = self.met().map(|met| if met { "met" } else { "missed" });
        let floor = self.floor.map(|floor| self.unit.show(floor));
        vec![
            self.what.clone(),
            self.unit.show(self.ours),
            floor.unwrap_or_default(),
            shown,
            spread,
            goal.unwrap_or_default(),
            verdict.unwrap_or_default().to_owned(),
        ]
    }
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::PerSecond => format!("{value:.0}/s"),
            Self::Milliseconds => format!("{value:.2} ms"),
            Self::Microseconds => format!("{value:.2} µs"),
            Self::Bytes => format!("{value:.0} B"),
            Self::Mebibytes => format!("{value:.1} MiB"),
        }
    }
}

impl Report {
    pub(crate) fn add(&mut self, line: Line, measures: Vec<Measure>) {
        self.measures
            .extend(measures.into_iter().map(|measure| Entry {
                line,
                met: measure.met(),
                measure,
            }));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&["", "ours", "floor", "ratio", "of rounds", "goal", ""]);
        for entry in &self.measures {
            table.row(entry.measure.row());
        }
        table.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let rounds = Rounds {
            ours: vec![60.0, 90.0, 70.0],
            floor: vec![100.0, 100.0, 100.0],
        };
        let mut report = Report::default();
        let measures = vec![
            Measure::ratio("requests", Unit::PerSecond, &rounds).at_least(0.8),
            Measure::value("memory", Unit::Mebibytes, 12.5).at_most(30.0),
            Measure::ratio("reported", Unit::PerSecond, &rounds),
        ];
        report.add(Line::Ingress, measures);
        report
    }

    #[test]
    fn a_row_shows_the_ratio_and_the_goal() {
        assert_eq!(
            report().to_string(),
            "          ours      floor  ratio  of rounds  goal\n\
             requests  70/s      100/s  0.70   0.60–0.90  ≥ 0.80      missed\n\
             memory    12.5 MiB                           ≤ 30.0 MiB  met\n\
             reported  70/s      100/s  0.70   0.60–0.90\n"
        );
    }

    #[test]
    fn json_has_the_same_in_numbers() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(
            json["measures"][0],
            serde_json::json!({
                "line": "ingress", "what": "requests", "unit": "per-second",
                "ours": 70.0, "floor": 100.0, "figure": 0.7, "rounds": [0.6, 0.9, 0.7],
                "goal": { "at-least": 0.8 }, "met": false,
            })
        );
        assert_eq!(json["measures"][1]["floor"], serde_json::Value::Null);
        assert_eq!(json["measures"][1]["met"], true);
        assert_eq!(json["measures"][2]["goal"], serde_json::Value::Null);
        assert_eq!(json["measures"][2]["met"], serde_json::Value::Null);
    }

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
        let figures = [(100.0, 100.0), (2.0, 4.0), (4.0, 4.0)];
        let one = async |round: usize| Ok([figures[round]]);
        let [measured] = rounds("a test", 2, one).await.unwrap();
        assert_eq!(measured.ratios(), [0.5, 1.0]);
    }
}
