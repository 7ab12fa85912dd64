//! The one step from what an operator wrote to what the program uses. All problems at once.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::keys::{IN_TABLES, KEYS, SECTIONS};
use super::nearest::nearest;
use super::text::{Entries, Entry, Place, Places, Raw, read_file, read_set};
use super::{Alerts, Config, Log, Portal, Reserve, S3, Soap, Space, Storage, Tls, value};
use crate::domain::limits::CONNECTIONS_MAX;
use crate::domain::{GigabyteSize, Gigabytes, Percent, RetrySchedule, Rules};

/// What an operator wrote, in the order of rising weight.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// The file's name, for messages, and its text.
    pub file: Option<(String, String)>,
    /// `--data DIR`: moves the data directory, and the volumes that lie in it.
    pub data: Option<PathBuf>,
    /// `--set section.key=value`, the last one of a key wins.
    pub sets: Vec<String>,
}

/// One thing that is wrong, where it stands, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    place: Place,
    what: String,
}

/// Everything that is wrong, in the order of the lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problem {
    pub(super) fn new(place: Place, what: String) -> Self {
        Self { place, what }
    }

    /// What is wrong with a key's value, as it shows only when somebody looks behind it.
    pub fn of(places: &Places, key: &str, what: String) -> Self {
        Self { place: places.of_key(key), what: format!("{key}: {what}") }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.place, self.what)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            let new_line = if i == 0 { "" } else { "\n" };
            write!(f, "{new_line}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl Default for Config {
    /// What holds where nothing is written.
    fn default() -> Self {
        parse(&Written::default()).expect("the built-in defaults are checked by a test")
    }
}

/// Reads, fills in the defaults and checks. Relative paths stay relative to the working directory.
pub fn parse(written: &Written) -> Result<Config, Problems> {
    parse_with_places(written).map(|(config, _)| config)
}

/// As [`parse`], with where everything is written, for whoever looks behind a value and finds it wrong.
pub fn parse_with_places(written: &Written) -> Result<(Config, Places), Problems> {
    let mut problems = Vec::new();
    let mut entries = match &written.file {
        Some((name, text)) => read_file(name, text, &mut problems),
        None => Entries::new(),
    };
    if let Some(dir) = &written.data {
        move_data(&mut entries, dir);
    }
    for set in &written.sets {
        read_set(set, &mut problems, &mut entries);
    }
    let mut reader = Reader { entries, problems };
    let config = reader.config();
    let places = Places::of(reader.entries.iter().filter_map(|(path, entry)| Some((path.strip_prefix(SEEN)?, entry))));
    reader.refuse_the_rest();
    let mut problems = reader.problems;
    if problems.is_empty() {
        return Ok((config, places));
    }
    problems.sort_by_key(|problem| match &problem.place {
        Place::Line(_, line) => *line,
        Place::Set(_) | Place::Data | Place::Nowhere => usize::MAX,
    });
    Err(Problems(problems))
}

/// `--data`: volumes and a master key that lie in the data directory go along with it, others stay where they are.
fn move_data(entries: &mut Entries, dir: &Path) {
    let old = match entries.get("storage.data_dir").map(|entry| &entry.raw) {
        Some(Raw::Text(old)) => PathBuf::from(old),
        _ => PathBuf::from(DATA_DIR),
    };
    if let Some(entry) = entries.get_mut("storage.volumes") {
        let along = |raw: &mut Raw| {
            if let Raw::Text(volume) = raw
                && let Ok(inside) = Path::new(volume.as_str()).strip_prefix(&old)
            {
                *volume = dir.join(inside).to_string_lossy().into_owned();
            }
        };
        match &mut entry.raw {
            Raw::List(items) => items.iter_mut().for_each(along),
            other => along(other),
        }
    }
    if let Some(Entry { raw: Raw::Text(key), .. }) = entries.get_mut("storage.master_key")
        && let Ok(inside) = Path::new(key.as_str()).strip_prefix(&old)
    {
        *key = dir.join(inside).to_string_lossy().into_owned();
    }
    let raw = Raw::Text(dir.to_string_lossy().into_owned());
    entries.insert("storage.data_dir".to_owned(), Entry { raw, place: Place::Data });
}

const DATA_DIR: &str = "data";
const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);
const WEEK: Duration = Duration::from_secs(7 * 86_400);

struct Reader {
    entries: Entries,
    problems: Vec<Problem>,
}

