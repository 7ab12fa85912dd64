//! What a statement promises, over all sizes, and the worked examples of `docs/billing.md`.

use proptest::prelude::*;

use super::{
    Assignment, Basis, BillingRefusal, Booked, Charge, Day, Hour, Money, Month, Outcome, PRICE_MAX, Period, Rule,
    Sample, Span, Statement, Tariff, Tier, gb_months, reconcile, spans,
};
use crate::domain::{Bytes, GigabyteSize, Gigabytes, Timestamp};

const GB: u64 = 1 << 30;

fn month(text: &str) -> Month {
    text.parse().expect("a month")
}

fn day(text: &str) -> Day {
    text.parse().expect("a day")
}

fn yuan(text: &str) -> Money {
    text.parse().expect("an amount")
}

fn sample(hour: i64, gb: u32, used: u64) -> Sample {
    let handed_out = Gigabytes::new(gb).expect("in range");
    Sample { hour: Hour::new(hour), handed_out, used: Bytes::new(used), files: 1, carried: false }
}

fn hours(month: Month) -> std::ops::Range<i64> {
    month.first_day().first_hour().get()..month.end().first_hour().get()
}

fn tariff(rule: Rule) -> Tariff {
    let from = day("2020-01-01");
    Tariff { name: "标准".to_owned(), basis: Basis::HandedOut, rule, minimum_li: Money::ZERO, from, to: None }
}

fn per_gb(price: &str) -> Tariff {
    tariff(Rule::PerGb { price_li: yuan(price) })
}

fn tiers(ends: &[(Option<u64>, &str)]) -> Tariff {
    let tier = |&(up_to_gb, price): &(Option<u64>, &str)| Tier { up_to_gb, price_li: yuan(price) };
    tariff(Rule::Tiers { tiers: ends.iter().map(tier).collect() })
}

fn package(included_gb: u64, flat: &str, overage: &str) -> Tariff {
    tariff(Rule::Package { included_gb, flat_li: yuan(flat), overage_li: yuan(overage) })
}

