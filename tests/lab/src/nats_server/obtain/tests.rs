use super::{release::verify, version::Version, *};

#[test]
fn a_version_is_read_from_what_the_server_says() {
    let parse = |said| Version::parse(said).map(|version| version.to_string());
    assert_eq!(parse("nats-server: v2.15.2\n").unwrap(), "2.15.2");
    assert_eq!(parse("nats-server: v2.11.0-RC.1").unwrap(), "2.11.0");
    assert_eq!(parse("something else 1.2.3"), None);
    assert!(Version::parse("nats-server: v2.10.3") < Some(version::LOWEST));
    assert!(Version::parse("nats-server: v2.9.99") < Some(version::LOWEST));
}

#[tokio::test]
async fn a_program_that_is_no_nats_server_is_refused() {
    let refusal = version::check(Path::new("ls")).await.unwrap_err();
    assert!(matches!(refusal, version::Refusal::NotRun(_)), "{refusal}");
}

#[test]
fn a_download_with_another_checksum_is_refused() {
    // sha256("abc"), FIPS 180-2 appendix B.1
    let sums = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  a.tar.gz\n";
    verify(b"abc", sums, "a.tar.gz").unwrap();
    let refused = verify(b"abd", sums, "a.tar.gz").unwrap_err().to_string();
    assert!(refused.contains("published is ba7816bf"), "{refused}");
    let unnamed = verify(b"abc", sums, "b.tar.gz").unwrap_err().to_string();
    assert_eq!(unnamed, "SHA256SUMS does not name b.tar.gz");
}

/// Downloads; run by hand with `--ignored`. The suite itself uses the first way that works.
#[tokio::test]
#[ignore = "downloads a few dozen MB"]
async fn every_way_brings_a_server_that_runs() {
    for way in Way::ALL {
        let dir = tempfile::tempdir().unwrap();
        let fetched = way.fetch(dir.path()).await;
        check(fetched.unwrap()).await.unwrap();
    }
}
