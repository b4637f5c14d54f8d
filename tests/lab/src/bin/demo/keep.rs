//! `--keep`: what to try on what still runs.

use eso_relay_lab::{
    daemon::Binary,
    installation::{BASIC_PASSWORD, BASIC_USER, HMAC_SECRET},
};

use crate::{cast::DATA, stage::Stage, tell::Teller};

pub(crate) async fn print(stage: &Stage<'_>, tell: &Teller) -> anyhow::Result<()> {
    let (url, nats) = (stage.ingress.url(), stage.hub.nats.url());
    let cli = format!("{} --nats {nats}", Binary::Cli.path().await?.display());
    let key = DATA.key;
    tell.scene("All of it runs on, until Ctrl-C. To try, in another terminal:");
    let seed =
        format!(r#"[{{"event_id":"1","event_type":"static-secret-updated","item_name":"{key}"}}]"#);
    // An id of its own each time: the same one again is the same event, and changes nothing.
    let generic =
        format!(r#"{{\"id\":\"$RANDOM\",\"type\":\"updated\",\"secret\":{{\"name\":\"{key}\"}}}}"#);
    let sign = format!("openssl dgst -sha256 -hmac {HMAC_SECRET} -r | cut -d' ' -f1");
    let mut lines = vec![
        format!(
            "curl -i -u {BASIC_USER}:{BASIC_PASSWORD} -H 'content-type: application/json' -d '{seed}' {url}/webhook"
        ),
        format!(
            "B=\"{generic}\"; curl -i -H \"x-signature: sha256=$(printf %s \"$B\" | {sign})\" -H 'content-type: application/json' -d \"$B\" {url}/v1/hooks/generic"
        ),
        format!("{cli} status"),
        format!("{cli} send --key {key}"),
        format!("{cli} replay --cluster west --since 10m --dry-run"),
        format!("{cli} dead list"),
        format!("{cli} dead show 1"),
    ];
    for site in stage.sites() {
        let kubectl = format!("{} -n {}", site.kubectl(), site.namespace());
        lines.push(format!(
            "{kubectl} get externalsecret {} -o yaml",
            DATA.name
        ));
        lines.push(format!("{kubectl} get externalsecrets -w"));
        lines.push(format!("curl {}/metrics", site.consumers[0].admin_url()));
    }
    for line in lines {
        tell.say(line);
    }
    Ok(())
}
