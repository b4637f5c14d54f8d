//! Messages of SNS, signed with a key of the tests.
//!
//! ring does not sign with SHA-1; `*-sha1.json` have been signed with
//! `openssl dgst -sha1 -sign test-key.pem`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use serde_json::{Value, json};

use super::Envelope;

pub(crate) const HOST: &str = "sns.us-west-2.amazonaws.com";
pub(crate) const TOPIC: &str = "arn:aws:sns:us-west-2:012345678901:secrets";
const KEY: &str = include_str!("fixtures/test-key.pem");

/// Of the key, valid until the given day of 2026, in PEM.
pub(crate) fn certificate(until: (u8, u8)) -> String {
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2026, until.0, until.1);
    signed_by_itself(&params)
}

/// Of the key, valid for ages, in PEM.
pub(crate) fn lasting_certificate() -> String {
    signed_by_itself(&CertificateParams::default())
}

fn signed_by_itself(params: &CertificateParams) -> String {
    let key = KeyPair::from_pem(KEY).unwrap();
    params.clone().self_signed(&key).unwrap().pem()
}

pub(crate) fn notification(sent: &str) -> Value {
    json!({
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": TOPIC,
        "Subject": "A secret has changed",
        "Message": include_str!("../../source/fixtures/aws-eventbridge-label.json"),
        "Timestamp": sent,
        "SigningCertURL": format!("https://{HOST}/SimpleNotificationService-test.pem"),
    })
}

pub(crate) fn confirmation(sent: &str) -> Value {
    json!({
        "Type": "SubscriptionConfirmation",
        "MessageId": "165545c9-2a5c-472c-8df2-7ff2be2b3b1b",
        "Token": "2336412f37fb687f",
        "TopicArn": TOPIC,
        "Message": "You have chosen to subscribe to a topic.\nVisit the SubscribeURL.",
        "SubscribeURL": format!("https://{HOST}/?Action=ConfirmSubscription&Token=2336412f37fb687f"),
        "Timestamp": sent,
        "SigningCertURL": format!("https://{HOST}/SimpleNotificationService-test.pem"),
    })
}

/// The message with a signature (SHA-256).
pub(crate) fn signed(mut message: Value) -> Vec<u8> {
    message["SignatureVersion"] = json!("2");
    message["Signature"] = json!("");
    let unsigned = message.to_string();
    let text = Envelope::parse(unsigned.as_bytes()).unwrap().signed();
    let key = KeyPair::from_pem(KEY).unwrap().serialize_der();
    let key = RsaKeyPair::from_pkcs8(&key).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    let text = text.unwrap();
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        text.as_bytes(),
        &mut signature,
    )
    .unwrap();
    message["Signature"] = json!(STANDARD.encode(signature));
    message.to_string().into_bytes()
}
