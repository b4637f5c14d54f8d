#![no_main]

eso_relay_fuzz::formats! {
    {
        "format": "gitlab",
        "mapping": { "match": "prefix", "keys": "/object_attributes/ref" },
    }, "x-gitlab-event: Pipeline Hook\nx-gitlab-event-uuid: 13792a34\nidempotency-key: f5e5f430";
}
