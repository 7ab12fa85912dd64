//! What of a plane can be exchanged while connections are open.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;

use super::Limits;

/// The router of a plane, and how long its readers may stall. A reload puts others in; requests under way keep their
/// router. A stop may put one in that tells whoever comes to come back.
#[derive(Clone)]
pub struct LiveRouter(Arc<Inner>);

struct Inner {
    router: RwLock<Router>,
    /// Milliseconds; 0 where the limits say.
    stall_time: AtomicU64,
    /// Milliseconds and 1; 0 where the limits say.
    grace: AtomicU64,
    /// What answers from the stop on; taken at the stop.
    parting: Mutex<Option<Router>>,
}

impl LiveRouter {
    /// The router for the next request.
    pub fn get(&self) -> Router {
        self.0.router.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Another router for all requests that come from now on.
    pub fn replace(&self, router: Router) {
        *self.0.router.write().unwrap_or_else(PoisonError::into_inner) = router;
    }

    /// At a stop this one answers, and connections are taken, for some seconds while a request that came before is under
    /// way. Without it a stop takes no more connections at once.
    pub fn part_with(&self, router: Router) {
        *self.0.parting.lock().unwrap_or_else(PoisonError::into_inner) = Some(router);
    }

    /// The stop has come; whether there are words for whoever comes now.
    pub(super) fn part(&self) -> bool {
        let Some(router) = self.0.parting.lock().unwrap_or_else(PoisonError::into_inner).take() else { return false };
        self.replace(router);
        true
    }

    /// A stop lets requests under way finish for so long, whatever the limits say.
    pub fn set_grace(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.0.grace.store(millis.saturating_add(1), Ordering::Relaxed);
    }

    /// See [`LiveRouter::set_grace`]; what the limits say where it never was.
    pub(super) fn grace(&self, limits: &Limits) -> Duration {
        let set = self.0.grace.load(Ordering::Relaxed).checked_sub(1);
        set.map_or(limits.grace, Duration::from_millis)
    }

    /// From now on an answer of which the client takes no byte for so long is cut, whatever the limits say.
    pub fn set_stall_time(&self, time: Duration) {
        self.0.stall_time.store(u64::try_from(time.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// See [`LiveRouter::set_stall_time`]; what the limits say where it never was.
    pub(super) fn stall_time(&self, limits: &Limits) -> Duration {
        let set = Some(self.0.stall_time.load(Ordering::Relaxed)).filter(|time| *time > 0);
        set.map_or(limits.write_time, Duration::from_millis)
    }
}

impl From<Router> for LiveRouter {
    fn from(router: Router) -> Self {
        Self(Arc::new(Inner {
            router: RwLock::new(router),
            stall_time: AtomicU64::new(0),
            grace: AtomicU64::new(0),
            parting: Mutex::new(None),
        }))
    }
}
