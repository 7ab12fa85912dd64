//! The box that a history plays on: its world, its settings, and how it is begun.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kandian::config::{self, Config, Written};
use kandian::domain::{AccessKey, GigabyteSize, Gigabytes, Secret};
use kandian::engine::{BucketRef, Caller, Engine, Error, NewAccount, PublicUrls, RebuildReport, Result};
use kandian::wire::sig::{self, Content, Target, ToSign, sign_v4};
use kandian::world::fake::{self, FakeDisk, ManualClock};
use kandian::world::{Grain, Threads, World};

use super::model::Sub;
use super::outbox::Platform;

pub const ACCOUNT: &str = "jiangsu";
pub const PASSWORD: &str = "secret";
/// The second of the two disks.
pub const SECOND: &str = "/data/second";
/// Bytes of both disks together, where nothing is to be full.
pub const CAPACITY: u64 = 512 << 20;

/// How large everything is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Bytes in a GB.
    pub gigabyte: u64,
    pub volume_size: u64,
    pub allocate_step: u64,
    pub journal_max: u64,
    /// Bytes of a file, most; a few have more than one stride.
    pub file_max: u64,
    /// Whether parts are as large as S3 wants all but the last to be.
    pub parts: bool,
}

impl Scale {
    /// A sub-account of two "GB" fills within some ten files.
    pub const SMALL: Self = Self {
        gigabyte: 24 << 10,
        volume_size: 512 << 10,
        allocate_step: 64 << 10,
        journal_max: 2 << 10,
        file_max: 24 << 10,
        parts: false,
    };
    /// A sub-account of two "GB" holds parts of 5 MiB.
    pub const LARGE: Self = Self {
        gigabyte: 8 << 20,
        volume_size: 8 << 20,
        allocate_step: 64 << 20,
        journal_max: 8 << 10,
        file_max: 300_000,
        parts: true,
    };
}

/// A disk that holds a store just begun, with an account, its administration key and some sub-accounts.
pub struct Template {
    scale: Scale,
    disk: FakeDisk,
    admin: (AccessKey, Secret),
    subs: Vec<Sub>,
}

/// A world, and the settings of its engine.
pub struct Rig {
    pub world: World,
    pub disk: Arc<FakeDisk>,
    pub clock: Arc<ManualClock>,
    pub config: Config,
    pub scale: Scale,
    pub platform: Platform,
    pub admin: Option<(AccessKey, Secret)>,
}

// === impl Rig ===

impl Rig {
    /// A box with two disk directories and nothing on them.
    pub fn new(seed: u64, scale: Scale) -> Self {
        let (mut world, disk, clock) = fake::world(seed);
        clock.stand();
        disk.set_capacity(CAPACITY);
        world.grain = Grain {
            threads: Threads::Callers,
            journal_max: scale.journal_max,
            journal_ahead: 1 << 10,
            allocate_step: scale.allocate_step,
            rebuild_step: 7,
        };
        let mut config = config::parse(&Written::default()).expect("what nobody has set is right");
        config.storage.data_dir = PathBuf::from("/data");
        config.storage.volumes = vec![PathBuf::from("/data/volumes"), PathBuf::from(SECOND)];
        config.storage.master_key = PathBuf::from("/data/master.key");
        config.storage.volume_size = scale.volume_size;
        config.storage.index_cache = 1 << 20;
        config.storage.scrub_rate = 0;
        config.space.bytes_per_gb = GigabyteSize::new(scale.gigabyte).expect("a size of a GB");
        Self { world, disk, clock, config, scale, platform: Platform::default(), admin: None }
    }

    pub fn open(&self) -> Result<Engine> {
        Engine::open(self.world.clone(), &self.config, PublicUrls::default(), Arc::new(self.platform.clone()))
    }

    pub fn rebuild(&self) -> Result<RebuildReport> {
        Engine::rebuild(self.world.clone(), &self.config)
    }

