//! The one thing that must leave upwards: alerts, sent by whoever is plugged in.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::domain::{AccessKey, AccountName, Alert, CallbackProfile, Secret};

/// One alert, ready to be sent. Serves 8.1 and 8.2.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The account's alert URL.
    pub url: String,
    /// How its platform wants it written.
    pub profile: CallbackProfile,
    /// `Account`
    pub account: AccountName,
    /// `Password`
    pub password: Secret,
    /// `S3AK`
    pub access_key: AccessKey,
    /// `S3SK`
    pub secret: Secret,
    /// Which alert.
    pub alert: Alert,
    /// For the whole exchange, connect to last byte.
    pub timeout: Duration,
}

/// What came of one attempt. Contract, section 6.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// HTTP 2xx and a Result of 0.
    Delivered,
    /// A Result that is not 0; 1 and 2 mean that the platform does not accept our credentials.
    Result(i32),
    /// Anything else, in words for operators, without secrets.
    Failed(String),
}

/// One attempt, as operators want to see it afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// What came of it.
    pub delivery: Delivery,
    /// What was sent, password and SK masked; empty where nothing was.
    pub request: String,
    /// HTTP status of the answer, where one came.
    pub status: Option<u16>,
    /// Its first bytes, password and SK masked.
    pub answer: String,
}

impl From<Delivery> for Attempt {
    fn from(delivery: Delivery) -> Self {
        Self { delivery, request: String::new(), status: None, answer: String::new() }
    }
}

/// Sends alerts.
pub trait Courier: Send + Sync + 'static {
    /// One attempt. Never retried inside: the outbox has the schedule.
    fn deliver(&self, notice: Notice) -> Pin<Box<dyn Future<Output = Delivery> + Send>>;

    /// The request as it would be sent, secrets masked; empty where none can be shown.
    fn preview(&self, _: &Notice) -> String {
        String::new()
    }

    /// The same, with what was sent and answered.
    fn attempt(&self, notice: Notice) -> Pin<Box<dyn Future<Output = Attempt> + Send>> {
        let delivery = self.deliver(notice);
        Box::pin(async move { delivery.await.into() })
    }
}
