#![no_main]

eso_relay_fuzz::formats! {
    { "format": "vault-events" };
}
