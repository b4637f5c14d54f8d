#![no_main]

eso_relay_fuzz::formats! {
    { "format": "cloudevents", "target": { "namespaces": ["team-a"] } }, "content-type: application/cloudevents+json";
    { "format": "cloudevents", "mapping": { "keys": "/a", "allow_all": true } }, "content-type: application/cloudevents-batch+json";
    { "format": "cloudevents", "provider": "vault" }, "ce-specversion: 1.0\nce-id: 1\nce-source: urn:x\nce-type: changed";
}
