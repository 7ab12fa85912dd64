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

/// `POST /api/v1/alerts/ID/acknowledge`
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acknowledge {
    /// Whether it is to be acknowledged.
    pub acknowledged: bool,
}

/// `POST /api/v1/alerts/ID/comment`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comment {
    /// What is said.
    pub text: String,
}

/// `POST /api/v1/accounts/NAME/test-alert`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TestAlert {
    /// The sub-account's AK; the account's first where it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ak: Option<String>,
    /// Which alert, by its word; `nearly_full` where it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
}

/// `POST /api/v1/accounts/NAME/key`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyPair {
    /// The access key.
    pub ak: String,
    /// The secret key.
    pub sk: String,
}

/// `POST /api/v1/session`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// Its name.
    pub user: String,
    /// Its password.
    pub password: String,
    /// The code of its authenticator, if it has one.
    #[serde(default)]
    pub totp: Option<String>,
}

/// `POST /api/v1/setup`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetUp {
    /// What the server printed at its start.
    pub code: String,
    /// The first user's name.
    pub user: String,
    /// Its password.
    pub password: String,
}

/// `PUT /api/v1/session/second-factor`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfirmSecondFactor {
    /// What the authenticator was given, base32.
    pub secret: String,
    /// What it shows.
    pub code: String,
}

/// `DELETE /api/v1/session/second-factor`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndSecondFactor {
    /// What the authenticator shows.
    pub code: String,
}

/// `POST /api/v1/users`
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddUser {
    /// Its name.
    pub user: String,
    /// Its role, by its word.
    pub role: String,
    /// Its account, of a role that belongs to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Its password; made up where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// `PATCH /api/v1/users/NAME`
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModifyUser {
    /// Whether it may not sign in.
    pub disabled: bool,
}

/// `POST /api/v1/users/NAME/password`
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChangePassword {
    /// The new one; made up where it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The old one, where a user changes its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
}

/// A user's password, shown this once.
#[derive(Clone, Serialize, Deserialize)]
pub struct OncePassword {
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
}

/// `POST /api/v1/sub-accounts`. Serves 7.2.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OpenSubAccount {
    /// Its space, GB.
    pub space_gb: u32,
    /// Of this account; of the caller's where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Whether the oldest files are overwritten.
    #[serde(default, rename = "loop")]
    pub loops: bool,
    /// What people call its camera.
    #[serde(default)]
    pub name: String,
    /// Where that is.
    #[serde(default)]
    pub place: String,
}

/// `PUT /api/v1/sub-accounts/AK/name`; what is absent is taken away.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct NameCamera {
    /// What people call it.
    pub name: String,
    /// Where it is.
    pub place: String,
}

/// `PATCH /api/v1/sub-accounts/AK`; what is absent stays as it is. Serves 7.5 and 7.6.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModifySubAccount {
    /// A new space, GB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub space_gb: Option<u32>,
    /// Whether the oldest files are overwritten.
    #[serde(rename = "loop", skip_serializing_if = "Option::is_none")]
    pub loops: Option<bool>,
}

/// `POST /api/v1/tariff-assignments`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssignTariff {
    /// The account's name, or `@` and its number.
    pub account: String,
    /// The tariff's name; none where it is not given.
    #[serde(default)]
    pub tariff: Option<String>,
    /// The first day, `2026-11-25`.
    pub from: String,
    /// The first day after, where it ends.
    #[serde(default)]
    pub to: Option<String>,
}

/// `POST /api/v1/accounts/NAME/statements/MONTH/adjust`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdjustStatement {
    /// How much, 厘, either sign.
    pub amount_li: crate::domain::billing::Money,
    /// Why.
    pub reason: String,
}

/// `POST /api/v1/sub-accounts/AK/files/lock`. Serves 7.8.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockFile {
    /// The file's name.
    pub name: String,
    /// Whether it is to be locked.
    pub locked: bool,
    /// Why, for the audit log.
    #[serde(default)]
    pub reason: Option<String>,
}

