//! Charts, drawn here as SVG: no script, no style of their own. Each has a title and a description for who cannot see
//! it, and [`Chart::html`] puts the numbers under it as a table. Colours are the classes `c1` to `c6` of the style.

mod heat;

use std::fmt::Write as _;

use askama::filters::Safe;

use super::show::{self, Html, escape};
use super::text::Lang;

pub(super) use self::heat::{Shade, heat_strip};

/// How the numbers of a chart are written, and where its axis has ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Ticks at round numbers of KB, MB, GB, …
    Bytes,
    /// Ticks at 1, 2, 5 times a power of ten.
    Count,
}

/// How a chart draws its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A line a row.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "pages draw lines with a forecast; what draws both is tested by this")
    )]
    Line,
    /// What was, what is expected (dashed, where the first ends), and what there is at most: three rows.
    Forecast,
    /// Rows one above the other, as areas.
    StackedArea,
    /// Columns side by side.
    Columns,
    /// Columns one above the other.
    StackedColumns,
}

/// A row of numbers, one at each place of the chart; `None` where nothing was measured.
#[derive(Clone, Debug)]
pub(super) struct Series<'a> {
    /// Its word.
    pub(super) name: &'a str,
    /// Its numbers.
    pub(super) values: Vec<Option<u64>>,
}

/// What is drawn.
#[derive(Clone, Debug)]
pub(super) struct Chart<'a> {
    /// How.
    pub(super) kind: Kind,
    /// What it shows.
    pub(super) title: &'a str,
    /// The unit of all numbers.
    pub(super) unit: Unit,
    /// The places along the bottom: hours, days, months.
    pub(super) labels: Vec<String>,
    /// At most six.
    pub(super) series: Vec<Series<'a>>,
}

/// A chart in its frame, and the number at the top of its axis.
struct Plot<'a> {
    chart: &'a Chart<'a>,
    frame: Frame,
    top: u64,
}

/// What there is of a stretch of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    /// A recording.
    Recorded,
    /// A recording that is locked.
    Locked,
    /// Nothing, where something was to be expected.
    Missing,
}

/// A stretch of a day.
#[derive(Clone, Debug)]
pub(super) struct DaySpan {
    /// Seconds of the day.
    pub(super) from: u32,
    /// Seconds of the day.
    pub(super) to: u32,
    /// What there is.
    pub(super) what: Span,
    /// What it is called where one points at it.
    pub(super) label: String,
    /// Where a click leads.
    pub(super) href: Option<String>,
}

/// A drawing's sides. A browser scales it with its letters, so that one is as wide as what it stands in.
#[derive(Clone, Copy, Debug)]
struct Frame {
    width: u64,
    height: u64,
    class: &'static str,
}

/// Across a page.
const WIDE: Frame = Frame { width: 720, height: 240, class: "at-wide" };
/// Half of a page, or a phone.
const HALF: Frame = Frame { width: 440, height: 200, class: "at-half" };
const LEFT: u64 = 64;
const RIGHT: u64 = 12;
const TOP: u64 = 12;
const BOTTOM: u64 = 26;
/// What a label of the bottom needs at least, and a letter of it, in the chart's units.
const LABEL_WIDTH: u64 = 62;
const LETTER_WIDTH: u64 = 8;
const DAY: u32 = 24 * 3600;

impl Unit {
    /// A number with its unit.
    pub(super) fn text(self, number: u64) -> String {
        match self {
            Self::Bytes => show::bytes(number),
            Self::Count => show::count(number),
        }
    }

    /// A number at the axis, which has little room.
    fn tick(self, number: u64, lang: Lang) -> String {
        let scales = lang.say([(100_000_000, "亿"), (10_000, "万")], [(1_000_000_000, "bn"), (1_000_000, "M")]);
        let scale = scales.into_iter().find(|(scale, _)| number >= *scale && number.is_multiple_of(*scale / 10));
        match scale {
            Some((scale, unit)) if self == Self::Count && number >= 1_000_000 => {
                let (whole, tenths) = (number / scale, number % scale / (scale / 10));
                let tenths = if tenths > 0 { format!(".{tenths}") } else { String::new() };
                format!("{}{tenths} {unit}", show::count(whole))
            }
            _ => self.text(number),
        }
    }

