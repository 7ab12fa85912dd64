//! What came to some cameras on each of the last 30 days.

use std::sync::PoisonError;

use serde::Serialize;

use super::rows::{CameraDayRow, day_of};
use crate::domain::forecast::DAY_MS;
use crate::domain::{Action, SubAccountId};
use crate::engine::status::blocking;
use crate::engine::{Caller, Engine, Result};

/// Days that are told, today among them.
const DAYS: u64 = 30;
/// Cameras of one go.
const CAMERAS_MAX: usize = 100;

/// One day of a camera.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CameraDay {
    /// When it begins, ms since 1970.
    pub at_ms: i64,
    /// Recordings uploaded.
    pub recordings: u64,
    /// Pictures uploaded.
    pub pictures: u64,
    /// Bytes uploaded.
    pub bytes_in: u64,
    /// Files that an overwrite took.
    pub overwritten: u64,
    /// Files deleted otherwise.
    pub deleted: u64,
}

/// The last days of a camera.
#[derive(Clone, Debug, Serialize)]
pub struct CameraDays {
    /// S3AK.
    pub ak: String,
    /// The oldest first; the last one is under way.
    pub days: Vec<CameraDay>,
}

impl Engine {
    /// The last 30 days of some cameras, in their order, with what is not written down yet. Days are those of `time.zone`.
    pub async fn camera_days(&self, caller: &Caller, aks: &[String]) -> Result<Vec<CameraDays>> {
        let of = |ak: &String| Ok((ak.clone(), self.sub_account_for(caller, Action::SeeSpace, ak)?.id));
        let cameras = aks.iter().take(CAMERAS_MAX).map(of).collect::<Result<Vec<(String, SubAccountId)>>>()?;
        let engine = self.clone();
        blocking(move || {
            let _still = engine.inner.observe.writing.read().unwrap_or_else(PoisonError::into_inner);
            let gathered = engine.inner.observe.gathered(&engine).cameras;
            let zone = engine.config().zone_minutes;
            let today = day_of(engine.now(), zone);
            let day = |id: SubAccountId, day: u64| {
                let key = (day, id.get());
                let mut row = engine.inner.books.get::<CameraDayRow>(&key)?.unwrap_or_default().0;
                gathered.get(&key).into_iter().for_each(|more| row.add(more));
                let begins = i64::try_from(day).unwrap_or(0).saturating_mul(DAY_MS);
                Ok(CameraDay {
                    at_ms: begins - i64::from(zone) * 60_000,
                    recordings: row.recordings,
                    pictures: row.pictures,
                    bytes_in: row.bytes_in,
                    overwritten: row.overwritten,
                    deleted: row.deleted,
                })
            };
            let days = |id| (today.saturating_sub(DAYS - 1)..=today).map(|at| day(id, at)).collect::<Result<Vec<_>>>();
            cameras.into_iter().map(|(ak, id)| Ok(CameraDays { ak, days: days(id)? })).collect()
        })
        .await
    }
}
