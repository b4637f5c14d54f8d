//! The documented sample of each format, with a bearer token.

use anyhow::Context as _;
use eso_relay_ingress::catalogue::{self, Format};
use eso_relay_lab::installation::{BEARER_TOKEN, Hub};
use http::{HeaderName, HeaderValue, header::AUTHORIZATION};
use serde_json::{Value, json};

use super::{
    Scale,
    http::request,
    ingress::CONNECTIONS,
    report::Measure,
    senders::{GOAL, Sender, beside_bare_handler},
};

pub(crate) async fn measure(scale: Scale) -> anyhow::Result<Vec<Measure>> {
    let hub = Hub::start().await?;
    hub.init(&[]).await?;
    let token = hub.secrets().join("token").display().to_string();
    let senders = catalogue::formats().map(|format| sender(format, &token));
    let senders = senders.collect::<anyhow::Result<_>>()?;
    beside_bare_handler(scale, &hub, senders).await
}

/// The same request on every connection: its event has the same id each time, the messages of the
/// stream have ids of their own, so that each is stored.
fn sender(format: &Format, token: &str) -> anyhow::Result<Sender> {
    let name = serde_json::to_value(format.name)?;
    let name = name.as_str().context("a format's name is a text")?;
    // As the documentation configures it, but for the proof.
    let mut config: Value = serde_saphyr::from_str(format.stanza)?;
    let mut source = config["sources"][0].take();
    source["name"] = json!(format!("format-{name}"));
    source["auth"] = json!({ "bearer": { "token_file": token } });
    Ok(Sender {
        what: format!("formats: {name}"),
        source,
        requests: (0..CONNECTIONS)
            .map(|_| {
                let mut request = request(format.sample.body);
                for (name, value) in format.sample.headers {
                    let value = HeaderValue::from_static(value);
                    request.headers.insert(name.parse::<HeaderName>()?, value);
                }
                let token = format!("Bearer {BEARER_TOKEN}").try_into()?;
                request.headers.insert(AUTHORIZATION, token);
                Ok(request)
            })
            .collect::<anyhow::Result<_>>()?,
        goal: Some(GOAL),
    })
}
