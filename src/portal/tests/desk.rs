//! 告警, 审计 and an account's page: who may use which form, and what a refused one says.

use super::*;
use crate::domain::Alert;

/// Forms of these pages, each with fields that would do something.
const FORMS: [(&str, &[(&str, &str)]); 12] = [
    ("/alerts/resend", &[("id", "7")]),
    ("/alerts/acknowledge", &[("id", "7"), ("acknowledged", "yes")]),
    ("/alerts/comment", &[("id", "7"), ("text", "x")]),
    ("/accounts/modify", &[("name", "jiangsu"), ("space", "11"), ("max_sub_accounts", "5")]),
    ("/accounts/password", &[("name", "jiangsu"), ("password", "another-1")]),
    ("/accounts/key", &[("name", "jiangsu")]),
    ("/accounts/callback", &[("name", "jiangsu"), ("act", "save"), ("soap", "1.2")]),
    ("/accounts/test-alert", &[("name", "jiangsu"), ("ak", "A"), ("understood", "yes")]),
    ("/accounts/suspend", &[("name", "jiangsu"), ("suspended", "yes")]),
    ("/accounts/close?name=jiangsu", &[("confirm", "jiangsu")]),
    ("/users/remove?name=user-province", &[("confirm", "user-province")]),
    ("/audit/verify", &[]),
];

impl Site {
    async fn send(&self, path: &str, token: &str, fields: &[(&str, &str)]) -> Answer {
        let form_token = self.form_token(token).await;
        let mut form = vec![("token", form_token.as_str())];
        form.extend_from_slice(fields);
        self.ask(Method::POST, path, Some(token), &form).await
    }

    /// An account whose platform could be alerted, with a sub-account; its AK.
    async fn alerted(&self, name: &str) -> String {
        let new = NewAccount {
            name: name.parse().unwrap(),
            password: Some(Secret::new(GOOD)),
            space: Gigabytes::new(10).unwrap(),
            alert_url: Some("http://u:secret@platform.example/a?token=hidden".to_owned()),
            max_sub_accounts: None,
        };
        self.engine.open_account(&Caller::operator(), new).await.unwrap();
        let platform = self.engine.sign_in(name, GOOD).unwrap();
        let sub = self.engine.open_sub_account(&platform, Gigabytes::new(1).unwrap()).await.unwrap();
        sub.access_key.as_str().to_owned()
    }
}

#[test]
fn no_form_of_accounts_users_alerts_and_audit_is_for_anybody_else() {
    run(async {
        let site = Site::open();
        site.alerted("jiangsu").await;
        let before = site.engine.account(&Caller::operator(), &"jiangsu".parse().unwrap()).await.unwrap();
        for role in [Role::Province, Role::Viewer, Role::Auditor] {
            let token = site.signed_in(role).await;
            for (path, fields) in FORMS {
                // Holding the log against its chain changes nothing.
                if path == "/audit/verify" && role == Role::Auditor {
                    continue;
                }
                let answer = site.send(path, &token, fields).await;
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{role:?} {path}");
            }
        }
        let after = site.engine.account(&Caller::operator(), &"jiangsu".parse().unwrap()).await.unwrap();
        assert_eq!((after.space_gb, after.admin_ak, after.suspended_ms), (before.space_gb, None, None));
        assert_eq!(after.callback, before.callback);
        assert!(site.engine.sign_in("jiangsu", GOOD).is_ok(), "its password is the same");
        assert!(site.engine.alerts(&Caller::operator(), 10).await.unwrap().is_empty());
    });
}

