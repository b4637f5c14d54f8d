//! Spans, as a collector receives them.

mod destination;
mod restarts;
mod state;

use std::collections::HashSet;

use eso_relay::{
    Event,
    event::decode_batch,
    stream::{ACK_WAIT, Stream},
};
use eso_relay_lab::{
    cluster::{Kind, create_namespace, external_secret, store},
    collector::{Collector, Manner, ReceivedSpan},
    daemon::Daemon,
    installation::{BASIC_PASSWORD, BASIC_USER, Cluster, Hub, READY, Webhooks, akeyless, send},
    standin::{Effect, On, Times, Verb},
    wait,
};
use serde_json::json;

use crate::{
    cli,
    consuming::{Consuming, TEAM, drained, event, fingerprint},
    stored,
};

/// A trace of a sender, as it is written in a header.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

async fn collector() -> Collector {
    Collector::start(Manner::Take).await.unwrap()
}

/// Waits for as many spans of each name.
async fn spans(collector: &Collector, counts: &[(&str, usize)]) -> Vec<ReceivedSpan> {
    wait::until_ok(format!("spans {counts:?}"), READY, || async {
        let spans = collector.spans().unwrap();
        let count = |name: &str| spans.iter().filter(|span| span.name == name).count();
        let there = counts.iter().all(|(name, count_)| count(name) == *count_);
        there.then(|| spans.clone()).ok_or(spans)
    })
    .await
    .unwrap()
}

fn of<'a>(spans: &'a [ReceivedSpan], name: &str) -> &'a ReceivedSpan {
    let mut spans = spans.iter();
    spans.find(|span| span.name == name).unwrap()
}

async fn ready(mut daemon: Daemon) -> Daemon {
    daemon.wait_ready(READY).await.unwrap();
    daemon
}

/// With an `ExternalSecret` that reads `/prod/db`.
async fn cluster(name: &str) -> Cluster {
    let cluster = Cluster::stand_in(name).await.unwrap();
    cluster.values.set("/prod/db", "1");
    create_namespace(cluster.client(), TEAM).await.unwrap();
    let akeyless = store("akeyless").in_namespace(TEAM).akeyless();
    akeyless.create(cluster.client()).await.unwrap();
    let db = external_secret("db").in_namespace(TEAM);
    let db = db.from_store("akeyless").key("/prod/db");
    db.create(cluster.client()).await.unwrap();
    cluster
}

