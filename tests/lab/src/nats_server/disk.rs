//! A small disk of one server's own, which can be full: a tmpfs in a mount namespace.
//!
//! The namespace lives as long as the process that holds it, so nothing is left to unmount. Root
//! makes one, and so does any user where the system allows user namespaces.

use std::{
    fs::File,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, bail};

use crate::process::Process;

const MOUNT: Duration = Duration::from_secs(10);
const SCRIPT: &str =
    r#"mount -t tmpfs -o "size=$2" tmpfs "$1" && echo mounted && exec sleep infinity"#;

pub(super) struct SmallDisk {
    holder: Process,
    dir: PathBuf,
}

impl SmallDisk {
    /// Mounts one of `size`, such as `64m`, over the empty directory `dir`: seen by the programs of
    /// [`SmallDisk::command`] only.
    pub(super) async fn mount(dir: &Path, size: &str) -> anyhow::Result<Self> {
        let mut command = Command::new("unshare");
        if !is_root() {
            command.arg("--map-root-user");
        }
        command.args(["--mount", "sh", "-c", SCRIPT, "sh"]);
        command.arg(dir).arg(size);
        let log = dir.with_extension("mount");
        let mut holder = Process::spawn("the holder of a small disk", command, &log)?;
        let mounted = async || {
            let said = std::fs::read_to_string(&log)?;
            anyhow::ensure!(said.contains("mounted"), "{said}");
            Ok(())
        };
        holder.wait_until("the mount", MOUNT, mounted).await?;
        let dir = dir.to_owned();
        Ok(Self { holder, dir })
    }

    /// A program that sees the disk.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder.id().to_string(), "--mount"]);
        if !is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.arg("--").arg(program);
        command
    }

    /// Writes until there is no space left.
    pub(super) fn fill(&self) -> anyhow::Result<()> {
        let chunk = vec![0; 64 * 1024];
        let path = self.filler();
        let mut filler = File::create(&path).with_context(|| format!("{}", path.display()))?;
        loop {
            match filler.write_all(&chunk) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
                Err(error) => bail!("cannot fill {}: {error}", path.display()),
            }
        }
    }

    /// Gives the space back.
    pub(super) fn free(&self) -> anyhow::Result<()> {
        let path = self.filler();
        std::fs::remove_file(&path).with_context(|| format!("{}", path.display()))
    }

    fn filler(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        let dir = self.dir.strip_prefix("/").unwrap_or(&self.dir);
        root.join(dir).join("filler")
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether this machine lets us have small disks.
///
/// # Errors
/// It does not: the reason, in its own words.
pub async fn small_disks() -> anyhow::Result<()> {
    let parent = tempfile::Builder::new().prefix("disk-").tempdir()?;
    let dir = parent.path().join("disk");
    std::fs::create_dir(&dir)?;
    let disk = SmallDisk::mount(&dir, "64k").await?;
    disk.fill()?;
    disk.free()?;
    let status = disk.command(Path::new("true")).status()?;
    anyhow::ensure!(status.success(), "nsenter: {status}");
    Ok(())
}
