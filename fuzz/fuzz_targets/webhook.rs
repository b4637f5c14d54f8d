#![no_main]

//! `POST /webhook`.

use std::sync::LazyLock;

use eso_relay_fuzz::{Decoder, fuzz_target};

static WEBHOOK: LazyLock<Decoder> = LazyLock::new(Decoder::webhook);

fuzz_target!(|input: &[u8]| WEBHOOK.keeps_its_promises(input));
