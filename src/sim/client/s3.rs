//! S3 as a camera or a load generator speaks it: signed requests over one connection.

use std::sync::Arc;

use http::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use quick_xml::escape::{escape, unescape};

use super::{Answer, ClientError, Connection, Content, Endpoint, TIMEOUT, read_whole};
use crate::domain::{AccessKey, Secret, Timestamp};
use crate::tls::Trust;
use crate::wire::s3_time;
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
    /// Buckets are called `bucket.DOMAIN` in the Host header instead of being in the path.
    domain: Option<String>,
    /// What the last answer said in its Date header.
    told: Option<Timestamp>,
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
        Self { connection: Connection::new(endpoint, trust), credentials, clock, domain: None, told: None }
    }

    /// Calls buckets by their host from now on, `bucket.DOMAIN`.
    #[must_use]
    pub fn below(self, domain: Option<String>) -> Self {
        Self { domain, ..self }
    }

    /// What time it was for the server when it last answered.
    pub fn server_time(&self) -> Option<Timestamp> {
        self.told
    }

    /// Ends the connection; the next request makes another.
    pub fn hang_up(&mut self) {
        self.connection.hang_up();
    }

    /// A request of this object (of the bucket, where `key` is empty), in the style that is spoken.
    async fn ask(
        &mut self,
        method: &str,
        (bucket, key): (&str, &str),
        query: &str,
        headers: &[(&str, &str)],
        body: Content,
    ) -> Result<Response<Incoming>, ClientError> {
        let whole = path(bucket, key);
        let endpoint = self.connection.endpoint();
        let Some(domain) = &self.domain else {
            let host = endpoint.host().to_owned();
            return self.signed(&host, method, (&whole, &whole), query, headers, body).await;
        };
        let port = endpoint.host().strip_prefix(endpoint.name()).unwrap_or_default();
        let (host, sent) = (format!("{bucket}.{domain}{port}"), path_below(key));
        self.signed(&host, method, (&sent, &whole), query, headers, body).await
    }

    /// Sends a request to `sent`; `whole` is its path with the bucket, that V2 signs whatever the style.
    async fn signed(
        &mut self,
        host: &str,
        method: &str,
        (sent, whole): (&str, &str),
        query: &str,
        headers: &[(&str, &str)],
        body: Content,
    ) -> Result<Response<Incoming>, ClientError> {
        let to_sign = ToSign {
            method,
            host,
            path: if self.credentials.signature == Signature::V2 { whole } else { sent },
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
        let target = if query.is_empty() { sent.to_owned() } else { format!("{sent}?{query}") };
        let answer = self.connection.send_to_host(host, method, &target, &all, body).await?;
        let date = answer.headers().get(http::header::DATE).and_then(|date| date.to_str().ok());
        self.told = date.and_then(s3_time::parse_http);
        Ok(answer)
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
        let answer = self.ask("PUT", (bucket, key), "", headers, content).await?;
        Ok(Outcome::of(&read_whole(answer).await?))
    }

    /// Begins an upload in parts; its id.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`], and where an answer of 200 has no id in it.
    pub async fn begin_parts(
        &mut self,
        bucket: &str,
        key: &str,
        headers: &[(&str, &str)],
    ) -> Result<Result<String, Outcome>, ClientError> {
        let answer = self.ask("POST", (bucket, key), "uploads", headers, Content::empty()).await?;
        let answer = read_whole(answer).await?;
        match Outcome::of(&answer) {
            Outcome::Done => {
                let text = String::from_utf8_lossy(&answer.body);
                let id = text.split_once("<UploadId>").and_then(|(_, rest)| rest.split_once("</UploadId>"));
                let id = id.map(|(id, _)| id.to_owned()).filter(|id| !id.is_empty());
                id.map(Ok).ok_or_else(|| ClientError::Answer("an upload in parts begins without an id".to_owned()))
            }
            other => Ok(Err(other)),
        }
    }

    /// Puts a part (1, 2, 3 …); its ETag.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`], and where an answer of 200 has no ETag.
    pub async fn put_part(
        &mut self,
        (bucket, key): (&str, &str),
        upload: &str,
        number: usize,
        content: Content,
    ) -> Result<Result<String, Outcome>, ClientError> {
        let query = format!("partNumber={number}&uploadId={}", utf8_percent_encode(upload, IN_QUERY));
        let answer = self.ask("PUT", (bucket, key), &query, &[], content).await?;
        let etag = answer.headers().get(http::header::ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        match Outcome::of(&read_whole(answer).await?) {
            Outcome::Done => {
                etag.map(Ok).ok_or_else(|| ClientError::Answer("a part is answered without an ETag".to_owned()))
            }
            other => Ok(Err(other)),
        }
    }

    /// Puts the parts together, whose ETags are given in their order.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`]; that the server refuses is an outcome.
    pub async fn complete_parts(
        &mut self,
        (bucket, key): (&str, &str),
        upload: &str,
        etags: &[String],
    ) -> Result<Outcome, ClientError> {
        let parts: String = (1..)
            .zip(etags)
            .map(|(number, etag)| {
                format!("<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag></Part>", escape(etag.as_str()))
            })
            .collect();
        let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        let query = format!("uploadId={}", utf8_percent_encode(upload, IN_QUERY));
        let answer = self.ask("POST", (bucket, key), &query, &[], Content::Whole(body.into())).await?;
        let answer = read_whole(answer).await?;
        // It may say 200 while it is at it, and that it failed behind that.
        let failed = answer.status == 200 && String::from_utf8_lossy(&answer.body).contains("<Error>");
        Ok(if failed { Outcome::of(&Answer { status: 500, ..answer }) } else { Outcome::of(&answer) })
    }

    /// Gets an object and holds it against what it must be.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`]; that the server refuses is an outcome.
    pub async fn get(&mut self, bucket: &str, key: &str, mut expected: Content) -> Result<Outcome, ClientError> {
        let answer = self.ask("GET", (bucket, key), "", &[], Content::empty()).await?;
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
        let answer = self.ask("DELETE", (bucket, key), "", &[], Content::empty()).await?;
        Ok(Outcome::of(&read_whole(answer).await?))
    }

    /// One page of a listing (version 2), and how many keys were on it.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`]; that the server refuses is an outcome.
    pub async fn list(&mut self, bucket: &str, prefix: &str, max_keys: u32) -> Result<(Outcome, usize), ClientError> {
        let query = format!("list-type=2&max-keys={max_keys}&prefix={}", utf8_percent_encode(prefix, IN_QUERY));
        let answer = self.ask("GET", (bucket, ""), &query, &[], Content::empty()).await?;
        let answer = read_whole(answer).await?;
        let keys = String::from_utf8_lossy(&answer.body).matches("<Key>").count();
        Ok((Outcome::of(&answer), keys))
    }

    /// How many objects a bucket has, and their bytes.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`], and where the server refuses.
    pub async fn usage(&mut self, bucket: &str) -> Result<(usize, u64), ClientError> {
        let (mut objects, mut bytes, mut query) = (0, 0_u64, "list-type=2&max-keys=1000".to_owned());
        loop {
            let answer = read_whole(self.ask("GET", (bucket, ""), &query, &[], Content::empty()).await?).await?;
            match Outcome::of(&answer) {
                Outcome::Done => {}
                other => return Err(ClientError::Answer(format!("a listing of {bucket}: {other:?}"))),
            }
            let text = String::from_utf8_lossy(&answer.body);
            for size in text.split("<Size>").skip(1).filter_map(|rest| rest.split('<').next()?.parse::<u64>().ok()) {
                objects += 1;
                bytes = bytes.saturating_add(size);
            }
            let next = text.split_once("<NextContinuationToken>").and_then(|(_, rest)| rest.split('<').next());
            let Some(next) = next.and_then(|next| unescape(next).ok()) else { return Ok((objects, bytes)) };
            let token = utf8_percent_encode(&next, IN_QUERY);
            query = format!("continuation-token={token}&list-type=2&max-keys=1000");
        }
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

/// The path of an object where its bucket is in the host.
fn path_below(key: &str) -> String {
    format!("/{}", utf8_percent_encode(key, IN_PATH))
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
