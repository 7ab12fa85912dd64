//! The master key is exchanged: whatever moment the power goes at, every secret is readable after.

use std::path::{Path, PathBuf};

use super::rig::{ACCOUNT, PASSWORD, Rig, open_account, open_sub, runtime, seeds};
use crate::domain::{AccountName, Role, Secret};
use crate::engine::types::Who;
use crate::engine::{Caller, Engine, NewUser, OpenedSubAccount};
use crate::world::fake::Fate;

/// What must be readable always.
struct Known {
    subs: Vec<OpenedSubAccount>,
    admin: Secret,
    totp: Secret,
}

fn name() -> AccountName {
    ACCOUNT.parse().unwrap()
}

fn code(totp: &Secret, engine: &Engine) -> String {
    let totp = crate::engine::second_factor::totp("ops", totp).unwrap();
    totp.generate(u64::try_from(engine.now().seconds()).unwrap()).to_string()
}

fn user() -> Caller {
    Caller::new(Who::User { name: "ops".into(), role: Role::Operations, account: None })
}

/// A store with secrets of every kind.
async fn filled(rig: &Rig) -> (Engine, Known) {
    let engine = rig.open().unwrap();
    open_account(&engine, 100).await;
    let (_, admin) = engine.account_key(&Caller::operator(), &name()).await.unwrap();
    let mut subs = Vec::new();
    for _ in 0..3 {
        subs.push(open_sub(&engine, 1).await);
    }
    let new = NewUser { name: "ops".parse().unwrap(), role: Role::Operations, account: None, password: None };
    engine.add_user(&Caller::operator(), new).await.unwrap();
    let totp = engine.new_second_factor(&user()).unwrap().secret;
    engine.confirm_second_factor(&user(), &totp, &code(&totp, &engine)).await.unwrap();
    (engine, Known { subs, admin, totp })
}

async fn all_is_readable(engine: &Engine, known: &Known) {
    assert!(engine.sign_in(ACCOUNT, PASSWORD).is_ok());
    let (_, admin) = engine.account_key(&Caller::operator(), &name()).await.unwrap();
    assert!(admin.matches(known.admin.expose()));
    for sub in &known.subs {
        let secret = engine.sub_account_key(&Caller::operator(), sub.access_key.as_str()).await.unwrap();
        assert!(secret.matches(sub.secret.expose()));
    }
    // Reading it is enough: the code of this moment may have been used.
    let row = engine.inner.books.get::<crate::engine::users::UserRow>(&"ops".to_owned()).unwrap().unwrap();
    assert!(engine.totp_step("ops", &row.totp.unwrap(), &code(&known.totp, engine), 0).unwrap().is_some());
}

fn files(rig: &Rig, dir: &str) -> Vec<PathBuf> {
    let mut found = rig.world.disk.list(Path::new(dir)).unwrap();
    // What a cut leaves of a file that was never whole has no name that anybody looks for.
    found.retain(|path| {
        path.to_string_lossy().contains("master.key") && path.extension().is_none_or(|end| end != "new")
    });
    found
}

#[test]
fn everything_is_sealed_anew_and_the_old_key_is_gone() {
    runtime().block_on(async {
        let mut rig = Rig::new(31, 1000);
        rig.config.storage.master_key = PathBuf::from("/usb/kandian/master.key");
        rig.world.disk.create_dir_all(Path::new("/usb/kandian")).unwrap();
        let (engine, known) = filled(&rig).await;
        let before = engine.master_key(&Caller::operator()).unwrap();
        let done = engine.rotate_master_key(&Caller::operator()).await.unwrap();
        assert_eq!((done.secrets, &done.old), (6, &before.0));
        assert_eq!(engine.master_key(&Caller::operator()).unwrap(), (done.new.clone(), before.1, false));
        all_is_readable(&engine, &known).await;
        assert_eq!(files(&rig, "/usb/kandian"), [PathBuf::from("/usb/kandian/master.key")]);
        assert!(files(&rig, "/data").is_empty());
        let log = engine.audit_log(&Caller::operator(), 5).await.unwrap();
        assert!(log.iter().any(|(_, line)| line.what == "RotateMasterKey" && line.is_done()));
        engine.close().await.unwrap();
        drop(engine);
        // No file holds what the old key opens: its id stands before every seal.
        let id = u32::from_str_radix(&done.old, 16).unwrap().to_le_bytes();
        let seal = [&[1], id.as_slice()].concat();
        for path in rig.world.disk.list(Path::new("/data/volumes/journal")).unwrap() {
            let bytes = crate::world::disk::read_file(&*rig.world.disk, &path).unwrap().unwrap();
            assert!(!bytes.windows(seal.len()).any(|window| window == seal), "{}", path.display());
        }
        let engine = rig.open().unwrap();
        all_is_readable(&engine, &known).await;
        drop(engine);
        rig.lose_index();
        rig.rebuild().unwrap();
        all_is_readable(&rig.open().unwrap(), &known).await;
    });
}

