//! A platform that is deaf, refuses, or takes alerts; and what it was told.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kandian::domain::Alert;
use kandian::engine::{Courier, Delivery, Notice};

/// How a platform answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// There is nobody.
    #[default]
    Deaf,
    /// It says that it failed.
    Fails,
    /// It takes everything.
    Takes,
}

/// One letter that came.
#[derive(Clone, Debug)]
pub struct Letter {
    pub ak: String,
    pub sk: String,
    pub account: String,
    pub password: String,
    pub kind: &'static str,
    pub taken: bool,
}

#[derive(Debug, Default)]
pub struct State {
    pub manner: Manner,
    /// Since it was looked at last.
    pub letters: Vec<Letter>,
}

/// The platform's side.
#[derive(Clone, Debug, Default)]
pub struct Platform(Arc<Mutex<State>>);

impl Platform {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Courier for Platform {
    fn deliver(&self, notice: Notice) -> Pin<Box<dyn Future<Output = Delivery> + Send>> {
        let mut state = self.state();
        let kind = match notice.alert {
            Alert::Full => "full",
            Alert::NearlyFull => "nearly_full",
            Alert::Idle => "idle",
        };
        let manner = state.manner;
        state.letters.push(Letter {
            ak: notice.access_key.as_str().to_owned(),
            sk: notice.secret.expose().to_owned(),
            account: notice.account.as_str().to_owned(),
            password: notice.password.expose().to_owned(),
            kind,
            taken: manner == Manner::Takes,
        });
        let delivery = match manner {
            Manner::Deaf => Delivery::Failed("nobody is there".to_owned()),
            Manner::Fails => Delivery::Result(9),
            Manner::Takes => Delivery::Delivered,
        };
        Box::pin(async move { delivery })
    }
}
