//! The end of the port.

use super::*;

#[tokio::test(start_paused = true)]
async fn from_the_signal_on_answers_say_that_they_are_the_last_and_idle_connections_stay() {
    let tested = Tested::new(limits());
    let (mut one, mut other) = (tested.connect().await, tested.connect().await);
    ask(&mut one).await;
    tested.draining.cancel();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(tested.open(), 2);
    for stream in [&mut one, &mut tested.connect().await] {
        assert!(ask(stream).await.contains("connection: close"));
        assert!(ends_after(stream).await < LATE);
    }
    tokio::time::sleep(LATE).await;
    assert_eq!(tested.open(), 1);
    tested.port.open.close();
    assert!(ends_after(&mut other).await < LATE);
    tokio::time::sleep(LATE).await;
    assert_eq!(tested.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn at_the_end_a_request_that_has_begun_is_answered_and_half_a_one_is_not_waited_for_long() {
    let tested = Tested::new(limits());
    let (mut begun, mut half) = (tested.connect().await, tested.connect().await);
    begun.write_all(&REQUEST[..9]).await.unwrap();
    half.write_all(&REQUEST[..9]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    tested.port.open.close();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let answer = ask_for(&mut begun, &REQUEST[9..]).await;
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(ends_after(&mut half).await < Duration::from_secs(5));
    tokio::time::sleep(LATE).await;
    assert_eq!(tested.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_meets_the_end_is_answered() {
    let tested = Tested::new(limits());
    let (mut used, mut parked) = (tested.connect().await, tested.connect().await);
    ask(&mut used).await;
    for stream in [&mut used, &mut parked] {
        stream.write_all(REQUEST).await.unwrap();
    }
    // Both are in the pipe, and not one byte of them has been read.
    tested.port.open.close();
    for stream in [&mut used, &mut parked] {
        let answer = ask_for(stream, b"").await;
        assert!(answer.contains("connection: close"), "{answer}");
    }
}
