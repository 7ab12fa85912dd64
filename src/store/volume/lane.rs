//! A lane: the threads that may wait for one disk, so that nobody else has to. Where there are to be none, whoever asks
//! waits himself.

use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, oneshot};

use crate::store::error::StoreError;
use crate::world::Threads;

type Job = Box<dyn FnOnce() + Send>;

/// Jobs that wait in a lane; past it their senders wait.
const QUEUE_MAX: usize = 256;
/// Two, so that a read does not stand behind one slow write.
const THREADS: usize = 2;

/// The way onto one disk's threads. They end when the last lane handle is dropped.
#[derive(Clone, Debug)]
pub struct Lane {
    /// `None`: there are no threads.
    jobs: Option<mpsc::Sender<Job>>,
}

/// Work that a thread of a lane does.
#[derive(Debug)]
pub struct UnderWay<T>(oneshot::Receiver<T>);

impl Lane {
    /// Starts the threads.
    pub fn start(name: &str, threads: Threads) -> std::io::Result<Self> {
        if threads == Threads::Callers {
            return Ok(Self { jobs: None });
        }
        let (jobs, queue) = mpsc::channel::<Job>(QUEUE_MAX);
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..THREADS {
            let queue = Arc::clone(&queue);
            std::thread::Builder::new().name(format!("lane-{name}-{number}")).spawn(move || {
                loop {
                    let job = match queue.lock() {
                        Ok(mut queue) => queue.blocking_recv(),
                        Err(_) => None,
                    };
                    match job {
                        Some(job) => job(),
                        None => return,
                    }
                }
            })?;
        }
        Ok(Self { jobs: Some(jobs) })
    }

    /// Has `work` done on a thread of the lane; what it gives is to be waited for.
    pub async fn begin<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<UnderWay<T>, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move || {
            // Whoever asked may be gone; then nobody needs the answer.
            let _ = answer.send(work());
        });
        match &self.jobs {
            Some(jobs) => jobs.send(job).await.map_err(|_| ended())?,
            None => job(),
        }
        Ok(UnderWay(answered))
    }

    /// Runs `work` on a thread of the lane and gives back what it gives.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
        self.begin(work).await?.done().await
    }
}

impl<T> UnderWay<T> {
    /// What came of it.
    pub async fn done(self) -> Result<T, StoreError> {
        self.0.await.map_err(|_| ended())
    }
}

fn ended() -> StoreError {
    StoreError::Stopped("the disk's threads have ended".to_owned())
}
