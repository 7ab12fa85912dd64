//! XML as far as SOAP needs it: one element after the other, within limits, iteratively.
//!
//! A DOCTYPE is refused before any entity is looked at; nothing is ever fetched.

use std::borrow::Cow;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{NamespaceResolver, ResolveResult};
use quick_xml::reader::Reader;

use crate::domain::limits;
use crate::domain::object::is_xml_char;

/// Why the text is no XML that we read. Never repeats input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotXml(pub &'static str);

const MALFORMED: NotXml = NotXml("the document is not well-formed XML");

/// What comes next.
#[derive(Debug)]
pub enum Token<'a> {
    /// An element begins.
    Open(Tag),
    /// Text inside an element: CDATA and references are text.
    Text(Cow<'a, str>),
    /// The innermost element ends.
    Close,
}

/// The beginning of an element.
#[derive(Debug)]
pub struct Tag {
    /// Local name.
    pub name: String,
    /// Namespace; `None` where it is in none.
    pub namespace: Option<String>,
    /// Attributes but namespace declarations.
    pub attributes: Vec<Attribute>,
}

/// An attribute.
#[derive(Debug)]
pub struct Attribute {
    /// Local name.
    pub name: String,
    /// Prefix as written; empty for none.
    pub prefix: String,
    /// Namespace of the prefix; `None` where there is none.
    pub namespace: Option<String>,
    /// Value, references resolved.
    pub value: String,
}

/// Walks through a document.
pub struct Walker<'a> {
    reader: Reader<&'a [u8]>,
    resolver: NamespaceResolver,
    depth: usize,
    /// Something other than white space has been seen.
    begun: bool,
    root_seen: bool,
}

impl<'a> Walker<'a> {
    /// Before the first element of `text`.
    pub fn new(text: &'a str) -> Self {
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        Self { reader, resolver: NamespaceResolver::default(), depth: 0, begun: false, root_seen: false }
    }

    /// The next token; `None` at the end of a document that is whole.
    pub fn next(&mut self) -> Result<Option<Token<'a>>, NotXml> {
        loop {
            let event = self.reader.read_event().map_err(|_| MALFORMED)?;
            let begun = std::mem::replace(&mut self.begun, true);
            match event {
                Event::Start(start) => return self.open(&start).map(|tag| Some(Token::Open(tag))),
                Event::Empty(_) => return Err(MALFORMED),
                Event::End(_) => {
                    self.depth = self.depth.checked_sub(1).ok_or(MALFORMED)?;
                    self.resolver.pop();
                    return Ok(Some(Token::Close));
                }
                Event::Text(text) => {
                    let text = xml_chars(text.into_inner())?;
                    if self.depth > 0 {
                        return Ok(Some(Token::Text(ends_of_lines(text))));
                    }
                    if !super::trim(&text).is_empty() {
                        return Err(MALFORMED);
                    }
                    self.begun = begun;
                }
                Event::CData(text) if self.depth > 0 => {
                    return Ok(Some(Token::Text(ends_of_lines(xml_chars(text.into_inner())?))));
                }
                Event::GeneralRef(reference) if self.depth > 0 => {
                    let character = match reference.resolve_char_ref().map_err(|_| MALFORMED)? {
                        Some(character) if is_xml_char(character) => character,
                        Some(_) => return Err(MALFORMED),
                        None => predefined(&reference)?,
                    };
                    return Ok(Some(Token::Text(Cow::Owned(character.to_string()))));
                }
                Event::CData(_) | Event::GeneralRef(_) => return Err(MALFORMED),
                Event::Decl(_) if begun => return Err(MALFORMED),
                Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
                Event::DocType(_) => return Err(NotXml("a DOCTYPE is not accepted")),
                Event::Eof if self.depth == 0 && self.root_seen => return Ok(None),
                Event::Eof => return Err(NotXml("the document is empty or ends early")),
            }
        }
    }

    /// Goes past the end of the element that was just opened.
    pub fn skip(&mut self) -> Result<(), NotXml> {
        let outside = self.depth.saturating_sub(1);
        while self.depth > outside {
            self.next()?;
        }
        Ok(())
    }

    fn open(&mut self, start: &BytesStart<'_>) -> Result<Tag, NotXml> {
        if self.depth == 0 && self.root_seen {
            return Err(MALFORMED);
        }
        self.root_seen = true;
        self.depth += 1;
        if self.depth > limits::XML_DEPTH_MAX {
            return Err(NotXml("elements are nested too deeply"));
        }
        // Counted without the check for doubles, which is quadratic.
        if start.attributes().with_checks(false).take(limits::XML_ATTRIBUTES_MAX + 1).count()
            > limits::XML_ATTRIBUTES_MAX
        {
            return Err(NotXml("an element has too many attributes"));
        }
        self.resolver.push(start).map_err(|_| MALFORMED)?;
        let (namespace, name) = self.resolver.resolve_element(start.name());
        // Attributes are as good as ignored; an element in no known namespace at all is no XML that
        // any other parser would read.
        if matches!(namespace, ResolveResult::Unknown(_)) {
            return Err(NotXml("an element's prefix is not declared"));
        }
        let (namespace, name) = (bound(&namespace), name.into_inner().to_owned());
        if name.is_empty() {
            return Err(MALFORMED);
        }
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|_| MALFORMED)?;
            if attribute.key.as_namespace_binding().is_some() {
                continue;
            }
            let (namespace, name) = self.resolver.resolve_attribute(attribute.key);
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|_| MALFORMED)?;
            attributes.push(Attribute {
                name: name.into_inner().to_owned(),
                prefix: attribute.key.prefix().map(|p| p.into_inner().to_owned()).unwrap_or_default(),
                namespace: bound(&namespace),
                value: value.into_owned(),
            });
        }
        Ok(Tag { name, namespace, attributes })
    }
}

