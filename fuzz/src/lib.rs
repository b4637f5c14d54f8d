//! What the fuzz targets have in common: how an input is read, and what is promised of its outcome.
//!
//! A broken promise is a panic here: absence of a panic in the ingress is the least of them.

mod decode;
mod input;
mod verify;
mod vocabulary;

use eso_relay_ingress::{
    OutgoingConfig,
    outgoing::Outgoing,
    source::{Source, SourceConfig},
    verify::{AuthConfig, Scheme},
};
use jiff::Timestamp;
use serde_json::{Value, json};

pub use self::{decode::Decoder, input::Input, verify::Verifier};
pub use futures::executor::block_on;
#[cfg(fuzzing)]
pub use libfuzzer_sys::fuzz_target;
pub use serde_json;

/// When every input arrives.
pub const NOW: Timestamp = Timestamp::constant(1_786_190_401, 0);

/// One or several sources of one format, each with the headers of an input that brings none.
#[macro_export]
macro_rules! formats {
    ($($config:tt $(, $headers:literal)?;)+) => {
        static DECODERS: std::sync::LazyLock<Vec<$crate::Decoder>> = std::sync::LazyLock::new(|| {
            vec![$($crate::Decoder::of($crate::serde_json::json!($config), concat!($($headers)?))),+]
        });
        $crate::fuzz_target!(|input: &[u8]| {
            for decoder in DECODERS.iter() {
                decoder.keeps_its_promises(input);
            }
        });
    };
}

/// Schemes, and how a rightful sender presents the secret with a body: a head as in an [`Input`].
#[macro_export]
macro_rules! schemes {
    ($($config:tt, $right:expr;)+) => {
        static VERIFIERS: std::sync::LazyLock<Vec<$crate::Verifier>> = std::sync::LazyLock::new(|| {
            vec![$($crate::Verifier::of($crate::serde_json::json!($config), $right)),+]
        });
        $crate::fuzz_target!(|input: &[u8]| {
            for verifier in VERIFIERS.iter() {
                verifier.keeps_its_promises(input);
            }
        });
    };
}

/// A source as the configuration makes it; every sender is admitted.
fn source(mut config: Value) -> Source {
    config["name"] = json!("fuzzed");
    config["auth"] = json!("none");
    let config: SourceConfig = serde_json::from_value(config).expect("a source's settings");
    config.open(&outgoing()).expect("a source")
}

pub fn scheme(config: Value) -> Scheme {
    let config: AuthConfig = serde_json::from_value(config).expect("settings of `auth`");
    config.open(&outgoing(), &[]).expect("a scheme")
}

fn outgoing() -> Outgoing {
    Outgoing::new(&OutgoingConfig::default()).expect("the system's CAs")
}
