//! Simulated cameras: a platform opens a sub-account for each, and each records and uploads.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use jiff::civil::DateTime;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::client::s3::Outcome;
use super::client::{
    ClientError, Content, Credentials, Endpoint, OpenedSubAccount, Pattern, Platform, S3, Signature, Tally,
    TrustOptions, units,
};
use crate::domain::Secret;
use crate::tls::Trust;
use crate::world::disk::read_file;
use crate::world::fake::SeededEntropy;
use crate::world::{Disk, Entropy, World, os};

/// When the first clip of every camera was recorded: the day of V1.2.
const FIRST_CLIP: DateTime = DateTime::constant(2014, 3, 28, 14, 30, 5, 0);
/// A camera that gets no answer waits so long before it tries again.
const AFTER_AN_ERROR: Duration = Duration::from_secs(1);

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
    /// Size of a recording
    #[arg(long, value_name = "SIZE", default_value = "8MiB", value_parser = units::size)]
    pub clip_size: u64,
    /// Size of the picture that goes with each; 0 for none
    #[arg(long, value_name = "SIZE", default_value = "64KiB", value_parser = units::size)]
    pub picture_size: u64,
    /// Pause after each recording
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = units::duration)]
    pub interval: Duration,
    /// How requests are signed
    #[arg(long, value_enum, default_value_t = Signing::Mix)]
    pub signature: Signing,
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

/// What the cameras have to upload.
#[derive(Clone)]
struct Material {
    pattern: Pattern,
    clip_size: u64,
    picture_size: u64,
    clips: Vec<File>,
    pictures: Vec<File>,
}

#[derive(Clone)]
struct File {
    extension: String,
    content: Content,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Recording,
    Picture,
}

struct Upload {
    kind: Kind,
    key: String,
    content: Content,
}

struct Camera {
    number: usize,
    sub_account: OpenedSubAccount,
    signature: Signature,
    s3: S3,
    chance: SeededEntropy,
}

/// What a camera has to tell in the end.
struct Report {
    camera: Value,
    name: String,
    recordings: Tally,
    pictures: Tally,
    verified: Option<Tally>,
}

/// Opens the sub-accounts, runs the cameras, prints a line for each and a summary.
///
/// # Errors
///
/// A sub-account cannot be opened, an upload has no answer, or what comes back is not what was
/// sent. Refusals (a full sub-account) are counted and are no error.
pub async fn run(options: CamerasOptions) -> io::Result<()> {
    let world = os::world();
    let material = Arc::new(Material::gather(&options, &*world.disk)?);
    let service = Endpoint::parse(&options.soap)?.or_path("/services/VideoCloudStorage");
    let trust = options.trust.trust()?;
    let password = Secret::new(options.password.clone());
    let mut platform = Platform::new(service, options.account.clone(), password, trust.clone());
    let mut cameras = Vec::new();
    for number in 0..options.cameras {
        let sub_account = platform.open_sub_account(options.space).await?;
        if options.loop_mode {
            platform.set_loop(&sub_account, true).await?;
        }
        cameras.push(Camera::new(number, sub_account, &options, &world, trust.clone()));
    }
    let options = Arc::new(options);
    let started = Instant::now();
    let mut running = JoinSet::new();
    for camera in cameras {
        running.spawn(camera.run(options.clone(), material.clone()));
    }
    let mut reports = Vec::new();
    while let Some(report) = running.join_next().await {
        let report = report.map_err(io::Error::other)?;
        if !options.json {
            writeln!(io::stdout(), "{}", report.line())?;
        }
        reports.push(report);
    }
    summary(&reports, &options, started.elapsed())
}

