//! What clients are told: the addresses that the listeners really have.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::api::Urls;
use crate::config::{Config, Tls};

/// The public URLs: as configured, or from where the listeners are.
pub(super) fn public_urls(config: &Config, s3: SocketAddr, soap: SocketAddr) -> Urls {
    let told = |url: &Option<String>, tls: &Tls, at: SocketAddr| {
        url.clone().unwrap_or_else(|| format!("{}://{}", tls.scheme(), reachable(at)))
    };
    Urls {
        s3: told(&config.s3.public_url, &config.s3.tls, s3),
        soap: told(&config.soap.public_url, &config.soap.tls, soap),
    }
}

/// The address itself; for one that means "all", the machine's first that is not loopback.
pub(super) fn reachable(listener: SocketAddr) -> SocketAddr {
    if !listener.ip().is_unspecified() {
        return listener;
    }
    let ip = routed().or_else(local).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    SocketAddr::new(ip, listener.port())
}

/// The address that the default route goes out from. Connecting a UDP socket sends nothing.
fn routed() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // TEST-NET-2: an address that is nobody's.
    socket.connect((Ipv4Addr::new(198, 51, 100, 1), 9)).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

/// A machine without a default route still knows its own addresses.
fn local() -> Option<IpAddr> {
    all_local(&std::fs::read_to_string("/proc/net/fib_trie").ok()?).first().copied().map(IpAddr::V4)
}

/// The host addresses of the kernel's routing table that are not loopback: a line with an address, followed by one that
/// says `/32 host LOCAL`.
fn all_local(trie: &str) -> Vec<Ipv4Addr> {
    let (mut last, mut all) = (None, Vec::new());
    for line in trie.lines() {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line.contains("/32 host LOCAL") {
            all.extend(last.filter(|ip| !ip.is_loopback() && !ip.is_unspecified()));
        }
    }
    all
}

/// The addresses of the kernel's list that others can call: 32 digits, then four more fields and the interface.
fn all_local_v6(list: &str) -> Vec<Ipv6Addr> {
    let digits = list.lines().filter_map(|line| line.split_whitespace().next());
    let all = digits.filter_map(|digits| u128::from_str_radix(digits, 16).ok()).map(Ipv6Addr::from);
    all.filter(|ip| !ip.is_loopback() && !ip.is_unicast_link_local()).collect()
}

/// Every name and address that somebody on this machine or beside it may call it by.
pub(super) fn machine_names() -> BTreeSet<String> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let mut names: BTreeSet<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    names.insert(read("/proc/sys/kernel/hostname").trim().to_ascii_lowercase());
    names.extend(all_local(&read("/proc/net/fib_trie")).iter().map(ToString::to_string));
    names.extend(all_local_v6(&read("/proc/net/if_inet6")).iter().map(ToString::to_string));
    names.extend(routed().map(|ip| ip.to_string()));
    names
}

/// The host of a public URL, an address of IPv6 without its brackets.
pub(super) fn public_host(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    let host = uri.host()?;
    Some(host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_is_read() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     +-- 127.0.0.0/8 2 0 2\n\
                    \x20          |-- 127.0.0.1\n              /32 host LOCAL\n        |-- 10.1.2.0\n           /24 link UNICAST\n\
                    \x20          |-- 10.1.2.3\n              /32 host LOCAL\n";
        assert_eq!(all_local(trie), [Ipv4Addr::new(10, 1, 2, 3)]);
        assert!(all_local("").is_empty());
        let list = "00000000000000000000000000000001 01 80 10 80       lo\n\
                    fe800000000000000000000000000001 02 40 20 80     eth0\n\
                    20010db8000000000000000000000007 02 40 00 80     eth0\n";
        assert_eq!(all_local_v6(list).iter().map(ToString::to_string).collect::<Vec<_>>(), ["2001:db8::7"]);
    }

    #[test]
    fn what_is_told_can_be_called() {
        let config = Config::default();
        let urls =
            public_urls(&config, SocketAddr::from(([127, 0, 0, 1], 40001)), SocketAddr::from(([0, 0, 0, 0], 9001)));
        assert_eq!(urls.s3, "http://127.0.0.1:40001");
        assert!(urls.soap.ends_with(":9001") && !urls.soap.contains("0.0.0.0"), "{}", urls.soap);
        let config = Config { s3: crate::config::S3 { tls: Tls::SelfSigned, ..config.s3 }, ..config };
        assert_eq!(
            public_urls(&config, ([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into()).s3,
            "https://127.0.0.1:1"
        );
        assert_eq!(reachable("[::1]:5".parse().expect("right")).to_string(), "[::1]:5");
    }
}
