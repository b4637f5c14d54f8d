//! Clients that come and say nothing, or stop in the middle.

use tokio::io::AsyncWriteExt as _;

use super::{Front, STRANGER};

#[tokio::test(flavor = "multi_thread")]
async fn half_a_connection_holds_no_place() {
    let front = Front::start("max_connections: 32\nheader_timeout: 2s\nidle_timeout: 4s").await;
    let mut held = Vec::new();
    for number in 0..96 {
        let mut stream = front.connect_from(STRANGER).await;
        // One that has been ended already may refuse it.
        match number % 4 {
            0 => {}
            1 => drop(stream.write_all(b"POST /v1/hooks/gen").await),
            2 => drop(stream.shutdown().await),
            _ => {
                stream.write_all(b"GET / HTTP/1.1\r\n").await.ok();
                stream.shutdown().await.ok();
            }
        }
        held.push(stream);
        if number % 16 == 0 {
            front.serves().await;
        }
    }
    front.serves().await;
    front.has_ended_all_but(2).await;
    drop(held);
    front.ends().await;
}
