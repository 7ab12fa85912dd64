//! The control plane: the nine operations of section 7, and the client of section 8.
//!
//! Parse → sign in → engine → words. Which protocol rule stands where: `front` has HTTP's, `wire::soap` the envelope's,
//! `calls` an operation a file, `result` the numbers. Absent: rules of the shop, and the listener's TLS; `dial` speaks it to platforms.

mod calls;
mod courier;
mod credentials;
mod dial;
mod front;
mod result;
mod wsdl;

use std::sync::Arc;

use axum::Router;

use crate::engine::Engine;
use crate::telemetry::{Answered, Words};
use crate::wire::soap::Request;

pub use courier::SoapCourier;

/// What is counted of this plane.
pub const WORDS: Words = Words { operations: calls::OPERATIONS, outcomes: calls::OUTCOMES };

/// What the plane needs of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoapSettings {
    /// `soap.public_url`: `soap:address` of the WSDL; follows the Host header where not set.
    pub public_url: Option<String>,
    /// `time.zone`, minutes east of UTC.
    pub zone_minutes: i32,
}

/// The plane as an HTTP service: `/services/VideoCloudStorage`, its WSDL, and that of `/services/AlertCallback`.
pub fn router(engine: Engine, config: Arc<SoapSettings>) -> Router {
    let dispatch = EngineDispatch { engine, zone_minutes: config.zone_minutes };
    front::router(dispatch, config)
}

/// Takes the calls to the engine.
#[derive(Clone)]
struct EngineDispatch {
    engine: Engine,
    zone_minutes: i32,
}

impl front::Dispatch for EngineDispatch {
    async fn take(&self, request: Request, origin: front::Origin) -> (front::Reply, Answered) {
        calls::take(&self.engine, self.zone_minutes, request, origin).await
    }
}
