//! What the index does for one request, at 10^4, 10^5 and 10^6 files, and at 10^7 with `KANDIAN_BENCH_FILES=10000000`.

mod synthetic;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use kandian::domain::{Media, ObjectId, SubAccountId, Timestamp};
use kandian::store::index::apply::Apply;
use kandian::store::index::rows::{Row, SubAccountRow};
use kandian::store::index::view::{ListQuery, View};
use kandian::store::index::{self, bucket_of, keys};
use kandian::world::os::SystemDisk;
use redb::{Database, ReadableDatabase};

/// As `storage.index_cache` is where nothing is said.
const CACHE: u64 = 64 << 20;
/// Files on a page of 7.7, and keys on one of S3.
const SEARCHED: u64 = 100;
const LISTED: usize = 1000;
/// Uploads of a group under load.
const GROUP: u64 = 16;
const SUB_ACCOUNT: SubAccountId = SubAccountId::new(1);

/// An index of so many files in a directory that goes with it. It lies where temporary files do; name a real disk by
/// `TMPDIR`.
struct Filled {
    db: Database,
    seq: u64,
    files: u64,
    _dir: tempfile::TempDir,
}

impl Filled {
    fn new(files: u64) -> Self {
        let dir = tempfile::tempdir().expect("a directory for temporary files");
        let path = dir.path().join("index.redb");
        let db = index::open_database(&SystemDisk, &path, 1 << 30, true).expect("a new index");
        let txn = index::begin_durable(&db).expect("a transaction");
        let mut apply = Apply::new(&txn, synthetic::settings()).expect("new tables");
        let row = sub_account();
        let id = keys::number(SUB_ACCOUNT.get());
        apply.tables.sub_accounts.insert(id.as_slice(), row.encode().as_slice()).expect("a row");
        apply.finish(1).expect("the end of a transaction");
        txn.commit().expect("a commit");
        let seq = synthetic::fill(&db, bucket_of(SUB_ACCOUNT, Media::Recording), 1, files, |_| {}).expect("files");
        drop(db);
        let db = index::open_database(&SystemDisk, &path, CACHE, false).expect("the index");
        Self { db, seq, files, _dir: dir }
    }

    fn view(&self) -> View {
        View::new(self.db.begin_read().expect("a state of the index"))
    }

    /// A group of uploads of new files, and how it becomes visible.
    fn group(&mut self) {
        let txn = index::begin_volatile(&self.db).expect("a transaction");
        let mut apply = Apply::new(&txn, synthetic::settings()).expect("its tables");
        for _ in 0..GROUP {
            self.seq += 1;
            let header = synthetic::header(bucket_of(SUB_ACCOUNT, Media::Recording), self.seq, self.files);
            self.files += 1;
            apply.begin(self.seq, header.created);
            apply.record(&header).expect("an upload");
        }
        apply.finish(self.seq).expect("the end of a transaction");
        txn.commit().expect("a commit");
    }
}

fn sub_account() -> SubAccountRow {
    SubAccountRow {
        account: kandian::domain::AccountId::new(1),
        ak: "AK0000000000000000".parse().expect("an access key"),
        sk: vec![0; 64],
        space: kandian::domain::Gigabytes::new(1_000_000).expect("a space"),
        at_the_end: kandian::domain::AtTheEnd::Stop,
        record_bucket: "recordings-bench".parse().expect("a name of a bucket"),
        picture_bucket: "pictures-bench".parse().expect("a name of a bucket"),
        created: Timestamp::from_seconds(synthetic::FIRST),
    }
}

fn index(criterion: &mut Criterion) {
    let more = std::env::var("KANDIAN_BENCH_FILES").ok().and_then(|files| files.parse().ok());
    for files in [10_000, 100_000, 1_000_000].into_iter().filter(|_| more.is_none()).chain(more) {
        let mut filled = Filled::new(files);
        let bucket = bucket_of(SUB_ACCOUNT, Media::Recording);
        let mut group = criterion.benchmark_group(format!("index of {files} files"));
        group.sample_size(20).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
        let mut turn = 0_u64;
        let mut scattered = move || {
            turn = turn.wrapping_add(0x9e37_79b9_7f4a_7c15);
            turn % files
        };
        let view = filled.view();
        group.bench_function("look up a file", |bencher| {
            bencher.iter_batched(
                || synthetic::key(scattered()),
                |key| view.object(bucket, &key).expect("a look-up").expect("the file"),
                BatchSize::SmallInput,
            );
        });
        for (name, skip) in [("first", 0), ("middle", files / 2), ("last", files - SEARCHED)] {
            group.bench_function(format!("{name} page of 7.7, with the total"), |bencher| {
                bencher.iter(|| {
                    let (total, page) = view.search(bucket, 0, i64::MAX >> 8, skip, SEARCHED).expect("a page");
                    assert_eq!((total, page.len() as u64), (files, SEARCHED));
                });
            });
        }
        group.bench_function("page of 7.7 out of a quarter of the time", |bencher| {
            let (from, to) = (synthetic::second(files / 4), synthetic::second(files / 2));
            bencher.iter(|| view.search(bucket, from, to, black_box(files / 8), SEARCHED).expect("a page"));
        });
        group.bench_function("the 256 oldest unlocked", |bencher| {
            let all = ObjectId::new(u64::MAX);
            bencher.iter(|| view.oldest_unlocked(SUB_ACCOUNT, all, 256).expect("files"));
        });
        group.bench_function("page of 1,000 of a list", |bencher| {
            bencher.iter_batched(
                || ListQuery { after: synthetic::key(scattered()).to_string(), max: LISTED, ..ListQuery::default() },
                |query| view.list(bucket, &query).expect("a page"),
                BatchSize::SmallInput,
            );
        });
        drop(view);
        group.bench_function(format!("commit {GROUP} uploads"), |bencher| bencher.iter(|| filled.group()));
        group.finish();
    }
}

criterion_group!(benches, index);
criterion_main!(benches);
