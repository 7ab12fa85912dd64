//! A request's target, taken apart once: the same bytes go to the signature, to authorisation and
//! to storage.

use percent_encoding::percent_decode_str;

/// More parameters than any client sends; each is looked for many times.
const PARAMS_MAX: usize = 256;

/// The path and the parameters of a request, raw and decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    path: String,
    decoded_path: String,
    params: Vec<Param>,
}

/// One parameter of the query, decoded (`+` is a space here, as forms have it).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Its value; empty where there is none.
    pub value: String,
    /// Whether there was a `=`.
    pub has_value: bool,
}

/// The target has a broken escape, or is not UTF-8. S3 `InvalidURI`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Couldn't parse the specified URI.")]
pub struct BadTarget;

impl Target {
    /// Takes a target apart.
    ///
    /// # Errors
    /// [`BadTarget`] where an escape is broken or what it gives is not UTF-8.
    pub fn parse(path: &str, query: Option<&str>) -> Result<Self, BadTarget> {
        let mut params = Vec::new();
        for pair in query.unwrap_or("").split('&').filter(|p| !p.is_empty()) {
            if params.len() >= PARAMS_MAX {
                return Err(BadTarget);
            }
            let (name, value) = pair.split_once('=').map_or((pair, None), |(n, v)| (n, Some(v)));
            params.push(Param {
                name: decode_form(name)?,
                value: decode_form(value.unwrap_or(""))?,
                has_value: value.is_some(),
            });
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { decoded_path: decode(&path)?, path, params })
    }

    /// The path as it was sent.
    pub fn raw_path(&self) -> &str {
        &self.path
    }

    /// The path with its escapes undone, once.
    pub fn decoded_path(&self) -> &str {
        &self.decoded_path
    }

    /// All parameters, in their order.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// Whether there is such a parameter.
    pub fn has(&self, name: &str) -> bool {
        self.params.iter().any(|p| p.name == name)
    }

    /// The first value under this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|p| p.name == name).map(|p| p.value.as_str())
    }

    /// How often this parameter came.
    pub fn count(&self, name: &str) -> usize {
        self.params.iter().filter(|p| p.name == name).count()
    }

    /// The raw path's first segment and what follows it, each decoded. The split is made before
    /// the decoding, so that an escaped slash never moves from a bucket's name into a key.
    ///
    /// # Errors
    /// Never in practice: [`Target::parse`] has decoded the whole.
    pub fn split(&self) -> Result<(String, String), BadTarget> {
        let rest = self.path.strip_prefix('/').unwrap_or(&self.path);
        let (first, rest) = rest.split_once('/').unwrap_or((rest, ""));
        Ok((decode(first)?, decode(rest)?))
    }
}

fn decode(text: &str) -> Result<String, BadTarget> {
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let whole = matches!((rest.next(), rest.next()), (Some(a), Some(b)) if a.is_ascii_hexdigit() && b.is_ascii_hexdigit());
            if !whole {
                return Err(BadTarget);
            }
        }
    }
    percent_decode_str(text).decode_utf8().map(std::borrow::Cow::into_owned).map_err(|_| BadTarget)
}

fn decode_form(text: &str) -> Result<String, BadTarget> {
    if text.contains('+') { decode(&text.replace('+', " ")) } else { decode(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plus_is_a_plus_in_a_key_and_a_space_in_a_parameter() {
        let target = Target::parse("/b/a+b%20c", Some("prefix=a+b%2Bc&acl")).unwrap();
        assert_eq!(target.split(), Ok(("b".into(), "a+b c".into())));
        assert_eq!(target.get("prefix"), Some("a b+c"));
        assert_eq!(target.get("acl"), Some(""));
    }

    #[test]
    fn an_escaped_slash_does_not_move_into_the_key() {
        let target = Target::parse("/b%2Fx/k", None).unwrap();
        assert_eq!(target.split(), Ok(("b/x".into(), "k".into())));
    }

    #[test]
    fn broken_escapes_and_bytes_that_are_not_utf8_are_refused() {
        for bad in ["/b/%", "/b/%4", "/b/%zz", "/b/%ff"] {
            assert_eq!(Target::parse(bad, None), Err(BadTarget), "{bad}");
        }
        assert_eq!(Target::parse("/", Some("a=%")), Err(BadTarget));
        assert!(Target::parse("/", Some(&"a&".repeat(256))).is_ok());
        assert_eq!(Target::parse("/", Some(&"a&".repeat(257))), Err(BadTarget));
    }

    #[test]
    fn dots_and_doubled_slashes_are_plain_characters() {
        let target = Target::parse("/b//../a//", None).unwrap();
        assert_eq!(target.split(), Ok(("b".into(), "/../a//".into())));
    }
}
