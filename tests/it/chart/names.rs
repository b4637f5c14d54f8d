//! Names and selectors.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{Chart, case, name, of_kind};

#[tokio::test]
async fn names_fit_and_differ() {
    let Some(mut chart) = Chart::new().await else {
        return;
    };
    for release in [&"r".repeat(53), "eso-relay", "a"] {
        release.clone_into(&mut chart.release);
        let mut arguments = case("everything");
        arguments.extend(["--set".to_owned(), "devNats.enabled=true".to_owned()]);
        let objects = chart.objects(&arguments).await;
        let mut seen = HashSet::new();
        for object in &objects {
            let name = name(object);
            assert!(name.len() <= 63, "{name}");
            assert!(!name.ends_with('-') && !name.contains("--"), "{name}");
            let namespace = object["metadata"]["namespace"].as_str();
            let identity = (object["kind"].as_str(), namespace, name);
            assert!(seen.insert(identity), "{identity:?}");
            let labels = object["metadata"]["labels"].as_object();
            for (label, value) in labels.into_iter().flatten() {
                let text = value.as_str().unwrap();
                assert!(text.len() <= 63, "{label}: {text}");
            }
        }
        // With a number and a hash it is a label of its pods.
        let stateful = of_kind(&objects, "StatefulSet");
        assert!(name(stateful[0]).len() <= 52, "{}", name(stateful[0]));
        let workloads = ["Deployment", "StatefulSet"];
        let selectors: Vec<&Value> = workloads
            .iter()
            .flat_map(|kind| of_kind(&objects, kind))
            .map(|it| &it["spec"]["selector"]["matchLabels"])
            .collect();
        assert_eq!(selectors.len(), 4);
        for selector in &selectors {
            let same = selectors.iter().filter(|it| it == &selector).count();
            assert_eq!(same, 1, "{selector}");
        }
    }
}

/// A selector cannot be changed: with another one no release can be upgraded.
#[tokio::test]
async fn selectors_never_change() {
    let Some(chart) = Chart::new().await else {
        return;
    };
    let objects = chart.objects(&case("everything")).await;
    for deployment in of_kind(&objects, "Deployment") {
        let component = name(deployment).rsplit('-').next().unwrap();
        let selector = json!({
            "app.kubernetes.io/name": "eso-relay",
            "app.kubernetes.io/instance": "eso-relay",
            "app.kubernetes.io/component": component,
        });
        assert_eq!(deployment["spec"]["selector"]["matchLabels"], selector);
        let labels = &deployment["spec"]["template"]["metadata"]["labels"];
        assert_eq!(labels["team"], "platform");
        for (label, value) in selector.as_object().unwrap() {
            assert_eq!(&labels[label], value);
        }
    }
    // What selects pods selects them by the same labels.
    for service in of_kind(&objects, "Service") {
        let selector = &service["spec"]["selector"];
        assert_eq!(selector.as_object().unwrap().len(), 3);
    }
}
