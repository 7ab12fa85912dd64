//! What the task that runs now is about: one request. Lines that are written in its log meanwhile have the request's name.
//!
//! A value of the task and no `tracing` span: a span is made, filtered, entered at each poll and dropped for every request,
//! and nearly none of them writes a line.

use std::cell::OnceCell;

use super::request_ids::RequestId;

tokio::task_local! {
    static ABOUT: About;
}

struct About {
    id: RequestId,
    ak: OnceCell<String>,
}

/// Runs `work`, whose lines in the log have the request's name.
pub async fn about<F: Future>(id: RequestId, work: F) -> F::Output {
    ABOUT.scope(About { id, ak: OnceCell::new() }, work).await
}

/// The request under way was asked for with this access key: its lines say so from now on. The first one that is said
/// stays. Without a request under way it does nothing.
pub fn asked_by(ak: String) {
    let _ = ABOUT.try_with(|about| about.ak.set(ak));
}

/// Name and access key of the request that the running task is about, if it is about one.
pub(super) fn current() -> Option<(RequestId, Option<String>)> {
    ABOUT.try_with(|about| (about.id, about.ak.get().cloned())).ok()
}
