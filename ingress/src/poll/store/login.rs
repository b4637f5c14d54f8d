//! The token: read from a file, or asked of the store, which lends it for a time.

use std::time::Duration;

use eso_relay::config::{Secret, in_time};
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Fault, Store};
use crate::poll::{config::PollAuthConfig, metrics::Failure};

/// A token and when to see to the next one.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) secret: Secret,
    /// Tells it from the one before.
    pub(super) generation: u64,
    /// At two thirds of its time. `None`: it does not expire, or somebody else renews it.
    due: Option<Instant>,
    renewable: bool,
}

/// What is known of the login between requests.
#[derive(Default)]
pub(super) struct Session {
    token: Option<Token>,
    generation: u64,
    /// This pass has logged in for a 403 already: what is denied after that, is.
    again: bool,
}

#[derive(Deserialize)]
struct Answer {
    auth: Lent,
}

#[derive(Deserialize)]
struct Lent {
    client_token: String,
    /// In seconds; 0 for ever.
    #[serde(default)]
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
}

#[derive(Serialize)]
struct ByJwt<'a> {
    role: &'a str,
    jwt: &'a str,
}

#[derive(Serialize)]
struct ByAppRole<'a> {
    role_id: &'a str,
    secret_id: &'a str,
}

impl Store {
    /// A new pass: a token file is read again, and a 403 may log in once more.
    pub(in crate::poll) async fn new_pass(&self) {
        let mut session = self.session.lock().await;
        session.again = false;
        if matches!(self.auth, PollAuthConfig::TokenFile(_)) {
            session.token = None;
        }
    }

    pub(super) async fn token(&self) -> Result<Token, Fault> {
        let mut session = self.session.lock().await;
        if let Some(token) = session.token.clone() {
            if token.due.is_none_or(|due| Instant::now() < due) {
                return Ok(token);
            }
            if token.renewable
                && let Some(renewed) = self.renew(&token).await
            {
                session.token = Some(renewed.clone());
                return Ok(renewed);
            }
        }
        self.login(&mut session).await
    }

    /// Another token than the one that was denied; `None`: this pass has tried that already.
    pub(super) async fn token_after(&self, denied: &Token) -> Result<Option<Token>, Fault> {
        let mut session = self.session.lock().await;
        if let Some(token) = &session.token
            && token.generation != denied.generation
        {
            return Ok(Some(token.clone()));
        }
        if std::mem::replace(&mut session.again, true) {
            return Ok(None);
        }
        self.login(&mut session).await.map(Some)
    }

    async fn login(&self, session: &mut Session) -> Result<Token, Fault> {
        session.token = None;
        let file = self.auth.file().clone();
        let proof = in_time("`polls[].auth`", move || file.read()).await;
        let proof = proof.and_then(|read| Ok(read?));
        let proof = proof.map_err(|error| refused(format!("{error:#}")))?;
        session.generation += 1;
        let generation = session.generation;
        let token = match &self.auth {
            PollAuthConfig::TokenFile(_) => Token {
                secret: proof,
                generation,
                due: None,
                renewable: false,
            },
            PollAuthConfig::Kubernetes(login) => {
                let (role, jwt) = (login.role.as_str(), proof.expose());
                let lent = self.lend(&login.path, &ByJwt { role, jwt }).await?;
                token(lent, generation)
            }
            PollAuthConfig::Jwt(login) => {
                let (role, jwt) = (login.role.as_str(), proof.expose());
                let lent = self.lend(&login.path, &ByJwt { role, jwt }).await?;
                token(lent, generation)
            }
            PollAuthConfig::Approle(login) => {
                let (role_id, secret_id) = (login.role_id.as_str(), proof.expose());
                let body = ByAppRole { role_id, secret_id };
                token(self.lend(&login.path, &body).await?, generation)
            }
        };
        session.token = Some(token.clone());
        Ok(token)
    }

    /// `POST auth/PATH/login`
    async fn lend(&self, path: &str, body: &impl Serialize) -> Result<Lent, Fault> {
        let parts = ["auth"].into_iter().chain(path.split('/')).chain(["login"]);
        let parts = parts.filter(|part| !part.is_empty());
        let request = self.request(Method::POST, self.url(parts), None).json(body);
        let (status, body) = self.send(request).await?;
        if status != StatusCode::OK {
            let status = status.as_u16();
            return Err(refused(format!(
                "the login is answered with status {status} (setting `auth`)"
            )));
        }
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|_| refused("the answer of the login is none of this API".to_owned()))?;
        Ok(answer.auth)
    }

    /// `POST auth/token/renew-self`. `None`: log in.
    async fn renew(&self, held: &Token) -> Option<Token> {
        let parts = ["auth", "token", "renew-self"].into_iter();
        let request = self.request(Method::POST, self.url(parts), Some(&held.secret));
        let (status, body) = self.send(request.json(&serde_json::json!({}))).await.ok()?;
        if status != StatusCode::OK {
            return None;
        }
        let answer: Answer = serde_json::from_slice(&body).ok()?;
        // At the end of its longest time it is renewed for less and less.
        let worth_it = answer.auth.lease_duration > 1;
        worth_it.then(|| token(answer.auth, held.generation))
    }
}

fn token(lent: Lent, generation: u64) -> Token {
    let time = Duration::from_secs(lent.lease_duration);
    let due = (!time.is_zero()).then(|| Instant::now().checked_add(time * 2 / 3));
    Token {
        secret: lent.client_token.into(),
        generation,
        due: due.flatten(),
        renewable: lent.renewable,
    }
}

fn refused(problem: String) -> Fault {
    Fault {
        reason: Failure::Denied,
        problem,
        retry_after: None,
    }
}
