//! How long requests took, drawn: shares on one axis, stretched towards the slow ones, milliseconds on the other.

use serde_json::{Value, json};

use crate::sim::client::Tally;

/// Shares that are drawn on a terminal, in per cent.
const SHARES: [f64; 10] = [1.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99];
const BAR: f64 = 48.0;
/// Nines at the right end of a drawing: 99.99 %.
const NINES: f64 = 4.0;
const STEPS: u32 = 80;
/// A drawing's size, and what its axes leave, in pixels.
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 50.0;
const COLORS: [&str; 6] = ["#1565c0", "#9e9e9e", "#c62828", "#2e7d32", "#6a1b9a", "#ef6c00"];

/// Milliseconds by share.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Curve {
    name: String,
    points: Vec<(f64, f64)>,
}

impl Curve {
    /// What a tally counted.
    pub(super) fn of(name: &str, tally: &Tally) -> Self {
        let steps = (0..=STEPS).map(|step| share(f64::from(step) / f64::from(STEPS) * NINES));
        let mut shares: Vec<f64> = steps.chain(SHARES).collect();
        shares.sort_by(f64::total_cmp);
        let points = shares.into_iter().map(|share| (share, tally.percentile(share).as_secs_f64() * 1e3)).collect();
        Self { name: name.to_owned(), points }
    }

    /// As [`Curve::json`] wrote it, with the name that stands beside it in a report.
    pub(super) fn read(report: &Value) -> Option<Self> {
        let name = report.get("name")?.as_str()?.to_owned();
        let points = report.get("percentiles")?.as_array()?.iter();
        let points = points.map(|point| Some((point.get(0)?.as_f64()?, point.get(1)?.as_f64()?)));
        Some(Self { name, points: points.collect::<Option<_>>()? })
    }

    /// `[[share, milliseconds], …]`.
    pub(super) fn json(&self) -> Value {
        json!(self.points)
    }

    /// What the slowest of this share took at most.
    fn at(&self, share: f64) -> f64 {
        self.points.iter().find(|(there, _)| *there >= share).map_or(0.0, |(_, millis)| *millis)
    }
}

/// The share that so many nines are: 1 is 90 %, 2 is 99 %.
fn share(nines: f64) -> f64 {
    100.0 * (1.0 - 10.0_f64.powf(-nines))
}

fn nines(share: f64) -> f64 {
    -(1.0 - share.min(99.9999) / 100.0).log10()
}

/// The least and the most of all curves, as powers of ten around them.
fn decades(curves: &[Curve]) -> (f64, f64) {
    let all = || curves.iter().flat_map(|curve| &curve.points).map(|(_, millis)| millis.max(0.001));
    let least = all().fold(f64::INFINITY, f64::min).log10().floor();
    let most = all().fold(0.001, f64::max).log10().ceil();
    if least.is_finite() { (least, most.max(least + 1.0)) } else { (0.0, 1.0) }
}

/// Bars for a terminal, one a share, longer by the same for each factor.
pub(super) fn text(curves: &[Curve]) -> String {
    let (least, most) = decades(curves);
    let mut out = String::new();
    for curve in curves {
        out += &format!("{}\n", curve.name);
        for share in SHARES {
            let millis = curve.at(share);
            let part = (millis.max(0.001).log10() - least) / (most - least) * BAR;
            let bar: String = (0..48).map_while(|cell| (f64::from(cell) < part).then_some('▇')).collect();
            out += &format!("  {share:>5} % {millis:>9.2} ms {bar}\n");
        }
    }
    out
}

/// A drawing of all curves together.
pub(super) fn svg(curves: &[Curve]) -> String {
    let (least, most) = decades(curves);
    let x = |share: f64| LEFT + nines(share).min(NINES) / NINES * (WIDTH - LEFT - RIGHT);
    let y = |millis: f64| {
        let part = (millis.max(0.001).log10() - least) / (most - least);
        HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)
    };
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for mark in [0.0, 50.0, 90.0, 99.0, 99.9, 99.99] {
        let (x, bottom) = (x(mark), HEIGHT - BOTTOM);
        out += &format!(
            "<path d=\"M{x:.1} {TOP}V{bottom}\" stroke=\"#ddd\"/><text x=\"{x:.1}\" y=\"{}\" \
             text-anchor=\"middle\">{mark} %</text>\n",
            bottom + 20.0
        );
    }
    let mut decade = least;
    while decade <= most {
        let millis = 10.0_f64.powf(decade);
        let (y, right) = (y(millis), WIDTH - RIGHT);
        out += &format!(
            "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{:.1}\" \
             text-anchor=\"end\">{millis} ms</text>\n",
            LEFT - 6.0,
            y + 4.0
        );
        decade += 1.0;
    }
    for (line, (curve, color)) in (0_u32..).zip(curves.iter().zip(COLORS.iter().cycle())) {
        let points: Vec<String> =
            curve.points.iter().map(|(share, millis)| format!("{:.1},{:.1}", x(*share), y(*millis))).collect();
        out += &format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>\n\
             <text x=\"{}\" y=\"{}\" fill=\"{color}\">{}</text>\n",
            points.join(" "),
            LEFT + 10.0,
            TOP + 14.0 + 16.0 * f64::from(line),
            curve.name.replace('&', "&amp;").replace('<', "&lt;"),
        );
    }
    out + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::client::s3::Outcome;
    use std::time::Duration;

    fn curve(name: &str, millis: impl Iterator<Item = u64>) -> Curve {
        let mut tally = Tally::default();
        for millis in millis {
            tally.count(&Ok(Outcome::Done), 1, Duration::from_millis(millis));
        }
        Curve::of(name, &tally)
    }

    #[test]
    fn a_curve_tells_what_was_counted_and_comes_back_from_a_report() {
        let curve = curve("a < b", 1..=1000);
        assert!((curve.at(50.0) - 500.0).abs() < 1.0 && (curve.at(99.0) - 990.0).abs() < 1.0, "{curve:?}");
        let report = json!({ "name": "a < b", "percentiles": curve.json() });
        assert_eq!(Curve::read(&report), Some(curve));
        assert_eq!(Curve::read(&json!({ "name": "x" })), None);
    }

    #[test]
    fn a_drawing_has_every_curve_and_slower_is_longer() {
        let curves = [curve("fast", 1..=100), curve("slow & <odd>", 50..=5000)];
        let text = text(&curves);
        let bars: Vec<usize> =
            text.lines().filter(|line| line.contains(" 99 %")).map(|line| line.matches('▇').count()).collect();
        assert!(bars.len() == 2 && bars[0] < bars[1] && bars[1] <= 48, "{text}");
        let svg = svg(&curves);
        let mut reader = quick_xml::Reader::from_str(&svg);
        let mut lines = 0;
        loop {
            match reader.read_event().unwrap() {
                quick_xml::events::Event::Empty(tag) if tag.name().as_ref() == "polyline" => lines += 1,
                quick_xml::events::Event::Eof => break,
                _ => {}
            }
        }
        assert!(lines == 2 && svg.contains("slow &amp; &lt;odd>"), "{svg}");
        // Nothing was done: there is something to look at all the same.
        assert!(super::svg(&[Curve::of("none", &Tally::default())]).ends_with("</svg>\n"));
    }
}
