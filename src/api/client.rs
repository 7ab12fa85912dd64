//! The control API from its other side: over the socket, or on a closed store in this process.

use std::io;
use std::path::PathBuf;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use tower::ServiceExt;

use super::types::{
    Acknowledge, AddUser, ChangePassword, ChooseFiles, Comment, ModifyAccount, ModifySubAccount, ModifyUser,
    NameCamera, OpenAccount, OpenSubAccount, Scrub, TestAlert,
};

/// Asks the control API. Both ways give the same answers: a command is an API call.
pub enum Client {
    /// A running server, through its socket.
    Socket(PathBuf),
    /// The router itself, on a store that this process has opened.
    Direct(Router),
}

/// Why a command was not answered.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The server says no, in its words.
    #[error("{message}")]
    Refused {
        /// For programs.
        code: String,
        /// For people.
        message: String,
    },
    /// Nobody listens on the socket.
    #[error("the server is not running")]
    NotRunning,
    /// The connection broke.
    #[error("the server did not answer: {0}")]
    Connection(io::Error),
    /// What came could not be written down.
    #[error("cannot write: {0}")]
    Output(io::Error),
}

/// JSON, as it came.
pub type Answer = Result<String, Failure>;

impl Client {
    /// `GET /api/v1/accounts`
    pub async fn accounts(&self) -> Answer {
        self.call(Method::GET, "/accounts", None::<&()>).await
    }

    /// `POST /api/v1/accounts`
    pub async fn open_account(&self, new: &OpenAccount) -> Answer {
        self.call(Method::POST, "/accounts", Some(new)).await
    }

    /// `GET /api/v1/accounts/NAME`
    pub async fn account(&self, name: &str) -> Answer {
        self.call(Method::GET, &format!("/accounts/{}", part(name)), None::<&()>).await
    }

    /// `PATCH /api/v1/accounts/NAME`
    pub async fn modify_account(&self, name: &str, changes: &ModifyAccount) -> Answer {
        self.call(Method::PATCH, &format!("/accounts/{}", part(name)), Some(changes)).await
    }

    /// `DELETE /api/v1/accounts/NAME`
    pub async fn close_account(&self, name: &str) -> Answer {
        self.call(Method::DELETE, &format!("/accounts/{}", part(name)), None::<&()>).await
    }

    /// `POST /api/v1/accounts/NAME/key`
    pub async fn account_key(&self, name: &str) -> Answer {
        self.call(Method::POST, &format!("/accounts/{}/key", part(name)), None::<&()>).await
    }

    /// `GET /api/v1/accounts/NAME/sub-accounts`
    pub async fn sub_accounts(&self, name: &str) -> Answer {
        self.call(Method::GET, &format!("/accounts/{}/sub-accounts", part(name)), None::<&()>).await
    }

    /// `GET /api/v1/sub-accounts/AK`
    pub async fn sub_account(&self, ak: &str) -> Answer {
        self.call(Method::GET, &format!("/sub-accounts/{}", part(ak)), None::<&()>).await
    }

    /// `GET /api/v1/users`
    pub async fn users(&self) -> Answer {
        self.call(Method::GET, "/users", None::<&()>).await
    }

    /// `POST /api/v1/users`
    pub async fn add_user(&self, new: &AddUser) -> Answer {
        self.call(Method::POST, "/users", Some(new)).await
    }

    /// `DELETE /api/v1/users/NAME`
    pub async fn remove_user(&self, name: &str) -> Answer {
        self.call(Method::DELETE, &format!("/users/{}", part(name)), None::<&()>).await
    }

    /// `PATCH /api/v1/users/NAME`
    pub async fn disable_user(&self, name: &str, disabled: bool) -> Answer {
        let body = ModifyUser { disabled };
        self.call(Method::PATCH, &format!("/users/{}", part(name)), Some(&body)).await
    }

    /// `DELETE /api/v1/users/NAME/second-factor`
    pub async fn remove_second_factor(&self, name: &str) -> Answer {
        self.call(Method::DELETE, &format!("/users/{}/second-factor", part(name)), None::<&()>).await
    }

    /// `POST /api/v1/users/NAME/password`
    pub async fn change_password(&self, name: &str, change: &ChangePassword) -> Answer {
        self.call(Method::POST, &format!("/users/{}/password", part(name)), Some(change)).await
    }

