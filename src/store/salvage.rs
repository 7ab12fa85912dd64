//! Salvage: a store that is opened to be read, on a disk that is dying.
//!
//! Nothing is written: index, journal and books are worked on in memory, over what the disk gives
//! (`crate::world::overlay`). What cannot be read is passed over: a disk that is not there, a volume without its first
//! sector, an index that is damaged, in whose place one is made in memory from the volumes. The queue of changes is
//! closed from the beginning.

use std::sync::{Arc, Mutex};

use super::catalog::Catalog;
use super::committer::{Bells, Queue};
use super::error::{Doing, StoreError};
use super::hasher::Hasher;
use super::layout::Layout;
use super::recovery::{self, Beginning};
use super::volume::{Dead, Volumes};
use super::{BALLAST, Meta, Options, Store, index, journal, load_catalog, load_keys, make_index, read_meta};
use crate::world::World;
use crate::world::ballast::Ballast;
use crate::world::overlay::Overlay;

impl Store {
    /// Opens what can be read of a store; also the world in which it, and whatever else is in its data directory, can be
    /// opened without anything being written. `reason` is what is said of a change.
    pub fn salvage(
        world: &World,
        options: &Options,
        reason: &str,
        acknowledged: Option<u64>,
    ) -> Result<(Self, World), StoreError> {
        let over = || World { disk: Arc::new(Overlay::new(Arc::clone(&world.disk))), ..world.clone() };
        let attempt = over();
        let first = match open(&attempt, options, reason, acknowledged, false) {
            Ok(store) => return Ok((store, attempt)),
            Err(first) => first,
        };
        tracing::error!(error = %first, "the index cannot be used; one is made in memory from the volumes");
        let attempt = over();
        match open(&attempt, options, reason, acknowledged, true) {
            Ok(store) => Ok((store, attempt)),
            Err(second) => Err(StoreError::Unusable(format!(
                "nothing can be salvaged here: {first}; and from the volumes alone: {second}. `kandian extract` reads \
                 volumes without anything else"
            ))),
        }
    }
}

fn open(
    world: &World,
    options: &Options,
    reason: &str,
    acknowledged: Option<u64>,
    from_volumes: bool,
) -> Result<Store, StoreError> {
    let layout = Layout::new(options);
    let lock = layout.take_lock(world)?;
    let disk = &*world.disk;
    let store_id = layout.store_id_of_what_is_left(disk).ok_or_else(|| {
        StoreError::Unusable("no directory of storage.volumes has a kandian-disk mark that can be read".to_owned())
    })?;
    let keys = load_keys(world, &layout)?;
    let dead = Dead { offline: options.offline.clone(), read_only: Vec::new(), lenient: true };
    let journal = journal::read(disk, &layout.journal, &store_id);
    let frames = match journal {
        Ok(Some((frames, _))) => frames,
        other if from_volumes => {
            let why = other.err().map_or_else(|| "it is missing".to_owned(), |error| error.to_string());
            return Err(StoreError::Unusable(format!("the journal cannot be read: {why}")));
        }
        // The index has all but the last second.
        _ => Vec::new(),
    };
    if from_volumes {
        make_index(world, options, &layout, store_id, frames.clone(), &dead, Beginning::default())?;
    }
    let db = index::open_database(disk, &layout.index, options.index_cache, false)?;
    let Meta { applied, mark, .. } = read_meta(&db, store_id)?;
    let (size, reserve) = (options.volume_size, options.reserve);
    let volumes = Arc::new(Volumes::open(world.clone(), &layout.volumes, store_id, size, reserve, &dead)?);
    let recovery = recovery::replay(&db, &volumes, frames, &mark, applied, acknowledged, options.settings)?;
    let (db, catalog) = (Arc::new(db), Arc::new(Catalog::new(options.settings)));
    load_catalog(&db, &catalog)?;
    let bells = Arc::new(Bells { durable: recovery.sequence.into(), ..Bells::default() });
    // Of a disk that forgets: it holds nothing back, and costs nothing.
    let spare = Ballast::hold(Arc::clone(&world.disk), options.data_dir.join(BALLAST));
    let hasher = Hasher::start(world.grain.threads).doing(|| "start the hashing thread".to_owned())?;
    Ok(Store {
        db,
        volumes,
        catalog,
        queue: Queue::closed(reason.to_owned()),
        hasher,
        bells,
        keys,
        recovery,
        spare,
        salvage: Some(reason.to_owned()),
        locks: Mutex::new(vec![lock]),
    })
}
