//! Manual pages, which the archives of a release hold.

use std::{fs, path::Path, process::Output};

use eso_relay_lab::daemon::Binary;

async fn run(binary: Binary, arguments: &[&str]) -> Output {
    let program = binary.path().await.unwrap();
    let run = tokio::process::Command::new(program)
        .args(arguments)
        .output();
    run.await.unwrap()
}

/// The commands that `--help` lists.
async fn commands(binary: Binary) -> Vec<String> {
    let help = String::from_utf8(run(binary, &["--help"]).await.stdout).unwrap();
    let listed = help.split("\nCommands:\n").nth(1).unwrap();
    let listed = listed.split("\n\n").next().unwrap();
    let mut names: Vec<_> = listed
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| !line.starts_with(' '))
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect();
    names.retain(|name| name != "help");
    names
}

fn page(folder: &Path, name: &str) -> String {
    let file = folder.join(format!("{name}.1"));
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

#[tokio::test]
async fn each_program_and_each_command_has_a_manual_page() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("new").join("man1");
    for (binary, name, option) in [
        (Binary::Cli, "eso-relay", r"\-\-nats"),
        (Binary::Ingress, "eso-relay-ingress", r"\-\-config"),
        (Binary::Consumer, "eso-relay-consumer", r"\-\-config"),
    ] {
        let written = run(binary, &["man", folder.to_str().unwrap()]).await;
        assert!(written.status.success(), "{written:?}");
        let own = page(&folder, name);
        assert!(own.contains(option), "{own}");
        assert!(own.contains(env!("CARGO_PKG_VERSION")), "{own}");
        let commands = commands(binary).await;
        assert!(
            !commands.is_empty() && !commands.contains(&"man".to_owned()),
            "{commands:?}"
        );
        for command in commands {
            let page = page(&folder, &format!("{name}-{command}"));
            assert!(page.contains(".SH NAME"), "{page}");
        }
        assert!(!folder.join(format!("{name}-man.1")).exists());
    }
    // Commands of a command too.
    page(&folder, "eso-relay-dead-redrive");
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    for binary in [Binary::Cli, Binary::Ingress, Binary::Consumer] {
        let refused = run(binary, &["man", path]).await;
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(said.contains(path), "{said}");
    }
}
