//! `aws-chunked`. The first line says how the body is framed, how long it is said to be, and in which pieces it comes:
//! `signed 66560 1 7 100`. What follows is the body.

use std::sync::OnceLock;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use kandian::domain::{Secret, Timestamp};
use kandian::wire::sig::chunked::{ChunkError, ChunkSigner, Decoder, Trailer};
use kandian::wire::sig::{Key, Payload, Request, Target, read};
use sha2::{Digest, Sha256};

type Decoded = Result<(Vec<u8>, Trailer), ChunkError>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Signed,
    SignedTrailer,
    UnsignedTrailer,
}

impl Kind {
    fn decoder(self, length: Option<u64>) -> Decoder {
        Decoder::new(self.signer(), self != Self::Signed, length)
    }

    /// That of AWS's published examples.
    fn signer(self) -> Option<ChunkSigner> {
        match self {
            Self::UnsignedTrailer => None,
            Self::Signed => {
                static SIGNER: OnceLock<ChunkSigner> = OnceLock::new();
                Some(SIGNER.get_or_init(|| published(false)).clone())
            }
            Self::SignedTrailer => {
                static SIGNER: OnceLock<ChunkSigner> = OnceLock::new();
                Some(SIGNER.get_or_init(|| published(true)).clone())
            }
        }
    }
}

/// Decodes a body in one piece, in the pieces asked for, and byte by byte; then frames the body itself and decodes that.
pub fn run(data: &[u8]) {
    let (line, body) =
        data.iter().position(|b| *b == b'\n').map_or((data, &[][..]), |at| (&data[..at], &data[at + 1..]));
    let mut words = std::str::from_utf8(line).unwrap_or("").split(' ');
    let kind = match words.next() {
        Some("signed") => Kind::Signed,
        Some("signed-trailer") => Kind::SignedTrailer,
        _ => Kind::UnsignedTrailer,
    };
    let length = words.next().and_then(|word| word.parse().ok());
    let sizes: Vec<usize> = words.filter_map(|word| word.parse().ok()).filter(|size| *size > 0).take(64).collect();
    let whole = decode(kind.decoder(length), body, &[]);
    for sizes in [&sizes[..], &[1], &[3, 64]] {
        assert_eq!(decode(kind.decoder(length), body, sizes), whole, "pieces of {sizes:?}");
    }
    if let Ok((payload, trailer)) = &whole {
        assert!(payload.len() < body.len() && length.is_none_or(|length| length == payload.len() as u64));
        let trailer: usize = trailer.iter().map(|(name, value)| name.len() + value.len()).sum();
        assert!(trailer < body.len() - payload.len());
        // What follows the end is no part of it.
        let more = [body, b"1\r\nx\r\n"].concat();
        assert!(decode(kind.decoder(length), &more, &[]).is_err());
        assert!(decode(kind.decoder(Some(payload.len() as u64 + 1)), body, &[]).is_err(), "a byte short of its length");
        if kind != Kind::UnsignedTrailer {
            no_forgery(kind, body, &whole);
        }
    }
    for kind in [Kind::Signed, Kind::SignedTrailer, Kind::UnsignedTrailer] {
        frame_and_decode(kind, body, &sizes);
    }
}

/// A byte of a signed body that is another makes it another body, or none.
fn no_forgery(kind: Kind, body: &[u8], whole: &Decoded) {
    let step = (body.len() / 32).max(1);
    for at in (0..body.len()).step_by(step) {
        let mut forged = body.to_vec();
        forged[at] ^= 1;
        if let Ok((payload, _)) = decode(kind.decoder(None), &forged, &[]) {
            assert_eq!(Some(&payload), whole.as_ref().ok().map(|(payload, _)| payload), "byte {at} was changed");
        }
    }
}

