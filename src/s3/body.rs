//! The bytes of a request: read with patience that ends, freed of their framing, held against
//! everything that was said of them. Nothing is visible before the last check.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Response};
use http_body::Body as _;
use http_body_util::BodyExt;
use sha2::{Digest, Sha256};

use super::error::{Code, S3Error, S3Result};
use crate::domain::{Checksum, ChecksumKind, Refusal, limits};
use crate::engine::{Caller, Engine, Finish, Turn};
use crate::wire::s3_checksum::{self, Declared, Hasher};
use crate::wire::sig::Payload;
use crate::wire::sig::chunked::Decoder;

/// So much of a refused body is swallowed, so that its sender sees the answer.
const DRAIN_BYTES_MAX: u64 = 1 << 20;
/// And for so long.
const DRAIN_TIME_MAX: Duration = if cfg!(test) { Duration::from_millis(200) } else { Duration::from_secs(3) };

/// A request's body on its way in.
pub struct Incoming {
    body: Body,
    idle: Duration,
    /// Somebody has asked for it; hyper has sent its `100 Continue` where one was asked for.
    touched: bool,
    /// Nothing more can be had of it.
    broken: bool,
    /// There was nothing to come from the beginning, so that hyper sends no `100 Continue`.
    empty: bool,
    /// The request's turn; it goes where the body goes, and so to the end of a commit.
    turn: Option<Turn>,
}

impl Incoming {
    /// A body of which no byte may stay away for longer than `idle`.
    pub fn new(body: Body, idle: Duration) -> Self {
        let empty = body.is_end_stream();
        Self { body, idle, touched: false, broken: false, empty, turn: None }
    }

    /// Takes a turn for the caller, which is known now.
    ///
    /// # Errors
    /// `SlowDown` where the key, or the box, has its most under way.
    pub fn begin(&mut self, engine: &Engine, caller: &Caller) -> S3Result<()> {
        self.turn = Some(engine.turn(caller)?);
        Ok(())
    }

    /// Says that so much more memory is going to be filled.
    ///
    /// # Errors
    /// `SlowDown` where that is not to be had.
    pub fn fill(&mut self, bytes: u64) -> S3Result<()> {
        Ok(self.turn.as_mut().map_or(Ok(()), |turn| turn.fill(bytes))?)
    }

    /// The turn, for what goes on after the body.
    pub fn end(&mut self) -> Option<Turn> {
        self.turn.take()
    }

    /// Hands the body to a task, and leaves an empty one behind until it comes back.
    pub fn take(&mut self) -> Self {
        let idle = self.idle;
        std::mem::replace(self, Self::new(Body::empty(), idle))
    }

    /// The next piece; `None` at its end.
    ///
    /// # Errors
    /// `RequestTimeout` where nothing moved, `IncompleteBody` where the connection broke.
    pub async fn next(&mut self) -> S3Result<Option<Bytes>> {
        loop {
            self.touched = true;
            let frame = match tokio::time::timeout(self.idle, self.body.frame()).await {
                Err(_) => {
                    self.broken = true;
                    return Err(S3Error::new(
                        Code::RequestTimeout,
                        "Your socket connection to the server was not read from or written to within the timeout period.",
                    ));
                }
                Ok(None) => return Ok(None),
                Ok(Some(Err(_))) => {
                    self.broken = true;
                    return Err(S3Error::new(
                        Code::IncompleteBody,
                        "The connection broke before the whole body had come.",
                    ));
                }
                Ok(Some(Ok(frame))) => frame,
            };
            // Trailers of HTTP itself say nothing that S3 knows.
            if let Ok(data) = frame.into_data()
                && !data.is_empty()
            {
                return Ok(Some(data));
            }
        }
    }

    /// After the answer is made: swallows what is left of the body, or has the connection closed,
    /// so that what comes is never taken for the next request.
    pub async fn settle(mut self, headers: &HeaderMap, response: &mut Response<Body>) {
        let expects = headers.get(EXPECT).is_some();
        if self.body.is_end_stream() {
            // aws-cli takes a last answer without the 100 that it asked for as one for the next request
            // of its connection too, cannot read that one's length, and waits for a minute.
            if self.empty && expects {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            return;
        }
        let waiting = !self.touched && expects;
        if waiting || self.broken || !self.drain().await {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }

    async fn drain(&mut self) -> bool {
        if self.body.size_hint().lower() > DRAIN_BYTES_MAX {
            return false;
        }
        let all = async {
            let mut swallowed = 0u64;
            while let Ok(Some(data)) = self.next().await {
                swallowed += u64::try_from(data.len()).unwrap_or(u64::MAX);
                if swallowed > DRAIN_BYTES_MAX {
                    return false;
                }
            }
            !self.broken
        };
        tokio::time::timeout(DRAIN_TIME_MAX, all).await.unwrap_or(false)
    }
}

/// What was said of a body, and whether it holds so far.
pub struct Checks {
    decoder: Option<Decoder>,
    /// `Content-Length` of a body without framing of its own.
    length: Option<u64>,
    seen: u64,
    sha256: Option<([u8; 32], Sha256)>,
    declared: Declared,
    hasher: Option<Hasher>,
    md5: Option<[u8; 16]>,
    /// What the payload will have, where it was said.
    announced: Option<u64>,
}

impl std::fmt::Debug for Checks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checks")
            .field("announced", &self.announced)
            .field("declared", &self.declared)
            .finish_non_exhaustive()
    }
}