fn summary(reports: &[Report], options: &CamerasOptions, took: Duration) -> io::Result<()> {
    let (mut uploads, mut verified) = (Tally::default(), Tally::default());
    for report in reports {
        uploads.add(&report.recordings);
        uploads.add(&report.pictures);
        if let Some(tally) = &report.verified {
            verified.add(tally);
        }
    }
    if options.json {
        let cameras: Vec<Value> = reports.iter().map(Report::json).collect();
        let verified = options.verify.then(|| verified.json());
        let all = json!({
            "cameras": cameras,
            "uploads": uploads.json(),
            "verified": verified,
            "seconds": took.as_secs_f64(),
        });
        writeln!(io::stdout(), "{all}")?;
    } else {
        writeln!(io::stdout(), "{} cameras, {:.1} s: {}", reports.len(), took.as_secs_f64(), uploads.line())?;
        if options.verify {
            writeln!(io::stdout(), "verified: {}", verified.line())?;
        }
    }
    // In loop mode the oldest are gone by design.
    let missing = if options.loop_mode { 0 } else { verified.refusals() };
    match uploads.failures() + verified.failures() + verified.damaged + missing {
        0 => Ok(()),
        bad => Err(io::Error::other(format!("{bad} requests failed"))),
    }
}

// === impl Material ===

impl Material {
    fn gather(options: &CamerasOptions, disk: &dyn Disk) -> io::Result<Self> {
        let (mut clips, mut pictures) = (Vec::new(), Vec::new());
        if let Some(directory) = &options.files {
            let mut paths = disk.list(directory)?;
            paths.sort();
            for path in paths {
                let extension = extension(&path);
                // A directory, or a file that only looks at us: cameras have neither.
                let Ok(Some(bytes)) = read_file(disk, &path) else { continue };
                let into = if media_type(&extension).starts_with("image/") { &mut pictures } else { &mut clips };
                into.push(File { extension, content: Content::Whole(bytes.into()) });
            }
            if clips.is_empty() && pictures.is_empty() {
                return Err(io::Error::other(format!("{} has no files", directory.display())));
            }
        }
        let (clip_size, picture_size) = (options.clip_size, options.picture_size);
        Ok(Self { pattern: Pattern::new(options.seed), clip_size, picture_size, clips, pictures })
    }

    /// What a camera uploads as its `turn`-th recording or picture.
    fn file(&self, kind: Kind, camera: usize, turn: u64) -> Option<File> {
        let (files, size, extension) = match kind {
            Kind::Recording => (&self.clips, self.clip_size, "mp4"),
            Kind::Picture => (&self.pictures, self.picture_size, "jpg"),
        };
        if !self.clips.is_empty() || !self.pictures.is_empty() {
            let nth = usize::try_from(turn).unwrap_or(0).wrapping_add(camera);
            return nth.checked_rem(files.len()).and_then(|nth| files.get(nth)).cloned();
        }
        let number = (camera as u64).wrapping_shl(40) ^ turn.wrapping_shl(1) ^ u64::from(kind == Kind::Picture);
        (size > 0).then(|| File { extension: extension.to_owned(), content: self.pattern.content(number, size) })
    }
}

fn extension(path: &Path) -> String {
    path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

fn media_type(extension: &str) -> &'static str {
    match extension {
        "mp4" => "video/mp4",
        "ts" => "video/mp2t",
        "avi" => "video/x-msvideo",
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        _ => "application/octet-stream",
    }
}

// === impl Camera ===

impl Camera {
    fn new(
        number: usize,
        sub_account: OpenedSubAccount,
        options: &CamerasOptions,
        world: &World,
        trust: Trust,
    ) -> Self {
        let signature = match options.signature {
            Signing::V2 => Signature::V2,
            Signing::Mix if number % 2 == 1 => Signature::V2,
            Signing::V4 | Signing::Mix => Signature::V4,
        };
        let credentials = Credentials {
            access_key: sub_account.access_key.clone(),
            secret: sub_account.secret.clone(),
            region: "kandian".to_owned(),
            signature,
        };
        let s3 = S3::new(sub_account.s3.clone(), credentials, world.clock.clone(), trust);
        let chance = SeededEntropy::new(options.seed.wrapping_add((number as u64) << 32));
        Self { number, sub_account, signature, s3, chance }
    }

