//! The image: `deploy/Dockerfile`, and `deploy/image`, which makes it without a container engine and tries it. They must
//! not drift apart: what one of them puts into the image, the other does.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::docs::read;

const LABEL: &str = "org.opencontainers.image.";
const PROGRAMS: [&str; 3] = ["eso-relay", "eso-relay-consumer", "eso-relay-ingress"];

/// The lines of a file with those that a backslash continues, without comments.
fn lines(file: &str) -> Vec<String> {
    let joined = read(file).replace("\\\n", " ");
    let lines = joined.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

/// What is in the image: the instructions after the last `FROM`.
fn last_stage() -> Vec<String> {
    let lines = lines("deploy/Dockerfile");
    let from = lines.iter().rposition(|line| line.starts_with("FROM "));
    lines[from.unwrap()..].to_vec()
}

fn instructions<'a>(stage: &'a [String], kind: &str) -> Vec<&'a str> {
    let of_kind = stage.iter().filter_map(|line| line.strip_prefix(kind));
    of_kind.filter_map(|it| it.strip_prefix(' ')).collect()
}

/// Labels by their name behind [`LABEL`]. A value with a variable is different on each build: empty.
fn labels(lines: &[String]) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for line in lines {
        for rest in line.split(LABEL).skip(1) {
            let (name, rest) = rest.split_once('=').unwrap();
            let value = match rest.strip_prefix('"') {
                Some(quoted) => quoted.split('"').next().unwrap(),
                None => rest.split(' ').next().unwrap(),
            };
            let value = if value.contains('$') { "" } else { value };
            labels.insert(name.to_owned(), value.to_owned());
        }
    }
    labels
}

/// The words behind each `--option` of buildah's.
fn options(lines: &[String], option: &str) -> Vec<String> {
    let option = format!("{option} ");
    let value = |rest: &str| match rest.strip_prefix('\'') {
        Some(quoted) => quoted.split('\'').next().unwrap().to_owned(),
        None => rest.split(' ').next().unwrap().to_owned(),
    };
    let all = lines.iter().flat_map(|line| line.split(&option).skip(1));
    all.map(value).collect()
}

#[test]
fn the_image_script_sets_what_the_dockerfile_sets() {
    let (stage, script) = (last_stage(), lines("deploy/image"));
    let of_script = script
        .iter()
        .find(|line| line.starts_with("buildah config "))
        .unwrap();
    let of_script = std::slice::from_ref(of_script);

    assert_eq!(labels(&stage), labels(of_script));
    let names: Vec<_> = labels(&stage).into_keys().collect();
    assert_eq!(
        names,
        [
            "description",
            "licenses",
            "revision",
            "source",
            "title",
            "version"
        ]
    );
    assert_eq!(instructions(&stage, "USER"), options(of_script, "--user"));
    assert_eq!(instructions(&stage, "ENV"), options(of_script, "--env"));
    let ports = options(of_script, "--port").join(" ");
    assert_eq!(instructions(&stage, "EXPOSE"), [ports]);
    let command = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let commands = options(of_script, "--cmd");
    assert_eq!(
        command(instructions(&stage, "CMD")[0]),
        command(&commands[0])
    );
}

#[test]
fn the_image_script_copies_what_the_dockerfile_copies() {
    let last = |line: &str| line.split(' ').next_back().unwrap().to_owned();
    let stage = last_stage();
    let of_dockerfile: BTreeSet<_> = instructions(&stage, "COPY").into_iter().map(last).collect();
    // What the try adds to its own copy is not in the image.
    let script = lines("deploy/image");
    let copied = script
        .iter()
        .filter(|line| line.starts_with("buildah copy") && line.contains("$image"));
    let of_script: BTreeSet<_> = copied
        .map(|line| last(line.split(" >").next().unwrap()))
        .collect();
    assert_eq!(of_dockerfile, of_script);
    assert_eq!(of_script.len(), 3, "{of_script:?}");
    // Both from the same builds.
    for build in ["deploy/binaries", "deploy/licenses"] {
        for file in ["deploy/Dockerfile", "deploy/image"] {
            assert!(
                lines(file).iter().any(|line| line.contains(build)),
                "{file}: {build}"
            );
        }
    }
}

/// Nothing runs in it, so that an image for one architecture is made on the other.
#[test]
fn nothing_but_the_programs_and_certificates_is_in_the_image() {
    let stage = last_stage();
    assert_eq!(stage[0], "FROM scratch");
    let kinds: BTreeSet<_> = stage
        .iter()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    let known = [
        "ARG", "CMD", "COPY", "ENV", "EXPOSE", "FROM", "LABEL", "USER",
    ];
    assert_eq!(kinds, known.into());
    let user = instructions(&stage, "USER")[0];
    assert!(
        user.split(':')
            .all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)),
        "{user}"
    );
}

#[test]
fn three_programs_are_built_for_two_architectures_with_the_tested_toolchain() {
    let script = lines("deploy/binaries");
    let build = script
        .iter()
        .find(|line| line.starts_with("cargo auditable"))
        .unwrap();
    assert!(
        build.contains(" --release ") && build.contains(" --locked "),
        "{build}"
    );
    let packages: BTreeSet<_> = options(std::slice::from_ref(build), "-p")
        .into_iter()
        .collect();
    assert_eq!(packages, PROGRAMS.map(str::to_owned).into());
    for (arch, target) in [("amd64", "x86_64"), ("arm64", "aarch64")] {
        let line = script.iter().find(|line| line.starts_with(arch)).unwrap();
        assert!(
            line.contains(&format!("target={target}-unknown-linux-musl")),
            "{line}"
        );
        // jemalloc ends at its first allocation where pages are larger than it was told.
        assert_eq!(
            line.contains("JEMALLOC_SYS_WITH_LG_PAGE=16"),
            arch == "arm64",
            "{line}"
        );
    }
    let toolchain = read("rust-toolchain.toml");
    let tested = toolchain
        .lines()
        .find_map(|line| line.strip_prefix("channel = "));
    let tested = tested.unwrap().trim_matches('"');
    let dockerfile = lines("deploy/Dockerfile");
    assert!(
        dockerfile[0].contains(&format!(" rust:{tested}-")),
        "{}",
        dockerfile[0]
    );
    assert!(dockerfile.contains(&format!("ENV RUSTUP_TOOLCHAIN={tested}")));
}

/// Manifests and the compose file start a program by its path in the image.
#[test]
fn every_path_of_a_program_is_in_the_image() {
    let mut found = BTreeSet::new();
    for file in [
        "docker-compose.yml",
        "deploy/kubernetes/ingress.yaml",
        "deploy/kubernetes/poller.yaml",
        "deploy/kubernetes/consumer.yaml",
        "deploy/kubernetes/init.yaml",
    ] {
        for rest in read(file).split("\"/usr/local/bin/").skip(1) {
            found.insert(rest.split('"').next().unwrap().to_owned());
        }
    }
    assert_eq!(json!(found), json!(PROGRAMS));
}
