//! Amazon's partitions.

/// The domains of Amazon's partitions (botocore `partitions.json`: aws and aws-us-gov, aws-cn, aws-eusc,
/// aws-iso, -b, -e, -f).
const PARTITIONS: [&str; 7] = [
    ".amazonaws.com",
    ".amazonaws.com.cn",
    ".amazonaws.eu",
    ".c2s.ic.gov",
    ".sc2s.sgov.gov",
    ".cloud.adc-e.uk",
    ".csp.hci.ic.gov",
];

/// The region of `sns.<region>.<partition>`:
/// <https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html>.
///
/// The region must look like one: `sns.s3.amazonaws.com` and `sns.s3-us-west-2.amazonaws.com` would be the
/// bucket `sns` of any account.
pub(crate) fn sns_region(host: &str) -> Option<&str> {
    let rest = host.strip_prefix("sns.")?;
    let mut regions = PARTITIONS.iter().filter_map(|end| rest.strip_suffix(end));
    regions.find(|region| is_region(region))
}

/// `^[a-z]+(-[a-z]+)+-[0-9]+$`, such as `us-gov-west-1`.
fn is_region(text: &str) -> bool {
    let filled =
        |part: &str, all: fn(&u8) -> bool| !part.is_empty() && part.as_bytes().iter().all(all);
    text.rsplit_once('-').is_some_and(|(words, number)| {
        filled(number, u8::is_ascii_digit)
            && words.contains('-')
            && words
                .split('-')
                .all(|word| filled(word, u8::is_ascii_lowercase))
    })
}