    async fn run(mut self, options: Arc<CamerasOptions>, material: Arc<Material>) -> Report {
        let (mut recordings, mut pictures) = (Tally::default(), Tally::default());
        let mut uploaded = Vec::new();
        let started = Instant::now();
        let mut recorded_at = FIRST_CLIP;
        for turn in 0..u64::MAX {
            let over = match options.seconds {
                Some(seconds) => started.elapsed() >= Duration::from_secs(seconds),
                None => turn >= options.clips,
            };
            if over {
                break;
            }
            for (kind, tally) in [(Kind::Recording, &mut recordings), (Kind::Picture, &mut pictures)] {
                let Some(file) = material.file(kind, self.number, turn) else { continue };
                let stem = recorded_at.strftime("%Y-%m-%d/%H-%M-%S");
                let upload = Upload { kind, key: format!("{stem}.{}", file.extension), content: file.content };
                if self.upload(&upload, media_type(&file.extension), tally).await && options.verify {
                    uploaded.push(upload);
                }
            }
            recorded_at = self.next_clip_after(recorded_at);
            if !options.interval.is_zero() {
                tokio::time::sleep(options.interval).await;
            }
        }
        let verified = if options.verify { Some(self.verify(uploaded).await) } else { None };
        self.report(&options, recordings, pictures, verified)
    }

    /// Clips last from 10 s to a minute, as motion has it.
    fn next_clip_after(&self, recorded_at: DateTime) -> DateTime {
        let chance: &dyn Entropy = &self.chance;
        let [byte] = chance.bytes::<1>();
        let lasted = SignedDuration::from_secs(i64::from(10 + byte % 51));
        recorded_at.checked_add(lasted).unwrap_or(recorded_at)
    }

    async fn upload(&mut self, upload: &Upload, media_type: &str, tally: &mut Tally) -> bool {
        let bucket = self.bucket(upload.kind);
        let begun = Instant::now();
        let headers = [("content-type", media_type)];
        let outcome = self.s3.put(&bucket, &upload.key, &headers, upload.content.clone()).await;
        tally.count(&outcome, upload.content.len(), begun.elapsed());
        if outcome.is_err() {
            tokio::time::sleep(AFTER_AN_ERROR).await;
        }
        matches!(outcome, Ok(Outcome::Done))
    }

    async fn verify(&mut self, uploaded: Vec<Upload>) -> Tally {
        let mut tally = Tally::default();
        for upload in uploaded {
            let (bucket, len, begun) = (self.bucket(upload.kind), upload.content.len(), Instant::now());
            let outcome: Result<Outcome, ClientError> = self.s3.get(&bucket, &upload.key, upload.content).await;
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

    fn report(&self, options: &CamerasOptions, recordings: Tally, pictures: Tally, verified: Option<Tally>) -> Report {
        let OpenedSubAccount { access_key, recordings: record_bucket, pictures: picture_bucket, .. } =
            &self.sub_account;
        let camera = json!({
            "camera": self.number,
            "access_key": access_key.as_str(),
            "secret_key": options.show_keys.then(|| self.sub_account.secret.expose()),
            "record_bucket": record_bucket,
            "picture_bucket": picture_bucket,
            "signature": format!("{:?}", self.signature),
        });
        let keys = if options.show_keys { format!(" {}", self.sub_account.secret.expose()) } else { String::new() };
        let name = format!("camera {} {access_key}{keys} {:?}", self.number, self.signature);
        Report { camera, name, recordings, pictures, verified }
    }
}

// === impl Report ===

impl Report {
    fn line(&self) -> String {
        let verified = self.verified.as_ref().map(|tally| format!("; verified: {}", tally.line())).unwrap_or_default();
        format!("{}: recordings: {}; pictures: {}{verified}", self.name, self.recordings.line(), self.pictures.line())
    }

    fn json(&self) -> Value {
        let mut camera = self.camera.clone();
        camera["recordings"] = self.recordings.json();
        camera["pictures"] = self.pictures.json();
        camera["verified"] = self.verified.as_ref().map(Tally::json).unwrap_or_default();
        camera
    }
}

#[cfg(test)]
mod tests;
