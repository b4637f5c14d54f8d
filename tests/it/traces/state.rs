//! The `tracestate` of a sender, in the events and in the spans.

use eso_relay::{event::decode_batch, stream::Stream};
use eso_relay_lab::installation::{BASIC_PASSWORD, BASIC_USER, Hub, Webhooks, akeyless, send};
use serde_json::json;

use super::{SPAN, TRACE, cluster, collector, ready, spans};
use crate::stored;

const STATE: &str = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE";

#[tokio::test(flavor = "multi_thread")]
async fn a_senders_trace_state_is_in_every_span_of_its_trace_and_in_no_other() {
    let east = cluster("east").await;
    let collector = collector().await;
    let hub = Hub::start().await.unwrap();
    hub.init(&["east"]).await.unwrap();
    let settings = collector.settings();
    let ingress = ready(hub.ingress_with(&settings).start().await.unwrap()).await;
    let _east = ready(east.consumer(&hub, &settings).start().await.unwrap()).await;
    let webhooks = Webhooks::to(&ingress.url());
    let mut counts = [
        ("POST /v1/hooks/{source}", 0),
        ("send eso-relay.events", 0),
        ("process ESO_RELAY", 0),
        ("patch", 0),
        ("sync", 0),
    ];
    for traceparent in [Some(format!("00-{TRACE}-{SPAN}-01")), None] {
        let body = json!([akeyless(1, "prod/db")]).to_string();
        let request = webhooks.post("/v1/hooks/akeyless").body(body);
        let request = request.basic_auth(BASIC_USER, Some(BASIC_PASSWORD));
        let mut request = request.header("tracestate", STATE);
        if let Some(traceparent) = traceparent {
            request = request.header("traceparent", traceparent);
        }
        assert_eq!(send(request).await.unwrap().status, 202);
        for (_, count) in &mut counts {
            *count += 1;
        }
        for span in spans(&collector, &counts).await {
            let expected = if span.trace_id == TRACE { STATE } else { "" };
            assert_eq!(span.trace_state, expected, "{span:#?}");
        }
    }

    let jetstream = hub.jetstream().await.unwrap();
    let messages = stored::messages(&jetstream, Stream::Events).await;
    let states = messages.iter().map(|message| {
        let mut events = decode_batch(&message.payload).unwrap();
        let state = events.remove(0).unwrap().tracestate;
        state.map(|state| state.as_str().to_owned())
    });
    let states: Vec<_> = states.collect();
    assert_eq!(states, [Some(STATE.to_owned()), None]);
}
