//! One camera: it records, keeps what it could not send, and sends it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use jiff::civil::DateTime;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::live::{BEGIN_PARTS, COMPLETE_PARTS, GET, PUT_PART, PUT_PICTURE, PUT_RECORDING};
use super::material::{Dice, Kind, media_type};
use super::{CamerasOptions, Shared};
use crate::domain::Timestamp;
use crate::sim::client::s3::Outcome;
use crate::sim::client::{ClientError, Content, Credentials, OpenedSubAccount, S3, Signature, Tally};
use crate::tls::Trust;
use crate::world::Clock;

/// A camera that gets no answer waits so long before it tries again.
const AFTER_AN_ERROR: Duration = Duration::from_secs(1);
/// So often in a row without success, and a camera that records no more gives up what it has left.
const VAIN_ATTEMPTS_MAX: u32 = 20;
/// With more cameras than this each knows its own times less exactly.
const EXACT_CAMERAS_MAX: usize = 100;

/// One camera.
pub(super) struct Camera {
    number: usize,
    sub_account: OpenedSubAccount,
    signature: Signature,
    s3: S3,
    clock: Arc<WrongClock>,
    dice: Dice,
    recorded_at: DateTime,
    backlog: VecDeque<File>,
    recordings: Tally,
    pictures: Tally,
}

/// What a camera has to tell in the end.
pub(super) struct Report {
    pub(super) number: usize,
    camera: Value,
    name: String,
    pub(super) recordings: Tally,
    pub(super) pictures: Tally,
    pub(super) verified: Option<Tally>,
}

/// A file in a backlog.
struct File {
    kind: Kind,
    turn: u64,
    key: String,
    media_type: &'static str,
    content: Content,
    attempts: u64,
    /// Whether the link was down while it waited.
    resumed: bool,
    /// What is uploaded of it in parts.
    begun: Option<Begun>,
}

struct Begun {
    upload: String,
    etags: Vec<String>,
}

/// What came of an attempt to send the first file of the backlog.
enum Sent {
    /// It is there.
    Done,
    /// It never will be.
    Refused,
    /// Later, and how much.
    Later(Duration),
    /// At once.
    Again,
}

/// A clock that is wrong by so many milliseconds.
struct WrongClock {
    right: Arc<dyn Clock>,
    by: AtomicI64,
}

impl Clock for WrongClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.right.now().millis().saturating_add(self.by.load(Ordering::Relaxed)))
    }
}

// === impl Camera ===

impl Camera {
    pub(super) fn new(
        number: usize,
        sub_account: OpenedSubAccount,
        options: &CamerasOptions,
        clock: Arc<dyn Clock>,
        trust: Trust,
    ) -> Self {
        let (dice, signature) = (Dice::new(options.seed), options.signature_of(number));
        let credentials = Credentials {
            access_key: sub_account.access_key.clone(),
            secret: sub_account.secret.clone(),
            region: "kandian".to_owned(),
            signature,
        };
        let skew = i64::try_from(options.clock_skew.as_millis()).unwrap_or(i64::MAX >> 1);
        // From -skew to +skew.
        let by = match u64::try_from(skew.saturating_mul(2)).unwrap_or(0) {
            0 => 0,
            both => i64::try_from(dice.roll("clock", number, 0) % (both + 1)).unwrap_or(0) - skew,
        };
        let clock = Arc::new(WrongClock { right: clock, by: AtomicI64::new(by) });
        let s3 = S3::new(sub_account.s3.clone(), credentials, Arc::clone(&clock) as Arc<dyn Clock>, trust);
        let s3 = s3.below(options.domain_of(number));
        let tally = || if options.cameras > EXACT_CAMERAS_MAX { Tally::coarse() } else { Tally::default() };
        let (recordings, pictures) = (tally(), tally());
        let (recorded_at, backlog) = (options.from, VecDeque::new());
        Self { number, sub_account, signature, s3, clock, dice, recorded_at, backlog, recordings, pictures }
    }

    /// 0, 1, 2 …
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// Its sub-account.
    pub(super) fn sub_account(&self) -> &OpenedSubAccount {
        &self.sub_account
    }

