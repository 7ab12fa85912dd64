//! SOAP as old callers speak it and as we answer it: bytes to values and back. Contract, sections 2 to 6.
//!
//! Absent: sockets, the operations of section 7 (they are `soap::calls`), anything that is fetched.

pub mod callback;
pub mod charset;
pub mod envelope;
pub mod fields;
pub mod write;
mod xml;

use std::borrow::Cow;

pub use envelope::{Request, Unreadable};
pub use fields::{BadField, Fields};
pub use write::Value;

/// Namespace of section 7.
pub const STORAGE_NAMESPACE: &str = "urn:sjkd:video-cloud-storage:v1_2";
/// Namespace of section 8.
pub const CALLBACK_NAMESPACE: &str = "urn:sjkd:alert-callback:v1_2";

/// The SOAP version of an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// SOAP 1.1, `text/xml`.
    Soap11,
    /// SOAP 1.2, `application/soap+xml`.
    Soap12,
}

/// Whose fault it is. Contract, section 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultCode {
    /// The Envelope is in a namespace that is neither version's.
    VersionMismatch,
    /// A header that has to be understood is not.
    MustUnderstand,
    /// The request cannot be read (1.2: Sender).
    Client,
    /// The appliance itself failed (1.2: Receiver).
    Server,
}

/// A fault on its way out: never repeats input, credentials, paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Whose.
    pub code: FaultCode,
    /// Short English, naming the field.
    pub text: Cow<'static, str>,
}

// === impl Version ===

impl Version {
    /// Namespace of the Envelope.
    pub const fn namespace(self) -> &'static str {
        match self {
            Self::Soap11 => "http://schemas.xmlsoap.org/soap/envelope/",
            Self::Soap12 => "http://www.w3.org/2003/05/soap-envelope",
        }
    }

    /// Media type, without a charset.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Soap11 => "text/xml",
            Self::Soap12 => "application/soap+xml",
        }
    }

    /// Content-Type of our answers.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Soap11 => "text/xml; charset=utf-8",
            Self::Soap12 => "application/soap+xml; charset=utf-8",
        }
    }

    /// The version while no Envelope has said: 1.2 where the Content-Type is 1.2's, else 1.1.
    pub fn by_content_type(content_type: Option<&str>) -> Self {
        match content_type.map(media_type) {
            Some(media) if media.eq_ignore_ascii_case(Self::Soap12.media_type()) => Self::Soap12,
            _ => Self::Soap11,
        }
    }

    fn by_namespace(namespace: &str) -> Option<Self> {
        [Self::Soap11, Self::Soap12].into_iter().find(|version| version.namespace() == namespace)
    }
}

// === impl FaultCode ===

impl FaultCode {
    /// The code's name in `version`.
    pub const fn name(self, version: Version) -> &'static str {
        match (self, version) {
            (Self::VersionMismatch, _) => "VersionMismatch",
            (Self::MustUnderstand, _) => "MustUnderstand",
            (Self::Client, Version::Soap11) => "Client",
            (Self::Client, Version::Soap12) => "Sender",
            (Self::Server, Version::Soap11) => "Server",
            (Self::Server, Version::Soap12) => "Receiver",
        }
    }

    /// HTTP status: 500 always in 1.1 (BP R1126); 400 for a Sender fault of 1.2.
    pub const fn http_status(self, version: Version) -> u16 {
        match (self, version) {
            (Self::Client, Version::Soap12) => 400,
            (Self::Client | Self::VersionMismatch | Self::MustUnderstand | Self::Server, _) => 500,
        }
    }
}

// === impl Fault ===

impl Fault {
    /// The request cannot be read.
    pub fn client(text: impl Into<Cow<'static, str>>) -> Self {
        Self { code: FaultCode::Client, text: text.into() }
    }

    /// The appliance failed.
    pub fn server(text: impl Into<Cow<'static, str>>) -> Self {
        Self { code: FaultCode::Server, text: text.into() }
    }
}

/// The media type of a Content-Type, its parameters cut.
pub fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// What XML 1.0 calls white space.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}
