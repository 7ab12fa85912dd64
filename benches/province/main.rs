//! Makes a box as provinces have it after a year: `cargo bench --bench province -- DATA_DIR [FILES [CAMERAS]]`
//! (10,000,000 and 10,000). 34 accounts, one of which has two thirds of all cameras; files of 30 days, alerts, an audit
//! log, and what the books know of a year. `scripts/bench-portal` measures the portals on it.
//!
//! Accounts and cameras are opened by the engine. Files, alerts and lines of the audit log go into the index by the step
//! that uploads use; the volumes lack their bytes, so they are listed, found, counted and not read. Rows of the books are
//! written in their format (`docs/storage-format.md`). Prints what a client needs to know, as JSON.

mod books;
mod index;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt;
use kandian::config::{Config, Written, parse};
use kandian::domain::{Gigabytes, Secret, Timestamp};
use kandian::engine::{Caller, Courier, Delivery, Engine, NewAccount, Notice, PublicUrls};
use kandian::world;

type Anything<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const ACCOUNTS: u64 = 34;
/// The account that two thirds of the cameras belong to.
const BIGGEST: u64 = 0;
const PASSWORD: &str = "a password of the bench";
/// Cameras that are opened at a time: their events share a sync.
const AT_ONCE: usize = 32;

/// How large the box is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub files: u64,
    pub cameras: u64,
    pub alerts: u64,
    pub audit_lines: u64,
    /// Now.
    pub now: Timestamp,
}

/// A camera that was opened, in the order of opening.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Which account's.
    pub account: u64,
    pub ak: String,
    pub sk: String,
    pub record_bucket: String,
    pub picture_bucket: String,
}

struct Nobody;

impl Courier for Nobody {
    fn deliver(&self, _: Notice) -> Pin<Box<dyn Future<Output = Delivery> + Send>> {
        Box::pin(async { Delivery::Failed("nobody is there".to_owned()) })
    }
}

/// Chance that is the same at every run (splitmix64).
pub fn chance(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The account of camera `number`.
fn account_of(number: u64) -> u64 {
    if number < 3 || !number.is_multiple_of(3) { BIGGEST } else { 1 + (number / 3) % (ACCOUNTS - 1) }
}

pub fn account_name(account: u64) -> String {
    if account == BIGGEST { "江苏电信".to_owned() } else { format!("省公司{account:02}") }
}

fn main() -> Anything<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let Some(dir) = arguments.first() else {
        writeln!(io::stderr(), "usage: cargo bench --bench province -- DATA_DIR [FILES [CAMERAS]]")?;
        return Ok(());
    };
    let number = |at: usize, otherwise: u64| arguments.get(at).map_or(Ok(otherwise), |text| text.parse());
    let files = number(1, 10_000_000)?;
    let world = world::os::world();
    let size =
        Size { files, cameras: number(2, 10_000)?, alerts: 10_000, audit_lines: 100_000, now: world.clock.now() };
    let data = PathBuf::from(dir);
    let config = parse(&Written { data: Some(data.clone()), ..Written::default() })?;
    let started = Instant::now();
    let say = |what: &str| {
        let _ = writeln!(io::stderr(), "{:>4.0} s  {what}", started.elapsed().as_secs_f64());
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let opened = runtime.block_on(open(&world, &config, &size))?;
    say("accounts and cameras");
    let filled = index::fill(&data, &size, &opened, &say)?;
    say("files, alerts, audit log");
    books::fill(&world, &data, &size, &opened, &filled)?;
    say("books");
    writeln!(io::stdout(), "{}", summary(&data, &size, &opened, &filled)?)?;
    Ok(())
}

async fn open(world: &world::World, config: &Config, size: &Size) -> Anything<Vec<Opened>> {
    std::fs::create_dir_all(&config.storage.data_dir)?;
    let engine = Engine::open(world.clone(), config, PublicUrls::default(), Arc::new(Nobody))?;
    let gigabytes = |number: u64| Gigabytes::new(u32::try_from(number).unwrap_or(u32::MAX)).ok_or("too many GB");
    let mut platforms: Vec<Caller> = Vec::new();
    for account in 0..ACCOUNTS {
        let name = account_name(account);
        let cameras = (0..size.cameras).filter(|number| account_of(*number) == account);
        let handed_out: u64 = cameras.map(|number| index::plan(number, size).space).sum();
        let new = NewAccount {
            name: name.parse().map_err(|_| "a name")?,
            password: Some(Secret::new(PASSWORD)),
            space: gigabytes(handed_out + 5_000)?,
            alert_url: None,
            max_sub_accounts: None,
        };
        engine.open_account(&Caller::operator(), new).await?;
        platforms.push(engine.sign_in(&name, PASSWORD)?);
    }
    let opening = (0..size.cameras).map(|number| {
        let (engine, account) = (engine.clone(), account_of(number));
        let platform = usize::try_from(account).ok().and_then(|at| platforms.get(at)).cloned();
        let space = gigabytes(index::plan(number, size).space);
        async move {
            let opened = engine.open_sub_account(&platform.ok_or("no such account")?, space?).await?;
            Anything::Ok(Opened {
                account,
                ak: opened.access_key.to_string(),
                sk: opened.secret.expose().to_owned(),
                record_bucket: opened.record_bucket.to_string(),
                picture_bucket: opened.picture_bucket.to_string(),
            })
        }
    });
    let opened: Vec<Anything<Opened>> = futures_util::stream::iter(opening).buffered(AT_ONCE).collect().await;
    engine.close().await?;
    opened.into_iter().collect()
}

/// What a client needs to know.
fn summary(data: &Path, size: &Size, opened: &[Opened], filled: &[index::Filled]) -> Anything<String> {
    let camera = |at: usize| {
        let (opened, filled) = (&opened[at], &filled[at]);
        serde_json::json!({
            "ak": opened.ak,
            "sk": opened.sk,
            "record_bucket": opened.record_bucket,
            "picture_bucket": opened.picture_bucket,
            "account": account_name(opened.account),
            "recordings": filled.recordings,
            "pictures": filled.pictures,
            "last": filled.last_recording,
        })
    };
    let bytes = |name: &str| std::fs::metadata(data.join(name)).map(|meta| meta.len());
    Ok(serde_json::to_string(&serde_json::json!({
        "account": account_name(BIGGEST),
        "account_id": filled[0].account,
        "small_account": account_name(1),
        "files": filled.iter().map(|one| one.recordings + one.pictures).sum::<u64>(),
        "cameras": opened.len(),
        "biggest": camera(0),
        "dense": camera(1),
        "usual": camera(opened.len() / 2 + 2),
        "alert": filled.last().map(|one| one.last_alert),
        "needle": index::NEEDLE,
        "now": size.now.seconds(),
        "index_bytes": bytes("index.redb")?,
        "books_bytes": bytes("books.redb")?,
    }))?)
}
