//! The reference of the API, as Markdown: written from the table that the routers are made from, as the OpenAPI document
//! is. It stands in `docs/api.md`.

use std::fmt::Write;

use super::openapi::kind_of;
use super::table::{Field, Gives, Needs, On, Route, table};

/// Every route by what it is about: who may ask for it, where, what it takes and gives.
pub fn reference() -> String {
    let mut table = table();
    let mut subjects: Vec<&str> = Vec::new();
    for route in &table {
        if !subjects.contains(&about(route.path)) {
            subjects.push(about(route.path));
        }
    }
    // By the order in which the table comes to each subject; within one as it stands there.
    table.sort_by_key(|route| subjects.iter().position(|subject| *subject == about(route.path)));
    let mut out = String::new();
    let mut subject = "";
    for (n, route) in table.iter().enumerate() {
        if about(route.path) != subject {
            subject = about(route.path);
            // What is written to a string does not fail.
            let _ = writeln!(out, "## {subject}\n");
        }
        let before = table.iter().take(n).find(|before| same(before.gives, route.gives));
        section(&mut out, route, before);
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

/// The first name in a path.
fn about(path: &'static str) -> &'static str {
    path.trim_start_matches("/api/v1/").split('/').next().unwrap_or(path)
}

fn section(out: &mut String, route: &Route, before: Option<&Route>) {
    let _ = writeln!(out, "### `{}`\n\n{}. {}\n", title(route), capital(route.summary), who(route));
    if !route.takes.is_empty() {
        let place = if route.method == http::Method::GET { "Query" } else { "Body" };
        let _ = writeln!(out, "{place}:\n");
        fields(out, route.takes);
    }
    match (route.gives, before) {
        (Gives::Bytes(kind), _) => {
            let _ = writeln!(out, "Gives `{kind}`.\n");
        }
        (Gives::One([]) | Gives::Many([]), _) => {}
        (_, Some(before)) => {
            let _ = writeln!(out, "Gives {} of `{}`.\n", number(route.gives), title(before));
        }
        (Gives::One(of) | Gives::Many(of), None) => {
            let _ = writeln!(out, "Gives {}:\n", number(route.gives));
            fields(out, of);
        }
    }
}

fn title(route: &Route) -> String {
    format!("{} {}", route.method, route.path)
}

fn who(route: &Route) -> String {
    let place = match route.on {
        On::Both => "",
        On::Sessions => ", on the portal's listener only",
        On::Socket => return "The operator, on the control socket only.".to_owned(),
    };
    let who = match route.needs {
        Needs::Nothing => "Anybody".to_owned(),
        Needs::SignIn => "Whoever is signed in".to_owned(),
        Needs::Role(_) | Needs::Everywhere(_) => format!("Roles: {}", route.needs.roles().join(", ")),
    };
    format!("{who}{place}.")
}

fn number(gives: Gives) -> &'static str {
    if matches!(gives, Gives::Many(_)) { "a list of objects" } else { "an object" }
}

fn same(one: Gives, other: Gives) -> bool {
    match (one, other) {
        (Gives::One(one) | Gives::Many(one), Gives::One(other) | Gives::Many(other)) => one == other,
        _ => false,
    }
}

fn fields(out: &mut String, fields: &[Field]) {
    out.push_str("| field | type | what it is |\n|---|---|---|\n");
    for (name, kind, what) in fields {
        let (kind, left_out) = kind_of(kind);
        let left_out = if left_out { ", may be left out" } else { "" };
        let _ = writeln!(out, "| `{name}` | {kind}{left_out} | {what} |");
    }
    out.push('\n');
}

fn capital(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_has_its_section_and_each_subject_one_heading() {
        let text = reference();
        for route in table() {
            assert!(text.contains(&format!("### `{}`\n", title(&route))), "{}", title(&route));
        }
        let mut subjects: Vec<&str> = text.lines().filter(|line| line.starts_with("## ")).collect();
        let all = subjects.len();
        subjects.sort_unstable();
        subjects.dedup();
        assert_eq!(subjects.len(), all, "a subject stands in two places of the table: {text}");
    }

    #[test]
    fn the_page_has_the_reference_as_it_is() {
        let page = include_str!("../../docs/api.md");
        let (_, written) = page.split_once("<!-- reference -->\n\n").expect("a mark");
        assert!(
            written == reference(),
            "docs/api.md is not up to date: replace what is behind its mark by what `kandian generate api` prints"
        );
    }
}
