//! The release from GitHub, held to the checksum published beside it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};
use tokio::process::Command;

use super::VERSION;
use crate::obtain::run;

/// A machine without a way to GitHub shall learn so at once and try the next way.
const CONNECT: Duration = Duration::from_secs(5);
const DOWNLOAD: Duration = Duration::from_secs(300);

pub(super) async fn fetch(dir: &Path) -> anyhow::Result<PathBuf> {
    eso_relay::nats::install_crypto();
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .timeout(DOWNLOAD)
        .build()?;
    let release = format!("https://github.com/nats-io/nats-server/releases/download/{VERSION}");
    let name = format!("nats-server-{VERSION}-{}", platform()?);
    let archive = format!("{name}.tar.gz");

    let sums = get(&client, &format!("{release}/SHA256SUMS")).await?;
    let sums = String::from_utf8(sums).context("SHA256SUMS is no text")?;
    let bytes = get(&client, &format!("{release}/{archive}")).await?;
    verify(&bytes, &sums, &archive)?;

    std::fs::write(dir.join(&archive), &bytes)?;
    let mut tar = Command::new("tar");
    tar.args(["-xzf", &archive]).current_dir(dir);
    run(&mut tar).await?;
    Ok(dir.join(name).join("nats-server"))
}

async fn get(client: &reqwest::Client, url: &str) -> anyhow::Result<Vec<u8>> {
    let answer = client.get(url).send().await?.error_for_status()?;
    Ok(answer.bytes().await?.into())
}

/// As the names of the release's files say it.
fn platform() -> anyhow::Result<String> {
    let system = match std::env::consts::OS {
        "linux" => "linux",
        "macos" => "darwin",
        other => bail!("there is no release for {other}"),
    };
    let processor = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("there is no release for {other}"),
    };
    Ok(format!("{system}-{processor}"))
}

/// `sums` are lines of `<sha256>  <file name>`.
pub(super) fn verify(bytes: &[u8], sums: &str, name: &str) -> anyhow::Result<()> {
    let published = sums
        .lines()
        .filter_map(|line| line.split_once(char::is_whitespace))
        .find(|(_, file)| file.trim_start_matches([' ', '*']) == name)
        .map(|(sum, _)| sum)
        .with_context(|| format!("SHA256SUMS does not name {name}"))?;
    let found = HEXLOWER.encode(digest(&SHA256, bytes).as_ref());
    ensure!(
        found == published,
        "{name} has the checksum {found}, published is {published}"
    );
    Ok(())
}
