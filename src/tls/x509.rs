//! What a certificate says of itself: from when to when, for which names, and its fingerprint.
//!
//! A reader of the few fields that operators are told; whom to believe is decided by `rustls`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

use crate::domain::Timestamp;

/// What operators are told of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// SHA-256 over the certificate, as `openssl x509 -fingerprint -sha256` writes it: `AB:CD:…`.
    pub fingerprint: String,
    /// Host names and addresses that it is for (`subjectAltName`).
    pub names: Vec<String>,
    /// Not to be believed before.
    pub from: Timestamp,
    /// Not to be believed after.
    pub until: Timestamp,
}

impl Facts {
    /// Of a certificate in DER; `None` where it cannot be read.
    pub fn of(der: &[u8]) -> Option<Self> {
        let (from, until, names) = read(der)?;
        let digest = Sha256::digest(der);
        let fingerprint = digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":");
        Some(Self { fingerprint, names, from, until })
    }

    /// Whether the certificate is for this host, by one of its names or by a wildcard for one label.
    pub fn is_for(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let below = host.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        let named = |name: &String| {
            let name = name.to_ascii_lowercase();
            name == host || below.as_ref() == Some(&name)
        };
        self.names.iter().any(named)
    }
}

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;
/// 2.5.29.17
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// One element: its tag, its content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0usize, |length, digit| (length << 8) | usize::from(*digit)), rest)
        }
        // Without an end, or longer than any certificate.
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// The content of an element of this tag, and what follows it.
fn expect(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(der)?;
    (found == tag).then_some((content, rest))
}

fn read(der: &[u8]) -> Option<(Timestamp, Timestamp, Vec<String>)> {
    let (certificate, _) = expect(SEQUENCE, der)?;
    let (mut tbs, _) = expect(SEQUENCE, certificate)?;
    if let Some((_, rest)) = expect(VERSION, tbs) {
        tbs = rest;
    }
    let (_serial, rest) = expect(INTEGER, tbs)?;
    let (_algorithm, rest) = expect(SEQUENCE, rest)?;
    let (_issuer, rest) = expect(SEQUENCE, rest)?;
    let (validity, rest) = expect(SEQUENCE, rest)?;
    let (_subject, rest) = expect(SEQUENCE, rest)?;
    let (_key, mut rest) = expect(SEQUENCE, rest)?;
    let (tag, from, after) = element(validity)?;
    let from = time(tag, from)?;
    let (tag, until, _) = element(after)?;
    let until = time(tag, until)?;
    let mut names = Vec::new();
    while let Some((tag, content, after)) = element(rest) {
        if tag == EXTENSIONS {
            names = alt_names(content).unwrap_or_default();
        }
        rest = after;
    }
    Some((from, until, names))
}

/// `YYMMDDHHMMSSZ` (50 to 99 are of the last century) or `YYYYMMDDHHMMSSZ`.
fn time(tag: u8, text: &[u8]) -> Option<Timestamp> {
    let digits = std::str::from_utf8(text.strip_suffix(b"Z")?).ok()?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| digits.get(from..to)?.parse::<i8>().ok();
    let (year, at) = match (tag, digits.len()) {
        (UTC_TIME, 12) => {
            let year = i16::from(number(0, 2)?);
            (if year < 50 { 2000 + year } else { 1900 + year }, 2)
        }
        (GENERALIZED_TIME, 14) => (digits.get(..4)?.parse::<i16>().ok()?, 4),
        _ => return None,
    };
    let of = |part: usize| number(at + 2 * part, at + 2 * part + 2);
    let time = DateTime::new(year, of(0)?, of(1)?, of(2)?, of(3)?, of(4)?, 0).ok()?;
    Some(Timestamp::from_seconds(TimeZone::UTC.to_timestamp(time).ok()?.as_second()))
}

fn alt_names(extensions: &[u8]) -> Option<Vec<String>> {
    let (mut all, _) = expect(SEQUENCE, extensions)?;
    while let Some((tag, extension, rest)) = element(all) {
        all = rest;
        let Some((id, mut value)) = (tag == SEQUENCE).then(|| expect(OID, extension)).flatten() else { continue };
        if id != SUBJECT_ALT_NAME {
            continue;
        }
        // `critical` may stand between.
        while let Some((tag, content, rest)) = element(value) {
            if tag == OCTETS {
                return Some(general_names(expect(SEQUENCE, content)?.0));
            }
            value = rest;
        }
    }
    None
}

fn general_names(mut der: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    while let Some((tag, content, rest)) = element(der) {
        der = rest;
        let address = || -> Option<IpAddr> {
            match content.len() {
                4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(content).ok()?).into()),
                16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(content).ok()?).into()),
                _ => None,
            }
        };
        match tag {
            DNS_NAME if content.is_ascii() => names.push(String::from_utf8_lossy(content).into_owned()),
            IP_ADDRESS => names.extend(address().map(|address| address.to_string())),
            _ => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    /// `openssl ca -selfsign -startdate 20240229120000Z -enddate 20500101000000Z` of a P-256 key with four names.
    const BY_OPENSSL: &str = include_str!("../../tests/data/tls/by-openssl.txt");

    fn by_openssl() -> Vec<u8> {
        STANDARD.decode(BY_OPENSSL.split_whitespace().collect::<String>()).unwrap()
    }

    #[test]
    fn a_certificate_of_openssl_is_read() {
        let facts = Facts::of(&by_openssl()).unwrap();
        assert_eq!(facts.names, ["box.example.cn", "*.s3.example.cn", "10.1.2.3", "::1"]);
        assert_eq!(facts.from, Timestamp::from_seconds(1_709_208_000));
        // Beyond 2049 the time is of the other kind.
        assert_eq!(facts.until, Timestamp::from_seconds(2_524_608_000));
        assert_eq!(facts.fingerprint.len(), 95);
    }

    #[test]
    fn a_certificate_is_for_its_names_and_for_one_label_below_a_wildcard() {
        let facts = Facts::of(&by_openssl()).unwrap();
        for host in ["box.example.cn", "BOX.example.cn", "a.s3.example.cn", "10.1.2.3", "::1"] {
            assert!(facts.is_for(host), "{host}");
        }
        for host in ["example.cn", "s3.example.cn", "a.b.s3.example.cn", "10.1.2.4", ""] {
            assert!(!facts.is_for(host), "{host}");
        }
    }

    #[test]
    fn a_certificate_that_is_cut_is_never_read_as_a_whole_one() {
        let whole = by_openssl();
        for at in 0..whole.len() {
            assert_eq!(Facts::of(&whole[..at]), None, "cut at {at}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_break_the_reader(bytes: Vec<u8>, at in 0usize..600, to: u8) {
            let _ = Facts::of(&bytes);
            let mut changed = by_openssl();
            if let Some(byte) = changed.get_mut(at) {
                *byte = to;
            }
            let _ = Facts::of(&changed);
        }
    }
}
