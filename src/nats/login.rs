//! What proves to NATS who connects.

use anyhow::Context as _;
use async_nats::{Auth, AuthError};
use nkeys::KeyPair;

use crate::config::Secret;

/// One way to log in. Its secrets leave it only for the server, in an [`Auth`].
#[derive(Debug)]
pub(super) enum Login {
    User { name: String, password: Secret },
    Token(Secret),
    Nkey(Seed),
    Jwt { jwt: Secret, seed: Seed },
}

/// The seed of an nkey, which signs the server's nonce.
#[derive(Debug)]
pub(super) struct Seed(Secret);

impl Login {
    /// Of the text of a `.creds` file, as `nsc generate creds` writes it.
    pub(super) fn of_credentials(text: &str) -> anyhow::Result<Self> {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let mut blocks = lines.windows(3).filter_map(|lines| match lines {
            [begin, block, end] if is_fence(begin) && is_block(block) && is_fence(end) => {
                Some(*block)
            }
            _ => None,
        });
        let jwt = blocks.next().context("it has no JWT")?;
        let seed = blocks.next().context("it has no seed of an nkey")?;
        Ok(Self::Jwt {
            jwt: jwt.to_owned().into(),
            seed: Seed::parse(seed)?,
        })
    }

    /// What the server is told, which has sent this nonce.
    pub(super) fn answer(&self, nonce: &[u8]) -> Result<Auth, AuthError> {
        let mut auth = Auth::new();
        match self {
            Self::User { name, password } => {
                auth.username = Some(name.clone());
                auth.password = Some(password.expose().to_owned());
            }
            Self::Token(token) => auth.token = Some(token.expose().to_owned()),
            Self::Nkey(seed) => {
                let key = seed.key().map_err(AuthError::new)?;
                auth.nkey = Some(key.public_key());
                auth.signature = Some(key.sign(nonce).map_err(AuthError::new)?);
            }
            Self::Jwt { jwt, seed } => {
                let key = seed.key().map_err(AuthError::new)?;
                auth.jwt = Some(jwt.expose().to_owned());
                auth.signature = Some(key.sign(nonce).map_err(AuthError::new)?);
            }
        }
        Ok(auth)
    }

    /// The JWT, where there is one.
    pub(super) fn jwt(&self) -> Option<&str> {
        match self {
            Self::Jwt { jwt, .. } => Some(jwt.expose()),
            Self::User { .. } | Self::Token(_) | Self::Nkey(_) => None,
        }
    }
}

impl Seed {
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let seed = Self(text.trim().to_owned().into());
        seed.key()?;
        Ok(seed)
    }

    /// The error repeats nothing of it.
    fn key(&self) -> anyhow::Result<KeyPair> {
        KeyPair::from_seed(self.0.expose())
            .map_err(|_| anyhow::anyhow!("this is not the seed of an nkey"))
    }
}

/// `-----BEGIN NATS USER JWT-----`, whatever it names.
fn is_fence(line: &str) -> bool {
    line.starts_with("---") && line.ends_with("---")
}

fn is_block(line: &str) -> bool {
    let belongs = |letter: char| letter.is_ascii_alphanumeric() || "-_.=".contains(letter);
    !line.is_empty() && !is_fence(line) && line.chars().all(belongs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &[u8] = b"nonce";

    fn credentials(seed: &str) -> String {
        format!(
            "-----BEGIN NATS USER JWT-----\na.b.c-d_\n------END NATS USER JWT------\n\n\
             ************************* IMPORTANT *************************\n\
             NKEY Seed printed below can be used to sign and prove identity.\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n\n\
             *************************************************************\n"
        )
    }

    #[test]
    fn a_credentials_file_has_a_jwt_and_signs_the_nonce() {
        let user = KeyPair::new_user();
        let text = credentials(&user.seed().unwrap());
        for text in [text.replace('\n', "\r\n"), text] {
            let login = Login::of_credentials(&text).unwrap();
            assert_eq!(login.jwt(), Some("a.b.c-d_"));
            let auth = login.answer(NONCE).unwrap();
            assert_eq!(auth.jwt.as_deref(), Some("a.b.c-d_"));
            user.verify(NONCE, &auth.signature.unwrap()).unwrap();
            assert_eq!((auth.nkey, auth.username, auth.token), (None, None, None));
        }
    }

    #[test]
    fn a_half_written_credentials_file_is_none_and_its_error_repeats_nothing_of_it() {
        let seed = KeyPair::new_user().seed().unwrap();
        let whole = credentials(&seed);
        // Until the line after the seed has begun.
        let end = whole.find("------END USER").unwrap() + "--".len();
        for length in 0..=end {
            let error = Login::of_credentials(&whole[..length]).unwrap_err();
            let error = format!("{error:?}");
            assert!(
                !error.contains("a.b") && !error.contains(&seed[..4]),
                "{error}"
            );
        }
        let other = whole.replace(&seed, &seed[..seed.len() - 1]);
        let error = Login::of_credentials(&other).unwrap_err();
        assert_eq!(format!("{error:#}"), "this is not the seed of an nkey");
    }

    #[test]
    fn an_nkey_signs_the_nonce_and_names_its_public_key() {
        let user = KeyPair::new_user();
        let seed = format!(" {}\n", user.seed().unwrap());
        let auth = Login::Nkey(Seed::parse(&seed).unwrap())
            .answer(NONCE)
            .unwrap();
        assert_eq!(auth.nkey, Some(user.public_key()));
        user.verify(NONCE, &auth.signature.unwrap()).unwrap();
        Seed::parse("SU").unwrap_err();
    }

    #[test]
    fn secrets_are_not_shown() {
        let secret = || Secret::from("hunter2".to_owned());
        let seed = KeyPair::new_user().seed().unwrap();
        for login in [
            Login::Token(secret()),
            Login::User {
                name: "eso".to_owned(),
                password: secret(),
            },
            Login::of_credentials(&credentials(&seed)).unwrap(),
        ] {
            let shown = format!("{login:?}");
            let hidden = ["hunter2", "a.b.c", &seed];
            assert!(hidden.iter().all(|it| !shown.contains(it)), "{shown}");
        }
    }
}
