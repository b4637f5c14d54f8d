//! Manual pages, which packages and archives hold.

use std::path::PathBuf;

use anyhow::Context as _;

/// Of a hidden command `man`, which each program of ours has.
#[derive(clap::Args)]
pub struct ManArgs {
    /// The folder, which is made where it is not there
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl ManArgs {
    /// Writes a page of section 1 for the program and for each of its commands that `--help` shows.
    ///
    /// # Errors
    /// The folder cannot be made or written to.
    pub fn write(&self, program: clap::Command) -> anyhow::Result<()> {
        let folder = &self.folder;
        std::fs::create_dir_all(folder)
            .and_then(|()| clap_mangen::generate_to(program, folder))
            .with_context(|| format!("cannot write manual pages to {}", folder.display()))
    }
}
