//! The frame of every page: who is signed in, where one can go, language, theme, a word of what was done. A page's
//! template is a struct with a field `shell: Shell`, and extends `shell.html`.

use askama::Template;
use axum::body::Body;
use axum::response::IntoResponse;
use http::header::{CONTENT_TYPE, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::assets::{FAVICON, ICONS, SCRIPT, STYLE};
use super::guard::Visitor;
use super::refusals::No;
use super::show::{Html, Moment, Number, Part};
use super::text::{Lang, Words};
use super::{Portal, show};
use crate::domain::users::UserRefusal;
use crate::domain::{Action, Refusal, Role};
use crate::http::cookie;

/// The language's cookie.
pub(super) const LANG: &str = "kandian-lang";
/// The theme's cookie.
pub(super) const THEME: &str = "kandian-theme";

/// How pages shall look to somebody.
#[derive(Clone, Copy, Debug)]
pub(super) struct Preferences {
    /// The language.
    pub(super) lang: Lang,
    /// `auto`, `light` or `dark`.
    pub(super) theme: &'static str,
}

impl Preferences {
    /// What the cookies say, else the browser.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let theme = match cookie(headers, THEME) {
            Some("light") => "light",
            Some("dark") => "dark",
            _ => "auto",
        };
        Self { lang: Lang::of(cookie(headers, LANG), headers), theme }
    }
}

/// An entry of the navigation.
pub(super) struct Entry {
    pub(super) href: &'static str,
    pub(super) label: &'static str,
    pub(super) icon: &'static str,
    /// Whether the page is below it.
    pub(super) here: bool,
}

/// Who is signed in, for the user's menu.
pub(super) struct Badge {
    pub(super) name: String,
    /// The role's word.
    pub(super) role: &'static str,
    /// The account's name, of a role that belongs to one.
    pub(super) account: Option<String>,
}

/// The frame.
pub(super) struct Shell {
    /// The words of the language.
    pub(super) t: &'static Words,
    pub(super) lang: Lang,
    pub(super) theme: &'static str,
    pub(super) entries: Vec<Entry>,
    pub(super) user: Option<Badge>,
    pub(super) role: Option<Role>,
    /// What every form carries in a hidden field `token`.
    pub(super) token: String,
    /// Path and query.
    pub(super) here: String,
    /// Path and query of a page that can be come back to.
    pub(super) back: String,
    /// What was done, from the page before.
    pub(super) flash: Option<&'static str>,
    /// Milliseconds since the Unix epoch.
    pub(super) now: i64,
    pub(super) zone_minutes: i32,
    pub(super) version: &'static str,
}

#[derive(Template)]
#[template(path = "message.html")]
struct Message {
    shell: Shell,
    title: &'static str,
    text: String,
}

/// A link of the navigation: where, its word (of a role of one account, or of the whole box), its icon, what one must
/// be allowed to do.
struct Link {
    href: &'static str,
    label: fn(&Words, bool) -> &'static str,
    icon: &'static str,
    action: Action,
    /// For whom: roles of one account, roles of the whole box.
    of: [bool; 2],
}

/// Where one can go, in the order of the navigation. A link is shown once its page is there.
const LINKS: [Link; 11] = {
    const fn link(
        href: &'static str,
        label: fn(&Words, bool) -> &'static str,
        icon: &'static str,
        action: Action,
        of: [bool; 2],
    ) -> Link {
        Link { href, label, icon, action, of }
    }
    const ONE: [bool; 2] = [true, false];
    const BOX: [bool; 2] = [false, true];
    const BOTH: [bool; 2] = [true, true];
    [
        link("/overview", |t, _| t.overview, "gauge", Action::SeeOverview, BOX),
        link("/recordings", |t, _| t.recordings, "film", Action::SeeFiles, ONE),
        link("/pictures", |t, _| t.pictures, "picture", Action::SeeFiles, ONE),
        link("/accounts", |t, _| t.accounts, "building", Action::SeeSpace, BOX),
        link("/space", |t, one| if one { t.space_own } else { t.space_all }, "disks", Action::SeeSpace, BOTH),
        link("/cameras", |t, _| t.cameras, "camera", Action::SeeSpace, ONE),
        link("/billing", |t, one| if one { t.billing_own } else { t.billing }, "receipt", Action::SeeBilling, BOTH),
        link("/statistics", |t, _| t.statistics, "chart", Action::SeeStatistics, BOTH),
        link("/alerts", |t, _| t.alerts, "bell", Action::SeeAlerts, BOTH),
        link("/audit", |t, _| t.audit, "scroll", Action::SeeAudit, BOTH),
        link("/users", |t, _| t.users, "people", Action::ManageUsers, BOX),
    ]
};

