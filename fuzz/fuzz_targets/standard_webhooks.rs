#![no_main]

eso_relay_fuzz::formats! {
    { "format": "standard-webhooks", "mapping": { "keys": "/data/name" } }, "webhook-id: msg_1";
    { "format": "standard-webhooks", "mapping": { "each": "/data" } }, "svix-id: msg_1";
}