fn bound(namespace: &ResolveResult<'_>) -> Option<String> {
    match namespace {
        ResolveResult::Bound(namespace) => Some(namespace.into_inner().to_owned()),
        ResolveResult::Unbound | ResolveResult::Unknown(_) => None,
    }
}

fn predefined(name: &str) -> Result<char, NotXml> {
    match name {
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "amp" => Ok('&'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => Err(NotXml("an entity is used that XML does not have")),
    }
}

fn xml_chars(text: Cow<'_, str>) -> Result<Cow<'_, str>, NotXml> {
    if text.chars().all(is_xml_char) { Ok(text) } else { Err(MALFORMED) }
}

/// XML 1.0, 2.11: CR LF and CR are LF, where they are not written as references.
fn ends_of_lines(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains('\r') { Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn walk(text: &str) -> Result<String, NotXml> {
        let (mut walker, mut out) = (Walker::new(text), String::new());
        while let Some(token) = walker.next()? {
            match token {
                Token::Open(tag) => out.push_str(&format!("<{}>", tag.name)),
                Token::Text(text) => out.push_str(&text),
                Token::Close => out.push_str("</>"),
            }
        }
        Ok(out)
    }

    #[test]
    fn cdata_and_references_are_text() {
        let text = " <?xml version='1.0'?><!-- c --><a>1&lt;<![CDATA[<&]]>&#x4e2d;&#25991;<?pi x?><!--c-->\r\n&#13;</a> \n<!-- after -->";
        assert_eq!(walk(text).as_deref(), Ok("<a>1<<&中文\n\r</>"));
    }

    #[test]
    fn a_doctype_is_refused_wherever_it_stands_and_however_it_is_written() {
        for text in ["<!DOCTYPE a><a/>", "<!doctype a [<!ENTITY x 'y'>]><a>&x;</a>", "<a><!DOCTYPE a></a>"] {
            assert_eq!(walk(text), Err(NotXml("a DOCTYPE is not accepted")), "{text}");
        }
        assert!(walk("<!DOCTYPE a [<!ENTITY").is_err());
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for text in [
            "",
            " ",
            "x",
            "<a>",
            "<a></b>",
            "</a>",
            "<a/><b/>",
            "<a/>x",
            "<a b=c/>",
            "<a b='1' b='2'/>",
            "<a>&</a>",
            "<a>&nope;</a>",
            "<a>\u{1}</a>",
            "<a>&#1;</a>",
            "<a>&#x110000;</a>",
            "<a/><?xml version='1.0'?>",
            "<>x</>",
            "<a",
            "{\"a\":1}",
            "<a>&lt</a>",
        ] {
            assert!(walk(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn depth_and_attributes_are_limited() {
        let nested = |n: usize| format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
        assert!(walk(&nested(64)).is_ok());
        assert_eq!(walk(&nested(65)), Err(NotXml("elements are nested too deeply")));
        assert!(walk(&nested(100_000)).is_err());
        let attributes = |n: usize| format!("<a {}/>", (0..n).map(|i| format!("b{i}='' ")).collect::<String>());
        assert!(walk(&attributes(64)).is_ok());
        assert_eq!(walk(&attributes(65)), Err(NotXml("an element has too many attributes")));
        assert!(walk(&attributes(50_000)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,200}") {
            let _ = walk(&text);
        }

        #[test]
        fn nothing_like_xml_makes_it_panic(text in "[<>/a:=\"' &;!\\[\\]?x#1-]{0,80}") {
            let _ = walk(&text);
        }
    }
}
