//! Simulated cameras: a platform opens a sub-account for each, and each records and uploads.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::client::{Endpoint, OpenedSubAccount, Platform, Tally};
use crate::domain::Secret;
use crate::world::{Clock, os};

mod camera;
mod live;
mod material;
mod options;

pub use options::{CamerasOptions, Signing, Style};

use camera::{Camera, Report};
use live::{Happened, Live};
use material::Material;

/// So many sub-accounts are opened at a time.
const OPENED_AT_ONCE: usize = 16;
/// Of more cameras not each has a line.
const LINES_MAX: usize = 100;

/// Cameras that have their sub-accounts and wait to be run.
pub struct Fleet {
    cameras: Vec<Camera>,
    shared: Arc<Shared>,
}

/// What all cameras share.
struct Shared {
    options: CamerasOptions,
    material: Material,
    live: Live,
    /// Who may have a connection.
    gate: Semaphore,
}

/// What came of it.
pub struct Summary {
    reports: Vec<Report>,
    shared: Arc<Shared>,
    took: Duration,
}

/// Opens the sub-accounts, runs the cameras until they are done or Ctrl-C, prints a line for each and a summary.
///
/// # Errors
///
/// The options do not go together, a sub-account cannot be opened, an upload has no answer, or what comes back is not
/// what was sent. Refusals (a full sub-account) are counted and are no error, nor are links that were cut as asked for.
pub async fn run(options: CamerasOptions) -> io::Result<()> {
    let json = options.json;
    let fleet = Fleet::open(options, os::world().clock).await?;
    let (tell, stop) = watch::channel(false);
    let interrupted = tokio::spawn(async move {
        // Who cannot be told stops at the end.
        if tokio::signal::ctrl_c().await.is_ok() {
            let _ = tell.send(true);
        }
        std::future::pending::<()>().await;
    });
    let (shared, cameras) = (Arc::clone(&fleet.shared), fleet.cameras.len());
    let summary = tokio::select! {
        summary = fleet.run(stop) => summary?,
        () = async { shared.live.show(cameras).await } => return Ok(()),
    };
    interrupted.abort();
    let text = if json { format!("{}\n", summary.json()) } else { summary.text() };
    io::stdout().lock().write_all(text.as_bytes())?;
    summary.verdict()
}

// === impl Fleet ===

impl Fleet {
    /// Opens a sub-account for each camera.
    ///
    /// # Errors
    ///
    /// The options do not go together, files cannot be read, or a sub-account cannot be opened.
    pub async fn open(options: CamerasOptions, clock: Arc<dyn Clock>) -> io::Result<Self> {
        options.check().map_err(io::Error::other)?;
        let material = Material::gather(&options, &*os::world().disk)?;
        let service = Endpoint::parse(&options.soap)?.or_path("/services/VideoCloudStorage");
        let trust = options.trust.trust()?;
        let password = Secret::new(options.password.clone());
        let (all, hands) = (options.cameras, options.cameras.div_ceil(OPENED_AT_ONCE).min(OPENED_AT_ONCE));
        let mut opening = JoinSet::new();
        for hand in 0..hands {
            let mut platform = Platform::new(service.clone(), options.account.clone(), password.clone(), trust.clone());
            let (space, loop_mode) = (options.space, options.loop_mode);
            opening.spawn(async move {
                let mut opened = Vec::new();
                for number in (hand..all).step_by(hands) {
                    let sub_account = platform.open_sub_account(space).await?;
                    if loop_mode {
                        platform.set_loop(&sub_account, true).await?;
                    }
                    opened.push((number, sub_account));
                }
                Ok::<_, io::Error>(opened)
            });
        }
        let mut cameras = Vec::new();
        while let Some(opened) = opening.join_next().await {
            for (number, sub_account) in opened.map_err(io::Error::other)?? {
                cameras.push(Camera::new(number, sub_account, &options, Arc::clone(&clock), trust.clone()));
            }
        }
        cameras.sort_by_key(Camera::number);
        let gate = Semaphore::new(options.connections.min(Semaphore::MAX_PERMITS));
        Ok(Self { cameras, shared: Arc::new(Shared { options, material, live: Live::default(), gate }) })
    }

    /// The sub-accounts of the cameras.
    pub fn sub_accounts(&self) -> impl Iterator<Item = &OpenedSubAccount> {
        self.cameras.iter().map(Camera::sub_account)
    }

    /// Runs the cameras until they are done, or `stop` says so.
    ///
    /// # Errors
    ///
    /// A camera does not come to its end.
    pub async fn run(self, stop: watch::Receiver<bool>) -> io::Result<Summary> {
        let Self { cameras, shared } = self;
        let started = Instant::now();
        let mut running = JoinSet::new();
        for camera in cameras {
            running.spawn(camera.run(Arc::clone(&shared), stop.clone()));
        }
        let mut reports = Vec::new();
        while let Some(report) = running.join_next().await {
            reports.push(report.map_err(io::Error::other)?);
        }
        reports.sort_by_key(|report| report.number);
        Ok(Summary { reports, shared, took: started.elapsed() })
    }
}

// === impl Summary ===

impl Summary {
    /// All uploads, and what came back.
    fn totals(&self) -> (Tally, Tally) {
        let (mut uploads, mut verified) = (Tally::default(), Tally::default());
        for report in &self.reports {
            uploads.add(&report.recordings);
            uploads.add(&report.pictures);
            if let Some(tally) = &report.verified {
                verified.add(tally);
            }
        }
        (uploads, verified)
    }

    /// For people: a line a camera, where they are not too many, all together, and times by operation.
    pub fn text(&self) -> String {
        let (uploads, verified) = self.totals();
        let mut out = String::new();
        if self.reports.len() <= LINES_MAX {
            self.reports.iter().for_each(|report| out += &(report.line() + "\n"));
        }
        out += &format!("{} cameras, {:.1} s: {}\n", self.reports.len(), self.took.as_secs_f64(), uploads.line());
        if self.shared.options.verify {
            out += &format!("verified: {}\n", verified.line());
        }
        let Happened { recorded, uploaded, cut, resumed, continued, lost, left, corrected, .. } =
            self.shared.live.happened();
        out += &format!(
            "{recorded} files recorded, {uploaded} uploaded; {cut} links cut, {resumed} files sent after it ({continued} \
             times in the middle of their parts), {lost} dropped from full backlogs, {left} left; {corrected} clocks set\n\n"
        );
        out + &self.shared.live.table()
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let (uploads, verified) = self.totals();
        let cameras: Vec<Value> = self.reports.iter().map(Report::json).collect();
        let mut all = json!({
            "cameras": cameras,
            "uploads": uploads.json(),
            "verified": self.shared.options.verify.then(|| verified.json()),
            "seconds": self.took.as_secs_f64(),
        });
        if let (Some(all), Value::Object(more)) = (all.as_object_mut(), self.shared.live.json()) {
            all.extend(more);
        }
        all
    }

    /// Whether all went as it should.
    ///
    /// # Errors
    ///
    /// Requests had no answer, or something did not come back as it was.
    pub fn verdict(&self) -> io::Result<()> {
        let (uploads, verified) = self.totals();
        // In loop mode the oldest are gone by design.
        let missing = if self.shared.options.loop_mode { 0 } else { verified.refusals() };
        match uploads.failures() + verified.failures() + verified.damaged + missing {
            0 => Ok(()),
            bad => Err(io::Error::other(format!("{bad} requests failed"))),
        }
    }
}

#[cfg(test)]
mod tests;
