#![no_main]

eso_relay_fuzz::formats! {
    { "format": "github", "mapping": { "keys": "/client_payload/secret" } }, "x-github-event: repository_dispatch\nx-github-delivery: 72d3162e";
}
