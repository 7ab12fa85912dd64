//! The table of the API: each route with what one must be allowed to do, in words, and what serves it. The router, the
//! OpenAPI document and the test of who may what are made from it and from nothing else.

use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, any, on};
use http::Method;

use super::door::{Door, Rule, admit};
use super::refusal::No;
use super::routes::{self, Control};
use super::{alerts, billing, cameras, files, media, office, openapi, operate, space, statistics, users};
use crate::domain::{Action, Role};

/// What one must be to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nobody has to be signed in.
    Nothing,
    /// Anybody who is signed in; the use case says what is theirs.
    SignIn,
    /// A role that may do this, in its own account where it is of one.
    Role(Action),
    /// A role that may do this with the whole box.
    Everywhere(Action),
}

impl Needs {
    /// Whether this role is let in.
    pub(super) fn are_met_by(self, role: Role) -> bool {
        match self {
            Self::Nothing | Self::SignIn => true,
            Self::Role(action) => role.may(action),
            Self::Everywhere(action) => role.may(action) && !role.of_one_account(),
        }
    }

    /// Words of the roles that are let in.
    pub(super) fn roles(self) -> Vec<&'static str> {
        Role::ALL.into_iter().filter(|role| self.are_met_by(*role)).map(Role::word).collect()
    }
}

/// Where a route is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum On {
    /// The control socket and the portal's listener.
    Both,
    /// The portal's listener alone: it is about the session that asks, or about the account of who asks.
    Sessions,
    /// The control socket alone.
    Socket,
}

/// A field of a body or a query: its name, its JSON type (`?` behind it: it may be left out), what it is.
pub(super) type Field = (&'static str, &'static str, &'static str);

/// A route.
pub(super) struct Route {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) on: On,
    pub(super) needs: Needs,
    /// What it does, in a line.
    pub(super) summary: &'static str,
    /// Fields of the query, of a GET, or of the body.
    pub(super) takes: &'static [Field],
    /// What it answers.
    pub(super) gives: Gives,
    serve: MethodRouter<Control>,
}

/// What a route answers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Gives {
    /// An object with these fields.
    One(&'static [Field]),
    /// A list of them.
    Many(&'static [Field]),
    /// Bytes, of this type at least.
    Bytes(&'static str),
}

impl Route {
    pub(super) fn new<H, T>(method: Method, path: &'static str, needs: Needs, summary: &'static str, serve: H) -> Self
    where
        H: Handler<T, Control>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET);
        let serve = on(filter, serve);
        Self { method, path, on: On::Both, needs, summary, takes: &[], gives: Gives::One(&[]), serve }
    }

    pub(super) fn takes(mut self, fields: &'static [Field]) -> Self {
        self.takes = fields;
        self
    }

    pub(super) fn gives(mut self, gives: Gives) -> Self {
        self.gives = gives;
        self
    }

    pub(super) fn only(mut self, on: On) -> Self {
        self.on = on;
        self
    }
}

/// The router of a door.
pub(super) fn router(control: Control, door: Door) -> Router {
    let mut router = Router::new();
    for route in table() {
        let here = match route.on {
            On::Both => true,
            On::Sessions => door == Door::Sessions,
            On::Socket => door == Door::Socket,
        };
        if here {
            let rule = Rule { door, needs: route.needs, engine: control.engine.clone() };
            router = router.route(route.path, route.serve.layer(from_fn_with_state(rule, admit)));
        }
    }
    let nothing = async || No::not_found("there is no such resource").into_response();
    // On the portal's listener the rest belongs to the pages.
    let router = match door {
        Door::Socket => router.fallback(nothing),
        Door::Sessions => router.route("/api/{*rest}", any(nothing)),
    };
    router.method_not_allowed_fallback(async || No::method_not_allowed().into_response()).with_state(control)
}