/// The links of a role whose pages are there.
fn links(role: Role, paths: &[&'static str]) -> impl Iterator<Item = &'static Link> {
    LINKS.iter().filter(move |link| {
        link.of[usize::from(!role.of_one_account())] && role.may(link.action) && paths.contains(&link.href)
    })
}

/// The first page of a role.
pub(super) fn home(portal: &Portal, role: Role) -> &'static str {
    links(role, &portal.paths).next().map_or("/about", |link| link.href)
}

/// A role's word.
pub(super) fn role_word(t: &Words, role: Role) -> &'static str {
    match role {
        Role::Operations => t.role_operations,
        Role::Province => t.role_province,
        Role::Viewer => t.role_viewer,
        Role::Auditor => t.role_auditor,
    }
}

impl Shell {
    /// The frame of a page for a visitor.
    pub(super) fn new(portal: &Portal, visitor: &Visitor) -> Self {
        let Preferences { lang, theme } = visitor.preferences;
        let t = lang.words();
        let path = visitor.here.split('?').next().unwrap_or_default();
        let role = visitor.signed.as_ref().map(|signed| signed.role);
        let one = role.is_some_and(Role::of_one_account);
        let entry = |link: &Link| Entry {
            href: link.href,
            label: (link.label)(t, one),
            icon: link.icon,
            here: path == link.href || path.strip_prefix(link.href).is_some_and(|rest| rest.starts_with('/')),
        };
        Self {
            t,
            lang,
            theme,
            entries: role.map_or_else(Vec::new, |role| links(role, &portal.paths).map(entry).collect()),
            user: visitor.signed.as_ref().map(|signed| Badge {
                name: signed.user.as_str().to_owned(),
                role: role_word(t, signed.role),
                account: signed.account.clone(),
            }),
            role,
            token: visitor.signed.as_ref().map(|signed| signed.form_token.clone()).unwrap_or_default(),
            here: visitor.here.clone(),
            back: visitor.back.clone(),
            flash: None,
            now: portal.engine.now().millis(),
            zone_minutes: portal.settings.zone_minutes,
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    /// The same frame with a word of what the page before did.
    pub(super) fn saying(mut self, flash: Option<&'static str>) -> Self {
        self.flash = flash;
        self
    }

    /// Whether the user may do this: buttons of what one may not do are not shown.
    pub(super) fn may(&self, action: Action) -> bool {
        self.role.is_some_and(|role| role.may(action))
    }

    /// One of the two: a sentence that stands in one place of one template.
    pub(super) fn say(&self, zh: &'static str, en: &'static str) -> &'static str {
        self.lang.say(zh, en)
    }

    /// Bytes in the unit that reads best; the exact number is in the element.
    pub(super) fn bytes(&self, number: impl Number) -> Html {
        let number = number.number();
        askama::filters::Safe(format!(
            "<data class=\"num\" value=\"{number}\" title=\"{} B\">{}</data>",
            show::count(number),
            show::bytes(number)
        ))
    }

    /// A count with its thousands apart. Its unit stands beside it.
    pub(super) fn count(&self, number: impl Number) -> Html {
        let number = number.number();
        askama::filters::Safe(format!("<data class=\"num\" value=\"{number}\">{}</data>", show::count(number)))
    }

    /// A share in per cent.
    pub(super) fn percent(&self, part: impl Number, whole: impl Number) -> Html {
        let text = show::percent(part.number(), whole.number());
        askama::filters::Safe(format!("<span class=\"num\">{text}</span>"))
    }

    /// A length of time in seconds, in its two largest units.
    pub(super) fn duration(&self, seconds: impl Number) -> String {
        show::duration(seconds.number(), self.lang)
    }

    /// A moment as `<time>` to the second, or a word for never.
    pub(super) fn time(&self, moment: impl Moment) -> Html {
        let never = || askama::filters::Safe(format!("<span class=\"faint\">{}</span>", self.t.never));
        moment.moment().map_or_else(never, |ms| show::time(ms, self.zone_minutes))
    }

    /// A bar of used (not locked), locked and reserved bytes in a space, with words for who cannot see it.
    pub(super) fn space_bar(
        &self,
        used: impl Number,
        locked: impl Number,
        reserved: impl Number,
        space: impl Number,
    ) -> Html {
        let (used, locked, reserved, space) = (used.number(), locked.number(), reserved.number(), space.number());
        let parts: [Part<'_>; 3] = [
            ("locked", self.t.locked, locked.min(used)),
            (tone_of(used, space), self.t.used, used.saturating_sub(locked)),
            ("reserved", self.t.reserved, reserved),
        ];
        let [l, r] = [&parts[0], &parts[2]].map(|(_, word, bytes)| format!("{word} {}", show::bytes(*bytes)));
        let (t, of) = (self.t, show::bytes(space));
        let label = format!("{} {} {} {of}, {l}, {r}", t.used, show::bytes(used), t.of_total);
        show::bar(&label, &parts, space)
    }

    /// The name of the zone in which times are shown, as `+08:00`.
    pub(super) fn zone(&self) -> String {
        show::zone(self.zone_minutes)
    }

    /// Where the style is.
    pub(super) fn style(&self) -> &'static str {
        STYLE.name()
    }

