//! Users of the portals: how the first comes in, guessing, sessions and their ends, the second factor.

use std::path::Path;
use std::time::Duration;

use super::rig::{ACCOUNT, Rig, open_account, runtime};
use crate::domain::users::{UserName, UserRefusal};
use crate::domain::{AccountName, Refusal, Role, Secret};
use crate::engine::{Caller, Engine, Error, NewUser, Result};

const GOOD: &str = "correct horse battery";
const FROM: &str = "10.1.2.3";

fn user(name: &str) -> UserName {
    name.parse().unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::new(text)
}

fn refusal<T: std::fmt::Debug>(done: Result<T>) -> UserRefusal {
    match done.unwrap_err() {
        Error::Refused(Refusal::User(refusal)) => refusal,
        other => panic!("{other}"),
    }
}

async fn add(engine: &Engine, name: &str, role: Role, account: Option<&str>) -> Result<()> {
    let account = account.map(|name| name.parse::<AccountName>().unwrap());
    let new = NewUser { name: user(name), role, account, password: Some(secret(GOOD)) };
    engine.add_user(&Caller::operator(), new).await.map(|_| ())
}

async fn sign_in(engine: &Engine, name: &str, password: &str) -> Result<Secret> {
    engine.sign_in_user(name, &secret(password), None, FROM, "a browser").await
}

#[test]
fn the_first_user_comes_in_with_the_code_that_the_server_printed_last_and_nobody_after() {
    runtime().block_on(async {
        let engine = Rig::new(1, 1000).open().unwrap();
        let first = engine.setup_code().await.unwrap().unwrap();
        let code = engine.setup_code().await.unwrap().unwrap();
        let try_it = async |code: &str| engine.set_up(code, user("ops"), secret(GOOD), FROM).await;
        assert_eq!(refusal(try_it(&first).await), UserRefusal::WrongSetupCode);
        assert!(matches!(
            refusal(engine.set_up(&code, user("ops"), secret("short"), FROM).await),
            UserRefusal::WeakPassword(_)
        ));
        try_it(&code).await.unwrap();
        assert_eq!(refusal(try_it(&code).await), UserRefusal::SetUp);
        assert_eq!(engine.setup_code().await.unwrap(), None);
        let token = sign_in(&engine, "ops", GOOD).await.unwrap();
        assert_eq!(engine.session(token.expose()).await.unwrap().role, Role::Operations);
    });
}

#[test]
fn a_setup_code_is_not_guessed() {
    runtime().block_on(async {
        let rig = Rig::new(2, 1000);
        let engine = rig.open().unwrap();
        let code = engine.setup_code().await.unwrap().unwrap();
        let guess = async |code: &str| refusal(engine.set_up(code, user("ops"), secret(GOOD), FROM).await);
        for _ in 0..6 {
            assert_eq!(guess("AAAA").await, UserRefusal::WrongSetupCode);
        }
        assert_eq!(guess(&code).await, UserRefusal::Slow { seconds: 10 });
        rig.clock.advance(Duration::from_secs(10));
        engine.set_up(&code, user("ops"), secret(GOOD), FROM).await.unwrap();
    });
}

#[test]
fn who_guesses_waits_longer_each_time_also_after_a_restart_and_others_do_not() {
    runtime().block_on(async {
        let rig = Rig::new(3, 1000);
        let engine = rig.open().unwrap();
        add(&engine, "ops", Role::Operations, None).await.unwrap();
        add(&engine, "other", Role::Auditor, None).await.unwrap();
        let wrong = async |engine: &Engine| refusal(sign_in(engine, "ops", "not this one").await);
        for _ in 0..6 {
            assert_eq!(wrong(&engine).await, UserRefusal::WrongSignIn);
        }
        assert_eq!(wrong(&engine).await, UserRefusal::Slow { seconds: 10 });
        engine.close().await.unwrap();
        drop(engine);
        let engine = rig.open().unwrap();
        assert_eq!(refusal(sign_in(&engine, "ops", GOOD).await), UserRefusal::Slow { seconds: 10 });
        // The address waits as a whole, another one does not.
        let elsewhere = engine.sign_in_user("other", &secret(GOOD), None, "10.9.9.9", "").await;
        assert!(elsewhere.is_ok());
        assert_eq!(refusal(sign_in(&engine, "other", GOOD).await), UserRefusal::Slow { seconds: 10 });
        rig.clock.advance(Duration::from_secs(10));
        assert_eq!(wrong(&engine).await, UserRefusal::WrongSignIn);
        assert_eq!(wrong(&engine).await, UserRefusal::Slow { seconds: 20 });
        rig.clock.advance(Duration::from_secs(20));
        sign_in(&engine, "ops", GOOD).await.unwrap();
        // A day later all is forgotten.
        rig.clock.advance(Duration::from_secs(90_000));
        assert_eq!(wrong(&engine).await, UserRefusal::WrongSignIn);
        assert_eq!(wrong(&engine).await, UserRefusal::WrongSignIn);
    });
}