    /// The distance of about four ticks below `most`: 1, 2 or 5 times a power of ten of its unit.
    fn step(self, most: u64) -> u64 {
        let scale = match self {
            Self::Bytes => (0..=5).map(|power| 1_u64 << (10 * power)).rfind(|unit| *unit <= most).unwrap_or(1),
            Self::Count => 1,
        };
        let wanted = (most / scale).div_ceil(4).max(1);
        let ten = 10_u64.saturating_pow(wanted.ilog10());
        let round = [1, 2, 5, 10].into_iter().map(|times| ten.saturating_mul(times)).find(|step| *step >= wanted);
        let step = round.unwrap_or(wanted).saturating_mul(scale);
        // One whole unit would leave one tick.
        if scale > 1 && step == scale && most / step < 2 { scale / 2 } else { step }
    }
}

impl Kind {
    fn is_stacked(self) -> bool {
        matches!(self, Self::StackedArea | Self::StackedColumns)
    }
}

impl Chart<'_> {
    /// The chart across a page, its legend and its numbers as a table that folds.
    pub(super) fn html(&self, lang: Lang) -> Html {
        self.figure(lang, &[WIDE, HALF], true)
    }

    /// The same on half of a page.
    pub(super) fn half(&self, lang: Lang) -> Html {
        self.figure(lang, &[HALF], true)
    }

    /// The chart and its legend, on a page that has the numbers in a table of its own.
    pub(super) fn without_table(&self, lang: Lang) -> Html {
        self.figure(lang, &[WIDE, HALF], false)
    }

    /// Drawn for each of the frames: the style shows the one that fits.
    fn figure(&self, lang: Lang, frames: &[Frame], with_table: bool) -> Html {
        let one = if frames.len() == 1 { " half" } else { "" };
        let mut out = format!("<figure class=\"chart{one}\">");
        frames.iter().for_each(|frame| self.draw(*frame, lang, &mut out));
        let has_gaps = (0..self.labels.len()).any(|place| self.is_gap(place));
        if self.series.len() > 1 || has_gaps {
            out.push_str("<ul class=\"legend\">");
            for (at, series) in self.series.iter().enumerate() {
                let _ = write!(out, "<li><i class=\"swatch {}\"></i>{}</li>", self.look(at), escape(series.name));
            }
            if has_gaps {
                let _ = write!(out, "<li><i class=\"swatch gap\"></i>{}</li>", lang.say("未测量", "Not measured"));
            }
            out.push_str("</ul>");
        }
        if with_table {
            self.table(lang, &mut out);
        }
        out.push_str("</figure>");
        Safe(out)
    }

    /// Whether nothing was measured at a place, which is not the same as nothing.
    fn is_gap(&self, place: usize) -> bool {
        !self.series.is_empty() && self.series.iter().all(|series| series.at(place).is_none())
    }

    /// The classes of a row.
    fn look(&self, at: usize) -> &'static str {
        match (self.kind, at) {
            (Kind::Forecast, 0) => "c1",
            (Kind::Forecast, 1) => "c1 dashed",
            (Kind::Forecast, _) => "limit",
            _ => colour(at),
        }
    }

    /// The highest that has to fit.
    fn most(&self) -> u64 {
        let at = |place: usize| self.series.iter().map(move |series| series.at(place).unwrap_or(0));
        let places = 0..self.labels.len();
        if self.kind.is_stacked() {
            places.map(|place| at(place).fold(0, u64::saturating_add)).max().unwrap_or(0)
        } else {
            places.flat_map(at).max().unwrap_or(0)
        }
    }

    fn draw(&self, frame: Frame, lang: Lang, out: &mut String) {
        let most = self.most();
        let step = self.unit.step(most.max(1));
        let top = most.max(1).div_ceil(step).saturating_mul(step);
        let (words, Frame { width, height, class }) = (lang.say("最大值", "Highest"), frame);
        let _ = write!(
            out,
            "<svg class=\"{class}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{0}\"><title>{0}</title>\
             <desc>{1} {2}</desc>",
            escape(self.title),
            words,
            self.unit.text(most)
        );
        let plot = Plot { chart: self, frame, top };
        plot.gaps(out);
        let mut tick = 0_u64;
        // The step is a quarter of the top at least, about: a handful of ticks. Of nothing there is one.
        while tick <= if most == 0 { 0 } else { top } {
            let (y, class) = (plot.y(tick), if tick == 0 { "axis zero" } else { "axis" });
            let _ = write!(
                out,
                "<path class=\"{class}\" d=\"M{LEFT} {y}H{}\"/><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
                width - RIGHT,
                LEFT - 8,
                y + 4,
                self.unit.tick(tick, lang)
            );
            match tick.checked_add(step) {
                Some(next) => tick = next,
                None => break,
            }
        }
        plot.labels_below(out);
        if most == 0 {
            let (x, y) = (LEFT + plot.width() / 2, (TOP + plot.base()) / 2);
            let words = lang.say("此时段没有", "None in this time");
            let _ = write!(out, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">{words}</text>");
        }
        match self.kind {
            Kind::Line | Kind::Forecast => plot.lines(out),
            Kind::StackedArea => plot.areas(out),
            Kind::Columns => plot.columns(out),
            Kind::StackedColumns => plot.stacked_columns(out),
        }
        out.push_str("</svg>");
    }

    fn table(&self, lang: Lang, out: &mut String) {
        let _ = write!(
            out,
            "<details class=\"data\"><summary>{}</summary><div class=\"table tall\" tabindex=\"0\" role=\"region\" \
             aria-label=\"{}\"><table><thead><tr><th scope=\"col\">{}</th>",
            lang.words().as_table,
            escape(self.title),
            lang.words().time
        );
        for series in &self.series {
            let _ = write!(out, "<th scope=\"col\" class=\"n\">{}</th>", escape(series.name));
        }
        out.push_str("</tr></thead><tbody>");
        for (place, label) in self.labels.iter().enumerate() {
            let _ = write!(out, "<tr><th scope=\"row\">{}</th>", escape(label));
            for series in &self.series {
                let text = series.at(place).map_or_else(|| "–".to_owned(), |value| self.unit.text(value));
                let _ = write!(out, "<td class=\"n\">{text}</td>");
            }
            out.push_str("</tr>");
        }
        out.push_str("</tbody></table></div></details>");
    }
}

