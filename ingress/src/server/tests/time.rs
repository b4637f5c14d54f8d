//! How long a client may take for what.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_pooled_connection_outlives_the_pause_of_every_load_balancer() {
    let tested = Tested::new(limits());
    let mut pooled = tested.connect().await;
    // AWS ALB, AWS NLB, Google Cloud.
    for pause in [0, 60, 350, 600, 615] {
        tokio::time::sleep(Duration::from_secs(pause)).await;
        let answer = ask(&mut pooled).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{pause}: {answer}");
        assert!(!answer.contains("connection: close"), "{pause}: {answer}");
    }
    assert_eq!(tested.open(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_ends_after_its_time_whether_it_was_used_or_not() {
    let tested = Tested::new(limits());
    let (mut used, mut unused) = (tested.connect().await, tested.connect().await);
    ask(&mut used).await;
    let (used, unused) = tokio::join!(ends_after(&mut used), ends_after(&mut unused));
    let expected = Duration::from_secs(620);
    assert!(
        is_about(used, expected) && is_about(unused, expected),
        "{used:?} {unused:?}"
    );
    assert_eq!(tested.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_time_for_headers_begins_with_their_first_byte() {
    let tested = Tested::new(limits());
    let (mut fresh, mut used) = (tested.connect().await, tested.connect().await);
    ask(&mut used).await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    for stream in [&mut fresh, &mut used] {
        stream.write_all(b"G").await.unwrap();
        let time = ends_after(stream).await;
        assert!(is_about(time, Duration::from_secs(5)), "{time:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_byte_now_and_then_gains_no_time() {
    let tested = Tested::new(limits());
    let (mut read, mut write) = tokio::io::split(tested.connect().await);
    let drip = tokio::spawn(async move {
        while write.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let time = ends_after(&mut read).await;
    assert!(is_about(time, Duration::from_secs(5)), "{time:?}");
    drip.abort();
}

#[tokio::test(start_paused = true)]
async fn headers_that_begin_behind_another_request_are_not_idle() {
    let tested = Tested::new(limits());
    let mut stream = tested.connect().await;
    let request = [REQUEST, b"GET / HT"].concat();
    ask_for(&mut stream, &request).await;
    let time = ends_after(&mut stream).await;
    // They are seen when the connection would give its buffers back.
    assert!(time < Duration::from_secs(9), "{time:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_arrives_in_pieces_over_a_pause_is_answered() {
    let tested = Tested::new(limits());
    let mut stream = tested.connect().await;
    let request = [REQUEST, b"GET / HT"].concat();
    ask_for(&mut stream, &request).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let answer = ask_for(&mut stream, b"TP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_is_ended() {
    let tested = Tested::new(limits());
    let mut stream = tested.connect().await;
    let start = Instant::now();
    // It pipelines until nothing more gets through.
    while stream.write_all(REQUEST).await.is_ok() {}
    let time = start.elapsed();
    assert!(is_about(time, Duration::from_secs(10)), "{time:?}");
    tokio::time::sleep(LATE).await;
    assert_eq!(tested.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_slowly_is_served() {
    let tested = Tested::new(limits());
    let (mut read, mut write) = tokio::io::split(tested.connect().await);
    let requests = 200;
    let sending = tokio::spawn(async move {
        for _ in 0..requests {
            write.write_all(REQUEST).await.unwrap();
        }
        write
    });
    let mut text = String::new();
    while text.matches(ANSWER).count() < requests {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let mut buffer = [0; 1024];
        let count = read.read(&mut buffer).await.unwrap();
        assert!(count > 0, "ended early");
        text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    sending.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_has_a_number_of_requests_and_an_age() {
    let tested = Tested::new(ConnectionLimits {
        requests: 3,
        ..limits()
    });
    let (mut busy, mut old) = (tested.connect().await, tested.connect().await);
    for _ in 0..2 {
        assert!(!ask(&mut busy).await.contains("connection: close"));
    }
    assert!(ask(&mut busy).await.contains("connection: close"));
    assert!(ends_after(&mut busy).await < LATE);

    for _ in 0..2 {
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert!(!ask(&mut old).await.contains("connection: close"));
    }
    drop(old);
    let tested = Tested::new(limits());
    let mut old = tested.connect().await;
    for _ in 0..6 {
        assert!(!ask(&mut old).await.contains("connection: close"));
        tokio::time::sleep(Duration::from_secs(601)).await;
    }
    assert!(ask(&mut old).await.contains("connection: close"));
    assert!(ends_after(&mut old).await < LATE);
}
