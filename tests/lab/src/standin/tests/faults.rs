use kube::api::ListParams;

use super::{code, in_time, refresh_of_db, with_one};
use crate::{
    cluster::{Kind, annotate, get, objects},
    standin::{Effect, On, Times, Verb},
};

#[tokio::test]
async fn an_injected_429_says_when_to_come_back_and_happens_as_often_as_asked() {
    let api = with_one().await;
    let client = api.client();
    let on = On::verb(Verb::Patch, Kind::ExternalSecret)
        .in_namespace("team-a")
        .named("db");
    api.faults()
        .inject(on, Effect::too_many_requests(7), Times::Next(1));
    let error = annotate(&client, "team-a", "db", "one").await.unwrap_err();
    let kube::Error::Api(status) = error else {
        panic!("{error}");
    };
    assert_eq!((status.code, &*status.reason), (429, "TooManyRequests"));
    assert_eq!(status.details.unwrap().retry_after_seconds, 7);
    assert!(api.requests().patches("team-a", "db").is_empty());
    annotate(&client, "team-a", "db", "one").await.unwrap();
    let (verb, kind) = (Verb::Patch, Kind::ExternalSecret);
    assert_eq!(api.requests().count_of(verb, kind, 429), 1);
}

#[tokio::test]
async fn a_hanging_request_hangs_until_the_fault_is_lifted() {
    let api = with_one().await;
    let client = api.client();
    let fault = api
        .faults()
        .inject(On::any().named("db"), Effect::Hang, Times::All);
    let hanging = tokio::spawn({
        let client = client.clone();
        async move { annotate(&client, "team-a", "db", "one").await }
    });
    in_time(async {
        while api.requests().most_in_flight("team-a", "db") == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!hanging.is_finished());
    assert_eq!(api.requests().count(Verb::Patch, Kind::ExternalSecret), 0);
    api.faults().lift(fault);
    in_time(hanging).await.unwrap().unwrap();
    assert_eq!(refresh_of_db(&api).await.as_deref(), Some("one"));
}

#[tokio::test]
async fn a_broken_off_answer_leaves_the_patch_done() {
    let api = with_one().await;
    let client = api.client();
    let on = On::verb(Verb::Patch, Kind::ExternalSecret);
    api.faults().inject(on, Effect::Disconnect, Times::Next(1));
    let error = annotate(&client, "team-a", "db", "one").await.unwrap_err();
    assert!(!matches!(error, kube::Error::Api(_)), "{error}");
    assert_eq!(refresh_of_db(&api).await.as_deref(), Some("one"));
}

#[tokio::test]
async fn a_token_that_may_not_list_the_cluster_may_list_its_namespace() {
    let api = with_one().await;
    let on = On::verb(Verb::List, Kind::ExternalSecret)
        .across_namespaces()
        .by_token("tenant");
    api.faults().deny(on);
    let count = async |token: &str, namespace: Option<&str>| {
        let of = objects(&api.client_as(token), Kind::ExternalSecret, namespace);
        of.list(&ListParams::default())
            .await
            .map(|list| list.items.len())
    };
    assert_eq!(code(&count("tenant", None).await.unwrap_err()), 403);
    assert_eq!(count("tenant", Some("team-a")).await.unwrap(), 1);
    assert_eq!(count("other", None).await.unwrap(), 1);
}

#[tokio::test]
async fn an_api_that_was_away_is_back_on_the_same_port_with_all_objects() {
    let api = with_one().await;
    let client = api.client();
    assert!(get(&client, "team-a", "db").await.unwrap().is_some());
    api.go_away().await.unwrap();
    let refused = get(&client, "team-a", "db").await.unwrap_err();
    assert!(!matches!(refused, kube::Error::Api(_)), "{refused}");
    api.come_back().await.unwrap();
    assert!(get(&client, "team-a", "db").await.unwrap().is_some());
}
