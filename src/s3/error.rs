//! S3's words for every no, each with its status, and the one place where a refusal becomes one.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use crate::domain::Refusal;
use crate::engine;
use crate::wire::form::BadForm;
use crate::wire::post_policy::BadPolicy;
use crate::wire::s3_checksum::BadChecksum;
use crate::wire::s3_xml::{self, MalformedXml};
use crate::wire::sig::chunked::ChunkError;
use crate::wire::sig::{BadTarget, SigCode, SigError};

macro_rules! codes {
    ($($code:ident $status:literal,)*) => {
        /// S3's error codes that this store answers with.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = concat!("Status ", stringify!($status), ".")] $code,)*
        }

        /// What can come of a request: nothing bad, or one of the codes.
        pub const OUTCOMES: &[&str] = &[crate::telemetry::OK, $(stringify!($code),)*];

        impl Code {
            /// As the error's body names it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$code => stringify!($code),)* }
            }

            /// The HTTP status.
            pub const fn status(self) -> StatusCode {
                match self.number() {
                    400 => StatusCode::BAD_REQUEST,
                    403 => StatusCode::FORBIDDEN,
                    404 => StatusCode::NOT_FOUND,
                    405 => StatusCode::METHOD_NOT_ALLOWED,
                    409 => StatusCode::CONFLICT,
                    411 => StatusCode::LENGTH_REQUIRED,
                    412 => StatusCode::PRECONDITION_FAILED,
                    416 => StatusCode::RANGE_NOT_SATISFIABLE,
                    501 => StatusCode::NOT_IMPLEMENTED,
                    503 => StatusCode::SERVICE_UNAVAILABLE,
                    _ => StatusCode::INTERNAL_SERVER_ERROR,
                }
            }

            const fn number(self) -> u16 {
                match self { $(Self::$code => $status,)* }
            }

            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$code,)*];
        }
    };
}

codes! {
    AccessDenied 403,
    AccessForbidden 403,
    AccountProblem 403,
    AuthorizationHeaderMalformed 400,
    AuthorizationQueryParametersError 400,
    BadDigest 400,
    BadRequest 400,
    BucketAlreadyExists 409,
    BucketAlreadyOwnedByYou 409,
    BucketNotEmpty 409,
    EntityTooLarge 400,
    EntityTooSmall 400,
    IncompleteBody 400,
    InternalError 500,
    InvalidAccessKeyId 403,
    InvalidArgument 400,
    InvalidBucketName 400,
    InvalidDigest 400,
    InvalidPart 400,
    InvalidPartOrder 400,
    InvalidPolicyDocument 400,
    InvalidRange 416,
    InvalidRequest 400,
    InvalidToken 400,
    InvalidURI 400,
    KeyTooLongError 400,
    MalformedPOSTRequest 400,
    MalformedTrailerError 400,
    MalformedXML 400,
    MaxPostPreDataLengthExceeded 400,
    MetadataTooLarge 400,
    MethodNotAllowed 405,
    MissingContentLength 411,
    NoSuchBucket 404,
    NoSuchKey 404,
    NoSuchUpload 404,
    NoSuchVersion 404,
    NotImplemented 501,
    PreconditionFailed 412,
    QuotaExceeded 403,
    RequestTimeTooSkewed 403,
    // S3's 400, not HTTP's 408: SDKs retry the pair of this code and that status.
    RequestTimeout 400,
    ServiceUnavailable 503,
    SignatureDoesNotMatch 403,
    SlowDown 503,
    TooManyBuckets 400,
    XAmzContentSHA256Mismatch 400,
}

/// A no on its way to the client.
#[derive(Clone, Debug)]
pub struct S3Error {
    code: Code,
    message: Cow<'static, str>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// What broke, for the log only.
    broken: Option<Arc<str>>,
}

/// A disk that is full is none of the client's doing, and nothing that it can mend.
const NO_ROOM: &str = "The disk is full: nothing was stored. What is stored can be read and deleted; uploads are taken again once there is room.";

/// What an operation gives.
pub type S3Result<T> = Result<T, S3Error>;

