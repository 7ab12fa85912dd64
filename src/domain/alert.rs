//! Alerts of section 8: what they say, how a platform wants them written, when they are repeated.

use std::time::Duration;

use super::ids::BadName;
use super::{AlertId, limits};

/// What the platform is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alert {
    /// 8.1 `AlertType` 1: the space is full, the camera shall stop recording.
    Full,
    /// 8.1 `AlertType` 2: the space is nearly used up.
    NearlyFull,
    /// 8.2, deleted by change 6 and sent only where `alerts.notify_idle` is set.
    Idle,
}

/// Why nobody is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlertRefusal {
    /// A test has nowhere to go.
    #[error("the account has no alert URL")]
    NoAlertUrl,
    /// 8.2 is sent to nobody here, not even as a test.
    #[error("alerts.notify_idle is off: this alert is never sent")]
    NoIdle,
}

impl AlertId {
    /// An alert that a change of space raised: `place` 0 to 2 says which of those of one change.
    pub const fn raised(sequence: u64, place: u64) -> Self {
        Self::new(sequence * 4 + place)
    }

    /// A test that operations staff asked for.
    pub const fn test(sequence: u64) -> Self {
        Self::new(sequence * 4 + 3)
    }

    /// Whether it is a test: it says nothing of the space, and the platform cannot tell.
    pub const fn is_test(self) -> bool {
        self.get() % 4 == 3
    }
}

/// How an account's platform wants its callbacks written. The default is our own WSDL.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct CallbackProfile {
    /// Namespace of the wrapper; ours where `None`.
    pub namespace: Option<String>,
    /// Name of the wrapper element; ours where `None`.
    pub operation: Option<String>,
    /// The SOAPAction header; namespace + `#` + operation where `None`.
    pub soap_action: Option<String>,
    /// SOAP 1.2 instead of 1.1.
    pub soap12: bool,
    /// Fields in no namespace.
    pub unqualified: bool,
    /// GB18030 (named GBK on the wire) instead of UTF-8.
    pub gbk: bool,
}

/// When a failed alert is tried again: first after `first`, doubling, at most `most` apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetrySchedule {
    /// `alerts.first_retry`, 1 s.
    pub first: Duration,
    /// `alerts.max_retry`, 5 min.
    pub most: Duration,
    /// `alerts.give_up_after`, 24 h.
    pub give_up_after: Duration,
}

impl CallbackProfile {
    /// The profile as it can be written: an empty text is ours.
    ///
    /// # Errors
    /// What would be right.
    pub fn checked(self) -> Result<Self, BadName> {
        let text = |what: &'static str, text: Option<String>| match text {
            Some(text) if text.len() > limits::URL_BYTES_MAX || text.chars().any(char::is_control) => {
                Err(BadName::CallbackText(what))
            }
            text => Ok(text.filter(|text| !text.is_empty())),
        };
        let operation = text("the operation", self.operation)?;
        let first = |c: char| c.is_alphabetic() || c == '_';
        let rest = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        if let Some(name) = &operation
            && !(name.starts_with(first) && name.chars().all(rest))
        {
            return Err(BadName::ElementName(name.clone()));
        }
        Ok(Self {
            namespace: text("the namespace", self.namespace)?,
            operation,
            soap_action: text("the SOAPAction", self.soap_action)?,
            ..self
        })
    }
}

impl RetrySchedule {
    /// How long to wait after the `attempts`-th failure (1 is the first). `jitter` is 0 to 255 and
    /// takes up to an eighth off, so that a province's alerts do not come back in step.
    pub fn delay(&self, attempts: u32, jitter: u8) -> Duration {
        let doubled = self.first.saturating_mul(1u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX));
        let whole = doubled.min(self.most);
        whole - whole * u32::from(jitter) / (8 * 255)
    }
}

impl Default for RetrySchedule {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            most: Duration::from_secs(300),
            give_up_after: Duration::from_secs(24 * 3600),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_double_up_to_five_minutes() {
        let schedule = RetrySchedule::default();
        let seconds: Vec<_> = (1..12).map(|n| schedule.delay(n, 0).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(schedule.delay(1000, 0).as_secs(), 300);
        assert_eq!(schedule.delay(1, 255), Duration::from_millis(875));
    }
}
