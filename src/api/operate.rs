//! What operators ask of a running server, at the control socket alone.

use axum::body::Body;
use axum::extract::{Path, State};
use http::{Method, Response};

use super::door::By;
use super::refusal::No;
use super::routes::{Answered, Control, ok};
use super::table::{Gives, Needs, On, Route};
use crate::domain::Action;

pub(super) fn routes() -> Vec<Route> {
    let role = Needs::Everywhere(Action::Operate);
    vec![
        Route::new(Method::GET, "/api/v1/config/pending", role, "what a reload would do", pending)
            .gives(Gives::One(&[
                ("would_apply", "array", "keys that would have their new values: key, running, written"),
                ("needs_restart", "array", "keys that would wait for a restart"),
            ]))
            .only(On::Socket),
        Route::new(Method::GET, "/api/v1/names", role, "every name, for a report that shall have none", names)
            .gives(Gives::Many(&[]))
            .only(On::Socket),
        Route::new(Method::GET, "/api/v1/metrics", role, "what /metrics says", metrics)
            .gives(Gives::Bytes("text/plain"))
            .only(On::Socket),
        Route::new(Method::GET, "/api/v1/signatures/{ak}", role, "why requests of a key were not believed", signatures)
            .gives(Gives::One(&[
                ("ak", "string", "the key"),
                ("known", "boolean", "whether there is such a key"),
                ("suspended", "boolean", "whether its account is suspended"),
                ("failures", "array", "the last few, the newest first: what came, what is wrong, what is signed of it"),
            ]))
            .only(On::Socket),
    ]
}

async fn names(State(control): State<Control>, By(caller): By) -> Answered {
    ok(&control.engine.names(&caller).await?)
}

async fn metrics(State(control): State<Control>) -> Answered {
    let Some(metrics) = &control.metrics else {
        return Err(No::conflict("not_running", "the server is not running"));
    };
    Ok(Response::new(Body::from(metrics().await)))
}

async fn signatures(State(control): State<Control>, By(caller): By, Path(ak): Path<String>) -> Answered {
    ok(&control.engine.signature_failures(&caller, &ak)?)
}

async fn pending(State(control): State<Control>) -> Answered {
    let Some(pending) = &control.pending else {
        return Err(No::conflict("not_running", "the server is not running"));
    };
    ok(&pending().map_err(|problems| No::conflict("bad_configuration", problems))?)
}