impl S3Error {
    /// An error in the client's words.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), headers: Vec::new(), broken: None }
    }

    /// Something of S3 that this store does not have.
    pub fn not_implemented(what: &str) -> Self {
        Self::new(
            Code::NotImplemented,
            format!("A header or query you provided implies functionality that is not implemented: {what}"),
        )
    }

    /// A thing that broke inside; the client learns a request id and no more.
    pub fn broken(why: impl Into<Arc<str>>) -> Self {
        let mut error = Self::new(Code::InternalError, "We encountered an internal error. Please try again.");
        error.broken = Some(why.into());
        error
    }

    /// With a header in the answer.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// What broke inside is logged; the client's words are given.
    pub fn into_words(self) -> (Code, String) {
        if let Some(why) = &self.broken {
            tracing::error!(error = %why, "a part of an S3 request failed");
        }
        (self.code, self.message.into_owned())
    }

    /// The name of S3's code.
    pub fn cause(&self) -> &'static str {
        self.code.name()
    }

    /// What the client is told.
    pub fn words(&self) -> &str {
        &self.message
    }

    /// Whether it says that a request is not believed, as far as its signature goes.
    pub fn is_of_signatures(&self) -> bool {
        matches!(
            self.code,
            Code::SignatureDoesNotMatch
                | Code::RequestTimeTooSkewed
                | Code::AuthorizationHeaderMalformed
                | Code::AuthorizationQueryParametersError
                | Code::XAmzContentSHA256Mismatch
                | Code::InvalidToken
                | Code::AccessDenied
        )
    }

    /// S3's code.
    #[cfg(test)]
    pub fn code(&self) -> Code {
        self.code
    }

    /// The answer; without a body where the request was a HEAD. What broke is logged here, once.
    pub fn response(self, resource: &str, request_id: &str, head: bool) -> Response<Body> {
        if let Some(why) = &self.broken {
            tracing::error!(request_id, resource, error = %why, "an S3 request failed");
        }
        let body = if head {
            Body::empty()
        } else {
            Body::from(s3_xml::error(self.code.name(), &self.message, resource, request_id, request_id))
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.code.status();
        let headers = response.headers_mut();
        if !head {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        }
        match self.code {
            Code::SlowDown => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            // An operator has to come first.
            Code::ServiceUnavailable => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("60"));
            }
            Code::RequestTimeout => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        response
    }
}

/// S3's code of each of the shop's refusals.
fn code_of(refusal: &Refusal) -> Code {
    match refusal {
        Refusal::NoFile => Code::NoSuchKey,
        Refusal::NoBucket => Code::NoSuchBucket,
        Refusal::BucketIsYours => Code::BucketAlreadyOwnedByYou,
        Refusal::BucketExists => Code::BucketAlreadyExists,
        Refusal::TooManyBuckets { .. } => Code::TooManyBuckets,
        Refusal::BucketNotEmpty => Code::BucketNotEmpty,
        Refusal::NoKey => Code::InvalidAccessKeyId,
        Refusal::Suspended => Code::AccountProblem,
        Refusal::Slow { .. } => Code::SlowDown,
        Refusal::Forbidden | Refusal::Locked => Code::AccessDenied,
        Refusal::Full { .. } | Refusal::LargerThanTheSpace { .. } | Refusal::AccountSpace { .. } => Code::QuotaExceeded,
        Refusal::TooLarge => Code::EntityTooLarge,
        Refusal::NoUpload => Code::NoSuchUpload,
        Refusal::BadPart { .. } => Code::InvalidPart,
        Refusal::PartOrder => Code::InvalidPartOrder,
        Refusal::PartTooSmall { .. } => Code::EntityTooSmall,
        Refusal::Precondition => Code::PreconditionFailed,
        Refusal::BadDigest | Refusal::BadChecksum { .. } => Code::BadDigest,
        Refusal::WrongLength => Code::IncompleteBody,
        // The rest is the platform's and the operators'; none of it is said on this plane.
        Refusal::NoPartChecksum { .. }
        | Refusal::OtherChecksum { .. }
        | Refusal::OtherSize { .. }
        | Refusal::NoAccount
        | Refusal::WrongPassword
        | Refusal::AccountExists
        | Refusal::HandedOut { .. }
        | Refusal::TooManySubAccounts { .. }
        | Refusal::NoSubAccount
        | Refusal::WrongSecret
        | Refusal::LoopMode
        | Refusal::NothingToClear
        | Refusal::User(_)
        | Refusal::Files(_)
        | Refusal::Billing(_)
        | Refusal::Alert(_)
        | Refusal::PageTooLarge => Code::InvalidRequest,
    }
}

impl From<Refusal> for S3Error {
    fn from(refusal: Refusal) -> Self {
        let error = Self::new(code_of(&refusal), refusal.to_string());
        match refusal {
            Refusal::Slow { seconds } => error.with(RETRY_AFTER, HeaderValue::from(seconds)),
            _ => error,
        }
    }
}

impl From<engine::Error> for S3Error {
    fn from(error: engine::Error) -> Self {
        match error {
            engine::Error::Refused(refusal) => refusal.into(),
            engine::Error::Busy(_) => Self::new(Code::SlowDown, "Please reduce your request rate."),
            engine::Error::NoRoom => {
                Self::new(Code::SlowDown, NO_ROOM).with(RETRY_AFTER, HeaderValue::from_static("10"))
            }
            engine::Error::Unavailable(why) => Self::new(Code::ServiceUnavailable, why),
            engine::Error::Broken(why) => Self::broken(why),
        }
    }
}

