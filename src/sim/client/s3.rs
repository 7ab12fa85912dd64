//! S3 as a camera or a load generator speaks it: signed requests over one connection.

use std::sync::Arc;

use http::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Answer, ClientError, Connection, Content, Endpoint, TIMEOUT, read_whole};
use crate::domain::{AccessKey, Secret};
use crate::tls::Trust;
use crate::wire::sig::{self, ToSign};
use crate::world::Clock;

/// What S3 leaves as it is in a path.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
/// And in a parameter of the query.
const IN_QUERY: &AsciiSet = &IN_PATH.add(b'/');

/// How requests are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Signature {
    /// HMAC-SHA1, as the cameras of 2014 do it.
    V2,
    /// AWS4-HMAC-SHA256 with an unsigned payload.
    V4,
}

/// Who asks.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The access key.
    pub access_key: AccessKey,
    /// The secret key.
    pub secret: Secret,
    /// The region of the credential scope.
    pub region: String,
    /// How requests are signed.
    pub signature: Signature,
}

/// An S3 client over one connection.
pub struct S3 {
    connection: Connection,
    credentials: Credentials,
    clock: Arc<dyn Clock>,
}

/// What came of a request that transfers an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// The server said no: status and S3's error code.
    Refused(u16, String),
    /// The object that came is not the one that was expected.
    Damaged,
}

// === impl S3 ===

impl S3 {
    /// A client of this endpoint.
    pub fn new(endpoint: Endpoint, credentials: Credentials, clock: Arc<dyn Clock>, trust: Trust) -> Self {
        Self { connection: Connection::new(endpoint, trust), credentials, clock }
    }

    /// Sends a signed request; the answer's body is the caller's to read to its end.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`].
    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        query: &str,
        headers: &[(&str, &str)],
        body: Content,
    ) -> Result<Response<Incoming>, ClientError> {
        let host = self.connection.endpoint().host().to_owned();
        let to_sign = ToSign {
            method,
            host: &host,
            path,
            query,
            headers,
            access_key: &self.credentials.access_key,
            secret: &self.credentials.secret,
            region: &self.credentials.region,
            now: self.clock.now(),
        };
        let signed = match self.credentials.signature {
            Signature::V2 => sig::sign_v2(&to_sign),
            Signature::V4 => sig::sign_v4(&to_sign, sig::Content::Unsigned),
        };
        let all: Vec<(&str, &str)> =
            headers.iter().copied().chain(signed.iter().map(|(name, value)| (*name, value.as_str()))).collect();
        let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        self.connection.send(method, &target, &all, body).await
    }

    /// Puts an object.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`]; that the server refuses is an outcome.
    pub async fn put(
        &mut self,
        bucket: &str,
        key: &str,
        headers: &[(&str, &str)],
        content: Content,
    ) -> Result<Outcome, ClientError> {
        let answer = self.send("PUT", &path(bucket, key), "", headers, content).await?;
        Ok(Outcome::of(&read_whole(answer).await?))
    }

    /// Gets an object and holds it against what it must be.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`]; that the server refuses is an outcome.
    pub async fn get(&mut self, bucket: &str, key: &str, mut expected: Content) -> Result<Outcome, ClientError> {
        let answer = self.send("GET", &path(bucket, key), "", &[], Content::empty()).await?;
        if answer.status() != http::StatusCode::OK {
            return Ok(match Outcome::of(&read_whole(answer).await?) {
                Outcome::Done => Outcome::Damaged,
                other => other,
            });
        }
        let mut body = answer.into_body();
        let mut same = true;
        while let Some(frame) = tokio::time::timeout(TIMEOUT, body.frame()).await.map_err(|_| ClientError::Timeout)? {
            if let Ok(data) = frame?.into_data() {
                same = same && expected.accept(&data);
            }
        }
        Ok(if same && expected.is_empty() { Outcome::Done } else { Outcome::Damaged })
    }

    /// Removes an object.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`]; that the server refuses is an outcome.
    pub async fn delete(&mut self, bucket: &str, key: &str) -> Result<Outcome, ClientError> {
        let answer = self.send("DELETE", &path(bucket, key), "", &[], Content::empty()).await?;
        Ok(Outcome::of(&read_whole(answer).await?))
    }

    /// One page of a listing (version 2), and how many keys were on it.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`]; that the server refuses is an outcome.
    pub async fn list(&mut self, bucket: &str, prefix: &str, max_keys: u32) -> Result<(Outcome, usize), ClientError> {
        let query = format!("list-type=2&max-keys={max_keys}&prefix={}", utf8_percent_encode(prefix, IN_QUERY));
        let answer = self.send("GET", &path(bucket, ""), &query, &[], Content::empty()).await?;
        let answer = read_whole(answer).await?;
        let keys = String::from_utf8_lossy(&answer.body).matches("<Key>").count();
        Ok((Outcome::of(&answer), keys))
    }
}

impl Outcome {
    /// What this answer says.
    pub fn of(answer: &Answer) -> Self {
        if (200..300).contains(&answer.status) {
            return Self::Done;
        }
        let text = String::from_utf8_lossy(&answer.body);
        let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code);
        Self::Refused(answer.status, code.unwrap_or_default().chars().take(64).collect())
    }
}

/// The path of an object, percent-encoded, path style.
fn path(bucket: &str, key: &str) -> String {
    format!("/{}/{}", utf8_percent_encode(bucket, IN_PATH), utf8_percent_encode(key, IN_PATH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_tells_status_and_code() {
        let answer = |status, body: &str| Outcome::of(&Answer { status, body: body.into() });
        assert_eq!(answer(200, ""), Outcome::Done);
        let error = "<Error><Code>QuotaExceeded</Code><Message>full</Message></Error>";
        assert_eq!(answer(403, error), Outcome::Refused(403, "QuotaExceeded".to_owned()));
        assert_eq!(answer(503, "busy"), Outcome::Refused(503, String::new()));
    }

    #[test]
    fn a_path_is_encoded_as_s3_wants_it() {
        assert_eq!(path("b", "2014-03-28/14-30-05.mp4"), "/b/2014-03-28/14-30-05.mp4");
        assert_eq!(path("b", "看 店+~"), "/b/%E7%9C%8B%20%E5%BA%97%2B~");
    }
}
