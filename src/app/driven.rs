//! Time that is driven: only on a data directory that `kandian demo` has made.

use std::path::Path;
use std::sync::Arc;

use crate::world::World;
use crate::world::disk::read_file;
use crate::world::driven::{Drive, DrivenClock, MARK};

/// The world with its clock driven, where that is asked for.
///
/// # Errors
///
/// In words: the directory is somebody's own, where wrong times would stay in what is kept.
pub(super) fn drive(world: World, drive: Option<Drive>, data_dir: &Path) -> Result<World, String> {
    let Some(drive) = drive else { return Ok(world) };
    let mark = data_dir.join(MARK);
    match read_file(&*world.disk, &mark) {
        Ok(Some(_)) => {}
        Ok(None) => {
            return Err(format!(
                "the clock is driven for `kandian demo` alone, in a directory of its own; {} is not there",
                mark.display()
            ));
        }
        Err(error) => return Err(format!("{}: {error}", mark.display())),
    }
    tracing::warn!(%drive, "the clock is driven: no time that is shown or kept here is real");
    Ok(World { clock: Arc::new(DrivenClock::new(world.clock, drive)), ..world })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use crate::world::fake;

    #[test]
    fn only_a_directory_of_the_demo_is_served_by_a_clock_that_is_driven() {
        let (world, _, _) = fake::world(1);
        let dir = Path::new("/data");
        world.disk.create_dir_all(dir).unwrap();
        let wanted = Drive::new(world.clock.now(), Timestamp::from_seconds(5), 1).unwrap();
        assert!(drive(world.clone(), Some(wanted), dir).err().unwrap().contains(MARK));
        let real = drive(world.clone(), None, dir).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(real.clock.now(), world.clock.now());
        world.disk.create(&dir.join(MARK)).unwrap();
        let driven = drive(world, Some(wanted), dir).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(driven.clock.now(), Timestamp::from_seconds(5));
    }
}
