//! From the hours of the world's clock to a settled statement.

use std::time::Duration;

use super::rig::{ACCOUNT, Rig, bucket, open_account, open_sub, put, runtime};
use crate::domain::billing::{BillingRefusal, Booked, Charge, Hour, Money, Outcome, Rule, Tariff};
use crate::domain::{Lock, Refusal, Role, Timestamp};
use crate::engine::billing::BillingAccount;
use crate::engine::types::Who;
use crate::engine::{Caller, Engine, Error};

const HOUR: u64 = 3600;

fn account() -> BillingAccount {
    BillingAccount::Name(ACCOUNT.to_owned())
}

fn refusal<T: std::fmt::Debug>(result: crate::engine::Result<T>) -> BillingRefusal {
    match result {
        Err(Error::Refused(Refusal::Billing(refusal))) => refusal,
        other => panic!("{other:?}"),
    }
}

fn user(engine: &Engine, role: Role, account: Option<&str>) -> Caller {
    let account = account.map(|name| engine.inner.store.catalog.read().names[name]);
    Caller::new(Who::User { name: "u".into(), role, account })
}

fn tariff(price: &str, from: &str) -> Tariff {
    Tariff {
        name: "标准".to_owned(),
        basis: crate::domain::billing::Basis::HandedOut,
        rule: Rule::PerGb { price_li: price.parse().unwrap() },
        minimum_li: Money::ZERO,
        from: from.parse().unwrap(),
        to: None,
    }
}

/// To 2026-10-31 23:30 at +08:00.
fn evening(rig: &Rig) {
    let at = Timestamp::from_seconds(1_793_460_600);
    rig.clock.advance(at.since(rig.world.clock.now()));
}

async fn catch_up(engine: &Engine) {
    while engine.sample().await.unwrap() {}
}

/// An account with 10 GB handed out, sampled each hour of November 2026 but for a pause on the 10th.
async fn november(rig: &Rig, engine: &Engine) {
    evening(rig);
    open_account(engine, 100).await;
    let sub = open_sub(engine, 10).await;
    let target = bucket(engine, sub.record_bucket.as_str());
    put(engine, &target, "a", &[7; 1000], true, Lock::Open, 1000).await.unwrap();
    let operator = Caller::operator();
    engine.add_tariff(&operator, tariff("0.3", "2026-01-01")).await.unwrap();
    let from = "2026-10-01".parse().unwrap();
    engine.assign_tariff(&operator, &account(), Some("标准".to_owned()), from, None).await.unwrap();
    for hour in 0..=721 {
        if !(220..250).contains(&hour) {
            catch_up(engine).await;
        }
        rig.clock.advance(Duration::from_secs(HOUR));
    }
    catch_up(engine).await;
}