#[tokio::test(flavor = "multi_thread")]
async fn one_webhook_is_one_trace_from_the_request_to_the_sync_in_every_cluster() {
    let (east, west) = (cluster("east").await, cluster("west").await);
    let collector = collector().await;
    let hub = Hub::start().await.unwrap();
    hub.init(&["east", "west"]).await.unwrap();
    let settings = collector.settings();
    let ingress = ready(hub.ingress_with(&settings).start().await.unwrap()).await;
    let _east = ready(east.consumer(&hub, &settings).start().await.unwrap()).await;
    let _west = ready(west.consumer(&hub, &settings).start().await.unwrap()).await;

    let webhooks = Webhooks::to(&ingress.url());
    let body = json!([akeyless(1, "prod/db")]);
    let answer = webhooks.akeyless(&body).await.unwrap();
    assert_eq!(answer.status, 202, "{answer:?}");
    let route = "POST /v1/hooks/{source}";
    let all = [
        (route, 1),
        ("send eso-relay.events", 1),
        ("process ESO_RELAY", 2),
        ("patch", 2),
        ("sync", 2),
    ];
    let spans = spans(&collector, &all).await;
    assert_eq!(spans.len(), 8, "{spans:#?}");

    let server = of(&spans, route);
    let sent = of(&spans, "send eso-relay.events");
    let traces: HashSet<&str> = spans.iter().map(|span| span.trace_id.as_str()).collect();
    assert_eq!(traces.len(), 1, "{spans:#?}");
    let ids: HashSet<&str> = spans.iter().map(|span| span.span_id.as_str()).collect();
    assert_eq!(ids.len(), spans.len());
    assert_eq!(server.parent_id, "");
    for span in spans.iter().filter(|span| span.name != route) {
        let mut parents = spans.iter();
        let parent = parents.find(|parent| parent.span_id == span.parent_id);
        let parent = parent.expect("a parent that was sent");
        let expected = match span.name.as_str() {
            "send eso-relay.events" => route,
            "process ESO_RELAY" => "send eso-relay.events",
            _ => "process ESO_RELAY",
        };
        assert_eq!(parent.name, expected);
        assert!(
            parent.start <= span.start && span.start <= span.end,
            "{span:#?}"
        );
        if span.name == "process ESO_RELAY" {
            assert_eq!(span.links, [(sent.trace_id.clone(), sent.span_id.clone())]);
        }
    }
    assert!(sent.end <= server.end);
    let kinds = ["Server", "Producer", "Consumer", "Client", "Internal"];
    for ((name, _), kind) in all.iter().zip(kinds) {
        assert_eq!(of(&spans, name).kind, kind, "{name}");
    }
    assert_eq!(server.service, "eso-relay-ingress");
    assert_eq!(server.attribute("http.response.status_code"), "202");
    assert_eq!(sent.attribute("eso_relay.stream.sequence"), "1");
    assert_ne!(sent.attribute("messaging.message.id"), "");
    let patch = of(&spans, "patch");
    assert_eq!(patch.service, "eso-relay-consumer");
    assert_eq!(patch.attribute("eso_relay.object"), "team-a/db");
    assert_eq!(patch.attribute("http.response.status_code"), "200");
    assert_eq!(of(&spans, "sync").attribute("eso_relay.sync"), "synced");
    let process = of(&spans, "process ESO_RELAY");
    for (name, value) in [
        ("attempt", "1"),
        ("matched", "1"),
        ("result", "acked"),
        ("lane", "exact"),
    ] {
        assert_eq!(
            process.attribute(&format!("eso_relay.{name}")),
            value,
            "{name}"
        );
    }

    let jetstream = hub.jetstream().await.unwrap();
    let messages = stored::messages(&jetstream, Stream::Events).await;
    let event = decode_batch(&messages[0].payload)
        .unwrap()
        .remove(0)
        .unwrap();
    let carried = format!("00-{}-{}-01", sent.trace_id, sent.span_id);
    assert_eq!(event.traceparent.unwrap().to_string(), carried);
    let told = hub.cli(&["trace", &fingerprint(&event)]).await.unwrap();
    assert!(told.stdout.contains(&server.trace_id), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_decides_about_its_trace_once_it_is_authenticated() {
    let collector = collector().await;
    let hub = Hub::start().await.unwrap();
    hub.init(&["east"]).await.unwrap();
    let none = format!(
        "trace: {{ endpoint: '{}', sample: 0.0 }}\n",
        collector.url()
    );
    let ingress = ready(hub.ingress_with(&none).start().await.unwrap()).await;
    let webhooks = Webhooks::to(&ingress.url());
    let body = json!([akeyless(1, "prod/db")]).to_string();
    for (password, flags, status) in [
        ("wrong", Some("01"), 401),
        (BASIC_PASSWORD, Some("00"), 202),
        (BASIC_PASSWORD, None, 202),
        (BASIC_PASSWORD, Some("01"), 202),
    ] {
        let request = webhooks.post("/v1/hooks/akeyless").body(body.clone());
        let mut request = request.basic_auth(BASIC_USER, Some(password));
        if let Some(flags) = flags {
            request = request.header("traceparent", format!("00-{TRACE}-{SPAN}-{flags}"));
        }
        assert_eq!(send(request).await.unwrap().status, status);
    }
    let route = "POST /v1/hooks/{source}";
    let spans = spans(&collector, &[(route, 1), ("send eso-relay.events", 1)]).await;
    assert_eq!(spans.len(), 2, "{spans:#?}");
    let server = of(&spans, route);
    assert_eq!(
        (server.trace_id.as_str(), server.parent_id.as_str()),
        (TRACE, SPAN)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_for_many_objects_has_few_spans_and_a_replay_has_a_trace_of_its_own() {
    let names: Vec<String> = (0..30).map(|at| format!("db-{at}")).collect();
    let cluster = cluster("east").await;
    for name in &names {
        let secret = external_secret(name).in_namespace(TEAM);
        let secret = secret.from_store("akeyless").key("/prod/db");
        secret.create(cluster.client()).await.unwrap();
    }
    let collector = collector().await;
    let hub = Hub::start().await.unwrap();
    hub.init(&["east"]).await.unwrap();
    let settings = collector.settings();
    let ingress = ready(hub.ingress_with(&settings).start().await.unwrap()).await;
    let _consumer = ready(cluster.consumer(&hub, &settings).start().await.unwrap()).await;
    let webhooks = Webhooks::to(&ingress.url());
    let body = json!([akeyless(1, "prod/db")]);
    assert_eq!(webhooks.akeyless(&body).await.unwrap().status, 202);
    let few = [("process ESO_RELAY", 1), ("patch", 10), ("sync", 10)];
    let first = spans(&collector, &few).await;
    let process = of(&first, "process ESO_RELAY");
    for name in ["matched", "patched"] {
        assert_eq!(
            process.attribute(&format!("eso_relay.{name}")),
            "31",
            "{name}"
        );
    }

    let args = ["replay", "--cluster", "east", "--since", "1h", "--yes"];
    let output = hub.cli(&args).await.unwrap();
    assert_eq!(output.code, 0, "{output:?}");
    let two = [("process ESO_RELAY", 2), ("patch", 20), ("sync", 20)];
    let spans = spans(&collector, &two).await;
    let mut processes = spans.iter().filter(|span| span.name == "process ESO_RELAY");
    let again = processes.find(|it| it.span_id != process.span_id).unwrap();
    assert_ne!(again.trace_id, process.trace_id);
    assert_eq!(again.parent_id, "");
    let sent = of(&spans, "send eso-relay.events");
    assert_eq!(again.links, [(sent.trace_id.clone(), sent.span_id.clone())]);
}

/// An event whose trace is recorded.
fn traced(key: &str) -> Event {
    let traceparent = format!("00-{TRACE}-{SPAN}-01").parse().unwrap();
    Event {
        traceparent: Some(traceparent),
        ..event(key)
    }
}

/// Waits for the server's `ack_wait`: a consumer takes no shorter one.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_between_patch_and_ack_the_next_attempt_is_in_the_same_trace() {
    let relay = Consuming::on(Cluster::stand_in("east").await.unwrap(), &["db"]).await;
    let collector = collector().await;
    let mut killed = relay.consumer(&collector.settings()).await;
    let settling = Event {
        settle: Some("3s".parse().unwrap()),
        ..traced("/prod/db")
    };
    cli::publish(&relay.jetstream, std::slice::from_ref(&settling)).await;
    let first = spans(&collector, &[("patch", 1)]).await;
    assert_eq!(first[0].trace_id, TRACE);
    killed.kill9().unwrap();

    let _other = relay.consumer(&collector.settings()).await;
    drained(&relay.jetstream, "east", ACK_WAIT + READY).await;
    let spans = spans(&collector, &[("process ESO_RELAY", 1), ("patch", 2)]).await;
    let process = of(&spans, "process ESO_RELAY");
    assert_eq!(process.attribute("eso_relay.attempt"), "2");
    assert_eq!(
        (process.trace_id.as_str(), process.parent_id.as_str()),
        (TRACE, SPAN)
    );
    let stages = spans.iter().filter(|span| span.name == "patch");
    let stages: Vec<_> = stages
        .map(|span| span.attribute("eso_relay.stage"))
        .collect();
    assert_eq!(stages, ["first", "settled"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_a_newer_one_answers_for_says_so() {
    let relay = Consuming::on(Cluster::stand_in("east").await.unwrap(), &["db"]).await;
    let collector = collector().await;
    let events = [traced("/prod/db"), traced("/prod/db")];
    cli::publish(&relay.jetstream, &events).await;
    let _consumer = relay.consumer(&collector.settings()).await;
    let spans = spans(
        &collector,
        &[("process ESO_RELAY", 2), ("patch", 1), ("sync", 1)],
    )
    .await;
    let [older, newer] = events.each_ref().map(|event| {
        let value = fingerprint(event);
        let mut spans = spans.iter();
        spans
            .find(|span| span.attribute("eso_relay.fingerprint") == value)
            .unwrap()
    });
    let (name, attributes) = &older.events[0];
    assert_eq!(name, "coalesced");
    assert_eq!(
        attributes["eso_relay.coalesced_into"],
        fingerprint(&events[1])
    );
    let newest = (newer.trace_id.clone(), newer.span_id.clone());
    assert!(older.links.contains(&newest), "{older:#?}");
    assert!(newer.events.is_empty());
    assert_eq!(of(&spans, "patch").parent_id, newer.span_id);
}

/// The watch is faster than the answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_shows_before_the_answer_to_its_patch_has_a_span() {
    let relay = Consuming::on(Cluster::stand_in("east").await.unwrap(), &["db"]).await;
    relay.synced("db").await;
    let collector = collector().await;
    let consumer = relay.consumer(&collector.settings()).await;
    let patches = On {
        status: Some(false),
        ..On::verb(Verb::Patch, Kind::ExternalSecret)
    };
    let faults = relay.stand_in().faults();
    let late = faults.inject(patches, Effect::Unanswered, Times::All);
    cli::publish(&relay.jetstream, &[traced("/prod/db")]).await;
    let syncs = || consumer.count("eso_relay_consumer_syncs_total", &[("result", "synced")]);
    wait::until("the sync", READY, || async {
        (syncs().await.unwrap() == 1).then_some(())
    })
    .await
    .unwrap();
    faults.lift(late);
    let counts = [("process ESO_RELAY", 1), ("patch", 1), ("sync", 1)];
    spans(&collector, &counts).await;
}
