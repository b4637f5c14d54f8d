#![no_main]

eso_relay_fuzz::formats! {
    {
        "format": "generic",
        "mapping": {
            "events": "/records", "keys": ["/secret/name", "/secret/arns"], "id": "/uid",
            "type": "/kind", "types": ["rotated"], "time": "/at",
        },
        "max_age": "1h",
    };
    {
        "format": "generic",
        "scope": { "account": "a-1" },
        "mapping": {
            "each": "/data", "keys": "/name", "match": "/match", "allow_all": true,
            "scope": { "project": "/project", "account": "/account" },
        },
    };
    { "format": "generic", "provider": "doppler", "scope": { "project": "backend" } };
}