impl Plot<'_> {
    fn width(&self) -> u64 {
        self.frame.width - LEFT - RIGHT
    }

    /// Where nothing is drawn from upwards.
    fn base(&self) -> u64 {
        self.frame.height - BOTTOM
    }

    /// Where a number is drawn.
    fn y(&self, value: u64) -> u64 {
        self.base() - scaled(value, self.top, self.base() - TOP)
    }

    /// Where the slot of a place begins.
    fn slot(&self, place: usize) -> u64 {
        let (place, all) = (wide(place), wide(self.chart.labels.len()).max(1));
        LEFT + self.width() * place / all
    }

    fn middle(&self, place: usize) -> u64 {
        u64::midpoint(self.slot(place), self.slot(place + 1))
    }

    /// Places at which nothing was measured, those beside each other as one.
    fn gaps(&self, out: &mut String) {
        let mut from = None;
        for place in 0..=self.chart.labels.len() {
            let gap = place < self.chart.labels.len() && self.chart.is_gap(place);
            match (gap, from) {
                (true, None) => from = Some(place),
                (false, Some(first)) => {
                    let (x, height) = (self.slot(first), self.base() - TOP);
                    let width = self.slot(place) - x;
                    let _ = write!(
                        out,
                        "<rect class=\"gap\" x=\"{x}\" y=\"{TOP}\" width=\"{width}\" height=\"{height}\"/>"
                    );
                    from = None;
                }
                _ => {}
            }
        }
    }

    /// As many labels as have room, the last always among them.
    fn labels_below(&self, out: &mut String) {
        let labels = &self.chart.labels;
        let longest = labels.iter().map(|label| wide(label.chars().count())).max().unwrap_or(0);
        let needed = LABEL_WIDTH.max(longest * LETTER_WIDTH + 12);
        let room = usize::try_from(self.width() / needed).unwrap_or(1).max(1);
        let every = labels.len().div_ceil(room).max(1);
        for (place, label) in
            labels.iter().enumerate().filter(|(place, _)| (labels.len() - 1 - place).is_multiple_of(every))
        {
            let (x, y) = (self.middle(place), self.frame.height - 8);
            // One at the edge ends there.
            let (x, anchor) = match x + needed / 2 > self.frame.width {
                true => (self.frame.width - 2, "end"),
                false => (x, "middle"),
            };
            let _ = write!(out, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{}</text>", escape(label));
        }
    }

    fn lines(&self, out: &mut String) {
        for (at, series) in self.chart.series.iter().enumerate() {
            let mut path = String::new();
            let mut pen_is_down = false;
            for place in 0..self.chart.labels.len() {
                let Some(value) = series.at(place) else {
                    pen_is_down = false;
                    continue;
                };
                let (x, y) = (self.middle(place), self.y(value));
                let _ = write!(path, "{}{x} {y}", if pen_is_down { 'L' } else { 'M' });
                // A single number between two gaps is a dot.
                if !pen_is_down && series.at(place + 1).is_none() {
                    path.push_str("h.1");
                }
                pen_is_down = true;
            }
            let _ = write!(out, "<path class=\"line {}\" d=\"{path}\"/>", self.chart.look(at));
        }
    }

    fn areas(&self, out: &mut String) {
        let mut below = vec![0_u64; self.chart.labels.len()];
        for (at, series) in self.chart.series.iter().enumerate() {
            let above: Vec<u64> = below
                .iter()
                .enumerate()
                .map(|(place, low)| low.saturating_add(series.at(place).unwrap_or(0)))
                .collect();
            let mut path = String::new();
            for (place, value) in above.iter().enumerate() {
                let letter = if place == 0 { 'M' } else { 'L' };
                let _ = write!(path, "{letter}{} {}", self.middle(place), self.y(*value));
            }
            for (place, value) in below.iter().enumerate().rev() {
                let _ = write!(path, "L{} {}", self.middle(place), self.y(*value));
            }
            let close = if path.is_empty() { "" } else { "Z" };
            let _ = write!(out, "<path class=\"area {}\" d=\"{path}{close}\"/>", colour(at));
            below = above;
        }
    }

    fn columns(&self, out: &mut String) {
        let many = wide(self.chart.series.len()).max(1);
        for place in 0..self.chart.labels.len() {
            let slot = self.slot(place + 1) - self.slot(place);
            let gap = slot / 6;
            let width = ((slot - 2 * gap) / many).max(1);
            for (at, series) in self.chart.series.iter().enumerate() {
                let Some(value) = series.at(place) else { continue };
                let x = self.slot(place) + gap + width * wide(at);
                self.column(place, at, (x, width), (self.y(value), self.base()), value, out);
            }
        }
    }

    fn stacked_columns(&self, out: &mut String) {
        for place in 0..self.chart.labels.len() {
            let slot = self.slot(place + 1) - self.slot(place);
            let gap = slot / 6;
            let mut sum = 0_u64;
            for (at, series) in self.chart.series.iter().enumerate() {
                let Some(value) = series.at(place) else { continue };
                let low = self.y(sum);
                sum = sum.saturating_add(value);
                let across = (self.slot(place) + gap, (slot - 2 * gap).max(1));
                self.column(place, at, across, (self.y(sum), low), value, out);
            }
        }
    }

    fn column(&self, place: usize, at: usize, across: (u64, u64), along: (u64, u64), value: u64, out: &mut String) {
        if value == 0 {
            return;
        }
        let (label, name) = (self.chart.labels.get(place).map_or("", String::as_str), self.chart.series[at].name);
        let (x, width) = across;
        // What is there is seen.
        let high = (along.1 - along.0).max(1);
        let _ = write!(
            out,
            "<rect class=\"column {}\" x=\"{x}\" y=\"{}\" width=\"{width}\" height=\"{high}\"><title>{} · {} {}</title></rect>",
            colour(at),
            along.1 - high,
            escape(label),
            escape(name),
            self.chart.unit.text(value)
        );
    }
}

