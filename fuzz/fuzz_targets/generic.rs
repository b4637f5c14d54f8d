#![no_main]

eso_relay_fuzz::formats! {
    { "format": "generic", "mapping": { "events": "/records", "keys": ["/secret/name", "/secret/arns/0"], "id": "/uid", "type": "/kind", "types": ["rotated"], "time": "/at" }, "max_age": "1h" };
    { "format": "generic", "provider": "doppler", "scope": { "project": "backend" } };
}