impl Reader {
    fn config(&mut self) -> Config {
        let config = Config {
            storage: self.storage(),
            s3: self.s3(),
            soap: Soap {
                listen: self.listen("soap.listen", "0.0.0.0:9001"),
                public_url: self.url("soap.public_url"),
                tls: self.tls("soap.tls"),
            },
            portal: self.portal(),
            metrics_listen: self.listen("metrics.listen", "127.0.0.1:9003"),
            metrics_tls: self.tls("metrics.tls"),
            space: self.space(),
            alerts: self.alerts(),
            zone_minutes: self.text("time.zone", "+08:00", value::zone).unwrap_or(480),
            shutdown_grace: self.duration("shutdown_grace", 30 * SECOND, Duration::ZERO..=HOUR),
            log: Log {
                level: self.text("log.level", "info", log_level).unwrap_or_default(),
                json: self.boolean("log.json", false),
                file: self.optional("log.file", file),
                file_size: self.size("log.file_size", 100_000_000, 0..=1 << 40),
                file_keep: self.small("log.file_keep", 9, 0..=999),
            },
        };
        self.refuse_equal_ports(&config);
        config
    }

    fn storage(&mut self) -> Storage {
        let data_dir = self.text("storage.data_dir", DATA_DIR, path).unwrap_or_default();
        let volumes = self.volumes(&data_dir);
        let offline = self.some_of("storage.offline", &volumes);
        let read_only = self.some_of("storage.read_only", &volumes);
        Storage {
            volumes,
            reserve: self.reserve("storage.reserve", Reserve::Percent(5)),
            volume_size: self.size("storage.volume_size", 1 << 30, 8 << 20..=1 << 40),
            index_cache: self.size("storage.index_cache", 64 << 20, 1 << 20..=1 << 40),
            scrub_rate: self.size("storage.scrub_rate", 20_000_000, 0..=1 << 40),
            master_key: self.optional("storage.master_key", file).unwrap_or_else(|| data_dir.join("master.key")),
            offline,
            read_only,
            salvage: self.boolean("storage.salvage", false),
            data_dir,
        }
    }

    fn s3(&mut self) -> S3 {
        S3 {
            listen: self.listen("s3.listen", "0.0.0.0:9000"),
            public_url: self.url("s3.public_url"),
            domain: self.optional("s3.domain", value::domain),
            region: self.text("s3.region", "kandian", region).unwrap_or_default(),
            presign_ttl: self.duration("s3.presign_ttl", 24 * HOUR, SECOND..=WEEK),
            allow_delete: self.boolean("s3.allow_delete", false),
            clock_skew: self.duration("s3.clock_skew", 900 * SECOND, SECOND..=WEEK),
            sig_v2: self.boolean("s3.sig_v2", true),
            idle_timeout: self.duration("s3.idle_timeout", 60 * SECOND, SECOND..=HOUR),
            multipart_expiry: self.duration("s3.multipart_expiry", WEEK, HOUR..=60 * WEEK),
            max_requests: self.integer("s3.max_requests", 8192, 2..=1_000_000),
            max_requests_per_key: self.integer("s3.max_requests_per_key", 512, 1..=1_000_000),
            max_connections: self.integer("s3.max_connections", CONNECTIONS_MAX as u64, 8..=1_000_000),
            buffer_memory: self.size("s3.buffer_memory", 2 << 30, 16 << 20..=1 << 40),
            tls: self.tls("s3.tls"),
        }
    }

    fn portal(&mut self) -> Portal {
        Portal {
            listen: self.listen("portal.listen", "127.0.0.1:9002"),
            idle_timeout: self.duration("portal.idle_timeout", 1800 * SECOND, 60 * SECOND..=24 * HOUR),
            session_timeout: self.duration("portal.session_timeout", 12 * HOUR, 60 * SECOND..=WEEK),
            silent_factor: self.small("portal.silent_factor", 3, 2..=1000),
            gone_days: self.small("portal.gone_days", 180, 1..=3660),
            tls: self.tls("portal.tls"),
        }
    }

