//! `x-amz-checksum-*`: declared as a header or in a trailer, computed over the payload.

mod whole;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use crc_fast::{CrcAlgorithm, Digest as Crc};
use http::HeaderMap;
use sha2::Digest as _;

use crate::domain::{Checksum, ChecksumKind};

pub use whole::whole;

/// What a request says of its checksum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Declared {
    /// Nothing.
    None,
    /// In a header.
    Header(Checksum),
    /// It will follow in the trailer.
    Trailer(ChecksumKind),
}

/// Why that is nonsense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadChecksum {
    /// S3 `InvalidRequest`.
    #[error("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")]
    Several,
    /// S3 `BadDigest`.
    #[error("Value for {0} header is invalid.")]
    Value(&'static str),
    /// S3 `NotImplemented`: an algorithm that we lack; a checksum that nobody checks is none.
    #[error("This checksum algorithm is not implemented.")]
    Unknown,
}

/// Computes one kind of checksum.
pub struct Hasher(Inner);

enum Inner {
    Crc(ChecksumKind, Crc),
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
}

impl Hasher {
    /// Over nothing yet.
    pub fn new(kind: ChecksumKind) -> Self {
        let crc = |algorithm| Inner::Crc(kind, Crc::new(algorithm));
        Self(match kind {
            ChecksumKind::Crc32 => crc(CrcAlgorithm::Crc32IsoHdlc),
            ChecksumKind::Crc32c => crc(CrcAlgorithm::Crc32Iscsi),
            ChecksumKind::Crc64Nvme => crc(CrcAlgorithm::Crc64Nvme),
            ChecksumKind::Sha1 => Inner::Sha1(sha1::Sha1::new()),
            ChecksumKind::Sha256 => Inner::Sha256(sha2::Sha256::new()),
        })
    }

    /// More of the payload.
    pub fn update(&mut self, data: &[u8]) {
        match &mut self.0 {
            Inner::Crc(_, crc) => crc.update(data),
            Inner::Sha1(sha) => sha.update(data),
            Inner::Sha256(sha) => sha.update(data),
        }
    }

    /// Over all of it.
    pub fn finish(self) -> Checksum {
        match self.0 {
            Inner::Crc(kind, crc) => {
                let whole = crc.finalize().to_be_bytes();
                let digest = whole.iter().skip(whole.len() - kind.digest_len()).copied().collect();
                Checksum { kind, digest, parts: 0 }
            }
            Inner::Sha1(sha) => Checksum { kind: ChecksumKind::Sha1, digest: sha.finalize().to_vec(), parts: 0 },
            Inner::Sha256(sha) => Checksum { kind: ChecksumKind::Sha256, digest: sha.finalize().to_vec(), parts: 0 },
        }
    }
}

/// Reads a checksum's base64.
///
/// # Errors
/// [`BadChecksum::Value`] where it is not base64 of the right length.
pub fn parse(kind: ChecksumKind, text: &str) -> Result<Checksum, BadChecksum> {
    match BASE64_STANDARD.decode(text.trim()) {
        Ok(digest) if digest.len() == kind.digest_len() => Ok(Checksum { kind, digest, parts: 0 }),
        _ => Err(BadChecksum::Value(kind.header())),
    }
}

/// As the wire carries it; behind one over the parts' digests stands their number.
pub fn encode(checksum: &Checksum) -> String {
    let digest = BASE64_STANDARD.encode(&checksum.digest);
    if checksum.parts == 0 { digest } else { format!("{digest}-{}", checksum.parts) }
}

/// The algorithm that a name stands for, in either case.
pub fn by_name(name: &str) -> Option<ChecksumKind> {
    ChecksumKind::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
}

/// Reads `Content-MD5`. `None` where it is not base64 of 16 bytes: S3 `InvalidDigest`.
pub fn parse_md5(text: &[u8]) -> Option<[u8; 16]> {
    BASE64_STANDARD.decode(text.trim_ascii()).ok()?.try_into().ok()
}

/// What the headers of a complete say of the checksum of the object, which is not in its body: the
/// text, since what is no checksum is no other mistake than a wrong one.
///
/// # Errors
/// Two checksums, one that we cannot compute.
pub fn of_the_object(headers: &HeaderMap) -> Result<Option<(ChecksumKind, String)>, BadChecksum> {
    let mut found = None;
    for (kind, text) in values(headers) {
        let text = String::from_utf8_lossy(text.as_bytes()).trim().to_owned();
        if found.replace((kind?, text)).is_some() {
            return Err(BadChecksum::Several);
        }
    }
    Ok(found)
}

