//! What a stranger cannot bring about.

use super::{fail_open::has_lost, *};
use crate::verify::AuthConfig;

/// A source whose senders sign the body, and whose sender stops working unless it is told 2xx.
fn signed_and_failing_open() -> Tested {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "a secret that is long enough").unwrap();
    let auth = serde_json::json!({ "hmac-sha256": { "secret_file": file.path(), "header": "x-signature" } });
    let auth: AuthConfig = serde_json::from_value(auth).unwrap();
    let outgoing = Outgoing::new(&OutgoingConfig::default()).unwrap();
    let mut source = Source::akeyless_trigger(auth.open(&outgoing, &[]).unwrap());
    source.name = "signed".parse().unwrap();
    source.fail_open = true;
    serving(BTreeMap::from([("signed".parse().unwrap(), source)]), None)
}

fn unsigned(body: impl Into<Body>) -> Request<Body> {
    let mut request = request(Method::POST, "/v1/hooks/signed", None, body);
    let signature = "00".repeat(32).parse().unwrap();
    request.headers_mut().insert("x-signature", signature);
    request
}

#[tokio::test(start_paused = true)]
async fn a_stranger_is_never_told_204_and_costs_no_event() {
    let broken = || stream::iter([Err::<&str, _>(std::io::Error::other("gone"))]);
    for (body, status) in [
        (Body::from(GOOD), 401),
        (Body::from(" ".repeat(1001)), 413),
        (Body::from_stream(broken()), 400),
        (
            Body::from_stream(stream::pending::<Result<&str, std::io::Error>>()),
            503,
        ),
    ] {
        let tested = signed_and_failing_open();
        let (found, ..) = send(&tested, unsigned(body)).await;
        assert_eq!(found.as_u16(), status);
        let text = metrics(&tested);
        assert!(!has_lost(&text), "{text}");
    }
}