    /// Where the script is.
    pub(super) fn script(&self) -> &'static str {
        SCRIPT.name()
    }

    /// Where the icons are.
    pub(super) fn icons(&self) -> &'static str {
        ICONS.name()
    }

    /// Where the icon of the browser's tab is.
    pub(super) fn favicon(&self) -> &'static str {
        FAVICON.name()
    }

    /// 403: the role may not.
    pub(super) fn refused(self) -> Response<Body> {
        let (title, text) = (self.t.refused, self.t.refused_help.to_owned());
        page(StatusCode::FORBIDDEN, &Message { title, text, shell: self })
    }

    /// 403: a form that is not of this session.
    pub(super) fn stale(self) -> Response<Body> {
        let (title, text) = (self.t.stale, self.t.stale_help.to_owned());
        page(StatusCode::FORBIDDEN, &Message { title, text, shell: self })
    }

    /// 404: nothing is there.
    pub(super) fn not_found(self) -> Response<Body> {
        let (title, text) = (self.t.not_found, self.t.not_found_help.to_owned());
        page(StatusCode::NOT_FOUND, &Message { title, text, shell: self })
    }

    /// A no as a sentence of the page's language: what is wrong, and what would be right. For a form that is shown
    /// again; where there is none, see [`Shell::failed`].
    pub(super) fn refusal(&self, no: &impl No) -> String {
        no.said(self.lang)
    }

    /// What the engine did not do, and why, as a page.
    pub(super) fn failed(self, error: &crate::engine::Error) -> Response<Body> {
        use crate::engine::Error;
        let (status, title) = match error {
            Error::Refused(Refusal::Forbidden) => return self.refused(),
            Error::Refused(
                Refusal::NoAccount
                | Refusal::NoSubAccount
                | Refusal::NoBucket
                | Refusal::NoFile
                | Refusal::User(UserRefusal::NoUser),
            ) => return self.not_found(),
            Error::Refused(_) => (StatusCode::CONFLICT, self.t.not_done),
            Error::Busy(_) | Error::NoRoom | Error::Unavailable(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, self.t.not_done)
            }
            Error::Broken(_) => (StatusCode::INTERNAL_SERVER_ERROR, self.t.error),
        };
        page(status, &Message { title, text: self.refusal(error), shell: self })
    }
}

