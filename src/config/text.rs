//! `appliance.toml` and `--set` as text: to flat `section.key` entries, each with where it stands.

use std::collections::BTreeMap;
use std::fmt;

use toml::de::{DeTable, DeValue};

use super::file::Problem;
use super::keys::{SECTIONS, TABLES};

/// Where something was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `file:line`
    Line(String, usize),
    /// `--set` on the command line.
    Set(String),
    /// `--data` on the command line.
    Data,
    /// Nowhere: a built-in default, or the whole.
    Nowhere,
}

/// A value, before it is known what it should be.
#[derive(Clone, Debug, PartialEq)]
pub enum Raw {
    /// A string.
    Text(String),
    /// An integer.
    Integer(i64),
    /// true or false.
    Boolean(bool),
    /// A list.
    List(Vec<Raw>),
    /// Anything else, by the name of its type.
    Other(&'static str),
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The value.
    pub raw: Raw,
    /// Where it was written.
    pub place: Place,
}

/// Where each key was written.
#[derive(Clone, Debug, Default)]
pub struct Places(BTreeMap<String, Place>);

impl Places {
    pub(super) fn of<'a>(entries: impl Iterator<Item = (&'a str, &'a Entry)>) -> Self {
        Self(entries.map(|(path, entry)| (path.to_owned(), entry.place.clone())).collect())
    }

    pub(super) fn of_key(&self, key: &str) -> Place {
        self.0.get(key).cloned().unwrap_or(Place::Nowhere)
    }
}

/// All that was written, by `section.key`.
pub type Entries = BTreeMap<String, Entry>;

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(file, line) => write!(f, "{file}:{line}: "),
            Self::Set(text) => write!(f, "--set {text}: "),
            Self::Data => f.write_str("--data: "),
            Self::Nowhere => Ok(()),
        }
    }
}

impl Raw {
    /// What it is, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "a number",
            Self::Boolean(_) => "true or false",
            Self::List(_) => "a list",
            Self::Other(kind) => kind,
        }
    }
}

/// Reads a whole file. Where it is broken the readable rest is read all the same, so that one run
/// tells of everything.
pub fn read_file(name: &str, text: &str, problems: &mut Vec<Problem>) -> Entries {
    let line_of = |offset: usize| {
        let before = text.as_bytes().get(..offset.min(text.len())).unwrap_or_default();
        before.iter().filter(|b| **b == b'\n').count() + 1
    };
    let place = |span: std::ops::Range<usize>| Place::Line(name.to_owned(), line_of(span.start));
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = error.span().map_or(Place::Nowhere, &place);
        problems.push(Problem::new(at, error.message().replace('\n', "; ")));
    }
    let mut entries = Entries::new();
    for (section, value) in root.into_inner() {
        let name: &str = section.get_ref();
        let at = place(section.span());
        match value.get_ref() {
            DeValue::Table(table) if SECTIONS.contains(&name) => {
                for (key, value) in table {
                    let path = format!("{name}.{}", key.get_ref());
                    put(&mut entries, path, value.get_ref(), &place(key.span()), &place);
                }
            }
            other => {
                let other = raw(other);
                if SECTIONS.contains(&name) {
                    let what = format!("{name} is a section; write [{name}] on a line of its own");
                    problems.push(Problem::new(at, what));
                } else {
                    entries.insert(name.to_owned(), Entry { raw: other, place: at });
                }
            }
        }
    }
    entries
}

/// Reads `section.key=value`: the value as TOML has it, or a plain word.
pub fn read_set(text: &str, problems: &mut Vec<Problem>, entries: &mut Entries) {
    let place = Place::Set(text.to_owned());
    let Some((key, value)) = text.split_once('=') else {
        problems.push(Problem::new(place, "write it like section.key=value".to_owned()));
        return;
    };
    let (key, value) = (key.trim(), value.trim());
    // What is set wins over the file, a table over a word and a word over a table.
    let parent = key.rsplit_once('.').map(|(parent, _)| parent).filter(|parent| TABLES.contains(parent));
    entries.remove(parent.unwrap_or_default());
    if TABLES.contains(&key) {
        entries.retain(|path, _| path.rsplit_once('.').is_none_or(|(parent, _)| parent != key));
    }
    let raw = match DeValue::parse(value) {
        Ok(parsed) if matches!(parsed.get_ref(), DeValue::Table(_)) => {
            put(entries, key.to_owned(), parsed.get_ref(), &place, &|_| place.clone());
            return;
        }
        Ok(parsed) => match raw(parsed.get_ref()) {
            Raw::Other(_) => Raw::Text(value.to_owned()),
            raw => raw,
        },
        Err(error) if value.starts_with(['[', '{', '"', '\'']) => {
            problems.push(Problem::new(place, error.message().replace('\n', "; ")));
            return;
        }
        Err(_) => Raw::Text(value.to_owned()),
    };
    entries.insert(key.to_owned(), Entry { raw, place });
}

/// One value, or where it may be a table, one for each key in it.
fn put(
    entries: &mut Entries,
    path: String,
    value: &DeValue<'_>,
    at: &Place,
    place: &dyn Fn(std::ops::Range<usize>) -> Place,
) {
    match value {
        DeValue::Table(table) if TABLES.contains(&path.as_str()) && !table.is_empty() => {
            for (key, value) in table {
                let path = format!("{path}.{}", key.get_ref());
                entries.insert(path, Entry { raw: raw(value.get_ref()), place: place(key.span()) });
            }
        }
        other => {
            entries.insert(path, Entry { raw: raw(other), place: at.clone() });
        }
    }
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Raw::Other("a number that is too large"), Raw::Integer),
        DeValue::Boolean(yes) => Raw::Boolean(*yes),
        DeValue::Array(items) => Raw::List(items.iter().map(|item| raw(item.get_ref())).collect()),
        DeValue::Float(_) => Raw::Other("a number with a fraction"),
        DeValue::Datetime(_) => Raw::Other("a date"),
        DeValue::Table(_) => Raw::Other("a table"),
    }
}
