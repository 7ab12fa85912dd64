//! The load: so many connections, a thread each, each sending its next request when the last was answered.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::payload::{Payload, pattern};
use super::process::{self, Used};
use super::request::Heads;
use super::target::Target;
use super::{BenchOptions, Operation};
use crate::sim::client::s3::Outcome;
use crate::sim::client::{Answer, ClientError, Tally};
use crate::world::{Clock, os};

const PAGE: u64 = 1000;
/// Connections that get no answer do not spin.
const AFTER_AN_ERROR: Duration = Duration::from_millis(100);

/// What is put on a server.
pub(super) struct Load {
    pub(super) target: Target,
    pub(super) operation: Operation,
    /// Length of every object, in bytes.
    pub(super) size: u64,
    pub(super) connections: usize,
    /// Objects that are there before it begins.
    pub(super) objects: u64,
    /// How many requests there are in a round, where that is what ends it.
    pub(super) count: Option<u64>,
    pub(super) duration: Duration,
    pub(super) put_percent: u64,
    /// Path of every object, up to its number.
    stem: String,
    /// The same as a parameter of a query.
    prefix: String,
    pattern: Vec<u8>,
    run: u64,
    /// Numbers below were used by the rounds before.
    first: AtomicU64,
    next: AtomicU64,
}

/// What came of a round.
pub(super) struct Measured {
    pub(super) tally: Tally,
    pub(super) seconds: f64,
    /// What the server used for it.
    pub(super) server: Option<Used>,
    /// What this process used for it, in seconds of CPU.
    pub(super) client_cpu: f64,
}

/// One connection of a load.
struct Worker<'a> {
    load: &'a Load,
    connection: Connection,
    heads: Heads,
    payload: Payload,
    head: Vec<u8>,
    path: String,
    answer: Vec<u8>,
    /// Numbers that this connection has put.
    mine: Vec<u64>,
}

// === impl Load ===

impl Load {
    /// A load of objects that nobody has put yet.
    pub(super) fn new(options: &BenchOptions, target: Target) -> Self {
        let run = u64::try_from(os::SystemClock.now().millis()).unwrap_or(0);
        // Nothing in it is written otherwise in a URL.
        let folder = format!("bench/{run:x}/");
        Self {
            operation: options.op,
            size: options.size,
            connections: options.connections.max(1),
            objects: options.count.filter(|_| options.op == Operation::Delete).unwrap_or(options.objects).max(1),
            count: options.count,
            duration: options.duration,
            put_percent: options.put_percent,
            stem: format!("/{}/{folder}", target.bucket),
            prefix: folder.replace('/', "%2F"),
            pattern: pattern(options.seed, options.size),
            run,
            first: AtomicU64::new(0),
            next: AtomicU64::new(0),
            target,
        }
    }

