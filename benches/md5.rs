//! MD5 of streams side by side: how many, and in how many lanes.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kandian::md5::{Md5, Width, update_each_with};

/// Bytes of a stream: a picture, or a quantum of the hasher.
const PIECE: usize = 64 << 10;

fn lanes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("md5");
    group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    let widest = Width::of_this_machine().lanes();
    for width in [Width::One, Width::Eight, Width::Sixteen] {
        if width.lanes() > widest {
            continue;
        }
        for streams in [1, 2, 4, 8, 16] {
            let pieces: Vec<Vec<u8>> = (0..streams).map(|number| vec![number; PIECE]).collect();
            group.throughput(Throughput::Bytes(u64::from(streams) * PIECE as u64));
            group.bench_function(BenchmarkId::new(format!("{} lanes", width.lanes()), streams), |bencher| {
                bencher.iter(|| {
                    let mut md5s = vec![Md5::new(); pieces.len()];
                    let mut jobs: Vec<(&mut Md5, &[u8])> =
                        md5s.iter_mut().zip(pieces.iter().map(Vec::as_slice)).collect();
                    update_each_with(width, black_box(&mut jobs));
                    md5s
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, lanes);
criterion_main!(benches);
