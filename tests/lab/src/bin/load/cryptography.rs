//! What a signature by a private key costs: the whole check of a request ÷ ring's check of the same
//! signature. In this process, on one thread.

use std::{hint::black_box, time::Instant};

use anyhow::{Context as _, anyhow};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use eso_relay_ingress::{
    FormatName, Outgoing, OutgoingConfig, SnsConfig, catalogue,
    outgoing::Https,
    verify::{
        Request, Scheme,
        jwt::{self, Keys, Rules},
    },
};
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use rcgen::{CertificateParams, KeyPair};
use serde_json::json;

use super::{
    Scale,
    keys::{AUDIENCE, ISSUER, Key, RSA},
    progress,
    report::{Measure, Unit},
    rounds::Rounds,
};

/// When all of it was signed and arrives.
const NOW: Timestamp = Timestamp::constant(1_786_190_400, 0);
const CERTIFICATE: &str = "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-load.pem";

pub(crate) async fn measure(scale: Scale) -> anyhow::Result<Vec<Measure>> {
    Ok(vec![
        token(scale, "RS256", &Key::rsa()?).await?,
        token(scale, "ES256", &Key::p256()?).await?,
        sns(scale).await?,
    ])
}

/// From the text of a token to whether it is let in, without HTTP.
async fn token(scale: Scale, algorithm: &str, key: &Key) -> anyhow::Result<Measure> {
    let token = key.token(NOW.as_second())?;
    let (signed, signature) = token.rsplit_once('.').context("a token has three parts")?;
    let signature = URL_SAFE_NO_PAD.decode(signature)?;
    let (public, keys) = (
        key.public(),
        Keys::parse(key.jwks().to_string().as_bytes())?,
    );
    let rules = Rules {
        issuers: vec![ISSUER.to_owned()],
        audiences: vec![AUDIENCE.to_owned()],
        claims: [].into(),
        leeway: std::time::Duration::from_secs(60),
    };
    in_turns(
        scale,
        &format!("cryptography: a token, {algorithm} ÷ ring alone"),
        async || {
            jwt::verify(black_box(&token), &keys, &rules, NOW)
                .map_err(|wrong| anyhow!("a good token: {wrong:?}"))
        },
        || public.check(black_box(signed.as_bytes()), &signature),
    )
    .await
}

/// From the headers and the raw body of a notification to whether it is believed; its certificate
/// is known, as it is after the first one.
async fn sns(scale: Scale) -> anyhow::Result<Measure> {
    let key = Key::rsa()?;
    let (text, signature, body) = notification(&key)?;
    let outgoing = Outgoing::new(&OutgoingConfig::default())?;
    let known = (&Https::parse(CERTIFICATE)?, certificate()?);
    let sns = SnsConfig::default()
        .open_knowing(&outgoing, known.0, known.1.as_bytes())
        .context("the certificate of the load tool")?;
    let (scheme, public) = (Scheme::Sns(sns), key.public());
    let kind = HeaderValue::from_static("Notification");
    let headers = HeaderMap::from_iter([("x-amz-sns-message-type".parse()?, kind)]);
    let request = Request {
        headers: &headers,
        query: None,
        certificate: None,
        now: NOW,
    };
    in_turns(
        scale,
        "cryptography: a notification of SNS ÷ ring alone",
        async || {
            let admitted = scheme.admit(black_box(&request)).await?;
            black_box(admitted.verify(body.clone()).await?);
            Ok(())
        },
        || public.check(black_box(text.as_bytes()), &signature),
    )
    .await
}

/// What is signed, the signature, and the body with it:
/// <https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html>.
fn notification(key: &Key) -> anyhow::Result<(String, Vec<u8>, Bytes)> {
    let message = catalogue::format(FormatName::AwsEventBridge).sample.body;
    let (id, topic) = (
        "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "arn:aws:sns:us-west-2:012345678901:secrets",
    );
    let text = format!(
        "Message\n{message}\nMessageId\n{id}\nTimestamp\n{NOW}\nTopicArn\n{topic}\nType\nNotification\n"
    );
    let signature = key.sign(text.as_bytes())?;
    let body = json!({
        "Type": "Notification",
        "MessageId": id,
        "TopicArn": topic,
        "Message": message,
        "Timestamp": NOW.to_string(),
        "SignatureVersion": "2",
        "Signature": STANDARD.encode(&signature),
        "SigningCertURL": CERTIFICATE,
    });
    Ok((text, signature, body.to_string().into()))
}

/// Of the RSA key, valid for ages, in PEM.
fn certificate() -> anyhow::Result<String> {
    let key = KeyPair::from_pem(RSA)?;
    Ok(CertificateParams::default().self_signed(&key)?.pem())
}

/// Microseconds of both, for so many operations in each round.
async fn in_turns(
    scale: Scale,
    what: &str,
    mut ours: impl AsyncFnMut() -> anyhow::Result<()>,
    mut ring: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Measure> {
    progress(what);
    let operations = scale.pick(200_u32, 100);
    let mut measured = Rounds::default();
    for round in 0..=scale.pick(50, 15) {
        let started = Instant::now();
        for _ in 0..operations {
            ours().await?;
        }
        let checked = started.elapsed();
        let started = Instant::now();
        for _ in 0..operations {
            ring()?;
        }
        let floor = started.elapsed();
        // The first round warms up.
        if round > 0 {
            let each = |time: std::time::Duration| time.as_secs_f64() * 1e6 / f64::from(operations);
            measured.ours.push(each(checked));
            measured.floor.push(each(floor));
        }
    }
    Ok(Measure::ratio(what, Unit::Microseconds, &measured, None))
}
