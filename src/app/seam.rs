//! How the engine and the planes are put together; where the store's words meet the app's.

use std::path::Path;
use std::sync::Arc;

use axum::Router;

use crate::api::Urls;
use crate::config::{self, Config};
use crate::engine::{self, Courier, Engine, Error, PublicUrls};
use crate::soap::{SoapCourier, SoapSettings};
use crate::tls::Trust;
use crate::world::World;

fn public(urls: Urls) -> PublicUrls {
    PublicUrls { s3: urls.s3, soap: urls.soap }
}

/// What sends the alerts of section 8.
pub(super) fn courier(trust: Trust) -> SoapCourier {
    SoapCourier::new(trust)
}

/// Opens the engine. Blocks.
pub(super) fn open(
    world: World,
    config: &Config,
    urls: Urls,
    courier: Arc<dyn Courier>,
    acknowledged: Option<u64>,
) -> Result<Engine, Error> {
    Engine::open_after(world, config, public(urls), courier, acknowledged)
}

/// Tells callers other addresses from now on.
pub(super) fn set_public_urls(engine: &Engine, urls: Urls) {
    engine.set_public_urls(public(urls));
}

/// Ends the engine; what could not be made durable is logged.
pub(super) async fn close(engine: &Engine) {
    if let Err(error) = engine.close().await {
        tracing::error!(%error, "the store was not closed in good order; the next start recovers");
    }
}

/// Makes the index of a closed store anew from its volumes.
pub fn rebuild(world: World, config: &Config) -> Result<engine::RebuildReport, Error> {
    Engine::rebuild(world, config)
}

/// Puts a backup back where no store is open. Blocks.
pub fn restore(world: &World, config: &Config, dir: &Path, force: bool) -> Result<engine::RestoreReport, Error> {
    Engine::restore(world, config, dir, force)
}

/// What a start on a closed store would find and do. Blocks.
pub fn preflight(world: &World, config: &Config) -> Result<engine::Preflight, Error> {
    Engine::preflight(world, config)
}

/// Puts back what a change of format has kept. Blocks.
pub fn go_back(world: &World, config: &Config, force: bool) -> Result<engine::WentBack, Error> {
    Engine::go_back(world, config, force)
}

/// The data plane.
pub(super) fn s3_router(engine: Engine, s3: Arc<config::S3>) -> Router {
    crate::s3::router(engine, s3)
}

/// What the data plane says while the last uploads end before a stop.
pub(super) fn s3_parting_router(engine: Engine) -> Router {
    crate::s3::parting_router(engine)
}

/// The control plane.
pub(super) fn soap_router(engine: Engine, public_url: Option<String>, zone_minutes: i32) -> Router {
    crate::soap::router(engine, Arc::new(SoapSettings { public_url, zone_minutes }))
}
