#![no_main]

eso_relay_fuzz::formats! {
    { "format": "doppler" };
    { "format": "doppler", "scope": { "project": "backend" } };
}
