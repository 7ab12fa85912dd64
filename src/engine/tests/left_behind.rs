//! What a process leaves behind that failed, or was killed, and is started again without a power cut: it is read, and may
//! be on no disk. Then the power goes.

use super::faults::{all_there, begin, store};
use super::rig::{Rig, bucket, runtime};
use crate::world::fake::Fate;

/// A sub-account of these tests never fills.
const GB: u64 = 8 << 20;

/// The sync of a checkpoint fails and the program is started again, without a power cut: what is read of the index is on
/// no disk. Then the power goes.
#[test]
fn an_index_whose_sync_failed_is_not_built_upon_until_all_of_it_is_on_the_disk() {
    let runtime = runtime();
    for seed in 0..40 {
        let rig = Rig::new(seed, GB);
        let (engine, name) = runtime.block_on(begin(&rig));
        let files: Vec<_> = (0..3).map(|n| (format!("f{n}"), n, 10_000)).collect();
        runtime.block_on(async {
            for (file, n, len) in &files {
                store(&engine, &bucket(&engine, &name), file, *n, *len).await.unwrap();
            }
            // Any operation of the checkpoint, its syncs among them.
            rig.disk.fail_operation(seed, seed);
            let _ = engine.checkpoint().await;
        });
        rig.disk.kill();
        drop(engine);
        rig.disk.mend();
        let engine = rig.open().unwrap();
        runtime.block_on(async {
            store(&engine, &bucket(&engine, &name), "later", 7, 10).await.unwrap();
            engine.checkpoint().await.unwrap();
        });
        rig.disk.crash(seed, Fate::LoseAll);
        drop(engine);
        let engine = rig.open().unwrap();
        runtime.block_on(async {
            let mut all = files.clone();
            all.push(("later".to_owned(), 7, 10));
            all_there(&engine, &name, &all, &format!("operation {seed} failed")).await;
            engine.close().await.unwrap();
        });
    }
}

/// The program fails, or is killed, in the middle of making a volume, and is started again without a power cut: the
/// volume is there, and its name on no disk. Then the power goes.
#[test]
fn a_volume_whose_name_is_on_no_disk_is_named_durably_before_anything_is_put_into_it() {
    let runtime = runtime();
    for operation in 0..10 {
        for cut in [false, true] {
            let rig = Rig::new(operation, GB);
            let (engine, name) = runtime.block_on(begin(&rig));
            match cut {
                true => rig.disk.fail_after(operation),
                false => rig.disk.fail_operation(operation, operation),
            }
            let _ = runtime.block_on(store(&engine, &bucket(&engine, &name), "first", 1, 10_000));
            rig.disk.kill();
            drop(engine);
            rig.disk.mend();
            let engine = rig.open().unwrap();
            let files: Vec<_> = (2..5).map(|n| (format!("f{n}"), n, 10_000)).collect();
            runtime.block_on(async {
                for (file, n, len) in &files {
                    store(&engine, &bucket(&engine, &name), file, *n, *len).await.unwrap();
                }
            });
            rig.disk.crash(operation, Fate::LoseAll);
            drop(engine);
            let engine = rig.open().unwrap();
            runtime.block_on(async {
                all_there(&engine, &name, &files, &format!("operation {operation}, cut {cut}")).await;
                engine.close().await.unwrap();
            });
        }
    }
}