#[test]
fn a_test_alert_is_asked_for_seen_and_said_something_about() {
    run(async {
        let site = Site::open();
        let (ak, other) = (site.alerted("jiangsu").await, site.alerted("anhui").await);
        let token = site.signed_in(Role::Operations).await;
        let ask = async |ak: &str, kind: &str, understood: bool| {
            let mut fields = vec![("name", "jiangsu"), ("ak", ak), ("kind", kind)];
            fields.extend(understood.then_some(("understood", "yes")));
            site.send("/accounts/test-alert", &token, &fields).await
        };
        for (ak, kind, understood, why) in [
            (ak.as_str(), "full", false, "请先勾选"),
            (ak.as_str(), "idle", true, "alerts.notify_idle"),
            (other.as_str(), "full", true, "没有这个子账户"),
        ] {
            let answer = ask(ak, kind, understood).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST);
            assert!(answer.body.contains(why), "{why}");
        }
        assert!(site.engine.alerts(&Caller::operator(), 10).await.unwrap().is_empty());
        let sent = ask(&ak, "full", true).await;
        let (path, id) = {
            let to = location(&sent).to_owned();
            let id = to.strip_prefix("/alerts/show?id=").and_then(|rest| rest.split('&').next()).unwrap().to_owned();
            (format!("/alerts/show?id={id}"), id)
        };
        let page = site.ask(Method::GET, &path, Some(&token), &[]).await;
        assert!(page.status == StatusCode::OK && page.body.contains("空间已满") && page.body.contains("测试"));
        site.send("/alerts/acknowledge", &token, &[("id", &id), ("acknowledged", "yes")]).await;
        let said = "<b>已联系</b>";
        site.send("/alerts/comment", &token, &[("id", &id), ("text", said)]).await;
        let empty = site.send("/alerts/comment", &token, &[("id", &id), ("text", " ")]).await;
        assert!(empty.status == StatusCode::BAD_REQUEST && empty.body.contains("请填写内容"));
        let page = site.ask(Method::GET, &path, Some(&token), &[]).await.body;
        assert!(page.contains("user-operations") && page.contains("已联系") && !page.contains(said));
        let list = site.ask(Method::GET, "/alerts?test=yes&acknowledged=yes", Some(&token), &[]).await.body;
        assert!(list.contains(&path));
        let none = site.ask(Method::GET, "/alerts?acknowledged=no", Some(&token), &[]).await.body;
        assert!(!none.contains(&path));

        // Its province sees it and has no form; another account's is not there.
        let province = site.signed_in(Role::Province).await;
        let page = site.ask(Method::GET, &path, Some(&province), &[]).await;
        let main = page.body.split("<main").nth(1).and_then(|rest| rest.split("</main>").next()).unwrap();
        assert!(page.status == StatusCode::OK && !main.contains("<form"));
        let (operator, anhui) = (Caller::operator(), "anhui".parse().unwrap());
        let foreign = site.engine.test_alert(&operator, &anhui, &other, Alert::Full).await.unwrap();
        let page = site.ask(Method::GET, &format!("/alerts/show?id={foreign}"), Some(&province), &[]).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND);
        let list = site.ask(Method::GET, "/alerts?account=anhui", Some(&province), &[]).await.body;
        assert!(!list.contains(&other));
    });
}

#[test]
fn a_form_that_is_refused_says_why_in_the_language_of_the_page_and_keeps_what_was_typed() {
    run(async {
        let site = Site::open();
        site.alerted("jiangsu").await;
        let token = site.signed_in(Role::Operations).await;
        let modify = |space: &'static str, url: &'static str| {
            [("name", "jiangsu"), ("space", space), ("alert_url", url), ("max_sub_accounts", "5")]
        };
        let answer = site.send("/accounts/modify", &token, &modify("many", "")).await;
        assert!(answer.status == StatusCode::BAD_REQUEST && answer.body.contains("“many”不是 0 至"), "{}", answer.body);
        assert!(answer.body.contains("value=\"many\""));
        let answer = site.send("/accounts/modify", &token, &modify("10", "nowhere")).await;
        assert!(answer.body.contains("不能作为回调地址"));
        let bad = [("name", "jiangsu"), ("act", "save"), ("operation", "a b")];
        let answer = site.send("/accounts/callback", &token, &bad).await;
        assert!(answer.status == StatusCode::BAD_REQUEST && answer.body.contains("value=\"a b\""));
        let good = [("name", "jiangsu"), ("act", "save"), ("operation", "Alarm"), ("charset", "GBK")];
        assert_eq!(site.send("/accounts/callback", &token, &good).await.status, StatusCode::SEE_OTHER);
        let account = site.engine.account(&Caller::operator(), &"jiangsu".parse().unwrap()).await.unwrap();
        assert_eq!((account.callback.operation.as_deref(), account.callback.gbk), (Some("Alarm"), true));
        assert_eq!(account.callback.namespace, None, "an empty text is ours");
        let page = site.ask(Method::GET, "/accounts/show?name=jiangsu&tab=state", Some(&token), &[]).await.body;
        assert!(page.contains("将被删除的内容") && page.contains("暂停账户"));
        let form = [("name", "jiangsu"), ("suspended", "yes")];
        let done = site.send("/accounts/suspend", &token, &form).await;
        assert!(location(&done).ends_with("done=suspended"));
        assert!(site.engine.sign_in("jiangsu", GOOD).is_err());
    });
}

