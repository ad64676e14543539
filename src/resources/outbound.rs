//! Where HTTP requests of jobs may go.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where HTTP requests of jobs may go. The default is everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundRules {
    /// Host names in lower case; `*.example.com` matches every name below it. `None`: any.
    pub hosts: Option<Vec<Box<str>>>,
    /// Whether addresses outside the public internet are allowed.
    pub private_addresses: bool,
}

impl Default for OutboundRules {
    fn default() -> Self {
        Self {
            hosts: None,
            private_addresses: true,
        }
    }
}

impl OutboundRules {
    /// Whether a host name is allowed, regardless of its addresses. IPv6 addresses may have brackets.
    #[must_use]
    pub fn admits_host(&self, host: &str) -> bool {
        let Some(hosts) = &self.hosts else {
            return true;
        };
        let bare = normalize_host(host).to_ascii_lowercase();
        hosts.iter().any(|known| match known.strip_prefix("*.") {
            Some(parent) => bare
                .strip_suffix(parent)
                .is_some_and(|below| below.len() > 1 && below.ends_with('.')),
            None => **known == *bare,
        })
    }

    /// Whether connecting to an address is allowed.
    #[must_use]
    pub fn admits_address(&self, address: IpAddr) -> bool {
        self.private_addresses || is_public(address)
    }

    /// The same for a host that may be an IP address. Host names pass, since their addresses are checked on resolution.
    #[must_use]
    pub fn admits_literal(&self, host: &str) -> bool {
        normalize_host(host)
            .parse()
            .map_or(true, |address| self.admits_address(address))
    }
}

/// A host without brackets and without the trailing dot of a fully qualified name.
fn normalize_host(host: &str) -> &str {
    let host = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    host.strip_suffix('.').unwrap_or(host)
}

/// Whether an address belongs to the public internet.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let reserved = matches!(
        (a, b, c),
        // This host; carrier-grade NAT; IETF protocol assignments; benchmarking.
        (0, ..) | (100, 64..=127, _) | (192, 0, 0) | (198, 18..=19, _)
        // Former 6to4 relays; reserved, including broadcast.
        | (192, 88, 99) | (240..=255, ..)
    );
    !(reserved
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation())
}

/// Global unicast only, without addresses that embed an IPv4 address which is not public.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // IPv4-mapped.
        [0, 0, 0, 0, 0, 0xffff, high, low] => v4(high, low),
        // NAT64.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        // 6to4.
        [0x2002, high, low, ..] => v4(high, low),
        // IETF protocol assignments 2001::/23 (Teredo, benchmarking, ORCHID); documentation.
        [0x2001, 0..=0x01ff, ..] | [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => false,
        [0x2000..=0x3fff, ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(hosts: &[&str]) -> OutboundRules {
        OutboundRules {
            hosts: Some(hosts.iter().map(|host| (*host).into()).collect()),
            ..OutboundRules::default()
        }
    }

    #[test]
    fn hosts_are_matched_by_their_whole_name() {
        let outbound = only(&["api.example.com", "*.cdn.example.com", "127.0.0.1", "::1"]);
        for host in [
            "api.example.com",
            "API.Example.com",
            "api.example.com.",
            "a.cdn.example.com",
            "a.b.cdn.example.com",
            "127.0.0.1",
            "[::1]",
        ] {
            assert!(outbound.admits_host(host), "{host}");
        }
        for host in [
            "example.com",
            "x.api.example.com",
            "evilapi.example.com",
            "cdn.example.com",
            ".cdn.example.com",
            "evilcdn.example.com",
            "api.example.com.evil.test",
            "127.0.0.2",
            "",
        ] {
            assert!(!outbound.admits_host(host), "{host}");
        }
        assert!(!only(&[]).admits_host("api.example.com"));
        assert!(OutboundRules::default().admits_host("anything.at.all"));
    }

    const PRIVATE: [&str; 33] = [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.127.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2001::1",
        "2001:db8::1",
        "fc00::1",
        "fd12::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ];

    const PUBLIC: [&str; 10] = [
        "1.1.1.1",
        "172.32.0.1",
        "100.128.0.1",
        "192.0.1.1",
        "198.20.0.1",
        "2606:4700::1111",
        "2a00::1",
        "::ffff:1.1.1.1",
        "64:ff9b::1.1.1.1",
        "2002:101:101::",
    ];

    #[test]
    fn public_addresses_are_distinguished_from_private_ones() {
        let outbound = OutboundRules {
            private_addresses: false,
            ..OutboundRules::default()
        };
        for address in PRIVATE {
            assert!(!outbound.admits_address(address.parse().unwrap()), "{address}");
            assert!(!outbound.admits_literal(&format!("[{address}]")), "{address}");
            assert!(OutboundRules::default().admits_address(address.parse().unwrap()));
        }
        for address in PUBLIC {
            assert!(outbound.admits_address(address.parse().unwrap()), "{address}");
        }
        assert!(
            outbound.admits_literal("localhost"),
            "a name is the resolver's business"
        );
    }
}
