use super::*;

#[test]
fn a_consumer_says_which_cluster_it_serves() {
    let mut registry = Registry::default();
    Metrics::register_info(&mut registry, &"east".parse().unwrap());
    let text = eso_relay::metrics::text(&registry).unwrap();
    let line = r#"eso_relay_consumer_info{relay_cluster="east"} 1"#;
    assert!(text.contains(line), "{text}");
    assert!(text.contains("# TYPE eso_relay_consumer_info gauge"));
}

#[test]
fn names_follow_the_conventions() {
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    metrics.ended(DeliveryOutcome::dead_lettered);
    metrics.patched(&Outcome::Done, Duration::from_millis(3));
    let text = eso_relay::metrics::text(&registry).unwrap();
    for line in [
        r#"eso_relay_consumer_deliveries_total{outcome="dead_lettered"} 1"#,
        r#"eso_relay_consumer_deliveries_total{outcome="acked"} 0"#,
        r#"eso_relay_consumer_patches_total{result="done"} 1"#,
        r#"eso_relay_consumer_events_total{result="unmatched"} 0"#,
        r#"eso_relay_consumer_skipped_total{reason="created_once"} 0"#,
        r#"eso_relay_consumer_dead_letters_total{reason="gave_up"} 0"#,
        r#"eso_relay_consumer_kubernetes_events_total{result="already_there"} 0"#,
        "eso_relay_consumer_patch_duration_seconds_count 1",
        r#"eso_relay_consumer_event_age_seconds_count{lane="exact",kind="live"} 0"#,
        "eso_relay_consumer_missed_messages_total 0",
        "eso_relay_consumer_backlog 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}
