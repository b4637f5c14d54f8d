#![no_main]

eso_relay_fuzz::schemes! {
    { "bearer": { "token_file": [] } }, |secret, _| format!("authorization: Bearer {secret}");
}