#[test]
fn a_session_ends_when_it_idles_when_it_is_old_when_it_is_ended_and_with_its_user() {
    runtime().block_on(async {
        let rig = Rig::new(4, 1000);
        let engine = rig.open().unwrap();
        open_account(&engine, 10).await;
        add(&engine, "ops", Role::Operations, None).await.unwrap();
        add(&engine, "gd", Role::Province, Some(ACCOUNT)).await.unwrap();
        let alive = async |token: &Secret| engine.session(token.expose()).await.is_ok();

        let token = sign_in(&engine, "gd", GOOD).await.unwrap();
        assert_eq!(engine.session(token.expose()).await.unwrap().account.as_deref(), Some(ACCOUNT));
        rig.clock.advance(Duration::from_secs(1790));
        assert!(alive(&token).await);
        rig.clock.advance(Duration::from_secs(1790));
        assert!(alive(&token).await, "it was used");
        rig.clock.advance(Duration::from_secs(1900));
        assert!(!alive(&token).await, "it idled");

        let token = sign_in(&engine, "gd", GOOD).await.unwrap();
        for _ in 0..24 {
            assert!(alive(&token).await);
            rig.clock.advance(Duration::from_secs(1799));
        }
        rig.clock.advance(Duration::from_secs(60));
        assert!(!alive(&token).await, "it is twelve hours old");

        let (one, two) = (sign_in(&engine, "gd", GOOD).await.unwrap(), sign_in(&engine, "gd", GOOD).await.unwrap());
        engine.sign_out(one.expose()).await.unwrap();
        assert!(!alive(&one).await && alive(&two).await);
        let asker = engine.session(two.expose()).await.unwrap();
        let listed = engine.sessions(&asker.caller, Some(two.expose())).await.unwrap();
        assert_eq!(listed.iter().map(|s| (s.user.as_str(), s.own)).collect::<Vec<_>>(), [("gd", true)]);
        let ops = sign_in(&engine, "ops", GOOD).await.unwrap();
        let ops = engine.session(ops.expose()).await.unwrap().caller;
        assert_eq!(refusal(engine.end_session(&asker.caller, "0123456789abcdef").await), UserRefusal::NoSession);
        engine.end_session(&ops, &listed[0].id).await.unwrap();
        assert!(!alive(&two).await);

        let token = sign_in(&engine, "gd", GOOD).await.unwrap();
        engine.disable_user(&ops, &user("gd"), true).await.unwrap();
        assert!(!alive(&token).await);
        assert_eq!(refusal(sign_in(&engine, "gd", GOOD).await), UserRefusal::WrongSignIn);
        engine.disable_user(&ops, &user("gd"), false).await.unwrap();
        let token = sign_in(&engine, "gd", GOOD).await.unwrap();
        engine.close_account(&Caller::operator(), &ACCOUNT.parse().unwrap()).await.unwrap();
        assert!(!alive(&token).await, "its account is closed");
        engine.remove_user(&ops, &user("gd")).await.unwrap();
        assert_eq!(engine.users(&ops).await.unwrap().len(), 1);
        assert_eq!(refusal(engine.remove_user(&ops, &user("ops")).await), UserRefusal::LastOperations);
        assert_eq!(refusal(engine.disable_user(&ops, &user("ops"), true).await), UserRefusal::LastOperations);
    });
}

#[test]
fn a_password_is_changed_with_the_old_one_and_ends_every_session() {
    runtime().block_on(async {
        let engine = Rig::new(5, 1000).open().unwrap();
        add(&engine, "ops", Role::Operations, None).await.unwrap();
        let token = sign_in(&engine, "ops", GOOD).await.unwrap();
        let own = engine.session(token.expose()).await.unwrap().caller;
        let next = "another good one";
        let change =
            async |old: &str| engine.change_password(&own, &user("ops"), Some(&secret(old)), Some(secret(next))).await;
        assert_eq!(refusal(change("wrong").await), UserRefusal::WrongSignIn);
        change(GOOD).await.unwrap();
        assert!(engine.session(token.expose()).await.is_err());
        assert!(sign_in(&engine, "ops", GOOD).await.is_err());
        sign_in(&engine, "ops", next).await.unwrap();
        // By the control socket without the old one; made up where none is given.
        let made = engine.change_password(&Caller::operator(), &user("ops"), None, None).await.unwrap();
        sign_in(&engine, "ops", made.expose()).await.unwrap();
    });
}

