//! What the clauses are tried with: calls, cameras and alerts, each written down as it went over the wire.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::domain::{AccessKey, Secret};
use crate::sim::client::operations::Operation;
use crate::sim::client::s3::Outcome;
use crate::sim::client::{
    Answer, Connection, Content, Credentials, Endpoint, Exchange, Pattern, Platform, S3, Signature,
};
use crate::sim::platform::Got;
use crate::tls::Trust;
use crate::world::Clock;

/// How long an alert may take to come, and how long it is waited for that none comes.
const ALERT_WITHIN: Duration = Duration::from_secs(10);
const NO_ALERT_WITHIN: Duration = Duration::from_millis(800);
/// A GB that is filled for a test has this many bytes at most.
const FILLABLE_MAX: u64 = 64 << 20;

/// Why a clause has not passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Missed {
    /// It is not as the specification has it.
    Wrong(String),
    /// It cannot be tried on this server.
    Impossible(String),
}

/// What came of a step.
pub(super) type Step<T> = Result<T, Missed>;

/// One request and its answer, without secrets.
#[derive(Clone, Debug)]
pub(super) struct Shot {
    pub sent: String,
    pub came: String,
}

/// The server that is tested.
pub(super) struct Stage {
    /// What it is called in the report.
    pub whom: String,
    pub account: String,
    pub password: Secret,
    pub soap: Endpoint,
    pub platform: Platform,
    pub trust: Trust,
    /// Bytes of a GB.
    pub gigabyte: u64,
    /// Alerts as they come, where they come to us.
    pub alerts: Option<UnboundedReceiver<Got>>,
    /// Whether it was started for this test.
    pub own: bool,
}

/// A sub-account and its camera.
#[derive(Clone)]
pub(super) struct Camera {
    pub access_key: AccessKey,
    pub secret: Secret,
    pub s3: Endpoint,
    pub recordings: String,
    pub pictures: String,
}

/// The run of all clauses.
pub(super) struct Run {
    pub stage: Stage,
    clock: Arc<dyn Clock>,
    pattern: Pattern,
    made: u64,
    open: Vec<Camera>,
    shots: Vec<Shot>,
    /// Alerts that came and were not asked for yet.
    kept: Vec<Got>,
}

/// It is not so.
pub(super) fn wrong<T>(why: impl Into<String>) -> Step<T> {
    Err(Missed::Wrong(why.into()))
}

/// Holds what is seen against what should be.
pub(super) fn same<T: PartialEq + std::fmt::Debug>(what: &str, seen: &T, right: &T) -> Step<()> {
    if seen == right { Ok(()) } else { wrong(format!("{what} is {seen:?}; {right:?} is right")) }
}

// === impl Run ===

impl Run {
    pub(super) fn new(stage: Stage, clock: Arc<dyn Clock>) -> Self {
        let pattern = Pattern::new(clock.now().millis().unsigned_abs());
        Self { stage, clock, pattern, made: 0, open: Vec::new(), shots: Vec::new(), kept: Vec::new() }
    }

    /// Closes what the clause has opened; gives what went over the wire.
    pub(super) async fn clean_up(&mut self) -> Vec<Shot> {
        let shots = std::mem::take(&mut self.shots);
        for camera in std::mem::take(&mut self.open) {
            // Gone by the clause itself, or left behind and named in the portal: it is no finding of this clause.
            let _ = self.call("CloseSubAccount", &keys(&camera)).await;
        }
        self.shots.clear();
        self.kept.clear();
        shots
    }

    /// Sends exactly these fields.
    pub(super) async fn exchange(&mut self, operation: &str, fields: &[(&str, &str)]) -> Step<Exchange> {
        let done = self.stage.platform.exchange(operation, fields).await;
        let exchange = done.or_else(|error| wrong(format!("{operation} has no answer: {error}")))?;
        let shown = exchange.clone().veiled();
        self.shots.push(Shot { sent: shown.request, came: format!("HTTP {} {}", shown.status, shown.answer) });
        Ok(exchange)
    }

    /// Calls with the account's credentials.
    pub(super) async fn call(&mut self, operation: &str, fields: &[(&str, &str)]) -> Step<Exchange> {
        let (account, password) = (self.stage.account.clone(), self.stage.password.clone());
        let credentials = [("Account", account.as_str()), ("Password", password.expose())];
        let all: Vec<_> = credentials.iter().chain(fields).copied().collect();
        self.exchange(operation, &all).await
    }

