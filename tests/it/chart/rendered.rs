//! What is rendered: the daemons accept it, and its rights are those of the plain manifests.

use eso_relay_lab::{daemon::Binary, helm::HelmVersion};
use serde_json::{Value, json};

use super::{CASES, CHART, Chart, NAMESPACE, case, case_with, name, of_kind, one};
use crate::docs::{check_example, path, read};

fn manifest(file: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&read(&format!("deploy/kubernetes/{file}"))).unwrap()
}

/// The rules of every object of this kind.
fn rules(objects: &[Value], kind: &str) -> Vec<Value> {
    let roles = of_kind(objects, kind).into_iter();
    roles
        .flat_map(|role| role["rules"].as_array().unwrap().clone())
        .collect()
}

#[tokio::test]
async fn every_case_passes_the_linter() {
    let Some(chart) = Chart::new().await else {
        return;
    };
    for (case, _) in CASES {
        let mut arguments = vec!["lint".to_owned(), CHART.to_owned(), "--strict".to_owned()];
        arguments.extend(self::case(case));
        let linted = chart.helm.run(&path(""), arguments).await;
        linted.unwrap_or_else(|error| panic!("{case}: {error}"));
    }
}

#[tokio::test]
async fn both_versions_of_helm_render_the_same() {
    let Some(third) = Chart::new().await else {
        return;
    };
    let fourth = Chart::with(HelmVersion::V4).await.unwrap();
    for (case, _) in CASES {
        let rendered = third.text(&self::case(case)).await.unwrap();
        assert_eq!(rendered, third.text(&self::case(case)).await.unwrap());
        assert_eq!(
            third.objects(&self::case(case)).await,
            fourth.objects(&self::case(case)).await,
            "{case}"
        );
    }
}

/// And finds the files that it names.
#[tokio::test]
async fn the_daemons_accept_their_configuration() {
    let Some(chart) = Chart::new().await else {
        return;
    };
    let mut checked = 0;
    for (case, _) in CASES {
        let objects = chart.objects(&self::case(case)).await;
        for (component, binary, file) in [
            ("ingress", Binary::Ingress, "ingress.yaml"),
            ("poller", Binary::Ingress, "ingress.yaml"),
            ("consumer", Binary::Consumer, "consumer.yaml"),
        ] {
            let deployments = of_kind(&objects, "Deployment");
            let of = |it: &&&Value| name(it).ends_with(component);
            let Some(deployment) = deployments.iter().find(of) else {
                continue;
            };
            let map = one(&objects, "ConfigMap", name(deployment));
            let yaml = map["data"][file].as_str().unwrap();
            let container = &deployment["spec"]["template"]["spec"]["containers"][0];
            let env = container["env"].as_array().cloned().unwrap_or_default();
            let env: Vec<_> = env
                .iter()
                .map(|it| {
                    let value = it["value"].as_str().unwrap_or("from a Secret");
                    (it["name"].as_str().unwrap(), value)
                })
                .collect();
            let output = check_example(binary, yaml, &env).await;
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{case}: {said}\n{yaml}");
            checked += 1;

            let mounts = container["volumeMounts"].as_array().unwrap();
            let directories: Vec<_> = mounts
                .iter()
                .map(|it| it["mountPath"].as_str().unwrap())
                .collect();
            for file in yaml.split("/etc/eso-relay/").skip(1) {
                let directory = file.split('/').next().unwrap();
                let directory = format!("/etc/eso-relay/{directory}");
                assert!(directories.contains(&directory.as_str()), "{case}: {file}");
            }
        }
    }
    assert!(checked >= 12, "{checked}");
}

#[tokio::test]
async fn rights_are_those_of_the_manifests() {
    let Some(chart) = Chart::new().await else {
        return;
    };
    let cluster = chart.objects(&case("cluster")).await;
    let mut wanted = rules(&manifest("consumer.yaml"), "ClusterRole");
    let pushes = json!({
        "apiGroups": ["external-secrets.io"],
        "resources": ["pushsecrets"],
        "verbs": ["get", "list", "watch", "patch"],
    });
    wanted.insert(3, pushes);
    wanted.extend(rules(&manifest("restart.yaml"), "ClusterRole"));
    assert_eq!(rules(&cluster, "ClusterRole"), wanted);
    assert!(of_kind(&cluster, "Role").is_empty());

    let namespaced = chart.objects(&case("namespaced")).await;
    let mut wanted = rules(&manifest("consumer-namespaced.yaml"), "Role");
    wanted.retain(|rule| rule["apiGroups"] != json!(["events.k8s.io"]));
    wanted.extend(rules(&manifest("restart-namespaced.yaml"), "Role"));
    wanted.extend(rules(&manifest("kes.yaml"), "ClusterRole"));
    for namespace in ["team-a", "team-b"] {
        let mut there = namespaced.clone();
        there.retain(|it| it["metadata"]["namespace"] == namespace);
        assert_eq!(rules(&there, "Role"), wanted, "{namespace}");
        assert_eq!(of_kind(&there, "RoleBinding").len(), 3, "{namespace}");
    }
    let stores = json!([{
        "apiGroups": ["external-secrets.io"],
        "resources": ["clustersecretstores"],
        "verbs": ["get", "list", "watch"],
    }]);
    assert_eq!(json!(rules(&namespaced, "ClusterRole")), stores);

    let hub = chart.objects(&case("hub")).await;
    assert!(hub.iter().all(|it| {
        let kind = it["kind"].as_str().unwrap();
        !kind.contains("Role") && !kind.contains("Policy")
    }));
    let everything = chart.objects(&case("everything")).await;
    let kes = one(&everything, "ClusterRole", "eso-relay-kes");
    let wanted = rules(&manifest("kes.yaml"), "ClusterRole");
    assert_eq!(kes["rules"], json!(wanted));
    let without = case_with("cluster", &["consumer.rbac.create=false"]);
    let without = chart.objects(&without).await;
    assert!(of_kind(&without, "ClusterRole").is_empty());
}

