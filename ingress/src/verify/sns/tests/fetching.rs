//! Which certificates are fetched, and for which messages.

use super::*;

#[tokio::test]
async fn a_certificate_is_fetched_from_sns_only() {
    let tested = Tested::with_certificate().await;
    for url in [
        "https://sns.us-east-1.amazonaws.com.evil.com/x.pem",
        "http://sns.us-west-2.amazonaws.com/x.pem",
        "https://user@sns.us-west-2.amazonaws.com/x.pem",
        "https://:password@sns.us-west-2.amazonaws.com/x.pem",
        "https://sns.us-west-2.amazonaws.com:8443/x.pem",
        "https://sns.us-west-2.amazonaws.com@evil.com/x.pem",
        "https://evil.com/sns.us-west-2.amazonaws.com/x.pem",
        "https://sns.s3.amazonaws.com/x.pem",
        "https://sns.us-west-2.amazonaws.com/x",
        "https://sns.us-west-2.amazonaws.com/?x.pem",
        "https://sns.us-west-2.amazonaws.com/x.pem?Action=.pem",
        "https://sns.us-west-2.amazonaws.com/x.pem#.pem",
        "https://sns.us-west-2.amazonaws.com/a/x.pem",
        "https://sns.us-west-2.amazonaws.com/%78.pem",
        "",
    ] {
        let body = with(&signed(notification(SENT)), "SigningCertURL", json!(url));
        assert_eq!(tested.check(&body).await, WRONG, "{url}");
    }
    let long = at_file(&"x".repeat(600));
    assert_eq!(tested.check(&long).await, WRONG);
    assert_eq!(tested.server.requests(), 0);
}

#[tokio::test]
async fn a_hundred_messages_at_once_fetch_one_certificate() {
    let tested = Tested::with_certificate().await;
    let body = signed(notification(SENT));
    let checked = join_all((0..100).map(|_| tested.check(&body))).await;
    assert_eq!(checked, [Ok(()); 100]);
    assert_eq!(tested.server.requests(), 1);
}

#[tokio::test]
async fn without_its_certificate_a_message_is_to_be_sent_again() {
    let attempts = AtomicUsize::new(0);
    let tested = Tested::new(move |_| match attempts.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::with_status("403 Forbidden", "no"),
        1 => Answer::ok("no certificate"),
        _ => Answer::ok(lasting_certificate()),
    })
    .await;
    let body = signed(notification(SENT));
    for fetched in 1..=2 {
        for _ in 0..2 {
            assert_eq!(tested.check(&body).await, UNAVAILABLE);
            assert_eq!(tested.server.requests(), fetched);
        }
        pass(REST).await;
    }
    assert_eq!(tested.check(&body).await, Ok(()));
}

/// A stranger who knows the topic: of others nothing is fetched at all.
#[tokio::test]
async fn a_stranger_causes_no_storm_and_harms_nobody_who_is_known() {
    let tested = Tested::new(|target| match target {
        "/SimpleNotificationService-test.pem" => Answer::ok(lasting_certificate()),
        _ => Answer::with_status("404 Not Found", ""),
    })
    .await;
    let known = signed(notification(SENT));
    assert_eq!(tested.check(&known).await, Ok(()));
    let started = Instant::now();
    for made_up in 0..2 * MOST_FETCHES {
        let body = at_file(&format!("x-{made_up}"));
        assert_eq!(tested.check(&body).await, UNAVAILABLE);
    }
    // As many as may begin at once, of which the known one was the first, and what time brought.
    let brought = started.elapsed().as_secs() / INTERVAL.as_secs() + 1;
    let fetched = tested.server.requests();
    let most = MOST_FETCHES as usize + usize::try_from(brought).unwrap();
    assert!(
        (MOST_FETCHES as usize..=most).contains(&fetched),
        "{fetched}"
    );
    assert_eq!(tested.check(&known).await, Ok(()));
}

#[tokio::test]
async fn after_a_flood_of_made_up_names_the_right_one_is_fetched_at_the_next_try() {
    let tested = Tested::new(|target| match target {
        "/SimpleNotificationService-test.pem" => Answer::ok(lasting_certificate()),
        _ => Answer::with_status("404 Not Found", ""),
    })
    .await;
    for made_up in 0..2 * MOST_FETCHES {
        let body = at_file(&format!("x-{made_up}"));
        assert_eq!(tested.check(&body).await, UNAVAILABLE);
    }
    pass(INTERVAL).await;
    assert_eq!(tested.check(&signed(notification(SENT))).await, Ok(()));
}

#[tokio::test]
async fn nothing_is_fetched_for_another_topic_or_region() {
    let tested = Tested::with_certificate().await;
    let body = signed(notification(SENT));
    let other_topic = "arn:aws:sns:us-west-2:666666666666:secrets";
    let other_region = "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-test.pem";
    for (field, value) in [("TopicArn", other_topic), ("SigningCertURL", other_region)] {
        let strange = with(&body, field, json!(value));
        assert_eq!(tested.check(&strange).await, WRONG, "{field}");
    }
    assert_eq!(tested.server.requests(), 0);
    assert_eq!(tested.check(&body).await, Ok(()));
    // The owner of another topic in the region is told by the format what is wrong.
    let mut other = notification(SENT);
    other["TopicArn"] = json!(other_topic);
    assert_eq!(tested.check(&signed(other)).await, Ok(()));
    assert_eq!(tested.server.requests(), 1);
}

#[tokio::test]
async fn made_up_names_push_no_certificate_out() {
    let tested = Tested::new(|target| match target {
        "/SimpleNotificationService-test.pem" => Answer::ok(lasting_certificate()),
        _ => Answer::with_status("404 Not Found", ""),
    })
    .await;
    let known = signed(notification(SENT));
    assert_eq!(tested.check(&known).await, Ok(()));
    let mut made_up = 0;
    while made_up < 2 * MOST_KNOWN {
        pass(INTERVAL * MOST_FETCHES).await;
        let bodies: Vec<_> = (0..MOST_FETCHES as usize)
            .map(|n| at_file(&format!("x-{}", made_up + n)))
            .collect();
        let checked = join_all(bodies.iter().map(|body| tested.check(body))).await;
        assert!(checked.iter().all(|checked| *checked == UNAVAILABLE));
        made_up += bodies.len();
    }
    let fetched = tested.server.requests();
    assert_eq!(tested.check(&known).await, Ok(()));
    assert_eq!(tested.server.requests(), fetched);
}
