//! Every name by which somebody could tell whose box it is, for a report that shall not say so.

use super::{Caller, Engine, Result};
use crate::domain::Action;

impl Engine {
    /// Names with their kinds, in an order that stays while nothing is closed: `account`, `ak`, `bucket`, `camera`,
    /// `place`, `url` (where alerts go), `user`. Some come more than once.
    pub async fn names(&self, caller: &Caller) -> Result<Vec<(&'static str, String)>> {
        caller.must_everywhere(Action::Operate)?;
        let users = self.users(caller).await?;
        let mut all: Vec<(&'static str, String)> = Vec::new();
        let catalog = self.inner.store.catalog.read();
        for row in catalog.accounts.values() {
            all.push(("account", row.name.as_str().to_owned()));
            all.extend(row.admin.as_ref().map(|(ak, _)| ("ak", ak.as_str().to_owned())));
            all.extend(row.alert_url.clone().map(|url| ("url", url)));
        }
        let mut cameras: Vec<_> = catalog.sub_accounts.values().collect();
        cameras.sort_unstable_by_key(|sub| sub.id);
        for sub in cameras {
            let named = self.inner.observe.name(sub.id);
            all.push(("ak", sub.row.ak.as_str().to_owned()));
            all.push(("bucket", sub.row.record_bucket.as_str().to_owned()));
            all.push(("bucket", sub.row.picture_bucket.as_str().to_owned()));
            all.extend(
                [("camera", named.name), ("place", named.place)].into_iter().filter(|(_, name)| !name.is_empty()),
            );
        }
        let mut own: Vec<_> = catalog.buckets.iter().map(|(name, bucket)| (bucket.id, name)).collect();
        own.sort_unstable();
        all.extend(own.into_iter().map(|(_, name)| ("bucket", name.clone())));
        all.extend(users.into_iter().map(|user| ("user", user.user)));
        Ok(all)
    }
}
