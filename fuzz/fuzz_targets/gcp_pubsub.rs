#![no_main]

eso_relay_fuzz::formats! {
    { "format": "gcp-pubsub", "projects": { "123456789": "sample" } };
    { "format": "gcp-pubsub" }, "eventtype: SECRET_VERSION_ADD\nsecretid: projects/1/secrets/s";
}
