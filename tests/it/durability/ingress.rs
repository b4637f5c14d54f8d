//! The ingress dies, or is told to stop.

use std::time::Duration;

use eso_relay_lab::{
    installation::{BASIC_PASSWORD, BASIC_USER, Hub, READY, Webhooks, akeyless},
    wait,
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{SENDERS, jetstream, nothing_is_missing, start};
use crate::{senders::Senders, stored};

#[tokio::test(flavor = "multi_thread")]
async fn a_202_survives_kill_9_of_the_ingress() {
    let hub = Hub::start().await.unwrap();
    hub.init(&[]).await.unwrap();
    let (mut ingress, webhooks) = start(hub.ingress()).await;

    let senders = Senders::start(&webhooks, SENDERS);
    for more in [1, 30, 60] {
        senders.wait_accepted(more).await;
        ingress.kill9().unwrap();
        ingress.start_again().await.unwrap();
    }
    senders.wait_accepted(10).await;
    ingress.kill9().unwrap();
    let answers = senders.stop().await;

    answers.are_yes_or_later();
    nothing_is_missing(&jetstream(&hub).await, &answers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_ingress_answers_open_requests() {
    let hub = Hub::start().await.unwrap();
    hub.init(&[]).await.unwrap();
    let (mut ingress, webhooks) = start(hub.ingress()).await;
    let senders = Senders::start(&webhooks, SENDERS);
    senders.wait_accepted(20).await;
    let address = ingress.url().replace("http://", "");
    let mut begun = Vec::new();
    for at in 0..20 {
        begun.push(Begun::start(&webhooks, &address, at).await);
    }

    ingress.terminate().unwrap();
    wait::until("the port to close", READY, || async {
        TcpStream::connect(&address).await.is_err().then_some(())
    })
    .await
    .unwrap();
    let mut accepted = Vec::new();
    for request in begun {
        accepted.push(request.finish().await);
    }
    let status = ingress.wait_exit(Duration::from_secs(20)).await.unwrap();
    assert!(status.success(), "{status}: {}", ingress.logs());

    let answers = senders.stop().await;
    answers.are_yes_or_later();
    let jetstream = jetstream(&hub).await;
    nothing_is_missing(&jetstream, &answers).await;
    let stored = stored::ids(&jetstream).await;
    for id in accepted {
        assert_eq!(stored.get(&id), Some(&1), "{id} is missing");
    }
}

/// A request whose headers are known to have been read, and whose body has not been sent.
struct Begun {
    connection: TcpStream,
    body: String,
    id: String,
}

impl Begun {
    async fn start(webhooks: &Webhooks, address: &str, at: usize) -> Self {
        let event = akeyless(at, "prod/db");
        let id = event["event_id"].to_string();
        let body = json!([event]).to_string();
        let user = webhooks
            .post("")
            .basic_auth(BASIC_USER, Some(BASIC_PASSWORD));
        let user = user.build().unwrap();
        let user = user.headers()["authorization"].to_str().unwrap();
        let head = format!(
            "POST /v1/hooks/akeyless HTTP/1.1\r\nhost: ingress\r\nauthorization: {user}\r\n\
             expect: 100-continue\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut go_on = [0; 25];
        connection.read_exact(&mut go_on).await.unwrap();
        assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
        Self {
            connection,
            body,
            id,
        }
    }

    /// Sends the rest; the id of its event once it is accepted.
    async fn finish(mut self) -> String {
        self.connection
            .write_all(self.body.as_bytes())
            .await
            .unwrap();
        let mut answer = String::new();
        self.connection.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 202 "), "{answer:?}");
        assert!(answer.contains(&self.id), "{answer:?}");
        self.id
    }
}
