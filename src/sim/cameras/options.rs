//! How `kandian sim cameras` is started.

use std::path::PathBuf;
use std::time::Duration;

use jiff::civil::DateTime;

use crate::domain::Secret;
use crate::sim::client::units::{self, SizeRange};
use crate::sim::client::{Signature, TrustOptions};

/// The day of V1.2.
const FIRST_CLIP: DateTime = DateTime::constant(2014, 3, 28, 14, 30, 5, 0);
/// A year.
const CADENCE_MAX: Duration = Duration::from_secs(366 * 86_400);
/// The least that S3 takes for a part that is not the last.
const PART_BYTES_MIN: u64 = 5 << 20;
/// Made bytes can be divided at multiples of this.
const PART_BYTES_STEP: u64 = 64 << 10;

/// How the cameras sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Signing {
    /// All with V2.
    V2,
    /// All with V4.
    V4,
    /// Every other one with V2.
    Mix,
}

/// Where the cameras put the name of the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Style {
    /// In the path.
    Path,
    /// In the host, before `--domain`.
    Domain,
    /// Two of four in the host, one of each signature.
    Mixed,
}

/// Options of `kandian sim cameras`.
#[derive(Clone, Debug, clap::Args)]
pub struct CamerasOptions {
    /// URL of the SOAP service
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9001/services/VideoCloudStorage")]
    pub soap: String,
    /// The account that opens the sub-accounts
    #[arg(long)]
    pub account: String,
    /// Its password
    #[arg(long, env = "KANDIAN_SIM_PASSWORD", hide_env_values = true)]
    pub password: String,
    /// How many cameras
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub cameras: usize,
    /// Space of each, in GB
    #[arg(long, value_name = "GB", default_value_t = 1)]
    pub space: u32,
    /// Recordings of each
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub clips: u64,
    /// Record for so long instead
    #[arg(long, value_name = "SECONDS", conflicts_with = "clips")]
    pub seconds: Option<u64>,
    /// Size of a recording, or sizes (1MiB..8MiB)
    #[arg(long, value_name = "SIZE", default_value = "8MiB", value_parser = units::sizes)]
    pub clip_size: SizeRange,
    /// Size of the picture that goes with each, or sizes; 0 for none
    #[arg(long, value_name = "SIZE", default_value = "64KiB", value_parser = units::sizes)]
    pub picture_size: SizeRange,
    /// Pause after each recording
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = units::duration)]
    pub interval: Duration,
    /// Record all the time instead: a recording each so long, and so long, whether the last is uploaded or not
    #[arg(long, value_name = "DURATION", value_parser = units::duration, conflicts_with = "interval")]
    pub every: Option<Duration>,
    /// Its bit rate (512kbit, 2Mbit), that gives its size
    #[arg(long, value_name = "RATE", value_parser = units::bit_rate, requires = "every", conflicts_with = "clip_size")]
    pub bit_rate: Option<u64>,
    /// Let the cameras' time go so many times as fast
    #[arg(long, value_name = "N", default_value_t = 1.0, requires = "every")]
    pub speed: f64,
    /// When the first recording of each was made, by its own clock
    #[arg(long, value_name = "TIME", default_value_t = FIRST_CLIP)]
    pub from: DateTime,
    /// How requests are signed
    #[arg(long, value_enum, default_value_t = Signing::Mix)]
    pub signature: Signing,
    /// Where the bucket's name is put
    #[arg(long, value_enum, default_value_t = Style::Path)]
    pub style: Style,
    /// The server's s3.domain, for names in the host
    #[arg(long, value_name = "NAME", required_if_eq_any([("style", "domain"), ("style", "mixed")]))]
    pub domain: Option<String>,
    /// Clocks are wrong by up to so much, either way
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = units::duration)]
    pub clock_skew: Duration,
    /// A camera that is told RequestTimeTooSkewed sets its clock by the answer's Date, and tries again
    #[arg(long)]
    pub correct_clock: bool,
    /// Probability that the link is cut in the middle of an upload (0.05, 5%)
    #[arg(long, value_name = "P", default_value = "0", value_parser = units::probability)]
    pub drop: f64,
    /// How long a link that was cut stays down
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = units::duration)]
    pub offline: Duration,
    /// Files that a camera keeps to send them later; of more the oldest go
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub backlog: usize,
    /// Upload recordings above this size in parts
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    pub multipart_above: Option<u64>,
    /// Size of a part
    #[arg(long, value_name = "SIZE", default_value = "8MiB", value_parser = part_size)]
    pub part_size: u64,
    /// Connections at once; with more cameras they take turns
    #[arg(long, value_name = "N", default_value_t = 512)]
    pub connections: usize,
    /// Same seed, same names and bytes
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Put the sub-accounts in loop mode (7.6)
    #[arg(long = "loop")]
    pub loop_mode: bool,
    /// Upload the files of this directory instead of made-up bytes
    #[arg(long, value_name = "DIR")]
    pub files: Option<PathBuf>,
    /// Get everything back in the end and compare
    #[arg(long)]
    pub verify: bool,
    /// Print the cameras' secret keys too
    #[arg(long)]
    pub show_keys: bool,
    /// Whom to trust
    #[command(flatten)]
    pub trust: TrustOptions,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

