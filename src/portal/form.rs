//! What a browser's form sends: `application/x-www-form-urlencoded`.

use axum::body::{Body, to_bytes};
use http::Request;

use super::guard::BODY_BYTES_MAX;

/// The fields of a form or a query.
#[derive(Debug, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a query.
    pub(super) fn of_query(query: Option<&str>) -> Self {
        Self(form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    /// Reads a request's body; what is too long, or does not come, has no fields.
    pub(super) async fn of_body(request: Request<Body>) -> Self {
        let bytes = to_bytes(request.into_body(), BODY_BYTES_MAX).await.unwrap_or_default();
        Self(form_urlencoded::parse(&bytes).into_owned().collect())
    }

    /// A field without white space at its ends; empty where it did not come.
    pub(super) fn get(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// A field as it was typed: a password may have spaces.
    pub(super) fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
    }

    /// All values of a field that comes more than once, as they came.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether a box was ticked.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_and_what_did_not_come_is_empty() {
        let form = Form::of_query(Some("a=%E7%9C%8B+1&b=+x+&c=&a=2"));
        assert_eq!((form.get("a"), form.get("b"), form.raw("b"), form.get("d")), ("看 1", "x", " x ", ""));
        assert!(form.is_set("c") && !form.is_set("d"));
        assert_eq!(form.all("a").collect::<Vec<_>>(), ["看 1", "2"]);
    }
}
