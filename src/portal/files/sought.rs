//! What is looked for: the fields of a search as they came, read, and written again as a link.

use crate::domain::{Lock, Media};
use crate::engine::{Chosen, FileFilter, FileName};
use crate::portal::form::Form;
use crate::portal::text::Lang;
use crate::wire::china_time::{self, Edge};

/// A day has so many seconds: the zone has no daylight saving.
pub(in crate::portal) const DAY: i64 = 86_400;
/// In place of a day: the whole time.
pub(in crate::portal) const ALL_DAYS: &str = "all";

/// What is looked for, of one kind of files of one camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::portal) struct Sought {
    pub(in crate::portal) media: Media,
    /// The camera's AK; empty where none is chosen.
    pub(in crate::portal) ak: String,
    /// `YYYY-MM-DD`; `None` for the whole time.
    pub(in crate::portal) day: Option<String>,
    /// The day's first second (Unix).
    pub(in crate::portal) start: i64,
    /// `HH:MM`, or empty.
    pub(in crate::portal) from: String,
    /// `HH:MM`, its whole minute included, or empty.
    pub(in crate::portal) to: String,
    pub(in crate::portal) lock: Option<Lock>,
    /// A part of the file's name.
    pub(in crate::portal) name: String,
    /// Where the page begins.
    pub(in crate::portal) at: u64,
    /// The first and the last second that are meant, of a day.
    seconds: (i64, i64),
}

/// A field that was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::portal) struct Misread {
    /// `day`, `from`, `to`, `lock`, `kind`, `file`.
    pub(in crate::portal) field: &'static str,
    /// What to tell.
    pub(in crate::portal) text: String,
}

/// The day (`YYYY-MM-DD`) of a Unix second.
pub(in crate::portal) fn day_of(second: i64, zone_minutes: i32) -> String {
    china_time::format(second, zone_minutes).split(' ').next().unwrap_or_default().to_owned()
}

/// The first second of a day.
pub(in crate::portal) fn start_of(day: &str, zone_minutes: i32) -> Option<i64> {
    let written = day.len() == 10 && day.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    china_time::parse(day, Edge::Start, zone_minutes).ok().filter(|_| written)
}

/// `HH:MM` of a day, seconds since it began.
fn clock(text: &str) -> Option<i64> {
    let (hour, minute) = text.split_once(':')?;
    let two = |digits: &str| (digits.len() == 2).then(|| digits.parse::<u8>().ok()).flatten();
    let (hour, minute) = (i64::from(two(hour)?), i64::from(two(minute)?));
    ((hour < 24 && minute < 60) || (hour == 24 && minute == 0)).then_some(hour * 3600 + minute * 60)
}

impl Sought {
    /// Reads the fields of a query or a form; a day that is left out is that of `now` (Unix seconds).
    pub(in crate::portal) fn read(
        form: &Form,
        media: Media,
        now: i64,
        zone_minutes: i32,
        lang: Lang,
    ) -> Result<Self, Misread> {
        let misread = |field, zh: &str, en: &str, value: &str| {
            let value: String = value.chars().take(40).collect();
            Err(Misread { field, text: format!("{}{value}", lang.say(zh, en)) })
        };
        let day = match form.get("day") {
            "" => Some(day_of(now, zone_minutes)),
            ALL_DAYS => None,
            day => Some(day.to_owned()),
        };
        let start = match &day {
            None => 0,
            Some(day) => match start_of(day, zone_minutes) {
                Some(start) => start,
                None => {
                    return misread(
                        "day",
                        "没有这一天，应为 2026-01-31 的形式：",
                        "No such day; write it as 2026-01-31: ",
                        day,
                    );
                }
            },
        };
        let mut edges = [None, None];
        for (edge, field) in edges.iter_mut().zip(["from", "to"]) {
            let text = form.get(field);
            *edge = clock(text);
            if edge.is_none() && !text.is_empty() {
                return misread(field, "时刻应为 08:30 的形式：", "Write the time of day as 08:30: ", text);
            }
            if edge.is_some() && day.is_none() {
                return misread(field, "按时刻查找需要选定日期：", "A time of day wants a day: ", text);
            }
        }
        let [from, to] = edges;
        let seconds = (start + from.unwrap_or(0).min(DAY - 1), start + to.map_or(DAY - 1, |to| (to + 59).min(DAY - 1)));
        if seconds.0 > seconds.1 {
            return misread("to", "结束时刻早于开始时刻：", "The end is before the beginning: ", form.get("to"));
        }
        let lock = match form.get("lock") {
            "" => None,
            "locked" => Some(Lock::Locked),
            "open" => Some(Lock::Open),
            other => {
                return misread("lock", "锁定条件应为 locked 或 open：", "The lock is locked or open, not: ", other);
            }
        };
        Ok(Self {
            media,
            ak: form.get("ak").to_owned(),
            day,
            start,
            from: form.get("from").to_owned(),
            to: form.get("to").to_owned(),
            lock,
            name: form.get("name").chars().filter(|c| !c.is_control()).take(200).collect(),
            at: form.get("at").parse().unwrap_or(0),
            seconds,
        })
    }