/// `payload` in chunks of these sizes, at most sixteen or so, is decoded to itself; cut anywhere it is not.
fn frame_and_decode(kind: Kind, payload: &[u8], sizes: &[usize]) {
    let trailer = vec![("x-amz-checksum-crc32c".to_owned(), "sOO8/Q==".to_owned())];
    let mut signer = kind.signer();
    let mut head = |size: usize, chunk: &[u8]| match &mut signer {
        Some(signer) => {
            let signature = hex::encode(signer.chunk(Sha256::digest(chunk).into()));
            format!("{size:x};chunk-signature={signature}\r\n")
        }
        None => format!("{size:x}\r\n"),
    };
    let (mut framed, mut rest) = (Vec::new(), payload);
    let mut sizes = sizes.iter().map(|size| (*size).max(payload.len() / 16)).cycle();
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(sizes.next().map_or(rest.len(), |size| size.min(rest.len())));
        framed.extend_from_slice(head(chunk.len(), chunk).as_bytes());
        framed.extend_from_slice(chunk);
        framed.extend_from_slice(b"\r\n");
        rest = after;
    }
    framed.extend_from_slice(head(0, b"").as_bytes());
    // Where there is no trailer, the last chunk's head is the last thing that is needed.
    let end = framed.len();
    if kind != Kind::Signed {
        framed.extend_from_slice(b"x-amz-checksum-crc32c:sOO8/Q==\r\n");
        if let Some(signer) = &mut signer {
            let signature = hex::encode(signer.trailer(b"x-amz-checksum-crc32c:sOO8/Q==\n"));
            framed.extend_from_slice(format!("x-amz-trailer-signature:{signature}\r\n").as_bytes());
        }
    }
    framed.extend_from_slice(b"\r\n");
    let length = Some(payload.len() as u64);
    let wanted = (payload.to_vec(), if kind == Kind::Signed { Vec::new() } else { trailer });
    assert_eq!(decode(kind.decoder(length), &framed, &[]), Ok(wanted));
    let step = (end / 8).max(1);
    for cut in (0..end - 1).step_by(step) {
        assert!(decode(kind.decoder(length), &framed[..cut], &[]).is_err(), "cut at {cut}");
    }
}

fn decode(mut decoder: Decoder, body: &[u8], sizes: &[usize]) -> Decoded {
    let (mut out, mut rest) = (Vec::new(), body);
    let mut sizes = sizes.iter().cycle();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(sizes.next().map_or(rest.len(), |size| (*size).min(rest.len())));
        decoder.push(Bytes::copy_from_slice(piece), &mut out)?;
        rest = after;
    }
    decoder.finish().map(|trailer| (out.concat(), trailer))
}

/// The signer that AWS's published request for a chunked upload gives, with a trailer or without.
fn published(with_trailer: bool) -> ChunkSigner {
    let (kind, names, more, signature) = if with_trailer {
        (
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
            Some(("x-amz-trailer", "x-amz-checksum-crc32c")),
            "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
        )
    } else {
        (
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
            Some(("content-length", "66824")),
            "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
        )
    };
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
         SignedHeaders={names},Signature={signature}"
    );
    let mut headers = HeaderMap::new();
    let fixed = [
        ("host", "s3.amazonaws.com"),
        ("x-amz-date", "20130524T000000Z"),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ("x-amz-content-sha256", kind),
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "66560"),
        ("authorization", &authorization),
    ];
    for (name, value) in fixed.into_iter().chain(more) {
        headers.insert(
            http::HeaderName::from_bytes(name.as_bytes()).expect("a header of the example"),
            HeaderValue::from_str(value).expect("a header of the example"),
        );
    }
    let target = Target::parse("/examplebucket/chunkObject.txt", None).expect("the path of the example");
    let request = Request { method: &Method::PUT, target: &target, headers: &headers, host_bucket: None };
    let claim = read(&request).expect("it can be read").expect("it is signed");
    let key = Key::new(Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"));
    let signed = claim.verify(&request, &key, Timestamp::from_seconds(1_369_353_600), std::time::Duration::ZERO);
    match signed.expect("the published signature").payload {
        Payload::SignedChunks(signer) | Payload::SignedChunksTrailer(signer) => signer,
        other => panic!("{other:?}"),
    }
}
