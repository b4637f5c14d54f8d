//! A payload by hand through an ingress, signed as its source wants it.

use std::{fmt::Write as _, path::PathBuf};

use eso_relay::{
    Slug, command,
    config::{Secret, SecretFile},
};
use reqwest::{
    Client, RequestBuilder,
    header::{HeaderName, HeaderValue},
};
use ring::hmac;

use super::{Failure, Session};
use crate::cli::handover::{self, Binary};

/// Secrets come from files: an argument can be seen by every user of the machine.
#[derive(clap::Args)]
#[command(next_help_heading = "Through an ingress")]
pub(super) struct Post {
    /// POST to this webhook of an ingress instead; with --sample the path may be left out
    #[arg(
        long,
        value_name = "URL",
        requires = "payload",
        conflicts_with_all = ["scope", "provider", "stores", "namespaces", "clusters"]
    )]
    to: Option<String>,
    /// The payload: a file, or `-` for standard input
    #[arg(long, value_name = "FILE", requires = "to", group = "payload")]
    data: Option<PathBuf>,
    /// The documented sample of --source, a source of --config, signed with its own secret file
    #[arg(long, requires = "source", group = "payload")]
    sample: bool,
    /// Basic authentication; the file holds the password
    #[arg(long, value_name = "USER:FILE", value_parser = user_and_file, requires = "data", group = "auth")]
    basic: Option<(String, PathBuf)>,
    /// Bearer authentication; the file holds the token
    #[arg(long, value_name = "FILE", requires = "data", group = "auth")]
    bearer_file: Option<PathBuf>,
    /// Signs the payload with HMAC-SHA256, in hexadecimal; the file holds the secret
    #[arg(long, value_name = "FILE", requires = "data", group = "auth")]
    hmac_secret_file: Option<PathBuf>,
    /// The header of the signature
    #[arg(
        long,
        value_name = "NAME",
        default_value = "X-Signature",
        requires = "hmac_secret_file"
    )]
    hmac_header: HeaderName,
    /// What stands before the signature, such as `sha256=`
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        requires = "hmac_secret_file"
    )]
    hmac_prefix: String,
    /// One more header (repeat it for more); not for secrets
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = command::header, requires = "data")]
    headers: Vec<(HeaderName, HeaderValue)>,
}

pub(super) async fn run(session: &Session, args: &Post) -> Result<(), Failure> {
    let (Some(url), Some(data)) = (&args.to, &args.data) else {
        return Err(Failure::Usage("--to needs --data".to_owned()));
    };
    if is_without_path(url) {
        return Err(Failure::Usage(format!(
            "--to {url} has no path: name the webhook, such as {}/v1/hooks/SOURCE or {0}/webhook",
            url.trim_end_matches('/')
        )));
    }
    let request = request(&command::client()?, url, args, command::read(data)?)?;
    command::send(request, url, session.output()).await
}

fn request(
    client: &Client,
    url: &str,
    args: &Post,
    body: Vec<u8>,
) -> anyhow::Result<RequestBuilder> {
    let secret = |file: &PathBuf| SecretFile::new(file).read();
    let mut request = client.post(url);
    let typed = args.headers.iter().any(|(name, _)| name == "content-type");
    if !typed {
        request = request.header("content-type", "application/json");
    }
    for (name, value) in &args.headers {
        request = request.header(name, value);
    }
    if let Some((user, file)) = &args.basic {
        request = request.basic_auth(user, Some(secret(file)?.expose()));
    }
    if let Some(file) = &args.bearer_file {
        request = request.bearer_auth(secret(file)?.expose());
    }
    if let Some(file) = &args.hmac_secret_file {
        let signature = sign(&secret(file)?, &body);
        request = request.header(
            &args.hmac_header,
            format!("{}{signature}", args.hmac_prefix),
        );
    }
    Ok(request.body(body))
}

fn is_without_path(url: &str) -> bool {
    let parsed = reqwest::Url::parse(url);
    parsed.is_ok_and(|url| matches!(url.path(), "" | "/") && url.query().is_none())
}

fn sign(secret: &Secret, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let tag = hmac::sign(&key, body);
    tag.as_ref().iter().fold(String::new(), |mut hex, byte| {
        // Writing into a String cannot fail.
        write!(hex, "{byte:02x}").ok();
        hex
    })
}

fn user_and_file(text: &str) -> Result<(String, PathBuf), String> {
    text.split_once(':')
        .filter(|(user, file)| !user.is_empty() && !file.is_empty())
        .map(|(user, file)| (user.to_owned(), file.into()))
        .ok_or_else(|| "write USER:FILE; the file holds the password".to_owned())
}

impl Post {
    pub(super) fn is_wanted(&self) -> bool {
        self.to.is_some()
    }

    pub(super) fn is_sample(&self) -> bool {
        self.sample
    }

    /// The ingress's binary knows the samples, and how their senders sign.
    pub(super) fn sample(&self, session: &Session, source: &Slug) -> Failure {
        let mut own = vec!["--source".into(), source.to_string().into()];
        if let Some(to) = &self.to {
            own.extend(["--to".into(), to.into()]);
        }
        handover::run(Binary::Ingress, "sample", session.global(), own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    #[test]
    fn the_signature_is_hmac_sha256_in_hexadecimal() {
        let secret = Secret::from("Jefe".to_owned());
        assert_eq!(
            sign(&secret, b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn a_password_is_never_taken_from_the_command_line_itself() {
        assert_eq!(
            user_and_file("eso:./password"),
            Ok(("eso".to_owned(), "./password".into()))
        );
        for wrong in ["eso", "eso:", ":file"] {
            assert!(user_and_file(wrong).is_err(), "{wrong} was taken");
        }
    }
}