    /// Records and sends until it is over, and then what is left.
    pub(super) async fn run(mut self, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) -> Report {
        let (options, started) = (&shared.options, Instant::now());
        let cadence = options.cadence();
        // Not all record at the same second.
        let phase = cadence.unwrap_or_default().mul_f64(self.dice.share("phase", self.number, 0));
        let (mut due, mut down_until, mut vain) = (started + phase, None, 0);
        let ends = options.seconds.map(|seconds| started + Duration::from_secs(seconds));
        let (mut turn, mut uploaded) = (0, Vec::new());
        loop {
            let stopped = *stop.borrow();
            let over = |turn| match ends {
                _ if stopped => true,
                Some(ends) => Instant::now() >= ends,
                None => turn >= options.clips,
            };
            match cadence {
                Some(cadence) => {
                    while !over(turn) && due <= Instant::now() {
                        self.record(turn, &shared);
                        turn += 1;
                        due += cadence;
                    }
                }
                // It records while its link is down, one for each attempt in vain.
                None if !over(turn) && (self.backlog.is_empty() || (vain > 0 && down_until.is_none())) => {
                    self.record(turn, &shared);
                    turn += 1;
                }
                None => {}
            }
            let recording = !over(turn);
            if !recording && (self.backlog.is_empty() || stopped || vain >= VAIN_ATTEMPTS_MAX) {
                break;
            }
            if let Some(until) = down_until {
                let wake = if recording && cadence.is_some() { due.min(until) } else { until };
                sleep_until(wake, &mut stop).await;
                if Instant::now() >= until || *stop.borrow() {
                    down_until = None;
                    shared.live.note(|happened| happened.down = happened.down.saturating_sub(1));
                }
                continue;
            }
            if self.backlog.is_empty() {
                sleep_until(ends.map_or(due, |ends| ends.min(due)), &mut stop).await;
                continue;
            }
            match self.send(&shared).await {
                Sent::Again => continue,
                Sent::Later(pause) => {
                    vain += 1;
                    down_until = Some(Instant::now() + pause);
                    self.backlog.iter_mut().for_each(|file| file.resumed = true);
                    shared.live.note(|happened| happened.down += 1);
                    continue;
                }
                sent @ (Sent::Done | Sent::Refused) => {
                    vain = 0;
                    let Some(file) = self.backlog.pop_front() else { continue };
                    let done = matches!(sent, Sent::Done);
                    shared.live.note(|happened| {
                        happened.waiting = happened.waiting.saturating_sub(1);
                        happened.uploaded += u64::from(done);
                        happened.resumed += u64::from(done && file.resumed);
                    });
                    if done && options.verify {
                        uploaded.push(file);
                    }
                }
            }
            if self.backlog.is_empty() && !options.interval.is_zero() {
                sleep_until(Instant::now() + options.interval, &mut stop).await;
            }
        }
        let left = self.backlog.len() as u64;
        shared.live.note(|happened| {
            happened.left += left;
            happened.waiting = happened.waiting.saturating_sub(left);
        });
        let verified = if options.verify { Some(self.verify(uploaded, &shared).await) } else { None };
        self.report(options, verified)
    }

