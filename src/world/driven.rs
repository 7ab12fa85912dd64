//! A clock that begins at another time and goes faster: for `kandian demo`, whose server and cameras share it.
//!
//! `docs/decisions/0019-time-that-is-driven.md` says why it is no clock for anything that shall be kept.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::Clock;
use crate::domain::Timestamp;

/// A data directory with this file in it may be served by a clock that is driven; `kandian demo` makes it before the first
/// start, and throws the directory away.
pub const MARK: &str = "made-by-kandian-demo";
/// A day in nine seconds.
const SPEED_MAX: u32 = 10_000;

/// How time is driven: as of a moment of the real clock it is another time, and goes so many times as fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drive {
    began: Timestamp,
    at: Timestamp,
    speed: u32,
}

/// A text that drives no clock.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDrive {
    /// Too slow or too fast.
    #[error("time goes from 1 to {SPEED_MAX} times as fast")]
    Speed,
    /// Not three numbers.
    #[error("a clock is driven by REAL,SHOWN,SPEED: two times in milliseconds since 1970, and a number")]
    Text,
}

/// A clock that is driven.
pub struct DrivenClock {
    real: Arc<dyn Clock>,
    drive: Drive,
}

impl Drive {
    /// As of `began` of the real clock it is `at`, and time goes `speed` times as fast.
    ///
    /// # Errors
    ///
    /// The speed is 0, or over 10,000.
    pub fn new(began: Timestamp, at: Timestamp, speed: u32) -> Result<Self, BadDrive> {
        if (1..=SPEED_MAX).contains(&speed) { Ok(Self { began, at, speed }) } else { Err(BadDrive::Speed) }
    }

    /// How many times as fast time goes.
    pub fn speed(self) -> u32 {
        self.speed
    }

    /// What time it is when the real clock says this.
    fn shows(self, real: Timestamp) -> Timestamp {
        let passed = real.millis().saturating_sub(self.began.millis()).max(0);
        Timestamp::from_millis(self.at.millis().saturating_add(passed.saturating_mul(i64::from(self.speed))))
    }
}

impl FromStr for Drive {
    type Err = BadDrive;
    fn from_str(text: &str) -> Result<Self, BadDrive> {
        let mut numbers = text.split(',').map(str::parse::<i64>);
        match (numbers.next(), numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(began)), Some(Ok(at)), Some(Ok(speed)), None) => {
                let speed = u32::try_from(speed).map_err(|_| BadDrive::Speed)?;
                Self::new(Timestamp::from_millis(began), Timestamp::from_millis(at), speed)
            }
            _ => Err(BadDrive::Text),
        }
    }
}

impl fmt::Display for Drive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{}", self.began.millis(), self.at.millis(), self.speed)
    }
}

impl DrivenClock {
    /// Drives this clock.
    pub fn new(real: Arc<dyn Clock>, drive: Drive) -> Self {
        Self { real, drive }
    }
}

impl Clock for DrivenClock {
    fn now(&self) -> Timestamp {
        self.drive.shows(self.real.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::fake::ManualClock;
    use std::time::Duration;

    #[test]
    fn a_day_passes_in_a_minute_from_the_moment_that_was_named() {
        let real = Arc::new(ManualClock::new(Timestamp::from_seconds(1000)));
        let drive = Drive::new(real.now(), Timestamp::from_seconds(1_000_000), 1440).unwrap();
        let clock = DrivenClock::new(real.clone(), drive);
        assert_eq!(clock.now(), Timestamp::from_seconds(1_000_000));
        real.advance(Duration::from_secs(60));
        assert_eq!(clock.now(), Timestamp::from_seconds(1_000_000 + 86_400));
        real.set(Timestamp::from_seconds(0));
        assert_eq!(clock.now(), Timestamp::from_seconds(1_000_000), "it does not go before its beginning");
    }

    #[test]
    fn who_is_told_of_it_shows_the_same_time() {
        let drive = Drive::new(Timestamp::from_millis(-5), Timestamp::from_millis(7), 60).unwrap();
        assert_eq!(drive.to_string().parse(), Ok(drive));
        for text in ["", "1,2", "1,2,0", "1,2,10001", "1,2,3,4", "a,2,3", "1,2,-1"] {
            assert!(text.parse::<Drive>().is_err(), "{text}");
        }
    }
}