/// `POST /api/v1/sub-accounts/AK/files/delete`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeleteFiles {
    /// `recording` or `picture`.
    pub media: String,
    /// Their names.
    pub names: Vec<String>,
}

/// Files of a sub-account: `POST /api/v1/sub-accounts/AK/zip` and `…/files/preview-deletion`. Either `names`, or `all` with
/// what it is narrowed by.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChooseFiles {
    /// `recording` (where it is empty) or `picture`.
    pub kind: String,
    /// Their names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<String>>,
    /// All that match.
    pub all: bool,
    /// Not before this, ms since 1970; to the second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_ms: Option<i64>,
    /// Not after this, ms since 1970; to the second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_ms: Option<i64>,
    /// Only locked ones, or only others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
    /// Only names that have this in them, whatever the case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// `POST /api/v1/sub-accounts/AK/files/confirm-deletion`: as previewed, and that it is meant.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeleteChosen {
    /// See [`ChooseFiles`].
    #[serde(default)]
    pub kind: String,
    /// See [`ChooseFiles`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<String>>,
    /// See [`ChooseFiles`].
    #[serde(default)]
    pub all: bool,
    /// See [`ChooseFiles`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_ms: Option<i64>,
    /// See [`ChooseFiles`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_ms: Option<i64>,
    /// See [`ChooseFiles`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
    /// See [`ChooseFiles`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `upto` of the preview.
    pub upto: u64,
    /// The camera's AK.
    pub typed: String,
}

/// `POST /api/v1/sub-accounts/AK/files/locks`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockFiles {
    /// `recording` (where it is empty) or `picture`.
    #[serde(default)]
    pub kind: String,
    /// Their names.
    pub names: Vec<String>,
    /// Whether they are to be locked.
    pub locked: bool,
    /// Why.
    pub reason: String,
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

/// The state of the box, with what its listeners show.
#[derive(Serialize)]
pub(super) struct StatusView {
    #[serde(flatten)]
    pub(super) status: crate::engine::Status,
    /// One for each listener that speaks TLS.
    pub(super) certificates: Vec<CertificateView>,
}

/// A certificate that a listener shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CertificateView {
    /// `s3`, `soap`, `portal` or `metrics`.
    pub listener: String,
    /// `file` or `self-signed`.
    pub from: &'static str,
    /// SHA-256, `AB:CD:…`.
    pub fingerprint: String,
    /// Hosts and addresses that it is for.
    pub names: Vec<String>,
    /// Not to be believed before, ms since 1970.
    pub valid_from_ms: i64,
    /// Not to be believed after, ms since 1970.
    pub valid_until_ms: i64,
    /// What is wrong with it, or soon will be.
    pub warning: Option<String>,
}

/// What a reload did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadReport {
    /// Keys that have their new values.
    pub applied: Vec<String>,
    /// Keys whose new values wait for a restart.
    pub needs_restart: Vec<String>,
}

/// What a reload would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingChanges {
    /// What would have its new value.
    pub would_apply: Vec<PendingKey>,
    /// What would wait for a restart.
    pub needs_restart: Vec<PendingKey>,
}

/// A key of the configuration whose value in the running server is not the one that is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingKey {
    /// `section.key`
    pub key: String,
    /// What holds; null where it is not set.
    pub running: serde_json::Value,
    /// What is written; null where it is not set.
    pub written: serde_json::Value,
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

/// `POST /api/v1/backup`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakeBackup {
    /// An absolute path, as the server sees it; nothing is there, or an empty directory.
    pub dir: String,
    /// Whether the master key goes along.
    pub master_key: bool,
}

/// `POST /api/v1/scrub`
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scrub {
    /// Bytes a second at most; 0 is no limit.
    #[serde(default)]
    pub rate: u64,
}