#[test]
fn a_power_cut_at_any_moment_of_an_exchange_leaves_a_store_that_opens() {
    runtime().block_on(async {
        let fates = [Fate::LoseAll, Fate::KeepAll, Fate::Random, Fate::Torn];
        let (mut finished, mut begun) = (0, 0);
        for cut in seeds(60) {
            let rig = Rig::new(cut, 1000);
            let (engine, known) = filled(&rig).await;
            engine.checkpoint().await.unwrap();
            // Over the whole of it, and past its end.
            rig.disk.fail_after(cut * 3);
            let done = engine.rotate_master_key(&Caller::operator()).await;
            finished += u32::from(done.is_ok());
            drop(engine);
            rig.disk.crash(cut, fates[usize::try_from(cut % 4).unwrap()]);
            if cut % 3 == 0 {
                rig.lose_index();
                rig.rebuild().unwrap();
            }
            let engine = rig.open().unwrap();
            begun += u32::from(engine.master_key(&Caller::operator()).unwrap().2);
            all_is_readable(&engine, &known).await;
            // What is written meanwhile is sealed under whichever key seals now.
            let sub = open_sub(&engine, 1).await;
            engine.exchange(false).await.unwrap();
            assert!(!engine.master_key(&Caller::operator()).unwrap().2);
            all_is_readable(&engine, &known).await;
            let secret = engine.sub_account_key(&Caller::operator(), sub.access_key.as_str()).await.unwrap();
            assert!(secret.matches(sub.secret.expose()));
            assert_eq!(files(&rig, "/data"), [PathBuf::from("/data/master.key")], "cut {cut}");
            engine.close().await.unwrap();
            drop(engine);
            rig.lose_index();
            rig.rebuild().unwrap();
            all_is_readable(&rig.open().unwrap(), &known).await;
        }
        assert!(finished > 0 && begun > 0, "cuts fall into the exchange and behind it: {finished}, {begun}");
    });
}

#[test]
fn who_opens_and_changes_while_the_key_is_exchanged_is_sealed_under_the_new_one() {
    runtime().block_on(async {
        let rig = Rig::new(33, 1000);
        let (engine, known) = filled(&rig).await;
        let opens = async {
            let mut opened = Vec::new();
            for _ in 0..20 {
                opened.push(open_sub(&engine, 1).await);
            }
            opened
        };
        let operator = Caller::operator();
        let (opened, done) = tokio::join!(opens, engine.rotate_master_key(&operator));
        done.unwrap();
        engine.close().await.unwrap();
        drop(engine);
        let engine = rig.open().unwrap();
        all_is_readable(&engine, &known).await;
        for sub in opened {
            let secret = engine.sub_account_key(&Caller::operator(), sub.access_key.as_str()).await.unwrap();
            assert!(secret.matches(sub.secret.expose()));
        }
    });
}

#[test]
fn only_operations_staff_of_the_whole_box_exchange_it() {
    runtime().block_on(async {
        let rig = Rig::new(34, 1000);
        let (engine, _) = filled(&rig).await;
        let account = engine.account_id(&name()).unwrap();
        for role in [Role::Province, Role::Viewer, Role::Auditor] {
            let account = matches!(role, Role::Province | Role::Viewer).then_some(account);
            let caller = Caller::new(Who::User { name: "x".into(), role, account });
            assert!(engine.rotate_master_key(&caller).await.is_err());
            assert!(engine.master_key(&caller).is_err());
        }
    });
}