#[test]
fn a_month_is_sampled_issued_adjusted_and_settled_and_computed_again_it_has_the_same_bytes() {
    let rig = Rig::new(1, 8 << 20);
    let engine = rig.open().unwrap();
    runtime().block_on(async {
        november(&rig, &engine).await;
        let (operator, month) = (Caller::operator(), "2026-11".parse().unwrap());
        let due = engine.overview(&operator).await.unwrap().to_issue.unwrap();
        assert_eq!((due.month, due.accounts), (month, 1));
        let trial = engine.statement(&operator, &account(), month).await.unwrap();
        assert_eq!((trial.state, trial.over, trial.due_li), ("trial", true, Money::from_li(3000)));
        let line = &trial.statement.lines[0];
        assert_eq!((line.charge, line.hours, line.carried_hours), (Charge::PerGb, 720, 30));
        let issued = engine.issue_statement(&operator, &account(), month).await.unwrap();
        assert_eq!((issued.state, &issued.digest), ("issued", &trial.digest));
        assert_eq!(engine.overview(&operator).await.unwrap().to_issue, None);
        assert_eq!(refusal(engine.issue_statement(&operator, &account(), month).await), BillingRefusal::Issued);
        assert_eq!(
            refusal(engine.issue_statement(&operator, &account(), month.next()).await),
            BillingRefusal::NotOver { month: month.next() }
        );
        // What it was made from is locked, what comes after is not.
        let locked = BillingRefusal::Locked { month, account: ACCOUNT.to_owned() };
        assert_eq!(refusal(engine.add_tariff(&operator, tariff("9", "2026-11-30")).await), locked);
        let (last, next) = ("2026-11-30".parse().unwrap(), "2026-12-01".parse().unwrap());
        assert_eq!(refusal(engine.assign_tariff(&operator, &account(), None, last, None).await), locked);
        engine.add_tariff(&operator, tariff("9", "2026-12-01")).await.unwrap();
        engine.assign_tariff(&operator, &account(), None, next, None).await.unwrap();
        assert!(engine.verify_statement(&operator, &account(), month).await.unwrap().same);
        let wrong = engine.adjust_statement(&operator, &account(), month, Money::from_li(5), " ").await;
        assert_eq!(refusal(wrong), BillingRefusal::BadAdjustment);
        let less = Money::from_li(-500);
        let adjusted = engine.adjust_statement(&operator, &account(), month, less, "停机补偿").await.unwrap();
        assert_eq!((adjusted.state, adjusted.due_li), ("adjusted", Money::from_li(2500)));
        assert_eq!((&adjusted.canonical, &adjusted.digest), (&issued.canonical, &issued.digest));
        let settled = engine.settle_statement(&operator, &account(), month).await.unwrap();
        assert_eq!((settled.state, settled.due_li), ("settled", Money::from_li(2500)));
        let late = engine.adjust_statement(&operator, &account(), month, less, "x").await;
        assert_eq!(refusal(late), BillingRefusal::Settled);
        let theirs = vec![Booked { account: ACCOUNT.to_owned(), amount: Money::from_li(2500) }];
        let found = engine.reconcile_month(&operator, month, theirs).await.unwrap();
        assert_eq!(found.iter().map(|m| m.outcome).collect::<Vec<_>>(), [Outcome::Matches]);
        engine.close().await.unwrap();
    });
    let engine = rig.open().unwrap();
    runtime().block_on(async {
        let month = "2026-11".parse().unwrap();
        let verified = engine.verify_statement(&Caller::operator(), &account(), month).await.unwrap();
        assert!(verified.same, "{verified:?}");
        engine.close().await.unwrap();
    });
}

#[test]
fn an_hour_has_one_sample_and_those_of_a_closed_account_stay() {
    let rig = Rig::new(2, 8 << 20);
    let engine = rig.open().unwrap();
    runtime().block_on(async {
        evening(&rig);
        open_account(&engine, 100).await;
        open_sub(&engine, 10).await;
        let operator = Caller::operator();
        catch_up(&engine).await;
        open_sub(&engine, 20).await;
        catch_up(&engine).await;
        rig.clock.advance(Duration::from_secs(3 * HOUR));
        catch_up(&engine).await;
        let number = BillingAccount::Number(engine.account_id(&ACCOUNT.parse().unwrap()).unwrap().get());
        engine.close_account(&operator, &ACCOUNT.parse().unwrap()).await.unwrap();
        rig.clock.advance(Duration::from_secs(2 * HOUR));
        catch_up(&engine).await;
        let (from, to) = ("2026-10-01".parse().unwrap(), "2026-12-01".parse().unwrap());
        for account in [account(), number] {
            let page = engine.billing_samples(&operator, &account, from, to).await.unwrap();
            let seen: Vec<_> = page.samples.iter().map(|s| (s.at.as_str(), s.handed_out_gb, s.carried)).collect();
            let expected = [
                ("2026-10-31 23:00", 10, false),
                ("2026-11-01 00:00", 10, true),
                ("2026-11-01 01:00", 10, true),
                ("2026-11-01 02:00", 30, false),
            ];
            assert_eq!(seen, expected);
        }
        let page = engine.billing_month(&operator, "2026-11".parse().unwrap(), 0, 10).await.unwrap();
        assert_eq!(page.rows.iter().map(|row| row.account.as_str()).collect::<Vec<_>>(), [ACCOUNT]);
        engine.close().await.unwrap();
    });
}