    /// Calls, and holds the Result against what it should be.
    pub(super) async fn expect(&mut self, operation: &str, fields: &[(&str, &str)], result: i32) -> Step<Exchange> {
        let exchange = self.call(operation, fields).await?;
        expect(&exchange, result)?;
        Ok(exchange)
    }

    /// 7.2, for a camera that the clause's end closes.
    pub(super) async fn open(&mut self, space: u32) -> Step<Camera> {
        let opened = self.expect("OpenSubAccount", &[("StorageSpace", &space.to_string())], 0).await?;
        let field = |name: &str| match opened.fields.get(name) {
            Some(value) if !value.is_empty() => Ok(value.clone()),
            _ => wrong(format!("OpenSubAccount answers without {name}")),
        };
        let access_key = field("S3AK")?.parse().or_else(|error| wrong(format!("S3AK: {error}")))?;
        let s3 = Endpoint::parse(&field("S3URL")?).or_else(|error| wrong(format!("S3URL: {error}")))?;
        let camera = Camera {
            access_key,
            secret: Secret::new(field("S3SK")?),
            s3,
            recordings: field("S3RecordBucket")?,
            pictures: field("S3PictureBucket")?,
        };
        self.open.push(camera.clone());
        Ok(camera)
    }

    /// What a camera uploads.
    pub(super) fn content(&mut self, bytes: u64) -> Content {
        self.made += 1;
        self.pattern.content(self.made, bytes)
    }

    fn client(&self, camera: &Camera, signature: Signature) -> S3 {
        let credentials = Credentials {
            access_key: camera.access_key.clone(),
            secret: camera.secret.clone(),
            region: "kandian".to_owned(),
            signature,
        };
        S3::new(camera.s3.clone(), credentials, Arc::clone(&self.clock), self.stage.trust.clone())
    }

    fn note(&mut self, sent: String, outcome: &Outcome) {
        let came = match outcome {
            Outcome::Done => "HTTP 200".to_owned(),
            Outcome::Refused(status, code) => format!("HTTP {status} {code}"),
            Outcome::Damaged => "other bytes than were stored".to_owned(),
        };
        self.shots.push(Shot { sent, came });
    }

    /// PUT.
    pub(super) async fn put(
        &mut self,
        (camera, bucket, signature): (&Camera, &str, Signature),
        key: &str,
        content: Content,
    ) -> Step<Outcome> {
        let sent = format!("PUT /{bucket}/{key} ({} bytes, {signature:?})", content.len());
        let done = self.client(camera, signature).put(bucket, key, &[("content-type", "video/mp4")], content).await;
        let outcome = done.or_else(|error| wrong(format!("{sent}: {error}")))?;
        self.note(sent, &outcome);
        Ok(outcome)
    }

    /// PUT of a recording, which must be taken; its content.
    pub(super) async fn record(&mut self, camera: &Camera, key: &str, bytes: u64) -> Step<Content> {
        let content = self.content(bytes);
        let at = (camera, camera.recordings.as_str(), Signature::V4);
        let outcome = self.put(at, key, content.clone()).await?;
        same(&format!("the answer to the upload of {key}"), &outcome, &Outcome::Done)?;
        Ok(content)
    }

    /// GET, held against what was stored.
    pub(super) async fn get(&mut self, camera: &Camera, bucket: &str, key: &str, content: Content) -> Step<Outcome> {
        let sent = format!("GET /{bucket}/{key}");
        let done = self.client(camera, Signature::V4).get(bucket, key, content).await;
        let outcome = done.or_else(|error| wrong(format!("{sent}: {error}")))?;
        self.note(sent, &outcome);
        Ok(outcome)
    }

    /// DELETE.
    pub(super) async fn delete(&mut self, camera: &Camera, bucket: &str, key: &str) -> Step<Outcome> {
        let sent = format!("DELETE /{bucket}/{key}");
        let done = self.client(camera, Signature::V4).delete(bucket, key).await;
        let outcome = done.or_else(|error| wrong(format!("{sent}: {error}")))?;
        self.note(sent, &outcome);
        Ok(outcome)
    }

