//! Daemons that have all there is to see: every metric, every panel.

use eso_relay_lab::{
    cluster::Kind,
    daemon::Daemon,
    installation::{Cluster, Hub, READY, Webhooks},
    workloads::Controllers,
};

use crate::{consuming::Consuming, https::Https, jwt::Issuer, operator::Operator, restart};

pub(crate) struct Everything {
    pub(crate) ingress: Daemon,
    /// An ingress too, with all that adds metrics.
    pub(crate) equipped: Daemon,
    /// Of a cluster where a Deployment restarts for `/prod/db`.
    pub(crate) consumer: Daemon,
    relay: Consuming,
    _controllers: Controllers,
    _keys: Https,
}

impl Everything {
    pub(crate) async fn start() -> Self {
        let east = Cluster::stand_in("east").await.unwrap();
        let relay = Consuming::on(east, &["db"]).await;
        relay.synced("db").await;
        let controllers = Controllers::builder().start(relay.cluster.client());
        let reader = restart::reader("db");
        restart::deploy(&relay, Kind::Deployment, "db", reader).await;
        let settings = format!("metrics: {{ objects: true }}\n{}", restart::SETTINGS);
        let consumer = relay.consumer(&settings).await;
        let mut ingress = relay.hub.ingress().start().await.unwrap();
        ingress.wait_ready(READY).await.unwrap();
        let keys = Issuer::new().serves_keys().await;
        Self {
            equipped: equipped(&relay.hub, &keys).await,
            ingress,
            consumer,
            relay,
            _controllers: controllers,
            _keys: keys,
        }
    }

    pub(crate) fn daemons(&self) -> [&Daemon; 3] {
        [&self.ingress, &self.equipped, &self.consumer]
    }

    /// A webhook for a new value of `/prod/db`.
    pub(crate) async fn webhook(&self) {
        let value = format!("value-{}", fastrand::u64(..));
        self.relay.cluster.values.set("/prod/db", &value);
        let webhooks = Webhooks::to(&self.ingress.url());
        webhooks.updated(&["/prod/db"]).await.unwrap();
    }
}

/// The store that it polls does not answer.
async fn equipped(hub: &Hub, keys: &Https) -> Daemon {
    let directory = hub.secrets();
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let user = nkeys::KeyPair::new_user();
    let credentials = Operator::new().credentials(&user, Some(4_102_444_800));
    for (name, text) in [
        ("tls.crt", pair.cert.pem()),
        ("tls.key", pair.signing_key.serialize_pem()),
        ("relay.creds", credentials),
        ("issuer.crt", keys.certificate.clone()),
    ] {
        std::fs::write(directory.join(name), text).unwrap();
    }
    let (dir, url) = (directory.display(), &keys.url);
    let more = format!(
        "- {{ name: token, format: akeyless, auth: {{ jwt: {{ issuer: 'https://issuer.example', audience: us, \
           jwks_url: '{url}' }} }} }}\n\
         outgoing: {{ ca_file: '{dir}/issuer.crt' }}\n\
         polls:\n\
         - {{ name: bao, provider: openbao, address: 'http://127.0.0.1:1', paths: [secret/db], \
           auth: {{ token_file: '{dir}/token' }} }}\n\
         tls: {{ cert_file: '{dir}/tls.crt', key_file: '{dir}/tls.key' }}\n"
    );
    let file = |name: &str| directory.join(name);
    let options = hub.ingress_with(&more);
    let options = options
        .env("ESO_RELAY__NATS__TLS__CERT_FILE", file("tls.crt"))
        .env("ESO_RELAY__NATS__TLS__KEY_FILE", file("tls.key"))
        .env("ESO_RELAY__NATS__CREDENTIALS_FILE", file("relay.creds"));
    options.start().await.unwrap()
}