#[test]
fn a_clock_that_jumps_far_ahead_makes_up_for_400_days_and_no_more() {
    let rig = Rig::new(3, 8 << 20);
    let engine = rig.open().unwrap();
    runtime().block_on(async {
        evening(&rig);
        open_account(&engine, 100).await;
        catch_up(&engine).await;
        rig.clock.advance(Duration::from_secs(10_000 * 24 * HOUR));
        catch_up(&engine).await;
        let (from, to) = ("2026-10-01".parse().unwrap(), "2099-01-01".parse().unwrap());
        let page = engine.billing_samples(&Caller::operator(), &account(), from, to).await.unwrap();
        let now = Hour::of(engine.now(), 480).get();
        let hours: Vec<_> = page.samples.iter().map(|sample| (sample.hour, sample.carried)).take(3).collect();
        let first = now - 10_000 * 24;
        assert_eq!(hours, [(first, false), (now - 9600, true), (now - 9599, true)]);
        engine.close().await.unwrap();
    });
}

#[test]
fn a_province_sees_its_own_issued_statements_and_a_viewer_none() {
    let rig = Rig::new(4, 8 << 20);
    let engine = rig.open().unwrap();
    runtime().block_on(async {
        november(&rig, &engine).await;
        let (operator, month) = (Caller::operator(), "2026-11".parse().unwrap());
        let province = user(&engine, Role::Province, Some(ACCOUNT));
        let other = Caller::new(Who::User {
            name: "o".into(),
            role: Role::Province,
            account: Some(crate::domain::AccountId::new(999)),
        });
        let (first, end) = ("2026-11-01".parse().unwrap(), "2027-01-01".parse().unwrap());
        assert_eq!(refusal(engine.statement(&province, &account(), month).await), BillingRefusal::NoStatement);
        assert_eq!(
            refusal(engine.billing_samples(&province, &account(), first, end).await),
            BillingRefusal::NoStatement
        );
        engine.issue_statement(&operator, &account(), month).await.unwrap();
        assert_eq!(engine.statement(&province, &account(), month).await.unwrap().state, "issued");
        assert_eq!(engine.statements(&province, &account()).await.unwrap().len(), 1);
        assert_eq!(engine.billing_samples(&province, &account(), first, end).await.unwrap().samples.len(), 720);
        let auditor = user(&engine, Role::Auditor, None);
        assert_eq!(engine.statement(&auditor, &account(), month).await.unwrap().state, "issued");
        let forbidden = |error: Error| matches!(error, Error::Refused(Refusal::Forbidden));
        for nobody in [&other, &user(&engine, Role::Viewer, Some(ACCOUNT))] {
            assert!(forbidden(engine.statement(nobody, &account(), month).await.unwrap_err()));
            assert!(forbidden(engine.statements(nobody, &account()).await.unwrap_err()));
            assert!(forbidden(engine.billing_samples(nobody, &account(), first, end).await.unwrap_err()));
            assert!(forbidden(engine.verify_statement(nobody, &account(), month).await.unwrap_err()));
        }
        for nobody in [&other, &province, &auditor] {
            assert!(forbidden(engine.issue_statement(nobody, &account(), month).await.unwrap_err()));
            assert!(forbidden(engine.settle_statement(nobody, &account(), month).await.unwrap_err()));
            assert!(forbidden(engine.add_tariff(nobody, tariff("1", "2027-01-01")).await.unwrap_err()));
            let assigned = engine.assign_tariff(nobody, &account(), None, first, None).await;
            assert!(forbidden(assigned.unwrap_err()));
        }
        for nobody in [&other, &province] {
            assert!(forbidden(engine.billing_month(nobody, month, 0, 10).await.unwrap_err()));
            assert!(forbidden(engine.tariffs(nobody).await.unwrap_err()));
            assert!(forbidden(engine.tariff_assignments(nobody, None).await.unwrap_err()));
            assert!(forbidden(engine.reconcile_month(nobody, month, Vec::new()).await.unwrap_err()));
        }
        engine.close().await.unwrap();
    });
}
