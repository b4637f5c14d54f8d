use async_nats::jetstream::stream::{
    Compression, DiscardPolicy, PersistenceMode, RetentionPolicy, StorageType,
};
use serde_json::json;

use super::*;
use crate::stream::Limits;

const NOW: &str = "2026-01-31T10:00:00Z";

/// A stream as the server describes it, with `messages` of a mebibyte, the oldest two hours old.
fn info(config: &Config, messages: u64) -> Info {
    serde_json::from_value(json!({
        "config": config,
        "created": "2026-01-01T00:00:00Z",
        "cluster": null,
        "state": {
            "messages": messages,
            "bytes": messages << 20,
            "first_seq": 1,
            "first_ts": "2026-01-31T08:00:00Z",
            "last_seq": messages,
            "last_ts": "2026-01-31T09:00:00Z",
            "consumer_count": 0,
        },
    }))
    .unwrap()
}

/// As a server describes what [`Stream::config`] declared.
fn declared(stream: Stream) -> Config {
    stream.config(&Limits::default())
}

fn plan_for(stream: Stream, found: &Info, wanted: &Wanted) -> Result<Plan, ProvisionError> {
    let limits = plan::limits(Some(&found.config), wanted);
    plan::stream(
        stream,
        Some(found),
        &limits,
        wanted,
        &[],
        NOW.parse().unwrap(),
    )
}

fn updated(plan: Result<Plan, ProvisionError>) -> (Config, Vec<String>) {
    match plan {
        Ok(Plan::Update(config, differences)) => {
            let text = |d: Difference| format!("{}: {} → {}", d.setting, d.old, d.new);
            (*config, differences.into_iter().map(text).collect())
        }
        other => panic!("{other:?}"),
    }
}

fn wanted(max_age: &str, max_bytes: i64) -> Wanted {
    Wanted {
        max_age: Some(humantime::parse_duration(max_age).unwrap()),
        max_bytes: Some(max_bytes),
        ..Wanted::default()
    }
}

#[test]
fn what_is_right_stays_as_it_is() {
    for stream in Stream::ALL {
        let plan = plan_for(stream, &info(&declared(stream), 5), &Wanted::default());
        assert!(matches!(plan, Ok(Plan::Keep)), "{plan:?}");
    }
}

#[test]
fn positions_never_expire() {
    let mut found = declared(Stream::Positions);
    found.max_age = Duration::from_secs(60);
    let wanted = wanted("96h", 1 << 30);
    let (_, differences) = updated(plan_for(Stream::Positions, &info(&found, 5), &wanted));
    assert_eq!(differences, ["max_age: 1m → unlimited"]);
}

#[test]
fn a_setting_that_is_not_named_keeps_its_value() {
    let mut found = declared(Stream::Events);
    found.num_replicas = 3;
    found.max_bytes = 10 << 30;
    let wanted = Wanted {
        max_age: Some(Duration::from_secs(96 * 3600)),
        ..Wanted::default()
    };
    let (config, differences) = updated(plan_for(Stream::Events, &info(&found, 5), &wanted));
    assert_eq!(differences, ["max_age: 72h → 96h"]);
    assert_eq!((config.num_replicas, config.max_bytes), (3, 10 << 30));
}

#[test]
fn a_new_stream_is_as_large_and_as_safe_as_the_events_stream() {
    let mut events = declared(Stream::Events);
    events.num_replicas = 3;
    let limits = plan::limits(Some(&events), &Wanted::default());
    let plan = plan::stream(
        Stream::Dead,
        None,
        &limits,
        &Wanted::default(),
        &[],
        NOW.parse().unwrap(),
    );
    assert!(matches!(plan, Ok(Plan::Create(config)) if config.num_replicas == 3));
}

#[test]
fn a_smaller_size_keeps_what_is_stored() {
    let found = info(&declared(Stream::Events), 5);
    let error = plan_for(Stream::Events, &found, &wanted("3h", 4 << 20)).unwrap_err();
    assert!(
        matches!(error, ProvisionError::WouldLose { .. }),
        "{error:?}"
    );
    let why = "it holds 5MiB, more than --max-bytes 4MiB";
    assert!(error.to_string().contains(why), "{error}");
    let (_, differences) = updated(plan_for(Stream::Events, &found, &wanted("3h", 5 << 20)));
    assert_eq!(differences, ["max_age: 72h → 3h", "max_bytes: 1GiB → 5MiB"]);
    // An empty stream has nothing to lose.
    let empty = info(&declared(Stream::Events), 0);
    updated(plan_for(Stream::Events, &empty, &wanted("1m", 1 << 20)));
}

#[test]
fn a_shorter_age_takes_what_was_acked_and_agreed_to() {
    let found = info(&declared(Stream::Events), 5);
    let since = |cluster: &str, since: &str| unacked::Unacked {
        cluster: cluster.to_owned(),
        since: since.parse().unwrap(),
    };
    let plan = |unacked: &[unacked::Unacked], forget| {
        let wanted = Wanted {
            max_age: Some(Duration::from_secs(2 * 3600)),
            forget,
            ..Wanted::default()
        };
        let limits = plan::limits(Some(&found.config), &wanted);
        let now = NOW.parse().unwrap();
        plan::stream(Stream::Events, Some(&found), &limits, &wanted, unacked, now)
    };
    let east = since("east", "2026-01-31T08:00:00Z");
    let west = since("west", "2026-01-31T08:30:00Z");
    let error = plan(&[west.clone(), east], true).unwrap_err().to_string();
    for said in ["not acked by east (for 2h):", "--remove-cluster east"] {
        assert!(error.contains(said), "{error}");
    }
    let error = plan(std::slice::from_ref(&west), false).unwrap_err();
    assert!(
        matches!(error, ProvisionError::WouldForget { .. }),
        "{error:?}"
    );
    let (_, differences) = updated(plan(&[west], true));
    assert_eq!(differences, ["max_age: 72h → 2h"]);
}