#[test]
fn a_role_of_one_account_has_one_and_the_others_have_none() {
    runtime().block_on(async {
        let engine = Rig::new(6, 1000).open().unwrap();
        open_account(&engine, 10).await;
        assert_eq!(refusal(add(&engine, "a", Role::Viewer, None).await), UserRefusal::AccountOfRole);
        assert_eq!(refusal(add(&engine, "a", Role::Auditor, Some(ACCOUNT)).await), UserRefusal::AccountOfRole);
        assert!(matches!(
            add(&engine, "a", Role::Viewer, Some("nowhere")).await,
            Err(Error::Refused(Refusal::NoAccount))
        ));
        add(&engine, "a", Role::Viewer, Some(ACCOUNT)).await.unwrap();
        assert_eq!(refusal(add(&engine, "a", Role::Viewer, Some(ACCOUNT)).await), UserRefusal::UserExists);
        let token = sign_in(&engine, "a", GOOD).await.unwrap();
        let viewer = engine.session(token.expose()).await.unwrap().caller;
        assert!(matches!(engine.users(&viewer).await, Err(Error::Refused(Refusal::Forbidden))));
        assert!(matches!(engine.status(&viewer).await, Err(Error::Refused(Refusal::Forbidden))));
        assert_eq!(engine.accounts(&viewer).await.unwrap().len(), 1);
    });
}

#[test]
fn a_code_of_the_second_factor_is_needed_and_taken_once() {
    runtime().block_on(async {
        let rig = Rig::new(7, 1000);
        let engine = rig.open().unwrap();
        add(&engine, "ops", Role::Operations, None).await.unwrap();
        let token = sign_in(&engine, "ops", GOOD).await.unwrap();
        let own = engine.session(token.expose()).await.unwrap().caller;
        let new = engine.new_second_factor(&own).unwrap();
        assert!(new.url.expose().starts_with("otpauth://totp/"), "an authenticator reads it");
        let authenticator = totp_rs::Totp::from_url(new.url.expose()).unwrap();
        let code = || authenticator.generate(u64::try_from(engine.now().seconds()).unwrap()).to_string();
        assert_eq!(refusal(engine.confirm_second_factor(&own, &new.secret, "000000").await), UserRefusal::WrongCode);
        engine.confirm_second_factor(&own, &new.secret, &code()).await.unwrap();
        let with = async |code: Option<&str>| engine.sign_in_user("ops", &secret(GOOD), code, FROM, "").await;
        assert_eq!(refusal(with(None).await), UserRefusal::CodeNeeded);
        assert_eq!(refusal(with(Some(&code())).await), UserRefusal::WrongCode, "it was used to confirm");
        rig.clock.advance(Duration::from_secs(30));
        let right = code();
        with(Some(&right)).await.unwrap();
        assert_eq!(refusal(with(Some(&right)).await), UserRefusal::WrongCode, "it was used");
        rig.clock.advance(Duration::from_secs(30));
        assert_eq!(refusal(engine.remove_second_factor(&own, "ops", Some("1")).await), UserRefusal::WrongCode);
        engine.remove_second_factor(&own, "ops", Some(&code())).await.unwrap();
        with(None).await.unwrap();
    });
}

#[test]
fn neither_a_password_nor_a_token_nor_a_secret_lies_in_the_books() {
    runtime().block_on(async {
        let rig = Rig::new(8, 1000);
        let engine = rig.open().unwrap();
        let setup = engine.setup_code().await.unwrap().unwrap();
        engine.set_up(&setup, user("ops"), secret(GOOD), FROM).await.unwrap();
        let token = sign_in(&engine, "ops", GOOD).await.unwrap();
        let own = engine.session(token.expose()).await.unwrap();
        let new = engine.new_second_factor(&own.caller).unwrap();
        let authenticator = totp_rs::Totp::from_url(new.url.expose()).unwrap();
        let code = authenticator.generate(u64::try_from(engine.now().seconds()).unwrap()).to_string();
        engine.confirm_second_factor(&own.caller, &new.secret, &code).await.unwrap();
        engine.close().await.unwrap();
        let bytes = crate::world::disk::read_file(&*rig.world.disk, Path::new("/data/books.redb")).unwrap().unwrap();
        for kept in [GOOD, token.expose(), new.secret.expose(), &own.form_token, &setup] {
            assert!(!bytes.windows(kept.len()).any(|w| w == kept.as_bytes()), "{kept}");
        }
    });
}
