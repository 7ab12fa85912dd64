//! Days of one camera as shades: where nothing came, one sees at a glance.

use std::fmt::Write as _;

use askama::filters::Safe;

use super::super::show::{Html, escape};
use super::wide;

/// Shades above nothing.
const SHADES: u64 = 4;

/// One place of a strip: how much, and what is said where one points at it.
pub(in crate::portal) struct Shade {
    pub(in crate::portal) value: u64,
    pub(in crate::portal) title: String,
}

/// The places beside each other, each darker the nearer it is to the most of them; nothing has no shade.
pub(in crate::portal) fn heat_strip(label: &str, places: &[Shade]) -> Html {
    let most = places.iter().map(|place| place.value).max().unwrap_or(0).max(1);
    let width = 10 * wide(places.len()).max(1);
    let mut out = format!(
        "<svg class=\"heat\" viewBox=\"0 0 {width} 14\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">",
        escape(label)
    );
    for (at, place) in places.iter().enumerate() {
        let shade = (u128::from(place.value) * u128::from(SHADES)).div_ceil(u128::from(most));
        let _ = write!(
            out,
            "<rect class=\"h{shade}\" x=\"{}\" width=\"9\" height=\"14\"><title>{}</title></rect>",
            10 * at,
            escape(&place.title)
        );
    }
    out.push_str("</svg>");
    Safe(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_has_a_shade_and_nothing_has_none() {
        let place = |value| Shade { value, title: format!("<{value}>") };
        let strip = heat_strip("a\"b", &[place(0), place(1), place(u64::MAX), place(u64::MAX / 2)]).0;
        let shades: Vec<&str> = strip.split("<rect class=\"").skip(1).map(|rest| &rest[..2]).collect();
        assert_eq!(shades, ["h0", "h1", "h4", "h2"]);
        assert!(strip.contains("a&quot;b") && strip.contains("<title>&lt;1&gt;</title>"));
        assert!(heat_strip("", &[]).0.ends_with("</svg>"));
    }
}
