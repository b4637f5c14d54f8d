//! The poller: an ingress without a port, in a Deployment of its own.

use serde_json::{Value, json};

use super::{Chart, case, case_with, name, of_kind, one};

const NAME: &str = "eso-relay-poller";

fn container(objects: &[Value]) -> Value {
    one(objects, "Deployment", NAME)["spec"]["template"]["spec"]["containers"][0].clone()
}

#[tokio::test]
async fn a_poller_has_no_port_but_that_of_its_metrics() {
    let Some(chart) = Chart::new().await else {
        return;
    };
    let objects = chart.objects(&case("poller")).await;
    let container = container(&objects);
    assert_eq!(
        container["command"],
        json!(["/usr/local/bin/eso-relay-ingress"])
    );
    assert_eq!(
        container["ports"],
        json!([{ "name": "admin", "containerPort": 9090 }])
    );
    let map = one(&objects, "ConfigMap", NAME);
    let config: Value =
        serde_saphyr::from_str(map["data"]["ingress.yaml"].as_str().unwrap()).unwrap();
    assert_eq!(config["listen"], "none");
    assert_eq!(config["nats"]["user"], "poller");
    for kind in ["Service", "Ingress", "Role", "ClusterRole", "Job"] {
        assert!(of_kind(&objects, kind).is_empty(), "{kind}");
    }
    let policy = one(&objects, "NetworkPolicy", NAME);
    let into = policy["spec"]["ingress"].as_array().unwrap();
    assert_eq!(into.len(), 1);
    assert_eq!(
        into[0]["ports"],
        json!([{ "port": 9090, "protocol": "TCP" }])
    );
    let out = policy["spec"]["egress"].as_array().unwrap();
    assert!(out.last().unwrap()["to"].is_array(), "{out:?}");
    let budgets = of_kind(&objects, "PodDisruptionBudget");
    assert_eq!(budgets.into_iter().map(name).collect::<Vec<_>>(), [NAME]);
}

/// Of Kubernetes itself it has none.
#[tokio::test]
async fn a_token_is_mounted_for_the_store_alone() {
    let Some(chart) = Chart::new().await else {
        return;
    };
    let store = |objects: &[Value]| {
        let pod = &one(objects, "Deployment", NAME)["spec"]["template"]["spec"];
        assert_eq!(pod["automountServiceAccountToken"], false);
        let volumes = pod["volumes"].as_array().unwrap();
        volumes.iter().find(|it| name_of(it) == "store").cloned()
    };
    let token = store(&chart.objects(&case("poller")).await).unwrap();
    let source = &token["projected"]["sources"];
    let wanted = json!([{ "serviceAccountToken": { "path": "token", "audience": "vault", "expirationSeconds": 3600 } }]);
    assert_eq!(source, &wanted);
    let without = case_with("poller", &["poller.token.audience="]);
    assert_eq!(store(&chart.objects(&without).await), None);
}

fn name_of(volume: &Value) -> &str {
    volume["name"].as_str().unwrap()
}

#[tokio::test]
async fn a_changed_poll_restarts_the_poller_alone() {
    let Some(chart) = Chart::new().await else {
        return;
    };
    let templates = async |values: &[String]| {
        let objects = chart.objects(values).await;
        let deployments = of_kind(&objects, "Deployment").into_iter();
        deployments
            .map(|it| (name(it).to_owned(), it["spec"]["template"].clone()))
            .collect::<Vec<_>>()
    };
    let before = templates(&case("everything")).await;
    let changed = case_with("everything", &["poller.config.polls[0].interval=5m"]);
    let after = templates(&changed).await;
    let other = before
        .iter()
        .zip(&after)
        .filter(|(before, after)| before != after);
    let names: Vec<_> = other.map(|(_, (name, _))| name.as_str()).collect();
    assert_eq!(names, [NAME]);
}

#[tokio::test]
async fn what_belongs_to_the_other_component_is_refused() {
    let Some(chart) = Chart::new().await else {
        return;
    };
    let source = "poller.config.sources[0].";
    let source = format!("{source}name=ci,{source}format=akeyless,{source}auth=none");
    for (base, set, words) in [
        (
            "hub",
            "poller.enabled=true",
            ["poller.config.polls", "name what"],
        ),
        ("poller", &source, ["poller.config.sources", "ingress"]),
        (
            "poller",
            "poller.config.listen=0.0.0.0:8080",
            ["poller.config.listen", "ingress"],
        ),
        (
            "hub",
            "ingress.config.listen=none",
            ["ingress.config.listen", "poller.enabled"],
        ),
        (
            "poller",
            "poller.secrets[0].path=store",
            ["poller.secrets", "store"],
        ),
    ] {
        let refused = chart.text(&case_with(base, &[set])).await;
        let said = refused.expect_err(set);
        for word in words {
            assert!(said.contains(word), "{set}: no {word:?} in {said}");
        }
    }
}
