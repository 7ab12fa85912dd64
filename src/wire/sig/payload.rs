//! `x-amz-content-sha256`: what a signature says of the body. Every kind has its arm; there is no
//! default one, because a kind that is taken for another is a body that nobody checked.

use super::chunked::ChunkSigner;
use super::{SigCode, SigError};

/// How the body is framed and protected.
#[derive(Clone, Debug)]
pub enum Payload {
    /// As it is, not covered by the signature (`UNSIGNED-PAYLOAD`, and all of V2).
    Unsigned,
    /// As it is, with this SHA-256.
    Sha256([u8; 32]),
    /// `aws-chunked`, each chunk signed.
    SignedChunks(ChunkSigner),
    /// `aws-chunked`, each chunk and the trailer signed.
    SignedChunksTrailer(ChunkSigner),
    /// `aws-chunked` with a trailer, nothing signed.
    UnsignedChunksTrailer,
}

/// The words of `x-amz-content-sha256`, before anything is known of the signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Declared {
    Unsigned,
    Sha256([u8; 32]),
    SignedChunks,
    SignedChunksTrailer,
    UnsignedChunksTrailer,
}

impl Declared {
    pub(super) fn read(value: &str) -> Result<Self, SigError> {
        match value {
            "UNSIGNED-PAYLOAD" => Ok(Self::Unsigned),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => Ok(Self::SignedChunks),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => Ok(Self::SignedChunksTrailer),
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Ok(Self::UnsignedChunksTrailer),
            "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD" | "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER" => {
                Err(SigError::new(SigCode::NotImplemented, "SigV4A (ECDSA) is not implemented"))
            }
            _ => {
                let mut hash = [0; 32];
                match hex::decode_to_slice(value, &mut hash) {
                    Ok(()) => Ok(Self::Sha256(hash)),
                    Err(_) => Err(SigError::new(
                        SigCode::InvalidArgument,
                        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, \
                         STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid \
                         sha256 value.",
                    )),
                }
            }
        }
    }

    /// With the key and the seed signature of the request.
    pub(super) fn with_seed(self, signer: impl FnOnce() -> ChunkSigner) -> Payload {
        match self {
            Self::Unsigned => Payload::Unsigned,
            Self::Sha256(hash) => Payload::Sha256(hash),
            Self::SignedChunks => Payload::SignedChunks(signer()),
            Self::SignedChunksTrailer => Payload::SignedChunksTrailer(signer()),
            Self::UnsignedChunksTrailer => Payload::UnsignedChunksTrailer,
        }
    }

    /// In a request of V2, which has no seed for chunks.
    pub(super) fn without_seed(self) -> Result<Payload, SigError> {
        match self {
            Self::Unsigned => Ok(Payload::Unsigned),
            Self::Sha256(hash) => Ok(Payload::Sha256(hash)),
            Self::SignedChunks | Self::SignedChunksTrailer => {
                Err(SigError::new(SigCode::InvalidArgument, "Signed chunks need a request that is signed with SigV4"))
            }
            Self::UnsignedChunksTrailer => Ok(Payload::UnsignedChunksTrailer),
        }
    }
}