    /// Takes the index away, as a disk does that died.
    pub fn lose_index(&self) {
        // It may be lost already.
        let _ = self.world.disk.remove(Path::new("/data/index.redb"));
        self.world.disk.sync_dir(Path::new("/data")).expect("nothing is wrong with the disk now");
    }

    /// Opens the account and the sub-accounts with which every history begins.
    pub async fn furnish(&mut self, engine: &Engine) -> Result<Vec<Sub>> {
        let operator = Caller::operator();
        let new = NewAccount {
            name: ACCOUNT.parse().expect("a name"),
            password: Some(Secret::new(PASSWORD)),
            space: gigabytes(1000),
            alert_url: Some("http://platform.example/alert".to_owned()),
            max_sub_accounts: None,
        };
        engine.open_account(&operator, new).await?;
        self.admin = Some(engine.account_key(&operator, &ACCOUNT.parse().expect("a name")).await?);
        let mut subs = Vec::new();
        for _ in 0..2 {
            let opened = engine.open_sub_account(&platform(engine)?, gigabytes(2)).await?;
            subs.push(Sub::new(&opened, 2));
        }
        Ok(subs)
    }

    /// The account's administration key, by a request that it has signed.
    pub fn administrator(&self, engine: &Engine) -> Result<Caller> {
        let (access_key, secret) = self.admin.as_ref().expect("the account has a key");
        let credential = engine.credential(access_key.as_str(), None)?.expect("the administration key is known");
        let now = engine.now();
        let to_sign = ToSign {
            method: "GET",
            host: "s3.example",
            path: "/",
            query: "",
            headers: &[],
            access_key,
            secret,
            region: "us-east-1",
            now,
        };
        let mut headers = http::HeaderMap::new();
        headers.insert(http::header::HOST, http::HeaderValue::from_static("s3.example"));
        for (name, value) in sign_v4(&to_sign, Content::Unsigned) {
            headers.insert(name, value.parse().expect("a header"));
        }
        let target = Target::parse("/", None).expect("a target");
        let request =
            sig::Request { method: &http::Method::GET, target: &target, headers: &headers, host_bucket: None };
        let claim = sig::read(&request).expect("it can be read").expect("it is signed");
        let signed = claim.verify(&request, credential.key(), now, Duration::from_secs(60));
        Ok(credential.caller(&signed.expect("the administration key is the same as ever").verified))
    }
}

// === impl Template ===

impl Template {
    pub fn new(scale: Scale, runtime: &tokio::runtime::Runtime) -> Self {
        let mut rig = Rig::new(0, scale);
        let engine = rig.open().expect("a new store");
        let subs = runtime.block_on(async {
            let subs = rig.furnish(&engine).await.expect("nothing fails");
            engine.checkpoint().await.expect("nothing fails");
            subs
        });
        drop(engine);
        Self { scale, disk: rig.disk.fork(), admin: rig.admin.expect("it was made"), subs }
    }

    /// A box of its own that begins there.
    pub fn rig(&self, seed: u64) -> (Rig, Vec<Sub>) {
        let mut rig = Rig::new(seed.wrapping_add(1), self.scale);
        rig.disk = Arc::new(self.disk.fork());
        rig.world.disk = rig.disk.clone();
        rig.admin = Some(self.admin.clone());
        (rig, self.subs.clone())
    }
}

pub fn gigabytes(n: u32) -> Gigabytes {
    Gigabytes::new(n).expect("few GB")
}

pub fn platform(engine: &Engine) -> Result<Caller> {
    engine.sign_in(ACCOUNT, PASSWORD)
}

pub fn bucket(engine: &Engine, name: &str) -> BucketRef {
    engine.bucket(&Caller::operator(), name).expect("the bucket is there")
}

pub fn is_refused(error: &Error) -> bool {
    matches!(error, Error::Refused(_))
}

/// Whether it says that nothing was changed because a disk has no room.
pub fn is_full(error: &Error) -> bool {
    matches!(error, Error::NoRoom)
}
