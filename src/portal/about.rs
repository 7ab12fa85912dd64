//! `/about`: what this is, and where its planes are.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use http::{Response, StatusCode};

use super::guard::Visitor;
use super::shell::{Shell, home, page};
use super::{Addresses, Needs, Portal, Route};

#[derive(Template)]
#[template(path = "about.html")]
struct About {
    shell: Shell,
    at: Addresses,
}

pub(super) fn routes() -> Vec<Route> {
    let route = |path, pages| Route { path, needs: Needs::Nothing, pages };
    vec![route("/", get(first)), route("/about", get(about))]
}

/// To the first page of whoever is signed in, else to the sign-in.
async fn first(State(portal): State<Arc<Portal>>, visitor: Visitor) -> Response<Body> {
    let to = match &visitor.signed {
        Some(signed) => home(&portal, signed.role),
        None if portal.paths.contains(&"/sign-in") => "/sign-in",
        None => "/about",
    };
    Redirect::to(to).into_response()
}

async fn about(State(portal): State<Arc<Portal>>, visitor: Visitor) -> Response<Body> {
    page(StatusCode::OK, &About { shell: visitor.shell(&portal), at: (portal.settings.addresses)() })
}