/// The headers that carry a checksum's value.
fn values(headers: &HeaderMap) -> impl Iterator<Item = (Result<ChecksumKind, BadChecksum>, &http::HeaderValue)> {
    headers.iter().filter_map(|(name, value)| {
        let rest = name.as_str().strip_prefix("x-amz-checksum-")?;
        let kind = || by_header(name.as_str()).ok_or(BadChecksum::Unknown);
        (!matches!(rest, "mode" | "algorithm" | "type")).then(|| (kind(), value))
    })
}

/// Reads what the headers say of the checksum. `with_trailer`: the body has one.
///
/// # Errors
/// Two checksums, a broken one, one that we cannot compute.
pub fn declared(headers: &HeaderMap, with_trailer: bool) -> Result<Declared, BadChecksum> {
    let mut found = Declared::None;
    for (kind, value) in values(headers) {
        let kind = kind?;
        if found != Declared::None {
            return Err(BadChecksum::Several);
        }
        let text = value.to_str().map_err(|_| BadChecksum::Value(kind.header()))?;
        found = Declared::Header(parse(kind, text)?);
    }
    if !with_trailer {
        return Ok(found);
    }
    let names = headers.get_all("x-amz-trailer").iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(','));
    for name in names.map(|n| n.trim().to_ascii_lowercase()).filter(|n| n.starts_with("x-amz-checksum-")) {
        let kind = by_header(&name).ok_or(BadChecksum::Unknown)?;
        if found != Declared::None {
            return Err(BadChecksum::Several);
        }
        found = Declared::Trailer(kind);
    }
    Ok(found)
}

fn by_header(name: &str) -> Option<ChecksumKind> {
    ChecksumKind::ALL.into_iter().find(|kind| kind.header() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: ChecksumKind, data: &[u8]) -> Checksum {
        let mut hasher = Hasher::new(kind);
        for piece in data.chunks(4) {
            hasher.update(piece);
        }
        hasher.finish()
    }

    #[test]
    fn the_check_values_of_the_catalogue_come_out() {
        for (kind, wanted) in [
            (ChecksumKind::Crc32, "cbf43926"),
            (ChecksumKind::Crc32c, "e3069283"),
            (ChecksumKind::Crc64Nvme, "ae8b14860a799888"),
            (ChecksumKind::Sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
            (ChecksumKind::Sha256, "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"),
        ] {
            assert_eq!(hex::encode(of(kind, b"123456789").digest), wanted, "{kind:?}");
        }
    }

    #[test]
    fn what_boto3_sends_for_hello_is_right() {
        assert_eq!(parse(ChecksumKind::Crc32, "NhCmhg==").unwrap(), of(ChecksumKind::Crc32, b"hello"));
        assert!(parse(ChecksumKind::Crc32, "NhCmhg").is_err());
        assert!(parse(ChecksumKind::Sha1, "NhCmhg==").is_err());
    }

    #[test]
    fn the_checksum_of_an_object_may_say_how_many_parts_it_covers() {
        let read = |name: &'static str, value: &'static str| {
            let pair = (http::HeaderName::from_static(name), http::HeaderValue::from_static(value));
            of_the_object(&[pair].into_iter().collect())
        };
        let composite = Checksum { parts: 12, ..of(ChecksumKind::Crc32, b"hello") };
        assert_eq!(encode(&composite), "NhCmhg==-12");
        let found = read("x-amz-checksum-crc32", "NhCmhg==-12").unwrap();
        assert_eq!(found, Some((ChecksumKind::Crc32, "NhCmhg==-12".to_owned())));
        assert_eq!(read("x-amz-checksum-type", "COMPOSITE").unwrap(), None);
        assert_eq!(read("x-amz-checksum-xxhash3", "AAAA"), Err(BadChecksum::Unknown));
    }

    #[test]
    fn two_checksums_and_unknown_ones_are_refused() {
        let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            pairs.iter().map(|(n, v)| (http::HeaderName::from_static(n), http::HeaderValue::from_static(v))).collect()
        };
        let crc = ("x-amz-checksum-crc32", "NhCmhg==");
        let mode = ("x-amz-checksum-mode", "ENABLED");
        assert!(matches!(declared(&headers(&[crc, mode]), false), Ok(Declared::Header(_))));
        let two = headers(&[crc, ("x-amz-trailer", "x-amz-checksum-sha1")]);
        assert_eq!(declared(&two, true), Err(BadChecksum::Several));
        let odd = headers(&[("x-amz-checksum-xxhash3", "AAAA")]);
        assert_eq!(declared(&odd, false), Err(BadChecksum::Unknown));
        let later = headers(&[("x-amz-trailer", " X-Amz-Checksum-CRC32C ")]);
        assert_eq!(declared(&later, true), Ok(Declared::Trailer(ChecksumKind::Crc32c)));
    }
}
