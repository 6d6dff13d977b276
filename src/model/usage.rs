//! How often clients got tokens and were refused, by hour and by day (UTC), and the networks that they were seen from.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::clock::UnixSeconds;
use super::refusal::Refusal;

/// The seconds of an hour.
pub const HOUR: i64 = 3_600;

/// The seconds of a day.
pub const DAY: i64 = 86_400;

/// The result of a request of a client, as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It got a token.
    Issued,
    /// It was refused.
    Refused(Refusal),
}

impl Outcome {
    /// The name in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Refused(refusal) => refusal.as_str(),
        }
    }

    /// The outcome of that name.
    pub fn named(name: &str) -> Option<Self> {
        if name == "issued" { Some(Self::Issued) } else { Refusal::named(name).map(Self::Refused) }
    }
}

/// What a client did on one day.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DayUsage {
    /// When the day begins.
    pub day: UnixSeconds,
    /// How many tokens it got.
    pub issued: i64,
    /// How often it was refused, by reason.
    pub refused: BTreeMap<&'static str, i64>,
}

/// A network that a client was seen from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenFrom {
    /// IPv4 /24 or IPv6 /48.
    pub network: String,
    /// When it last authenticated from there.
    pub last_seen_at: UnixSeconds,
}

/// The network of an address: IPv4 /24, IPv6 /48; IPv4-mapped IPv6 counts as IPv4.
pub fn network_of(source: IpAddr) -> IpNet {
    let source = source.to_canonical();
    let prefix = if source.is_ipv4() { 24 } else { 48 };
    IpNet::new(source, prefix).map_or(IpNet::from(source), |network| network.trunc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_24_bits_of_ipv4_or_48_of_ipv6() {
        for (source, network) in [
            ("203.0.113.7", "203.0.113.0/24"),
            ("::ffff:203.0.113.7", "203.0.113.0/24"),
            ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ] {
            assert_eq!(network_of(source.parse().unwrap()).to_string(), network);
        }
    }

    #[test]
    fn an_outcome_is_read_by_its_name() {
        assert_eq!(Outcome::named("issued"), Some(Outcome::Issued));
        assert_eq!(Outcome::named("wrong_secret").map(Outcome::as_str), Some(Refusal::WrongSecret.as_str()));
        assert_eq!(Outcome::named("other"), None);
    }
}