impl From<SigError> for S3Error {
    fn from(error: SigError) -> Self {
        let code = match error.code {
            SigCode::AccessDenied => Code::AccessDenied,
            SigCode::AuthorizationHeaderMalformed => Code::AuthorizationHeaderMalformed,
            SigCode::AuthorizationQueryParametersError => Code::AuthorizationQueryParametersError,
            SigCode::InvalidAccessKeyId => Code::InvalidAccessKeyId,
            SigCode::InvalidArgument => Code::InvalidArgument,
            SigCode::InvalidRequest => Code::InvalidRequest,
            SigCode::InvalidToken => Code::InvalidToken,
            SigCode::NotImplemented => Code::NotImplemented,
            SigCode::RequestTimeTooSkewed => Code::RequestTimeTooSkewed,
            SigCode::SignatureDoesNotMatch => Code::SignatureDoesNotMatch,
        };
        Self::new(code, error.message)
    }
}

impl From<ChunkError> for S3Error {
    fn from(error: ChunkError) -> Self {
        let code = match error {
            ChunkError::ChunkSignature | ChunkError::TrailerSignature => Code::SignatureDoesNotMatch,
            ChunkError::Incomplete => Code::IncompleteBody,
            ChunkError::Malformed(_) => Code::InvalidRequest,
            ChunkError::Trailer => Code::MalformedTrailerError,
        };
        Self::new(code, error.to_string())
    }
}

impl From<BadChecksum> for S3Error {
    fn from(error: BadChecksum) -> Self {
        let code = match error {
            BadChecksum::Several => Code::InvalidRequest,
            // It matches nothing. S3 itself says InvalidRequest; the code is the suite's.
            BadChecksum::Value(_) => Code::BadDigest,
            BadChecksum::Unknown => Code::NotImplemented,
        };
        Self::new(code, error.to_string())
    }
}

impl From<BadTarget> for S3Error {
    fn from(error: BadTarget) -> Self {
        Self::new(Code::InvalidURI, error.to_string())
    }
}

impl From<BadForm> for S3Error {
    fn from(error: BadForm) -> Self {
        let code = match error {
            BadForm::Malformed => Code::MalformedPOSTRequest,
            BadForm::TooLarge => Code::MaxPostPreDataLengthExceeded,
        };
        Self::new(code, error.to_string())
    }
}

impl From<BadPolicy> for S3Error {
    fn from(error: BadPolicy) -> Self {
        let code = match error {
            BadPolicy::Malformed(_) => Code::InvalidPolicyDocument,
            BadPolicy::Expired | BadPolicy::Failed(_) | BadPolicy::Extra(_) => Code::AccessDenied,
        };
        Self::new(code, error.to_string())
    }
}

impl From<MalformedXml> for S3Error {
    fn from(error: MalformedXml) -> Self {
        Self::new(Code::MalformedXML, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Bytes;

    #[test]
    fn every_code_has_a_status_of_its_own_kind() {
        for code in Code::ALL {
            assert_eq!(code.status().as_u16(), code.number(), "{}", code.name());
        }
    }

    #[test]
    fn a_full_space_a_locked_file_and_a_suspended_account_have_s3s_own_words() {
        let full = S3Error::from(Refusal::Full { granted: Bytes::new(1) });
        assert_eq!((full.code().name(), full.code().status().as_u16()), ("QuotaExceeded", 403));
        assert_eq!(S3Error::from(Refusal::Locked).code().name(), "AccessDenied");
        assert_eq!(S3Error::from(Refusal::Suspended).code().name(), "AccountProblem");
    }

    #[test]
    fn a_body_that_stays_away_is_400_and_ends_the_connection() {
        let response = S3Error::new(Code::RequestTimeout, "").response("/b/k", "1", false);
        assert_eq!(response.status().as_u16(), 400);
        assert_eq!(response.headers().get(CONNECTION), Some(&HeaderValue::from_static("close")));
    }

    #[test]
    fn what_broke_is_not_told() {
        let error = S3Error::from(engine::Error::Broken("disk 3 secret".into()));
        assert_eq!(error.code(), Code::InternalError);
        assert!(!error.message.contains("disk"));
    }

    #[test]
    fn a_full_disk_is_named_and_says_when_to_come_back() {
        let error = S3Error::from(engine::Error::NoRoom);
        assert!(error.message.contains("disk is full"));
        let response = error.response("/b", "1", false);
        assert_eq!(response.status().as_u16(), 503);
        assert!(response.headers().contains_key(RETRY_AFTER));
    }

    #[test]
    fn a_box_in_salvage_mode_says_so() {
        let error = S3Error::from(engine::Error::Unavailable(engine::SALVAGE));
        assert!(error.message.contains("salvage mode"));
        let response = error.response("/b", "1", false);
        assert_eq!(response.status().as_u16(), 503);
        assert!(response.headers().contains_key(RETRY_AFTER));
    }

    #[test]
    fn a_busy_store_says_when_to_come_back() {
        let response = S3Error::from(engine::Error::Busy("queue")).response("/b", "1", false);
        assert_eq!(response.status().as_u16(), 503);
        assert!(response.headers().contains_key(RETRY_AFTER));
    }
}
