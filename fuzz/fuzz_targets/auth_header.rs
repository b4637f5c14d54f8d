#![no_main]

eso_relay_fuzz::schemes! {
    { "header": { "name": "x-api-key", "value_file": [] } }, |secret, _| format!("x-api-key: {secret}");
    { "header": { "query": "token", "value_file": [] } }, |secret, _| format!("?a=b&token={secret}");
}