impl Checks {
    /// Reads the headers that say something of the body.
    ///
    /// # Errors
    /// 400 for what makes no sense, 411 where nothing says where the body ends.
    pub fn read(headers: &HeaderMap, payload: Payload) -> S3Result<Self> {
        let md5 = content_md5(headers)?;
        let content_length = number(headers, CONTENT_LENGTH.as_str())?;
        if content_length.is_none() && !headers.contains_key(TRANSFER_ENCODING) {
            return Err(S3Error::new(Code::MissingContentLength, "You must provide the Content-Length HTTP header."));
        }
        let with_trailer = match &payload {
            Payload::SignedChunksTrailer(_) | Payload::UnsignedChunksTrailer => true,
            Payload::Unsigned | Payload::Sha256(_) | Payload::SignedChunks(_) => false,
        };
        let declared = s3_checksum::declared(headers, with_trailer)?;
        let decoded = number(headers, "x-amz-decoded-content-length")?;
        let (decoder, sha256, announced) = match payload {
            Payload::Unsigned => (None, None, content_length),
            Payload::Sha256(hash) => (None, Some((hash, Sha256::new())), content_length),
            Payload::SignedChunks(signer) => (Some(Decoder::new(Some(signer), false, decoded)), None, decoded),
            Payload::SignedChunksTrailer(signer) => (Some(Decoder::new(Some(signer), true, decoded)), None, decoded),
            Payload::UnsignedChunksTrailer => (Some(Decoder::new(None, true, decoded)), None, decoded),
        };
        if announced.is_some_and(|length| length > limits::PUT_BYTES_MAX) {
            return Err(S3Error::new(Code::EntityTooLarge, "Your proposed upload exceeds the maximum allowed size"));
        }
        let hasher = match &declared {
            Declared::None => None,
            Declared::Header(checksum) => Some(Hasher::new(checksum.kind)),
            Declared::Trailer(kind) => Some(Hasher::new(*kind)),
        };
        let length = if decoder.is_none() { content_length } else { None };
        Ok(Self { decoder, length, seen: 0, sha256, declared, hasher, md5, announced })
    }

    /// As [`Checks::read`], for the document of a complete: the checksum in its headers is that of
    /// the *object*. It says nothing of the XML, so it is not held against it.
    ///
    /// # Errors
    /// As [`Checks::read`].
    pub fn for_document(headers: &HeaderMap, payload: Payload) -> S3Result<Self> {
        let mut own = headers.clone();
        for kind in ChecksumKind::ALL {
            own.remove(kind.header());
        }
        Self::read(&own, payload)
    }

    /// The checksum of a part, whatever is said of it: by the algorithm of its upload, or by S3's
    /// own where none was chosen.
    ///
    /// # Errors
    /// `InvalidRequest` for a part that is declared with another algorithm.
    pub fn sum_with(&mut self, upload: Option<ChecksumKind>) -> S3Result<()> {
        let declared = match &self.declared {
            Declared::None => None,
            Declared::Header(checksum) => Some(checksum.kind),
            Declared::Trailer(kind) => Some(*kind),
        };
        match (declared, upload) {
            (Some(declared), Some(upload)) if declared != upload => Err(Refusal::OtherChecksum {
                expected: upload.name().to_ascii_lowercase(),
                actual: declared.name().to_ascii_lowercase(),
            }
            .into()),
            (Some(_), _) => Ok(()),
            (None, upload) => {
                self.hasher = Some(Hasher::new(upload.unwrap_or(ChecksumKind::Crc64Nvme)));
                Ok(())
            }
        }
    }

    /// Payload bytes that were announced.
    pub fn announced(&self) -> Option<u64> {
        self.announced
    }

    /// Whether a digest of the payload was declared that somebody computed on purpose: Content-MD5
    /// or a checksum.
    pub fn digest_declared(&self) -> bool {
        self.md5.is_some() || self.declared != Declared::None
    }

    /// Whether the body itself says where it ends, so that a cut one cannot pass for whole.
    pub fn knows_its_end(&self) -> bool {
        self.length.is_some() || self.decoder.is_some()
    }