#[tokio::test]
async fn bindings_name_the_account_of_the_pod() {
    let Some(chart) = Chart::new().await else {
        return;
    };
    let set = [
        "consumer.serviceAccount.create=false",
        "consumer.serviceAccount.name=mine",
    ];
    for (arguments, account) in [
        (case("cluster"), "eso-relay-consumer"),
        (case_with("cluster", &set), "mine"),
    ] {
        let objects = chart.objects(&arguments).await;
        let deployment = one(&objects, "Deployment", "eso-relay-consumer");
        let pod = &deployment["spec"]["template"]["spec"];
        assert_eq!(pod["serviceAccountName"], account);
        for binding in of_kind(&objects, "ClusterRoleBinding") {
            let subject =
                json!([{ "kind": "ServiceAccount", "name": account, "namespace": NAMESPACE }]);
            assert_eq!(binding["subjects"], subject);
        }
        let accounts = of_kind(&objects, "ServiceAccount");
        assert_eq!(accounts.len(), usize::from(account != "mine"));

        // That of the manifests, for this account.
        let policies = of_kind(&objects, "ValidatingAdmissionPolicy");
        let file = manifest("restart-policy.yaml");
        let theirs = of_kind(&file, "ValidatingAdmissionPolicy");
        assert_eq!(policies.len(), theirs.len());
        for (ours, theirs) in policies.into_iter().zip(theirs) {
            let mut wanted = theirs["spec"].clone();
            let expression = &mut wanted["matchConditions"][0]["expression"];
            let text = expression.as_str().unwrap();
            *expression = text.replace("eso-relay-consumer", account).into();
            assert_eq!(ours["spec"], wanted);
            let bindings = of_kind(&objects, "ValidatingAdmissionPolicyBinding");
            let bound = |it: &&Value| it["spec"]["policyName"] == name(ours);
            assert_eq!(bindings.into_iter().filter(bound).count(), 1);
        }
    }
    let off = ["consumer.rbac.restartPolicy=false"];
    let objects = chart.objects(&case_with("cluster", &off)).await;
    assert!(of_kind(&objects, "ValidatingAdmissionPolicy").is_empty());
    let none = ["consumer.config.restart.enabled=false"];
    let objects = chart.objects(&case_with("cluster", &none)).await;
    assert!(of_kind(&objects, "ValidatingAdmissionPolicy").is_empty());
    assert_eq!(of_kind(&objects, "ClusterRole").len(), 1);
}

#[tokio::test]
async fn a_pod_outlives_its_daemon() {
    let Some(chart) = Chart::new().await else {
        return;
    };
    let ingress = eso_relay_ingress::ShutdownConfig::default().grace;
    let consumer = eso_relay_consumer::config::ShutdownConfig::default().grace;
    let by_default = [("ingress", ingress), ("consumer", consumer)];
    let objects = chart.objects(&case("minimal")).await;
    let grace = |objects: &[Value], component: &str| {
        let deployment = one(objects, "Deployment", &format!("eso-relay-{component}"));
        let pod = &deployment["spec"]["template"]["spec"];
        pod["terminationGracePeriodSeconds"].as_u64().unwrap()
    };
    for (component, default) in by_default {
        assert_eq!(grace(&objects, component), default.as_secs() + 5);
    }
    // 1m 30s.
    let hub = chart.objects(&case("hub")).await;
    assert_eq!(grace(&hub, "ingress"), 95);
}

#[tokio::test]
async fn replicas_are_set_once() {
    let Some(chart) = Chart::new().await else {
        return;
    };
    for (case, _) in CASES {
        let objects = chart.objects(&self::case(case)).await;
        for deployment in of_kind(&objects, "Deployment") {
            let name = name(deployment);
            let of = |kind| {
                let all = of_kind(&objects, kind).into_iter();
                all.filter(|it| self::name(it) == name).count()
            };
            let replicas = deployment["spec"]["replicas"].as_u64();
            let scalers = of("HorizontalPodAutoscaler") + of("ScaledObject");
            assert_eq!(scalers, usize::from(replicas.is_none()), "{case}");
            // One that is alone could never be drained.
            let budgets = of("PodDisruptionBudget");
            assert_eq!(budgets, usize::from(replicas != Some(1)), "{case}");
        }
    }
}

