//! What goes over the control socket, beside the engine's own views.

use serde::{Deserialize, Serialize};

/// `POST /api/v1/accounts`. Serves 6.1.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenAccount {
    /// Its name.
    pub account: String,
    /// Its space, GB.
    pub space_gb: u32,
    /// Its password; made up where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Where its platform takes alerts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert_url: Option<String>,
    /// Its most sub-accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_sub_accounts: Option<u32>,
}

/// What the platform's operator is told of a new account. The password is shown this once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OpenedAccount {
    /// `Account`
    pub account: String,
    /// `Password`
    pub password: String,
    /// Where section 7 is called.
    pub soap_url: String,
    /// Where its WSDL is.
    pub wsdl_url: String,
    /// S3URL.
    pub s3_url: String,
}

/// `PATCH /api/v1/accounts/NAME`; what is absent stays as it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModifyAccount {
    /// A new total, GB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub space_gb: Option<u32>,
    /// A new password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// A new alert URL; the empty one takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert_url: Option<String>,
    /// A new limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_sub_accounts: Option<u32>,
    /// Changes to how its platform wants callbacks written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback: Option<ModifyCallback>,
}

/// Changes to a callback profile; the empty text takes a value away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModifyCallback {
    /// Namespace of the wrapper.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of the wrapper element.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The SOAPAction header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soap_action: Option<String>,
    /// SOAP 1.2 instead of 1.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soap12: Option<bool>,
    /// Fields in no namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unqualified: Option<bool>,
    /// GBK instead of UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gbk: Option<bool>,
}

/// `POST /api/v1/accounts/NAME/key`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyPair {
    /// The access key.
    pub ak: String,
    /// The secret key.
    pub sk: String,
}

/// One line of the audit log.
#[derive(Clone, Debug, Serialize)]
pub struct AuditRow {
    /// When, ms since 1970.
    pub at_ms: i64,
    /// What happened.
    #[serde(flatten)]
    pub entry: crate::engine::AuditEntry,
}

/// What a reload did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadReport {
    /// Keys that have their new values.
    pub applied: Vec<String>,
    /// Keys whose new values wait for a restart.
    pub needs_restart: Vec<String>,
}

/// What clients are told, without a path and a `/` at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Urls {
    /// S3URL.
    pub s3: String,
    /// Base of the SOAP service.
    pub soap: String,
}

impl Urls {
    /// Where section 7 is called.
    pub fn soap_service(&self) -> String {
        format!("{}/services/VideoCloudStorage", self.soap)
    }
}
