//! `unknown field` errors, with the nearest known name.

/// Adds "did you mean …" to serde's message about an unknown field or variant.
pub(super) fn with_nearest_name(message: &str) -> String {
    let Some((_, after)) = message
        .split_once("unknown field `")
        .or_else(|| message.split_once("unknown variant `"))
    else {
        return message.to_owned();
    };
    let mut quoted = after.split('`');
    let unknown = quoted.next().unwrap_or_default();
    // Every second piece between the backticks is a known name.
    let known = quoted.skip(1).step_by(2);
    let nearest = known
        .map(|name| (strsim::osa_distance(unknown, name), name))
        .min();
    match nearest {
        Some((steps, name)) if steps <= unknown.len().max(name.len()).div_ceil(2) => {
            format!("{message}; did you mean `{name}`?")
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swapped_letter_is_recognised() {
        let message = "unknown field `ulr`, expected one of `name`, `url`, `tls`";
        assert_eq!(
            with_nearest_name(message),
            format!("{message}; did you mean `url`?")
        );
    }

    #[test]
    fn a_name_that_resembles_nothing_gets_no_advice() {
        let message = "unknown field `zzzzzz`, expected `url`";
        assert_eq!(with_nearest_name(message), message);
    }
}
