//! Golden drawings, and what holds for every drawing.

use super::*;

fn chart(kind: Kind, unit: Unit, rows: &[(&'static str, &[Option<u64>])]) -> Chart<'static> {
    let places = rows.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
    Chart {
        kind,
        title: "Ingest",
        unit,
        labels: (0..places).map(|place| format!("{place:02}:00")).collect(),
        series: rows.iter().map(|&(name, values)| Series { name, values: values.to_vec() }).collect(),
    }
}

fn svg(chart: &Chart<'_>) -> String {
    let mut out = String::new();
    chart.draw(WIDE, Lang::En, &mut out);
    out
}

/// The numbers of an attribute, in order.
fn numbers(svg: &str, element: &str, name: &str) -> Vec<u64> {
    let of_element = svg.split(element).skip(1).map(|rest| rest.split('>').next().unwrap_or_default());
    of_element.filter_map(|tag| tag.split(&format!(" {name}=\"")).nth(1)?.split('"').next()?.parse().ok()).collect()
}

#[test]
fn a_line_is_drawn_like_this() {
    let drawn = svg(&chart(Kind::Line, Unit::Count, &[("a", &[Some(0), Some(100), None, Some(50)])]));
    let golden = "<svg class=\"at-wide\" viewBox=\"0 0 720 240\" role=\"img\" aria-label=\"Ingest\"><title>Ingest</title><desc>Highest 100</desc>\
        <rect class=\"gap\" x=\"386\" y=\"12\" width=\"161\" height=\"202\"/><path class=\"axis zero\" d=\"M64 214H708\"/><text x=\"56\" y=\"218\" text-anchor=\"end\">0</text>\
        <path class=\"axis\" d=\"M64 113H708\"/><text x=\"56\" y=\"117\" text-anchor=\"end\">50</text>\
        <path class=\"axis\" d=\"M64 12H708\"/><text x=\"56\" y=\"16\" text-anchor=\"end\">100</text>\
        <text x=\"144\" y=\"232\" text-anchor=\"middle\">00:00</text><text x=\"305\" y=\"232\" text-anchor=\"middle\">01:00</text>\
        <text x=\"466\" y=\"232\" text-anchor=\"middle\">02:00</text><text x=\"627\" y=\"232\" text-anchor=\"middle\">03:00</text>\
        <path class=\"line c1\" d=\"M144 214L305 12M627 113h.1\"/></svg>";
    assert_eq!(drawn, golden);
}

#[test]
fn a_gap_is_told_from_nothing_and_nothing_has_one_tick() {
    let gaps = chart(Kind::Columns, Unit::Count, &[("a", &[None, None, Some(0), None, Some(4)])]);
    let drawn = svg(&gaps);
    assert_eq!(numbers(&drawn, "<rect class=\"gap\"", "x"), [64, 450]);
    assert_eq!(numbers(&drawn, "<rect class=\"gap\"", "width"), [257, 129]);
    assert!(gaps.html(Lang::En).0.contains("Not measured"));
    let nothing = svg(&chart(Kind::Columns, Unit::Bytes, &[("a", &[Some(0), Some(0)])]));
    assert_eq!((nothing.matches("class=\"axis").count(), nothing.matches("class=\"gap\"").count()), (1, 0));
    assert!(!chart(Kind::Line, Unit::Count, &[("a", &[Some(1)])]).html(Lang::En).0.contains("legend"));
}

#[test]
fn a_forecast_is_dashed_and_its_end_is_labelled_inside_the_frame() {
    let day = |from: usize, to: usize| (0..40).map(|at| (from..to).contains(&at).then_some(5)).collect::<Vec<_>>();
    let (was, comes, most) = (day(0, 10), day(9, 40), day(0, 40));
    let rows: [(&str, &[Option<u64>]); 3] = [("was", &was), ("comes", &comes), ("most", &most)];
    let half = chart(Kind::Forecast, Unit::Bytes, &rows).half(Lang::En).0;
    assert!(half.contains("viewBox=\"0 0 440 200\"") && !half.contains("at-wide"));
    for class in ["line c1\"", "line c1 dashed\"", "line limit\""] {
        assert_eq!(half.matches(class).count(), 1, "{class}");
    }
    assert!(half.contains("x=\"438\" y=\"192\" text-anchor=\"end\">39:00</text>"), "{half}");
}

#[test]
fn a_stack_stands_on_what_is_below_it() {
    let rows: [(&str, &[Option<u64>]); 2] = [("a", &[Some(1 << 30)]), ("b", &[Some(3 << 30)])];
    let drawn = svg(&chart(Kind::StackedColumns, Unit::Bytes, &rows));
    let (tops, heights) = (numbers(&drawn, "<rect", "y"), numbers(&drawn, "<rect", "height"));
    assert_eq!(tops[1] + heights[1], tops[0], "the second begins where the first ends");
    assert_eq!(tops[0] + heights[0], 214);
    assert_eq!(tops[1], TOP, "4 GB fill an axis of 4 GB");
    assert!(drawn.contains(">2 GB</text>") && drawn.contains("00:00 · b 3 GB"), "{drawn}");
    let area = svg(&chart(Kind::StackedArea, Unit::Bytes, &rows));
    assert!(area.contains("<path class=\"area c2\" d=\"M386 12L386 164Z\"/>"), "{area}");
}

#[test]
fn ticks_are_round_and_few() {
    for (unit, most, step) in [
        (Unit::Count, 1, 1),
        (Unit::Count, 7, 2),
        (Unit::Count, 100, 50),
        (Unit::Count, 8_130, 5_000),
        (Unit::Bytes, 1000, 500),
        (Unit::Bytes, 3 << 30, 1 << 30),
        (Unit::Bytes, 1 << 30, 1 << 29),
        (Unit::Bytes, 900 << 20, 500 << 20),
    ] {
        assert_eq!(unit.step(most), step, "{unit:?} {most}");
    }
    for most in [1, 2, 3, 9, 10, 11, 1023, 1024, 1025, 1 << 40, u64::MAX / 2, u64::MAX] {
        for unit in [Unit::Count, Unit::Bytes] {
            assert!((1..=12).contains(&(most.div_ceil(unit.step(most)))), "{unit:?} {most}: {}", unit.step(most));
        }
    }
}

#[test]
fn an_axis_of_millions_is_written_in_them() {
    let en = |number| Unit::Count.tick(number, Lang::En);
    assert_eq!([0, 600_000, 1_500_000, 20_000_000].map(en), ["0", "600,000", "1.5 M", "20 M"]);
    let zh = |number| Unit::Count.tick(number, Lang::Zh);
    assert_eq!([600_000, 1_500_000, 150_000_000].map(zh), ["600,000", "150 万", "1.5 亿"]);
    assert_eq!(Unit::Count.tick(u64::MAX, Lang::En), show::count(u64::MAX), "what is not round is written out");
    assert_eq!(Unit::Bytes.tick(5 << 20, Lang::En), "5 MB");
}

#[test]
fn nothing_leaves_the_frame_whatever_the_numbers_are() {
    let odd: &[Option<u64>] = &[Some(u64::MAX), None, Some(0), Some(1)];
    for kind in [Kind::Line, Kind::StackedArea, Kind::Columns, Kind::StackedColumns] {
        for rows in [&[("<a>", odd), ("b\"", odd)][..], &[][..], &[("e", &[][..])][..]] {
            let whole = chart(kind, Unit::Bytes, rows);
            let drawn = svg(&whole);
            for (y, height) in numbers(&drawn, "<rect", "y").into_iter().zip(numbers(&drawn, "<rect", "height")) {
                assert!(y + height <= 214, "{drawn}");
            }
            assert!(!whole.html(Lang::Zh).0.contains("<a>"), "names are escaped");
        }
    }
    let many = chart(Kind::Columns, Unit::Count, &[("a", &[Some(3); 5000])]);
    assert!(svg(&many).matches("y=\"232\"").count() <= 12, "labels do not lie on one another");
}

#[test]
fn a_day_has_its_hours_and_what_is_in_them() {
    let span = |from, to, what, href: Option<&str>| DaySpan {
        from,
        to,
        what,
        label: "06:00 \"a\"".to_owned(),
        href: href.map(str::to_owned),
    };
    let strip = day_strip(
        "Day",
        &[span(6 * 3600, 7 * 3600, Span::Recorded, Some("/play?a=1&b")), span(86_399, 99_999, Span::Missing, None)],
    )
    .0;
    assert!(strip.contains(
        "<a href=\"/play?a=1&amp;b\" aria-label=\"06:00 &quot;a&quot;\"><rect class=\"recorded\" x=\"250\" y=\"4\" width=\"40\""
    ));
    assert!(strip.contains("<rect class=\"missing\" x=\"968\" y=\"4\" width=\"2\""), "{strip}");
    assert_eq!((strip.matches("class=\"tick\"").count(), strip.matches("<text").count()), (25, 9));
}

#[test]
fn a_sparkline_is_drawn_like_this() {
    assert!(sparkline("a", &[0, 5, 10]).0.contains("d=\"M2 22L48 12L94 2\""));
    assert!(sparkline("a", &[]).0.contains("d=\"\""));
}