const ACCOUNT: &[Field] = &[
    ("account", "string", "its name"),
    ("space_gb", "integer", "total, GB"),
    ("handed_out_gb", "integer", "handed out to sub-accounts, GB"),
    ("free_gb", "integer", "left to hand out, GB"),
    ("used_bytes", "integer", "bytes stored by its sub-accounts"),
    ("files", "integer", "files stored by its sub-accounts"),
    ("own_buckets", "integer", "buckets that its administration key made"),
    ("own_bytes", "integer", "bytes in them"),
    ("own_files", "integer", "files in them"),
    ("sub_accounts", "integer", "sub-accounts now"),
    ("max_sub_accounts", "integer", "sub-accounts at most"),
    ("alert_url", "string?", "where its platform takes alerts"),
    ("callback", "object", "how its platform wants them written"),
    ("admin_ak", "string?", "its administration key's AK"),
    ("created_ms", "integer", "when it was opened, ms since 1970"),
    ("suspended_ms", "integer?", "since when it is suspended, ms since 1970"),
];
const SUB_ACCOUNT: &[Field] = &[
    ("ak", "string", "S3AK"),
    ("account", "string", "its account"),
    ("space_gb", "integer", "granted, GB"),
    ("space_bytes", "integer", "granted, bytes"),
    ("used_bytes", "integer", "stored, bytes"),
    ("reserved_bytes", "integer", "uploads under way, bytes"),
    ("locked_bytes", "integer", "locked files, bytes"),
    ("recordings", "integer", "recordings"),
    ("pictures", "integer", "pictures"),
    ("locked_files", "integer", "locked files"),
    ("loop", "boolean", "whether the oldest files are overwritten"),
    ("record_bucket", "string", "record bucket"),
    ("picture_bucket", "string", "picture bucket"),
    ("episodes", "array", "open alerts: full, nearly_full"),
    ("overwrites", "integer", "overwrites so far"),
    ("last_upload_ms", "integer?", "when the last upload was completed, ms since 1970"),
    ("created_ms", "integer", "when it was opened, ms since 1970"),
];
const USER: &[Field] = &[
    ("user", "string", "its name"),
    ("role", "string", "operations, province, viewer or auditor"),
    ("account", "string?", "its account, of the roles province and viewer"),
    ("totp", "boolean", "whether it has a second factor"),
    ("disabled", "boolean", "whether it may not sign in"),
    ("created_ms", "integer", "when it was made, ms since 1970"),
    ("signed_in_ms", "integer?", "when it last signed in, ms since 1970"),
];
const SESSION: &[Field] = &[
    ("id", "string", "a name for it that is not its token"),
    ("user", "string", "whose"),
    ("created_ms", "integer", "when it was begun, ms since 1970"),
    ("seen_ms", "integer", "when it was last used, ms since 1970"),
    ("from", "string", "from where"),
    ("agent", "string", "with which browser"),
    ("own", "boolean", "whether it is the one that asks"),
];
const SIGNED_IN: &[Field] = &[
    ("user", "string", "its name"),
    ("role", "string", "operations, province, viewer or auditor"),
    ("account", "string?", "its account, of the roles province and viewer"),
    ("form_token", "string", "for the header x-form-token, where the session is a cookie"),
];
const ALERT: &[Field] = &[
    ("id", "integer", "its number"),
    ("account", "string", "the account"),
    ("ak", "string", "the sub-account's AK"),
    ("alert", "string", "full, nearly_full or idle"),
    ("state", "string", "pending, delivered, withdrawn, replaced or given_up"),
    ("raised_ms", "integer", "when it was raised, ms since 1970"),
    ("attempts", "integer", "attempts so far"),
    ("next_ms", "integer?", "when it is tried next, ms since 1970"),
    ("last", "string?", "what the last attempt came to"),
    ("name", "string", "what people call the camera"),
    ("test", "boolean", "whether it is a test"),
    ("acknowledged_ms", "integer?", "when somebody acknowledged it, ms since 1970"),
    ("acknowledged_by", "string?", "who"),
];
const ALERT_FILTER: &[Field] = &[
    ("state", "string?", "pending, delivered, withdrawn, replaced or given_up"),
    ("kind", "string?", "full, nearly_full or idle"),
    ("account", "string?", "the account, whole"),
    ("ak", "string?", "the sub-account's AK, whole"),
    ("acknowledged", "boolean?", "whether somebody acknowledged it"),
    ("test", "boolean?", "whether it is a test"),
    ("before", "integer?", "next of the page before"),
    ("most", "integer?", "at most so many, 1 to 1000; 100"),
];
const AUDIT: &[Field] = &[
    ("at_ms", "integer", "when, ms since 1970"),
    ("who", "string", "an account, an AK, a user, or operator"),
    ("from", "string", "the other end's address"),
    ("what", "string", "what was done"),
    ("target", "string", "on what"),
    ("outcome", "string", "what came of it"),
];
const CONTENTS: &[Field] = &[
    ("sub_accounts", "integer", "its sub-accounts"),
    ("own_buckets", "integer", "buckets of its own"),
    ("files", "integer", "files in all of them"),
    ("bytes", "integer", "their bytes, parts of uploads too"),
    ("locked_files", "integer", "locked files among them: a close takes them too"),
    ("locked_bytes", "integer", "their bytes"),
    ("oldest_ms", "integer?", "FileDate of the oldest file, ms since 1970"),
    ("last_upload_ms", "integer?", "when the last upload was completed, ms since 1970"),
];
const AUDIT_FILTER: &[Field] = &[
    ("who", "string?", "who, whole"),
    ("what", "string?", "a part of what was done, in either case"),
    ("target", "string?", "a part of what it was done on, in either case"),
    ("account", "string?", "what an account's password, keys and users did, and what was done on it"),
    ("done", "boolean?", "whether it was done; false is what was refused or failed"),
    ("text", "string?", "a part of anything that a line says, in either case"),
    ("from_ms", "integer?", "not before this, ms since 1970"),
    ("until_ms", "integer?", "before this, ms since 1970"),
    ("before", "integer?", "next of the page before"),
    ("most", "integer?", "at most so many, 1 to 1000; 100"),
];
const TARIFF_NEW: &[Field] = &[
    ("name", "string", "its name, that its versions share"),
    ("basis", "string", "handed_out or used"),
    ("rule", "object", "kind per_gb, tiers or package, with its prices; 厘"),
    ("minimum_li", "integer?", "what a month costs at least, 厘"),
    ("from", "string", "the first day, like 2026-11-25"),
    ("to", "string?", "the first day on which it does not hold any more"),
];
const TARIFF: &[Field] = &[
    ("version", "integer", "its number, that lines of statements name"),
    ("name", "string", "its name, that its versions share"),
    ("basis", "string", "handed_out or used"),
    ("created_ms", "integer", "when it was entered, ms since 1970"),
    ("by", "string", "by whom"),
];
const ASSIGNMENT: &[Field] = &[
    ("account_id", "integer", "the account's number"),
    ("account", "string", "its name"),
    ("from", "string", "the first day"),
    ("tariff", "string?", "the tariff's name"),
    ("created_ms", "integer", "when it was entered, ms since 1970"),
    ("by", "string", "by whom"),
];
const STATEMENT: &[Field] = &[
    ("state", "string", "trial, issued, adjusted or settled"),
    ("statement", "object", "the lines and the total"),
    ("digest", "string", "SHA-256 of the canonical bytes, hex"),
    ("canonical", "string", "the canonical bytes"),
    ("over", "boolean", "whether the month can be issued"),
    ("adjusted_li", "integer", "sum of the corrections, 厘"),
    ("due_li", "integer", "what is due, 厘"),
];
const STATISTICS: &[Field] = &[
    ("period", "string", "day, month or year"),
    ("account", "string?", "the account's name, where it is one account's"),
    ("zone_minutes", "integer", "minutes east of UTC that days and months begin by"),
    ("points", "array", "steps, the oldest first; the last is under way; measured says whether the box ran in it"),
    ("total", "object", "all of them together"),
    ("over", "object", "those that are over"),
    ("before", "object?", "as many steps before them; null where the box is too young"),
    ("by", "string", "what the top lists are sorted by"),
    ("top_accounts", "array", "accounts, of the period; empty where it is one account's"),
    ("top_cameras", "array", "cameras, of the last seven days"),
    ("growth", "object", "what is used by the day, how it grows, when it is full"),
];
const OVERVIEW: &[Field] = &[
    ("at_ms", "integer", "when, ms since 1970"),
    ("healthy", "boolean", "whether every disk works and nothing damaged was found"),
    ("status", "object", "as of /api/v1/status"),
    ("checkpoint_ms", "integer?", "when the index was last made durable, ms since 1970"),
    ("growth", "object", "what is used by the day, how it grows, when the disks are full"),
    ("ingest", "object", "bytes and files of the last within_ms, and the last 24 hours"),
    ("alerts_open", "integer", "alerts that are not delivered"),
    ("alerts_oldest_ms", "integer?", "when the oldest of them was raised, ms since 1970"),
    ("silent", "integer", "cameras gone silent"),
    ("silent_first", "array", "those that are silent the longest"),
    ("to_issue", "object?", "accounts whose last month has no statement yet"),
    ("audit", "array", "the last lines of the audit log, newest first"),
];
const MATCH: &[Field] = &[
    ("account", "string", "its name"),
    ("ours_li", "integer?", "what is booked here, 厘"),
    ("theirs_li", "integer?", "what the CRM has booked, 厘"),
    ("difference_li", "integer", "ours less theirs, 厘"),
    ("outcome", "string", "differs, only_ours, only_theirs or matches"),
];
const AS_FILE: &[Field] = &[("as", "string?", "csv or xlsx; csv")];
const KEY: &[Field] = &[("ak", "string", "access key"), ("sk", "string", "secret key")];
const MOST: &[Field] = &[("most", "integer?", "at most so many, 1 to 100000; 100")];
const ONCE: &[Field] = &[("user", "string", "its name"), ("password", "string", "its password, shown this once")];

