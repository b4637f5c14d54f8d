//! What `/metrics` of running daemons says, and how it is written.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use eso_relay::{admin::Readiness, nats};
use eso_relay_lab::{
    cluster::Kind,
    daemon::Daemon,
    installation::{Cluster, Hub, Installation, READY},
    nats_server::NatsServer,
    standin::{Effect, On, Times, Verb},
    wait,
};
use prometheus_client::registry::Registry;

use crate::{
    consuming::{CONSUMER, Consuming, names, strs},
    link::Link,
};

/// The text of `/metrics`.
pub(crate) async fn text(daemon: &Daemon) -> String {
    daemon.metrics_text().await.unwrap()
}

/// Waits until a metric has this value.
pub(crate) async fn reaches(daemon: &Daemon, name: &str, labels: &[(&str, &str)], value: u64) {
    wait::until_ok(format!("{name} to be {value}"), READY, || async {
        match daemon.count(name, labels).await {
            Ok(count) if count == value => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await
    .unwrap_or_else(|error| panic!("{error:#}\n{}", daemon.logs()));
}

/// Reads a text as `expfmt.TextParser` of Prometheus and KEDA does. Returns the type of each family.
fn parse(text: &str) -> Result<BTreeMap<String, String>, String> {
    if !text.ends_with('\n') {
        return Err("the last line has no end".to_owned());
    }
    let (mut types, mut seen) = (BTreeMap::new(), BTreeSet::new());
    for line in text.lines() {
        let wrong = |what: &str| format!("{what}: {line}");
        if let Some(comment) = line.strip_prefix('#') {
            let mut words = comment.split_whitespace();
            // Any other word makes it a comment: UNIT, EOF.
            let (Some("TYPE"), Some(name), Some(kind)) = (words.next(), words.next(), words.next())
            else {
                continue;
            };
            if !["counter", "gauge", "histogram", "summary"].contains(&kind) {
                return Err(wrong("a type that is not known"));
            }
            if seen.contains(name) || types.insert(name.to_owned(), kind.to_owned()).is_some() {
                return Err(wrong("a second TYPE, or one after its samples"));
            }
        } else if !line.is_empty() {
            seen.insert(sample(line).map_err(wrong)?);
        }
    }
    Ok(types)
}

/// The name of a sample: `name{label="value",…} value [timestamp]`.
fn sample(line: &str) -> Result<String, &'static str> {
    let is_name = |name: &str, colons: bool| {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':');
        name.starts_with(|c: char| !c.is_ascii_digit()) && name.chars().all(fits)
    };
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, mut rest) = line.split_at(end);
    if !is_name(name, true) {
        return Err("not a name");
    }
    let mut labels = BTreeSet::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"").ok_or("a label without a value")?;
            if !is_name(label, false) || !labels.insert(label) {
                return Err("not the name of a label, or a second one");
            }
            let (value, after) = quoted(after)?;
            if label == "le" && value.parse::<f64>().is_err() {
                return Err("a bound that is no number");
            }
            rest = after.strip_prefix(',').unwrap_or(after);
            if !after.starts_with([',', '}']) {
                return Err("neither another label nor the end");
            }
        }
        rest = &rest[1..];
    }
    let mut words = rest.strip_prefix(' ').ok_or("no blank")?.split(' ');
    let value = words.next().unwrap_or_default();
    value.parse::<f64>().map_err(|_| "not a number")?;
    // An exemplar would stand here.
    match words.next() {
        Some(time) if time.parse::<i64>().is_err() => Err("not a timestamp"),
        _ => Ok(name.to_owned()),
    }
}

/// A label's value up to its closing quote, and what follows.
fn quoted(text: &str) -> Result<(String, &str), &'static str> {
    let (mut value, mut chars) = (String::new(), text.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, escaped @ ('"' | '\\'))) => value.push(escaped),
                _ => return Err("an escape that is not known"),
            },
            _ => value.push(c),
        }
    }
    Err("a value without an end")
}

