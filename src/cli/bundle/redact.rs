//! Pseudonyms: every name that could tell whose box it is has another one in its place, and the same one everywhere.
//!
//! Names that the box knows (accounts, keys, buckets, users, cameras, hosts) are looked for as whole words; addresses
//! are recognised. Loopback and "all addresses" stay: they tell nothing, and much hangs on them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Names and what stands for them.
#[derive(Debug, Default)]
pub struct Pseudonyms {
    /// Names that are one word.
    words: HashMap<String, String>,
    /// Others by their first letter, the longest first.
    phrases: HashMap<char, Vec<(String, String)>>,
    counts: HashMap<String, usize>,
    addresses: HashMap<IpAddr, String>,
}

impl Pseudonyms {
    /// The next of a kind; nothing where the name is empty or has one already.
    pub fn add(&mut self, kind: &str, name: &str) {
        // Inside JSON it may stand escaped.
        let escaped = serde_json::Value::from(name).to_string();
        let escaped = escaped.get(1..escaped.len() - 1).unwrap_or_default().to_owned();
        if name.trim().is_empty() || self.has(name) {
            return;
        }
        let count = self.counts.entry(kind.to_owned()).or_default();
        *count += 1;
        let pseudonym = format!("{kind}-{count}");
        for name in [name.to_owned(), escaped] {
            if self.has(&name) {
                continue;
            }
            match name.chars().next() {
                Some(_) if name.chars().all(is_word) => {
                    self.words.insert(name, pseudonym.clone());
                }
                Some(first) => {
                    let phrases = self.phrases.entry(first).or_default();
                    phrases.push((name, pseudonym.clone()));
                    phrases.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
                }
                None => {}
            }
        }
    }

    fn has(&self, name: &str) -> bool {
        let first = name.chars().next().unwrap_or_default();
        self.words.contains_key(name)
            || self.phrases.get(&first).is_some_and(|phrases| phrases.iter().any(|(known, _)| known == name))
    }

    /// The text with pseudonyms in the place of names.
    pub fn apply(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        let mut before = ' ';
        while let Some(first) = rest.chars().next() {
            let begins = !is_letter(before) || !is_letter(first);
            let taken = if begins { self.name_at(rest, before, &mut out) } else { 0 };
            let taken = if taken > 0 {
                taken
            } else {
                out.push(first);
                first.len_utf8()
            };
            before = rest[..taken].chars().next_back().unwrap_or(' ');
            rest = &rest[taken..];
        }
        out
    }

    /// Puts what stands for the name that `rest` begins with behind `out`; its bytes, 0 where there is none.
    fn name_at(&mut self, rest: &str, before: char, out: &mut String) -> usize {
        let first = rest.chars().next().unwrap_or_default();
        for (name, pseudonym) in self.phrases.get(&first).into_iter().flatten() {
            let ends = |behind: &str| {
                let (last, next) = (name.chars().next_back(), behind.chars().next());
                !(last.is_some_and(is_letter) && next.is_some_and(is_letter))
            };
            if rest.strip_prefix(name.as_str()).is_some_and(ends) {
                out.push_str(pseudonym);
                return name.len();
            }
        }
        if let Some((bytes, address)) = address_at(rest).filter(|(bytes, _)| {
            // `world::ballast` is none, although `::ba` could be one.
            !is_letter(before) && !rest[*bytes..].starts_with(is_letter)
        }) {
            let next = self.addresses.len() + 1;
            let pseudonym = self.addresses.entry(address).or_insert_with(|| format!("address-{next}"));
            out.push_str(pseudonym);
            return bytes;
        }
        let word = |of: fn(char) -> bool| rest.find(|c| !of(c)).unwrap_or(rest.len());
        // The longest first: a name may have points and lines in it, and may be followed by them.
        let mut end = word(is_word);
        while end > 0 {
            if let Some(pseudonym) = self.words.get(&rest[..end]) {
                out.push_str(pseudonym);
                return end;
            }
            end = rest[..end].rfind(|c: char| !is_letter(c)).unwrap_or(0);
        }
        0
    }
}

/// What a name that is one word is made of.
fn is_word(c: char) -> bool {
    is_letter(c) || matches!(c, '-' | '.')
}

/// What a word does not end in the middle of. Other scripts have no blanks between words: there a name is found
/// wherever it stands.
fn is_letter(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// An address at the beginning that tells of somebody; its bytes.
fn address_at(text: &str) -> Option<(usize, IpAddr)> {
    let len = |of: fn(u8) -> bool| text.bytes().position(|b| !of(b)).unwrap_or(text.len());
    let four = len(|b| b.is_ascii_digit() || b == b'.');
    let four = text[..four].trim_end_matches('.');
    if let Ok(address) = four.parse::<Ipv4Addr>() {
        let plain = address.is_loopback() || address.is_unspecified();
        return (!plain).then_some((four.len(), address.into()));
    }
    // A listener for both kinds sees `::ffff:10.1.2.3`.
    let six = text[..len(|b| b.is_ascii_hexdigit() || b == b':' || b == b'.')].trim_end_matches('.');
    let six = if six.ends_with("::") { six } else { six.trim_end_matches(':') };
    if six.matches(':').count() < 2 {
        return None;
    }
    // A time of the day is none: 09:12:13.
    let address = six.parse::<Ipv6Addr>().ok()?.to_canonical();
    let plain = address.is_loopback() || address.is_unspecified();
    (!plain).then_some((six.len(), address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_as_whole_words_and_are_the_same_everywhere() {
        let mut names = Pseudonyms::default();
        for (kind, name) in [
            ("account", "jiangsu"),
            ("account", "江苏"),
            ("account", "a"),
            ("ak", "KD0123456789ABCDEF"),
            ("bucket", "kd0123-record"),
            ("user", "boss \"x\""),
            ("account", "jiangsu"),
            ("host", "store.example.cn"),
        ] {
            names.add(kind, name);
        }
        for (text, wanted) in [
            ("account=\"jiangsu\" jiangsu2 xjiangsu", "account=\"account-1\" jiangsu2 xjiangsu"),
            ("a banana, a x-a-y", "account-3 banana, account-3 x-account-3-y"),
            ("省份江苏，江苏", "省份account-2，account-2"),
            ("GET /kd0123-record/k.mp4", "GET /bucket-1/k.mp4"),
            ("KD0123456789ABCDEF: jiangsu.", "ak-1: account-1."),
            ("{\"who\":\"boss \\\"x\\\"\"}", "{\"who\":\"user-1\"}"),
            ("http://store.example.cn:9000/", "http://host-1:9000/"),
            ("from 10.1.2.3:4711, 10.1.2.4 and 10.1.2.3", "from address-1:4711, address-2 and address-1"),
            ("[2001:db8::7]:80 127.0.0.1:9 0.0.0.0 ::1", "[address-3]:80 127.0.0.1:9 0.0.0.0 ::1"),
            ("kandian::world::ballast: engine::a", "kandian::world::ballast: engine::account-3"),
            ("[::ffff:10.1.2.3]:80 [::ffff:127.0.0.1]:80", "[address-1]:80 [::ffff:127.0.0.1]:80"),
            ("at 09:12:13 version 1.2.3", "at 09:12:13 version 1.2.3"),
        ] {
            assert_eq!(names.apply(text), wanted);
        }
    }
}