    /// GET of a URL as a phone's player does it: no credentials but those in it.
    pub(super) async fn fetch(&mut self, url: &str, headers: &[(&str, &str)]) -> Step<Answer> {
        let endpoint = Endpoint::parse(url).or_else(|error| wrong(format!("{url}: {error}")))?;
        let target = endpoint.path().to_owned();
        let mut connection = Connection::new(endpoint, self.stage.trust.clone());
        let done = connection.call("GET", &target, headers, Content::empty()).await;
        let answer = done.or_else(|error| wrong(format!("{url}: {error}")))?;
        // The signature in it opens the file.
        let shown = target.split_once('?').map_or(target.as_str(), |(path, _)| path);
        let came = format!("HTTP {} ({} bytes)", answer.status, answer.body.len());
        self.shots.push(Shot { sent: format!("GET {shown}?… {headers:?}"), came });
        Ok(answer)
    }

    /// Bytes of a GB, where one can be filled.
    pub(super) fn fillable(&self) -> Step<u64> {
        match self.stage.gigabyte {
            bytes if bytes <= FILLABLE_MAX => Ok(bytes),
            _ => Err(Missed::Impossible(
                "只在 space.bytes_per_gb 不超过 64MiB 的测试机上执行 / only where space.bytes_per_gb is 64 MiB at most \
                 (--bytes-per-gb)"
                    .to_owned(),
            )),
        }
    }

    /// The next alert of this camera.
    pub(super) async fn alert(&mut self, camera: &Camera) -> Step<Got> {
        let Some(got) = self.alert_within(camera, ALERT_WITHIN).await? else {
            return wrong(format!("no alert came within {} s", ALERT_WITHIN.as_secs()));
        };
        Ok(got)
    }

    /// No alert of this camera comes.
    pub(super) async fn no_alert(&mut self, camera: &Camera) -> Step<()> {
        match self.alert_within(camera, NO_ALERT_WITHIN).await? {
            None => Ok(()),
            Some(got) => wrong(format!("an alert came ({}) where none is due", got.alert)),
        }
    }

    async fn alert_within(&mut self, camera: &Camera, time: Duration) -> Step<Option<Got>> {
        let ak = camera.access_key.as_str();
        let Some(alerts) = &mut self.stage.alerts else {
            return Err(Missed::Impossible(
                "告警未送到本机 / alerts do not come here (--listen, and the account's alert URL)".to_owned(),
            ));
        };
        let until = tokio::time::Instant::now() + time;
        loop {
            if let Some(at) = self.kept.iter().position(|got| got.s3ak == ak) {
                let got = self.kept.remove(at);
                let sent = format!("{}: AlertType {:?} of {}", got.operation, got.alert_type, got.s3ak);
                self.shots.push(Shot { sent, came: got.did.clone() });
                return Ok(Some(got));
            }
            match tokio::time::timeout_at(until, alerts.recv()).await {
                Ok(Some(got)) => self.kept.push(got),
                Ok(None) | Err(_) => return Ok(None),
            }
        }
    }
}

/// The fields that name a sub-account.
pub(super) fn keys(camera: &Camera) -> [(&'static str, &str); 2] {
    [("S3AK", camera.access_key.as_str()), ("S3SK", camera.secret.expose())]
}

/// The Result is this one, and every field of the contract is there.
pub(super) fn expect(exchange: &Exchange, result: i32) -> Step<()> {
    let Exchange { operation, fields, .. } = exchange;
    let Some(found) = exchange.result() else {
        let fault = exchange.fault().unwrap_or("neither Result nor Fault");
        return wrong(format!("{operation} answers HTTP {}: {fault}; Result {result} is right", exchange.status));
    };
    let known = Operation::find(operation);
    let words = |number| known.and_then(|o| o.meaning(number)).map(|(zh, en)| format!(" ({zh} / {en})"));
    if found != result {
        let (seen, right) = (words(found).unwrap_or_default(), words(result).unwrap_or_default());
        return wrong(format!("{operation} answers Result {found}{seen}; {result}{right} is right"));
    }
    let missing = known.into_iter().flat_map(|o| o.answers).filter(|name| **name != "FileInfoList");
    match missing.copied().find(|name| !fields.contains_key(*name)) {
        Some(name) => wrong(format!("{operation} answers without {name}")),
        None => Ok(()),
    }
}

/// A number in an answer.
pub(super) fn number(fields: &HashMap<String, String>, name: &str) -> Step<i64> {
    let text = fields.get(name).map_or("", String::as_str);
    text.trim().parse().or_else(|_| wrong(format!("{name} is {text:?}, no number")))
}
