//! A no, in the words of the control API.

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;

use crate::domain::billing::BillingRefusal;
use crate::domain::files::FilesRefusal;
use crate::domain::users::UserRefusal;
use crate::domain::{AlertRefusal, Refusal};
use crate::engine::Error;

/// An answer that is not a yes: `{"error":{"code":…,"message":…}}`.
#[derive(Debug)]
pub struct No {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl No {
    /// 400: what was asked cannot be read, or is impossible.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: "bad_request", message: message.into() }
    }

    /// 404: there is no such thing.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, code: "not_found", message: message.into() }
    }

    /// 403: not so.
    pub fn forbidden(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::FORBIDDEN, code, message: message.into() }
    }

    /// 405: the resource is there and cannot be asked so.
    pub fn method_not_allowed() -> Self {
        let message = "this resource has no such method".to_owned();
        Self { status: StatusCode::METHOD_NOT_ALLOWED, code: "method_not_allowed", message }
    }

    /// 500, in words that give nothing away.
    pub fn broken(message: impl Into<String>) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, code: "broken", message: message.into() }
    }

    /// 409: not in this state.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::CONFLICT, code, message: message.into() }
    }

    /// As an HTTP answer.
    pub fn into_response(self) -> Response<Body> {
        let body = json!({"error": {"code": self.code, "message": self.message}});
        json_response(self.status, body.to_string())
    }
}

impl From<Error> for No {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusal) => {
                let (status, code) = word(&refusal);
                Self { status, code, message: refusal.to_string() }
            }
            Error::Busy(_) => {
                Self { status: StatusCode::SERVICE_UNAVAILABLE, code: "busy", message: error.to_string() }
            }
            Error::NoRoom => {
                Self { status: StatusCode::INSUFFICIENT_STORAGE, code: "disk_full", message: error.to_string() }
            }
            Error::Unavailable(_) => {
                Self { status: StatusCode::SERVICE_UNAVAILABLE, code: "unavailable", message: error.to_string() }
            }
            // The caller is the operator: what broke is theirs to know.
            Error::Broken(_) => {
                tracing::error!(%error, "a control request broke");
                Self { status: StatusCode::INTERNAL_SERVER_ERROR, code: "broken", message: error.to_string() }
            }
        }
    }
}

/// The table of words.
fn word(refusal: &Refusal) -> (StatusCode, &'static str) {
    match refusal {
        Refusal::NoAccount => (StatusCode::NOT_FOUND, "no_account"),
        Refusal::WrongPassword => (StatusCode::FORBIDDEN, "wrong_password"),
        Refusal::Slow { .. } => (StatusCode::TOO_MANY_REQUESTS, "slow"),
        Refusal::Suspended => (StatusCode::CONFLICT, "suspended"),
        Refusal::AccountExists => (StatusCode::CONFLICT, "account_exists"),
        Refusal::AccountSpace { .. } => (StatusCode::CONFLICT, "account_space"),
        Refusal::HandedOut { .. } => (StatusCode::CONFLICT, "handed_out"),
        Refusal::TooManySubAccounts { .. } => (StatusCode::CONFLICT, "too_many_sub_accounts"),
        Refusal::NoSubAccount => (StatusCode::NOT_FOUND, "no_sub_account"),
        Refusal::WrongSecret => (StatusCode::FORBIDDEN, "wrong_secret"),
        Refusal::LoopMode => (StatusCode::CONFLICT, "loop_mode"),
        Refusal::NothingToClear => (StatusCode::CONFLICT, "nothing_to_clear"),
        Refusal::NoFile => (StatusCode::NOT_FOUND, "no_file"),
        Refusal::PageTooLarge => (StatusCode::BAD_REQUEST, "page_too_large"),
        Refusal::NoBucket => (StatusCode::NOT_FOUND, "no_bucket"),
        Refusal::BucketIsYours => (StatusCode::CONFLICT, "bucket_is_yours"),
        Refusal::BucketExists => (StatusCode::CONFLICT, "bucket_exists"),
        Refusal::TooManyBuckets { .. } => (StatusCode::CONFLICT, "too_many_buckets"),
        Refusal::BucketNotEmpty => (StatusCode::CONFLICT, "bucket_not_empty"),
        Refusal::NoKey => (StatusCode::NOT_FOUND, "no_key"),
        Refusal::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
        Refusal::Locked => (StatusCode::CONFLICT, "locked"),
        Refusal::Full { .. } => (StatusCode::CONFLICT, "full"),
        Refusal::LargerThanTheSpace { .. } => (StatusCode::CONFLICT, "larger_than_the_space"),
        Refusal::TooLarge => (StatusCode::BAD_REQUEST, "too_large"),
        Refusal::NoUpload => (StatusCode::NOT_FOUND, "no_upload"),
        Refusal::BadPart { .. } => (StatusCode::BAD_REQUEST, "bad_part"),
        Refusal::PartOrder => (StatusCode::BAD_REQUEST, "part_order"),
        Refusal::PartTooSmall { .. } => (StatusCode::BAD_REQUEST, "part_too_small"),
        Refusal::Precondition => (StatusCode::PRECONDITION_FAILED, "precondition"),
        Refusal::BadDigest => (StatusCode::BAD_REQUEST, "bad_digest"),
        Refusal::NoPartChecksum { .. } => (StatusCode::BAD_REQUEST, "no_part_checksum"),
        Refusal::OtherChecksum { .. } => (StatusCode::BAD_REQUEST, "other_checksum"),
        Refusal::BadChecksum { .. } => (StatusCode::BAD_REQUEST, "bad_checksum"),
        Refusal::OtherSize { .. } => (StatusCode::BAD_REQUEST, "other_size"),
        Refusal::User(refusal) => user_word(refusal),
        Refusal::Files(refusal) => files_word(refusal),
        Refusal::Billing(refusal) => billing_word(refusal),
        Refusal::Alert(AlertRefusal::NoAlertUrl) => (StatusCode::CONFLICT, "no_alert_url"),
        Refusal::Alert(AlertRefusal::NoIdle) => (StatusCode::CONFLICT, "no_idle_alert"),
        Refusal::WrongLength => (StatusCode::BAD_REQUEST, "wrong_length"),
    }
}