    fn space(&mut self) -> Space {
        let bytes_per_gb = self.integer("space.bytes_per_gb", 1 << 30, 1..=1 << 40);
        let rules = Rules {
            warn: self.percent("space.warn_percent", 80, 1),
            overwrite: self.percent("space.overwrite_percent", 90, 1),
            overwrite_free: self.percent("space.overwrite_free_percent", 20, 1),
            rearm: self.percent("space.rearm_percent", 5, 0),
        };
        if rules.warn > rules.overwrite {
            let what = format!(
                "space.warn_percent is {}, above space.overwrite_percent, which is {}; a warning comes first, so it \
                 must not be the larger one",
                rules.warn.get(),
                rules.overwrite.get()
            );
            self.complain_of("space.warn_percent", "space.overwrite_percent", what);
        }
        if rules.rearm >= rules.warn {
            let what = format!(
                "space.rearm_percent is {}; it must be below space.warn_percent, which is {}, or no alert could ever \
                 be raised twice",
                rules.rearm.get(),
                rules.warn.get()
            );
            self.complain_of("space.rearm_percent", "space.warn_percent", what);
        }
        Space {
            bytes_per_gb: GigabyteSize::new(bytes_per_gb).unwrap_or(GigabyteSize::STANDARD),
            rules,
            max_sub_accounts: u32::try_from(self.integer("space.max_sub_accounts", 10_000, 1..=MOST))
                .unwrap_or(u32::MAX),
        }
    }

    fn alerts(&mut self) -> Alerts {
        let schedule = RetrySchedule {
            first: self.duration("alerts.first_retry", SECOND, MILLISECOND..=HOUR),
            most: self.duration("alerts.max_retry", 300 * SECOND, MILLISECOND..=24 * HOUR),
            give_up_after: self.duration("alerts.give_up_after", 24 * HOUR, MILLISECOND..=60 * WEEK),
        };
        if schedule.first > schedule.most {
            let what = "alerts.first_retry is longer than alerts.max_retry; it must not be".to_owned();
            self.complain_of("alerts.first_retry", "alerts.max_retry", what);
        }
        Alerts {
            notify_idle: self.boolean("alerts.notify_idle", false),
            schedule,
            timeout: self.duration("alerts.timeout", 10 * SECOND, MILLISECOND..=300 * SECOND),
            ca: self.optional("alerts.ca", file),
        }
    }

    // --- one value ---

    fn complain(&mut self, place: Place, what: String) {
        self.problems.push(Problem::new(place, what));
    }

    /// A complaint about two keys stands where one of them does.
    fn complain_of(&mut self, key: &str, other: &str, what: String) {
        let entry = self.entries.get(&seen(key)).or_else(|| self.entries.get(&seen(other)));
        let place = entry.map_or(Place::Nowhere, |entry| entry.place.clone());
        self.complain(place, what);
    }

