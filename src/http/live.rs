//! A router that can be exchanged while connections are open.

use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;

/// The router of a plane. A reload puts another in; requests under way keep theirs.
#[derive(Clone)]
pub struct LiveRouter(Arc<RwLock<Router>>);

impl LiveRouter {
    /// The router for the next request.
    pub fn get(&self) -> Router {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Another router for all requests that come from now on.
    pub fn replace(&self, router: Router) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = router;
    }
}

impl From<Router> for LiveRouter {
    fn from(router: Router) -> Self {
        Self(Arc::new(RwLock::new(router)))
    }
}
