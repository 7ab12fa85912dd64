//! The calls to rooms that are built beside this one. SCAFFOLD: the lead replaces the bodies.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use http::StatusCode;
use serde::Serialize;

use crate::api::Urls;
use crate::config::{self, Config};
use crate::engine::{Courier, Delivery, Engine, Error, Notice};
use crate::world::World;

/// What `index rebuild` brought back.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RebuildReport {
    /// Objects.
    pub objects: u64,
    /// Payload bytes.
    pub bytes: u64,
    /// Accounts.
    pub accounts: u64,
    /// Sub-accounts.
    pub sub_accounts: u64,
    /// Records that could not be used.
    pub skipped: u64,
}

struct NoCourier;

impl Courier for NoCourier {
    fn deliver(&self, _notice: Notice) -> Pin<Box<dyn Future<Output = Delivery> + Send>> {
        Box::pin(async { Delivery::Failed("no courier".to_owned()) })
    }
}

// MERGE: Arc::new(crate::soap::courier::…)
pub(super) fn courier() -> Arc<dyn Courier> {
    Arc::new(NoCourier)
}

// MERGE: Engine::open(world, config, engine::PublicUrls { s3: urls.s3, soap: urls.soap }, courier)
#[expect(clippy::unnecessary_wraps, reason = "scaffold")]
pub(super) fn open(_world: World, _config: &Config, _urls: Urls, _courier: Arc<dyn Courier>) -> Result<Engine, Error> {
    Ok(Engine)
}

// MERGE: engine.start()
pub(super) fn start(_engine: &Engine) {}

// MERGE: engine.set_public_urls(…)
pub(super) fn set_public_urls(_engine: &Engine, _urls: Urls) {}

// MERGE: engine.reload(config)
pub(super) fn reload(_engine: &Engine, _config: &Config) {}

// MERGE: engine.close().await
pub(super) async fn close(_engine: &Engine) {}

// MERGE: engine.failed().await
pub(super) async fn failed(_engine: &Engine) {
    std::future::pending::<()>().await;
}

// MERGE: Engine::rebuild(world, config)
/// Makes the index of a closed store anew from its volumes.
pub fn rebuild(_world: World, _config: &Config) -> Result<RebuildReport, Error> {
    Err(Error::Busy("index rebuild is not wired yet"))
}

// MERGE: crate::s3::router(engine, s3)
pub(super) fn s3_router(_engine: Engine, _s3: Arc<config::S3>) -> Router {
    Router::new().fallback(async || StatusCode::SERVICE_UNAVAILABLE)
}

// MERGE: crate::soap::router(engine, Arc::new(SoapSettings { public_url, zone_minutes }))
pub(super) fn soap_router(_engine: Engine, _public_url: Option<String>, _zone_minutes: i32) -> Router {
    Router::new().fallback(async || StatusCode::SERVICE_UNAVAILABLE)
}