    fn take(&mut self, key: &str) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.entries.insert(seen(key), entry.clone());
        Some(entry)
    }

    fn wrong_kind(&mut self, key: &str, entry: Entry, right: &str) {
        let what = format!("{key} is {}; it must be {right}", entry.raw.kind());
        self.complain(entry.place, what);
    }

    fn optional<T>(&mut self, key: &str, read: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let entry = self.take(key)?;
        let Raw::Text(text) = &entry.raw else {
            self.wrong_kind(key, entry, "a string");
            return None;
        };
        match read(text) {
            Ok(value) => Some(value),
            Err(what) => {
                self.complain(entry.place, format!("{key}: {what}"));
                None
            }
        }
    }

    /// `None` only after a complaint.
    fn text<T>(&mut self, key: &str, default: &str, read: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        if self.entries.contains_key(key) { self.optional(key, read) } else { read(default).ok() }
    }

    fn url(&mut self, key: &str) -> Option<String> {
        self.optional(key, value::base_url)
    }

    fn listen(&mut self, key: &str, default: &str) -> SocketAddr {
        let read = |text: &str| {
            text.parse::<SocketAddr>().map_err(|_| {
                format!("{text:?} is no address and port; write one like \"{default}\", or port 0 for a free one")
            })
        };
        self.text(key, default, read).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    fn boolean(&mut self, key: &str, default: bool) -> bool {
        match self.take(key) {
            None => default,
            Some(Entry { raw: Raw::Boolean(yes), .. }) => yes,
            Some(entry) => {
                self.wrong_kind(key, entry, "true or false");
                default
            }
        }
    }

    fn integer(&mut self, key: &str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let Some(entry) = self.take(key) else { return default };
        let Raw::Integer(number) = entry.raw else {
            self.wrong_kind(key, entry, "a whole number");
            return default;
        };
        match u64::try_from(number) {
            Ok(number) if range.contains(&number) => number,
            _ => {
                let what = format!("{key} is {number}; it must be from {} to {}", range.start(), range.end());
                self.complain(entry.place, what);
                default
            }
        }
    }

    /// A number that is small.
    fn small(&mut self, key: &str, default: u32, range: RangeInclusive<u64>) -> u32 {
        u32::try_from(self.integer(key, u64::from(default), range)).unwrap_or(default)
    }

    fn percent(&mut self, key: &str, default: u8, least: u64) -> Percent {
        let number = self.integer(key, u64::from(default), least..=100);
        let percent = u8::try_from(number).ok().and_then(Percent::new);
        percent.unwrap_or(Rules::default().overwrite)
    }

    fn size(&mut self, key: &str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let Some(entry) = self.take(key) else { return default };
        let read = match &entry.raw {
            Raw::Text(text) => value::size(text),
            Raw::Integer(number) => u64::try_from(*number).map_err(|_| "a size is not negative".to_owned()),
            other => Err(format!("{}; it must be a size like \"64KiB\"", other.kind())),
        };
        match read {
            Ok(size) if range.contains(&size) => size,
            Ok(size) => {
                let (least, most) = (value::show_size(*range.start()), value::show_size(*range.end()));
                let what = format!("{key} is {}; it must be from {least} to {most}", value::show_size(size));
                self.complain(entry.place, what);
                default
            }
            Err(what) => {
                self.complain(entry.place, format!("{key}: {what}"));
                default
            }
        }
    }

    fn reserve(&mut self, key: &str, default: Reserve) -> Reserve {
        if matches!(self.entries.get(key), Some(Entry { raw: Raw::Integer(_), .. })) {
            return Reserve::Bytes(self.size(key, 0, 0..=1 << 60));
        }
        if self.entries.contains_key(key) { self.optional(key, value::reserve).unwrap_or(default) } else { default }
    }

    fn duration(&mut self, key: &str, default: Duration, range: RangeInclusive<Duration>) -> Duration {
        let Some(entry) = self.entries.get(key).cloned() else { return default };
        if matches!(entry.raw, Raw::Integer(_)) {
            self.take(key);
            self.wrong_kind(key, entry, "a duration with a unit, like \"24h\", \"15m\" or \"500ms\"");
            return default;
        }
        let Some(duration) = self.optional(key, value::duration) else { return default };
        if !range.contains(&duration) {
            let (least, most) = (value::show_duration(*range.start()), value::show_duration(*range.end()));
            let what = format!("{key} is {}; it must be from {least} to {most}", value::show_duration(duration));
            self.complain(entry.place, what);
        }
        duration
    }

    fn volumes(&mut self, data_dir: &Path) -> Vec<PathBuf> {
        const RIGHT: &str = "a list of directories, one a disk, like [\"/disk1/kandian\", \"/disk2/kandian\"]";
        let key = "storage.volumes";
        let Some(entry) = self.take(key) else { return vec![data_dir.join("volumes")] };
        let Some(items) = self.items(key, &entry, RIGHT) else { return Vec::new() };
        let mut volumes: Vec<PathBuf> = Vec::new();
        for item in items {
            match item {
                Raw::Text(dir) if !dir.is_empty() => {
                    let dir = PathBuf::from(dir);
                    if volumes.contains(&dir) {
                        let what = format!("{key} names {} twice", dir.display());
                        self.complain(entry.place.clone(), what);
                    }
                    volumes.push(dir);
                }
                _ => self.complain(entry.place.clone(), format!("{key} must be {RIGHT}")),
            }
        }
        if volumes.is_empty() {
            self.complain(entry.place, format!("{key} is empty; it must be {RIGHT}"));
        }
        volumes
    }

    /// A list, or the one that stands alone.
    fn items(&mut self, key: &str, entry: &Entry, right: &str) -> Option<Vec<Raw>> {
        match &entry.raw {
            Raw::List(items) => Some(items.clone()),
            Raw::Text(_) => Some(vec![entry.raw.clone()]),
            _ => {
                self.wrong_kind(key, entry.clone(), right);
                None
            }
        }
    }

    fn some_of(&mut self, key: &str, volumes: &[PathBuf]) -> Vec<PathBuf> {
        const RIGHT: &str = "a list of directories of storage.volumes, not all of them";
        let Some(entry) = self.take(key) else { return Vec::new() };
        let Some(items) = self.items(key, &entry, RIGHT) else { return Vec::new() };
        let named = items.into_iter().map(|item| match item {
            Raw::Text(dir) => Some(PathBuf::from(dir)).filter(|dir| volumes.contains(dir)),
            _ => None,
        });
        let dirs: Option<Vec<PathBuf>> = named.collect();
        match dirs {
            Some(dirs) if dirs.len() < volumes.len() => dirs,
            _ => {
                self.complain(entry.place, format!("{key} must be {RIGHT}"));
                Vec::new()
            }
        }
    }

    // --- the whole ---

    /// A word, or a table of two files.
    fn tls(&mut self, key: &str) -> Tls {
        const RIGHT: &str = "{ cert = \"FILE\", key = \"FILE\" }, \"self-signed\" or \"off\"";
        let (cert_key, key_key) = (format!("{key}.cert"), format!("{key}.key"));
        let word = self.entries.get(key).cloned();
        if let Some(entry) = word {
            self.take(key);
            match &entry.raw {
                Raw::Text(text) if text == "off" => return Tls::Off,
                Raw::Text(text) if text == "self-signed" => return Tls::SelfSigned,
                Raw::Text(text) => self.complain(entry.place, format!("{key} is {text:?}; it must be {RIGHT}")),
                other => {
                    let what = format!("{key} is {}; it must be {RIGHT}", other.kind());
                    self.complain(entry.place, what);
                }
            }
            return Tls::Off;
        }
        let place = |reader: &Self| {
            [&cert_key, &key_key].into_iter().find_map(|key| reader.entries.get(key).map(|entry| entry.place.clone()))
        };
        let Some(place) = place(self) else { return Tls::Off };
        let given = [&cert_key, &key_key].map(|key| self.entries.contains_key(key));
        match (self.optional(&cert_key, file), self.optional(&key_key, file)) {
            (Some(cert), Some(key)) => Tls::Files { cert, key },
            _ => {
                for (missing, _) in [&cert_key, &key_key].into_iter().zip(given).filter(|(_, given)| !given) {
                    self.complain(place.clone(), format!("{key} needs {missing} too; it must be {RIGHT}"));
                }
                Tls::Off
            }
        }
    }

    fn refuse_equal_ports(&mut self, config: &Config) {
        let listeners = [
            ("s3.listen", config.s3.listen),
            ("soap.listen", config.soap.listen),
            ("portal.listen", config.portal.listen),
            ("metrics.listen", config.metrics_listen),
        ];
        for (i, (key, address)) in listeners.iter().enumerate() {
            for (other, taken) in listeners.iter().take(i) {
                let same_ip =
                    address.ip() == taken.ip() || address.ip().is_unspecified() || taken.ip().is_unspecified();
                if address.port() == taken.port() && address.port() != 0 && same_ip {
                    let what = format!("{key} and {other} want the same port, {}; give each its own", address.port());
                    self.complain_of(key, other, what);
                }
            }
        }
    }

    fn refuse_the_rest(&mut self) {
        let entries = std::mem::take(&mut self.entries);
        for (path, entry) in entries.into_iter().filter(|(path, _)| !path.starts_with(SEEN)) {
            let table = entry.raw == Raw::Other("a table");
            let (kind, known) = match path.split_once('.') {
                None if table => ("section", nearest(&path, SECTIONS)),
                _ => ("key", nearest(&path, KEYS.into_iter().chain(IN_TABLES)).or_else(|| in_another_section(&path))),
            };
            let hint = match known {
                Some(known) => format!("; did you mean {known}?"),
                None => "; there is nothing like it, see docs/configuration.md".to_owned(),
            };
            self.complain(entry.place, format!("unknown {kind} {path}{hint}"));
        }
    }
}

