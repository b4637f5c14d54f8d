//! Whether a file has changed since it was read.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path};

/// Changes whenever a file is written or replaced. Metadata follows symbolic links, so the swap of
/// a mounted Kubernetes Secret shows as another inode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileVersion {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileVersion {
    pub(crate) fn of(file: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(file)?;
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    /// When it was written, in seconds since 1970.
    pub(crate) fn modified(&self) -> i64 {
        self.modified.0
    }
}