#[test]
fn the_log_is_filtered_verified_and_exported_by_who_may() {
    run(async {
        let site = Site::open();
        let token = site.signed_in(Role::Operations).await;
        for name in ["jiangsu", "=1+1"] {
            let fields = [("name", name), ("space", "5")];
            assert_eq!(site.send("/accounts/new", &token, &fields).await.status, StatusCode::CREATED);
        }
        let found = site.ask(Method::GET, "/audit?account=jiangsu", Some(&token), &[]).await.body;
        assert!(found.contains("OpenAccount") && found.contains("jiangsu 5") && !found.contains("=1+1"));
        let refused = site.ask(Method::GET, "/audit?outcome=refused&what=OpenAccount", Some(&token), &[]).await.body;
        assert!(!refused.contains("jiangsu 5"));
        let bad = site.ask(Method::GET, "/audit?from=yesterday", Some(&token), &[]).await;
        assert!(bad.status == StatusCode::BAD_REQUEST && bad.body.contains("“yesterday”不是日期"));
        let sound = site.send("/audit/verify", &token, &[]).await;
        assert!(sound.status == StatusCode::OK && sound.body.contains("每一条都与前一条相接"));
        let csv = site.ask(Method::GET, "/audit/export?what=OpenAccount", Some(&token), &[]).await;
        assert_eq!(csv.headers["content-type"], "text/csv; charset=utf-8");
        let lines: Vec<_> = csv.body.trim_start_matches('\u{feff}').lines().collect();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[1].contains("\"'=1+1 5") && lines[2].contains("jiangsu 5"), "{lines:?}");
        let province = site.signed_in(Role::Province).await;
        let own = site.ask(Method::GET, "/audit", Some(&province), &[]).await;
        assert!(
            own.status == StatusCode::OK
                && !own.body.contains("user-operations")
                && !own.body.contains("/audit/verify")
        );
        let csv = site.ask(Method::GET, "/audit/export", Some(&province), &[]).await.body;
        assert!(!csv.contains("user-operations"));
    });
}

#[test]
fn a_user_is_removed_only_by_its_name_and_its_sessions_with_it() {
    run(async {
        let site = Site::open();
        site.account("jiangsu").await;
        let (token, theirs) = (site.signed_in(Role::Operations).await, site.signed_in(Role::Viewer).await);
        let path = "/users/remove?name=user-viewer";
        let names = async || {
            let users = site.engine.users(&Caller::operator()).await.unwrap();
            users.into_iter().map(|user| user.user).collect::<Vec<_>>()
        };
        let page = site.ask(Method::GET, path, Some(&token), &[]).await;
        assert_eq!(page.status, StatusCode::OK);
        for said in ["将被删除的内容", "查看员", "jiangsu", "审计日志"] {
            assert!(page.body.contains(said), "{said}");
        }
        for typed in ["", "user-operations", "USER-VIEWER"] {
            let answer = site.send(path, &token, &[("confirm", typed)]).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{typed}");
            assert!(answer.body.contains("id=\"confirm-help\""), "{typed}");
        }
        // The list's form does not do it without asking.
        let old = site.send("/users/change", &token, &[("name", "user-viewer"), ("do", "remove")]).await;
        assert_eq!(old.status, StatusCode::NOT_FOUND);
        assert_eq!(names().await, ["user-operations", "user-viewer"]);
        assert!(site.engine.session(&theirs).await.is_ok());

        let done = site.send(path, &token, &[("confirm", "user-viewer")]).await;
        assert_eq!(location(&done), "/users?done=user-removed");
        assert_eq!(names().await, ["user-operations"]);
        assert!(site.engine.session(&theirs).await.is_err());
        let list = site.ask(Method::GET, location(&done), Some(&token), &[]).await.body;
        assert!(list.contains("全部会话已结束"));
        assert_eq!(site.ask(Method::GET, path, Some(&token), &[]).await.status, StatusCode::NOT_FOUND);
        // Its line is written behind the answer.
        site.engine.checkpoint().await.unwrap();
        let log = site.ask(Method::GET, "/audit?what=RemoveUser", Some(&token), &[]).await.body;
        assert!(log.contains("user-viewer"));

        // A new password ends sessions too, and says so.
        let auditor = site.signed_in(Role::Auditor).await;
        let reset = site.send("/users/change", &token, &[("name", "user-auditor"), ("do", "password")]).await;
        assert!(reset.body.contains("密码已重置") && reset.body.contains("全部会话已结束"));
        assert!(site.engine.session(&auditor).await.is_err());

        // The last one who could make users stays, and hears why.
        let last = site.send("/users/remove?name=user-operations", &token, &[("confirm", "user-operations")]).await;
        assert_eq!(last.status, StatusCode::BAD_REQUEST);
        assert_eq!(names().await, ["user-auditor", "user-operations"]);
    });
}
