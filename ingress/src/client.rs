//! The client of a request: the address of the connection, or the one that a trusted proxy names.

use std::{
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
    sync::Arc,
};

use http::HeaderMap;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Addresses with the same first bits, written `10.0.0.0/8`; one address alone is written as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Network(IpNet);

/// The text is not a [`Network`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a network: write it as 10.0.0.0/8 or fd00::/8, or a single address")]
pub struct InvalidNetwork(String);

/// The address of the other end of a connection.
#[derive(Debug)]
pub(crate) struct Client {
    peer: IpAddr,
    /// Their headers are trusted to name the client.
    proxies: Arc<[Network]>,
    is_proxy: bool,
}

/// An address as the unit of counting: for IPv6 the /64, which providers assign as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Peer(IpAddr);

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let network = text.parse().or_else(|_| text.parse().map(IpAddr::into));
        network
            .map(Self)
            .map_err(|_| InvalidNetwork(text.to_owned()))
    }
}

impl TryFrom<String> for Network {
    type Error = InvalidNetwork;

    fn try_from(text: String) -> Result<Self, InvalidNetwork> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.0.to_string()
    }
}

impl Client {
    pub(crate) fn new(peer: IpAddr, proxies: Arc<[Network]>) -> Self {
        let peer = peer.to_canonical();
        Self {
            peer,
            is_proxy: proxies.iter().any(|proxy| proxy.contains(peer)),
            proxies,
        }
    }

    /// The peer of the connection, not a client behind a proxy.
    pub(crate) fn peer(&self) -> Peer {
        Peer::of(self.peer)
    }

    /// The connection comes from a trusted proxy.
    pub(crate) fn is_proxy(&self) -> bool {
        self.is_proxy
    }

    /// The last address in `X-Forwarded-For`, or without it in `Forwarded` (RFC 7239), that is not a trusted
    /// proxy: the client itself can write whatever precedes it.
    pub(crate) fn address(&self, headers: &HeaderMap) -> IpAddr {
        if !self.is_proxy {
            return self.peer;
        }
        let mut nearest = self.peer;
        for hop in hops(headers) {
            // Unknown or obfuscated (RFC 7239 §6): the proxy that wrote it is the nearest known address.
            let Some(hop) = hop else { break };
            nearest = hop;
            if !self.proxies.iter().any(|proxy| proxy.contains(hop)) {
                break;
            }
        }
        nearest
    }
}

impl Peer {
    pub(crate) fn of(address: IpAddr) -> Self {
        Self(match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        })
    }
}

/// The addresses in the headers, the nearest first.
fn hops(headers: &HeaderMap) -> Box<dyn Iterator<Item = Option<IpAddr>> + '_> {
    let elements = |name: &'static str| {
        let lines = headers.get_all(name).iter().rev();
        lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','))
    };
    if headers.contains_key("x-forwarded-for") {
        Box::new(elements("x-forwarded-for").map(|text| address(text.trim())))
    } else {
        Box::new(elements("forwarded").map(forwarded_for))
    }
}

/// `for=192.0.2.60;proto=http`, `For="[2001:db8:cafe::17]:4711"`
fn forwarded_for(element: &str) -> Option<IpAddr> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let is_for = name.trim().eq_ignore_ascii_case("for");
        is_for.then(|| address(value.trim().trim_matches('"')))?
    })
}

