//! Language and theme: a form each, that comes back to the page it was on.

use axum::body::Body;
use axum::response::{IntoResponse, Redirect};
use axum::routing::post;
use http::header::SET_COOKIE;
use http::{HeaderValue, Request, Response};

use super::form::Form;
use super::shell::{LANG, THEME};
use super::{Needs, Route};

pub(super) fn routes() -> Vec<Route> {
    let route = |path, pages| Route { path, needs: Needs::Nothing, pages };
    vec![
        route("/language", post(async |request: Request<Body>| choose(request, LANG, &["zh", "en"]).await)),
        route("/theme", post(async |request: Request<Body>| choose(request, THEME, &["auto", "light", "dark"]).await)),
    ]
}

async fn choose(request: Request<Body>, cookie: &'static str, known: &[&str]) -> Response<Body> {
    let form = Form::of_body(request).await;
    let mut response = Redirect::to(back(form.get("back"))).into_response();
    if let Some(chosen) = known.iter().find(|known| **known == form.get("to"))
        && let Ok(value) =
            HeaderValue::from_str(&format!("{cookie}={chosen}; Path=/; Max-Age=31536000; SameSite=Strict; HttpOnly"))
    {
        response.headers_mut().insert(SET_COOKIE, value);
    }
    response
}

/// A path of ours, or the first page: never another host's.
pub(super) fn back(path: &str) -> &str {
    let ours = path.starts_with('/') && !path.starts_with("//") && !path.contains(['\\', '\r', '\n', '\t']);
    if ours { path } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_back_never_leads_to_another_host() {
        assert_eq!(back("/accounts?page=2"), "/accounts?page=2");
        for elsewhere in ["", "//evil", "https://evil", "/\\evil", "/a\r\nx: y", "evil"] {
            assert_eq!(back(elsewhere), "/", "{elsewhere:?}");
        }
    }
}
