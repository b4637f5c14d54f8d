//! An event by hand, as the command line says it: what to send, or to try first.

use clap::Args;
use jiff::Timestamp;

use super::Failure;
use crate::{
    Event, Slug,
    event::{
        KUBERNETES, Keys, Kind, MAX_SCOPE, Match, Operation, Origin, Pattern, Reach, StoreKind,
        StorePattern, TemplateSource,
    },
    traceparent::TraceParent,
};

/// Who takes these options asks for one of `keys`, `prefix`, `all`, `template` and `scope`.
#[derive(Debug, Args)]
pub struct ByHand {
    /// One secret, by its name at the provider; repeat it for aliases of the same secret
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<String>,
    /// Every secret below this path
    #[arg(long, value_name = "PATH")]
    prefix: Option<String>,
    /// Everything that --store, --namespace and --cluster allow
    #[arg(long)]
    all: bool,
    /// Objects whose template uses this ConfigMap or Secret of the cluster
    #[arg(long, value_name = "KIND/NAME", conflicts_with = "provider")]
    template: Option<TemplateSource>,
    /// Everything in this place, such as project=backend or mount=secret; repeat it for more attributes
    #[arg(long, value_name = "NAME=VALUE", value_parser = attribute, conflicts_with = "all")]
    scope: Vec<(String, String)>,
    /// The provider of the keys; `generic` matches them whatever provider a store has
    #[arg(long, value_name = "PROVIDER", default_value = "generic")]
    provider: Slug,
    /// Restart the workloads that read what it matches as well, where restarts are on
    #[arg(long)]
    restart: bool,
    /// Only these stores, as KIND/NAME or NAME; `*` stands for any characters
    #[arg(long = "store", value_name = "[KIND/]NAME", value_parser = store)]
    stores: Vec<StorePattern>,
    /// Only these namespaces; `*` stands for any characters
    #[arg(long = "namespace", short, value_name = "NAME")]
    namespaces: Vec<String>,
    /// Only these clusters; `*` stands for any characters
    #[arg(long = "cluster", value_name = "NAME")]
    clusters: Vec<String>,
}

impl ByHand {
    /// Names and patterns of `--cluster`.
    pub fn clusters(&self) -> &[String] {
        &self.clusters
    }

    /// A new event, under this source.
    pub fn event(self, source: Slug, trace: TraceParent, now: Timestamp) -> Result<Event, Failure> {
        if self.scope.len() > MAX_SCOPE {
            return Err(Failure::Usage(format!(
                "--scope: at most {MAX_SCOPE} attributes"
            )));
        }
        let usage = |error| Failure::Usage(format!("--key, --prefix or --template: {error}"));
        let kind = match self.template {
            Some(_) => Kind::TemplateChanged,
            None => Kind::RefreshRequested,
        };
        let provider = match self.template {
            Some(_) => KUBERNETES.parse()?,
            None => self.provider,
        };
        let matches = match (self.prefix, self.all, self.template) {
            (_, true, _) => Match::All,
            (_, _, Some(source)) => Keys::one(source.to_string())
                .map(Match::Exact)
                .map_err(usage)?,
            // A prefix obeys the rules of a key.
            (Some(path), ..) => Keys::one(path.clone())
                .map(|_| Match::Prefix(path))
                .map_err(usage)?,
            (None, ..) if self.keys.is_empty() && !self.scope.is_empty() => Match::Scope,
            (None, ..) => Match::Exact(Keys::new(self.keys).map_err(usage)?),
        };
        let patterns = |names: Vec<String>| names.into_iter().map(Pattern::new).collect();
        let target = Reach {
            stores: self.stores,
            namespaces: patterns(self.namespaces),
            clusters: patterns(self.clusters),
        };
        Ok(Event {
            // As unique as the trace, and so found in the logs by the same text.
            id: trace.trace_id(),
            source,
            kind,
            time: Some(now),
            traceparent: Some(trace),
            tracestate: None,
            provider,
            operation: Operation::Unknown,
            matches,
            version: None,
            scope: self.scope.into_iter().collect(),
            target: (target != Reach::default()).then_some(target),
            settle: None,
            restart: self.restart,
            received_at: now,
            origin: Origin::default(),
        })
    }
}

/// A value of `--store`: `[KIND/]NAME`.
pub fn store(text: &str) -> Result<StorePattern, String> {
    let (kind, name) = match text.split_once('/') {
        None => (None, text),
        Some(("SecretStore", name)) => (Some(StoreKind::SecretStore), name),
        Some(("ClusterSecretStore", name)) => (Some(StoreKind::ClusterSecretStore), name),
        Some(_) => return Err("the kind is SecretStore or ClusterSecretStore".to_owned()),
    };
    if name.is_empty() {
        return Err("write [KIND/]NAME, such as ClusterSecretStore/vault".to_owned());
    }
    let name = Pattern::new(name);
    Ok(StorePattern { kind, name })
}

fn attribute(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(name, value)| !name.is_empty() && !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "write NAME=VALUE, such as region=eu-west-1".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        by_hand: ByHand,
    }

    fn event(line: &str) -> Result<Event, Failure> {
        let line = Line::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{error}"));
        let source = "manual".parse().unwrap();
        line.by_hand
            .event(source, TraceParent::random(), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_store_is_a_name_or_a_kind_and_a_name() {
        let both = store("vault*").unwrap();
        assert_eq!((both.kind, both.name), (None, Pattern::new("vault*")));
        let one = store("ClusterSecretStore/vault").unwrap();
        assert_eq!(one.kind, Some(StoreKind::ClusterSecretStore));
        for wrong in ["Store/vault", "", "SecretStore/", "/vault"] {
            assert!(store(wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn a_scope_narrows_a_key_and_alone_means_all_that_is_there() {
        let both = event("x --key db --scope region=eu=1").unwrap();
        assert_eq!(both.matches.keys(), ["db"]);
        assert_eq!(both.scope["region"], "eu=1");
        let alone = event("x --scope project=shop --scope config=prd").unwrap();
        assert_eq!((&alone.matches, alone.scope.len()), (&Match::Scope, 2));
        for wrong in ["region", "=eu", "region="] {
            assert!(attribute(wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn a_template_is_named_by_kind_and_name() {
        let app = event("x --template ConfigMap/app -n team-a").unwrap();
        assert_eq!(app.kind, Kind::TemplateChanged);
        assert_eq!(
            (app.provider.as_str(), app.matches.keys()),
            (KUBERNETES, &["ConfigMap/app".to_owned()][..])
        );
        assert!(app.target.unwrap().allows_namespace("team-a"));
        for wrong in ["app", "Pod/app"] {
            let line = ["x", "--template", wrong];
            assert!(Line::try_parse_from(line).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn what_no_event_can_hold_is_refused() {
        let many: Vec<_> = (0..=MAX_SCOPE)
            .map(|n| format!(" --scope a{n}=b"))
            .collect();
        for line in ["x", &format!("x{}", many.concat())] {
            assert!(matches!(event(line), Err(Failure::Usage(_))), "{line}");
        }
    }
}
