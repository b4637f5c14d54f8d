//! Packages of `PyPI` through pip, held to checksums that stand in our code.

use std::{fmt::Write as _, path::Path};

use tokio::process::Command;

use super::run;

/// One version of a package.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wheel {
    /// As pip writes it: `name==version`.
    pub(crate) version: &'static str,
    /// SHA-256 of its wheels: one that runs anywhere, or one for each platform.
    pub(crate) sha256: &'static [&'static str],
}

impl Wheel {
    /// Unpacks these wheels, and nothing that they depend on, into the directory `into`.
    pub(crate) async fn unpack(wheels: &[Self], into: &Path) -> anyhow::Result<()> {
        let mut requirements = String::new();
        for wheel in wheels {
            requirements.push_str(wheel.version);
            for hash in wheel.sha256 {
                write!(requirements, " --hash=sha256:{hash}")?;
            }
            requirements.push('\n');
        }
        let list = tempfile::NamedTempFile::new()?;
        std::fs::write(list.path(), requirements)?;
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--no-deps"])
            .args(["--only-binary=:all:", "--require-hashes", "--target"])
            .arg(into)
            .arg("--requirement")
            .arg(list.path())
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
        run(&mut pip).await.map(drop)
    }
}