    /// Uploads what the requests of the next round want to find.
    pub(super) fn prepare(&self) -> io::Result<()> {
        let there = self.first.load(Ordering::Relaxed) > 0;
        if matches!(self.operation, Operation::Put | Operation::Mixed) || there && self.operation != Operation::Delete {
            return Ok(());
        }
        let (objects, first) = (self.objects, self.first.load(Ordering::Relaxed));
        let uploaded = self.each(|worker, turn| (worker.put(first + turn), 0), |turn| turn >= objects)?;
        if uploaded.done < objects {
            let why = uploaded.line();
            return Err(io::Error::other(format!("the objects to begin with cannot be uploaded: {why}")));
        }
        if self.operation == Operation::Get {
            // What is measured is the way out of memory. What is wrong with them shows when it is measured.
            self.each(|worker, turn| (worker.get(turn), 0), |turn| turn >= objects)?;
        }
        if self.operation != Operation::Delete {
            self.first.store(objects, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Measures one round.
    pub(super) fn round(&self) -> io::Result<Measured> {
        let pids = &self.target.pids;
        let before = process::used(pids, self.target.dir.as_deref())?;
        let own = process::usage(std::process::id())?;
        let started = Instant::now();
        let count = if self.operation == Operation::Delete { Some(self.objects) } else { self.count };
        let first = self.first.load(Ordering::Relaxed);
        let tally = self.each(
            |worker, turn| worker.request(first, turn),
            |turn| count.map_or_else(|| started.elapsed() >= self.duration, |count| turn >= count),
        )?;
        let seconds = started.elapsed().as_secs_f64();
        let client_cpu = process::usage(std::process::id())?.cpu_seconds - own.cpu_seconds;
        let server = match (before, process::used(pids, self.target.dir.as_deref())?) {
            (Some(before), Some(after)) => Some(after.since(&before)),
            _ => None,
        };
        if matches!(self.operation, Operation::Put | Operation::Mixed | Operation::Delete) {
            self.first.fetch_add(self.next.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        Ok(Measured { tally, seconds, server, client_cpu })
    }

    /// Runs the same on all connections at once and adds up what they counted.
    fn each(
        &self,
        request: impl Fn(&mut Worker<'_>, u64) -> (io::Result<Outcome>, u64) + Sync,
        over: impl Fn(u64) -> bool + Sync,
    ) -> io::Result<Tally> {
        self.next.store(0, Ordering::Relaxed);
        let (request, over) = (&request, &over);
        std::thread::scope(|scope| {
            let running: Vec<_> = (0..self.connections)
                .map(|_| {
                    scope.spawn(move || {
                        let (mut worker, mut tally) = (Worker::new(self), Tally::default());
                        loop {
                            let turn = self.next.fetch_add(1, Ordering::Relaxed);
                            if over(turn) {
                                return tally;
                            }
                            let begun = Instant::now();
                            let (outcome, bytes) = request(&mut worker, turn);
                            let outcome = outcome.map_err(ClientError::Io);
                            tally.count(&outcome, bytes, begun.elapsed());
                            if outcome.is_err() {
                                worker.connection.close();
                                std::thread::sleep(AFTER_AN_ERROR);
                            }
                        }
                    })
                })
                .collect();
            let mut all = Tally::default();
            for thread in running {
                all.add(&thread.join().map_err(|_| io::Error::other("a connection's thread panicked"))?);
            }
            Ok(all)
        })
    }
}

// === impl Worker ===

impl<'a> Worker<'a> {
    fn new(load: &'a Load) -> Self {
        Self {
            load,
            connection: Connection::new(&load.target.address, load.target.tls.clone()),
            heads: Heads::new(load.target.identity.clone(), Arc::new(os::SystemClock)),
            payload: Payload::new(&load.pattern, load.run, load.size),
            head: Vec::new(),
            path: String::new(),
            answer: Vec::new(),
            mine: Vec::new(),
        }
    }

    /// The request of this turn, and how many bytes of content it moves.
    fn request(&mut self, first: u64, turn: u64) -> (io::Result<Outcome>, u64) {
        let size = self.load.size;
        match self.load.operation {
            Operation::Put => (self.put(first + turn), size),
            Operation::Get => (self.get(scattered(turn) % self.load.objects), size),
            Operation::Mixed => {
                let known = usize::try_from(scattered(turn)).unwrap_or(0).checked_rem(self.mine.len());
                let known = known.and_then(|at| self.mine.get(at)).copied();
                match known.filter(|_| scattered(!turn) % 100 >= self.load.put_percent) {
                    Some(number) => (self.get(number), size),
                    None => {
                        let outcome = self.put(first + turn);
                        if matches!(outcome, Ok(Outcome::Done)) {
                            self.mine.push(first + turn);
                        }
                        (outcome, size)
                    }
                }
            }
            Operation::List => (self.list(turn), 0),
            Operation::Delete => (self.delete(first + turn), 0),
        }
    }

    fn put(&mut self, number: u64) -> io::Result<Outcome> {
        self.name(number);
        self.heads.write("PUT", &self.path, "", Some(self.load.size), &mut self.head);
        let sent = self.upload(number);
        if sent.is_err() {
            // A server that refuses may say so and close before it has read everything.
            let refused = self.connection.status().and_then(|status| self.outcome(status));
            self.connection.close();
            return refused.or(sent.map(|()| Outcome::Damaged));
        }
        let status = self.connection.status()?;
        self.outcome(status)
    }

    fn upload(&mut self, number: u64) -> io::Result<()> {
        let piece = self.payload.from(number, 0);
        let mut at = piece.len() as u64;
        self.connection.send(&self.head, piece)?;
        while at < self.load.size {
            let piece = self.payload.from(number, at);
            at += piece.len() as u64;
            self.connection.send(&[], piece)?;
        }
        Ok(())
    }

    fn get(&mut self, number: u64) -> io::Result<Outcome> {
        self.name(number);
        self.ask("GET", "")?;
        let status = self.connection.status()?;
        if status != 200 {
            return self
                .outcome(status)
                .map(|outcome| if outcome == Outcome::Done { Outcome::Damaged } else { outcome });
        }
        let (mut at, mut same) = (0, true);
        let payload = &mut self.payload;
        self.connection.body(|piece| {
            same = same && payload.is(number, at, piece);
            at += piece.len() as u64;
        })?;
        Ok(if same && at == self.load.size { Outcome::Done } else { Outcome::Damaged })
    }

    fn delete(&mut self, number: u64) -> io::Result<Outcome> {
        self.name(number);
        self.ask("DELETE", "")?;
        let status = self.connection.status()?;
        self.outcome(status)
    }

    /// A page from anywhere; one with fewer keys than there must be is as bad as a wrong content.
    fn list(&mut self, turn: u64) -> io::Result<Outcome> {
        let (load, page) = (self.load, PAGE.min(self.load.objects));
        // Behind any object that still has a page behind it; the first page begins before all of them.
        let after = scattered(turn) % (load.objects - page + 1);
        let prefix = &load.prefix;
        let after = after.checked_sub(1).map_or_else(String::new, |key| format!("&start-after={prefix}{key:010}"));
        let query = format!("list-type=2&max-keys={PAGE}&prefix={prefix}{after}");
        self.path.clear();
        self.path.extend(["/", &load.target.bucket, "/"]);
        self.ask("GET", &query)?;
        let status = self.connection.status()?;
        let outcome = self.outcome(status)?;
        let keys = self.answer.split(|byte| *byte == b'<').filter(|tag| tag.starts_with(b"Key>")).count() as u64;
        Ok(if outcome == Outcome::Done && keys != page { Outcome::Damaged } else { outcome })
    }

    /// Sends a request without a body for what `path` names.
    fn ask(&mut self, method: &str, query: &str) -> io::Result<()> {
        self.heads.write(method, &self.path, query, None, &mut self.head);
        self.connection.send(&self.head, &[])
    }

    /// Reads the rest of an answer that is short.
    fn outcome(&mut self, status: u16) -> io::Result<Outcome> {
        let answer = &mut self.answer;
        answer.clear();
        self.connection.body(|piece| answer.extend_from_slice(piece))?;
        if (200..300).contains(&status) {
            return Ok(Outcome::Done);
        }
        Ok(Outcome::of(&Answer { status, body: answer.clone() }))
    }

    fn name(&mut self, number: u64) {
        use std::fmt::Write;
        self.path.clear();
        // Writing into memory cannot fail.
        let _ = write!(self.path, "{}{number:010}", self.load.stem);
    }
}

/// Numbers in an order that no read-ahead foresees (the finaliser of splitmix64).
fn scattered(turn: u64) -> u64 {
    let mixed = turn.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
