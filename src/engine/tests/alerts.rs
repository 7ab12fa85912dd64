//! The outbox, asked page by page; and tests of it, that touch no alert of a space.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::rig::*;
use crate::domain::{Alert, AlertId, AlertRefusal, Lock, Refusal, Role, Timestamp};
use crate::engine::observe::{Period, TopBy};
use crate::engine::types::Who;
use crate::engine::{AlertQuery, AlertView, Caller, Courier, Delivery, Engine, Error, Notice, PublicUrls};
use crate::store::event::Event;
use crate::store::index::rows::{AlertRow, AlertState};

const GB: u64 = 100_000;

/// A platform that answers once it is told to.
#[derive(Clone, Default)]
struct Platform(Arc<AtomicBool>);

impl Courier for Platform {
    fn deliver(&self, _: Notice) -> Pin<Box<dyn Future<Output = Delivery> + Send>> {
        let answers = self.0.load(Ordering::SeqCst);
        Box::pin(async move { if answers { Delivery::Delivered } else { Delivery::Failed("HTTP 500".to_owned()) } })
    }
}

fn operator() -> Caller {
    Caller::operator()
}

fn user(engine: &Engine, role: Role, account: Option<&str>) -> Caller {
    let account = account.map(|name| engine.inner.store.catalog.read().names[name]);
    Caller::new(Who::User { name: "li".into(), role, account })
}

fn all() -> AlertQuery {
    AlertQuery { most: 100, ..AlertQuery::default() }
}

async fn found(engine: &Engine, query: AlertQuery) -> Vec<AlertView> {
    engine.alert_page(&operator(), query).await.unwrap().alerts
}

async fn states(engine: &Engine) -> Vec<(&'static str, &'static str, bool)> {
    let mut all = found(engine, all()).await;
    all.reverse();
    all.into_iter().map(|alert| (alert.alert, alert.state, alert.test)).collect()
}

async fn test(engine: &Engine, ak: &str, kind: Alert) -> u64 {
    engine.test_alert(&operator(), &ACCOUNT.parse().unwrap(), ak, kind).await.unwrap()
}

