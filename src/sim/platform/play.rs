//! What the platform does with a call of section 8, where it is told to misbehave.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How long an answer takes that is slow, where nobody says.
const SLOW: Duration = Duration::from_secs(5);
/// An hour: nobody waits longer.
const SLOW_SECONDS_MAX: u64 = 3600;

/// What the platform does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Play {
    /// Checks account and password, and answers.
    Answer,
    /// HTTP 500 with a page of HTML.
    Fail,
    /// Never answers.
    Hang,
    /// Closes the connection without an answer.
    Refuse,
    /// A SOAP Fault.
    Fault,
    /// This Result, whatever came.
    Result(i32),
    /// Checks and answers, but in GBK where it says UTF-8.
    Charset,
    /// Checks and answers, after so long.
    Slow(Duration),
}

/// A play, and for how many calls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Playing {
    play: Play,
    /// Calls that are left to it; `None` is for ever.
    left: Option<u64>,
}

impl FromStr for Play {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "one of answer (or ok), fail, hang, refuse, fault, result=N, charset, slow=SECONDS".to_owned();
        match text.split_once('=') {
            Some(("result", number)) => number.trim().parse().map(Self::Result).map_err(|_| wrong()),
            Some(("slow", seconds)) => match seconds.trim().parse() {
                Ok(seconds) if seconds <= SLOW_SECONDS_MAX => Ok(Self::Slow(Duration::from_secs(seconds))),
                _ => Err(wrong()),
            },
            Some(_) => Err(wrong()),
            None => match text {
                "answer" | "ok" => Ok(Self::Answer),
                "fail" => Ok(Self::Fail),
                "hang" => Ok(Self::Hang),
                "refuse" => Ok(Self::Refuse),
                "fault" => Ok(Self::Fault),
                "charset" => Ok(Self::Charset),
                "slow" => Ok(Self::Slow(SLOW)),
                _ => Err(wrong()),
            },
        }
    }
}

/// As it is written on a command line.
impl fmt::Display for Play {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer => f.write_str("answer"),
            Self::Fail => f.write_str("fail"),
            Self::Hang => f.write_str("hang"),
            Self::Refuse => f.write_str("refuse"),
            Self::Fault => f.write_str("fault"),
            Self::Result(number) => write!(f, "result={number}"),
            Self::Charset => f.write_str("charset"),
            Self::Slow(pause) => write!(f, "slow={}", pause.as_secs()),
        }
    }
}

impl Playing {
    /// For the first `calls` calls; 0 is for ever.
    pub(super) fn new(play: Play, calls: u64) -> Self {
        Self { play, left: (calls > 0).then_some(calls) }
    }

    /// What is played now.
    pub(super) fn now(&self) -> Play {
        if self.left == Some(0) { Play::Answer } else { self.play }
    }

    /// What is done with this call.
    pub(super) fn next(&mut self) -> Play {
        let now = self.now();
        self.left = self.left.map(|left| left.saturating_sub(1));
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plays_are_read_as_they_are_written() {
        for text in ["answer", "fail", "hang", "refuse", "fault", "result=-7", "charset", "slow=0", "slow=30"] {
            assert_eq!(text.parse::<Play>().unwrap().to_string(), text);
        }
        assert_eq!(("ok".parse(), "slow".parse()), (Ok(Play::Answer), Ok(Play::Slow(SLOW))));
        for text in ["", "explode", "result=", "result=x", "slow=-1", "slow=9999", "fail=1"] {
            assert!(text.parse::<Play>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_play_is_over_after_its_calls() {
        let mut playing = Playing::new(Play::Fail, 2);
        assert_eq!([playing.next(), playing.next(), playing.next()], [Play::Fail, Play::Fail, Play::Answer]);
        let mut ever = Playing::new(Play::Hang, 0);
        assert!((0..5).all(|_| ever.next() == Play::Hang));
    }
}
