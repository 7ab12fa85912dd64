//! Work whose waiter is gone.

use std::time::Duration;

use super::rig::Rig;

#[tokio::test]
async fn what_is_waited_for_is_done_there_and_what_is_dropped_is_done_all_the_same() {
    let engine = Rig::new(1, 1 << 20).open().unwrap();
    assert!(!engine.survive(|abandoned| async move { abandoned.is_so() }).await, "somebody waits");
    let (go, gone) = tokio::sync::oneshot::channel::<()>();
    let (tell, told) = tokio::sync::oneshot::channel();
    let work = engine.survive(|abandoned| async move {
        let _ = gone.await;
        let _ = tell.send(abandoned.is_so());
    });
    assert!(tokio::time::timeout(Duration::from_millis(10), work).await.is_err(), "it waits for its sign");
    go.send(()).unwrap();
    assert!(told.await.unwrap(), "it knows that nobody waits any more");
}