const MOST: u64 = u32::MAX as u64;

/// Marks an entry as read: no key that can be written begins so.
const SEEN: char = '\0';

fn seen(key: &str) -> String {
    format!("{SEEN}{key}")
}

fn in_another_section(path: &str) -> Option<&'static str> {
    let name = path.rsplit_once('.').map_or(path, |(_, name)| name);
    let of = |key: &'static str| key.rsplit_once('.').map_or(key, |(_, name)| name);
    let meant = nearest(name, KEYS.iter().map(|key| of(key)))?;
    KEYS.iter().copied().find(|key| of(key) == meant)
}

fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.contains('\0') { Err("it must name a directory".to_owned()) } else { Ok(text.into()) }
}

fn file(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.contains('\0') || text.ends_with('/') {
        return Err("it must name a file".to_owned());
    }
    Ok(text.into())
}

fn region(text: &str) -> Result<String, String> {
    let fine = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if fine { Ok(text.to_owned()) } else { Err(format!("{text:?} is no region; write letters, digits, '-' and '_'")) }
}

fn log_level(text: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let wrong = |part: &str| {
        let hint = nearest(part, LEVELS).map(|near| format!("did you mean {near}? ")).unwrap_or_default();
        format!("{part:?} is no level; {hint}write off, error, warn, info, debug or trace, or like \"kandian=debug\"")
    };
    for part in text.split(',').map(str::trim) {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
        if !LEVELS.contains(&level.to_ascii_lowercase().as_str()) {
            return Err(wrong(part));
        }
    }
    tracing_subscriber::EnvFilter::try_new(text).map_err(|_| wrong(text))?;
    Ok(text.to_owned())
}