fn files_word(refusal: &FilesRefusal) -> (StatusCode, &'static str) {
    match refusal {
        FilesRefusal::TooMany { .. } => (StatusCode::CONFLICT, "too_many_files"),
        FilesRefusal::TooLarge { .. } => (StatusCode::CONFLICT, "too_many_bytes"),
        FilesRefusal::NotConfirmed => (StatusCode::CONFLICT, "not_confirmed"),
        FilesRefusal::NoReason => (StatusCode::BAD_REQUEST, "no_reason"),
        FilesRefusal::NothingChosen => (StatusCode::BAD_REQUEST, "nothing_chosen"),
    }
}

fn user_word(refusal: &UserRefusal) -> (StatusCode, &'static str) {
    match refusal {
        UserRefusal::WrongSignIn => (StatusCode::UNAUTHORIZED, "wrong_sign_in"),
        UserRefusal::CodeNeeded => (StatusCode::UNAUTHORIZED, "code_needed"),
        UserRefusal::WrongCode => (StatusCode::UNAUTHORIZED, "wrong_code"),
        UserRefusal::Slow { .. } => (StatusCode::TOO_MANY_REQUESTS, "slow_down"),
        UserRefusal::NoSession => (StatusCode::UNAUTHORIZED, "no_session"),
        UserRefusal::WrongSetupCode => (StatusCode::UNAUTHORIZED, "wrong_setup_code"),
        UserRefusal::SetUp => (StatusCode::CONFLICT, "set_up"),
        UserRefusal::NoUser => (StatusCode::NOT_FOUND, "no_user"),
        UserRefusal::UserExists => (StatusCode::CONFLICT, "user_exists"),
        UserRefusal::WeakPassword(_) => (StatusCode::BAD_REQUEST, "weak_password"),
        UserRefusal::AccountOfRole => (StatusCode::BAD_REQUEST, "account_of_role"),
        UserRefusal::LastOperations => (StatusCode::CONFLICT, "last_operations"),
    }
}

fn billing_word(refusal: &BillingRefusal) -> (StatusCode, &'static str) {
    match refusal {
        BillingRefusal::BadTariff { .. } => (StatusCode::BAD_REQUEST, "bad_tariff"),
        BillingRefusal::TariffExists => (StatusCode::CONFLICT, "tariff_exists"),
        BillingRefusal::NoTariff => (StatusCode::NOT_FOUND, "no_tariff"),
        BillingRefusal::Locked { .. } => (StatusCode::CONFLICT, "period_locked"),
        BillingRefusal::NotOver { .. } => (StatusCode::CONFLICT, "period_not_over"),
        BillingRefusal::Issued => (StatusCode::CONFLICT, "issued"),
        BillingRefusal::NoStatement => (StatusCode::NOT_FOUND, "no_statement"),
        BillingRefusal::Settled => (StatusCode::CONFLICT, "settled"),
        BillingRefusal::BadAdjustment => (StatusCode::BAD_REQUEST, "bad_adjustment"),
        BillingRefusal::TooLarge => (StatusCode::CONFLICT, "amount_too_large"),
    }
}

/// A JSON answer.
pub fn json_response(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
