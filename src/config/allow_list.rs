//! `outbound.allow`: the hosts and networks to which this service may send requests although they are not public.

use std::net::IpAddr;

use ipnet::IpNet;

use super::proxies::{fold_network, parse_network};

/// Networks and host names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowList {
    networks: Vec<IpNet>,
    /// In lower case, without a dot at the end.
    hosts: Vec<String>,
}

impl AllowList {
    /// Adds an entry.
    ///
    /// # Errors
    /// Why the entry is refused.
    pub(super) fn add(&mut self, entry: &str) -> Result<(), &'static str> {
        match parse_network(entry).map(fold_network) {
            Some(network) if network.prefix_len() == 0 => return Err("allows every address"),
            Some(network) => self.networks.push(network.trunc()),
            None if is_host_name(entry) => self.hosts.push(without_dot(entry).to_ascii_lowercase()),
            None => return Err("is not a network and not a host name"),
        }
        Ok(())
    }

    /// Whether this address is listed, itself or as part of a network. IPv4-mapped IPv6 is folded to IPv4.
    pub fn has_address(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// Whether this host is listed by its name. A listed name does not include its subdomains.
    pub fn has_host(&self, host: &str) -> bool {
        let host = without_dot(host);
        self.hosts.iter().any(|listed| listed.eq_ignore_ascii_case(host))
    }
}

fn without_dot(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

/// Whether a text is a host name (RFC 1123 §2.1). Underscores are accepted, since internal names often have them. A name whose
/// last label has only digits is refused: it would be an IP address.
fn is_host_name(text: &str) -> bool {
    let text = without_dot(text);
    let last = text.rsplit('.').next().unwrap_or_default();
    let plain = |label: &str| {
        let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte != b'-');
        label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            && edge(label.bytes().next())
            && edge(label.bytes().last())
    };
    text.len() <= 253 && text.split('.').all(plain) && !last.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(entries: &[&str]) -> AllowList {
        let mut list = AllowList::default();
        for entry in entries {
            list.add(entry).unwrap_or_else(|why| panic!("{entry} {why}"));
        }
        list
    }

    #[test]
    fn a_network_covers_its_addresses_and_a_host_name_only_itself() {
        let list =
            listed(&["10.0.0.0/8", "192.168.1.1", "fd00::/8", "::ffff:172.16.0.0/108", "Hooks.Internal."]);
        for (address, has) in [
            ("10.255.0.1", true),
            ("11.0.0.1", false),
            ("192.168.1.1", true),
            ("192.168.1.2", false),
            ("fd12::1", true),
            ("fe80::1", false),
            ("172.16.3.4", true),
            ("::ffff:10.0.0.1", true),
        ] {
            assert_eq!(list.has_address(address.parse().unwrap()), has, "{address}");
        }
        for (host, has) in [
            ("hooks.internal", true),
            ("HOOKS.internal.", true),
            ("a.hooks.internal", false),
            ("internal", false),
            ("hooks.internal.example.com", false),
        ] {
            assert_eq!(list.has_host(host), has, "{host}");
        }
    }

    #[test]
    fn entries_that_are_malformed_or_allow_everything_are_refused() {
        for (entry, reason) in [
            ("0.0.0.0/0", "every"),
            ("::/0", "every"),
            ("::ffff:0.0.0.0/96", "every"),
            ("10.0.0.0/33", "not a network"),
            ("https://hooks.internal", "not a network"),
            ("hooks.internal:443", "not a network"),
            ("*.internal", "not a network"),
            ("-a.internal", "not a network"),
            ("a..b", "not a network"),
            ("10.0.0", "not a network"),
            ("", "not a network"),
            (".", "not a network"),
        ] {
            let why = AllowList::default().add(entry).expect_err(entry);
            assert!(why.contains(reason), "{entry}: {why}");
        }
    }
}