    /// Makes a recording and its picture; of a backlog that is full the oldest goes.
    fn record(&mut self, turn: u64, shared: &Shared) {
        let stem = self.recorded_at.strftime("%Y-%m-%d/%H-%M-%S").to_string();
        for kind in [Kind::Recording, Kind::Picture] {
            let Some(file) = shared.material.file(kind, self.number, turn) else { continue };
            self.backlog.push_back(File {
                kind,
                turn,
                key: format!("{stem}.{}", file.extension),
                media_type: media_type(&file.extension),
                content: file.content,
                attempts: 0,
                resumed: false,
                begun: None,
            });
            let full = self.backlog.len() > shared.options.backlog;
            if full {
                self.backlog.pop_front();
            }
            shared.live.note(|happened| {
                happened.recorded += 1;
                happened.waiting += u64::from(!full);
                happened.lost += u64::from(full);
            });
        }
        // As motion has it, from 10 s to a minute; or all the time.
        let lasted = match shared.options.every {
            Some(every) => SignedDuration::try_from(every).unwrap_or(SignedDuration::MAX),
            None => {
                let seconds = 10 + self.dice.roll("length", self.number, turn) % 51;
                SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(10))
            }
        };
        self.recorded_at = self.recorded_at.checked_add(lasted).unwrap_or(self.recorded_at);
    }

    /// Sends the first file of the backlog.
    async fn send(&mut self, shared: &Shared) -> Sent {
        let Some(mut file) = self.backlog.pop_front() else { return Sent::Refused };
        // Closed only where nobody is left to take turns.
        let Ok(_turn) = shared.gate.acquire().await else { return Sent::Refused };
        file.attempts += 1;
        let cut = self.cut(&file, shared);
        let begun = Instant::now();
        let in_parts = shared.options.multipart_above.is_some_and(|above| file.content.len() > above);
        let outcome = match in_parts && file.kind == Kind::Recording {
            true => self.send_parts(&mut file, cut, shared).await,
            false => self.send_whole(&file, cut, shared).await,
        };
        if shared.options.cameras > shared.options.connections {
            self.s3.hang_up();
        }
        if cut.is_some() && outcome.is_err() {
            self.backlog.push_front(file);
            shared.live.note(|happened| happened.cut += 1);
            return Sent::Later(shared.options.offline);
        }
        let tally = if file.kind == Kind::Recording { &mut self.recordings } else { &mut self.pictures };
        tally.count(&outcome, file.content.len(), begun.elapsed());
        let sent = match &outcome {
            Ok(Outcome::Done) => Sent::Done,
            Ok(Outcome::Refused(503, _)) | Err(_) => Sent::Later(AFTER_AN_ERROR),
            Ok(Outcome::Refused(404, code)) if code == "NoSuchUpload" => {
                file.begun = None;
                Sent::Later(AFTER_AN_ERROR)
            }
            Ok(Outcome::Refused(_, code)) if code == "RequestTimeTooSkewed" && self.set_clock(shared) => Sent::Again,
            Ok(Outcome::Refused(..) | Outcome::Damaged) => Sent::Refused,
        };
        self.backlog.push_front(file);
        sent
    }

    /// After how many bytes the link is cut in this attempt, if it is.
    fn cut(&self, file: &File, shared: &Shared) -> Option<u64> {
        let attempt =
            file.turn.wrapping_shl(16) ^ file.attempts.wrapping_shl(1) ^ u64::from(file.kind == Kind::Picture);
        let cut = self.dice.share("cut", self.number, attempt) < shared.options.drop;
        cut.then(|| self.dice.roll("where", self.number, attempt).checked_rem(file.content.len()).unwrap_or(0))
    }

    /// Sets the clock by the server's; `false` where that is not wanted or not possible.
    fn set_clock(&self, shared: &Shared) -> bool {
        let (true, Some(told)) = (shared.options.correct_clock, self.s3.server_time()) else { return false };
        let by = told.millis().saturating_sub(self.clock.right.now().millis());
        // A server that refuses a clock which agrees with its own would be asked for ever.
        let better = (self.clock.by.swap(by, Ordering::Relaxed) - by).abs() > 2000;
        shared.live.note(|happened| happened.corrected += u64::from(better));
        better
    }

    async fn send_whole(&mut self, file: &File, cut: Option<u64>, shared: &Shared) -> Result<Outcome, ClientError> {
        let (bucket, begun) = (self.bucket(file.kind), Instant::now());
        let headers = [("content-type", file.media_type)];
        let content = match cut {
            Some(after) => file.content.clone().cut_after(after),
            None => file.content.clone(),
        };
        let outcome = self.s3.put(&bucket, &file.key, &headers, content).await;
        let operation = if file.kind == Kind::Recording { PUT_RECORDING } else { PUT_PICTURE };
        if cut.is_none() || outcome.is_ok() {
            shared.live.count(operation, &outcome, file.content.len(), begun.elapsed());
        }
        outcome
    }

    /// As parts, from the first that the server has not.
    async fn send_parts(&mut self, file: &mut File, cut: Option<u64>, shared: &Shared) -> Result<Outcome, ClientError> {
        let (bucket, key) = (self.bucket(file.kind), file.key.clone());
        let place = (bucket.as_str(), key.as_str());
        let mut state = match file.begun.take() {
            Some(state) => {
                shared.live.note(|happened| happened.continued += u64::from(!state.etags.is_empty()));
                state
            }
            None => {
                let begun = Instant::now();
                let answer = self.s3.begin_parts(place.0, place.1, &[("content-type", file.media_type)]).await;
                let upload = match counted(answer, |outcome| {
                    shared.live.count(BEGIN_PARTS, outcome, 0, begun.elapsed());
                }) {
                    Ok(upload) => upload,
                    Err(outcome) => return outcome,
                };
                Begun { upload, etags: Vec::new() }
            }
        };
        let (len, part) = (file.content.len(), shared.options.part_size);
        loop {
            let from = part.saturating_mul(state.etags.len() as u64);
            if from >= len {
                break;
            }
            let to = from.saturating_add(part).min(len);
            let mut content = file.content.part(from, to);
            let here = cut.filter(|at| (from..to).contains(at));
            if let Some(at) = here {
                content = content.cut_after(at - from);
            }
            let begun = Instant::now();
            let answer = self.s3.put_part(place, &state.upload, state.etags.len() + 1, content).await;
            let answer = counted(answer, |outcome| {
                if here.is_none() || outcome.is_ok() {
                    shared.live.count(PUT_PART, outcome, to - from, begun.elapsed());
                }
            });
            match answer {
                Ok(etag) => state.etags.push(etag),
                Err(outcome) => {
                    file.begun = Some(state);
                    return outcome;
                }
            }
        }
        let begun = Instant::now();
        let outcome = self.s3.complete_parts(place, &state.upload, &state.etags).await;
        shared.live.count(COMPLETE_PARTS, &outcome, 0, begun.elapsed());
        file.begun = Some(state);
        outcome
    }

    async fn verify(&mut self, uploaded: Vec<File>, shared: &Shared) -> Tally {
        let mut tally = Tally::default();
        for file in uploaded {
            let Ok(_turn) = shared.gate.acquire().await else { break };
            let (bucket, len, begun) = (self.bucket(file.kind), file.content.len(), Instant::now());
            let outcome = self.s3.get(&bucket, &file.key, file.content).await;
            shared.live.count(GET, &outcome, len, begun.elapsed());
            tally.count(&outcome, len, begun.elapsed());
        }
        tally
    }

    fn bucket(&self, kind: Kind) -> String {
        match kind {
            Kind::Recording => self.sub_account.recordings.clone(),
            Kind::Picture => self.sub_account.pictures.clone(),
        }
    }

    fn report(self, options: &CamerasOptions, verified: Option<Tally>) -> Report {
        let OpenedSubAccount { access_key, recordings: record_bucket, pictures: picture_bucket, .. } =
            &self.sub_account;
        let camera = json!({
            "camera": self.number,
            "access_key": access_key.as_str(),
            "secret_key": options.show_keys.then(|| self.sub_account.secret.expose()),
            "record_bucket": record_bucket,
            "picture_bucket": picture_bucket,
            "signature": format!("{:?}", self.signature),
            "style": if options.domain_of(self.number).is_some() { "domain" } else { "path" },
            "clock_off_ms": self.clock.by.load(Ordering::Relaxed),
        });
        let keys = if options.show_keys { format!(" {}", self.sub_account.secret.expose()) } else { String::new() };
        let name = format!("camera {} {access_key}{keys} {:?}", self.number, self.signature);
        let Self { number, recordings, pictures, .. } = self;
        Report { number, camera, name, recordings, pictures, verified }
    }
}

