//! Delivery: the outbox goes to the platforms. Contract, section 6.
//!
//! One alert of a sub-account is under way at a time, oldest first; a few of an account, so that a
//! platform that hangs holds up nobody else's. The schedule lies in the outbox: a restart goes on
//! where it was.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::sync::mpsc;

use super::Step;
use crate::domain::{AccountId, AlertId, SubAccountId};
use crate::engine::identity::{password_context, sk_context};
use crate::engine::observe::{AlertEnd, Tried, keep_attempt};
use crate::engine::{Delivery, Engine, Notice, Result};
use crate::store::event::Event;
use crate::store::index::rows::{AlertRow, AlertState, alert_word};

/// Alerts of one account under way at once.
const PER_ACCOUNT: usize = 8;
/// A test that was not delivered in this time is given up: somebody waits for it, and tomorrow it would be a lie.
const TEST_GIVE_UP_AFTER: Duration = Duration::from_secs(300);
/// The outbox is looked at this often, whatever the bell says.
const EVERY: Duration = Duration::from_secs(30);

/// Alerts that go one after the other: a sub-account's, or its tests, which hold up no alert and are held up by none.
type Line = (SubAccountId, bool);

/// Runs until the engine ends. An attempt that is cut by the end is made again after the next
/// start.
pub(super) fn start(engine: &Engine) {
    let engine = engine.clone();
    let tasks = engine.inner.tasks.clone();
    tasks.spawn(async move {
        let (done, mut finished) = mpsc::unbounded_channel();
        let mut under_way: HashMap<Line, AccountId> = HashMap::new();
        loop {
            let wait = match next(&engine, &mut under_way, &done) {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::warn!(reconciler = "deliver", %error, "the outbox could not be read; it is tried again");
                    Duration::from_secs(1)
                }
            };
            tokio::select! {
                () = engine.inner.store.bells.alerts.notified() => {}
                Some(id) = finished.recv() => { under_way.remove(&id); }
                () = tokio::time::sleep(wait) => {}
                () = engine.inner.ending.cancelled() => return,
            }
        }
    });
}

/// One attempt for each line that has something due, one after the other.
pub(super) async fn step(engine: Engine) -> Result<Step> {
    for due in due(&engine, &HashMap::new())?.0 {
        attempt(&engine, due).await?;
    }
    Ok(Step::Idle)
}

/// An alert whose time has come.
struct Due {
    id: AlertId,
    row: AlertRow,
    /// It failed once, and a newer one says what is so now.
    replaced: bool,
}

