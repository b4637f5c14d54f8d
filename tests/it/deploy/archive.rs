//! `deploy/archive`: what a release gives people without containers.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt as _, path::Path};

use eso_relay_lab::daemon::Binary;
use tokio::process::Command;

use crate::docs::path;

const PROGRAMS: [&str; 3] = ["eso-relay", "eso-relay-ingress", "eso-relay-consumer"];

/// Programs of another machine, which do not run here.
fn programs(folder: &Path) {
    for name in PROGRAMS {
        fs::write(folder.join(name), format!("{name} of another machine")).unwrap();
    }
}

/// Makes `NAME.tar.gz` of them in a new folder `out`.
async fn archive(binaries: &Path, out: &Path) -> Vec<u8> {
    let runnable = Binary::Cli.path().await.unwrap();
    let made = Command::new(path("deploy/archive"))
        .arg("eso-relay-test")
        .args([binaries, runnable.parent().unwrap(), out])
        .output()
        .await
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    fs::read(out.join("eso-relay-test.tar.gz")).unwrap()
}

#[tokio::test]
async fn an_archive_has_the_programs_their_pages_and_their_licences() {
    let dir = tempfile::tempdir().unwrap();
    programs(dir.path());
    let out = dir.path().join("out");
    archive(dir.path(), &out).await;
    let unpacked = Command::new("tar")
        .args(["--extract", "--file", "eso-relay-test.tar.gz"])
        .current_dir(&out)
        .status()
        .await
        .unwrap();
    assert!(unpacked.success());
    let folder = out.join("eso-relay-test");
    for name in PROGRAMS {
        let program = folder.join(name);
        let text = fs::read_to_string(&program).unwrap();
        assert_eq!(text, format!("{name} of another machine"));
        let mode = fs::metadata(&program).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o755, "{name}");
        assert!(
            folder.join(format!("man/man1/{name}.1")).is_file(),
            "{name}"
        );
    }
    let listed = fs::read_dir(&folder).unwrap();
    let listed: BTreeSet<_> = listed
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    let others = [
        "CHANGELOG.md",
        "README.md",
        "completions",
        "licenses",
        "man",
    ];
    let expected = PROGRAMS.into_iter().chain(others).map(str::to_owned);
    assert_eq!(listed, expected.collect());
    for shell in ["bash", "zsh", "fish"] {
        let file = folder.join(format!("completions/eso-relay.{shell}"));
        assert!(
            fs::read_to_string(file).unwrap().contains("redrive"),
            "{shell}"
        );
    }
    let licenses = fs::read_to_string(folder.join("licenses/THIRD-PARTY.txt")).unwrap();
    // Every program has it.
    for part in ["tokio v", ": MIT", "Permission is hereby granted"] {
        assert!(licenses.contains(part), "{part}");
    }
    assert!(!licenses.contains("eso-relay-lab"));
}

#[tokio::test]
async fn the_same_files_give_the_same_archive() {
    let dir = tempfile::tempdir().unwrap();
    programs(dir.path());
    let first = archive(dir.path(), &dir.path().join("first")).await;
    let second = archive(dir.path(), &dir.path().join("second")).await;
    assert!(first == second);
}
