//! An engine in a world of its own, and what every test of it does.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes as Buf;
use futures_util::StreamExt;

use crate::config::{Alerts, Config, Log, Portal, Reserve, S3, Soap, Space, Storage, Tls};
use crate::domain::{GigabyteSize, Gigabytes, Lock, Metadata, ObjectKey, RetrySchedule, Rules, Secret};
use crate::engine::types::Who;
use crate::engine::{
    BucketRef, Caller, Courier, Delivery, Engine, Error, Finish, NewAccount, NewObject, Notice, OpenedSubAccount,
    PublicUrls, PutCondition, Result, Stored, SubAccountRef,
};
use crate::store::index;
use crate::world::World;
pub use crate::world::fake::chance::{Chance, content};
use crate::world::fake::{self, FakeDisk, ManualClock};

pub const ACCOUNT: &str = "jiangsu";
pub const PASSWORD: &str = "secret";

/// Nobody takes its letters.
pub struct Deaf;

impl Courier for Deaf {
    fn deliver(&self, _: Notice) -> Pin<Box<dyn Future<Output = Delivery> + Send>> {
        Box::pin(async { Delivery::Failed("nobody is there".to_owned()) })
    }
}

/// A world, and the settings of its engine.
#[derive(Clone)]
pub struct Rig {
    pub world: World,
    pub disk: Arc<FakeDisk>,
    pub clock: Arc<ManualClock>,
    pub config: Config,
}

impl Rig {
    /// A box with two disk directories whose "GB" has so many bytes.
    pub fn new(seed: u64, bytes_per_gb: u64) -> Self {
        let (world, disk, clock) = fake::world(seed);
        disk.set_capacity(512 << 20);
        let listen = "127.0.0.1:0".parse().unwrap();
        let config = Config {
            storage: Storage {
                data_dir: PathBuf::from("/data"),
                volumes: vec![PathBuf::from("/data/volumes"), PathBuf::from("/data/second")],
                reserve: Reserve::Percent(2),
                volume_size: 8 << 20,
                index_cache: 8 << 20,
                scrub_rate: 0,
                master_key: PathBuf::from("/data/master.key"),
                offline: Vec::new(),
                read_only: Vec::new(),
                salvage: false,
            },
            s3: S3 {
                listen,
                public_url: None,
                domain: None,
                region: "us-east-1".to_owned(),
                presign_ttl: Duration::from_secs(86_400),
                allow_delete: false,
                clock_skew: Duration::from_secs(900),
                sig_v2: true,
                idle_timeout: Duration::from_secs(60),
                multipart_expiry: Duration::from_secs(7 * 86_400),
                max_requests: 8192,
                max_requests_per_key: 512,
                max_connections: 20_000,
                buffer_memory: 2 << 30,
                tls: Tls::Off,
            },
            soap: Soap { listen, public_url: None, tls: Tls::Off },
            portal: Portal {
                listen,
                idle_timeout: Duration::from_secs(1800),
                session_timeout: Duration::from_secs(43_200),
                silent_factor: 3,
                gone_days: 180,
                tls: Tls::Off,
            },
            metrics_listen: listen,
            metrics_tls: Tls::Off,
            space: Space {
                bytes_per_gb: GigabyteSize::new(bytes_per_gb).unwrap(),
                rules: Rules::default(),
                max_sub_accounts: 1000,
            },
            alerts: Alerts {
                notify_idle: false,
                schedule: RetrySchedule::default(),
                timeout: Duration::from_secs(10),
                ca: None,
            },
            zone_minutes: 480,
            shutdown_grace: Duration::from_secs(5),
            log: Log { level: "info".to_owned(), json: false, file: None, file_size: 0, file_keep: 0 },
        };
        Self { world, disk, clock, config }
    }

    pub fn open(&self) -> Result<Engine> {
        Engine::open(self.world.clone(), &self.config, PublicUrls::default(), Arc::new(Deaf))
    }

    /// Opens a store again that has failed, as the process does that saw it.
    pub fn open_after(&self, acknowledged: u64) -> Result<Engine> {
        let (world, urls) = (self.world.clone(), PublicUrls::default());
        Engine::open_after(world, &self.config, urls, Arc::new(Deaf), Some(acknowledged))
    }

    pub fn rebuild(&self) -> Result<crate::engine::RebuildReport> {
        Engine::rebuild(self.world.clone(), &self.config)
    }

    /// Takes the index away, as a disk does that died.
    pub fn lose_index(&self) {
        self.world.disk.remove(Path::new("/data/index.redb")).unwrap();
        self.world.disk.sync_dir(Path::new("/data")).unwrap();
    }