    /// What the engine looks for.
    pub(in crate::portal) fn filter(&self) -> FileFilter {
        let [from, to] = if self.day.is_some() { [self.seconds.0, self.seconds.1].map(Some) } else { [None, None] };
        FileFilter { from, to, lock: self.lock, name: self.name.clone(), ..FileFilter::of(&self.ak, self.media) }
    }

    /// Whether anything beside camera and day is asked for.
    pub(in crate::portal) fn is_narrowed(&self) -> bool {
        !self.from.is_empty() || !self.to.is_empty() || self.lock.is_some() || !self.name.is_empty()
    }

    /// The fields with their values, without those that say nothing.
    pub(in crate::portal) fn fields(&self) -> Vec<(&'static str, String)> {
        let lock = match self.lock {
            None => "",
            Some(Lock::Locked) => "locked",
            Some(Lock::Open) => "open",
        };
        let at = if self.at == 0 { String::new() } else { self.at.to_string() };
        let day = self.day.clone().unwrap_or_else(|| ALL_DAYS.to_owned());
        let mut fields: Vec<(&'static str, String)> = vec![("ak", self.ak.clone()), ("day", day)];
        fields.extend([("from", self.from.clone()), ("to", self.to.clone()), ("lock", lock.to_owned())]);
        fields.extend([("name", self.name.clone()), ("at", at)]);
        fields.retain(|(_, value)| !value.is_empty());
        fields
    }

    /// The page that shows it.
    pub(in crate::portal) fn href(&self) -> String {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(self.fields()).finish();
        format!("{}?{query}", page_of(self.media))
    }

    /// The same, of another camera, from its newest file on.
    #[must_use]
    pub(in crate::portal) fn of_camera(&self, ak: &str) -> Self {
        Self { ak: ak.to_owned(), at: 0, ..self.clone() }
    }

    /// The same, from another file on.
    #[must_use]
    pub(in crate::portal) fn beginning_at(&self, at: u64) -> Self {
        Self { at, ..self.clone() }
    }

    /// The same, of the whole time.
    #[must_use]
    pub(in crate::portal) fn ever(&self) -> Self {
        Self { day: None, from: String::new(), to: String::new(), at: 0, ..self.clone() }
    }

    /// The same, as another day, from its beginning to its end.
    #[must_use]
    pub(in crate::portal) fn on(&self, day: String) -> Self {
        Self { day: Some(day), from: String::new(), to: String::new(), at: 0, ..self.clone() }
    }
}

/// Where files of a kind are looked for.
pub(in crate::portal) const fn page_of(media: Media) -> &'static str {
    match media {
        Media::Recording => "/recordings",
        Media::Picture => "/pictures",
    }
}

/// A file as a form names it: `ak|recording|key`.
pub(in crate::portal) fn form_value(ak: &str, media: Media, key: &str) -> String {
    format!("{ak}|{}|{key}", media.word())
}

/// The file that a form names.
fn file_name(text: &str) -> Option<FileName> {
    let mut parts = text.splitn(3, '|');
    let (ak, kind, key) = (parts.next()?, parts.next()?, parts.next()?);
    Some(FileName { ak: ak.to_owned(), media: Media::of_word(kind)?, key: key.to_owned() })
}