/// All routes.
pub(super) fn table() -> Vec<Route> {
    use Gives::{Many, One};
    let (get, post, patch, delete) = (Method::GET, Method::POST, Method::PATCH, Method::DELETE);
    let role = Needs::Role;
    let mut all = vec![
        Route::new(get.clone(), "/api/v1/openapi.json", Needs::Nothing, "this document", openapi::serve),
        // --- sessions ---
        Route::new(post.clone(), "/api/v1/session", Needs::Nothing, "sign in", users::sign_in)
            .only(On::Sessions)
            .takes(&[
                ("user", "string", "its name"),
                ("password", "string", "its password"),
                ("totp", "string?", "the code of its authenticator, if it has one"),
            ])
            .gives(One(&[("token", "string", "for the header Authorization: Bearer TOKEN")])),
        Route::new(get.clone(), "/api/v1/session", Needs::SignIn, "who is signed in", users::whoami)
            .only(On::Sessions)
            .gives(One(SIGNED_IN)),
        Route::new(delete.clone(), "/api/v1/session", Needs::SignIn, "sign out", users::sign_out).only(On::Sessions),
        Route::new(get.clone(), "/api/v1/sessions", Needs::SignIn, "sessions: one's own, or all", users::sessions)
            .gives(Many(SESSION)),
        Route::new(delete.clone(), "/api/v1/sessions/{id}", Needs::SignIn, "end a session", users::end_session),
        Route::new(post.clone(), "/api/v1/setup", Needs::Nothing, "make the first user", users::set_up)
            .only(On::Sessions)
            .takes(&[
                ("code", "string", "the setup code that the server printed at its start"),
                ("user", "string", "the first user's name; its role is operations"),
                ("password", "string", "its password"),
            ]),
        Route::new(
            post.clone(),
            "/api/v1/session/second-factor",
            Needs::SignIn,
            "a secret for one's authenticator; nothing is switched on yet",
            users::new_second_factor,
        )
        .only(On::Sessions)
        .gives(One(&[("secret", "string", "base32"), ("url", "string", "the same as an otpauth: address")])),
        Route::new(
            Method::PUT,
            "/api/v1/session/second-factor",
            Needs::SignIn,
            "switch one's second factor on",
            users::confirm_second_factor,
        )
        .only(On::Sessions)
        .takes(&[("secret", "string", "what the authenticator was given"), ("code", "string", "what it shows")]),
        Route::new(
            delete.clone(),
            "/api/v1/session/second-factor",
            Needs::SignIn,
            "switch one's second factor off",
            users::end_second_factor,
        )
        .only(On::Sessions)
        .takes(&[("code", "string", "what the authenticator shows")]),
        // --- users ---
        Route::new(get.clone(), "/api/v1/users", role(Action::ManageUsers), "all users", users::list).gives(Many(USER)),
        Route::new(post.clone(), "/api/v1/users", role(Action::ManageUsers), "make a user", users::add)
            .takes(&[
                ("user", "string", "its name"),
                ("role", "string", "operations, province, viewer or auditor"),
                ("account", "string?", "its account, of the roles province and viewer"),
                ("password", "string?", "made up where it is not given"),
            ])
            .gives(One(ONCE)),
        Route::new(patch.clone(), "/api/v1/users/{name}", role(Action::ManageUsers), "switch off or on", users::modify)
            .takes(&[("disabled", "boolean", "whether it may not sign in")]),
        Route::new(delete.clone(), "/api/v1/users/{name}", role(Action::ManageUsers), "remove a user", users::remove),
        Route::new(post.clone(), "/api/v1/users/{name}/password", Needs::SignIn, "change a password", users::password)
            .takes(&[
                ("password", "string?", "the new one; made up where it is not given"),
                ("old", "string?", "the old one, where it is one's own"),
            ])
            .gives(One(ONCE)),
        Route::new(
            delete.clone(),
            "/api/v1/users/{name}/second-factor",
            role(Action::ManageUsers),
            "take a user's second factor away",
            users::remove_second_factor,
        ),
        // --- accounts ---
        Route::new(get.clone(), "/api/v1/accounts", role(Action::SeeSpace), "accounts", routes::list_accounts)
            .gives(Many(ACCOUNT)),
        Route::new(post.clone(), "/api/v1/accounts", role(Action::ManageAccounts), "open one", routes::open_account)
            .takes(&[
                ("account", "string", "its name"),
                ("space_gb", "integer", "its space, GB"),
                ("password", "string?", "made up where it is not given"),
                ("alert_url", "string?", "where its platform takes alerts"),
                ("max_sub_accounts", "integer?", "sub-accounts at most"),
            ])
            .gives(One(&[
                ("account", "string", "its name"),
                ("password", "string", "its password, shown this once"),
                ("soap_url", "string", "where section 7 is called"),
                ("wsdl_url", "string", "where its WSDL is"),
                ("s3_url", "string", "S3URL"),
            ])),
        Route::new(get.clone(), "/api/v1/accounts/{name}", role(Action::SeeSpace), "one account", routes::show_account)
            .gives(One(ACCOUNT)),
        Route::new(
            patch.clone(),
            "/api/v1/accounts/{name}",
            role(Action::ManageAccounts),
            "change an account",
            routes::modify_account,
        )
        .takes(&[
            ("space_gb", "integer?", "a new total, GB"),
            ("password", "string?", "a new password"),
            ("alert_url", "string?", "a new alert URL; the empty one takes it away"),
            ("max_sub_accounts", "integer?", "a new limit"),
            ("callback", "object?", "changes to how its platform wants callbacks written"),
        ])
        .gives(One(ACCOUNT)),
        Route::new(
            delete.clone(),
            "/api/v1/accounts/{name}",
            role(Action::ManageAccounts),
            "close an account with all that it has",
            routes::close_account,
        )
        .gives(One(&[("closed", "string", "its name")])),
        Route::new(
            post.clone(),
            "/api/v1/accounts/{name}/key",
            role(Action::ManageAccounts),
            "its administration key",
            routes::account_key,
        )
        .gives(One(KEY)),
        Route::new(
            get.clone(),
            "/api/v1/accounts/{name}/sub-accounts",
            role(Action::SeeSpace),
            "its sub-accounts, in the order of their opening",
            routes::list_sub_accounts,
        )
        .takes(&[("skip", "integer?", "leave out so many"), ("most", "integer?", "at most so many; all")])
        .gives(Many(SUB_ACCOUNT)),
        Route::new(
            post.clone(),
            "/api/v1/accounts/{name}/suspend",
            role(Action::ManageAccounts),
            "take neither its password nor its keys any more; its files stay",
            office::suspend,
        )
        .gives(One(ACCOUNT)),
        Route::new(
            post.clone(),
            "/api/v1/accounts/{name}/resume",
            role(Action::ManageAccounts),
            "let a suspended account go on",
            office::resume,
        )
        .gives(One(ACCOUNT)),
        Route::new(
            get.clone(),
            "/api/v1/accounts/{name}/contents",
            role(Action::ManageAccounts),
            "what would go with it if it were closed now",
            office::contents,
        )
        .gives(One(CONTENTS)),
        // --- sub-accounts ---
        Route::new(
            post.clone(),
            "/api/v1/sub-accounts",
            role(Action::ManageSubAccounts),
            "open one, in one's own account or in that which is named (7.2)",
            routes::open_sub_account,
        )
        .takes(&[
            ("space_gb", "integer", "its space, GB"),
            ("account", "string?", "of this account; of one's own where it is left out"),
            ("loop", "boolean?", "whether the oldest files are overwritten; false"),
            ("name", "string?", "what people call its camera"),
            ("place", "string?", "where that is"),
        ])
        .gives(One(&[
            ("ak", "string", "S3AK"),
            ("sk", "string", "S3SK"),
            ("s3_url", "string", "S3URL"),
            ("record_bucket", "string", "S3RecordBucket"),
            ("picture_bucket", "string", "S3PictureBucket"),
        ])),
        Route::new(
            get.clone(),
            "/api/v1/sub-accounts/{ak}",
            role(Action::SeeSpace),
            "one sub-account",
            routes::show_sub_account,
        )
        .gives(One(SUB_ACCOUNT)),
        Route::new(
            patch,
            "/api/v1/sub-accounts/{ak}",
            role(Action::ManageSubAccounts),
            "resize it (7.5); overwrite or stop when it is full (7.6)",
            routes::modify_sub_account,
        )
        .takes(&[("space_gb", "integer?", "a new space, GB"), ("loop", "boolean?", "whether the oldest go")])
        .gives(One(SUB_ACCOUNT)),
        Route::new(
            delete,
            "/api/v1/sub-accounts/{ak}",
            role(Action::ManageSubAccounts),
            "close it with all its files (7.3)",
            routes::close_sub_account,
        ),
        Route::new(
            post.clone(),
            "/api/v1/sub-accounts/{ak}/clear",
            role(Action::ManageSubAccounts),
            "delete all its files that are not locked (7.9)",
            routes::clear_sub_account,
        )
        .gives(One(SUB_ACCOUNT)),
        Route::new(
            post.clone(),
            "/api/v1/sub-accounts/{ak}/key",
            role(Action::SeeKeys),
            "its secret key once again",
            routes::sub_account_key,
        )
        .gives(One(KEY)),
        // --- files ---
        Route::new(
            get.clone(),
            "/api/v1/sub-accounts/{ak}/files",
            role(Action::SeeFiles),
            "its files by date (7.7)",
            files::search,
        )
        .only(On::Sessions)
        .takes(&[
            ("media", "string?", "recording or picture"),
            ("from_ms", "integer?", "from when, ms since 1970"),
            ("to_ms", "integer?", "until when, ms since 1970"),
            ("page", "integer?", "from 1"),
            ("most", "integer?", "files of a page; 100"),
        ])
        .gives(One(&[("total", "integer", "all that match"), ("files", "array", "name, created_ms, bytes, locked")])),
        Route::new(
            post.clone(),
            "/api/v1/sub-accounts/{ak}/files/lock",
            role(Action::ChangeFiles),
            "lock or unlock a file (7.8)",
            files::lock,
        )
        .only(On::Sessions)
        .takes(&[
            ("name", "string", "the file's name"),
            ("locked", "boolean", "whether it is to be locked"),
            ("reason", "string?", "why, for the audit log"),
        ]),
        Route::new(
            post.clone(),
            "/api/v1/sub-accounts/{ak}/files/delete",
            role(Action::ChangeFiles),
            "delete files that are not locked",
            files::delete,
        )
        .only(On::Sessions)
        .takes(&[("media", "string", "recording or picture"), ("names", "array", "1 to 1000 names")])
        .gives(Many(&[
            ("name", "string", "which"),
            ("deleted", "boolean", "whether it is gone"),
            ("outcome", "string", "what came of it"),
        ])),
        // --- settlement ---
        Route::new(
            get.clone(),
            "/api/v1/tariffs",
            Needs::Everywhere(Action::SeeBilling),
            "all versions of all tariffs",
            billing::tariffs,
        )
        .gives(Many(TARIFF)),
        Route::new(
            post.clone(),
            "/api/v1/tariffs",
            role(Action::ManageBilling),
            "enter a version",
            billing::add_tariff,
        )
        .takes(TARIFF_NEW)
        .gives(One(TARIFF)),
        Route::new(
            get.clone(),
            "/api/v1/tariff-assignments",
            Needs::Everywhere(Action::SeeBilling),
            "who has which tariff from which day on",
            billing::assignments,
        )
        .takes(&[("account", "string?", "of this account alone")])
        .gives(Many(ASSIGNMENT)),
        Route::new(
            post.clone(),
            "/api/v1/tariff-assignments",
            role(Action::ManageBilling),
            "give an account a tariff from a day on",
            billing::assign,
        )
        .takes(&[
            ("account", "string", "its name, or @ and its number"),
            ("tariff", "string?", "the tariff's name; none where it is not given"),
            ("from", "string", "the first day, like 2026-11-25"),
            ("to", "string?", "the first day after, where it ends"),
        ])
        .gives(One(ASSIGNMENT)),
        Route::new(
            get.clone(),
            "/api/v1/billing/{month}",
            Needs::Everywhere(Action::SeeBilling),
            "a month over all accounts",
            billing::month,
        )
        .takes(&[("after", "integer?", "what next was"), ("most", "integer?", "rows, 200 at most; 100")]),
        Route::new(
            get.clone(),
            "/api/v1/billing/{month}/export",
            Needs::Everywhere(Action::SeeBilling),
            "a month over all accounts as a file for a spreadsheet",
            statistics::export_month,
        )
        .takes(AS_FILE),
        Route::new(
            post.clone(),
            "/api/v1/billing/{month}/reconcile",
            Needs::Everywhere(Action::SeeBilling),
            "hold a month against what the CRM has booked; the body is its CSV",
            statistics::reconcile,
        )
        .gives(Many(MATCH)),
        Route::new(
            get.clone(),
            "/api/v1/accounts/{name}/statements/{month}/export",
            role(Action::SeeBilling),
            "a statement as a file for a spreadsheet",
            statistics::export_statement,
        )
        .takes(AS_FILE),
        Route::new(
            get.clone(),
            "/api/v1/accounts/{name}/statements",
            role(Action::SeeBilling),
            "its issued statements, newest first",
            billing::statements,
        )
        .gives(Many(&[])),
        Route::new(
            get.clone(),
            "/api/v1/accounts/{name}/statements/{month}",
            role(Action::SeeBilling),
            "a statement; a trial where it is not issued",
            billing::statement,
        )
        .gives(One(STATEMENT)),
        Route::new(
            post.clone(),
            "/api/v1/accounts/{name}/statements/{month}/issue",
            role(Action::ManageBilling),
            "issue a month",
            billing::issue,
        )
        .gives(One(STATEMENT)),
        Route::new(
            post.clone(),
            "/api/v1/accounts/{name}/statements/{month}/adjust",
            role(Action::ManageBilling),
            "enter a correction",
            billing::adjust,
        )
        .takes(&[("amount_li", "integer", "厘, either sign"), ("reason", "string", "why")])
        .gives(One(STATEMENT)),
        Route::new(
            post.clone(),
            "/api/v1/accounts/{name}/statements/{month}/settle",
            role(Action::ManageBilling),
            "settle it; nothing is changed after",
            billing::settle,
        )
        .gives(One(STATEMENT)),
        Route::new(
            post.clone(),
            "/api/v1/accounts/{name}/statements/{month}/verify",
            role(Action::SeeBilling),
            "compute an issued month again and compare the bytes",
            billing::verify,
        )
        .gives(One(&[
            ("same", "boolean", "whether the bytes are the issued ones"),
            ("issued_digest", "string", "SHA-256 that was kept, hex"),
            ("computed_digest", "string", "SHA-256 of what is computed now, hex"),
        ])),
        Route::new(
            get.clone(),
            "/api/v1/accounts/{name}/samples",
            role(Action::SeeBilling),
            "hourly samples of days",
            billing::samples,
        )
        .takes(&[("from", "string", "the first day, like 2026-11-25"), ("to", "string", "the first day after")]),
        // --- the box ---
        Route::new(
            get.clone(),
            "/api/v1/statistics",
            role(Action::SeeStatistics),
            "counters over time, top lists, growth; of the box, or of one account",
            statistics::statistics,
        )
        .takes(&[
            ("period", "string?", "24h by the hour, 30d by the day, 12m by the month; 24h"),
            ("account", "string?", "of this account alone"),
            ("by", "string?", "what the top lists are sorted by: bytes, uploads or refused; bytes"),
            ("as", "string?", "json or csv; json"),
        ])
        .gives(One(STATISTICS)),
        Route::new(
            get.clone(),
            "/api/v1/overview",
            Needs::Everywhere(Action::SeeOverview),
            "the box at a glance: health, space, what comes in, what wants to be looked at",
            statistics::overview,
        )
        .gives(One(OVERVIEW)),
        Route::new(get.clone(), "/api/v1/status", role(Action::SeeOverview), "the box's state", routes::status),
        Route::new(get.clone(), "/api/v1/alerts", role(Action::SeeAlerts), "alerts, newest first", routes::list_alerts)
            .takes(MOST)
            .gives(Many(ALERT)),
        Route::new(
            get.clone(),
            "/api/v1/alerts/page",
            role(Action::SeeAlerts),
            "a page of alerts, newest first; of an account's users: its own",
            alerts::page,
        )
        .takes(ALERT_FILTER)
        .gives(One(&[("alerts", "array", "alerts"), ("next", "integer?", "where to go on; absent at the end")])),
        Route::new(
            get.clone(),
            "/api/v1/alerts/{id}",
            role(Action::SeeAlerts),
            "an alert with every attempt and what people said",
            alerts::show,
        )
        .gives(One(&[
            ("alert", "object", "the alert"),
            (
                "attempts",
                "array",
                "at_ms, request with secrets masked, status, answer, outcome, delivered; oldest first",
            ),
            ("acknowledged", "object?", "by, at_ms"),
            ("comments", "array", "by, at_ms, text; oldest first"),
        ])),
        Route::new(
            post.clone(),
            "/api/v1/alerts/{id}/acknowledge",
            role(Action::ManageAlerts),
            "acknowledge an alert, or take that back",
            alerts::acknowledge,
        )
        .takes(&[("acknowledged", "boolean", "whether it is to be acknowledged")])
        .gives(One(&[("id", "integer", "its number"), ("acknowledged", "boolean", "whether it is now")])),
        Route::new(
            post.clone(),
            "/api/v1/alerts/{id}/comment",
            role(Action::ManageAlerts),
            "say something about an alert",
            alerts::comment,
        )
        .takes(&[("text", "string", "1 to 1000 characters")])
        .gives(One(&[("id", "integer", "its number")])),
        Route::new(
            post.clone(),
            "/api/v1/accounts/{name}/test-alert",
            role(Action::ManageAlerts),
            "send an alert as a test, by the outbox; the platform cannot tell it from another",
            alerts::test,
        )
        .takes(&[
            ("ak", "string?", "the sub-account's AK; the account's first where it is not given"),
            ("alert", "string?", "full, nearly_full or idle; nearly_full"),
        ])
        .gives(One(&[("id", "integer", "its number")])),
        Route::new(
            post.clone(),
            "/api/v1/alerts/{id}/resend",
            role(Action::ManageAlerts),
            "send an alert now",
            routes::resend_alert,
        )
        .gives(One(&[("resent", "integer", "its number")])),
        Route::new(
            get.clone(),
            "/api/v1/audit/page",
            role(Action::SeeAudit),
            "a page of the audit log, newest first; of an account's users: what is the account's",
            office::audit_page,
        )
        .takes(AUDIT_FILTER)
        .gives(One(&[
            ("lines", "array", "lines as of the audit log, each with its number"),
            ("next", "integer?", "where to go on; absent at the end"),
        ])),
        Route::new(
            get.clone(),
            "/api/v1/audit/export",
            role(Action::SeeAudit),
            "the same lines, page after page, as CSV: UTF-8 with a mark, text/csv",
            office::export_audit,
        )
        .takes(AUDIT_FILTER),
        Route::new(
            get.clone(),
            "/api/v1/audit/chain",
            Needs::Everywhere(Action::SeeAudit),
            "the audit log as it can be verified elsewhere: lines behind the number `after`, oldest first",
            office::audit_chain,
        )
        .gives(One(&[
            ("lines", "array", "number, at_ms, entry as it was written, chain in hex"),
            ("next", "integer?", "where to go on; absent at the end"),
            ("end", "string", "what the log ends in, in hex"),
        ])),
        Route::new(
            post.clone(),
            "/api/v1/audit/verify",
            // Of the whole box, so that those of one account may not.
            role(Action::SeeOverview),
            "hold the audit log against its chain",
            office::verify_audit,
        )
        .gives(One(&[
            ("lines", "integer", "lines looked at"),
            ("broken_at", "integer?", "the first that is not as it was written, or follows one that is missing"),
            ("cut_off", "boolean", "whether lines at the end are missing"),
        ])),
        Route::new(
            get.clone(),
            "/api/v1/audit",
            Needs::Everywhere(Action::SeeAudit),
            "the audit log, newest first",
            routes::list_audit,
        )
        .takes(MOST)
        .gives(Many(AUDIT)),
        Route::new(
            post.clone(),
            "/api/v1/index/check",
            role(Action::Operate),
            "hold index and volumes against each other",
            routes::check,
        ),
        Route::new(
            post.clone(),
            "/api/v1/scrub",
            role(Action::Operate),
            "read everything, verify every checksum",
            routes::scrub,
        )
        .takes(&[("rate", "integer?", "bytes a second at most; 0, or absent: no limit")]),
        Route::new(
            get,
            "/api/v1/key",
            role(Action::Operate),
            "under which master key secrets are sealed",
            routes::master_key,
        )
        .only(On::Socket),
        Route::new(
            post.clone(),
            "/api/v1/key/rotate",
            role(Action::Operate),
            "exchange the master key: everything is sealed anew",
            routes::rotate_key,
        )
        .only(On::Socket),
        Route::new(
            post.clone(),
            "/api/v1/backup",
            role(Action::Operate),
            "write a backup of everything but the media",
            routes::backup,
        )
        // It names a path of the machine.
        .only(On::Socket),
        Route::new(
            post,
            "/api/v1/config/reload",
            role(Action::Operate),
            "read the configuration again",
            routes::reload,
        )
        .only(On::Socket),
    ];
    all.extend(media::routes());
    all.extend(operate::routes());
    all.extend(space::routes());
    all.extend(cameras::routes());
    all
}
