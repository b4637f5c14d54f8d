//! What is promised of every scheme with a secret.

use std::{env, fs, process};

use eso_relay_ingress::verify::{Request, Scheme};
use serde_json::Value;

use crate::{Input, NOW, block_on, scheme};

pub struct Verifier {
    scheme: Scheme,
    secret: String,
    /// Secret and body → the head of a rightful request.
    right: fn(&str, &[u8]) -> String,
}

impl Verifier {
    /// `config`: whose only list of files is empty; it gets the file of a secret that is new in each
    /// process, so that no input can have learnt it.
    pub fn of(mut config: Value, right: fn(&str, &[u8]) -> String) -> Self {
        let secret = format!(
            "whsec_{:032x}{:032x}",
            fastrand::u128(..),
            fastrand::u128(..)
        );
        let path = env::temp_dir().join(format!("eso-relay-fuzz-{}", process::id()));
        fs::write(&path, &secret).expect("a secret file");
        let settings = config.as_object_mut().expect("a scheme").values_mut();
        for files in
            settings.flat_map(|scheme| scheme.as_object_mut().expect("settings").values_mut())
        {
            if files.is_array() {
                *files = Value::from(path.to_str().expect("a path in UTF-8"));
            }
        }
        let scheme = scheme(config);
        fs::remove_file(&path).ok();
        Self {
            scheme,
            secret,
            right,
        }
    }

    pub fn keeps_its_promises(&self, input: &[u8]) {
        let stranger = Input::read(input, "");
        assert!(
            !self.believes(&stranger),
            "who does not know the secret was let in"
        );

        let head = (self.right)(&self.secret, stranger.body);
        let mut right = Input::of(head.as_bytes(), stranger.body);
        assert!(self.believes(&right), "who knows the secret was not let in");

        let signs_the_body = (self.right)(&self.secret, b"") != (self.right)(&self.secret, b"x");
        let longer = [stranger.body, b"x"].concat();
        let replayed = Input::of(head.as_bytes(), &longer);
        assert_eq!(self.believes(&replayed), !signs_the_body, "another body");

        let twice = right
            .headers
            .keys()
            .any(|name| stranger.headers.contains_key(name));
        for (name, value) in &stranger.headers {
            right.headers.append(name, value.clone());
        }
        assert!(
            !twice || !self.believes(&right),
            "a repeated header was taken"
        );
    }

    fn believes(&self, input: &Input<'_>) -> bool {
        let request = Request {
            headers: &input.headers,
            query: input.query,
            certificate: None,
            now: NOW,
        };
        let body = input.body.to_vec().into();
        block_on(async { self.scheme.admit(&request).await?.verify(body).await }).is_ok()
    }
}
