//! A payload by hand to an ingress, and what it answers.

use std::{fmt, time::Duration};

use anyhow::Context as _;
use reqwest::{
    Client, RequestBuilder, StatusCode,
    header::{HeaderName, HeaderValue},
};
use serde::Serialize;

use super::{Failure, Output};

const PATIENCE: Duration = Duration::from_secs(30);

/// What a server answered.
#[derive(Debug, Serialize)]
pub struct Answer {
    status: u16,
    /// JSON where the answer is JSON, else text.
    answer: serde_json::Value,
}

pub fn client() -> reqwest::Result<Client> {
    crate::nats::install_crypto();
    Client::builder().timeout(PATIENCE).build()
}

/// Sends, and prints the answer. Any but success is a failure. `url`: for messages.
pub async fn send(request: RequestBuilder, url: &str, output: Output) -> Result<(), Failure> {
    // Never with its own URL: a query may hold a secret.
    let sent = request.send().await.map_err(reqwest::Error::without_url);
    let answer = sent.with_context(|| format!("cannot POST to {url}"))?;
    let status = answer.status();
    let text = answer.text().await.map_err(reqwest::Error::without_url);
    let text = text.context("the answer broke off")?;
    output.print(&Answer::of(status, text))?;
    if status.is_success() {
        Ok(())
    } else {
        Err(anyhow::anyhow!("the ingress answered {status}").into())
    }
}

/// `Name: value`, as an option of the command line.
pub fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let wrong = || "write `Name: value`".to_owned();
    let (name, value) = text.split_once(':').ok_or_else(wrong)?;
    let name = name.trim().parse().map_err(|_| wrong())?;
    Ok((name, value.trim().parse().map_err(|_| wrong())?))
}

impl Answer {
    fn of(status: StatusCode, text: String) -> Self {
        Self {
            status: status.as_u16(),
            answer: serde_json::from_str(&text).unwrap_or(text.into()),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.answer {
            serde_json::Value::String(text) => writeln!(f, "{} {}", self.status, text.trim_end()),
            json => writeln!(f, "{} {json}", self.status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_name_a_colon_and_a_value() {
        let (name, value) = header("X-Kind:  a: b ").unwrap();
        assert_eq!((name.as_str(), value.as_bytes()), ("x-kind", &b"a: b"[..]));
        for wrong in ["", "x", "x y: z", ": z", "x: a\nb"] {
            assert!(header(wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn an_answer_is_shown_with_its_status() {
        let shown = |text: &str| Answer::of(StatusCode::ACCEPTED, text.to_owned()).to_string();
        assert_eq!(shown(r#"{"accepted": []}"#), "202 {\"accepted\":[]}\n");
        assert_eq!(shown("no JSON\n"), "202 no JSON\n");
    }
}