/// With or without a port, which some proxies add.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| Some(text.split_once(']')?.0))
        .unwrap_or(text);
    let address = bare.parse().ok().or_else(|| {
        let (address, port) = text.rsplit_once(':')?;
        port.parse::<u16>().ok()?;
        address.parse().ok()
    });
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn client(peer: &str, proxies: &[&str]) -> Client {
        let proxies = proxies.iter().map(|it| it.parse().unwrap()).collect();
        Client::new(peer.parse().unwrap(), proxies)
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let lines = lines
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        lines
            .collect::<Vec<(http::HeaderName, http::HeaderValue)>>()
            .into_iter()
            .fold(HeaderMap::new(), |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            })
    }

    #[test]
    fn networks_are_written_as_people_do() {
        for (text, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("0.0.0.0/0", "203.0.113.9", "::1"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("::/0", "2001:db8::1", "10.0.0.1"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
        ] {
            let network: Network = text.parse().unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{text}");
            assert!(!network.contains(outside.parse().unwrap()), "{text}");
        }
        for wrong in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "a/8",
            "10.0.0.0/-1",
            "10.0.0.0/",
        ] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_stranger_cannot_say_who_it_is() {
        let forged = headers(&[
            ("x-forwarded-for", "192.0.2.1"),
            ("forwarded", "for=192.0.2.1"),
        ]);
        for proxies in [&[][..], &["10.0.0.0/8"][..]] {
            let client = client("203.0.113.5", proxies);
            assert_eq!(client.address(&forged).to_string(), "203.0.113.5");
        }
    }

    #[test]
    fn of_trusted_proxies_the_nearest_stranger_counts() {
        let client = client("::ffff:10.0.0.1", &["10.0.0.0/8"]);
        for (lines, expected) in [
            (vec![], "10.0.0.1"),
            (
                vec![("x-forwarded-for", "192.0.2.1, 203.0.113.9")],
                "203.0.113.9",
            ),
            (
                vec![("x-forwarded-for", "192.0.2.1, 203.0.113.9, 10.9.9.9")],
                "203.0.113.9",
            ),
            (
                vec![
                    ("x-forwarded-for", "192.0.2.1"),
                    ("x-forwarded-for", "203.0.113.9"),
                ],
                "203.0.113.9",
            ),
            (
                vec![("x-forwarded-for", "192.0.2.1, unknown, 10.9.9.9")],
                "10.9.9.9",
            ),
            (vec![("x-forwarded-for", "10.1.1.1, 10.9.9.9")], "10.1.1.1"),
            (vec![("x-forwarded-for", "203.0.113.9:4711")], "203.0.113.9"),
            (
                vec![("x-forwarded-for", "[2001:db8::7]:4711")],
                "2001:db8::7",
            ),
            (vec![("x-forwarded-for", "2001:db8::7")], "2001:db8::7"),
            (vec![("x-forwarded-for", "")], "10.0.0.1"),
            (
                vec![(
                    "forwarded",
                    "for=192.0.2.1, For=\"[2001:db8::7]:80\";proto=https",
                )],
                "2001:db8::7",
            ),
            (vec![("forwarded", "for=_hidden")], "10.0.0.1"),
            (
                vec![
                    ("forwarded", "for=192.0.2.1"),
                    ("x-forwarded-for", "203.0.113.9"),
                ],
                "203.0.113.9",
            ),
        ] {
            let found = client.address(&headers(&lines));
            assert_eq!(found.to_string(), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_network_of_ipv6_is_one_peer() {
        let peer = |text: &str| client(text, &[]).peer();
        assert_eq!(peer("2001:db8::1"), peer("2001:db8::ffff:1"));
        assert_ne!(peer("2001:db8::1"), peer("2001:db8:0:1::1"));
        assert_eq!(peer("::ffff:192.0.2.1"), peer("192.0.2.1"));
        assert_ne!(peer("192.0.2.1"), peer("192.0.2.2"));
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(text in "\\PC{0,60}", odd in "[\\[\\]:,;=\"0-9a-f. ]{0,60}") {
            let client = client("10.0.0.1", &["10.0.0.0/8"]);
            for text in [text, odd] {
                for name in ["x-forwarded-for", "forwarded"] {
                    let mut headers = HeaderMap::new();
                    if let Ok(value) = text.parse() {
                        headers.insert(name, value);
                    }
                    client.address(&headers);
                }
            }
        }
    }
}