/// The colour of what is used: calm, warned above 80 %, full above 95 %.
fn tone_of(used: u64, space: u64) -> &'static str {
    let (used, space) = (u128::from(used) * 100, u128::from(space));
    if used > space * 95 {
        "full"
    } else if used > space * 80 {
        "warn"
    } else {
        "used"
    }
}

/// Where one is in a list of pages of a table.
pub(super) struct Pager {
    /// Path and query without `page`, ending in `?` or `&`.
    base: String,
    /// From 1.
    pub(super) page: u64,
    /// How many there are, at least 1.
    pub(super) pages: u64,
    /// How many rows there are on all.
    pub(super) rows: u64,
}

impl Pager {
    /// Page `page` (from 1) of `rows` rows, `size` on each; `here` is path and query of the page that is shown.
    pub(super) fn new(here: &str, page: u64, rows: u64, size: u64) -> Self {
        let (path, query) = here.split_once('?').unwrap_or((here, ""));
        let kept: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("page=")).collect();
        let base = if kept.is_empty() { format!("{path}?") } else { format!("{path}?{}&", kept.join("&")) };
        let pages = rows.div_ceil(size.max(1)).max(1);
        Self { base, page: page.clamp(1, pages), pages, rows }
    }

    /// The page before, where there is one.
    pub(super) fn previous(&self) -> Option<String> {
        (self.page > 1).then(|| format!("{}page={}", self.base, self.page - 1))
    }

    /// The page behind, where there is one.
    pub(super) fn next(&self) -> Option<String> {
        (self.page < self.pages).then(|| format!("{}page={}", self.base, self.page + 1))
    }
}

/// A page as an answer.
pub(super) fn page(status: StatusCode, template: &impl Template) -> Response<Body> {
    match template.render() {
        Ok(html) => {
            let kind = HeaderValue::from_static("text/html; charset=utf-8");
            (status, [(CONTENT_TYPE, kind)], html).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "a page could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// The cookie of a session, over TLS one that is never sent without; an empty token takes it away.
pub(super) fn session_cookie(response: &mut Response<Body>, token: &str, secured: bool) {
    let life = if token.is_empty() { "; Max-Age=0" } else { "" };
    let only = if secured { "; Secure" } else { "" };
    let name = crate::http::session_cookie_name(secured);
    let text = format!("{name}={token}; Path=/; HttpOnly; SameSite=Strict{only}{life}");
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().append(SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pager_keeps_the_filters_and_stays_inside() {
        let pager = Pager::new("/audit?who=a&page=7", 7, 95, 10);
        assert_eq!((pager.page, pager.pages), (7, 10));
        assert_eq!(pager.previous().as_deref(), Some("/audit?who=a&page=6"));
        assert_eq!(pager.next().as_deref(), Some("/audit?who=a&page=8"));
        let only = Pager::new("/audit", 99, 3, 10);
        assert_eq!((only.page, only.previous(), only.next()), (1, None, None));
    }

    #[test]
    fn the_navigation_of_each_role() {
        let paths: Vec<&'static str> = LINKS.iter().map(|link| link.href).collect();
        let of = |role| links(role, &paths).map(|link| &link.href[1..]).collect::<Vec<_>>().join(" ");
        assert_eq!(of(Role::Operations), "overview accounts space billing statistics alerts audit users");
        assert_eq!(of(Role::Province), "recordings pictures space cameras billing statistics alerts audit");
        assert_eq!(of(Role::Viewer), "recordings pictures space cameras");
        assert_eq!(of(Role::Auditor), "overview accounts space billing statistics alerts audit");
        assert_eq!(links(Role::Viewer, &["/space"]).count(), 1);
    }
}
