//! Who makes room for a new connection.

use super::*;

const ACCEPT: &[u8] = b"POST /accept HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
const WORK: &[u8] = b"GET /work HTTP/1.1\r\nHost: a\r\n\r\n";

fn bound(connections: usize, per_peer: usize) -> ConnectionLimits {
    ConnectionLimits {
        connections,
        per_peer,
        ..limits()
    }
}

/// Lets what happens at once happen.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(300)).await;
}

async fn has_ended(stream: &mut DuplexStream) -> bool {
    let mut byte = [0];
    let read = tokio::time::timeout(Duration::from_millis(1), stream.read(&mut byte)).await;
    matches!(read, Ok(Ok(0) | Err(_)))
}

#[tokio::test(start_paused = true)]
async fn at_the_bound_the_longest_idle_connection_makes_room() {
    let tested = Tested::new(bound(3, 3));
    let mut connections = Vec::new();
    for _ in 0..3 {
        connections.push(tested.connect().await);
        settle().await;
    }
    // The first one has been idle for the shortest time.
    ask(&mut connections[0]).await;
    settle().await;
    let mut new = tested.connect().await;
    assert!(ask(&mut new).await.starts_with("HTTP/1.1 200 "));
    let mut ended = Vec::new();
    for connection in &mut connections {
        ended.push(has_ended(connection).await);
    }
    assert_eq!(ended, [false, true, false]);
    assert_eq!(tested.open(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_flood_ends_its_own_connections_before_one_on_which_something_was_accepted() {
    let tested = Tested::new(bound(8, 8));
    let mut sender = tested.connect().await;
    ask_for(&mut sender, ACCEPT).await;
    settle().await;
    let mut flood = Vec::new();
    for at in 0..100 {
        let mut stranger = tested.connect().await;
        match at % 3 {
            0 => {}
            1 => stranger.write_all(b"GET / HTTP").await.unwrap(),
            _ => drop(ask(&mut stranger).await),
        }
        flood.push(stranger);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let answer = ask_for(&mut sender, ACCEPT).await;
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    assert!(tested.open() <= 8, "{}", tested.open());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_worked_on_makes_no_room_and_a_new_connection_waits() {
    let tested = Tested::new(bound(1, 1));
    let mut working = tested.connect_from("192.0.2.1").await.unwrap();
    working.write_all(WORK).await.unwrap();
    settle().await;
    let start = Instant::now();
    let mut new = tested.connect_from("192.0.2.2").await.unwrap();
    assert!(
        is_about(start.elapsed() + LATE, HOUR),
        "{:?}",
        start.elapsed()
    );
    assert!(ask(&mut new).await.starts_with("HTTP/1.1 200 "));
    let mut answer = [0; 12];
    working.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}

#[tokio::test(start_paused = true)]
async fn one_peer_leaves_places_for_the_others() {
    let tested = Tested::new(bound(4, 3));
    let mut of_one = Vec::new();
    for _ in 0..5 {
        let mut connection = tested.connect_from("192.0.2.1").await.unwrap();
        // None of them is idle.
        connection.write_all(b"GET").await.unwrap();
        of_one.push(connection);
        settle().await;
    }
    assert_eq!(tested.open(), 3);
    let mut ended = Vec::new();
    for connection in &mut of_one {
        ended.push(has_ended(connection).await);
    }
    assert_eq!(ended, [true, true, false, false, false]);

    for _ in 0..3 {
        let mut working = tested.connect_from("192.0.2.1").await.unwrap();
        working.write_all(WORK).await.unwrap();
        of_one.push(working);
        settle().await;
    }
    assert!(tested.connect_from("192.0.2.1").await.is_none());
    let mut other = tested.connect_from("192.0.2.2").await.unwrap();
    assert!(ask(&mut other).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test(start_paused = true)]
async fn a_trusted_proxy_has_no_bound_of_its_own() {
    let tested = Tested::new(ConnectionLimits {
        trusted_proxies: Arc::new(["192.0.2.0/24".parse().unwrap()]),
        ..bound(4, 1)
    });
    let mut connections = Vec::new();
    for _ in 0..4 {
        connections.push(tested.connect_from("192.0.2.1").await.unwrap());
    }
    for connection in &mut connections {
        assert!(ask(connection).await.starts_with("HTTP/1.1 200 "));
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_read_nothing_make_room() {
    let tested = Tested::new(bound(4, 4));
    let mut full = Vec::new();
    for _ in 0..4 {
        let mut stream = tested.connect().await;
        for _ in 0..1000 {
            let sent = stream.write_all(REQUEST);
            if tokio::time::timeout(Duration::from_millis(1), sent)
                .await
                .is_err()
            {
                break;
            }
        }
        full.push(stream);
    }
    settle().await;
    let mut new = tested.connect().await;
    assert!(ask(&mut new).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_makes_room() {
    let tested = Tested::new(bound(3, 3));
    let head = b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\na";
    let mut full = Vec::new();
    for _ in 0..3 {
        let mut stream = tested.connect().await;
        stream.write_all(head).await.unwrap();
        full.push(stream);
        settle().await;
    }
    let mut new = tested.connect().await;
    assert!(ask(&mut new).await.starts_with("HTTP/1.1 200 "));
    assert!(has_ended(&mut full[0]).await);
    let answer = ask_for(&mut full[2], b"bcd").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_begins_when_its_connection_should_go_is_ended_if_it_does_not_arrive() {
    let tested = Tested::new(bound(3, 3));
    let mut full = Vec::new();
    for number in 0..12 {
        // Of peers of their own, and their bytes not yet read when the next one needs a place.
        let peer = format!("192.0.2.{number}");
        let mut stream = tested.connect_from(&peer).await.unwrap();
        stream.write_all(b"GET / HT").await.unwrap();
        full.push(stream);
    }
    let start = Instant::now();
    let mut new = tested.connect().await;
    assert!(ask(&mut new).await.starts_with("HTTP/1.1 200 "));
    assert!(start.elapsed() < LATE, "{:?}", start.elapsed());
}
