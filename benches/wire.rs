//! What is done for every request or record, without a disk: headers of records, sums of blocks, signatures, lists.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, Method};
use kandian::domain::{
    AccessKey, BucketId, Lock, Metadata, ObjectId, ObjectKey, Secret, Timestamp, UploadId, VolumeId,
};
use kandian::store::volume::record::{self, BLOCK_LEN, Header, Kind};
use kandian::wire::s3_xml::{self, Entry, ListVersion, Listing};
use kandian::wire::sig::{self, Content, Key, Request, Target, ToSign};

const NOW: Timestamp = Timestamp::from_seconds(1_767_225_600);

fn header() -> Header {
    let key: ObjectKey = "camera-0001/2026-01-01/00-00-00.jpg".parse().expect("a key like any other");
    let metadata = Metadata(vec![("content-type".to_owned(), b"image/jpeg".to_vec())]);
    let len = record::header_len(&key, &metadata, 1 << 16, 0);
    Header {
        version: record::VERSION,
        kind: Kind::Object,
        lock: Lock::Open,
        header_len: u32::try_from(len).expect("a short header"),
        nonce: [7; 16],
        id: ObjectId::new(42),
        bucket: BucketId::new(9),
        payload_len: 1 << 16,
        created: NOW,
        md5: [1; 16],
        parts: 0,
        upload: UploadId::new(0),
        volume: VolumeId::new(3),
        offset: 8192,
        size: 1 << 16,
        first: ObjectId::new(42),
        group: 40,
        checksum: None,
        key,
        metadata,
        blocks: vec![record::BlockSum { hash: [2; 16], crc: 2 }],
        segments: Vec::new(),
    }
}

fn records(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record");
    group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    let (header, key) = (header(), [5; 32]);
    let bytes = header.encode(&key);
    group.bench_function("encode a header", |bencher| bencher.iter(|| black_box(&header).encode(&key)));
    group.bench_function("decode a header", |bencher| {
        bencher.iter(|| Header::decode(black_box(&bytes), &key).expect("the header"));
    });
    let block = vec![0x5a; BLOCK_LEN];
    group.throughput(Throughput::Bytes(BLOCK_LEN as u64));
    group.bench_function("sum a block of 64 KiB", |bencher| {
        bencher.iter(|| record::block_sum(&[7; 16], 1, black_box(&block)));
    });
    group.finish();
}

fn signatures(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("signature");
    group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    let (access_key, secret): (AccessKey, _) = ("AK0000000000000000".parse().expect("a key"), Secret::new("secret"));
    let key = Key::new(secret.clone());
    let path = "/recordings/camera-0001/2026-01-01/00-00-00.jpg";
    let to_sign = ToSign {
        method: "PUT",
        host: "store.example:9000",
        path,
        query: "",
        headers: &[],
        access_key: &access_key,
        secret: &secret,
        region: "kandian",
        now: NOW,
    };
    for (name, signed) in [("V4", sig::sign_v4(&to_sign, Content::Unsigned)), ("V2", sig::sign_v2(&to_sign))] {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("store.example:9000"));
        for (name, value) in signed {
            headers.insert(name, value.parse().expect("a header"));
        }
        group.bench_function(format!("read and verify a {name} upload"), |bencher| {
            bencher.iter(|| {
                let target = Target::parse(black_box(path), None).expect("a target");
                let request = Request { method: &Method::PUT, target: &target, headers: &headers, host_bucket: None };
                let claim = sig::read(&request).expect("a request").expect("a signature");
                claim.verify(&request, &key, NOW, Duration::from_secs(900)).expect("a right signature")
            });
        });
    }
    group.finish();
}

fn lists(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("list");
    group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    let names: Vec<String> = (0..1000).map(|n| format!("camera-{:04}/2026-01-01/{n:06}.jpg", n % 7)).collect();
    let entries: Vec<Entry<'_>> = names
        .iter()
        .map(|key| Entry { key, modified: NOW, etag: "d41d8cd98f00b204e9800998ecf8427e".to_owned(), size: 65_536 })
        .collect();
    let listing = Listing {
        bucket: "recordings",
        prefix: "",
        delimiter: "",
        max_keys: 1000,
        url_encoded: true,
        entries,
        prefixes: &[],
        truncated: true,
        owner: "AK",
        version: ListVersion::V2 {
            start_after: None,
            token: None,
            next_token: Some("t".to_owned()),
            fetch_owner: false,
        },
    };
    group.bench_function("XML of 1,000 keys", |bencher| bencher.iter(|| s3_xml::list(black_box(&listing))));
    group.finish();
}

criterion_group!(benches, records, signatures, lists);
criterion_main!(benches);
