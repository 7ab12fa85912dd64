//! Work that outlives who waits for it.
//!
//! hyper drops a handler when its client closes, and cheap firmware closes right behind its last byte.
//! What is whole shall be stored all the same. A task for each upload would do; but then its bytes
//! would go from task to task and from core to core. So the work is done where it is waited for, and
//! becomes a task only where it is dropped.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::Engine;

/// Says whether anybody waits for the work still.
#[derive(Clone, Debug, Default)]
pub struct Abandoned(Arc<AtomicBool>);

/// See the module.
struct Surviving<T: Send + 'static> {
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    abandoned: Abandoned,
    tasks: TaskTracker,
}

impl Engine {
    /// Does `work`; to its end even where the returned future is dropped, and before the engine stops.
    pub async fn survive<T, F>(&self, work: impl FnOnce(Abandoned) -> F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let abandoned = Abandoned::default();
        let work: Pin<Box<dyn Future<Output = T> + Send>> = Box::pin(work(abandoned.clone()));
        Surviving { work: Some(work), abandoned, tasks: self.inner.tasks.clone() }.await
    }
}

impl Abandoned {
    /// Whether nobody waits any more.
    pub fn is_so(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl<T: Send + 'static> Future for Surviving<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let Some(work) = self.work.as_mut() else { return Poll::Pending };
        let polled = work.as_mut().poll(cx);
        if polled.is_ready() {
            self.work = None;
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Surviving<T> {
    fn drop(&mut self) {
        // A panic in the work ends it.
        let Some(work) = self.work.take().filter(|_| !std::thread::panicking()) else { return };
        // First said, then gone on with: the work may ask at once.
        self.abandoned.0.store(true, Ordering::Release);
        if let Ok(runtime) = Handle::try_current() {
            // What it writes into the log is about the same request still.
            let work = async move {
                work.await;
            };
            runtime.spawn(self.tasks.track_future(work.in_current_span()));
        }
    }
}
