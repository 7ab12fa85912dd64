//! AWS's published chunked uploads, and every way to cut, change and split them.

use proptest::prelude::{any, prop_assert_eq, proptest};

use super::*;
use crate::domain::Secret;
use crate::wire::sig::canonical::Scope;

const SEED: &str = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
const TRAILER_SEED: &str = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";

fn signer(seed: &str) -> ChunkSigner {
    let scope = Scope { date: "20130524".into(), region: "us-east-1".into() };
    let key = scope.key(&Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"));
    let mut bytes = [0; 32];
    hex::decode_to_slice(seed, &mut bytes).unwrap();
    ChunkSigner::new(key, "20130524T000000Z".into(), scope.text(), bytes)
}

fn published() -> Vec<u8> {
    let mut body = Vec::new();
    for (size, signature) in [
        (65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
        (1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
        (0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
    ] {
        body.extend_from_slice(format!("{size:x};chunk-signature={signature}\r\n").as_bytes());
        body.extend(std::iter::repeat_n(b'a', size));
        body.extend_from_slice(b"\r\n");
    }
    body
}

fn published_trailer() -> Vec<u8> {
    let mut body = Vec::new();
    for (size, signature) in [
        (65536, "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2"),
        (1024, "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7"),
        (0, "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"),
    ] {
        body.extend_from_slice(format!("{size:x};chunk-signature={signature}\r\n").as_bytes());
        body.extend(std::iter::repeat_n(b'a', size));
        if size > 0 {
            body.extend_from_slice(b"\r\n");
        }
    }
    body.extend_from_slice(b"x-amz-checksum-crc32c:sOO8/Q==\r\n");
    body.extend_from_slice(
        b"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n",
    );
    body
}

/// Decodes `body` in pieces of the given sizes, over and over.
fn decode(mut decoder: Decoder, body: &[u8], sizes: &[usize]) -> Result<(Vec<u8>, Trailer), ChunkError> {
    let mut out = Vec::new();
    let mut rest = body;
    let mut sizes = sizes.iter().cycle();
    while !rest.is_empty() {
        let take = sizes.next().map_or(rest.len(), |n| (*n).clamp(1, rest.len()));
        let (piece, after) = rest.split_at(take);
        decoder.push(Bytes::copy_from_slice(piece), &mut out)?;
        rest = after;
    }
    decoder.finish().map(|trailer| (out.concat(), trailer))
}

#[test]
fn the_published_chunked_upload_is_right() {
    let decoder = Decoder::new(Some(signer(SEED)), false, Some(66560));
    assert_eq!(decode(decoder, &published(), &[]), Ok((vec![b'a'; 66560], vec![])));
}

#[test]
fn the_published_signed_trailer_is_right() {
    let decoder = Decoder::new(Some(signer(TRAILER_SEED)), true, Some(66560));
    let (payload, trailer) = decode(decoder, &published_trailer(), &[]).unwrap();
    assert_eq!(payload.len(), 66560);
    assert_eq!(trailer, [("x-amz-checksum-crc32c".to_owned(), "sOO8/Q==".to_owned())]);
}

#[test]
fn what_botocore_sends_over_tls_is_right() {
    let body = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
    let (payload, trailer) = decode(Decoder::new(None, true, Some(5)), body, &[]).unwrap();
    assert_eq!(payload, b"hello");
    assert_eq!(trailer, [("x-amz-checksum-crc32".to_owned(), "NhCmhg==".to_owned())]);
}

#[test]
fn a_body_cut_anywhere_before_its_last_chunk_is_not_whole() {
    let body = published();
    let last = body.len() - 2;
    for cut in [0, 10, 86, 87, 65536, 65621, 65623, 65625, 65709, 66733, 66735, 66737, last - 3] {
        let decoder = Decoder::new(Some(signer(SEED)), false, Some(66560));
        assert!(decode(decoder, &body[..cut], &[]).is_err(), "cut at {cut}");
    }
}

#[test]
fn a_changed_byte_a_wrong_seed_and_a_missing_signature_are_noticed() {
    let mut body = published();
    body[1000] = b'b';
    let decoder = Decoder::new(Some(signer(SEED)), false, None);
    assert_eq!(decode(decoder, &body, &[]), Err(ChunkError::ChunkSignature));
    let decoder = Decoder::new(Some(signer(TRAILER_SEED)), false, None);
    assert_eq!(decode(decoder, &published(), &[]), Err(ChunkError::ChunkSignature));
    let decoder = Decoder::new(Some(signer(SEED)), false, None);
    assert_eq!(decode(decoder, b"5\r\nhello\r\n0\r\n\r\n", &[]), Err(ChunkError::ChunkSignature));
    let trailer = published_trailer();
    let without = &trailer[..trailer.len() - 92];
    let decoder = Decoder::new(Some(signer(TRAILER_SEED)), true, None);
    assert_eq!(decode(decoder, without, &[]), Err(ChunkError::TrailerSignature));
    let changed = String::from_utf8(trailer).unwrap().replace("sOO8", "sOO9");
    let decoder = Decoder::new(Some(signer(TRAILER_SEED)), true, None);
    assert_eq!(decode(decoder, changed.as_bytes(), &[]), Err(ChunkError::TrailerSignature));
}

#[test]
fn lengths_and_framing_are_exact() {
    let of = |body: &[u8], length| decode(Decoder::new(None, true, length), body, &[]).map(|d| d.0);
    assert_eq!(of(b"5\r\nhello\r\n0\r\n\r\n", Some(4)), Err(ChunkError::Incomplete));
    assert_eq!(of(b"5\r\nhello\r\n0\r\n\r\n", Some(6)), Err(ChunkError::Incomplete));
    assert_eq!(of(b"0\r\n\r\n", Some(0)), Ok(vec![]));
    for bad in
        [&b"x\r\n"[..], b"\r\n", b"5\r\nhelloX\n0\r\n", b"-1\r\n", b"fffffffffffffffff\r\n", b"ffffffffffffffff\r\n"]
    {
        assert!(matches!(of(bad, None), Err(ChunkError::Malformed(_))), "{bad:?}");
    }
    assert!(matches!(of(&vec![b'1'; 5000], None), Err(ChunkError::Malformed(_))));
    let endless = [&b"0\r\n"[..], &vec![b'a'; 20000]].concat();
    assert_eq!(of(&endless, None), Err(ChunkError::Trailer));
    let doubled = b"0\r\nx-amz-checksum-crc32:NhCmhg==\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";
    assert_eq!(of(doubled, None), Err(ChunkError::Trailer));
}

proptest! {
    #[test]
    fn any_split_gives_the_same_answer(sizes in proptest::collection::vec(1usize..5000, 1..20), flip in any::<bool>(), at in 0usize..66700) {
        let mut body = published_trailer();
        if flip {
            body[at] ^= 1;
        }
        let new = || Decoder::new(Some(signer(TRAILER_SEED)), true, Some(66560));
        prop_assert_eq!(decode(new(), &body, &sizes), decode(new(), &body, &[]));
    }

    #[test]
    fn tiny_splits_give_the_same_answer(sizes in proptest::collection::vec(1usize..4, 1..8)) {
        let body = b"5\r\nhello\r\n1;x=y\r\n!\r\n0\r\nX-Amz-Checksum-CRC32: NhCmhg==\n\r\n";
        let whole = decode(Decoder::new(None, true, Some(6)), body, &[]);
        prop_assert_eq!(&decode(Decoder::new(None, true, Some(6)), body, &sizes), &whole);
        prop_assert_eq!(whole.unwrap().0, b"hello!");
    }

    #[test]
    fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..300), signed in any::<bool>()) {
        let _ = decode(Decoder::new(signed.then(|| signer(SEED)), true, None), &body, &[7]);
    }
}
