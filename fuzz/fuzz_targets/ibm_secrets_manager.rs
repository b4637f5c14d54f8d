#![no_main]

eso_relay_fuzz::formats! {
    { "format": "ibm-secrets-manager" };
}
