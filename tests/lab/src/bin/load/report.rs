//! What was measured, as a table for people or as JSON.

use std::{
    fmt::{self, Write as _},
    io::Write as _,
};

use serde::Serialize;

use super::{
    Line, Output,
    rounds::{Rounds, median},
};

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

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
    pub(crate) fn ratio(
        what: impl Into<String>,
        unit: Unit,
        rounds: &Rounds,
        goal: impl Into<Option<Goal>>,
    ) -> Self {
        let ratios = rounds.ratios();
        Self {
            what: what.into(),
            unit,
            ours: median(&rounds.ours),
            floor: Some(median(&rounds.floor)),
            figure: median(&ratios),
            goal: goal.into(),
            rounds: ratios,
        }
    }

    /// A value that speaks for itself.
    pub(crate) fn value(
        what: impl Into<String>,
        unit: Unit,
        value: f64,
        goal: impl Into<Option<Goal>>,
    ) -> Self {
        Self {
            what: what.into(),
            unit,
            ours: value,
            floor: None,
            figure: value,
            goal: goal.into(),
            rounds: vec![value],
        }
    }

    fn met(&self) -> Option<bool> {
        self.goal.map(|goal| match goal {
            Goal::AtLeast(goal) => self.figure >= goal,
            Goal::AtMost(goal) => self.figure <= goal,
        })
    }

    fn row(&self) -> [String; 7] {
        let ratio = |value: f64| format!("{value:.2}");
        let value = |value: f64| self.unit.show(value);
        let (figure, spread, goal) = if self.floor.is_some() {
            let lowest = self.rounds.iter().copied().fold(f64::INFINITY, f64::min);
            let highest = self.rounds.iter().copied().fold(0.0, f64::max);
            let spread = format!("{}–{}", ratio(lowest), ratio(highest));
            (
                ratio(self.figure),
                spread,
                self.goal.map(|it| it.show(ratio)),
            )
        } else {
            let goal = self.goal.map(|it| it.show(value));
            (String::new(), String::new(), goal)
        };
        let verdict = match self.met() {
            Some(true) => "met",
            Some(false) => "missed",
            None => "",
        };
        [
            self.what.clone(),
            value(self.ours),
            self.floor.map(value).unwrap_or_default(),
            figure,
            spread,
            goal.unwrap_or_default(),
            verdict.to_owned(),
        ]
    }
}

impl Goal {
    fn show(self, value: impl Fn(f64) -> String) -> String {
        match self {
            Self::AtLeast(goal) => format!("≥ {}", value(goal)),
            Self::AtMost(goal) => format!("≤ {}", value(goal)),
        }
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

    pub(crate) fn print(&self, output: Output) -> anyhow::Result<()> {
        let mut stdout = std::io::stdout().lock();
        match output {
            Output::Table => write!(stdout, "{self}")?,
            Output::Json => writeln!(stdout, "{}", serde_json::to_string_pretty(self)?)?,
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["", "ours", "floor", "ratio", "of rounds", "goal", ""];
        let mut rows = vec![head.map(str::to_owned)];
        rows.extend(self.measures.iter().map(|entry| entry.measure.row()));
        let width = |column: usize| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or_default()
        };
        let widths: [usize; 7] = std::array::from_fn(width);
        for row in &rows {
            let mut line = format!("{:<width$}", row[0], width = widths[0]);
            for column in 1..6 {
                write!(line, "  {:>width$}", row[column], width = widths[column])?;
            }
            writeln!(f, "{}", format!("{line}  {}", row[6]).trim_end())?;
        }
        Ok(())
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
        report.add(
            Line::Ingress,
            vec![
                Measure::ratio("requests", Unit::PerSecond, &rounds, Goal::AtLeast(0.8)),
                Measure::value("memory", Unit::Mebibytes, 12.5, Goal::AtMost(30.0)),
                Measure::ratio("reported", Unit::PerSecond, &rounds, None),
            ],
        );
        report
    }

    #[test]
    fn a_row_shows_ours_the_floor_the_ratio_its_spread_and_whether_the_goal_is_met() {
        assert_eq!(
            report().to_string(),
            "              ours  floor  ratio  of rounds        goal\n\
             requests      70/s  100/s   0.70  0.60–0.90      ≥ 0.80  missed\n\
             memory    12.5 MiB                           ≤ 30.0 MiB  met\n\
             reported      70/s  100/s   0.70  0.60–0.90\n"
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
}