fn part_size(text: &str) -> Result<u64, String> {
    let bytes = units::size(text)?;
    match bytes >= PART_BYTES_MIN {
        true => Ok(bytes.next_multiple_of(PART_BYTES_STEP)),
        false => Err("S3 takes no parts below 5MiB".to_owned()),
    }
}

impl CamerasOptions {
    /// As on a command line with no more than these.
    pub fn usual(soap: &str, account: &str, password: &Secret) -> Self {
        Self {
            soap: soap.to_owned(),
            account: account.to_owned(),
            password: password.expose().to_owned(),
            cameras: 4,
            space: 1,
            clips: 10,
            seconds: None,
            clip_size: SizeRange::only(8 << 20),
            picture_size: SizeRange::only(64 << 10),
            interval: Duration::ZERO,
            every: None,
            bit_rate: None,
            speed: 1.0,
            from: FIRST_CLIP,
            signature: Signing::Mix,
            style: Style::Path,
            domain: None,
            clock_skew: Duration::ZERO,
            correct_clock: false,
            drop: 0.0,
            offline: Duration::from_secs(1),
            backlog: 100,
            multipart_above: None,
            part_size: 8 << 20,
            connections: 512,
            seed: 1,
            loop_mode: false,
            files: None,
            verify: false,
            show_keys: false,
            trust: TrustOptions::default(),
            json: false,
        }
    }

    /// What the parser cannot know.
    ///
    /// # Errors
    ///
    /// Words for people, of what does not go together.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.cameras == 0 || self.connections == 0 {
            return Err("--cameras and --connections are at least 1".to_owned());
        }
        if !(self.speed.is_finite() && self.speed >= 0.001) {
            return Err("--speed is a number from 0.001 on".to_owned());
        }
        if self.every.is_some_and(|every| every < Duration::from_secs(1)) {
            return Err(
                "--every is at least 1s: a file is named by the second of its recording (--speed makes it faster)"
                    .to_owned(),
            );
        }
        if self.cadence().is_some_and(|cadence| cadence > CADENCE_MAX) {
            return Err("--every is at most a year, as time goes with --speed".to_owned());
        }
        if self.backlog == 0 {
            return Err("--backlog is at least 1: what is being sent is in it".to_owned());
        }
        Ok(())
    }

    /// Sizes of recordings.
    pub(super) fn clip_sizes(&self) -> SizeRange {
        match (self.bit_rate, self.every) {
            (Some(rate), Some(every)) => {
                let bytes = u128::from(rate).saturating_mul(every.as_millis()) / 8000;
                SizeRange::only(u64::try_from(bytes).unwrap_or(u64::MAX))
            }
            _ => self.clip_size,
        }
    }

    /// How long it really takes from one recording to the next; `None` where a camera records when the last is uploaded.
    pub(super) fn cadence(&self) -> Option<Duration> {
        let cadence = self.every?.as_secs_f64() / self.speed;
        Some(Duration::try_from_secs_f64(cadence).unwrap_or(Duration::MAX))
    }

    /// How the camera of this number signs.
    pub(super) fn signature_of(&self, camera: usize) -> Signature {
        match self.signature {
            Signing::V2 => Signature::V2,
            Signing::Mix if camera % 2 == 1 => Signature::V2,
            Signing::V4 | Signing::Mix => Signature::V4,
        }
    }

    /// Below which domain it finds its buckets.
    pub(super) fn domain_of(&self, camera: usize) -> Option<String> {
        match self.style {
            Style::Path => None,
            Style::Mixed if camera % 4 < 2 => None,
            Style::Domain | Style::Mixed => self.domain.clone(),
        }
    }
}
