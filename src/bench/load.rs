//! The load: so many connections, each sending its next request when the last was answered.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::process::Usage;
use super::{BenchOptions, Operation};
use crate::sim::client::s3::Outcome;
use crate::sim::client::{ClientError, Content, Pattern, S3, Tally};

const PAGE: u32 = 1000;
/// Connections that get no answer do not spin.
const AFTER_AN_ERROR: Duration = Duration::from_millis(100);

/// What is put on a server, and the connections that do it.
pub(super) struct Load {
    plan: Arc<Plan>,
    clients: Vec<S3>,
}

/// What the connections share.
struct Plan {
    operation: Operation,
    pattern: Pattern,
    size: u64,
    bucket: String,
    prefix: String,
    /// Objects that are there before it begins.
    objects: u64,
    /// How many requests there are, where that is what ends it.
    count: Option<u64>,
    duration: Duration,
    next: AtomicU64,
}

/// What came of it.
pub(super) struct Measured {
    pub(super) tally: Tally,
    pub(super) seconds: f64,
    /// What the server used for it.
    pub(super) usage: Option<Usage>,
}

// === impl Load ===

impl Load {
    pub(super) fn new(options: &BenchOptions, clients: Vec<S3>, bucket: String, prefix: String) -> Self {
        let objects = match options.op {
            Operation::Put | Operation::Mixed => 0,
            Operation::Get | Operation::List => options.objects.max(1),
            // There is one removal an object.
            Operation::Delete => options.count.unwrap_or(options.objects).max(1),
        };
        let plan = Plan {
            operation: options.op,
            pattern: Pattern::new(options.seed),
            size: options.size,
            bucket,
            prefix,
            objects,
            count: if options.op == Operation::Delete { Some(objects) } else { options.count },
            duration: options.duration,
            next: AtomicU64::new(0),
        };
        Self { plan: Arc::new(plan), clients }
    }

    /// Prepares, measures, and asks before and after what the server has used.
    pub(super) async fn run(mut self, usage: impl Fn() -> io::Result<Option<Usage>>) -> io::Result<Measured> {
        self.prepare().await?;
        let before = usage()?;
        let started = Instant::now();
        let plan = self.plan.clone();
        let tally = self.each(move |client| plan.clone().measure(client, started)).await?;
        let seconds = started.elapsed().as_secs_f64();
        let usage = match (before, usage()?) {
            (Some(before), Some(after)) => {
                Some(Usage { cpu_seconds: after.cpu_seconds - before.cpu_seconds, peak_bytes: after.peak_bytes })
            }
            _ => None,
        };
        Ok(Measured { tally, seconds, usage })
    }

    /// Uploads what the measured requests want to find.
    async fn prepare(&mut self) -> io::Result<()> {
        let (plan, number) = (self.plan.clone(), Arc::new(AtomicU64::new(0)));
        let uploaded = self.each(move |client| plan.clone().prepare(client, number.clone())).await?;
        if uploaded.done == self.plan.objects {
            return Ok(());
        }
        Err(io::Error::other(format!("the objects to begin with cannot be uploaded: {}", uploaded.line())))
    }

    /// Runs the same on all connections at once and adds up what they counted.
    async fn each<F>(&mut self, act: impl Fn(S3) -> F) -> io::Result<Tally>
    where
        F: Future<Output = (S3, Tally)> + Send + 'static,
    {
        let mut running: JoinSet<(S3, Tally)> = self.clients.drain(..).map(act).collect();
        let mut all = Tally::default();
        while let Some(done) = running.join_next().await {
            let (client, tally) = done.map_err(io::Error::other)?;
            all.add(&tally);
            self.clients.push(client);
        }
        Ok(all)
    }
}

// === impl Plan ===

impl Plan {
    async fn prepare(self: Arc<Self>, mut client: S3, next: Arc<AtomicU64>) -> (S3, Tally) {
        let mut tally = Tally::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= self.objects {
                return (client, tally);
            }
            tally.count(&self.put(&mut client, number).await, self.size, Duration::ZERO);
        }
    }

    async fn measure(self: Arc<Self>, mut client: S3, started: Instant) -> (S3, Tally) {
        let mut tally = Tally::default();
        let mut mine = Vec::new();
        loop {
            let turn = self.next.fetch_add(1, Ordering::Relaxed);
            let over = match self.count {
                Some(count) => turn >= count,
                None => started.elapsed() >= self.duration,
            };
            if over {
                return (client, tally);
            }
            let begun = Instant::now();
            let (outcome, bytes) = self.request(&mut client, turn, &mut mine).await;
            tally.count(&outcome, bytes, begun.elapsed());
            if outcome.is_err() {
                tokio::time::sleep(AFTER_AN_ERROR).await;
            }
        }
    }

    /// One request, and how many bytes of content it moves.
    async fn request(&self, client: &mut S3, turn: u64, mine: &mut Vec<u64>) -> (Result<Outcome, ClientError>, u64) {
        match self.operation {
            Operation::Put => (self.put(client, turn).await, self.size),
            Operation::Get => (self.get(client, scattered(turn) % self.objects).await, self.size),
            Operation::Mixed => {
                let known = usize::try_from(scattered(turn)).unwrap_or(0).checked_rem(mine.len());
                match known.and_then(|at| mine.get(at)).filter(|_| scattered(turn ^ u64::MAX).is_multiple_of(2)) {
                    Some(number) => (self.get(client, *number).await, self.size),
                    None => {
                        let outcome = self.put(client, turn).await;
                        if matches!(outcome, Ok(Outcome::Done)) {
                            mine.push(turn);
                        }
                        (outcome, self.size)
                    }
                }
            }
            Operation::List => (self.list(client).await, 0),
            Operation::Delete => (client.delete(&self.bucket, &self.key(turn)).await, 0),
        }
    }

    async fn put(&self, client: &mut S3, number: u64) -> Result<Outcome, ClientError> {
        let headers = [("content-type", "application/octet-stream")];
        client.put(&self.bucket, &self.key(number), &headers, self.content(number)).await
    }

    async fn get(&self, client: &mut S3, number: u64) -> Result<Outcome, ClientError> {
        client.get(&self.bucket, &self.key(number), self.content(number)).await
    }

    /// A page; one with fewer keys than there are is as bad as a wrong content.
    async fn list(&self, client: &mut S3) -> Result<Outcome, ClientError> {
        let (outcome, keys) = client.list(&self.bucket, &self.prefix, PAGE).await?;
        let whole = keys as u64 == self.objects.min(u64::from(PAGE));
        Ok(if outcome == Outcome::Done && !whole { Outcome::Damaged } else { outcome })
    }

    fn key(&self, number: u64) -> String {
        format!("{}{number:08}", self.prefix)
    }

    fn content(&self, number: u64) -> Content {
        self.pattern.content(number, self.size)
    }
}

/// Numbers in an order that no read-ahead foresees.
fn scattered(turn: u64) -> u64 {
    let mixed = (turn ^ (turn >> 33)).wrapping_add(1).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 29)
}
