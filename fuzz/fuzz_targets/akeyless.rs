#![no_main]

eso_relay_fuzz::formats! {
    { "format": "akeyless", "target": { "stores": [{ "name": "akeyless*" }] } };
}
