#![no_main]

eso_relay_fuzz::formats! {
    { "format": "aws-eventbridge" };
}
