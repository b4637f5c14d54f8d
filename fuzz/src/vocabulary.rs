//! What an error may say: words of the program and of the configuration, and numbers of a few
//! digits. Any other word can only come from the payload.

use std::{collections::BTreeSet, fs, path::Path, sync::LazyLock};

/// Of the sources that are fuzzed, read where they were compiled.
static PROGRAM: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut words = BTreeSet::new();
    for folder in ["src", "ingress/src"] {
        collect(&root.join(folder), &mut words);
    }
    words
});

/// As many as the place in a body of some megabytes has.
const MAX_DIGITS: usize = 7;

pub struct Vocabulary(BTreeSet<String>);

impl Vocabulary {
    pub fn with(config: &str) -> Self {
        Self(words(config).map(str::to_owned).collect())
    }

    pub fn holds(&self, error: &str) {
        for word in words(error) {
            let number = word.len() <= MAX_DIGITS && word.bytes().all(|byte| byte.is_ascii_digit());
            assert!(
                number || self.0.contains(word) || PROGRAM.contains(word),
                "the error `{error}` says `{word}`, which is no word of the program"
            );
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
}

/// Not of tests: what they send as a payload would count as known.
fn collect(folder: &Path, into: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder of the sources") {
        let path = entry.expect("an entry").path();
        let of_tests = path.file_stem().is_some_and(|name| name == "tests");
        if path.is_dir() && !of_tests {
            collect(&path, into);
        } else if path.extension().is_some_and(|kind| kind == "rs") && !of_tests {
            let text = fs::read_to_string(&path).expect("a source file");
            let code = text.split("#[cfg(test)]\nmod tests {").next();
            into.extend(words(code.unwrap_or_default()).map(str::to_owned));
        }
    }
}
