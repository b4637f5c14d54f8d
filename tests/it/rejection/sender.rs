//! Who is not known, what does not exist, what is not a POST.

use eso_relay_lab::installation::{BASIC_PASSWORD, BASIC_USER, BEARER_TOKEN, send, sign};
use reqwest::{Method, StatusCode};

use super::{Tested, refuses};

const BODY: &str = r#"[{"event_type": "static-secret-updated", "item_name": "prod/db"}]"#;
/// `eso:wrong`
const WRONG: &str = "Basic ZXNvOndyb25n";

#[tokio::test(flavor = "multi_thread")]
async fn bad_credentials_are_an_opaque_401() {
    let tested = Tested::start("").await;
    let right = |it: &str| {
        let request = tested.webhooks.post("").basic_auth(BASIC_USER, Some(it));
        let request = request.build().unwrap();
        request.headers()["authorization"]
            .to_str()
            .unwrap()
            .to_owned()
    };
    let (lower, twice) = (right(&BASIC_PASSWORD.to_uppercase()), right(BASIC_PASSWORD));
    let bearer = format!("Bearer {BEARER_TOKEN}");
    let token_and_more = format!("Bearer {BEARER_TOKEN}x");
    let signature = sign(BODY.as_bytes());
    let other = sign(b"another body");
    let no_prefix = signature.trim_start_matches("sha256=");
    let (huge, cut) = ("A".repeat(8000), &signature[..signature.len() - 2]);
    let basic: Vec<Vec<(&str, &str)>> = vec![
        vec![],
        vec![("authorization", "")],
        vec![("authorization", "Basic")],
        vec![("authorization", "Basic ")],
        vec![("authorization", "Basic !!!")],
        vec![("authorization", "Basic /////w==")],
        vec![("authorization", "Basic Og==")],
        vec![("authorization", WRONG)],
        vec![("authorization", &lower)],
        vec![("authorization", &huge)],
        vec![("authorization", &bearer)],
        vec![("authorization", &twice), ("authorization", &twice)],
    ];
    let token = vec![
        vec![],
        vec![("authorization", "Bearer")],
        vec![("authorization", "Bearer ")],
        vec![("authorization", &token_and_more)],
        vec![("authorization", twice.as_str())],
        vec![("authorization", &bearer), ("authorization", WRONG)],
    ];
    let signed = vec![
        vec![],
        vec![("x-signature", "")],
        vec![("x-signature", "sha256=")],
        vec![("x-signature", "sha256=zz")],
        vec![("x-signature", cut)],
        vec![("x-signature", no_prefix)],
        vec![("x-signature", &other)],
        vec![("x-signature", &signature), ("x-signature", &signature)],
    ];
    for (path, cases) in [
        ("/v1/hooks/akeyless", &basic),
        ("/webhook", &basic),
        ("/v1/hooks/cloudevents", &token),
        ("/v1/hooks/generic", &signed),
    ] {
        for headers in cases {
            let request = tested.webhooks.post(path).body(BODY);
            let request = headers.iter().fold(request, |request, (name, value)| {
                request.header(*name, *value)
            });
            let answer = send(request).await.unwrap();
            refuses(&format!("{path} {headers:?}"), &answer, 401, "unauthorized");
            assert!(answer.body.contains("missing or wrong credentials"));
        }
    }
    tested.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_and_sources_are_404_and_other_methods_405() {
    let tested = Tested::start("").await;
    let authorized = |request: reqwest::RequestBuilder| {
        let request = request.basic_auth(BASIC_USER, Some(BASIC_PASSWORD));
        request.body(BODY)
    };
    for path in [
        "/",
        "//",
        "/webhook/more/",
        "/web//hook",
        "/WEBHOOK",
        "/v1/hooks",
        "/v1/hooks/",
        "/v1/hooks/unknown",
        "/v1/hooks/Akeyless",
        "/v1/hooks//",
        "/v1/hooks/akeyless/%2f",
        "/v1/hooks/akeyless//generic/",
        "/v1/hooks/akeyless/generic",
        "/v1/hooks/akeyless%00",
        "/v1/hooks/akeyless%20",
        "/v1/hooks/%ff%fe",
        "/v1/hooks/..%2f..%2fetc%2fpasswd",
        "/v1/hooks/%2e%2e%2fakeyless",
        "/v1/hooks/eso-relay.events.>",
        "/v1/hooks/*",
        "/v2/hooks/akeyless",
        // These are on the other port.
        "/livez",
        "/readyz",
        "/metrics",
    ] {
        let answer = send(authorized(tested.webhooks.post(path))).await.unwrap();
        refuses(path, &answer, 404, "not_found");
    }
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for path in ["/webhook", "/v1/hooks/akeyless"] {
        for method in ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            let url = format!("{}{path}", tested.ingress.url());
            let request = client.request(method.parse().unwrap(), url);
            let answer = send(authorized(request)).await.unwrap();
            refuses(method, &answer, 405, "method_not_allowed");
        }
        let url = format!("{}{path}", tested.ingress.url());
        let answer = send(client.request(Method::HEAD, url)).await.unwrap();
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    }
    tested.ends_unharmed().await;
}
