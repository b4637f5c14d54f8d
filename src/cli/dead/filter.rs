//! Which dead letters a command means.

use eso_relay::{
    Slug,
    stream::{Reason, Start, Stream},
};
use jiff::Timestamp;

use super::letter::Letter;
use crate::cli::{
    Failure, again,
    parse::{self, Since},
    scan::Scan,
};

#[derive(Default, clap::Args)]
pub(super) struct Filter {
    /// Only of this cluster
    #[arg(long, value_name = "NAME")]
    cluster: Option<Slug>,
    /// Only events of this source
    #[arg(long, value_name = "SOURCE")]
    source: Option<Slug>,
    /// Only for this reason, such as refused
    #[arg(long, value_parser = reason)]
    reason: Option<Reason>,
    /// Only those stored since (90m, 2h, 3d, or 2026-01-31T08:00:00Z)
    #[arg(long, value_name = "T", value_parser = parse::since)]
    since: Option<Since>,
    /// Only those stored before
    #[arg(long, value_name = "T", value_parser = parse::since)]
    until: Option<Since>,
    /// Only events that name this key, or a path above it (repeat it for more)
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<String>,
    /// Only with this text in the error
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
}

fn reason(text: &str) -> Result<Reason, String> {
    parse::one_of(Reason::ALL, Reason::as_str, text)
}

/// A filter with its times as moments.
pub(super) struct Wanted<'a> {
    filter: &'a Filter,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Filter {
    /// Whether it leaves nothing out.
    pub(super) fn is_empty(&self) -> bool {
        let Self {
            cluster,
            source,
            reason,
            since,
            until,
            keys,
            error,
        } = self;
        let narrow = cluster.is_some()
            || source.is_some()
            || reason.is_some()
            || since.is_some()
            || until.is_some()
            || error.is_some();
        !narrow && keys.is_empty()
    }

    pub(super) fn at(&self, now: Timestamp) -> Result<Wanted<'_>, Failure> {
        let moment = |option: &str, since: Option<Since>| {
            let moment = since.map(|since| since.of(option, now));
            moment.transpose()
        };
        Ok(Wanted {
            filter: self,
            since: moment("--since", self.since)?,
            until: moment("--until", self.until)?,
        })
    }
}

impl Wanted<'_> {
    pub(super) fn scan(&self) -> Scan {
        let token = |slug: &Option<Slug>| {
            slug.as_ref()
                .map_or_else(|| "*".to_owned(), Slug::to_string)
        };
        let (cluster, source) = (token(&self.filter.cluster), token(&self.filter.source));
        Scan {
            stream: Stream::Dead,
            filter: format!("eso-relay.dead.*.{cluster}.{source}"),
            start: self.since.map_or(Start::Oldest, Start::At).into(),
            headers_only: false,
        }
    }

    /// What the server's filter does not say.
    pub(super) fn takes(&self, letter: &Letter) -> bool {
        let Filter {
            reason,
            keys,
            error,
            ..
        } = self.filter;
        let names_a_key = || {
            let events = letter.events.iter().flatten();
            events
                .flat_map(|event| keys.iter().map(|key| again::names(&event.matches, key)))
                .any(|named| named)
        };
        let error_has = |text: &String| {
            let text = text.to_lowercase();
            letter.error.to_lowercase().contains(&text)
        };
        reason.is_none_or(|reason| letter.reason == reason.as_str())
            && self.until.is_none_or(|until| letter.time < until)
            && error.as_ref().is_none_or(error_has)
            && (keys.is_empty() || names_a_key())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use eso_relay::event::{Reach, encode};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        filter: Filter,
    }

    fn letter() -> Letter {
        let source = "prod".parse().unwrap();
        let mut event = eso_relay::Event::refresh_everything(
            source,
            "1".to_owned(),
            Reach::default(),
            Timestamp::UNIX_EPOCH,
        );
        let keys = eso_relay::event::Keys::one("/prod/db").unwrap();
        event.matches = eso_relay::event::Match::Exact(keys);
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Eso-Relay-Reason", "refused");
        headers.insert("Eso-Relay-Error", "422: Denied by the policy");
        let time = "2026-01-31T08:00:00Z".parse().unwrap();
        Letter::new(
            1,
            time,
            "eso-relay.dead.v1.east.prod",
            &headers,
            &encode(&event),
        )
    }

    #[test]
    fn every_option_narrows() {
        let now = "2026-01-31T09:00:00Z".parse().unwrap();
        for (line, expected) in [
            ("x", true),
            ("x --reason refused", true),
            ("x --reason gave_up", false),
            ("x --key prod/db", true),
            ("x --key prod/mail --key prod/db", true),
            ("x --key prod/mail", false),
            ("x --error denied", true),
            ("x --error timeout", false),
            ("x --until 30m", true),
            ("x --until 2h", false),
        ] {
            let filter = Line::try_parse_from(line.split(' ')).ok().unwrap().filter;
            let wanted = filter.at(now).unwrap();
            assert_eq!(wanted.takes(&letter()), expected, "{line}");
            assert_eq!(filter.is_empty(), line == "x");
        }
    }

    #[test]
    fn an_unknown_reason_is_answered_with_all_of_them() {
        let line = ["x", "--reason", "refsued"];
        let error = Line::try_parse_from(line).err().unwrap().to_string();
        assert!(error.contains("undecodable, refused"), "{error}");
    }
}