// `Gigabytes` bounds what `bytes_per_gb` is multiplied with: 2^31 × 2^40 would pass 2^64, which
// `GigabyteSize::bytes` saturates.
const _: () = assert!(Gigabytes::MAX.get() == i32::MAX.unsigned_abs());

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<Config, String> {
        let file = Some(("appliance.toml".to_owned(), text.to_owned()));
        parse(&Written { file, ..Written::default() }).map_err(|problems| problems.to_string())
    }

    fn set(sets: &[&str]) -> Result<Config, String> {
        let sets = sets.iter().map(|&s| s.to_owned()).collect();
        parse(&Written { sets, ..Written::default() }).map_err(|problems| problems.to_string())
    }

    #[test]
    fn the_defaults_are_those_of_the_interface() {
        let config = Config::default();
        assert_eq!(config.storage.data_dir, PathBuf::from("data"));
        assert_eq!(config.storage.volumes, [PathBuf::from("data/volumes")]);
        assert_eq!(config.storage.reserve, Reserve::Percent(5));
        assert_eq!(config.s3.listen.to_string(), "0.0.0.0:9000");
        assert_eq!(config.soap.listen.to_string(), "0.0.0.0:9001");
        assert_eq!(config.portal.listen.to_string(), "127.0.0.1:9002");
        assert_eq!(config.metrics_listen.to_string(), "127.0.0.1:9003");
        assert_eq!(config.s3.presign_ttl, 24 * HOUR);
        assert_eq!(config.s3.clock_skew, 900 * SECOND);
        assert!(!config.s3.allow_delete && config.s3.sig_v2);
        assert_eq!(config.space.bytes_per_gb, GigabyteSize::STANDARD);
        assert_eq!(config.space.rules, Rules::default());
        assert_eq!(config.space.max_sub_accounts, 10_000);
        assert_eq!(config.alerts.schedule, RetrySchedule::default());
        assert_eq!(config.alerts.timeout, 10 * SECOND);
        assert_eq!(config.zone_minutes, 480);
        assert_eq!(config.shutdown_grace, 30 * SECOND);
    }

    #[test]
    fn all_problems_are_told_at_once_with_their_lines() {
        let text = "[storage]\nreserve = \"500%\"\nvolumes = []\n[s3]\nlistn = \"0.0.0.0:1\"\npresign_ttl = \"8d\"\n\
                    [spce]\nwarn_percent = 80\n[time]\nzone = \"Asia/Shanghai\"\n";
        let problems = file(text).expect_err("four things are wrong");
        let lines: Vec<_> = problems.lines().collect();
        assert_eq!(lines.len(), 6, "{problems}");
        assert!(lines[0].starts_with("appliance.toml:2: storage.reserve: \"500%\" is no share"), "{problems}");
        assert!(lines[1].starts_with("appliance.toml:3: storage.volumes is empty"), "{problems}");
        assert_eq!(lines[2], "appliance.toml:5: unknown key s3.listn; did you mean s3.listen?");
        assert!(
            lines[3].starts_with("appliance.toml:6: s3.presign_ttl is 192h; it must be from 1s to 168h"),
            "{problems}"
        );
        assert_eq!(lines[4], "appliance.toml:7: unknown section spce; did you mean space?");
        assert!(lines[5].starts_with("appliance.toml:10: time.zone:"), "{problems}");
    }

    #[test]
    fn a_syntax_error_names_its_line_and_does_not_hide_the_others() {
        let problems = file("[s3]\nregion = \n[log]\njson = 3\n").expect_err("two things are wrong");
        assert!(problems.contains("appliance.toml:2: "), "{problems}");
        assert!(problems.contains("appliance.toml:4: log.json is a number; it must be true or false"), "{problems}");
    }

    #[test]
    fn a_key_in_the_wrong_section_is_shown_its_own() {
        let problems = file("[s3]\nwarn_percent = 70\n").expect_err("wrong section");
        assert_eq!(problems, "appliance.toml:2: unknown key s3.warn_percent; did you mean space.warn_percent?");
        let problems = file("volume_size = \"1GiB\"\n").expect_err("wrong section");
        assert_eq!(problems, "appliance.toml:1: unknown key volume_size; did you mean storage.volume_size?");
    }

    #[test]
    fn set_wins_over_the_file_and_takes_plain_words() {
        let written = Written {
            file: Some(("f".to_owned(), "[s3]\nlisten = \"0.0.0.0:1\"\nregion = \"a\"\n".to_owned())),
            sets: vec![
                "s3.listen=127.0.0.1:0".to_owned(),
                "space.warn_percent=70".to_owned(),
                "alerts.notify_idle=true".to_owned(),
            ],
            ..Written::default()
        };
        let config = parse(&written).expect("it is right");
        assert_eq!(config.s3.listen.to_string(), "127.0.0.1:0");
        assert_eq!(config.s3.region, "a");
        assert_eq!(config.space.rules.warn.get(), 70);
        assert!(config.alerts.notify_idle);
        let config =
            set(&["storage.volumes=[\"/a\", \"/b\"]", "storage.reserve=0", "time.zone=+00:00"]).expect("right");
        assert_eq!(config.storage.volumes, [PathBuf::from("/a"), PathBuf::from("/b")]);
        assert_eq!(config.storage.reserve, Reserve::Bytes(0));
        assert_eq!(config.zone_minutes, 0);
    }

    #[test]
    fn a_wrong_set_is_quoted() {
        let problems = set(&["s3.listn=1", "nonsense"]).expect_err("both are wrong");
        assert!(problems.contains("--set nonsense: write it like section.key=value"), "{problems}");
        assert!(problems.contains("--set s3.listn=1: unknown key s3.listn; did you mean s3.listen?"), "{problems}");
    }

    #[test]
    fn data_moves_what_lies_in_the_data_directory() {
        let data = Some(PathBuf::from("/x"));
        let config = parse(&Written { data: data.clone(), ..Written::default() }).expect("right");
        assert_eq!(config.storage.data_dir, PathBuf::from("/x"));
        assert_eq!(config.storage.volumes, [PathBuf::from("/x/volumes")]);
        assert_eq!(config.storage.master_key, PathBuf::from("/x/master.key"));
        let text = "[storage]\ndata_dir = \"data\"\nvolumes = [\"data/volumes\", \"/disk2\"]\nmaster_key = \"/usb/kandian.key\"\n".to_owned();
        let config = parse(&Written { data, file: Some(("f".to_owned(), text)), ..Written::default() }).expect("right");
        assert_eq!(config.storage.volumes, [PathBuf::from("/x/volumes"), PathBuf::from("/disk2")]);
        assert_eq!(config.storage.master_key, PathBuf::from("/usb/kandian.key"));
    }

    #[test]
    fn tls_is_two_files_or_a_word() {
        let files = |cert: &str, key: &str| Tls::Files { cert: cert.into(), key: key.into() };
        for text in ["[s3]\ntls = { cert = \"a\", key = \"b\" }\n", "[s3.tls]\ncert = \"a\"\nkey = \"b\"\n"] {
            assert_eq!(file(text).expect("right").s3.tls, files("a", "b"));
        }
        assert_eq!(file("[soap]\ntls = \"self-signed\"\n").expect("right").soap.tls, Tls::SelfSigned);
        assert_eq!(file("[metrics]\ntls = \"off\"\n").expect("right").metrics_tls, Tls::Off);
        let over = |text: &str, sets: &[&str]| {
            let file = Some(("f".to_owned(), text.to_owned()));
            let sets = sets.iter().map(|&set| set.to_owned()).collect();
            parse(&Written { file, sets, ..Written::default() }).map(|config| config.portal.tls)
        };
        let pair = "[portal.tls]\ncert = \"a\"\nkey = \"b\"\n";
        assert_eq!(over(pair, &["portal.tls=self-signed"]), Ok(Tls::SelfSigned));
        assert_eq!(over(pair, &["portal.tls.key=c"]), Ok(files("a", "c")));
        assert_eq!(over(pair, &["portal.tls={cert=\"x\",key=\"y\"}"]), Ok(files("x", "y")));
        let word = "[portal]\ntls = \"self-signed\"\n";
        assert_eq!(over(word, &["portal.tls.cert=a", "portal.tls.key=b"]), Ok(files("a", "b")));
        assert_eq!(over(word, &["portal.tls=off"]), Ok(Tls::Off));
    }

    #[test]
    fn half_a_pair_and_other_words_are_no_tls() {
        for (text, wrong) in [
            (
                "[s3]\ntls = true\n",
                "f:2: s3.tls is true or false; it must be { cert = \"FILE\", key = \"FILE\" }, \"self",
            ),
            ("[s3]\ntls = {}\n", "f:2: s3.tls is a table; it must be {"),
            ("[s3]\ntls = \"on\"\n", "f:2: s3.tls is \"on\"; it must be {"),
            ("[s3]\ntls = { cert = \"a\" }\n", "f:2: s3.tls needs s3.tls.key too; it must be {"),
            ("[s3.tls]\n\nkey = \"a\"\n", "f:3: s3.tls needs s3.tls.cert too; it must be {"),
            ("[s3.tls]\ncert = \"\"\nkey = \"a\"\n", "f:2: s3.tls.cert: it must name a file"),
            ("[s3.tls]\ncert = \"a\"\nkey = 3\n", "f:3: s3.tls.key is a number; it must be a string"),
            (
                "[s3.tls]\ncert = \"a\"\nkey = \"b\"\nkeys = \"c\"\n",
                "f:4: unknown key s3.tls.keys; did you mean s3.tls.key?",
            ),
        ] {
            let file = Some(("f".to_owned(), text.to_owned()));
            let problems = parse(&Written { file, ..Written::default() }).expect_err(text).to_string();
            assert!(problems.starts_with(wrong) && problems.lines().count() == 1, "{problems}");
        }
    }

    #[test]
    fn what_is_found_wrong_later_is_told_with_its_line() {
        let text = "[s3]\ntls = { cert = \"a\", key = \"b\" }\n[soap.tls]\ncert = \"a\"\nkey = \"b\"\n";
        let written = Written {
            file: Some(("f".to_owned(), text.to_owned())),
            sets: vec!["portal.tls.cert=c".to_owned(), "portal.tls.key=d".to_owned()],
            ..Written::default()
        };
        let (_, places) = parse_with_places(&written).expect("right");
        let told = |key: &str| Problem::of(&places, key, "no".to_owned()).to_string();
        assert_eq!(told("s3.tls.key"), "f:2: s3.tls.key: no");
        assert_eq!(told("soap.tls.key"), "f:5: soap.tls.key: no");
        assert_eq!(told("portal.tls.cert"), "--set portal.tls.cert=c: portal.tls.cert: no");
        assert_eq!(told("alerts.ca"), "alerts.ca: no");
    }

    #[test]
    fn impossible_values_are_refused() {
        for bad in [
            "space.bytes_per_gb=0",
            "space.warn_percent=101",
            "space.warn_percent=95",
            "space.rearm_percent=80",
            "space.overwrite_free_percent=0",
            "space.max_sub_accounts=0",
            "storage.volume_size=1MiB",
            "storage.data_dir=\"\"",
            "storage.master_key=\"/usb/\"",
            "s3.presign_ttl=0s",
            "s3.clock_skew=15",
            "s3.region=a b",
            "s3.domain=http://x",
            "s3.public_url=10.0.0.1",
            "s3.allow_delete=yes",
            "s3.listen=9000",
            "soap.listen=0.0.0.0:9000",
            "alerts.first_retry=10m",
            "log.level=inof",
            "log.level=kandian=loud",
            "time.zone=+15:00",
            "shutdown_grace=-1s",
            "s3=5",
            "=",
        ] {
            assert!(set(&[bad]).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[\\[\\]a-z0-9_.=\"{}\n ,%:+-]{0,80}", any: String) {
            let _ = file(&text);
            let _ = file(&any);
            let _ = set(&[&text, &any]);
        }
    }
}
