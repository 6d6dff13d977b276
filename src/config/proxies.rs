//! The address of the client behind trusted proxies: which entry of `X-Forwarded-For` it is, for `allowed_ips` and the log.
//!
//! Each proxy appends the address that called it, so the list is read from the right, and only as long as the entries are
//! trusted proxies. What a client writes into the header itself is further left and is never used. An entry
//! that cannot be read makes the address unknown: the proxy that wrote it is not the client. `Forwarded` (RFC 7239) is not
//! read, since a proxy that does not set it passes on what the client wrote.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;

/// The networks whose `X-Forwarded-For` is trusted (`server.trusted_proxies`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Trusts the proxies in `networks`. IPv4-mapped IPv6 networks are folded, as addresses are.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self(networks.into_iter().map(fold_network).collect())
    }

    /// Whether no proxy is trusted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The address a request came from: `peer` unless that is a trusted proxy; otherwise, from the right end of
    /// `X-Forwarded-For` (the values of all its header lines, in order of appearance), the first address that is not
    /// a trusted proxy, or the leftmost one if all are. `None`, the unknown address, if an entry on the way is not an address,
    /// such as an empty one or `unknown`. IPv4-mapped IPv6 is folded to IPv4.
    pub fn client_ip<'a>(
        &self,
        peer: IpAddr,
        forwarded_for: impl Iterator<Item = &'a [u8]>,
    ) -> Option<IpAddr> {
        let mut client = peer.to_canonical();
        if !self.trusts(client) {
            return Some(client);
        }
        let lines: Vec<&[u8]> = forwarded_for.collect();
        for entry in lines.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b',')) {
            client = parse_hop(entry)?;
            if !self.trusts(client) {
                break;
            }
        }
        Some(client)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// A network as people write it: `10.0.0.0/8`, `2001:db8::/32`, or one address.
pub(super) fn parse_network(text: &str) -> Option<IpNet> {
    IpNet::from_str(text).ok().or_else(|| IpAddr::from_str(text).ok().map(IpNet::from))
}

/// An IPv4-mapped IPv6 network as the IPv4 network it is.
pub(super) fn fold_network(network: IpNet) -> IpNet {
    match network {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => match v6.addr().to_ipv4_mapped() {
            Some(v4) => IpNet::new(v4.into(), v6.prefix_len() - 96).unwrap_or(network),
            None => network,
        },
        _ => network,
    }
}

/// An entry of the header: an address, which some proxies write with a port or, for IPv6, in brackets.
fn parse_hop(entry: &[u8]) -> Option<IpAddr> {
    let entry = std::str::from_utf8(entry).ok()?.trim_matches([' ', '\t']);
    let unbracketed = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = match unbracketed {
        Some(v6) => IpAddr::V6(v6.parse().ok()?),
        None => entry.parse().ok().or_else(|| entry.parse::<SocketAddr>().ok().map(|socket| socket.ip()))?,
    };
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_of(trusted: &[&str], peer: &str, lines: &[&[u8]]) -> Option<String> {
        let proxies = TrustedProxies::new(trusted.iter().map(|text| parse_network(text).unwrap()));
        proxies.client_ip(peer.parse().unwrap(), lines.iter().copied()).map(|ip| ip.to_string())
    }

    fn client(trusted: &[&str], peer: &str, lines: &[&str]) -> String {
        let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        client_of(trusted, peer, &lines).unwrap()
    }

    #[test]
    fn an_untrusted_peer_is_the_client_whatever_it_claims() {
        assert_eq!(client(&[], "192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(client(&["10.0.0.0/8"], "192.0.2.1", &["10.0.0.1, 203.0.113.9"]), "192.0.2.1");
    }

    #[test]
    fn the_walk_ends_at_the_first_hop_that_is_not_a_trusted_proxy() {
        let ours = &["10.0.0.0/8", "2001:db8::7"];
        assert_eq!(client(ours, "10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client(ours, "10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(client(ours, "10.0.0.1", &["203.0.113.9, 10.0.0.2"]), "203.0.113.9");
        assert_eq!(client(ours, "2001:db8::7", &["203.0.113.9,10.0.0.2"]), "203.0.113.9");
        // What the client sent itself is further left.
        assert_eq!(client(ours, "10.0.0.1", &["127.0.0.1, 198.51.100.2, 10.0.0.2"]), "198.51.100.2");
        // Several header lines are one list.
        assert_eq!(
            client(ours, "10.0.0.1", &["127.0.0.1", "198.51.100.2", "10.0.0.2, 10.0.0.3"]),
            "198.51.100.2"
        );
        // Only trusted proxies: the far end of the chain.
        assert_eq!(client(ours, "10.0.0.1", &["10.0.0.4, 10.0.0.2"]), "10.0.0.4");
    }

    #[test]
    fn an_entry_that_cannot_be_read_leaves_the_address_unknown() {
        let ours = &["10.0.0.0/8"];
        for bad in [
            &b""[..],
            b" ",
            b"unknown",
            b"_hidden",
            b"203.0.113.9/32",
            b"203.0.113.9 x",
            b"[203.0.113.9]",
            // 203.0.113.9 in hexadecimal.
            b"0xCB007109",
            b"010.0.0.1",
            b"fe80::1%eth0",
            b"\"203.0.113.9\"",
            b"for=203.0.113.9",
            b"203.0.113.9\xff",
            "ä".as_bytes(),
        ] {
            let alone: &[&[u8]] = &[bad];
            let last = [b"203.0.113.9, ", bad].concat();
            let behind_a_proxy = [b"203.0.113.9, ", bad, b", 10.0.0.2"].concat();
            for lines in [alone, &[&last], &[&behind_a_proxy], &[b"203.0.113.9", bad], &[bad, b"10.0.0.2"]] {
                assert_eq!(client_of(ours, "10.0.0.1", lines), None, "{lines:?}");
            }
            // To the left of the client's address is what the client wrote.
            let further_left = [bad, b", 203.0.113.9"].concat();
            assert_eq!(client_of(ours, "10.0.0.1", &[&further_left]).as_deref(), Some("203.0.113.9"));
            // A peer that is not a trusted proxy is the client itself.
            assert_eq!(client_of(ours, "192.0.2.1", alone).as_deref(), Some("192.0.2.1"));
        }
    }

    #[test]
    fn an_invalid_byte_from_the_client_does_not_hide_the_address_that_the_proxy_wrote() {
        let ours = &["10.0.0.0/8"];
        assert_eq!(client_of(ours, "10.0.0.1", &[b"\xff, 203.0.113.9"]).as_deref(), Some("203.0.113.9"));
        assert_eq!(client_of(ours, "10.0.0.1", &[b"\x80", b"203.0.113.9"]).as_deref(), Some("203.0.113.9"));
    }

    #[test]
    fn ports_brackets_and_mapped_addresses_are_read() {
        let ours = &["10.0.0.0/8"];
        assert_eq!(client(ours, "10.0.0.1", &["203.0.113.9:4711"]), "203.0.113.9");
        assert_eq!(client(ours, "10.0.0.1", &["[2001:db8::1]"]), "2001:db8::1");
        assert_eq!(client(ours, "10.0.0.1", &["[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(client(ours, "::ffff:10.0.0.1", &["::ffff:203.0.113.9, ::ffff:10.0.0.2"]), "203.0.113.9");
        assert_eq!(client(&["::ffff:10.0.0.0/104"], "10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(client(&[], "::ffff:203.0.113.9", &[]), "203.0.113.9");
    }
}
