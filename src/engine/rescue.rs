//! What is done where no box runs: a backup put back, files out of volumes that are left.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::backup::{taken, verified};
use super::identity::{password_context, sk_context};
use super::{Engine, Error, Extract, ExtractReport, Result, options};
use crate::config::Config;
use crate::domain::{
    AccountId, AccountName, AtTheEnd, BucketName, CallbackProfile, GigabyteSize, Gigabytes, Secret, SubAccountId,
    Timestamp,
};
use crate::store::Store;
use crate::store::event::Event;
use crate::store::extract;
use crate::store::index::rows::{AccountRow, OwnBucketRow, SubAccountRow};
use crate::store::restore::{Backup, Stranger};
use crate::vault::Keys;
use crate::world::{Entropy, World};

const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// What came of putting a backup back.
#[derive(Clone, Debug, Serialize)]
pub struct RestoreReport {
    /// When the backup was taken, ms since 1970.
    pub taken_ms: i64,
    /// Files in the index now.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Accounts now.
    pub accounts: u64,
    /// Sub-accounts now.
    pub sub_accounts: u64,
    /// Files that were stored after the backup, found in the volumes.
    pub newer_objects: u64,
    /// Files that the backup knows and of which there is no record: deleted since, or lost.
    pub missing_objects: u64,
    /// Those of them that lie in volumes which are not there.
    pub in_missing_volumes: u64,
    /// Where it is known from what came after the backup: `volumes` (the journal beside them), or `backup`.
    pub journal: &'static str,
    /// Sub-accounts and own buckets that came after the backup and whose files were found.
    pub adopted: u64,
    /// The account that has them.
    pub adopted_by: Option<String>,
    /// What was in the way, under its new name.
    pub kept_aside: Vec<String>,
    /// What cannot be known, in words.
    pub unknown: Vec<String>,
}

impl Engine {
    /// Writes the files in volumes of a dead box into a directory. Blocks; see [`extract::extract`].
    pub fn extract(world: &World, what: &Extract, progress: impl FnMut(u64, u64)) -> Result<ExtractReport> {
        Ok(extract::extract(world, what, progress)?)
    }

    /// Puts a backup back where no store is open, and holds it against the volumes that are there. Blocks.
    ///
    /// # Errors
    ///
    /// The backup is not what it was, the data directory is in use or, unless `force`, not empty, the master key is
    /// missing, or the volumes are another store's.
    pub fn restore(world: &World, config: &Config, dir: &Path, force: bool) -> Result<RestoreReport> {
        let manifest = verified(world, dir)?;
        let store = hex::decode(&manifest.store).ok().and_then(|id| id.try_into().ok());
        let store = store.ok_or_else(|| Error::Broken("manifest.json names no store".into()))?;
        let backup = Backup { dir, store, sequence: manifest.sequence, last_event: manifest.last_event, force };
        let now = world.clock.now();
        let name: AccountName = format!("recovered-{}", now.seconds())
            .parse()
            .map_err(|error| Error::Broken(format!("name an account: {error}").into()))?;
        let gigabyte = config.space.bytes_per_gb;
        let mut adopt = |key: &Keys, first: u64, strangers: &BTreeMap<SubAccountId, Stranger>| {
            adopters(&*world.entropy, key, &name, AccountId::new(first), strangers, now, gigabyte)
        };
        let done = Store::restore(world, &options(config), &backup, &mut adopt)?;
        let mut unknown = Vec::new();
        if !done.journal_was_there {
            unknown.push(
                "the journal beside the volumes is missing or older than the backup: deletions, locks and changes of \
                 accounts since the backup are not known; files that were deleted since and whose space was not given \
                 back yet are there again"
                    .to_owned(),
            );
        }
        if done.journal_was_damaged {
            unknown
                .push("the journal beside the volumes is damaged: what came after the damage is not known".to_owned());
        }
        if done.missing > 0 {
            unknown.push(format!(
                "of {} files that the backup knows there is no record: they were deleted since, or lost; {} of them lie \
                 in volumes that are not there",
                done.missing, done.in_missing_volumes
            ));
        }
        unknown
            .push("sessions, counters and notes of the portals are as they were when the backup was taken".to_owned());
        tracing::info!(taken = taken(&manifest).millis(), objects = done.rebuilt.objects, "a backup was put back");
        Ok(RestoreReport {
            taken_ms: manifest.taken_ms,
            objects: done.rebuilt.objects,
            bytes: done.rebuilt.bytes,
            accounts: done.rebuilt.accounts,
            sub_accounts: done.rebuilt.sub_accounts,
            newer_objects: done.newer,
            missing_objects: done.missing,
            in_missing_volumes: done.in_missing_volumes,
            journal: if done.journal_was_there { "volumes" } else { "backup" },
            adopted: done.adopted,
            adopted_by: (done.adopted > 0).then(|| name.to_string()),
            kept_aside: done.kept_aside.iter().map(|path| path.display().to_string()).collect(),
            unknown,
        })
    }
}

/// An account, and in it a sub-account or an own bucket for each owner that nobody knows. Their keys and the password
/// are random and nobody's: an operator gives the account another, or takes the files out.
fn adopters(
    entropy: &dyn Entropy,
    key: &Keys,
    name: &AccountName,
    account: AccountId,
    strangers: &BTreeMap<SubAccountId, Stranger>,
    now: Timestamp,
    gigabyte: GigabyteSize,
) -> Vec<Event> {
    // Twice what lies there, so that it is not nearly full.
    let space_of = |bytes: u64| u32::try_from(bytes / gigabyte.get() * 2 + 2).unwrap_or(u32::MAX);
    let gigabytes = |number: u32| Gigabytes::new(number).unwrap_or(Gigabytes::MAX);
    let all = strangers.values().map(|stranger| space_of(stranger.bytes)).fold(0, u32::saturating_add);
    let password = Secret::new(entropy.text(LETTERS, 24));
    let row = AccountRow {
        name: name.clone(),
        password: key.seal_secret(entropy, &password_context(name), &password),
        space: gigabytes(all),
        max_sub_accounts: u32::try_from(strangers.len()).unwrap_or(u32::MAX),
        alert_url: None,
        callback: CallbackProfile::default(),
        admin: None,
        created: now,
        suspended: None,
    };
    let mut events = vec![Event::PutAccount { id: account, row }];
    for (&id, stranger) in strangers {
        let bucket = |kind: &str| -> Option<BucketName> { format!("recovered-{id}-{kind}").parse().ok() };
        let (Some(own), Some(record_bucket), Some(picture_bucket)) = (bucket("own"), bucket("rec"), bucket("pic"))
        else {
            continue;
        };
        if stranger.own {
            let row = OwnBucketRow { account, name: own, created: now };
            events.push(Event::PutOwnBucket { id, row });
            continue;
        }
        let (ak, sk) = (entropy.text(LETTERS, 20), Secret::new(entropy.text(LETTERS, 40)));
        let sk = key.seal_secret(entropy, &sk_context(&ak), &sk);
        let Ok(ak) = ak.parse() else { continue };
        let row = SubAccountRow {
            account,
            ak,
            sk,
            space: gigabytes(space_of(stranger.bytes)),
            at_the_end: AtTheEnd::Stop,
            record_bucket,
            picture_bucket,
            created: now,
        };
        events.push(Event::PutSubAccount { id, row });
    }
    events
}
