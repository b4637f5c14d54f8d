//! What a daemon's `/metrics` says, by name and labels.

use std::{collections::BTreeMap, sync::LazyLock};

use anyhow::{Context as _, ensure};
use regex::{Captures, Regex};

/// One reading of `/metrics` (`OpenMetrics` 1.0 text).
#[derive(Debug, Default)]
pub struct Metrics {
    families: Vec<String>,
    series: Vec<Series>,
}

#[derive(Debug, PartialEq)]
struct Series {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Metrics {
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut metrics = Self::default();
        for line in text.lines() {
            if let Some(family) = line.strip_prefix("# TYPE ") {
                let name = family.split(' ').next().unwrap_or_default();
                metrics.families.push(name.to_owned());
            } else if !line.starts_with('#') && !line.is_empty() {
                let series = Series::parse(line).with_context(|| format!("metric {line:?}"))?;
                metrics.series.push(series);
            }
        }
        Ok(metrics)
    }

    /// The sum over the series `name` that carry all of `labels`; 0 when there is none yet.
    ///
    /// # Errors
    /// The daemon has no such metric at all: a sum of nothing must not hide a wrong name.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> anyhow::Result<f64> {
        let suffixes = ["", "_total", "_count", "_sum", "_bucket"];
        let known = self.families.iter().any(|family| {
            let rest = name.strip_prefix(family.as_str());
            rest.is_some_and(|rest| suffixes.contains(&rest))
        });
        ensure!(
            known,
            "no metric {name}; there are: {}",
            self.families.join(", ")
        );
        let carries = |series: &&Series| {
            series.name == name
                && labels
                    .iter()
                    .all(|(key, value)| series.labels.get(*key).is_some_and(|it| it == value))
        };
        // Not `sum()`: that of nothing is -0.
        Ok(self
            .series
            .iter()
            .filter(carries)
            .fold(0.0, |sum, series| sum + series.value))
    }
}

impl Series {
    /// From `name{key="value",…} 1.5`, with or without labels, timestamp and exemplar.
    fn parse(line: &str) -> anyhow::Result<Self> {
        let [series, label, escape] = &*PATTERNS;
        let found = series.captures(line).context("it is none")?;
        let labels = found.name("labels").map_or("", |labels| labels.as_str());
        let labels = label.captures_iter(labels).map(|label| {
            let plain = |escaped: &Captures<'_>| match &escaped[1] {
                "n" => "\n".to_owned(),
                other => other.to_owned(),
            };
            (
                label[1].to_owned(),
                escape.replace_all(&label[2], plain).into_owned(),
            )
        });
        Ok(Self {
            name: found["name"].to_owned(),
            labels: labels.collect(),
            value: found["value"].parse()?,
        })
    }
}

/// A series, one of its labels, and what is escaped in that.
static PATTERNS: LazyLock<[Regex; 3]> = LazyLock::new(|| {
    let label = r#"(\w+)="((?:[^"\\]|\\.)*)""#;
    let series = format!(r"^(?<name>\w+)(?:\{{(?<labels>(?:{label},?)*)\}})? (?<value>\S+)");
    // OK because both are fixed.
    [series.as_str(), label, r"\\(.)"].map(|pattern| Regex::new(pattern).expect("a pattern"))
});

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"# HELP eso_relay_webhooks Webhooks by result.
# TYPE eso_relay_webhooks counter
eso_relay_webhooks_total{source="a",result="accepted"} 3
eso_relay_webhooks_total{source="b",result="accepted"} 4 # {trace="x"} 1
eso_relay_webhooks_total{source="a",result="say \"no\", {or} so"} 1
# TYPE eso_relay_index_size gauge
eso_relay_index_size 2.5
# TYPE eso_relay_patches counter
# EOF
"#;

    #[test]
    fn a_metric_is_the_sum_of_the_series_that_carry_the_labels() {
        let metrics = Metrics::parse(TEXT).unwrap();
        let sum =
            |name: &str, labels: &[(&str, &str)]| metrics.sum(name, labels).unwrap().to_string();
        let total = "eso_relay_webhooks_total";
        assert_eq!(sum(total, &[]), "8");
        assert_eq!(sum(total, &[("result", "accepted")]), "7");
        assert_eq!(sum(total, &[("result", "accepted"), ("source", "b")]), "4");
        assert_eq!(sum(total, &[("result", r#"say "no", {or} so"#)]), "1");
        assert_eq!(sum("eso_relay_index_size", &[]), "2.5");
        assert_eq!(sum("eso_relay_patches_total", &[]), "0");
    }

    #[test]
    fn a_wrong_name_is_an_error_not_a_zero() {
        let metrics = Metrics::parse(TEXT).unwrap();
        let error = metrics.sum("eso_relay_patched_total", &[]).unwrap_err();
        assert!(error.to_string().contains("there are: eso_relay_webhooks"));
        Metrics::parse("half_a_line{").unwrap_err();
    }
}
