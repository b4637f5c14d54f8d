//! The watch list: what consumers publish is polled, without a list of paths in the configuration.

use eso_relay::{Slug, stream::Watched};
use eso_relay_lab::wait;

use super::{READY, Stage, passes};

fn watched(path: &str, host: Option<&str>) -> Watched {
    Watched {
        provider: "vault".parse().unwrap(),
        host: host.map(str::to_owned),
        namespace: None,
        path: path.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clusters_read_is_polled() {
    let Some(stage) = Stage::start("").await else {
        return;
    };
    for path in ["here", "unknown", "elsewhere", "unread"] {
        stage.put(path, "1").await;
    }
    let (east, west): (Slug, Slug) = ("east".parse().unwrap(), "west".parse().unwrap());
    for (cluster, one) in [
        (&east, watched("secret/data/here", Some("127.0.0.1"))),
        (&west, watched("secret/data/here", Some("127.0.0.1"))),
        (&west, watched("secret/data/unknown", None)),
        (
            &west,
            watched("secret/data/elsewhere", Some("vault.example.com")),
        ),
        (&west, watched("../sys/raw", None)),
    ] {
        let body = serde_json::to_vec(&one).unwrap();
        let sent = stage
            .jetstream
            .publish(one.subject(cluster), body.into())
            .await;
        sent.unwrap().await.unwrap();
    }
    let poller = stage.poller().await;
    let paths = poller.count("eso_relay_ingress_poll_paths", &[]).await;
    assert_eq!(paths.unwrap(), 2, "{}", poller.logs());
    for path in ["elsewhere", "unread", "here", "unknown"] {
        stage.put(path, "2").await;
    }
    let events = stage.events(2).await;
    let mut keys: Vec<_> = events
        .iter()
        .flat_map(|event| event.matches.keys())
        .collect();
    keys.sort();
    assert_eq!(keys, ["secret/data/here", "secret/data/unknown"]);

    // Its last reader is gone: the version stays for a day.
    let stream = stage.jetstream.get_stream("ESO_RELAY_POLLS").await.unwrap();
    let gone = watched("secret/data/unknown", None).subject(&west);
    stream.purge().filter(gone).await.unwrap();
    let marked = wait::until("the mark", READY, || async {
        let remembered = stage.remembered("unknown").await?;
        let text = String::from_utf8(remembered).unwrap();
        text.contains("unwantedSince").then_some(())
    });
    marked.await.unwrap();
    passes(&poller, 2).await;
    assert!(stage.remembered("unknown").await.is_some());
    assert_eq!(stage.all_events().await.len(), 2);
}