#[tokio::test]
async fn one_way_to_the_metrics() {
    let Some(chart) = Chart::new().await else {
        return;
    };
    let scraped = |objects: &[Value]| {
        let deployments = of_kind(objects, "Deployment").into_iter();
        let annotations =
            deployments.map(|it| it["spec"]["template"]["metadata"]["annotations"].clone());
        annotations
            .filter(|it| it["prometheus.io/port"] == "9090")
            .count()
    };
    let minimal = chart.objects(&case("minimal")).await;
    assert_eq!(scraped(&minimal), 2);
    assert!(of_kind(&minimal, "PodMonitor").is_empty());
    let everything = chart.objects(&case("everything")).await;
    assert_eq!(scraped(&everything), 0);
    let rule = one(&everything, "PrometheusRule", "eso-relay");
    let alerts: Value = serde_saphyr::from_str(&read("deploy/monitoring/alerts.yaml")).unwrap();
    assert_eq!(rule["spec"], alerts);
    let dashboard = one(&everything, "ConfigMap", "eso-relay-dashboard");
    assert_eq!(dashboard["metadata"]["labels"]["grafana_dashboard"], "1");
    assert_eq!(
        dashboard["data"]["eso-relay.json"],
        read("deploy/monitoring/dashboard.json")
    );
}

/// Only what a source needs; what is written goes to NATS in every case.
#[tokio::test]
async fn a_network_policy_follows_the_sources() {
    let Some(chart) = Chart::new().await else {
        return;
    };
    let ports = |objects: &[Value], component: &str| -> Vec<u64> {
        let policy = one(objects, "NetworkPolicy", &format!("eso-relay-{component}"));
        let rules = policy["spec"]["egress"].as_array().unwrap();
        let ports = rules.iter().flat_map(|it| it["ports"].as_array().unwrap());
        ports.map(|it| it["port"].as_u64().unwrap()).collect()
    };
    let everything = chart.objects(&case("everything")).await;
    assert_eq!(ports(&everything, "ingress"), [53, 53, 4222, 3128]);
    assert_eq!(ports(&everything, "init"), [53, 53, 4222, 3128]);
    assert_eq!(
        ports(&everything, "consumer"),
        [53, 53, 4222, 3128, 443, 6443]
    );
    assert_eq!(ports(&everything, "poller"), [53, 53, 4222, 3128, 8201]);
    // Also where the address has a path, or no port.
    let poller = chart.objects(&case("poller")).await;
    assert_eq!(ports(&poller, "poller"), [53, 53, 4222, 8200, 80]);
    let sns = chart.objects(&case("balanced")).await;
    assert_eq!(ports(&sns, "ingress"), [53, 53, 4222, 443]);
    let hub = case_with(
        "hub",
        &["networkPolicy.enabled=true", "nats.url=tls://a:4333\\,b"],
    );
    let hub = chart.objects(&hub).await;
    assert_eq!(ports(&hub, "ingress"), [53, 53, 4333, 4222, 443]);
}

#[tokio::test]
async fn init_declares_its_own_cluster_too() {
    let Some(chart) = Chart::new().await else {
        return;
    };
    let jobs = async |values: &[String]| {
        let objects = chart.objects(values).await;
        let jobs = of_kind(&objects, "Job").into_iter().cloned();
        jobs.filter(|it| name(it).contains("-init-"))
            .collect::<Vec<_>>()
    };
    let container = |job: &Value| job["spec"]["template"]["spec"]["containers"][0].clone();
    let everything = jobs(&case("everything")).await;
    let arguments = json!(["init", "--cluster", "west", "--cluster", "east"]);
    assert_eq!(container(&everything[0])["args"], arguments);

    let hub = jobs(&case("hub")).await.remove(0);
    let arguments = json!([
        "init",
        "--cluster",
        "east",
        "--cluster",
        "west",
        "--replicas",
        "3",
        "--max-age",
        "168h",
        "--max-bytes",
        "10GiB"
    ]);
    assert_eq!(container(&hub)["args"], arguments);
    let file = json!({ "name": "ESO_RELAY__NATS__PASSWORD_FILE", "value": "/etc/eso-relay/nats/password" });
    let env = container(&hub)["env"].as_array().unwrap().clone();
    assert!(env.contains(&file), "{env:?}");
    // The operator's user, not that of the ingress.
    let user = json!({ "name": "ESO_RELAY__NATS__USER", "value": "operator" });
    assert!(env.contains(&user), "{env:?}");
    let secret = &hub["spec"]["template"]["spec"]["volumes"][0]["secret"]["secretName"];
    assert_eq!(secret, "eso-relay-nats-operator");

    // A Job cannot be changed: another command is another Job.
    let more = case_with("hub", &["init.clusters={east,west,north}"]);
    let more = jobs(&more).await.remove(0);
    assert_ne!(name(&more), name(&hub));
    let other = case_with("hub", &["ingress.replicas=3"]);
    assert_eq!(name(&jobs(&other).await[0]), name(&hub));
    assert!(jobs(&case("cluster")).await.is_empty());
}