fn compute_in(month: Month, spans: &[Span<'_>], samples: &[Sample]) -> Result<Statement, super::TooLarge> {
    let gigabyte = GigabyteSize::STANDARD;
    Statement::compute(&Period {
        account_id: 7, account: "江苏电信", month, zone: "+08:00", gigabyte, spans, samples
    })
}

/// A whole month under one tariff.
fn compute(month: Month, tariff: &Tariff, samples: &[Sample]) -> Statement {
    let span = Span { from: month.first_day(), to: month.end(), tariff: Some((1, tariff)) };
    compute_in(month, &[span], samples).expect("in range")
}

#[test]
fn money_is_written_and_read_in_yuan() {
    for (text, li) in [("0", 0), ("12.345", 12_345), ("-0.001", -1), ("¥1,234.50", 1_234_500), ("7.1000", 7_100)] {
        assert_eq!(yuan(text).li(), li, "{text}");
    }
    assert_eq!(Money::from_li(-1).to_string(), "-0.001");
    assert_eq!(Money::from_li(i64::MIN).to_string(), "-9223372036854775.808");
    for bad in ["", "-", ".5", "1.2345", "1e3", "一", "9223372036854775808", "1.2.3", "--1"] {
        assert!(bad.parse::<Money>().is_err(), "{bad}");
    }
    assert_eq!(Money::half_up(1, 2), Some(Money::from_li(1)));
    assert_eq!(Money::half_up(49, 100), Some(Money::ZERO));
    assert_eq!(Money::half_up(i128::MAX, 1), None);
    assert_eq!(Money::half_up(i128::MAX, i128::MAX), Some(Money::from_li(1)));
}

#[test]
fn the_calendar_is_that_of_the_zone() {
    // 2026-11-30 16:00 UTC is the first hour of December at +08:00.
    let at = Timestamp::from_seconds(1_796_054_400);
    let hour = Hour::of(at, 480);
    assert_eq!(hour.to_string(), "2026-12-01 00:00");
    assert_eq!(hour.begins(480), at);
    assert_eq!(Hour::of(Timestamp::from_millis(at.millis() - 1), 480).day().month(), month("2026-11"));
    for (text, hours) in [("2026-02", 672), ("2028-02", 696), ("2026-11", 720), ("2026-12", 744), ("2100-02", 672)] {
        assert_eq!((month(text).hours(), month(text).to_string().as_str()), (hours, text));
    }
    for bad in ["2026-13", "2026-1", "2026-02-29", "1969-12", "+026-01", ""] {
        assert!(bad.parse::<Month>().is_err(), "{bad}");
    }
    assert!("2026-02-29".parse::<Day>().is_err());
    assert_eq!(day("2028-02-29").next(), day("2028-03-01"));
}

#[test]
fn hours_that_nobody_counted_carry_the_value_before_and_say_so() {
    let last = sample(100, 5, 9);
    let carried: Vec<_> = last.carried_until(Hour::new(103), 1000).collect();
    assert_eq!(carried.iter().map(|s| s.hour.get()).collect::<Vec<_>>(), [101, 102]);
    assert!(carried.iter().all(|s| s.carried && s.handed_out == last.handed_out && s.used == last.used));
    assert_eq!(last.carried_until(Hour::new(5000), 24).next().map(|s| s.hour.get()), Some(4976));
    assert_eq!(last.carried_until(Hour::new(101), 24).count(), 0);
}

#[test]
fn a_tariff_that_makes_no_sense_is_refused() {
    let bad = |tariff: Tariff| matches!(tariff.check(), Err(BillingRefusal::BadTariff { .. }));
    assert_eq!(per_gb("1").check(), Ok(()));
    assert_eq!(tiers(&[(Some(10), "2"), (None, "1")]).check(), Ok(()));
    assert!(bad(per_gb("-1")));
    assert!(bad(tariff(Rule::PerGb { price_li: Money::from_li(PRICE_MAX.li() + 1) })));
    assert!(bad(tiers(&[])));
    assert!(bad(tiers(&[(Some(10), "2")])));
    assert!(bad(tiers(&[(None, "2"), (None, "1")])));
    assert!(bad(tiers(&[(Some(10), "2"), (Some(10), "1"), (None, "1")])));
    assert!(bad(package(1, "-1", "1")));
    assert!(bad(Tariff { name: " x".to_owned(), ..per_gb("1") }));
    assert!(bad(Tariff { to: Some(day("2020-01-01")), ..per_gb("1") }));
    assert!(bad(Tariff { minimum_li: Money::from_li(-1), ..per_gb("1") }));
}

#[test]
fn the_version_that_began_last_holds_until_it_ends() {
    let of = |from: &str, to: Option<&str>| Tariff { from: day(from), to: to.map(day), ..per_gb("1") };
    let versions =
        [(1, of("2026-01-01", None)), (2, of("2026-11-11", Some("2026-11-21"))), (3, of("2026-11-25", None))];
    let assigned = |from: &str, tariff: Option<&str>| Assignment { from: day(from), tariff: tariff.map(str::to_owned) };
    let found =
        spans(month("2026-11"), &[assigned("2026-11-03", Some("标准")), assigned("2026-11-29", None)], &versions);
    let seen: Vec<_> = found.iter().map(|s| (s.from.to_string(), s.tariff.map(|(id, _)| id))).collect();
    let expected = [("01", None), ("03", Some(1)), ("11", Some(2)), ("21", None), ("25", Some(3)), ("29", None)];
    assert_eq!(seen, expected.map(|(day, id)| (format!("2026-11-{day}"), id)));
    assert_eq!(found.last().map(|s| s.to), Some(day("2026-12-01")));
}

#[test]
fn the_worked_examples_of_the_page_are_what_is_computed() {
    let page = include_str!("../../../docs/billing.md");
    let november = month("2026-11");
    let constant = |gb: u32| hours(november).map(|hour| sample(hour, gb, 0)).collect::<Vec<_>>();
    let split = |first: Tariff, second: Tariff, samples: &[Sample]| {
        let (from, change, to) = (november.first_day(), day("2026-11-11"), november.end());
        let spans = [
            Span { from, to: change, tariff: Some((1, &first)) },
            Span { from: change, to, tariff: Some((2, &second)) },
        ];
        compute_in(november, &spans, samples).expect("in range")
    };
    let used = Tariff { basis: Basis::Used, ..per_gb("0.333") };
    let half: Vec<_> = hours(november).map(|hour| sample(hour, 1, GB / 2)).collect();
    let late: Vec<_> = hours(november).skip(360).map(|hour| sample(hour, 100, 0)).collect();
    let growing: Vec<_> =
        hours(november).map(|hour| sample(hour, 2, if hour % 2 == 0 { GB } else { 3 * GB })).collect();
    let larger = Tariff { basis: Basis::Larger, ..per_gb("1") };
    let least = Tariff { minimum_li: yuan("50"), ..per_gb("0.3") };
    let steps = tiers(&[(Some(100), "0.5"), (Some(1000), "0.4"), (None, "0.3")]);
    let examples = [
        ("E1", compute(november, &per_gb("0.3"), &constant(100))),
        ("E2", compute(november, &used, &half)),
        ("E3", compute(november, &steps, &constant(1500))),
        ("E4", compute(november, &package(500, "120", "0.35"), &constant(620))),
        ("E5", split(per_gb("0.3"), per_gb("0.2"), &constant(100))),
        ("E6", compute(november, &package(50, "20", "1"), &late)),
        ("E7", compute(november, &least, &constant(100))),
        ("E8", compute(november, &larger, &growing)),
    ];
    for (name, statement) in examples {
        let lines: Vec<_> = statement.lines.iter().map(|line| line.amount_li.to_string()).collect();
        let row = format!("| {name} | {} | {} |", lines.join(" + "), statement.total_li);
        assert!(page.contains(&row), "docs/billing.md has no row {row}");
    }
    let canonical = compute(november, &per_gb("0.3"), &constant(100)).canonical();
    assert!(page.contains(&canonical), "docs/billing.md has another canonical form than\n{canonical}");
    let digest = Statement::digest(&canonical);
    assert!(page.contains(&digest), "docs/billing.md has another digest than {digest}");
}

#[test]
fn the_largest_account_has_an_amount_and_more_is_refused_without_a_panic() {
    let december = month("2026-12");
    let most = u32::try_from(i32::MAX).expect("positive");
    let samples: Vec<_> = hours(december).map(|hour| sample(hour, most, u64::MAX)).collect();
    let dear = tariff(Rule::PerGb { price_li: PRICE_MAX });
    let total = compute(december, &dear, &samples).total_li;
    assert_eq!(i128::from(total.li()), i128::from(i32::MAX) * i128::from(PRICE_MAX.li()));
    let used = Tariff { basis: Basis::Used, ..dear };
    let span = Span { from: december.first_day(), to: december.end(), tariff: Some((1, &used)) };
    assert_eq!(compute_in(december, &[span], &samples), Err(super::TooLarge));
}

#[test]
fn what_has_no_tariff_is_a_line_that_costs_nothing_and_what_has_no_sample_is_none() {
    let november = month("2026-11");
    let samples: Vec<_> = hours(november).take(24).map(|hour| sample(hour, 10, 0)).collect();
    let none = [Span { from: november.first_day(), to: november.end(), tariff: None }];
    let statement = compute_in(november, &none, &samples).expect("in range");
    let seen: Vec<_> = statement.lines.iter().map(|line| (line.charge, line.hours, line.amount_li)).collect();
    assert_eq!(seen, [(Charge::NoTariff, 24, Money::ZERO)]);
    assert!(compute(november, &per_gb("1"), &[]).lines.is_empty());
}

#[test]
fn both_sides_are_compared_account_by_account() {
    let booked = |account: &str, amount: &str| Booked { account: account.to_owned(), amount: yuan(amount) };
    let ours = [booked("a", "1"), booked("b", "2"), booked("c", "3")];
    let theirs = [booked("b ", "1"), booked("b", "1"), booked("c", "3.001"), booked("d", "4")];
    let found = reconcile(&ours, &theirs).expect("in range");
    let seen: Vec<_> = found.iter().map(|m| (m.account.as_str(), m.outcome, m.difference_li.li())).collect();
    let expected = [
        ("c", Outcome::Differs, -1),
        ("a", Outcome::OnlyOurs, 1000),
        ("d", Outcome::OnlyTheirs, -4000),
        ("b", Outcome::Matches, 0),
    ];
    assert_eq!(seen, expected);
    let most = Booked { account: "x".to_owned(), amount: Money::from_li(i64::MAX) };
    assert_eq!(reconcile(&[most.clone(), most], &[]), None);
}

#[test]
fn gb_months_are_shown_with_six_digits() {
    assert_eq!(gb_months(0, GB, 720), "0.000000");
    assert_eq!(gb_months(i128::from(GB) * 720, GB, 720), "1.000000");
    assert_eq!(gb_months(i128::from(GB) * 720 - 1, GB, 720), "1.000000");
    assert_eq!(gb_months(i128::from(GB) * 360, GB, 720), "0.500000");
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let price = || (0..=PRICE_MAX.li()).prop_map(Money::from_li);
    let ends = prop::collection::btree_set(1..100_000_u64, 0..5);
    prop_oneof![
        price().prop_map(|price_li| Rule::PerGb { price_li }),
        (0..100_000_u64, price(), price()).prop_map(|(included_gb, flat_li, overage_li)| Rule::Package {
            included_gb,
            flat_li,
            overage_li
        }),
        (ends, prop::collection::vec(price(), 6)).prop_map(|(ends, prices)| {
            let ends = ends.into_iter().map(Some).chain([None]);
            let tiers = ends.zip(prices).map(|(up_to_gb, price_li)| Tier { up_to_gb, price_li });
            Rule::Tiers { tiers: tiers.collect() }
        }),
    ]
}

fn any_samples() -> impl Strategy<Value = Vec<Sample>> {
    let november = month("2026-11");
    prop::collection::vec((0..200_000_u32, 0..200_000 * GB), 1..720)
        .prop_map(move |all| hours(november).zip(all).map(|(hour, (gb, used))| sample(hour, gb, used)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_split_month_has_the_byte_hours_and_but_for_rounding_the_price_of_the_whole(
        price in 0..=PRICE_MAX.li(), samples in any_samples(), cut in 1..30_i64, larger in any::<bool>(),
    ) {
        let november = month("2026-11");
        let basis = if larger { Basis::Larger } else { Basis::Used };
        let one = Tariff { basis, ..tariff(Rule::PerGb { price_li: Money::from_li(price) }) };
        let whole = compute(november, &one, &samples);
        let change = Day::new(november.first_day().get() + cut);
        let parts = [
            Span { from: november.first_day(), to: change, tariff: Some((1, &one)) },
            Span { from: change, to: november.end(), tariff: Some((2, &one)) },
        ];
        let split = compute_in(november, &parts, &samples).expect("in range");
        let sum = |s: &Statement| s.lines.iter().map(|line| line.byte_hours).sum::<i128>();
        prop_assert_eq!(sum(&whole), sum(&split));
        prop_assert_eq!(whole.lines.iter().map(|l| l.hours).sum::<u64>(), split.lines.iter().map(|l| l.hours).sum::<u64>());
        prop_assert!((whole.total_li.li() - split.total_li.li()).abs() <= 1, "{} {}", whole.total_li, split.total_li);
        prop_assert_eq!(split.lines.iter().map(|l| l.amount_li.li()).sum::<i64>(), split.total_li.li());
    }

    #[test]
    fn what_does_not_change_costs_the_same_however_the_month_is_split(rule in any_rule(), gb in 0..200_000_u32, cut in 1..30_i64) {
        let november = month("2026-11");
        let samples: Vec<_> = hours(november).map(|hour| sample(hour, gb, 0)).collect();
        let one = Tariff { minimum_li: yuan("10"), ..tariff(rule) };
        let whole = compute(november, &one, &samples);
        let change = Day::new(november.first_day().get() + cut);
        let parts = [
            Span { from: november.first_day(), to: change, tariff: Some((1, &one)) },
            Span { from: change, to: november.end(), tariff: Some((2, &one)) },
        ];
        let split = compute_in(november, &parts, &samples).expect("in range");
        let most = i64::try_from(whole.lines.len() + split.lines.len()).expect("few");
        prop_assert!((whole.total_li.li() - split.total_li.li()).abs() <= most, "{} {}", whole.total_li, split.total_li);
    }

    #[test]
    fn more_gb_never_cost_less_and_one_byte_hour_never_jumps(rule in any_rule(), samples in any_samples(), more in 1..1_000_000_u64) {
        let november = month("2026-11");
        let one = Tariff { basis: Basis::Used, ..tariff(rule) };
        let before = compute(november, &one, &samples);
        let mut grown = samples.clone();
        grown[0].used = Bytes::new(samples[0].used.get() + more);
        let after = compute(november, &one, &grown);
        prop_assert!(after.total_li >= before.total_li);
        // A byte-hour costs at most the largest price: no step of a tier jumps. Each line rounds by at most half.
        let dearest = i128::from(PRICE_MAX.li()) * i128::from(more) / (i128::from(GB) * 720);
        let lines = i128::try_from(before.lines.len() + after.lines.len()).expect("few");
        prop_assert!(i128::from(after.total_li.li() - before.total_li.li()) <= dearest + lines + 1);
    }

    #[test]
    fn the_same_samples_make_the_same_bytes_and_the_bytes_can_be_read(rule in any_rule(), samples in any_samples()) {
        let one = tariff(rule);
        let statement = compute(month("2026-11"), &one, &samples);
        let again = compute(month("2026-11"), &one, &samples);
        prop_assert_eq!(statement.canonical(), again.canonical());
        let read: Statement = serde_json::from_str(&statement.canonical()).expect("JSON");
        prop_assert_eq!(&read, &statement);
        let mut other = samples;
        other[0].files += 1;
        prop_assert_ne!(compute(month("2026-11"), &one, &other).canonical(), statement.canonical());
    }

    #[test]
    fn what_money_writes_it_reads(li in any::<i64>()) {
        prop_assume!(li != i64::MIN);
        prop_assert_eq!(Money::from_li(li).to_string().parse(), Ok(Money::from_li(li)));
    }
}