/// What a form of a search page chose: its fields `file`, or all that its filter finds where `all` is set (`kind` says of
/// which kind).
pub(in crate::portal) fn chosen(form: &Form, now: i64, zone_minutes: i32, lang: Lang) -> Result<Chosen, Misread> {
    if form.is_set("all") {
        let kind = form.get("kind");
        let Some(media) = Media::of_word(kind) else {
            let text = lang.say("没有这类文件：", "There are no such files: ").to_owned() + kind;
            return Err(Misread { field: "kind", text });
        };
        return Ok(Chosen::Matching(Sought::read(form, media, now, zone_minutes, lang)?.filter()));
    }
    let names: Option<Vec<FileName>> = form.all("file").map(file_name).collect();
    match names {
        Some(names) => Ok(Chosen::Names(names)),
        None => Err(Misread {
            field: "file",
            text: lang.say("文件应写作 AK|recording|文件名", "A file is written as AK|recording|name").to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_764_068_400; // 2025-11-25 19:00:00 +08:00

    fn read(query: &str) -> Result<Sought, &'static str> {
        Sought::read(&Form::of_query(Some(query)), Media::Recording, NOW, 480, Lang::En)
            .map_err(|misread| misread.field)
    }

    #[test]
    fn a_day_is_that_of_the_zone_and_a_minute_is_meant_whole() {
        let today = read("ak=A").unwrap();
        assert_eq!((today.day.as_deref(), today.start), (Some("2025-11-25"), 1_764_000_000));
        let all = today.filter();
        assert_eq!((all.from, all.to), (Some(1_764_000_000), Some(1_764_086_399)));
        let part = read("ak=A&day=2025-11-24&from=08:00&to=08:29&lock=locked&name=x%26y&at=50").unwrap();
        let filter = part.filter();
        assert_eq!((filter.from, filter.to), (Some(1_763_942_400), Some(1_763_944_199)));
        assert_eq!((filter.lock, filter.name.as_str(), part.at), (Some(Lock::Locked), "x&y", 50));
        assert!(part.is_narrowed() && !today.is_narrowed());
        let whole = read("day=2025-11-25&from=24:00&to=24:00").unwrap().filter();
        assert_eq!((whole.from, whole.to), (Some(1_764_086_399), Some(1_764_086_399)));
        let ever = read("day=all").unwrap().filter();
        assert_eq!((ever.from, ever.to), (None, None));
        // A day is a day of the zone, whatever the box's own.
        assert_eq!(day_of(NOW, 480), "2025-11-25");
        assert_eq!(day_of(1_764_000_000 - 1, 480), "2025-11-24");
        assert_eq!(start_of("2025-11-25", 0), Some(1_764_028_800));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (query, field) in [
            ("day=2025-02-30", "day"),
            ("day=yesterday", "day"),
            ("day=2025-11-25T10:00", "day"),
            ("day=2025/11/25", "day"),
            ("from=8", "from"),
            ("from=08:60", "from"),
            ("to=25:00", "to"),
            ("to=-1:00", "to"),
            ("from=10:00&to=09:59", "to"),
            ("day=all&from=10:00", "from"),
            ("lock=maybe", "lock"),
        ] {
            assert_eq!(read(query).unwrap_err(), field, "{query}");
        }
        assert_eq!(read("at=-5").unwrap().at, 0);
    }

    #[test]
    fn a_search_is_written_as_it_was_read() {
        for query in ["ak=A%26B&day=2025-11-24&from=08:00&to=08:30&lock=open&name=%E7%9C%8B+%7C&at=7", "ak=A&day=all"] {
            let sought = read(query).unwrap();
            let href = sought.href();
            assert_eq!(read(href.split_once('?').unwrap().1).unwrap(), sought, "{href}");
        }
        let other = read("ak=A&from=08:00&at=9&name=n").unwrap().on("2025-11-01".to_owned());
        assert_eq!(other.href(), "/recordings?ak=A&day=2025-11-01&name=n");
    }

    #[test]
    fn files_are_chosen_by_name_or_by_all_that_match() {
        let of = |query| chosen(&Form::of_query(Some(query)), NOW, 480, Lang::En);
        let Ok(Chosen::Names(names)) = of("file=A%7Crecording%7Ca%7Cb.mp4&file=B%7Cpicture%7C+c+&all_but=1") else {
            panic!("names")
        };
        assert_eq!(names[0], FileName { ak: "A".into(), media: Media::Recording, key: "a|b.mp4".into() });
        assert_eq!(names[1], FileName { ak: "B".into(), media: Media::Picture, key: " c ".into() });
        assert!(matches!(of(""), Ok(Chosen::Names(names)) if names.is_empty()));
        let Ok(Chosen::Matching(filter)) = of("all=1&kind=picture&ak=A&day=2025-11-25&file=x") else { panic!("all") };
        assert_eq!((filter.ak.as_str(), filter.media, filter.from), ("A", Media::Picture, Some(1_764_000_000)));
        for (query, field) in [
            ("file=A%7Cfilm%7Cx", "file"),
            ("file=A", "file"),
            ("all=1&kind=", "kind"),
            ("all=1&kind=picture&day=x", "day"),
        ] {
            assert_eq!(of(query).unwrap_err().field, field, "{query}");
        }
    }
}
