#![no_main]

eso_relay_fuzz::formats! {
    { "format": "aws-sns", "topics": ["arn:aws:sns:us-east-1:123456789012:secrets"] };
}
