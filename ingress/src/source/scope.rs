//! The place that a change belongs to, as the sender reports it.

use std::collections::BTreeMap;

use super::{DecodeError, json::Scalar, malformed};

/// The setting `projects`: the sender's project → the project as the stores write it.
pub type Projects = BTreeMap<String, String>;

/// Far above what any of the senders allows.
const MAX_ATTRIBUTE_BYTES: usize = 1024;

/// The attributes that are known: one that is left out excludes no store.
pub(super) fn scope<const N: usize>(
    attributes: [(&str, Option<String>); N],
) -> BTreeMap<String, String> {
    let known = attributes
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    known.collect()
}

/// The value of an attribute; `None` when it is missing, null or empty.
///
/// `at`: the field, for the message.
pub(super) fn attribute(field: Scalar, at: &str) -> Result<Option<String>, DecodeError> {
    let value = field.optional(at)?.filter(|value| !value.is_empty());
    let fits =
        |value: &String| value.len() <= MAX_ATTRIBUTE_BYTES && !value.chars().any(char::is_control);
    if value.as_ref().is_none_or(fits) {
        Ok(value)
    } else {
        Err(malformed(format!(
            "{at} is not a name of at most {MAX_ATTRIBUTE_BYTES} bytes without control characters"
        )))
    }
}