    /// Makes of a closed store what the first format was: no own buckets, in index and journal alike.
    pub fn make_old(&self) {
        let disk = &*self.world.disk;
        for path in disk.list(Path::new("/data/volumes/journal")).unwrap() {
            let file = disk.open(&path).unwrap();
            file.write_all_at(&1u16.to_be_bytes(), 8).unwrap();
            file.sync_data().unwrap();
        }
        let db = index::open_database(disk, Path::new("/data/index.redb"), 1 << 20, false).unwrap();
        let txn = index::begin_durable(&db).unwrap();
        txn.delete_table(index::definitions::own_buckets).unwrap();
        let mut meta = txn.open_table(index::definitions::meta).unwrap();
        meta.insert(index::meta::FORMAT, 1u64.to_be_bytes().as_slice()).unwrap();
        drop(meta);
        txn.commit().unwrap();
    }

    /// Every volume file.
    pub fn volumes(&self) -> Vec<PathBuf> {
        let mut all = Vec::new();
        for dir in &self.config.storage.volumes {
            all.extend(
                self.world.disk.list(dir).unwrap().into_iter().filter(|p| p.extension().is_some_and(|e| e == "kdv")),
            );
        }
        all.sort();
        all
    }
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// How many seeds a test runs.
pub fn seeds(usual: u64) -> std::ops::Range<u64> {
    let wanted = std::env::var("KANDIAN_SEEDS").ok().and_then(|n| n.parse().ok());
    let from = std::env::var("KANDIAN_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    from..from + wanted.unwrap_or(usual)
}

pub fn gigabytes(n: u32) -> Gigabytes {
    Gigabytes::new(n).unwrap()
}

pub fn key(text: &str) -> ObjectKey {
    text.parse().unwrap()
}

pub async fn open_account(engine: &Engine, space: u32) {
    let new = NewAccount {
        name: ACCOUNT.parse().unwrap(),
        password: Some(Secret::new(PASSWORD)),
        space: gigabytes(space),
        alert_url: Some("http://platform.example/alert".to_owned()),
        max_sub_accounts: None,
    };
    engine.open_account(&Caller::operator(), new).await.unwrap();
}

pub fn platform(engine: &Engine) -> Caller {
    engine.sign_in(ACCOUNT, PASSWORD).unwrap()
}

/// An account's administration key.
pub fn administrator(engine: &Engine, account: &str) -> Caller {
    let account = engine.inner.store.catalog.read().names[account];
    Caller::new(Who::Administrator { account })
}

pub async fn open_sub(engine: &Engine, space: u32) -> OpenedSubAccount {
    engine.open_sub_account(&platform(engine), gigabytes(space)).await.unwrap()
}

pub fn sub_ref(engine: &Engine, ak: &str, sk: &str) -> Result<SubAccountRef> {
    engine.sub_account(&platform(engine), ak, sk)
}

pub fn bucket(engine: &Engine, name: &str) -> BucketRef {
    engine.bucket(&Caller::operator(), name).unwrap()
}

pub fn new_object(name: &str, length: Option<u64>, lock: Lock) -> NewObject {
    NewObject {
        key: key(name),
        length,
        metadata: Metadata::default(),
        lock,
        checksum: None,
        condition: PutCondition::default(),
    }
}

/// Uploads in pieces of `step` bytes.
pub async fn put(
    engine: &Engine,
    bucket: &BucketRef,
    name: &str,
    data: &[u8],
    known: bool,
    lock: Lock,
    step: usize,
) -> Result<Stored> {
    let length = known.then_some(data.len() as u64);
    let mut upload = engine.put(&Caller::operator(), bucket, new_object(name, length, lock)).await?;
    for piece in data.chunks(step.max(1)) {
        upload.write(Buf::copy_from_slice(piece)).await?;
    }
    upload.finish(Finish::default()).await
}

/// All of a file.
pub async fn read(engine: &Engine, bucket: &BucketRef, name: &str) -> Result<Vec<u8>> {
    let reader = engine.open_object(&Caller::operator(), bucket, &key(name)).await?;
    let size = reader.info.size.get();
    let mut out = Vec::new();
    let mut stream = Box::pin(reader.read(0..size));
    while let Some(piece) = stream.next().await {
        out.extend_from_slice(&piece?);
    }
    Ok(out)
}

/// Runs `work` while overwrites are made beside it, as they are once the engine is started.
pub async fn swept<T>(engine: &Engine, work: impl Future<Output = T>) -> T {
    let sweeping = async {
        loop {
            // A store that has stopped cannot sweep; the work beside it will say so.
            let _ = crate::engine::reconcilers::sweep(engine).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        done = work => done,
        () = sweeping => unreachable!("it never ends"),
    }
}

/// Nothing is wrong: index, records, payloads, counters.
pub async fn assert_sound(engine: &Engine, when: &str) {
    let operator = Caller::operator();
    let check = engine.check(&operator).await.unwrap();
    assert!(check.violations.is_empty(), "{when}: {:#?}", check.violations);
    let scrub = engine.scrub(&operator).await.unwrap();
    assert!(scrub.damaged.is_empty(), "{when}: {:#?}", scrub.damaged);
}

pub fn is_refused(error: &Error) -> bool {
    matches!(error, Error::Refused(_))
}
