//! The portals: pages for operations staff and for a province's administrators (section 3), rendered here, working
//! without a script. A thin face of the engine: a page asks use cases and writes down what they say. Absent: rules,
//! and who may do what (`domain::roles`).
//!
//! A request goes through it in this order: headers that every answer has, where a form came from (`guard`), who has
//! the session (`guard`), whether the role may (the table in `routes`), the page.

#[macro_use]
mod text;

mod about;
mod account;
mod accounts;
mod alerts;
mod assets;
mod audit;
mod billing;
mod camera;
mod cameras;
mod chart;
mod files;
mod form;
mod guard;
mod me;
mod media;
mod outcome;
mod overview;
mod page_words;
mod player;
mod preferences;
mod refusals;
mod shell;
mod show;
mod sign_in;
mod space;
mod statistics;
mod users;
mod zip;

use std::sync::Arc;

use axum::Router;
use axum::routing::MethodRouter;

use crate::domain::{Action, GigabyteSize};
use crate::engine::Engine;

/// What clients are told of where they connect, for a credential slip.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// S3URL.
    pub s3: String,
    /// Where section 7 is called.
    pub soap: String,
}

/// What the pages need.
#[derive(Clone)]
pub struct Settings {
    /// What clients are told now.
    pub addresses: Arc<dyn Fn() -> Addresses + Send + Sync>,
    /// `time.zone`, minutes east of UTC.
    pub zone_minutes: i32,
    /// `space.bytes_per_gb`
    pub gigabyte: GigabyteSize,
}

/// What every page has.
struct Portal {
    engine: Engine,
    settings: Settings,
    /// The paths of all pages: the navigation leads nowhere else.
    paths: Vec<&'static str>,
}

type Pages = MethodRouter<Arc<Portal>>;

/// A page: where it is, what one must be allowed to do to see it, what it does.
struct Route {
    path: &'static str,
    needs: Needs,
    pages: Pages,
}

/// What one must be to see a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    /// Nobody has to be signed in.
    Nothing,
    /// Anybody who is signed in.
    SignIn,
    /// A role that may do this.
    Role(Action),
    /// A role that may do this everywhere, not in one account only.
    Everywhere(Action),
}

/// All pages: the table of who sees what. A set of pages adds its own here by one line.
fn routes() -> Vec<Route> {
    let mut all = preferences::routes();
    all.extend(about::routes());
    all.extend(sign_in::routes());
    all.extend(overview::routes());
    all.extend(statistics::routes());
    all.extend(accounts::routes());
    all.extend(account::routes());
    all.extend(alerts::routes());
    all.extend(cameras::routes());
    all.extend(space::routes());
    all.extend(camera::routes());
    all.extend(users::routes());
    all.extend(audit::routes());
    all.extend(me::routes());
    all.extend(media::routes());
    all.extend(player::routes());
    all.extend(zip::routes());
    all.extend(files::routes());
    all.extend(billing::routes());
    all
}

/// The portals.
pub fn router(engine: Engine, settings: Settings) -> Router {
    let routes = routes();
    let paths = routes.iter().map(|route| route.path).collect();
    let portal = Arc::new(Portal { engine, settings, paths });
    let guarded = |needs| axum::middleware::from_fn_with_state((Arc::clone(&portal), needs), guard::admit);
    let mut router = Router::new();
    for Route { path, needs, pages } in routes {
        router = router.route(path, pages.layer(guarded(needs)));
    }
    let nowhere = axum::routing::any(guard::not_found).layer(guarded(Needs::Nothing));
    router
        .route("/assets/{name}", axum::routing::get(assets::serve))
        .fallback_service(nowhere.with_state(Arc::clone(&portal)))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&portal), guard::protect))
        .with_state(portal)
}

#[cfg(test)]
mod tests;
