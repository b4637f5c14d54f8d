//! OpenBao on both ends: its audit device sends, and ESO reads its KV.

use eso_relay_lab::{
    installation::BEARER_TOKEN,
    openbao::{AuditDevice, OpenBao, ROOT_TOKEN},
    operator,
};
use serde_json::json;

use super::{KEY_HEADER, Options, Relay, TEAM, VALUE, reading};

#[tokio::test(flavor = "multi_thread")]
async fn a_kv_put_of_openbao_arrives_in_the_secret() {
    if !operator::is_asked_for() {
        return;
    }
    let relay = Relay::with_source("openbao", "vault-audit", Options::default()).await;
    let device = AuditDevice {
        uri: &relay.hook("openbao"),
        header: (KEY_HEADER, BEARER_TOKEN),
    };
    let openbao = OpenBao::start(device).await.unwrap();
    let east = &relay.sites[0];
    openbao.kv_put("prod/db", VALUE, "old").await.unwrap();
    east.create_secret("openbao", "token", ROOT_TOKEN).await;
    east.read_from(json!({ "vault": {
        "server": openbao.url(),
        "path": "secret",
        "version": "v2",
        "auth": { "tokenSecretRef": { "name": "openbao", "namespace": TEAM, "key": "token" } },
    } }))
    .await;
    east.create(reading("db", "prod/db").property(VALUE)).await;
    east.holds(TEAM, "db", "old").await;

    for value in ["new", "newer"] {
        openbao.kv_put("prod/db", VALUE, value).await.unwrap();
        east.holds(TEAM, "db", value).await;
    }
}
