#![no_main]

eso_relay_fuzz::formats! {
    {
        "format": "github",
        "mapping": { "each": "/client_payload/secrets", "scope": { "project": "/repository/name" } },
    }, "x-github-event: repository_dispatch\nx-github-delivery: 72d3162e";
    { "format": "github", "mapping": { "keys": "/client_payload/name" } }, "x-github-event: push";
}
