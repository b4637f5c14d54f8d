//! Amazon Resource Names: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>.

use std::collections::BTreeMap;

/// `arn:partition:service:region:account:resource`.
pub(super) struct Arn<'a> {
    pub(super) text: &'a str,
    region: &'a str,
    account: &'a str,
    resource: &'a str,
}

impl<'a> Arn<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        match std::array::from_fn(|_| parts.next()) {
            [
                Some("arn"),
                Some(_),
                Some(_),
                Some(region),
                Some(account),
                Some(resource),
            ] => Some(Self {
                text,
                region,
                account,
                resource,
            }),
            _ => None,
        }
    }

    /// The ARN of a secret, and its name with and without the suffix. Nothing for another resource.
    ///
    /// Secrets Manager appends a hyphen and six letters or digits to the name:
    /// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html>.
    pub(super) fn of_secret(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let tailed = self.resource.strip_prefix("secret:");
        let name = tailed
            .and_then(|tailed| tailed.rsplit_once('-'))
            .filter(|(_, tail)| {
                tail.len() == 6 && tail.bytes().all(|letter| letter.is_ascii_alphanumeric())
            })
            .map(|(name, _)| name);
        let arn = tailed.map(|_| self.text);
        let names = tailed.into_iter().chain(name);
        arn.into_iter().chain(names.filter(|name| !name.is_empty()))
    }

    /// The account and the region; some resources have no region.
    pub(super) fn scope(&self) -> BTreeMap<String, String> {
        [("account", self.account), ("region", self.region)]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aliases(resource: &str) -> Vec<String> {
        let arn = format!("arn:aws:secretsmanager:us-west-2:012345678901:{resource}");
        let parsed = Arn::parse(&arn).unwrap();
        let mut aliases = parsed.of_secret();
        assert_eq!(
            aliases.next(),
            resource.starts_with("secret:").then_some(&*arn)
        );
        aliases.map(str::to_owned).collect()
    }

    #[test]
    fn exactly_one_tail_is_stripped() {
        assert_eq!(aliases("secret:db-a1b2c3"), ["db-a1b2c3", "db"]);
        assert_eq!(
            aliases("secret:db-abc123-a1b2c3"),
            ["db-abc123-a1b2c3", "db-abc123"]
        );
        assert_eq!(
            aliases("secret:prod/db:1-a1B2c3"),
            ["prod/db:1-a1B2c3", "prod/db:1"]
        );
    }

    #[test]
    fn what_is_no_tail_stays() {
        for name in [
            "db",
            "db-a1b2c",
            "db-a1b2c3d",
            "db-a1b_c3",
            "db-äb2c3",
            "a1b2c3",
        ] {
            assert_eq!(aliases(&format!("secret:{name}")), [name]);
        }
        assert_eq!(aliases("secret:-a1b2c3"), ["-a1b2c3"]);
    }

    #[test]
    fn what_is_no_secret_has_no_aliases() {
        assert_eq!(aliases("parameter/db-a1b2c3").len(), 0);
        for text in [
            "",
            "db",
            "arn:aws",
            "arn:aws:ssm:us-east-1:1",
            "a:b:c:d:e:f",
        ] {
            assert!(Arn::parse(text).is_none(), "{text}");
        }
    }
}
