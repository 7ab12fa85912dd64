//! The thread that hashes uploads side by side.
//!
//! One MD5 leaves most of a core unused, so the strides of all uploads under way go to one thread,
//! which advances them in lanes, a quantum at a time; a stride that comes meanwhile takes the next
//! free lane. Small payloads do not come here: the committer hashes those of a group together.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::buffer::Buffer;
use super::error::StoreError;
use crate::md5::{Md5, Width, update_each};
use crate::world::Threads;

/// Bytes that each lane advances before newcomers are looked for.
const QUANTUM: usize = 64 << 10;

/// How long a lane that is free waits for an upload that is under way and has sent nothing yet: half-empty
/// lanes cost as much as full ones, and the stride that waits is not what its upload waits for.
const PATIENCE: Duration = Duration::from_micros(800);

/// After so many rounds those that were waited for in vain are hoped for again.
const HOPE_ROUNDS: u32 = 64;

/// The way to the thread. It ends when the last of these is dropped.
#[derive(Clone, Debug)]
pub struct Hasher {
    /// `None`: there is no thread.
    jobs: Option<Sender<Job>>,
    /// Uploads that have sent a stride and may send another.
    uploads: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Job {
    stream: Md5,
    data: Arc<Buffer>,
    left: Range<usize>,
    answer: oneshot::Sender<Md5>,
}

/// The MD5 of one upload, a stride at a time.
#[derive(Debug)]
pub struct Stream {
    hasher: Hasher,
    state: State,
    /// Whether it is among the hasher's uploads.
    counted: bool,
}

#[derive(Debug)]
enum State {
    /// Nothing is under way.
    Here(Md5),
    /// The last stride is being hashed.
    Away(oneshot::Receiver<Md5>),
}

// === impl Hasher ===

impl Hasher {
    /// Starts the thread; where there is to be none, whoever has a stride hashes it.
    pub fn start(threads: Threads) -> std::io::Result<Self> {
        if threads == Threads::Callers {
            return Ok(Self { jobs: None, uploads: Arc::default() });
        }
        let (jobs, queue) = channel();
        let uploads = Arc::new(AtomicUsize::new(0));
        let expected = Arc::clone(&uploads);
        std::thread::Builder::new().name("md5".to_owned()).spawn(move || work(&queue, &expected))?;
        Ok(Self { jobs: Some(jobs), uploads })
    }

    /// A new MD5.
    pub fn stream(&self) -> Stream {
        Stream { hasher: self.clone(), state: State::Here(Md5::new()), counted: false }
    }
}

fn work(queue: &Receiver<Job>, uploads: &AtomicUsize) {
    let lanes = Width::of_this_machine().lanes();
    let mut active: Vec<Job> = Vec::new();
    // How many can be hoped for: not those that were waited for in vain a moment ago.
    let (mut hoped, mut rounds) = (lanes, 0u32);
    loop {
        if active.is_empty() {
            match queue.recv() {
                Ok(job) => active.push(job),
                Err(_) => return,
            }
        }
        if rounds.is_multiple_of(HOPE_ROUNDS) {
            hoped = lanes;
        }
        rounds = rounds.wrapping_add(1);
        let expected = uploads.load(Ordering::Relaxed).min(hoped);
        let began = Instant::now();
        while active.len() < lanes {
            let left = if active.len() < expected { PATIENCE.saturating_sub(began.elapsed()) } else { Duration::ZERO };
            match queue.recv_timeout(left) {
                Ok(job) => active.push(job),
                Err(_) => break,
            }
        }
        if active.len() < expected {
            hoped = active.len();
        }
        hoped = hoped.max(active.len());
        advance(&mut active);
    }
}

/// Advances all jobs by a quantum, and answers those that have come to their end.
fn advance(active: &mut Vec<Job>) {
    let mut pieces: Vec<(&mut Md5, &[u8])> = Vec::with_capacity(active.len());
    for job in active.iter_mut() {
        let end = job.left.end.min(job.left.start + QUANTUM);
        pieces.push((&mut job.stream, &job.data.bytes()[job.left.start..end]));
        job.left.start = end;
    }
    update_each(&mut pieces);
    for job in active.extract_if(.., |job| job.left.is_empty()) {
        let Job { stream, data, answer, .. } = job;
        // Whoever gets the answer may count on having the buffer alone.
        drop(data);
        // An upload that was given up needs no answer.
        let _ = answer.send(stream);
    }
}

// === impl Stream ===

impl Stream {
    /// Takes `range` of `data` in, once what was given before is done with.
    pub async fn update(&mut self, data: Arc<Buffer>, range: Range<usize>) -> Result<(), StoreError> {
        let mut stream = self.settled().await?;
        let Some(jobs) = &self.hasher.jobs else {
            stream.update(&data.bytes()[range]);
            self.state = State::Here(stream);
            return Ok(());
        };
        if !std::mem::replace(&mut self.counted, true) {
            self.hasher.uploads.fetch_add(1, Ordering::Relaxed);
        }
        let (answer, answered) = oneshot::channel();
        let job = Job { stream, data, left: range, answer };
        jobs.send(job).map_err(|_| ended())?;
        self.state = State::Away(answered);
        Ok(())
    }

    /// The digest of all that was taken in.
    pub async fn finish(mut self) -> Result<[u8; 16], StoreError> {
        Ok(self.settled().await?.finish())
    }

    async fn settled(&mut self) -> Result<Md5, StoreError> {
        match &mut self.state {
            State::Here(stream) => Ok(stream.clone()),
            State::Away(answered) => answered.await.map_err(|_| ended()),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.counted {
            self.hasher.uploads.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn ended() -> StoreError {
    StoreError::Stopped("the hashing thread has ended".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::buffer::Pool;

    #[tokio::test]
    async fn uploads_of_all_lengths_are_hashed_side_by_side() {
        let hasher = Hasher::start(Threads::Own).unwrap();
        let pool = Arc::new(Pool::default());
        let uploads = (0..40usize).map(|number| {
            let (hasher, pool) = (hasher.clone(), Arc::clone(&pool));
            async move {
                let mut stream = hasher.stream();
                let mut all = Vec::new();
                for stride in 0..number % 5 {
                    let len = (number * 7919 + stride * 104_729) % 300_000;
                    let mut buffer = pool.take(len + 3);
                    let data: Vec<u8> = (0..len + 3).map(|at| u8::try_from((at * number) % 251).unwrap()).collect();
                    buffer.fill(&data);
                    all.extend_from_slice(&data[3..]);
                    stream.update(Arc::new(buffer), 3..len + 3).await.unwrap();
                }
                assert_eq!(stream.finish().await.unwrap(), crate::md5::digest(&all), "upload {number}");
            }
        });
        futures_util::future::join_all(uploads).await;
    }
}
