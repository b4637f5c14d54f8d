//! One small webhook, proved in each of the ways that a sender can be stood in for here.

use anyhow::anyhow;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use eso_relay_ingress::{Outgoing, OutgoingConfig, SourceConfig, verify::Unsigned};
use eso_relay_lab::installation::{BASIC_USER, Hub};
use http::{HeaderValue, header::AUTHORIZATION};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::{
    Scale,
    events::body,
    http::request,
    ingress::CONNECTIONS,
    keys::{AUDIENCE, ISSUER, Key},
    report::{Goal, Measure},
    senders::{GOAL, Sender, beside_bare_handler, now},
};

pub(crate) async fn measure(scale: Scale) -> anyhow::Result<Vec<Measure>> {
    let hub = Hub::start().await?;
    hub.init(&[]).await?;
    let senders = senders(&hub)?;
    beside_bare_handler(scale, &hub, senders).await
}

fn senders(hub: &Hub) -> anyhow::Result<Vec<Sender>> {
    let file = |name: &str| hub.secrets().join(name).display().to_string();
    let secret = |name: &str, text: &str| {
        std::fs::write(hub.secrets().join(name), text)?;
        anyhow::Ok(file(name))
    };
    let by_secret = |name: &str, goal: Option<Goal>, auth: Value| {
        let outgoing = Outgoing::new(&OutgoingConfig::default())?;
        let config: SourceConfig = serde_json::from_value(source(name, &auth))?;
        let scheme = config.open(&outgoing)?.scheme;
        sender(
            name,
            goal,
            &auth,
            |request| Ok(scheme.sign(request, now())?),
        )
    };
    let hmac = |preset: &str| {
        let auth = json!({ "hmac-sha256": { "preset": preset, "secret_file": file("hmac") } });
        by_secret(&format!("hmac-sha256-{preset}"), Some(GOAL), auth)
    };
    let by_token = |name: &str, key: Key| {
        let keys = secret(&format!("{name}.json"), &key.jwks().to_string())?;
        let auth = json!({ "jwt": { "issuer": ISSUER, "audience": AUDIENCE, "jwks_file": keys } });
        let token = format!("Bearer {}", key.token(now().as_second())?);
        let token = HeaderValue::from_str(&token)?;
        sender(name, None, &auth, |request| {
            request.headers.insert(AUTHORIZATION, token.clone());
            Ok(())
        })
    };
    let shared = secret("whsec", &format!("whsec_{}", STANDARD.encode([7; 32])))?;
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32])
        .map_err(|error| anyhow!("a key of the load tool: {error}"))?;
    let public = format!("whpk_{}", STANDARD.encode(pair.public_key()));
    let public = json!({ "standard-webhooks": { "secret_file": secret("whpk", &public)? } });
    Ok(vec![
        by_secret("none", None, json!("none"))?,
        by_secret(
            "basic",
            Some(GOAL),
            json!({ "basic": { "username": BASIC_USER, "password_file": file("password") } }),
        )?,
        by_secret(
            "bearer",
            Some(GOAL),
            json!({ "bearer": { "token_file": file("token") } }),
        )?,
        by_secret(
            "header",
            None,
            json!({ "header": { "name": "X-Relay-Key", "value_file": file("token") } }),
        )?,
        by_secret(
            "hmac-sha256",
            Some(GOAL),
            json!({ "hmac-sha256": { "header": "X-Signature", "prefix": "sha256=", "secret_file": file("hmac") } }),
        )?,
        hmac("github")?,
        hmac("doppler")?,
        hmac("pulumi")?,
        hmac("infisical")?,
        by_secret(
            "standard-webhooks-v1",
            None,
            json!({ "standard-webhooks": { "secret_file": shared } }),
        )?,
        sender("standard-webhooks-v1a", None, &public, |request| {
            sign_v1a(&pair, request)
        })?,
        by_token("jwt-rs256", Key::rsa()?)?,
        by_token("jwt-es256", Key::p256()?)?,
    ])
}

fn sender(
    name: &str,
    goal: Option<Goal>,
    auth: &Value,
    prove: impl Fn(&mut Unsigned) -> anyhow::Result<()>,
) -> anyhow::Result<Sender> {
    let requests = (0..CONNECTIONS).map(|number| {
        let mut request = request(body("schemes", number));
        prove(&mut request)?;
        Ok(request)
    });
    Ok(Sender {
        what: format!("schemes: {name}"),
        source: source(name, auth),
        requests: requests.collect::<anyhow::Result<_>>()?,
        goal,
    })
}

fn source(name: &str, auth: &Value) -> Value {
    json!({
        "name": format!("scheme-{name}"),
        "format": "generic",
        "auth": auth,
        "mapping": { "keys": "/secret/name", "id": "/id", "type": "/type" },
    })
}

/// Standard Webhooks with ed25519: only the sender has the private key.
fn sign_v1a(pair: &Ed25519KeyPair, request: &mut Unsigned) -> anyhow::Result<()> {
    let time = now().as_second();
    let message = [format!("msg_load.{time}.").as_bytes(), &request.body].concat();
    let signature = format!("v1a,{}", STANDARD.encode(pair.sign(&message)));
    let headers = &mut request.headers;
    headers.insert("webhook-id", HeaderValue::from_static("msg_load"));
    headers.insert("webhook-timestamp", time.into());
    headers.insert("webhook-signature", signature.try_into()?);
    Ok(())
}
