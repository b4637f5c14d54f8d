#![no_main]

eso_relay_fuzz::formats! {
    { "format": "infisical", "projects": { "a": "b" } };
}