    /// Takes a piece of the body in; puts the payload in it behind `out`.
    ///
    /// # Errors
    /// The body is not to be believed.
    pub fn push(&mut self, data: Bytes, out: &mut Vec<Bytes>) -> S3Result<()> {
        let first = out.len();
        match &mut self.decoder {
            Some(decoder) => decoder.push(data, out)?,
            None => out.push(data),
        }
        for piece in out.iter().skip(first) {
            self.seen = self.seen.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            if let Some((_, sha256)) = &mut self.sha256 {
                sha256.update(piece);
            }
            if let Some(hasher) = &mut self.hasher {
                hasher.update(piece);
            }
        }
        if self.seen > limits::PUT_BYTES_MAX {
            return Err(S3Error::new(Code::EntityTooLarge, "Your proposed upload exceeds the maximum allowed size"));
        }
        Ok(())
    }

    /// After the body's end: whether all that was said of it is true.
    ///
    /// # Errors
    /// What was not.
    pub fn finish(self) -> S3Result<Finish> {
        if self.length.is_some_and(|length| length != self.seen) {
            return Err(S3Error::new(
                Code::IncompleteBody,
                "You did not provide the number of bytes specified by the Content-Length HTTP header.",
            ));
        }
        let trailer = match self.decoder {
            Some(decoder) => decoder.finish()?,
            None => Vec::new(),
        };
        if let Some((wanted, sha256)) = self.sha256
            && <[u8; 32]>::from(sha256.finalize()) != wanted
        {
            return Err(S3Error::new(
                Code::XAmzContentSHA256Mismatch,
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
            ));
        }
        let malformed = || S3Error::new(Code::MalformedTrailerError, "The trailer is not the one that was announced.");
        let wanted: Option<Checksum> = match self.declared {
            Declared::None => None,
            Declared::Header(checksum) => Some(checksum),
            Declared::Trailer(kind) => {
                let text = trailer.iter().find(|(name, _)| name == kind.header()).ok_or_else(malformed)?;
                Some(s3_checksum::parse(kind, &text.1)?)
            }
        };
        let undeclared =
            |name: &str| name.starts_with("x-amz-checksum-") && wanted.as_ref().is_none_or(|w| w.kind.header() != name);
        if trailer.iter().any(|(name, _)| undeclared(name)) {
            return Err(malformed());
        }
        let computed = self.hasher.map(Hasher::finish);
        if let (Some(wanted), Some(computed)) = (&wanted, &computed)
            && computed != wanted
        {
            return Err(Refusal::BadChecksum { kind: wanted.kind.name() }.into());
        }
        Ok(Finish { md5: self.md5, checksum: computed })
    }
}

/// The `Content-MD5` among headers, or among a form's fields.
///
/// # Errors
/// `InvalidDigest` where it is none.
pub fn content_md5(headers: &HeaderMap) -> S3Result<Option<[u8; 16]>> {
    let Some(value) = headers.get("content-md5") else { return Ok(None) };
    let wrong = || S3Error::new(Code::InvalidDigest, "The Content-MD5 you specified was invalid.");
    s3_checksum::parse_md5(value.as_bytes()).map(Some).ok_or_else(wrong)
}

/// A header that is a number.
///
/// # Errors
/// `InvalidArgument` where it is none.
pub fn number(headers: &HeaderMap, name: &str) -> S3Result<Option<u64>> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or("").trim();
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(S3Error::new(Code::InvalidArgument, format!("{name} is not a number")));
    }
    text.parse().map(Some).map_err(|_| S3Error::new(Code::InvalidArgument, format!("{name} is out of range")))
}

/// Reads a whole body that is XML.
///
/// # Errors
/// What [`Checks`] say, and `EntityTooLarge` past the common limit.
pub async fn read_whole(incoming: &mut Incoming, mut checks: Checks) -> S3Result<Vec<u8>> {
    let too_large = || S3Error::new(Code::EntityTooLarge, "The XML of the request is too large");
    let limit = limits::S3_XML_BYTES_MAX;
    if checks.announced().is_some_and(|length| usize::try_from(length).map_or(true, |length| length > limit)) {
        return Err(too_large());
    }
    let (mut whole, mut pieces) = (Vec::new(), Vec::new());
    while let Some(data) = incoming.next().await? {
        incoming.fill(data.len() as u64)?;
        checks.push(data, &mut pieces)?;
        for piece in pieces.drain(..) {
            if whole.len() + piece.len() > limit {
                return Err(too_large());
            }
            whole.extend_from_slice(&piece);
        }
    }
    let finish = checks.finish()?;
    if let Some(md5) = finish.md5
        && crate::md5::digest(&whole) != md5
    {
        return Err(Refusal::BadDigest.into());
    }
    Ok(whole)
}

#[cfg(test)]
mod tests;
