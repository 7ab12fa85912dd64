//! `aws-chunked`: a body in chunks of its own, each signed or not, with or without a trailer.
//!
//! ```text
//! hex-size[;chunk-signature=64 hex]\r\n  payload  \r\n     (as often as needed)
//! 0[;chunk-signature=64 hex]\r\n
//! name:value\r\n …  [x-amz-trailer-signature:64 hex\r\n]   (trailer kinds)
//! \r\n
//! ```
//!
//! Payload goes out as it comes in; a chunk's signature is checked at the chunk's end, so nobody
//! may show what came out before [`Decoder::finish`] has said that all of it is right.

use bytes::{Buf, Bytes};
use sha2::{Digest, Sha256};

use super::{hmac_sha256, same, sha256};

/// A chunk's head: a size, a signature, and room for extensions.
const LINE_BYTES_MAX: usize = 1024;
/// All lines of a trailer together.
const TRAILER_BYTES_MAX: usize = 16 << 10;
/// No chunk is larger than S3's largest PUT.
const CHUNK_BYTES_MAX: u64 = crate::domain::limits::PUT_BYTES_MAX;

/// Signs the chunks of one body, each over the one before. The first comes after the request's own
/// signature.
#[derive(Clone)]
pub struct ChunkSigner {
    key: [u8; 32],
    date: String,
    scope: String,
    previous: [u8; 32],
}

impl std::fmt::Debug for ChunkSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChunkSigner").field("date", &self.date).field("scope", &self.scope).finish_non_exhaustive()
    }
}

impl ChunkSigner {
    pub(super) fn new(key: [u8; 32], date: String, scope: String, seed: [u8; 32]) -> Self {
        Self { key, date, scope, previous: seed }
    }

    fn head(&self, algorithm: &str) -> String {
        format!("{algorithm}\n{}\n{}\n{}\n", self.date, self.scope, hex::encode(self.previous))
    }

    /// The signature of the next chunk, whose payload has this hash.
    pub fn chunk(&mut self, payload_hash: [u8; 32]) -> [u8; 32] {
        let head = self.head("AWS4-HMAC-SHA256-PAYLOAD");
        let text = format!("{head}{}\n{}", hex::encode(sha256(b"")), hex::encode(payload_hash));
        self.previous = hmac_sha256(&self.key, text.as_bytes());
        self.previous
    }

    /// The signature of the trailer, `name:value\n` of each of its headers.
    pub fn trailer(&mut self, canonical: &[u8]) -> [u8; 32] {
        let text = format!("{}{}", self.head("AWS4-HMAC-SHA256-TRAILER"), hex::encode(sha256(canonical)));
        self.previous = hmac_sha256(&self.key, text.as_bytes());
        self.previous
    }
}

/// Why a body is not what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// S3 `SignatureDoesNotMatch`: a chunk was not signed by the one who signed the request.
    #[error("The signature of a chunk does not match.")]
    ChunkSignature,
    /// S3 `SignatureDoesNotMatch`: the trailer was not.
    #[error("The signature of the trailer is missing or does not match.")]
    TrailerSignature,
    /// S3 `IncompleteBody`: the body ends before its last chunk or before its announced length.
    #[error("The body ended before its last chunk, or does not have its x-amz-decoded-content-length.")]
    Incomplete,
    /// S3 `InvalidRequest`: the framing cannot be read.
    #[error("The aws-chunked framing of the body is malformed: {0}")]
    Malformed(&'static str),
    /// S3 `MalformedTrailerError`: the trailer cannot be read, or is not the one that was announced.
    #[error("The request contained trailing data that was not well-formed or did not conform to our published schema.")]
    Trailer,
}

/// What a trailer said, names in lower case, the signature taken out.
pub type Trailer = Vec<(String, String)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Collecting a chunk's head.
    Head,
    /// So many bytes of payload are to come.
    Payload(u64),
    /// The CR LF behind a payload; so many bytes of it are to come.
    PayloadEnd(u8),
    /// After the last chunk's head.
    Trailer,
}

/// Takes the framing off, whatever pieces it comes in.
pub struct Decoder {
    signer: Option<ChunkSigner>,
    with_trailer: bool,
    /// Bytes that must still come, where they were announced.
    left: Option<u64>,
    state: State,
    line: Vec<u8>,
    hash: Sha256,
    expected: [u8; 32],
    trailer: Trailer,
    trailer_bytes: usize,
    trailer_signature: Option<[u8; 32]>,
}

impl Decoder {
    /// A decoder. `signer` for the signed kinds; `length` is `x-amz-decoded-content-length`.
    pub fn new(signer: Option<ChunkSigner>, with_trailer: bool, length: Option<u64>) -> Self {
        Self {
            signer,
            with_trailer,
            left: length,
            state: State::Head,
            line: Vec::new(),
            hash: Sha256::new(),
            expected: [0; 32],
            trailer: Vec::new(),
            trailer_bytes: 0,
            trailer_signature: None,
        }
    }

