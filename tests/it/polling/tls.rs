//! A store with a certificate of a private CA.

use eso_relay_lab::{
    installation::READY,
    openbao::{Certificate, OpenBao},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::Stage;

struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "a private CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// A store that proves to be this host; `None` where there is no OpenBao to be had.
    async fn stage(&self, host: &str) -> Option<Stage> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let proof = Certificate {
            chain: &certificate.pem(),
            key: &key.serialize_pem(),
        };
        let bao = OpenBao::with_tls(proof).await.unwrap()?;
        let mut stage = Stage::on(bao, "").await;
        stage.address = stage.bao.tls_url();
        let file = stage.hub.secrets().join("ca.crt");
        std::fs::write(&file, self.0.pem()).unwrap();
        stage.settings = format!("paths: [secret/data/a], ca_file: '{}'", file.display());
        Some(stage)
    }
}

/// What is said of a store that cannot be polled.
async fn problem(stage: &Stage) -> String {
    let mut poller = stage.options().start().await.unwrap();
    poller.wait_ready(READY).await.unwrap();
    let line = poller.wait_log("cannot poll the store; trying again", READY);
    line.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_ca_is_trusted_by_its_file() {
    let Some(mut stage) = Ca::new().stage("127.0.0.1").await else {
        return;
    };
    stage.put("a", "1").await;
    let mut poller = stage.poller().await;
    stage.put("a", "2").await;
    stage.events(1).await;
    poller.terminate().unwrap();
    poller.wait_exit(READY).await.unwrap();

    stage.settings = "paths: [secret/data/a]".to_owned();
    let said = problem(&stage).await;
    assert!(said.contains("(setting `ca_file`)"), "{said}");
    assert!(said.contains("unreachable"), "{said}");
}

/// The CA's file does not make it the server that was meant.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_host_is_refused() {
    let Some(stage) = Ca::new().stage("vault.example.com").await else {
        return;
    };
    let said = problem(&stage).await;
    assert!(said.contains("not valid for name"), "{said}");
    assert!(!said.contains("ca_file"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_a_ca_is_refused_at_the_start() {
    let Some(stage) = Ca::new().stage("127.0.0.1").await else {
        return;
    };
    std::fs::write(stage.hub.secrets().join("ca.crt"), "no CA").unwrap();
    let refused = stage.options().start().await.err().unwrap();
    let said = format!("{refused:#}");
    assert!(said.contains("ca.crt holds no CA certificate"), "{said}");
}
