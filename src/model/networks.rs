//! The source networks that a client may authenticate from, in the notations that are accepted.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

/// Reads an address (`203.0.113.7`) or a network (`203.0.113.0/24`) in its canonical form: bits beyond the prefix
/// cleared, and IPv4-mapped IPv6 as IPv4, as for source addresses.
pub(crate) fn parse(text: &str) -> Result<IpNet, String> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse::<IpNet>().map_err(|_| {
            "must be an IP address or a network like 203.0.113.0/24 or 2001:db8::/32".to_owned()
        })?,
    };
    Ok(folded(network.trunc()).trunc())
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
    fn addresses_and_networks_are_read_in_canonical_form_and_other_texts_are_refused() {
        for (text, read) in [
            ("203.0.113.7", "203.0.113.7/32"),
            ("203.0.113.0/24", "203.0.113.0/24"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("::ffff:203.0.113.7", "203.0.113.7/32"),
            ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
            ("203.0.113.7/24", "203.0.113.0/24"),
            ("::ffff:203.0.113.7/120", "203.0.113.0/24"),
            ("::ffff:203.0.113.7/64", "::/64"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), read);
        }
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
