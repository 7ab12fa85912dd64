use futures_util::stream;

use super::*;

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs.iter().map(|(n, v)| (http::HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
}

fn check(pairs: &[(&'static str, &'static str)], payload: Payload, body: &[u8]) -> S3Result<Vec<u8>> {
    let mut checks = Checks::read(&headers(pairs), payload)?;
    let mut out = Vec::new();
    for piece in body.chunks(3) {
        checks.push(Bytes::copy_from_slice(piece), &mut out)?;
    }
    checks.finish()?;
    Ok(out.concat())
}

fn code(pairs: &[(&'static str, &'static str)], payload: Payload, body: &[u8]) -> Code {
    check(pairs, payload, body).expect_err("it must be refused").code()
}

#[test]
fn what_is_said_of_a_body_must_be_true() {
    let five = ("content-length", "5");
    let right = <[u8; 32]>::from(Sha256::digest(b"hello"));
    assert_eq!(check(&[five], Payload::Sha256(right), b"hello").unwrap(), b"hello");
    assert_eq!(code(&[five], Payload::Sha256([0; 32]), b"hello"), Code::XAmzContentSHA256Mismatch);
    assert_eq!(code(&[five], Payload::Unsigned, b"hell"), Code::IncompleteBody);
    let crc = ("x-amz-checksum-crc32", "NhCmhg==");
    check(&[five, crc], Payload::Unsigned, b"hello").unwrap();
    assert_eq!(code(&[five, crc], Payload::Unsigned, b"hellO"), Code::BadDigest);
    assert_eq!(code(&[five, ("content-md5", "x")], Payload::Unsigned, b"hello"), Code::InvalidDigest);
    assert_eq!(code(&[], Payload::Unsigned, b""), Code::MissingContentLength);
    assert_eq!(code(&[("content-length", "5368709121")], Payload::Unsigned, b""), Code::EntityTooLarge);
    assert_eq!(check(&[("transfer-encoding", "chunked")], Payload::Unsigned, b"hello").unwrap(), b"hello");
}

#[test]
fn a_trailer_must_come_and_be_right() {
    let said = [
        ("transfer-encoding", "chunked"),
        ("x-amz-decoded-content-length", "5"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
    ];
    let with = |trailer: &str| format!("5\r\nhello\r\n0\r\n{trailer}\r\n");
    let kind = || Payload::UnsignedChunksTrailer;
    let right = with("x-amz-checksum-crc32:NhCmhg==\r\n");
    assert_eq!(check(&said, kind(), right.as_bytes()).unwrap(), b"hello");
    let wrong = with("x-amz-checksum-crc32:AAAAAA==\r\n");
    assert_eq!(code(&said, kind(), wrong.as_bytes()), Code::BadDigest);
    assert_eq!(code(&said, kind(), with("").as_bytes()), Code::MalformedTrailerError);
    let other = with("x-amz-checksum-sha1:AAAAAA==\r\n");
    assert_eq!(code(&said, kind(), other.as_bytes()), Code::MalformedTrailerError);
    assert_eq!(code(&said, kind(), b"5\r\nhello\r\n"), Code::IncompleteBody);
    let unannounced = with("x-amz-checksum-crc32:NhCmhg==\r\n");
    assert_eq!(code(&said[..2], kind(), unannounced.as_bytes()), Code::MalformedTrailerError);
}

fn slow(pieces: usize, size: usize) -> Body {
    let piece = Bytes::from(vec![0; size]);
    Body::from_stream(stream::iter((0..pieces).map(move |_| Ok::<_, std::io::Error>(piece.clone()))))
}

fn stuck() -> Body {
    Body::from_stream(stream::pending::<std::io::Result<Bytes>>())
}

#[tokio::test]
async fn a_body_on_which_nothing_moves_is_cut() {
    let mut incoming = Incoming::new(stuck(), Duration::from_millis(20));
    assert_eq!(incoming.next().await.unwrap_err().code(), Code::RequestTimeout);
}

async fn settled(incoming: Incoming, said: &[(&'static str, &'static str)]) -> bool {
    let mut response = Response::new(Body::empty());
    incoming.settle(&headers(said), &mut response).await;
    response.headers().get(CONNECTION).is_some_and(|v| v == "close")
}

#[tokio::test]
async fn a_refused_body_is_swallowed_if_it_is_small_and_comes() {
    let minute = Duration::from_secs(60);
    assert!(!settled(Incoming::new(Body::empty(), minute), &[]).await);
    assert!(!settled(Incoming::new(slow(16, 65536), minute), &[]).await);
    assert!(settled(Incoming::new(slow(17, 65536), minute), &[]).await);
    assert!(settled(Incoming::new(stuck(), minute), &[]).await);
    // Nobody has sent a 100 yet, so nothing is coming: not to be waited for.
    assert!(settled(Incoming::new(slow(1, 1), minute), &[("expect", "100-continue")]).await);
}

#[tokio::test]
async fn a_connection_does_not_outlive_an_answer_that_came_instead_of_a_100() {
    let expects = [("expect", "100-continue")];
    let mut empty = Incoming::new(Body::empty(), Duration::from_secs(60));
    assert_eq!(empty.next().await.unwrap(), None);
    assert!(settled(empty, &expects).await);
    let mut whole = Incoming::new(slow(1, 1), Duration::from_secs(60));
    while whole.next().await.unwrap().is_some() {}
    assert!(!settled(whole, &expects).await);
}
