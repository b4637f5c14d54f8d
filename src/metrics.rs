//! What each daemon says of itself at `/metrics`. The types are counter, gauge, histogram and summary only: KEDA's
//! parser refuses `info`, `stateset` and `unknown`.

use std::sync::atomic::AtomicU64;

use jiff::Timestamp;
use prometheus_client::{
    collector::Collector,
    encoding::{
        DescriptorEncoder, EncodeLabelSet, EncodeLabelValue, EncodeMetric as _, LabelValueEncoder,
        text::encode,
    },
    metrics::{MetricType, family::Family, gauge::ConstGauge, gauge::Gauge},
    registry::Registry,
};

use crate::admin::Readiness;

/// The commit that was built, by the variable `ESO_RELAY_REVISION` of the build.
const REVISION: &str = match option_env!("ESO_RELAY_REVISION") {
    Some(revision) if !revision.is_empty() => revision,
    _ => "unknown",
};

/// A daemon; the label `component`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Component {
    Ingress,
    Consumer,
}

impl Component {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Consumer => "consumer",
        }
    }
}

impl EncodeLabelValue for Component {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        self.as_str().encode(encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    component: Component,
    version: &'static str,
    revision: &'static str,
}

/// Adds which version runs and since when, and every condition of `readiness`, to a registry without a prefix.
pub fn register(registry: &mut Registry, component: Component, readiness: &Readiness) {
    let build = Family::<BuildLabels, Gauge>::default();
    build
        .get_or_create(&BuildLabels {
            component,
            version: env!("CARGO_PKG_VERSION"),
            revision: REVISION,
        })
        .set(1);
    registry.register(
        "eso_relay_build_info",
        "1, with the version and the commit that run",
        build,
    );
    let started = Gauge::<f64, AtomicU64>::default();
    started.set(now().as_duration().as_secs_f64());
    registry.register(
        "process_start_time_seconds",
        "When the process started, in seconds since 1970",
        started,
    );
    registry.register_collector(Box::new(Ready {
        component,
        readiness: readiness.clone(),
    }));
}

/// All of them, as `/metrics` shows them.
///
/// # Errors
/// A metric cannot be encoded.
pub fn text(registry: &Registry) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    encode(&mut text, registry)?;
    Ok(text)
}

/// The conditions as they are when they are asked for.
#[derive(Debug)]
struct Ready {
    component: Component,
    readiness: Readiness,
}

impl Collector for Ready {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let mut ready = encoder.encode_descriptor(
            "eso_relay_ready",
            "Whether a condition of /readyz is met: 1 or 0",
            None,
            MetricType::Gauge,
        )?;
        let component = self.component.as_str();
        for (condition, is_met) in self.readiness.conditions() {
            let labels = [("component", component), ("condition", condition)];
            ConstGauge::new(i64::from(is_met)).encode(ready.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "called once, at the start of the process"
)]
fn now() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(registry: &Registry) -> String {
        text(registry).unwrap()
    }

    #[test]
    fn a_daemon_says_its_version_and_its_start() {
        let mut registry = Registry::default();
        register(&mut registry, Component::Consumer, &Readiness::default());
        let text = shown(&registry);
        let version = env!("CARGO_PKG_VERSION");
        let build = format!(
            r#"eso_relay_build_info{{component="consumer",version="{version}",revision="{REVISION}"}} 1"#
        );
        assert!(text.contains(&build), "{text}");
        assert!(text.contains("# TYPE eso_relay_build_info gauge"), "{text}");
        let started = text.lines().find_map(|line| {
            let value = line.strip_prefix("process_start_time_seconds ")?;
            value.parse::<f64>().ok()
        });
        assert!(
            started.is_some_and(|started| started > 1_700_000_000.0),
            "{text}"
        );
    }

    #[test]
    fn each_condition_is_shown_as_it_is_now() {
        let (readiness, mut registry) = (Readiness::default(), Registry::default());
        register(&mut registry, Component::Ingress, &readiness);
        let (nats, _stream) = (readiness.condition("nats"), readiness.condition("stream"));
        nats.met();
        let ready = |condition: &str, value: u8| {
            let labels = format!(r#"component="ingress",condition="{condition}""#);
            shown(&registry).contains(&format!("eso_relay_ready{{{labels}}} {value}\n"))
        };
        assert!(ready("nats", 1) && ready("stream", 0));
        nats.unmet("disconnected");
        assert!(ready("nats", 0));
    }
}