    /// `GET /api/v1/…`; the path is encoded.
    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None::<&()>).await
    }

    /// `GET /api/v1/…` of a file, to be kept; the path is encoded.
    pub async fn get_file(&self, path: &str) -> Result<Download, Failure> {
        self.send(Method::GET, path, Vec::new()).await
    }

    /// `POST /api/v1/…`; the path is encoded.
    pub async fn post(&self, path: &str, body: &impl Serialize) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    /// `POST /api/v1/…` of a file; the path is encoded.
    pub async fn post_file(&self, path: &str, file: Vec<u8>) -> Answer {
        let bytes = self.send(Method::POST, path, file).await?.whole().await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// `GET /api/v1/status`
    pub async fn status(&self) -> Answer {
        self.call(Method::GET, "/status", None::<&()>).await
    }

    /// `GET /api/v1/alerts`, the newest first.
    pub async fn alerts(&self, most: usize) -> Answer {
        self.call(Method::GET, &format!("/alerts?most={most}"), None::<&()>).await
    }

    /// `GET /api/v1/alerts/page`; the query is encoded.
    pub async fn alert_page(&self, query: &str) -> Answer {
        self.call(Method::GET, &format!("/alerts/page?{query}"), None::<&()>).await
    }

    /// `GET /api/v1/alerts/ID`
    pub async fn alert(&self, id: u64) -> Answer {
        self.call(Method::GET, &format!("/alerts/{id}"), None::<&()>).await
    }

    /// `POST /api/v1/alerts/ID/acknowledge`
    pub async fn acknowledge_alert(&self, id: u64, acknowledged: bool) -> Answer {
        self.call(Method::POST, &format!("/alerts/{id}/acknowledge"), Some(&Acknowledge { acknowledged })).await
    }

    /// `POST /api/v1/alerts/ID/comment`
    pub async fn comment_on_alert(&self, id: u64, text: &str) -> Answer {
        let comment = Comment { text: text.to_owned() };
        self.call(Method::POST, &format!("/alerts/{id}/comment"), Some(&comment)).await
    }

    /// `POST /api/v1/accounts/NAME/test-alert`
    pub async fn test_alert(&self, name: &str, test: &TestAlert) -> Answer {
        self.call(Method::POST, &format!("/accounts/{}/test-alert", part(name)), Some(test)).await
    }

    /// `GET /api/v1/accounts/NAME/contents`
    pub async fn account_contents(&self, name: &str) -> Answer {
        self.call(Method::GET, &format!("/accounts/{}/contents", part(name)), None::<&()>).await
    }

    /// `GET /api/v1/audit/page`; the query is encoded.
    pub async fn audit_page(&self, query: &str) -> Answer {
        self.call(Method::GET, &format!("/audit/page?{query}"), None::<&()>).await
    }

    /// `POST /api/v1/alerts/ID/resend`
    pub async fn resend_alert(&self, id: u64) -> Answer {
        self.call(Method::POST, &format!("/alerts/{id}/resend"), None::<&()>).await
    }

    /// `GET /api/v1/audit`, the newest first.
    pub async fn audit(&self, most: usize) -> Answer {
        self.call(Method::GET, &format!("/audit?most={most}"), None::<&()>).await
    }

    /// `POST /api/v1/audit/verify`
    pub async fn verify_audit(&self) -> Answer {
        self.call(Method::POST, "/audit/verify", None::<&()>).await
    }

    /// `GET /api/v1/audit/chain`
    pub async fn audit_chain(&self, after: Option<u64>) -> Answer {
        let after = after.map(|after| format!("?after={after}")).unwrap_or_default();
        self.call(Method::GET, &format!("/audit/chain{after}"), None::<&()>).await
    }

    /// `POST /api/v1/accounts/NAME/suspend` or `…/resume`
    pub async fn suspend_account(&self, name: &str, suspended: bool) -> Answer {
        let word = if suspended { "suspend" } else { "resume" };
        self.call(Method::POST, &format!("/accounts/{}/{word}", part(name)), None::<&()>).await
    }

    /// `POST /api/v1/index/check`
    pub async fn check(&self) -> Answer {
        self.call(Method::POST, "/index/check", None::<&()>).await
    }

    /// `POST /api/v1/scrub`
    pub async fn scrub(&self, scrub: &Scrub) -> Answer {
        self.call(Method::POST, "/scrub", Some(scrub)).await
    }

    /// `GET /api/v1/key`
    pub async fn master_key(&self) -> Answer {
        self.call(Method::GET, "/key", None::<&()>).await
    }

    /// `POST /api/v1/key/rotate`
    pub async fn rotate_key(&self) -> Answer {
        self.call(Method::POST, "/key/rotate", None::<&()>).await
    }

    /// `POST /api/v1/config/reload`
    pub async fn reload(&self) -> Answer {
        self.call(Method::POST, "/config/reload", None::<&()>).await
    }

    /// `GET /api/v1/config/pending`
    pub async fn pending(&self) -> Answer {
        self.call(Method::GET, "/config/pending", None::<&()>).await
    }

    /// `GET /api/v1/signatures/AK`
    pub async fn signature_failures(&self, ak: &str) -> Answer {
        self.call(Method::GET, &format!("/signatures/{}", part(ak)), None::<&()>).await
    }

    /// `GET /api/v1/sub-accounts/AK/…`
    pub async fn sub_account_get(&self, ak: &str, what: &str, query: &[(&str, String)]) -> Answer {
        self.call(Method::GET, &of_sub_account(ak, what, query), None::<&()>).await
    }

    /// `POST /api/v1/sub-accounts/AK/…`
    pub async fn sub_account_post(&self, ak: &str, what: &str, body: &impl Serialize) -> Answer {
        self.call(Method::POST, &of_sub_account(ak, what, &[]), Some(body)).await
    }

    /// `POST /api/v1/sub-accounts`
    pub async fn open_sub_account(&self, new: &OpenSubAccount) -> Answer {
        self.call(Method::POST, "/sub-accounts", Some(new)).await
    }

    /// `PATCH /api/v1/sub-accounts/AK`
    pub async fn modify_sub_account(&self, ak: &str, changes: &ModifySubAccount) -> Answer {
        self.call(Method::PATCH, &format!("/sub-accounts/{}", part(ak)), Some(changes)).await
    }

    /// `DELETE /api/v1/sub-accounts/AK`
    pub async fn close_sub_account(&self, ak: &str) -> Answer {
        self.call(Method::DELETE, &format!("/sub-accounts/{}", part(ak)), None::<&()>).await
    }

    /// `PUT /api/v1/sub-accounts/AK/name`
    pub async fn name_camera(&self, ak: &str, named: &NameCamera) -> Answer {
        self.call(Method::PUT, &of_sub_account(ak, "name", &[]), Some(named)).await
    }

    /// `GET /api/v1/sub-accounts/AK/media`, to be kept.
    pub async fn media(&self, ak: &str, kind: &str, key: &str) -> Result<Download, Failure> {
        let query = [("kind", kind), ("key", key), ("as", "download")].map(|(name, value)| (name, value.to_owned()));
        self.open(Method::GET, &of_sub_account(ak, "media", &query), None::<&()>).await
    }

    /// `POST /api/v1/sub-accounts/AK/zip`
    pub async fn zip(&self, ak: &str, chosen: &ChooseFiles) -> Result<Download, Failure> {
        self.open(Method::POST, &of_sub_account(ak, "zip", &[]), Some(chosen)).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<&impl Serialize>) -> Answer {
        let bytes = self.open(method, path, body).await?.whole().await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Asks, and gives what comes where the answer is a yes.
    async fn open(&self, method: Method, path: &str, body: Option<&impl Serialize>) -> Result<Download, Failure> {
        let body = match body {
            Some(body) => serde_json::to_vec(body).map_err(|error| Failure::Connection(error.into()))?,
            None => Vec::new(),
        };
        self.send(method, path, body).await
    }

    async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Download, Failure> {
        let target = format!("/api/v1{path}");
        let (status, body) = match self {
            Self::Socket(socket) => {
                let coming = crate::http::open(socket, method, &target, Bytes::from(body)).await?;
                (coming.status, coming.body)
            }
            Self::Direct(router) => {
                let request = Request::builder().method(method).uri(target).body(Body::from(body));
                let request = request.map_err(|error| Failure::Connection(io::Error::other(error)))?;
                let response = router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
                (response.status(), response.into_body().map_err(io::Error::other).boxed_unsync())
            }
        };
        let mut answer = Download(body);
        if status.is_success() {
            return Ok(answer);
        }
        Err(refused(status, &String::from_utf8_lossy(&answer.whole().await?)))
    }
}

/// Bytes that are coming. Read to their end they are whole: what breaks off is an error.
#[derive(Debug)]
pub struct Download(UnsyncBoxBody<Bytes, io::Error>);

impl Download {
    /// The next of them; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        while let Some(frame) = self.0.frame().await {
            match frame.map_err(Failure::Connection)?.into_data() {
                Ok(data) => return Ok(Some(data)),
                Err(_trailers) => {}
            }
        }
        Ok(None)
    }

    async fn whole(&mut self) -> Result<Bytes, Failure> {
        Ok((&mut self.0).collect().await.map_err(Failure::Connection)?.to_bytes())
    }
}

fn of_sub_account(ak: &str, what: &str, query: &[(&str, String)]) -> String {
    let path = format!("/sub-accounts/{}/{what}", part(ak));
    if query.is_empty() {
        return path;
    }
    format!("{path}?{}", form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish())
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Self::NotRunning,
            _ => Self::Connection(error),
        }
    }
}

fn refused(status: StatusCode, body: &str) -> Failure {
    let answer: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let text = |key: &str| answer["error"][key].as_str().map(str::to_owned);
    Failure::Refused {
        code: text("code").unwrap_or_else(|| status.as_u16().to_string()),
        message: text("message").unwrap_or_else(|| format!("the server answered {status}")),
    }
}

fn part(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