#[test]
fn what_keda_refuses_is_refused() {
    let good = "# HELP a says.\n# TYPE a gauge\n# UNIT a seconds\na{b=\"\\\"x\\\\\"} 1.5\n\
                # TYPE h histogram\nh_bucket{le=\"5.0\",c=\"d\"} 1\nh_bucket{le=\"+Inf\"} 1 17\n# EOF\n";
    assert_eq!(parse(good).unwrap().len(), 2);
    for bad in [
        "# TYPE a info\n",
        "# TYPE a unknown\n",
        "# TYPE a gauge\n# TYPE a gauge\n",
        "a 1\n# TYPE a gauge\n",
        "a 1",
        "a\n",
        "a{b=\"c\",b=\"d\"} 1\n",
        "a{b=\"\\x\"} 1\n",
        "a{le=\"high\"} 1\n",
        "a-b 1\n",
        "a 1 # {trace_id=\"x\"} 1\n",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_and_keda_can_read_both_daemons() {
    let east = Cluster::stand_in("east").await.unwrap();
    let installation = Installation::start(vec![east]).await.unwrap();
    installation.webhooks().updated(&["a"]).await.unwrap();
    for (daemon, component) in [
        (&installation.ingress, "ingress"),
        (&installation.consumers[0], "consumer"),
    ] {
        let types = parse(&text(daemon).await).unwrap();
        for (family, kind) in [
            ("eso_relay_build_info", "gauge"),
            ("eso_relay_ready", "gauge"),
            ("eso_relay_nats_reconnects", "counter"),
            ("process_start_time_seconds", "gauge"),
        ] {
            assert_eq!(
                types.get(family).map(String::as_str),
                Some(kind),
                "{family}"
            );
        }
        let labels = [("component", component)];
        for family in ["eso_relay_build_info", "eso_relay_ready"] {
            assert!(daemon.count(family, &labels).await.unwrap() > 0, "{family}");
        }
    }
    let consumer = &installation.consumers[0];
    let labels = [("relay_cluster", "east")];
    reaches(consumer, "eso_relay_consumer_info", &labels, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_to_nats_shows_and_its_return_counts() {
    let hub = Hub::start().await.unwrap();
    hub.init(&[]).await.unwrap();
    let link = Link::to(&hub.nats.url()).await;
    let yaml = format!("nats: {{ url: '{}' }}\n", link.url());
    let options = Daemon::ingress().config(yaml);
    let options = options
        .env("BASIC_AUTH_USER", "eso")
        .env("BASIC_AUTH_PASSWORD", "hunter2");
    let mut ingress = options.start().await.unwrap();
    ingress.wait_ready(READY).await.unwrap();
    let connected = "eso_relay_nats_connected";
    let nats = [("component", "ingress"), ("condition", "nats")];
    reaches(&ingress, connected, &[], 1).await;
    reaches(&ingress, "eso_relay_ready", &nats, 1).await;
    reaches(&ingress, "eso_relay_nats_reconnects_total", &[], 0).await;

    link.cut().await;
    reaches(&ingress, connected, &[], 0).await;
    reaches(&ingress, "eso_relay_ready", &nats, 0).await;
    let other = [("kind", "other")];
    wait::until("a failed attempt to connect", READY, || async {
        let errors = ingress.count("eso_relay_nats_errors_total", &other).await;
        (errors.unwrap() > 0).then_some(())
    })
    .await
    .unwrap();
    link.restore();
    reaches(&ingress, connected, &[], 1).await;
    reaches(&ingress, "eso_relay_ready", &nats, 1).await;
    reaches(&ingress, "eso_relay_nats_reconnects_total", &[], 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_counts() {
    let server = NatsServer::builder()
        .config_text("authorization { users: [ { user: relay, password: right, permissions: { publish: \"allowed\" } } ] }")
        .start()
        .await
        .unwrap();
    let url = server.url().replace("nats://", "nats://relay:right@");
    let mut registry = Registry::default();
    let metrics = nats::Metrics::register(&mut registry);
    let condition = Readiness::default().condition("nats");
    let config = nats::NatsConfig::at(url);
    let connect = nats::connect(&config, "test", condition, metrics);
    let client = connect.await.unwrap();
    let violations = || {
        let text = eso_relay::metrics::text(&registry).unwrap();
        let line = r#"eso_relay_nats_errors_total{kind="permissions_violation"} "#;
        let count = text.lines().find_map(|found| found.strip_prefix(line));
        count.unwrap().parse::<u64>().unwrap()
    };
    client.publish("allowed", "".into()).await.unwrap();
    client.flush().await.unwrap();
    assert_eq!(violations(), 0);
    client.publish("denied", "".into()).await.unwrap();
    client.flush().await.unwrap();
    wait::until("the violation", READY, || {
        std::future::ready((violations() == 1).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_has_to_start_again_counts() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let mut relay = Consuming::on(cluster, &["db"]).await;
    let consumer = relay.consumer("").await;
    let kind = [("kind", "ExternalSecret")];
    let restarts = "eso_relay_consumer_watch_restarts_total";
    reaches(&consumer, restarts, &kind, 0).await;
    let last = "eso_relay_consumer_watch_last_event_timestamp_seconds";
    assert!(consumer.metric(last, &kind).await.unwrap() > 1_700_000_000.0);
    relay.cluster.go_away().await.unwrap();
    wait::until("a watch to start again", READY, || async {
        let restarts = consumer.count(restarts, &kind).await.unwrap();
        (restarts > 0).then_some(())
    })
    .await
    .unwrap();
    relay.cluster.come_back().await.unwrap();
}

/// Both ask the server, so a replica more does not change it: an autoscaler may take the greatest.
#[tokio::test(flavor = "multi_thread")]
async fn two_consumers_report_the_same_backlog() {
    const MESSAGES: usize = 40_000;
    /// Not yet with one of the two, each of which may hold five.
    const WAITING: u64 = 39_990;
    let cluster = Cluster::stand_in("east").await.unwrap();
    let names = names("db", 60);
    // A server that does not sync for each message.
    let server = NatsServer::builder().start().await.unwrap();
    let hub = Hub::on(server, Vec::new()).unwrap();
    let relay = Consuming::of(hub, cluster, &strs(&names)).await;
    // Each holds what it may, and no patch of it ends.
    let hang = Effect::Slow(Duration::from_secs(3600));
    let patches = On::verb(Verb::Patch, Kind::ExternalSecret).by_token(CONSUMER);
    relay.stand_in().faults().inject(patches, hang, Times::All);
    let settings = "max_deliveries: 5\nkubernetes: { patch_timeout: 1h }";
    let consumers = [
        relay.consumer(settings).await,
        relay.consumer(settings).await,
    ];
    let keys = names.iter().cycle().map(|name| format!("/prod/{name}"));
    relay.publish_each(keys.take(MESSAGES)).await;
    let gauge = "eso_relay_consumer_backlog";
    wait::until_ok("both to report the backlog", READY, || async {
        let pending = relay.durable().await.num_pending;
        let mut reported = Vec::new();
        for consumer in &consumers {
            reported.push(consumer.count(gauge, &[]).await.unwrap());
        }
        let agree = pending == WAITING && reported.iter().all(|backlog| *backlog == pending);
        agree.then_some(()).ok_or((pending, reported))
    })
    .await
    .unwrap();
    for consumer in &consumers {
        let held = consumer.metric("eso_relay_consumer_oldest_held_seconds", &[]);
        assert!(held.await.unwrap() > 0.0, "it holds some");
        let exact = [("lane", "exact")];
        let waiting = consumer.count("eso_relay_consumer_pending_targets", &exact);
        assert!(waiting.await.unwrap() > 0, "and patches them");
    }
}