impl Series<'_> {
    fn at(&self, place: usize) -> Option<u64> {
        self.values.get(place).copied().flatten()
    }
}

/// A line the size of a word; the numbers stand beside it.
pub(super) fn sparkline(label: &str, values: &[u64]) -> Html {
    let most = values.iter().copied().max().unwrap_or(0).max(1);
    let last = wide(values.len()).saturating_sub(1).max(1);
    let mut path = String::new();
    for (place, value) in values.iter().enumerate() {
        let (x, y) = (2 + 92 * wide(place) / last, 22 - scaled(*value, most, 20));
        let _ = write!(path, "{}{x} {y}", if place == 0 { 'M' } else { 'L' });
    }
    let label = escape(label);
    Safe(format!(
        "<svg class=\"spark\" viewBox=\"0 0 96 24\" role=\"img\" aria-label=\"{label}\"><path class=\"line c1\" d=\"{path}\"/></svg>"
    ))
}

/// The 24 hours of a day with what there is of them. Spans are drawn in the order in which they come.
pub(super) fn day_strip(label: &str, spans: &[DaySpan]) -> Html {
    day_strip_marked(label, spans, None)
}

/// The same, with a frame around what one is looking at: its seconds of the day, and what it is called.
pub(super) fn day_strip_marked(label: &str, spans: &[DaySpan], mark: Option<((u32, u32), &str)>) -> Html {
    // 40 units an hour: a unit is 90 seconds.
    let x = |seconds: u32| 10 + u64::from(seconds.min(DAY)) / 90;
    let label = escape(label);
    // Narrower than its hours can be read it scrolls; where no link in it takes the focus it takes it itself.
    let focus = if spans.iter().any(|span| span.href.is_some()) { "" } else { " tabindex=\"0\"" };
    let mut out = format!(
        "<div class=\"day-strip\"{focus}><svg class=\"strip\" viewBox=\"0 0 980 52\" role=\"group\" aria-label=\"{label}\"><title>{label}</title>\
         <rect class=\"ground\" x=\"10\" y=\"4\" width=\"960\" height=\"26\" rx=\"3\"/>"
    );
    for span in spans {
        let class = match span.what {
            Span::Recorded => "recorded",
            Span::Locked => "locked",
            Span::Missing => "missing",
        };
        let begin = x(span.from).min(968);
        let width = x(span.to).saturating_sub(begin).max(2);
        let title = escape(&span.label);
        let rect = format!(
            "<rect class=\"{class}\" x=\"{begin}\" y=\"4\" width=\"{width}\" height=\"26\"><title>{title}</title></rect>"
        );
        match &span.href {
            Some(href) => {
                let _ = write!(out, "<a href=\"{}\" aria-label=\"{title}\">{rect}</a>", escape(href));
            }
            None => out.push_str(&rect),
        }
    }
    if let Some(((from, to), name)) = mark {
        let begin = x(from).min(966);
        let width = x(to).saturating_sub(begin).max(4);
        let (middle, name) = (begin + width / 2, escape(name));
        let _ = write!(
            out,
            "<g class=\"mark\"><title>{name}</title><rect x=\"{}\" y=\"2\" width=\"{}\" height=\"30\" rx=\"2\"/>\
             <path d=\"M{} 40L{middle} 33L{} 40Z\"/></g>",
            begin - 1,
            width + 2,
            middle - 5,
            middle + 5
        );
    }
    for hour in 0..=24_u32 {
        let (at, long) = (x(hour * 3600), hour % 3 == 0);
        let _ = write!(out, "<path class=\"tick\" d=\"M{at} 30V{}\"/>", if long { 36 } else { 33 });
        if long {
            let anchor = ["start", "middle", "end"][usize::from(hour > 0) + usize::from(hour == 24)];
            let _ = write!(out, "<text x=\"{at}\" y=\"49\" text-anchor=\"{anchor}\">{hour:02}:00</text>");
        }
    }
    out.push_str("</svg></div>");
    Safe(out)
}

fn colour(at: usize) -> &'static str {
    ["c1", "c2", "c3", "c4", "c5", "c6"][at % 6]
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// `part` of `whole` on a length, rounded down; never past it.
fn scaled(part: u64, whole: u64, length: u64) -> u64 {
    let at = u128::from(part) * u128::from(length) / u128::from(whole.max(1));
    u64::try_from(at).unwrap_or(length).min(length)
}

#[cfg(test)]
mod tests;
