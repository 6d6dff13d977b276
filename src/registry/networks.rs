//! The source networks a client may authenticate from, as people write them.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

/// Reads an address (`203.0.113.7`) or a network (`203.0.113.0/24`). IPv4-mapped IPv6 becomes IPv4, as it does when a
/// source address is looked at. An address within a network, with bits set beyond the prefix, is refused rather than
/// widened: whoever wrote it may have meant the one host.
pub(super) fn parse(text: &str) -> Result<IpNet, String> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse::<IpNet>().map_err(|_| {
            "must be an IP address or a network like 203.0.113.0/24 or 2001:db8::/32".to_owned()
        })?,
    };
    let network = folded(network);
    if network.addr() != network.network() {
        return Err(format!(
            "has bits set beyond its prefix: write {} for the network, or {} for the one address",
            network.trunc(),
            network.addr()
        ));
    }
    Ok(network)
}

/// `::ffff:a.b.c.d/96+n` as `a.b.c.d/n`.
fn folded(network: IpNet) -> IpNet {
    const MAPPED_BITS: u8 = 96;
    let IpNet::V6(v6) = network else { return network };
    let (Some(v4), Some(prefix)) =
        (Ipv6Addr::to_ipv4_mapped(&v6.addr()), v6.prefix_len().checked_sub(MAPPED_BITS))
    else {
        return network;
    };
    Ipv4Net::new(v4, prefix).map_or(network, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn addresses_networks_and_mapped_forms() {
        for (text, read) in [
            ("203.0.113.7", "203.0.113.7/32"),
            ("203.0.113.0/24", "203.0.113.0/24"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("::ffff:203.0.113.7", "203.0.113.7/32"),
            ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), read);
        }
        assert!(parse("203.0.113.7/24").unwrap_err().contains("203.0.113.0/24"));
        assert!(parse("::ffff:203.0.113.7/120").unwrap_err().contains("203.0.113.0/24"));
        for bad in [
            "",
            "localhost",
            "203.0.113",
            "203.0.113.0/33",
            "203.0.113.0/-1",
            "2001:db8::/129",
            "1.2.3.4 ",
            "fe80::1%eth0",
            "010.0.0.1",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