/// Counts an answer; what it gave, or what there was instead.
fn counted<T>(
    answer: Result<Result<T, Outcome>, ClientError>,
    count: impl FnOnce(&Result<Outcome, ClientError>),
) -> Result<T, Result<Outcome, ClientError>> {
    let (given, outcome) = match answer {
        Ok(Ok(given)) => (Some(given), Ok(Outcome::Done)),
        Ok(Err(outcome)) => (None, Ok(outcome)),
        Err(error) => (None, Err(error)),
    };
    count(&outcome);
    given.ok_or(outcome)
}

/// Sleeps until then, or until it is told to stop.
async fn sleep_until(then: Instant, stop: &mut watch::Receiver<bool>) {
    // Who could tell it to stop may have gone; then it sleeps to the end.
    let told = async {
        if stop.wait_for(|stop| *stop).await.is_err() {
            std::future::pending().await
        }
    };
    tokio::select! {
        () = tokio::time::sleep_until(then.into()) => {}
        () = told => {}
    }
}

// === impl Report ===

impl Report {
    pub(super) fn line(&self) -> String {
        let verified = self.verified.as_ref().map(|tally| format!("; verified: {}", tally.line())).unwrap_or_default();
        format!("{}: recordings: {}; pictures: {}{verified}", self.name, self.recordings.line(), self.pictures.line())
    }

    pub(super) fn json(&self) -> Value {
        let mut camera = self.camera.clone();
        camera["recordings"] = self.recordings.json();
        camera["pictures"] = self.pictures.json();
        camera["verified"] = self.verified.as_ref().map(Tally::json).unwrap_or_default();
        camera
    }
}