#[test]
fn old_receipts_do_not_keep_the_age_long() {
    let found = info(&declared(Stream::Receipts), 5);
    let (_, differences) = updated(plan_for(Stream::Receipts, &found, &wanted("1h", 1 << 30)));
    assert_eq!(differences, ["max_age: 72h → 1h"]);
}

#[test]
fn what_eso_relay_needs_is_set_and_the_rest_is_kept() {
    let mut found = declared(Stream::Events);
    found.discard = DiscardPolicy::New;
    found.max_messages_per_subject = 1;
    found.no_ack = true;
    found.subjects = vec!["mine.>".to_owned()];
    found.metadata.insert("team".to_owned(), "a".to_owned());
    let (config, differences) = updated(plan_for(
        Stream::Events,
        &info(&found, 5),
        &Wanted::default(),
    ));
    assert_eq!(
        differences,
        [
            "subjects: mine.> → mine.> eso-relay.events.>",
            "discard: New → Old",
            "max_msgs_per_subject: 1 → unlimited",
            "no_ack: true → false",
        ]
    );
    assert_eq!(config.metadata["team"], "a");
}

#[test]
fn a_stream_of_a_version_before_stops_to_compress_and_to_refuse() {
    for stream in Stream::ALL {
        let mut found = declared(stream);
        found.compression = Some(Compression::S2);
        let (config, differences) = updated(plan_for(stream, &info(&found, 5), &Wanted::default()));
        assert_eq!(differences, ["compression: S2 → None"], "{stream:?}");
        assert_eq!(config.compression, Some(Compression::None));
    }
    let mut found = declared(Stream::Events);
    found.discard = DiscardPolicy::New;
    let (_, differences) = updated(plan_for(
        Stream::Events,
        &info(&found, 5),
        &Wanted::default(),
    ));
    assert_eq!(differences, ["discard: New → Old"]);
}

#[test]
fn what_the_server_cannot_change_is_refused_with_a_way_out() {
    let refused = |change: fn(&mut Config)| {
        let mut found = declared(Stream::Events);
        change(&mut found);
        let error = plan_for(Stream::Events, &info(&found, 5), &Wanted::default()).unwrap_err();
        assert!(
            matches!(error, ProvisionError::CannotChange { .. }),
            "{error:?}"
        );
        error.to_string()
    };
    let message = refused(|config| config.storage = StorageType::Memory);
    assert!(
        message.contains("nats stream backup ESO_RELAY"),
        "{message}"
    );
    refused(|config| config.retention = RetentionPolicy::WorkQueue);
    refused(|config| config.sealed = true);
    refused(|config| config.persist_mode = Some(PersistenceMode::Async));
    let message =
        refused(|config| config.mirror = Some(async_nats::jetstream::stream::Source::default()));
    assert!(message.contains("where its origin is"), "{message}");
}

#[test]
fn a_durable_loses_what_would_drop_events_and_keeps_the_rest() {
    use async_nats::jetstream::consumer::{
        self, AckPolicy, DeliverPolicy, IntoConsumerConfig as _,
    };
    let east: Slug = "east".parse().unwrap();
    let good = crate::stream::durable(&east, Start::default()).into_consumer_config();
    assert!(durable::plan(&east, &good).unwrap().is_none());

    let risky = consumer::Config {
        max_deliver: 5,
        ack_wait: Duration::from_secs(10),
        inactive_threshold: Duration::from_secs(3600),
        max_ack_pending: 7,
        ..good.clone()
    };
    let (config, differences) = durable::plan(&east, &risky).unwrap().unwrap();
    let settings: Vec<_> = differences.iter().map(|d| d.setting).collect();
    assert_eq!(settings, ["max_deliver", "ack_wait", "inactive_threshold"]);
    assert_eq!(config.max_ack_pending, 7);

    let slow = consumer::Config {
        ack_wait: Duration::from_secs(60),
        ..good.clone()
    };
    let (config, differences) = durable::plan(&east, &slow).unwrap().unwrap();
    assert_eq!(
        differences,
        [Difference {
            setting: "ack_wait",
            old: "1m".to_owned(),
            new: "15s".to_owned()
        }]
    );
    assert_eq!(config.ack_wait, Duration::from_secs(15));

    let unchangeable = [
        consumer::Config {
            ack_policy: AckPolicy::None,
            ..good.clone()
        },
        consumer::Config {
            deliver_policy: DeliverPolicy::LastPerSubject,
            ..good.clone()
        },
        consumer::Config {
            deliver_subject: Some("push".to_owned()),
            ..good
        },
    ];
    for config in unchangeable {
        let error = durable::plan(&east, &config).unwrap_err();
        assert!(
            error.to_string().contains("eso-relay init --cluster east"),
            "{error}"
        );
    }
}
