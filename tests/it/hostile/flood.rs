//! More connections than there are places.

use eso_relay_lab::{installation::READY, wait};

use super::{Front, STRANGER, exchange, webhook};

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_connections_leaves_a_place_for_a_sender() {
    let front = Front::start("max_connections: 32").await;
    // A balancer has one open, on which it sends now and then.
    let mut pooled = tokio::net::TcpStream::connect(front.address())
        .await
        .unwrap();
    exchange(&mut pooled, &webhook("")).await;
    let mut held = Vec::new();
    for number in 0..300_u16 {
        // Of many addresses, so that it is more than one of them may have.
        let address = [127, 0, 1, (number % 50) as u8 + 1];
        held.push(front.connect_from(address).await);
        if number % 50 == 0 {
            front.serves().await;
        }
    }
    front.serves().await;
    let answer = exchange(&mut pooled, &webhook("")).await;
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    assert!(front.count("connections", &[]).await <= 32);
    let made_room = [("reason", "made_room")];
    assert!(front.count("connections_ended_total", &made_room).await > 200);
    drop(held);
    front.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_has_a_bound_of_its_own() {
    let front = Front::start("max_connections: 32\nmax_connections_per_peer: 8").await;
    let mut held = Vec::new();
    for _ in 0..64 {
        held.push(front.connect_from(STRANGER).await);
    }
    front.serves().await;
    let bound = [("reason", "peer_bound")];
    let ended = async || {
        let ended = front.count("connections_ended_total", &bound).await;
        (ended >= 56).then_some(()).ok_or(ended)
    };
    wait::until_ok("the end of all but eight", READY, ended)
        .await
        .unwrap();
    front.has_ended_all_but(10).await;
    let free = front.count("connections_free", &[]).await;
    assert!((22..=24).contains(&free), "{free}");
    drop(held);
    front.ends().await;
}
