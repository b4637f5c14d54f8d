//! `sample`: sends the documented sample of a format, signed as the sender would.

use std::path::Path;

use anyhow::Context as _;
use eso_relay::{
    Slug,
    command::{self, Failure},
};
use http::{HeaderName, HeaderValue, header::CONTENT_TYPE};
use jiff::Timestamp;

use super::Answer;
use crate::{SourceConfig, catalogue, outgoing::Outgoing, verify::Unsigned};

/// Send the documented sample of a source's format, signed with the source's own secret
///
/// The secret of the sample exists nowhere, so nothing is refreshed; what `mapping` of a source points
/// at may not be in it.
#[derive(clap::Args)]
pub struct Args {
    /// The source, of --config
    #[arg(long, value_name = "NAME")]
    source: Slug,
    /// The ingress; with or without the path of the source
    #[arg(long, value_name = "URL", default_value = "http://localhost:8080")]
    to: String,
    #[command(flatten)]
    answer: Answer,
}

pub(super) async fn run(args: &Args, config: Option<&Path>, now: Timestamp) -> Result<(), Failure> {
    let (source, outgoing) = super::source(config, &args.source)?;
    let request = signed(&source, &Outgoing::new(&outgoing)?, now)?;
    let path = format!("/v1/hooks/{}", source.name);
    let base = args.to.trim_end_matches('/');
    let mut url = format!("{}{path}", base.strip_suffix(&path).unwrap_or(base));
    // Without the query: it may hold a secret.
    let shown = url.clone();
    if let Some(query) = &request.query {
        url = format!("{url}?{query}");
    }
    let request = command::client()?
        .post(url)
        .headers(request.headers)
        .body(request.body);
    command::send(request, &shown, args.answer.output).await
}

fn signed(source: &SourceConfig, outgoing: &Outgoing, now: Timestamp) -> anyhow::Result<Unsigned> {
    let mut request = unsigned(source)?;
    let scheme = source.open(outgoing)?.scheme;
    scheme.sign(&mut request, now).with_context(|| {
        format!(
            "source `{}`: auth {}: no sample can be sent",
            source.name,
            source.auth.name()
        )
    })?;
    Ok(request)
}

/// The sample of the format.
fn unsigned(source: &SourceConfig) -> anyhow::Result<Unsigned> {
    let sample = catalogue::format(source.format).sample;
    let mut request = Unsigned {
        body: sample.body.into(),
        ..Unsigned::default()
    };
    let json = HeaderValue::from_static("application/json");
    request.headers.insert(CONTENT_TYPE, json);
    for (name, value) in sample.headers {
        let name: HeaderName = name.parse()?;
        request
            .headers
            .insert(name, HeaderValue::from_static(value));
    }
    Ok(request)
}
