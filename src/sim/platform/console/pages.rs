//! The pages of the console.

use askama::Template;

use crate::sim::client::operations::{Field, OPERATIONS, Operation, Words};
use crate::sim::platform::Play;
use crate::sim::platform::desk::{Account, Kept, News, SubAccount, words};

/// Shares that have a button.
const SHARES: [u32; 4] = [79, 81, 90, 100];
/// What the platform can play, and what that is.
const PLAYS: [(&str, Words); 8] = [
    ("answer", ("正常应答", "answer")),
    ("fail", ("HTTP 500", "HTTP 500")),
    ("hang", ("不应答", "hang")),
    ("refuse", ("断开连接", "hang up")),
    ("fault", ("SOAP Fault", "SOAP Fault")),
    ("result=7", ("Result 7", "Result 7")),
    ("charset", ("字符集错误", "wrong charset")),
    ("slow=5", ("5 秒后应答", "after 5 s")),
];

/// In which language.
#[derive(Clone, Copy)]
pub(super) struct Ui {
    pub(super) zh: bool,
}

impl Ui {
    fn say<'a>(&self, zh: &'a str, en: &'a str) -> &'a str {
        if self.zh { zh } else { en }
    }

    fn words(&self, words: &Words) -> &'static str {
        if self.zh { words.0 } else { words.1 }
    }
}

/// The page with everything.
#[derive(Template)]
#[template(path = "console_front.html")]
pub(super) struct Front {
    ui: Ui,
    accounts: Vec<Account>,
    sub_accounts: Vec<SubAccount>,
    chosen: Option<SubAccount>,
    forms: Vec<Form>,
    plays: Vec<(&'static str, &'static Words, bool)>,
    playing: String,
    /// Newest first.
    news: Vec<News>,
    last: u64,
    callback: String,
    shares: [u32; 4],
}

/// The form of an operation.
struct Form {
    operation: &'static Operation,
    fields: Vec<Filled>,
}

/// A field of it with what is in it.
struct Filled {
    field: &'static Field,
    value: String,
}

impl Front {
    pub(super) fn new(
        ui: Ui,
        accounts: Vec<Account>,
        sub_accounts: Vec<SubAccount>,
        chosen: Option<SubAccount>,
        playing: Play,
        mut news: Vec<News>,
        callback: String,
    ) -> Self {
        let account = chosen.as_ref().map(|sub| sub.account.clone());
        let account = account.or_else(|| accounts.last().map(|account| account.name.clone())).unwrap_or_default();
        let value = |field: &Field| match (field.name, &chosen) {
            ("Account", _) => account.clone(),
            ("S3AK", Some(sub)) => sub.ak.clone(),
            ("S3SK", Some(sub)) => sub.sk.expose().to_owned(),
            _ => field.usual.to_owned(),
        };
        let form = |operation: &'static Operation| {
            let fields = operation.all_fields().map(|field| Filled { field, value: value(field) }).collect();
            Form { operation, fields }
        };
        let forms = OPERATIONS.iter().map(form).collect();
        let plays = PLAYS.iter().map(|(play, words)| (*play, words, play.parse() == Ok(playing))).collect();
        let last = news.last().map_or(0, |news| news.n);
        news.reverse();
        let (playing, shares) = (playing.to_string(), SHARES);
        Self { ui, accounts, sub_accounts, chosen, forms, plays, playing, news, last, callback, shares }
    }

    fn is_chosen(&self, sub: &SubAccount) -> bool {
        self.chosen.as_ref().is_some_and(|chosen| chosen.number == sub.number)
    }

    fn chosen_number(&self) -> String {
        self.chosen.as_ref().map(|chosen| chosen.number.to_string()).unwrap_or_default()
    }
}

impl Filled {
    fn is_secret(&self) -> bool {
        self.field.name == "Password"
    }

    fn holds(&self, value: &str) -> bool {
        self.value == value
    }
}

/// One call: what went out, what came back, what it means, and what was found.
#[derive(Template)]
#[template(path = "console_exchange.html")]
pub(super) struct ExchangePage {
    ui: Ui,
    number: u64,
    at: String,
    operation: &'static Operation,
    meaning: (String, String),
    good: bool,
    /// Request and answer without secrets; `None` where there is no answer.
    wire: Option<Wire>,
    of: Option<SubAccount>,
    files: Vec<FoundFile>,
    total: Option<String>,
    player: Option<FoundFile>,
    pictures: bool,
    /// What another call did, from which one came here.
    did: Option<((String, String), bool)>,
}

struct Wire {
    path: String,
    headers: Vec<(String, String)>,
    request: String,
    status: u16,
    answer: String,
    /// What the answer gave, Result apart.
    fields: Vec<(String, String)>,
}

/// A file of 7.7.
#[derive(Clone)]
struct FoundFile {
    index: usize,
    name: String,
    size: String,
    date: String,
    url: String,
    locked: bool,
}

impl ExchangePage {
    pub(super) fn new(ui: Ui, kept: &Kept, of: Option<SubAccount>, did: Option<&Kept>, play: Option<usize>) -> Self {
        let good = |kept: &Kept| kept.exchange.as_ref().is_ok_and(|exchange| exchange.result() == Some(0));
        let files: Vec<FoundFile> = match &kept.exchange {
            Ok(exchange) => {
                let found = exchange.items("FileInfo").into_iter().enumerate();
                found
                    .map(|(index, mut file)| {
                        let mut take = |name: &str| file.remove(name).unwrap_or_default();
                        let (name, size, date) = (take("FileName"), take("FileSize"), take("FileDate"));
                        FoundFile { index, name, size, date, url: take("FileUrl"), locked: take("LockFlag") == "1" }
                    })
                    .collect()
            }
            Err(_) => Vec::new(),
        };
        let total = kept.exchange.as_ref().ok().and_then(|exchange| exchange.fields.get("TotalFileNum").cloned());
        let plays = |file: &&FoundFile| file.url.starts_with("http://") || file.url.starts_with("https://");
        let player = play.and_then(|index| files.get(index)).filter(plays).cloned();
        let wire = kept.exchange.as_ref().ok().map(|exchange| {
            let shown = exchange.clone().veiled();
            // What was opened is to be handed to a camera; it stands on the front page all the same.
            let given = |name: &&'static str| Some(((*name).to_owned(), exchange.fields.get(*name)?.clone()));
            let fields = kept.operation.answers.iter().filter_map(given).collect();
            let (path, headers, status) = (shown.path, shown.headers, shown.status);
            Wire { path, headers, request: shown.request, status, answer: shown.answer, fields }
        });
        Self {
            ui,
            number: kept.number,
            at: kept.at.clone(),
            operation: kept.operation,
            meaning: words(kept.operation, &kept.exchange),
            good: good(kept),
            wire,
            of,
            files,
            total,
            player,
            pictures: kept.pictures,
            did: did.map(|did| (words(did.operation, &did.exchange), good(did))),
        }
    }
}