    /// Takes the next piece in and puts the payload that is in it behind `out`.
    ///
    /// # Errors
    /// The body is not to be believed, nothing of it.
    pub fn push(&mut self, mut data: Bytes, out: &mut Vec<Bytes>) -> Result<(), ChunkError> {
        while !data.is_empty() {
            match self.state {
                State::Head => {
                    if self.take_line(&mut data, LINE_BYTES_MAX, ChunkError::Malformed("a chunk's head is too long"))? {
                        let line = std::mem::take(&mut self.line);
                        self.head(&line)?;
                    }
                }
                State::Payload(left) => {
                    let take = usize::try_from(left).unwrap_or(usize::MAX).min(data.len());
                    let piece = data.split_to(take);
                    if self.signer.is_some() {
                        self.hash.update(&piece);
                    }
                    out.push(piece);
                    let left = left - u64::try_from(take).unwrap_or(left);
                    self.state = State::Payload(left);
                    if left == 0 {
                        self.chunk_end()?;
                        self.state = State::PayloadEnd(2);
                    }
                }
                State::PayloadEnd(left) => {
                    let wanted = if left == 2 { b'\r' } else { b'\n' };
                    if data.get_u8() != wanted {
                        return Err(ChunkError::Malformed("a chunk's payload does not end where its size says"));
                    }
                    self.state = if left == 2 { State::PayloadEnd(1) } else { State::Head };
                }
                State::Trailer => {
                    if self.take_line(&mut data, TRAILER_BYTES_MAX, ChunkError::Trailer)? {
                        let line = std::mem::take(&mut self.line);
                        self.trailer_line(&line)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Says whether all of it was right, and gives the trailer.
    ///
    /// # Errors
    /// The body ended early, or its trailer is not to be believed.
    pub fn finish(mut self) -> Result<Trailer, ChunkError> {
        if self.state != State::Trailer || self.left.is_some_and(|left| left > 0) {
            return Err(ChunkError::Incomplete);
        }
        if !self.line.is_empty() {
            return Err(if self.with_trailer { ChunkError::Trailer } else { ChunkError::Incomplete });
        }
        if let Some(signer) = self.signer.as_mut().filter(|_| self.with_trailer) {
            let mut sorted = self.trailer.clone();
            sorted.sort();
            let mut canonical = Vec::new();
            for (name, value) in sorted {
                canonical.extend_from_slice(format!("{name}:{value}\n").as_bytes());
            }
            let right = signer.trailer(&canonical);
            if !self.trailer_signature.is_some_and(|sent| same(&sent, &right)) {
                return Err(ChunkError::TrailerSignature);
            }
        }
        Ok(self.trailer)
    }

    /// Moves bytes up to a LF into the line; whether the line is whole (its end cut off).
    fn take_line(&mut self, data: &mut Bytes, most: usize, too_long: ChunkError) -> Result<bool, ChunkError> {
        let end = data.iter().position(|b| *b == b'\n');
        let take = end.unwrap_or(data.len());
        if self.line.len() + take > most {
            return Err(too_long);
        }
        self.line.extend_from_slice(&data.split_to(take));
        if end.is_none() {
            return Ok(false);
        }
        data.advance(1);
        if self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        Ok(true)
    }

    fn head(&mut self, line: &[u8]) -> Result<(), ChunkError> {
        let text = std::str::from_utf8(line).map_err(|_| ChunkError::Malformed("a chunk's head is not ASCII"))?;
        let mut parts = text.split(';');
        let size = parts.next().unwrap_or("").trim();
        if size.is_empty() || size.len() > 16 || !size.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(ChunkError::Malformed("a chunk's size is not hexadecimal"));
        }
        let size = u64::from_str_radix(size, 16).unwrap_or(u64::MAX);
        if size > CHUNK_BYTES_MAX {
            return Err(ChunkError::Malformed("a chunk is too large"));
        }
        if self.signer.is_some() {
            let sent = parts.find_map(|p| p.trim().strip_prefix("chunk-signature="));
            let sent = sent.ok_or(ChunkError::ChunkSignature)?;
            hex::decode_to_slice(sent.trim(), &mut self.expected).map_err(|_| ChunkError::ChunkSignature)?;
        }
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(size).ok_or(ChunkError::Incomplete)?;
        }
        if size == 0 {
            self.chunk_end()?;
            self.state = State::Trailer;
        } else {
            self.state = State::Payload(size);
        }
        Ok(())
    }

    fn chunk_end(&mut self) -> Result<(), ChunkError> {
        let Some(signer) = &mut self.signer else {
            return Ok(());
        };
        let hash = std::mem::replace(&mut self.hash, Sha256::new()).finalize().into();
        if same(&signer.chunk(hash), &self.expected) { Ok(()) } else { Err(ChunkError::ChunkSignature) }
    }

    /// A line after the last chunk. Empty ones are passed over: some clients write one between the
    /// trailer and its signature.
    fn trailer_line(&mut self, line: &[u8]) -> Result<(), ChunkError> {
        if line.is_empty() {
            return Ok(());
        }
        if !self.with_trailer {
            return Err(ChunkError::Malformed("something follows the last chunk"));
        }
        self.trailer_bytes += line.len();
        if self.trailer_bytes > TRAILER_BYTES_MAX {
            return Err(ChunkError::Trailer);
        }
        let text = std::str::from_utf8(line).map_err(|_| ChunkError::Trailer)?;
        let (name, value) = text.split_once(':').ok_or(ChunkError::Trailer)?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        if name == "x-amz-trailer-signature" {
            let mut signature = [0; 32];
            hex::decode_to_slice(value, &mut signature).map_err(|_| ChunkError::TrailerSignature)?;
            if self.trailer_signature.replace(signature).is_some() {
                return Err(ChunkError::Trailer);
            }
            return Ok(());
        }
        if self.trailer.iter().any(|(n, _)| *n == name) {
            return Err(ChunkError::Trailer);
        }
        self.trailer.push((name, value.to_owned()));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
