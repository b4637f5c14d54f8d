//! Printed commands of `eso-relay` are ones that it knows.

use eso_relay_lab::daemon::Binary;

use super::{blocks, documents};

#[tokio::test]
async fn every_printed_command_of_the_cli_is_one_that_it_knows() {
    let mut known = 0;
    for (file, document) in documents() {
        for block in blocks(&document, "sh") {
            for line in block.lines() {
                let Some(arguments) = line.trim_start().strip_prefix("eso-relay ") else {
                    continue;
                };
                let arguments = arguments.split(" #").next().unwrap();
                // As a shell takes the quotes off words without spaces in them.
                let arguments = arguments.replace('\'', "");
                // Options before it are looked at, and nothing is done.
                let output = tokio::process::Command::new(Binary::Cli.path().await.unwrap())
                    .args(arguments.split_whitespace())
                    .arg("--help")
                    .output()
                    .await
                    .unwrap();
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{file}: {line}\n{said}");
                known += 1;
            }
        }
    }
    assert!(known >= 10, "{known}");
}
