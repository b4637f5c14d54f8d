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
    let nearest = known.map(|name| (distance(unknown, name), name)).min();
    match nearest {
        Some((steps, name)) if steps <= unknown.len().max(name.len()).div_ceil(2) => {
            format!("{message}; did you mean `{name}`?")
        }
        _ => message.to_owned(),
    }
}

/// Optimal string alignment distance: how many characters to insert, remove, replace or swap.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let same = a[i - 1] == b[j - 1];
            let mut least = (rows[i - 1][j] + 1)
                .min(row[j - 1] + 1)
                .min(rows[i - 1][j - 1] + usize::from(!same));
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
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
