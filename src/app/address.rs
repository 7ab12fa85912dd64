//! What clients are told: the addresses that the listeners really have.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use crate::api::Urls;
use crate::config::Config;

/// The public URLs: as configured, or from where the listeners are.
pub(super) fn public_urls(config: &Config, s3: SocketAddr, soap: SocketAddr) -> Urls {
    let told =
        |url: &Option<String>, at: SocketAddr| url.clone().unwrap_or_else(|| format!("http://{}", reachable(at)));
    Urls { s3: told(&config.s3.public_url, s3), soap: told(&config.soap.public_url, soap) }
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
    first_local(&std::fs::read_to_string("/proc/net/fib_trie").ok()?).map(IpAddr::V4)
}

/// The first host address of the kernel's routing table that is not loopback: a line with an
/// address, followed by one that says `/32 host LOCAL`.
fn first_local(trie: &str) -> Option<Ipv4Addr> {
    let mut last = None;
    for line in trie.lines() {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line.contains("/32 host LOCAL") {
            match last {
                Some(ip) if !ip.is_loopback() && !ip.is_unspecified() => return Some(ip),
                _ => {}
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_is_read() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     +-- 127.0.0.0/8 2 0 2\n\
                    \x20          |-- 127.0.0.1\n              /32 host LOCAL\n        |-- 10.1.2.0\n           /24 link UNICAST\n\
                    \x20          |-- 10.1.2.3\n              /32 host LOCAL\n";
        assert_eq!(first_local(trie), Some(Ipv4Addr::new(10, 1, 2, 3)));
        assert_eq!(first_local(""), None);
    }

    #[test]
    fn what_is_told_can_be_called() {
        let config = Config::default();
        let urls =
            public_urls(&config, SocketAddr::from(([127, 0, 0, 1], 40001)), SocketAddr::from(([0, 0, 0, 0], 9001)));
        assert_eq!(urls.s3, "http://127.0.0.1:40001");
        assert!(urls.soap.ends_with(":9001") && !urls.soap.contains("0.0.0.0"), "{}", urls.soap);
        assert_eq!(reachable("[::1]:5".parse().expect("right")).to_string(), "[::1]:5");
    }
}