/// Until the alert is in this state, with the outbox looked at again and again.
async fn until(engine: &Engine, rig: &Rig, id: u64, state: &str) -> AlertView {
    for _ in 0..500 {
        let alert = engine.alert(&operator(), id).await.unwrap();
        if alert.state == state {
            return alert;
        }
        engine.reload(&rig.config);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("alert {id} never was {state}: {:?}", engine.alert(&operator(), id).await);
}

#[test]
fn a_clear_that_ends_a_full_episode_leaves_the_news_of_it_to_be_sent() {
    let mut rig = Rig::new(1, GB);
    rig.config.alerts.notify_idle = true;
    runtime().block_on(async {
        let engine = rig.open().unwrap();
        open_account(&engine, 10).await;
        let sub = open_sub(&engine, 1).await;
        let rec = bucket(&engine, sub.record_bucket.as_str());
        let named = sub_ref(&engine, sub.access_key.as_str(), sub.secret.expose()).unwrap();
        let clear = async || engine.clear_sub_account_files(&operator(), &named).await.unwrap();
        put(&engine, &rec, "a", &[1; 100_000], true, Lock::Open, 100_000).await.unwrap();
        clear().await;
        let ended = [("nearly_full", "withdrawn", false), ("full", "withdrawn", false), ("idle", "pending", false)];
        assert_eq!(states(&engine).await, ended, "the files that went ended it");
        // What is locked stays, and leaves the space above the end of an episode: the clear itself ends that.
        put(&engine, &rec, "b", &[1; 96_000], true, Lock::Locked, 96_000).await.unwrap();
        put(&engine, &rec, "c", &[1; 4_000], true, Lock::Open, 4_000).await.unwrap();
        clear().await;
        assert_eq!(states(&engine).await, [ended, ended].concat());
        assert_sound(&engine, "after two full episodes").await;
        engine.close().await.unwrap();
    });
}

#[test]
fn a_test_begins_and_ends_no_episode_and_is_withdrawn_by_none() {
    let rig = Rig::new(1, GB);
    runtime().block_on(async {
        let engine = rig.open().unwrap();
        open_account(&engine, 10).await;
        let sub = open_sub(&engine, 1).await;
        let ak = sub.access_key.as_str();
        let rec = bucket(&engine, sub.record_bucket.as_str());
        let episodes = async |engine: &Engine| engine.sub_account_view(&operator(), ak).await.unwrap().episodes;
        let id = test(&engine, ak, Alert::Full).await;
        assert!(AlertId::new(id).is_test());
        assert_eq!(states(&engine).await, [("full", "pending", true)]);
        assert!(episodes(&engine).await.is_empty(), "a test is no episode");
        test(&engine, ak, Alert::NearlyFull).await;
        put(&engine, &rec, "a", &[1; 85_000], true, Lock::Open, 85_000).await.unwrap();
        let real = ("nearly_full", "pending", false);
        let tests = [("full", "pending", true), ("nearly_full", "pending", true)];
        assert_eq!(states(&engine).await, [tests[0], tests[1], real], "a test armed nothing away");
        assert_eq!(episodes(&engine).await, ["nearly_full"]);
        // The space is well again: the real one is withdrawn, the tests go on.
        engine.delete(&operator(), &rec, &key("a")).await.unwrap();
        let withdrawn = ("nearly_full", "withdrawn", false);
        assert_eq!(states(&engine).await, [tests[0], tests[1], withdrawn]);
        put(&engine, &rec, "a", &[1; 85_000], true, Lock::Open, 85_000).await.unwrap();
        test(&engine, ak, Alert::NearlyFull).await;
        let expected = [tests[0], tests[1], withdrawn, real, tests[1]];
        assert_eq!(states(&engine).await, expected);
        let totals = engine.alert_totals(&operator()).await.unwrap();
        assert_eq!((totals.pending, totals.given_up, totals.unseen), (1, 0, 0), "tests are nobody's trouble");
        assert_eq!(engine.status(&operator()).await.unwrap().alerts_pending, 1);
        assert_sound(&engine, "with tests in the outbox").await;
        engine.close().await.unwrap();

        // Durable; and all of them are delivered, the counters know the real one alone.
        let platform = Platform::default();
        platform.0.store(true, Ordering::SeqCst);
        let engine = Engine::open(rig.world.clone(), &rig.config, PublicUrls::default(), Arc::new(platform)).unwrap();
        assert_eq!(states(&engine).await, expected);
        engine.start();
        for alert in found(&engine, all()).await.into_iter().filter(|alert| alert.state == "pending") {
            until(&engine, &rig, alert.id, "delivered").await;
        }
        assert_eq!(engine.alert_note(&operator(), id).await.unwrap().attempts.len(), 1);
        engine.close().await.unwrap();
        let engine = rig.open().unwrap();
        let counted = engine.statistics(&operator(), None, Period::Day, TopBy::default()).await.unwrap().total;
        assert_eq!((counted.alerts_raised, counted.alerts_delivered), (2, 1));
        engine.close().await.unwrap();
    });
}

#[test]
fn a_test_is_tried_at_once_beside_an_alert_that_waits_and_is_given_up_after_five_minutes() {
    let rig = Rig::new(2, GB);
    runtime().block_on(async {
        let platform = Platform::default();
        let engine =
            Engine::open(rig.world.clone(), &rig.config, PublicUrls::default(), Arc::new(platform.clone())).unwrap();
        engine.start();
        open_account(&engine, 10).await;
        let sub = open_sub(&engine, 1).await;
        let ak = sub.access_key.as_str();
        let rec = bucket(&engine, sub.record_bucket.as_str());
        put(&engine, &rec, "a", &[1; 85_000], true, Lock::Open, 85_000).await.unwrap();
        let real = found(&engine, all()).await[0].id;
        let attempts = async |id: u64| engine.alert_note(&operator(), id).await.unwrap().attempts.len();
        for _ in 0..500 {
            if attempts(real).await == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // The real one failed and waits for its second attempt; the clock stands still.
        let first = test(&engine, ak, Alert::NearlyFull).await;
        for _ in 0..500 {
            if attempts(first).await == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!((attempts(first).await, attempts(real).await), (1, 1));
        // A newer test takes the place of one that failed, and not of the real one.
        let second = test(&engine, ak, Alert::NearlyFull).await;
        until(&engine, &rig, first, "replaced").await;
        assert_eq!(engine.alert(&operator(), real).await.unwrap().state, "pending");
        rig.clock.advance(Duration::from_secs(301));
        let given_up = until(&engine, &rig, second, "given_up").await;
        assert_eq!(given_up.last.as_deref(), Some("HTTP 500"));
        assert_eq!(engine.alert(&operator(), real).await.unwrap().state, "pending", "it has its 24 hours");
        assert_eq!(engine.status(&operator()).await.unwrap().alerts_given_up, 0);
        platform.0.store(true, Ordering::SeqCst);
        engine.resend_alert(&operator(), second).await.unwrap();
        until(&engine, &rig, second, "delivered").await;
        assert!(matches!(engine.resend_alert(&operator(), second).await, Err(Error::Refused(Refusal::NoFile))));
        engine.close().await.unwrap();
    });
}

#[test]
fn who_may_test_and_what_cannot_be_tested() {
    let rig = Rig::new(3, GB);
    runtime().block_on(async {
        let engine = rig.open().unwrap();
        open_account(&engine, 10).await;
        let sub = open_sub(&engine, 1).await;
        let (ak, name) = (sub.access_key.as_str(), ACCOUNT.parse().unwrap());
        for (role, account) in [(Role::Province, Some(ACCOUNT)), (Role::Viewer, Some(ACCOUNT)), (Role::Auditor, None)] {
            let caller = user(&engine, role, account);
            assert!(engine.test_alert(&caller, &name, ak, Alert::Full).await.is_err(), "{role:?}");
        }
        let staff = user(&engine, Role::Operations, None);
        let refused = async |name: &str, ak: &str, kind| match engine
            .test_alert(&staff, &name.parse().unwrap(), ak, kind)
            .await
        {
            Err(Error::Refused(refusal)) => refusal,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused("nobody", ak, Alert::Full).await, Refusal::NoAccount);
        assert_eq!(refused(ACCOUNT, "NOBODY", Alert::Full).await, Refusal::NoSubAccount);
        assert_eq!(refused(ACCOUNT, ak, Alert::Idle).await, AlertRefusal::NoIdle.into());
        let mut deaf = crate::engine::NewAccount {
            name: "zhejiang".parse().unwrap(),
            password: None,
            space: gigabytes(1),
            alert_url: None,
            max_sub_accounts: None,
        };
        engine.open_account(&operator(), deaf.clone()).await.unwrap();
        assert_eq!(refused("zhejiang", ak, Alert::Full).await, AlertRefusal::NoAlertUrl.into());
        deaf.name = "anhui".parse().unwrap();
        deaf.alert_url = Some("http://platform.example/".to_owned());
        engine.open_account(&operator(), deaf).await.unwrap();
        assert_eq!(refused("anhui", ak, Alert::Full).await, Refusal::NoSubAccount, "another account's");
        assert!(found(&engine, all()).await.is_empty());

        let id = test(&engine, ak, Alert::Full).await;
        let (own, other) = (user(&engine, Role::Province, Some(ACCOUNT)), user(&engine, Role::Province, Some("anhui")));
        assert_eq!(engine.alert(&own, id).await.unwrap().id, id);
        assert_eq!(engine.alert_page(&own, all()).await.unwrap().alerts.len(), 1);
        assert!(engine.alert(&other, id).await.is_err());
        let theirs = AlertQuery { account: ACCOUNT.to_owned(), ..all() };
        assert!(engine.alert_page(&other, theirs).await.unwrap().alerts.is_empty());
        assert!(engine.alert_page(&user(&engine, Role::Viewer, Some(ACCOUNT)), all()).await.is_err());
        assert!(engine.resend_alert(&own, id).await.is_err());
        engine.close().await.unwrap();
    });
}

#[test]
fn a_long_log_is_read_page_by_page_and_every_alert_is_there_once() {
    let rig = Rig::new(4, GB);
    runtime().block_on(async {
        let engine = rig.open().unwrap();
        open_account(&engine, 10).await;
        let sub = open_sub(&engine, 1).await;
        let (account, sub_account) = {
            let catalog = engine.inner.store.catalog.read();
            let id = catalog.names[ACCOUNT];
            (id, *catalog.of_account[&id].first().unwrap())
        };
        let number = std::env::var("KANDIAN_ALERTS").ok().and_then(|n| n.parse().ok()).unwrap_or(5_000_u64);
        let base = 1_000_000;
        for chunk in (0..number).collect::<Vec<_>>().chunks(1000) {
            let event = |n: &u64| {
                let row = AlertRow {
                    sub_account,
                    account,
                    ak: sub.access_key.clone(),
                    alert: if n.is_multiple_of(3) { Alert::Full } else { Alert::NearlyFull },
                    raised: Timestamp::from_millis(i64::try_from(*n).unwrap()),
                    state: if n.is_multiple_of(10) { AlertState::Withdrawn } else { AlertState::Delivered },
                    attempts: 1,
                    next: Timestamp::from_millis(0),
                    last: Some("delivered".to_owned()),
                };
                Event::PutAlert { id: AlertId::new(base + n * 4), row }
            };
            let events = chunk.iter().map(event).collect();
            engine.change(false, move |_| Ok(events)).await.unwrap();
        }
        let pending = test(&engine, sub.access_key.as_str(), Alert::Full).await;
        let walk = async |query: AlertQuery| {
            let (mut ids, mut query) = (Vec::new(), query);
            loop {
                let page = engine.alert_page(&operator(), query.clone()).await.unwrap();
                assert!(page.alerts.len() <= query.most);
                ids.extend(page.alerts.iter().map(|alert| alert.id));
                query.before = page.next;
                if query.before.is_none() {
                    return ids;
                }
            }
        };
        let everything = walk(AlertQuery { most: 999, ..all() }).await;
        assert_eq!(everything.len() as u64, number + 1);
        assert!(everything.is_sorted_by(|a, b| a > b), "newest first, each once, the two tables as one");
        assert!(everything.contains(&pending));
        let withdrawn = walk(AlertQuery { state: "withdrawn".to_owned(), kind: "full".to_owned(), ..all() }).await;
        assert_eq!(withdrawn.len() as u64, number.div_ceil(30));
        engine.acknowledge_alert(&operator(), base + 40, true).await.unwrap();
        assert_eq!(walk(AlertQuery { acknowledged: Some(true), ..all() }).await, [base + 40]);
        let rest = walk(AlertQuery { acknowledged: Some(false), most: 1000, ..all() }).await;
        assert_eq!(rest.len() as u64, number);
        assert_eq!(walk(AlertQuery { test: Some(true), ..all() }).await, [pending]);
        assert!(walk(AlertQuery { ak: "NOBODY".to_owned(), ..all() }).await.is_empty());
        for query in
            [all(), AlertQuery { ak: "NOBODY".to_owned(), ..all() }, AlertQuery { acknowledged: Some(true), ..all() }]
        {
            let begun = std::time::Instant::now();
            engine.alert_page(&operator(), query).await.unwrap();
            println!("{number} alerts, a page: {:?}", begun.elapsed());
        }
        engine.close().await.unwrap();
    });
}
