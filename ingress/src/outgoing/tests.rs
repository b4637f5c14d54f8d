use super::{
    stand_in::{Answer, StandIn},
    *,
};

const SNS: &str = "sns.us-east-1.amazonaws.com";

fn url(target: &str) -> Https {
    Https::of_sns(&format!("https://{SNS}{target}")).unwrap()
}

async fn got(
    answer: impl Fn(&str) -> Answer + Send + Sync + 'static,
) -> Result<Bytes, Unreachable> {
    let server = StandIn::start(&[SNS], answer).await;
    server.outgoing().get(&url("/a.pem?b=c"), 1000).await
}

#[tokio::test]
async fn an_answer_of_the_limits_size_is_taken_whole() {
    let body = got(|target| {
        assert_eq!(target, "/a.pem?b=c");
        Answer::ok([b'a'; 1000])
    });
    assert_eq!(body.await.unwrap(), [b'a'; 1000][..]);
}

#[tokio::test]
async fn one_byte_more_is_refused_whether_it_is_announced_or_not() {
    let announced = got(|_| Answer::ok([b'a'; 1001])).await;
    assert_eq!(announced, Err(Unreachable::TooLarge(1000)));
    let endless = || [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &[b'a'; 1001]].concat();
    let silent = got(move |_| Answer::Stuck(endless())).await;
    assert_eq!(silent, Err(Unreachable::TooLarge(1000)));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = StandIn::start(&[SNS], |_| {
        let head =
            format!("HTTP/1.1 302 Found\r\nlocation: https://{SNS}/b\r\ncontent-length: 0\r\n\r\n");
        Answer::Whole(head.into_bytes())
    })
    .await;
    let got = server.outgoing().get(&url("/a"), 1000).await;
    assert_eq!(got, Err(Unreachable::Status(302)));
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn what_a_failing_server_sends_is_not_in_the_error() {
    let error = got(|_| Answer::with_status("500 s3cret", "s3cret")).await;
    let error = error.unwrap_err();
    assert_eq!(error, Unreachable::Status(500));
    assert!(!format!("{error} {error:?}").contains("s3cret"));
    let broken = got(|_| Answer::Whole(b"s3cret\r\n\r\n".to_vec())).await;
    let broken = broken.unwrap_err();
    assert!(matches!(broken, Unreachable::Away(_)));
    assert!(!format!("{broken} {broken:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_server_that_never_ends_is_left() {
    for stuck in [&b""[..], b"HTTP/1.1 200 OK\r\n\r\nhalf"] {
        let server = StandIn::start(&[SNS], |_| Answer::Stuck(stuck.to_vec())).await;
        let hasty = server.outgoing_with(Duration::from_millis(200));
        let got = hasty.get(&url("/a?Token=s3cret"), 1000).await;
        assert_eq!(got, Err(Unreachable::Away("no answer in time".to_owned())));
    }
}

#[tokio::test]
async fn a_certificate_of_an_unknown_ca_or_for_another_host_is_refused() {
    let server = StandIn::start(&[SNS], |_| Answer::ok("never")).await;
    let url = url("/a?Token=s3cret");
    let error = server.distrustful().get(&url, 1000).await.unwrap_err();
    let error = error.to_string();
    assert!(error.contains("invalid peer certificate"), "{error}");
    assert!(!error.contains("s3cret"), "{error}");
    let by_address = Https::parse(&format!("https://{}/a", server.address)).unwrap();
    let error = server.outgoing().get(&by_address, 1000).await.unwrap_err();
    assert!(error.to_string().contains("not valid for name"), "{error}");
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn the_client_itself_refuses_plain_http() {
    let server = StandIn::start(&[SNS], |_| Answer::ok("never")).await;
    let plain = format!("http://{}/", server.address);
    let client = server.outgoing().0.unwrap();
    let refused = client.get(plain).send().await;
    assert!(refused.unwrap_err().is_builder(), "it has tried");
}

#[tokio::test]
async fn a_ca_of_the_configuration_is_trusted() {
    let server = StandIn::start(&["localhost"], |_| Answer::ok("keys")).await;
    let directory = tempfile::tempdir().unwrap();
    let ca_file = directory.path().join("ca.pem");
    std::fs::write(&ca_file, &server.ca).unwrap();
    let config = OutgoingConfig {
        ca_file: Some(ca_file),
    };
    let url = Https::parse(&format!("https://localhost:{}/keys", server.address.port())).unwrap();
    let body = Outgoing::new(&config).unwrap().get(&url, 1000).await;
    assert_eq!(body.unwrap(), "keys");
}

#[test]
fn a_ca_file_without_a_certificate_is_an_error_at_the_start() {
    for path in ["/nowhere/ca.pem", "/dev/null"] {
        let config = OutgoingConfig {
            ca_file: Some(path.into()),
        };
        let error = Outgoing::new(&config).unwrap_err().to_string();
        assert!(error.contains(path), "{error}");
    }
}
