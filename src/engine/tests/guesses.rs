//! Who guesses keys and passwords waits, also after a restart; who has been right does not.

use std::net::IpAddr;
use std::time::Duration;

use super::rig::{ACCOUNT, PASSWORD, Rig, open_account, open_sub, runtime};
use crate::domain::Refusal;
use crate::domain::guessing::{KEY, PLACE, PROVED_FREE};
use crate::engine::guesses::What;
use crate::engine::{Caller, Engine, Error, Result};

const CAMERA: &str = "10.1.2.3";
const STRANGER: &str = "203.0.113.9";

fn from(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

/// Seconds that it has to wait; 0 where it need not.
fn slow<T>(done: Result<T>) -> u64 {
    match done {
        Ok(_) => 0,
        Err(Error::Refused(Refusal::Slow { seconds })) => seconds,
        Err(other) => panic!("{other}"),
    }
}

fn wrong(engine: &Engine, key: &str, place: &str) -> u64 {
    let attempt = match engine.attempt(What::Key, Some(key), from(place)) {
        Ok(attempt) => attempt,
        slowed => return slow(slowed),
    };
    slow(engine.guessed_wrong(attempt.as_ref(), Some(key)))
}

fn right(engine: &Engine, key: &str, place: &str) -> u64 {
    let attempt = engine.attempt(What::Key, Some(key), from(place));
    if let Ok(attempt) = &attempt {
        engine.guessed_right(attempt.as_ref());
    }
    slow(attempt)
}

#[test]
fn a_guesser_of_a_key_waits_longer_each_time_also_after_a_restart_and_its_camera_never() {
    runtime().block_on(async {
        let rig = Rig::new(11, 1000);
        let engine = rig.open().unwrap();
        assert_eq!(right(&engine, "AK", CAMERA), 0);
        for _ in 0..=KEY.free {
            assert_eq!(wrong(&engine, "AK", STRANGER), 0, "it is told that it is wrong");
        }
        assert_eq!(wrong(&engine, "AK", STRANGER), 1);
        assert_eq!(right(&engine, "AK", STRANGER), 1, "a lucky guess is not looked at");
        rig.clock.advance(Duration::from_secs(1));
        assert_eq!(wrong(&engine, "AK", STRANGER), 0);
        assert_eq!(wrong(&engine, "AK", STRANGER), 2);
        engine.close().await.unwrap();
        drop(engine);
        let engine = rig.open().unwrap();
        assert_eq!(wrong(&engine, "AK", STRANGER), 2);
        assert_eq!(right(&engine, "AK", CAMERA), 0, "nobody is locked out by a stranger");
        assert_eq!(right(&engine, "AK", "10.1.2.4"), 0, "nor where it moves to");
        let (slowed, ..) = engine.slowed_down();
        let told: Vec<_> = slowed.iter().map(|s| (s.what, s.who.as_deref(), s.from.as_deref())).collect();
        assert_eq!(told, [("access key", Some("AK"), Some(STRANGER))]);
        rig.clock.advance(Duration::from_secs(2));
        assert_eq!(right(&engine, "AK", STRANGER), 0);
        for _ in 0..=KEY.free {
            assert_eq!(wrong(&engine, "AK", STRANGER), 0, "what was right once has more patience");
        }
        let log = engine.audit_log(&Caller::operator(), 100).await.unwrap();
        let lines: Vec<_> = log.iter().filter(|(_, line)| line.what == "GuessingSlowed").collect();
        assert_eq!(lines.len(), 1, "one line, not one a guess: {lines:?}");
        assert_eq!((lines[0].1.who.as_str(), lines[0].1.from.as_str()), ("AK", STRANGER));
    });
}

#[test]
fn a_camera_that_signs_one_kind_of_request_wrongly_is_told_so_and_its_others_are_served() {
    let rig = Rig::new(12, 1000);
    let engine = rig.open().unwrap();
    assert_eq!(right(&engine, "AK", CAMERA), 0);
    for _ in 0..3 {
        for _ in 0..PROVED_FREE {
            assert_eq!(wrong(&engine, "AK", CAMERA), 0);
        }
        assert_eq!(right(&engine, "AK", CAMERA), 0);
    }
    for _ in 0..PROVED_FREE {
        wrong(&engine, "AK", CAMERA);
    }
    assert!(wrong(&engine, "AK", CAMERA) > 0, "nothing but failures is not told any more");
    assert_eq!(right(&engine, "AK", CAMERA), 0, "what is right always comes in");
}

#[test]
fn cameras_that_are_set_up_wrongly_do_not_lock_out_the_others_behind_their_address() {
    let rig = Rig::new(13, 1000);
    let engine = rig.open().unwrap();
    for n in 0..=PLACE.free {
        wrong(&engine, &format!("AK{n}"), CAMERA);
    }
    assert_eq!(wrong(&engine, "AK0", CAMERA), 1, "the address waits as a whole");
    assert_eq!(right(&engine, "GOOD", CAMERA), 1, "nothing was ever right from there");
    assert_eq!(right(&engine, "GOOD", "10.1.2.4"), 0, "another address does not wait");
    rig.clock.advance(Duration::from_secs(1));
    assert_eq!(right(&engine, "GOOD", CAMERA), 0);
    for n in 0..=PLACE.free {
        wrong(&engine, &format!("BK{n}"), CAMERA);
    }
    assert_eq!(right(&engine, "GOOD", CAMERA), 0);
    assert_eq!(right(&engine, "NEW", CAMERA), 0, "where others are right, what is right comes in");
    assert_eq!(slow(engine.credential("nobody-has-it", from(CAMERA))), 0);
}

#[test]
fn names_that_nobody_has_are_one_and_none_of_them_is_written_down() {
    let rig = Rig::new(14, 1000);
    let engine = rig.open().unwrap();
    let ask = |n: u32| engine.credential(&format!("hunter{n}"), from(STRANGER)).map(|found| assert!(found.is_none()));
    for n in 0..=KEY.free {
        assert_eq!(slow(ask(n)), 0);
    }
    assert_eq!(slow(ask(99)), 1);
    assert_eq!(right(&engine, "AK", STRANGER), 0, "who has a key behind the same address comes in");
    engine.inner.guesses.flush(&engine.inner.books).unwrap();
    assert!(!engine.slowed_down().0.iter().any(|slowed| slowed.who.is_some()));
}

#[test]
fn who_has_an_address_of_ipv6_has_no_more_guesses_than_with_one_of_ipv4() {
    let rig = Rig::new(15, 1000);
    let engine = rig.open().unwrap();
    for n in 0..=KEY.free {
        assert_eq!(wrong(&engine, "AK", &format!("2001:db8::{n:x}")), 0);
    }
    assert_eq!(wrong(&engine, "AK", "2001:db8::ffff"), 1);
    assert_eq!(wrong(&engine, "AK", "2001:db8:0:1::1"), 0);
}

#[test]
fn a_platform_that_guesses_waits_for_its_answer_and_the_answer_is_the_contracts() {
    runtime().block_on(async {
        let rig = Rig::new(16, 1000);
        let engine = rig.open().unwrap();
        open_account(&engine, 10).await;
        let ask = async |password: &str, place: &str| {
            let asked = engine.sign_in_from(ACCOUNT, password, from(place));
            // It waits for a quarter of a second at least, where it waits.
            tokio::time::timeout(Duration::from_millis(100), asked).await.ok()
        };
        assert!(ask(PASSWORD, CAMERA).await.unwrap().is_ok());
        for _ in 0..21 {
            let told = ask("wrong", STRANGER).await.unwrap();
            assert!(matches!(told, Err(Error::Refused(Refusal::WrongPassword))));
        }
        assert!(ask("wrong", STRANGER).await.is_none());
        assert!(ask(PASSWORD, STRANGER).await.is_none(), "a lucky guess waits as well");
        assert!(ask(PASSWORD, CAMERA).await.unwrap().is_ok(), "the platform does not");
        let (one, other) = tokio::join!(
            engine.sign_in_from(ACCOUNT, "wrong", from(STRANGER)),
            engine.sign_in_from(ACCOUNT, "wrong", from(STRANGER)),
        );
        assert!(matches!(one, Err(Error::Refused(Refusal::WrongPassword))), "after its wait");
        assert!(matches!(other, Err(Error::Busy(_))), "one at a time");
        rig.clock.advance(Duration::from_secs(60));
        assert!(ask(PASSWORD, STRANGER).await.unwrap().is_ok());
    });
}

#[test]
fn a_secret_key_is_not_guessed_over_soap_either() {
    runtime().block_on(async {
        let rig = Rig::new(17, 1000);
        let engine = rig.open().unwrap();
        open_account(&engine, 10).await;
        let sub = open_sub(&engine, 1).await;
        let platform = engine.sign_in(ACCOUNT, PASSWORD).unwrap();
        let ak = sub.access_key.as_str();
        for _ in 0..=KEY.free {
            let told = engine.sub_account_from(&platform, ak, "wrong", from(STRANGER)).await;
            assert!(matches!(told, Err(Error::Refused(Refusal::WrongSecret))));
        }
        assert_eq!(slow(engine.credential(ak, from(STRANGER))), 1, "it counts on S3");
        let other = engine.sub_account_from(&platform, "no-such", "wrong", from(STRANGER)).await;
        assert!(matches!(other, Err(Error::Refused(Refusal::NoSubAccount))));
        let good = engine.sub_account_from(&platform, ak, sub.secret.expose(), from(CAMERA)).await;
        assert!(good.is_ok());
    });
}

#[test]
fn failures_survive_a_crash_once_they_are_written_and_a_guess_costs_no_sync() {
    let rig = Rig::new(18, 1000);
    let engine = rig.open().unwrap();
    engine.inner.guesses.flush(&engine.inner.books).unwrap();
    let before = rig.disk.ops();
    for _ in 0..KEY.free {
        wrong(&engine, "AK", STRANGER);
    }
    assert_eq!(rig.disk.ops(), before, "guesses touch no disk");
    wrong(&engine, "AK", STRANGER);
    engine.inner.guesses.flush(&engine.inner.books).unwrap();
    rig.disk.crash(1, crate::world::fake::Fate::LoseAll);
    drop(engine);
    let engine = rig.open().unwrap();
    assert_eq!(wrong(&engine, "AK", STRANGER), 1);
}

#[test]
fn what_an_earlier_release_wrote_counts_still() {
    use crate::books::{Books, Row};

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Old {
        failures: u32,
        last_ms: i64,
    }
    impl Row for Old {
        const TABLE: &'static str = "guesses";
        type Key = String;
    }
    let rig = Rig::new(19, 1000);
    drop(rig.open().unwrap());
    let books = Books::open(&*rig.world.disk, std::path::Path::new("/data")).unwrap();
    let row = Old { failures: 7, last_ms: rig.world.clock.now().millis() };
    books.change(|changes| changes.put(&"user:ops".to_owned(), &row)).unwrap();
    drop(books);
    let engine = rig.open().unwrap();
    assert!(engine.may_guess(&["user:ops".to_owned()]).is_err());
    assert!(engine.may_guess(&["user:other".to_owned()]).is_ok());
    engine.inner.guesses.flush(&engine.inner.books).unwrap();
    drop(engine);
    assert!(rig.open().unwrap().may_guess(&["user:ops".to_owned()]).is_err());
}