/// Starts what is due; says how long there is nothing to do.
fn next(
    engine: &Engine,
    under_way: &mut HashMap<Line, AccountId>,
    done: &mpsc::UnboundedSender<Line>,
) -> Result<Duration> {
    let (all, wait) = due(engine, under_way)?;
    for due in all {
        let (id, line) = (due.id, line(due.id, &due.row));
        under_way.insert(line, due.row.account);
        let (engine, done) = (engine.clone(), done.clone());
        tokio::spawn(async move {
            let attempted = tokio::select! {
                attempted = attempt(&engine, due) => attempted,
                () = engine.inner.ending.cancelled() => return,
            };
            if let Err(error) = attempted {
                tracing::warn!(alert = id.get(), %error, "an attempt could not be written down");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            // The receiver ends only with the engine.
            let _ = done.send(line);
        });
    }
    Ok(wait.max(Duration::from_millis(1)))
}

/// What is due beside what is under way, and how long nothing else is.
fn due(engine: &Engine, under_way: &HashMap<Line, AccountId>) -> Result<(Vec<Due>, Duration)> {
    let now = engine.now();
    let mut wait = EVERY;
    let pending: Vec<_> =
        engine.inner.store.view()?.outbox()?.into_iter().filter(|(_, row)| row.state == AlertState::Pending).collect();
    let newest: HashMap<Line, AlertId> = pending.iter().map(|(id, row)| (line(*id, row), *id)).collect();
    let mut busy: HashMap<AccountId, usize> = HashMap::new();
    for account in under_way.values() {
        *busy.entry(*account).or_default() += 1;
    }
    let (mut seen, mut all) = (HashSet::new(), Vec::new());
    for (id, row) in pending {
        let line = line(id, &row);
        if under_way.contains_key(&line) || !seen.insert(line) {
            continue;
        }
        let busy = busy.entry(row.account).or_default();
        if *busy >= PER_ACCOUNT {
            continue;
        }
        // What failed once and is no longer the newest state is not worth another attempt.
        let replaced = row.attempts > 0 && newest.get(&line).is_some_and(|newest| *newest > id);
        if !replaced && row.next > now {
            wait = wait.min(row.next.since(now));
            continue;
        }
        *busy += 1;
        all.push(Due { id, row, replaced });
    }
    Ok((all, wait))
}

fn line(id: AlertId, row: &AlertRow) -> Line {
    (row.sub_account, id.is_test())
}

/// One attempt, and what it came to.
async fn attempt(engine: &Engine, due: Due) -> Result<()> {
    let Due { id, mut row, replaced } = due;
    if replaced {
        row.state = AlertState::Replaced;
    } else {
        let attempt = match notice(engine, &row)? {
            Ok(notice) => engine.inner.courier.attempt(notice).await,
            Err(why) => Delivery::Failed(why.to_owned()).into(),
        };
        settle(engine, id, &mut row, attempt.delivery.clone());
        let end = match row.state {
            AlertState::Delivered => Some(AlertEnd::Delivered),
            AlertState::GivenUp => Some(AlertEnd::GivenUp),
            AlertState::Pending | AlertState::Withdrawn | AlertState::Replaced => None,
        };
        // The counters are of what cameras' spaces came to.
        if let Some(end) = end.filter(|_| !id.is_test()) {
            engine.inner.observe.alert_ended(row.sub_account, end, engine.now());
        }
        keep_attempt(engine, Tried { alert: id, number: row.attempts, attempt }).await;
    }
    engine.change(false, move |_| Ok(vec![Event::PutAlert { id, row }])).await?;
    Ok(())
}

/// The alert with its secrets, or why it cannot be sent.
fn notice(engine: &Engine, row: &AlertRow) -> Result<std::result::Result<Notice, &'static str>> {
    let (name, password, url, profile, sk) = {
        let catalog = engine.inner.store.catalog.read();
        let (Some(account), Some(sub)) =
            (catalog.accounts.get(&row.account), catalog.sub_accounts.get(&row.sub_account))
        else {
            return Ok(Err("the sub-account is closed"));
        };
        let Some(url) = account.alert_url.clone() else { return Ok(Err("the account has no alert URL")) };
        (account.name.clone(), account.password.clone(), url, account.callback.clone(), sub.row.sk.clone())
    };
    Ok(Ok(Notice {
        url,
        profile,
        password: engine.unseal(&password_context(&name), &password)?,
        account: name,
        access_key: row.ak.clone(),
        secret: engine.unseal(&sk_context(row.ak.as_str()), &sk)?,
        alert: row.alert,
        timeout: engine.config().alerts.timeout,
    }))
}

/// Writes into the row what an attempt came to.
fn settle(engine: &Engine, id: AlertId, row: &mut AlertRow, delivery: Delivery) {
    let schedule = engine.config().alerts.schedule;
    let now = engine.now();
    row.attempts = row.attempts.saturating_add(1);
    let why = match delivery {
        Delivery::Delivered => {
            row.state = AlertState::Delivered;
            row.last = Some("delivered".to_owned());
            tracing::info!(
                alert = id.get(),
                ak = row.ak.as_str(),
                kind = alert_word(row.alert),
                attempts = row.attempts,
                "alert delivered"
            );
            return;
        }
        Delivery::Result(result) => {
            if matches!(result, 1 | 2) {
                tracing::error!(
                    alert = id.get(),
                    ak = row.ak.as_str(),
                    result,
                    "the platform does not accept our credentials: settings differ"
                );
            }
            format!("the platform answered Result {result}")
        }
        Delivery::Failed(why) => why,
    };
    let most = if id.is_test() { TEST_GIVE_UP_AFTER.min(schedule.give_up_after) } else { schedule.give_up_after };
    if now.since(row.raised) >= most {
        row.state = AlertState::GivenUp;
        tracing::error!(
            alert = id.get(),
            ak = row.ak.as_str(),
            attempts = row.attempts,
            why,
            "alert given up; it can be sent again by hand"
        );
    } else {
        let [jitter] = engine.inner.world.entropy.bytes::<1>();
        row.next = now.plus(schedule.delay(row.attempts, jitter));
        tracing::warn!(alert = id.get(), ak = row.ak.as_str(), attempts = row.attempts, why, "alert not delivered");
    }
    row.last = Some(why);
}
