//! What a journal tells of the files in the volumes: whose they are, which are deleted, which are locked.

use std::collections::{HashMap, HashSet};

use crate::domain::{AccountId, BucketId, Lock, Media, ObjectId, SubAccountId};
use crate::store::event::Event;
use crate::store::index::{bucket_of, is_own, own_bucket_of, owner_of};
use crate::store::journal::Frame;

/// A bucket by its name, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub account: String,
    pub bucket: String,
}

/// What is known of the files besides their records.
#[derive(Debug, Default)]
pub(super) struct Names {
    accounts: HashMap<AccountId, String>,
    /// The account of each bucket, and the bucket's name.
    buckets: HashMap<BucketId, (AccountId, String)>,
    dead: HashSet<ObjectId>,
    locks: HashMap<ObjectId, Lock>,
    /// Up to here it says which owners there are.
    until: u64,
}

impl Names {
    /// What these frames say, in their order.
    pub(super) fn of(frames: &[Frame]) -> Self {
        let mut names = Self::default();
        for frame in frames {
            names.until = names.until.max(frame.seq);
            names.take(frame);
        }
        names
    }

    fn take(&mut self, frame: &Frame) {
        let given = |id: u64| if id == 0 { frame.seq } else { id };
        match &frame.event {
            Event::PutAccount { id, row } => {
                self.accounts.insert(AccountId::new(given(id.get())), row.name.to_string());
            }
            Event::PutSubAccount { id, row } => {
                let id = SubAccountId::new(given(id.get()));
                let kinds = [(Media::Recording, &row.record_bucket), (Media::Picture, &row.picture_bucket)];
                for (media, name) in kinds {
                    self.buckets.insert(bucket_of(id, media), (row.account, name.as_str().to_owned()));
                }
            }
            Event::CloseSubAccount { sub_account } => {
                for media in [Media::Recording, Media::Picture] {
                    self.buckets.remove(&bucket_of(*sub_account, media));
                }
            }
            Event::PutOwnBucket { id, row } => {
                let id = SubAccountId::new(given(id.get()));
                self.buckets.insert(own_bucket_of(id), (row.account, row.name.as_str().to_owned()));
            }
            Event::DeleteOwnBucket { id } => {
                self.buckets.remove(&own_bucket_of(*id));
            }
            Event::SetLock { id, lock, .. } | Event::Mark { id, lock } => {
                self.locks.insert(*id, *lock);
            }
            Event::Delete { files, .. } => self.dead.extend(files.iter().map(|(_, id)| *id)),
            Event::Dead { ids } => self.dead.extend(ids),
            _ => {}
        }
    }

    /// Whose a bucket is; `None` where the journal does not know it.
    pub(super) fn bucket(&self, id: BucketId) -> Option<Named> {
        let (account, bucket) = self.buckets.get(&id)?;
        let account = self.accounts.get(account).cloned().unwrap_or_default();
        Some(Named { account, bucket: bucket.clone() })
    }

    /// Whether a file is known to be gone: deleted, or of a bucket that was closed before the journal's end.
    pub(super) fn is_gone(&self, bucket: BucketId, id: ObjectId) -> bool {
        self.dead.contains(&id) || (!self.buckets.contains_key(&bucket) && owner_of(bucket).get() <= self.until)
    }

    /// The lock that a file has, where it is not the one of its record.
    pub(super) fn lock(&self, id: ObjectId) -> Option<Lock> {
        self.locks.get(&id).copied()
    }
}

/// What a bucket is called that no journal knows.
pub(super) fn by_number(bucket: BucketId) -> String {
    let owner = owner_of(bucket);
    if is_own(bucket) {
        return format!("own-bucket-{owner}");
    }
    let kind = if bucket == bucket_of(owner, Media::Picture) { "pictures" } else { "recordings" };
    format!("sub-account-{owner}-{kind}")
}
