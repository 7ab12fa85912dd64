//! The Envelope of a request: its version, its headers, the one element in its Body. Contract, section 5.

use super::charset;
use super::fields::{Field, Fields};
use super::xml::{NotXml, Tag, Token, Walker};
use super::{Fault, FaultCode, Version};

/// A request as it was understood.
#[derive(Debug)]
pub struct Request {
    /// The version to answer in.
    pub version: Version,
    /// Local name of the Body's element.
    pub operation: String,
    /// Its parameters.
    pub fields: Fields,
}

/// A request that cannot be read, and the version to say so in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The Envelope's, or while unknown the Content-Type's.
    pub version: Version,
    /// What to say.
    pub fault: Fault,
}

/// Parameters of one operation that are looked at; more is no call of ours.
const PARAMETERS_MAX: usize = 1024;

/// Reads a request, whatever its character set.
pub fn read(body: &[u8], content_type: Option<&str>) -> Result<Request, Unreadable> {
    let guess = Version::by_content_type(content_type);
    let text = charset::decode(body, content_type)
        .map_err(|why| Unreadable { version: guess, fault: Fault::client(why.to_string()) })?;
    let mut walker = Walker::new(&text);
    let root = match root(&mut walker) {
        Ok(root) => root,
        Err(fault) => return Err(Unreadable { version: guess, fault }),
    };
    let version = match &root.namespace {
        None => guess,
        Some(namespace) => Version::by_namespace(namespace).ok_or_else(|| Unreadable {
            version: guess,
            fault: Fault {
                code: FaultCode::VersionMismatch,
                text: "the Envelope is neither of SOAP 1.1 nor of SOAP 1.2".into(),
            },
        })?,
    };
    match parts(&mut walker) {
        Ok((operation, fields)) => Ok(Request { version, operation, fields }),
        Err(fault) => Err(Unreadable { version, fault }),
    }
}

fn root(walker: &mut Walker<'_>) -> Result<Tag, Fault> {
    match walker.next()? {
        Some(Token::Open(tag)) if tag.name == "Envelope" => Ok(tag),
        Some(_) | None => Err(Fault::client("the document is not a SOAP Envelope")),
    }
}

/// Goes through the Envelope to the end of the document, so that what is cut is never acted upon.
fn parts(walker: &mut Walker<'_>) -> Result<(String, Fields), Fault> {
    let mut not_understood = false;
    let mut body = None;
    while let Some(token) = walker.next()? {
        match token {
            Token::Open(tag) if tag.name == "Header" && body.is_none() => not_understood |= headers(walker)?,
            Token::Open(tag) if tag.name == "Body" => {
                if body.is_some() {
                    return Err(Fault::client("there are two Bodies"));
                }
                body = Some(operation(walker)?);
            }
            Token::Open(_) => walker.skip()?,
            Token::Text(_) | Token::Close => {}
        }
    }
    if not_understood {
        let text = "a header with mustUnderstand is not understood".into();
        return Err(Fault { code: FaultCode::MustUnderstand, text });
    }
    body.ok_or_else(|| Fault::client("there is no Body"))?.ok_or_else(|| Fault::client("the Body is empty"))
}

/// Whether a header block has to be understood by us: none is.
fn headers(walker: &mut Walker<'_>) -> Result<bool, NotXml> {
    let mut not_understood = false;
    loop {
        match walker.next()? {
            Some(Token::Open(tag)) => {
                not_understood |= must_understand(&tag);
                walker.skip()?;
            }
            Some(Token::Text(_)) => {}
            Some(Token::Close) | None => return Ok(not_understood),
        }
    }
}

fn must_understand(header: &Tag) -> bool {
    let soap = |name: &str| {
        header.attributes.iter().find(|a| {
            let of_soap = match &a.namespace {
                Some(namespace) => Version::by_namespace(namespace).is_some(),
                None => false,
            };
            a.name == name && of_soap
        })
    };
    let must = soap("mustUnderstand").is_some_and(|a| matches!(super::trim(&a.value), "1" | "true"));
    let for_us = match soap("actor").or_else(|| soap("role")) {
        None => true,
        Some(role) => matches!(
            super::trim(&role.value),
            "" | "http://schemas.xmlsoap.org/soap/actor/next"
                | "http://www.w3.org/2003/05/soap-envelope/role/next"
                | "http://www.w3.org/2003/05/soap-envelope/role/ultimateReceiver"
        ),
    };
    must && for_us
}

/// The one element in Body; `None` where there is none. The referenced values of rpc/encoded callers may stand after it.
fn operation(walker: &mut Walker<'_>) -> Result<Option<(String, Fields)>, Fault> {
    let mut found = None;
    loop {
        match walker.next()? {
            Some(Token::Open(tag)) if found.is_none() => found = Some((tag.name, parameters(walker)?)),
            Some(Token::Open(tag)) if tag.name == "multiRef" => walker.skip()?,
            Some(Token::Open(_)) => return Err(Fault::client("the Body has more than one element")),
            Some(Token::Text(_)) => {}
            Some(Token::Close) | None => return Ok(found),
        }
    }
}

fn parameters(walker: &mut Walker<'_>) -> Result<Fields, Fault> {
    let mut fields = Vec::new();
    loop {
        match walker.next()? {
            Some(Token::Open(_)) if fields.len() == PARAMETERS_MAX => {
                return Err(Fault::client("there are too many parameters"));
            }
            Some(Token::Open(tag)) => fields.push(parameter(walker, tag)?),
            Some(Token::Text(_)) => {}
            Some(Token::Close) | None => return Ok(Fields::new(fields)),
        }
    }
}

fn parameter(walker: &mut Walker<'_>, tag: Tag) -> Result<Field, NotXml> {
    let nil = tag.attributes.iter().any(is_nil);
    let reference = tag.attributes.iter().any(|a| a.name == "href" && a.value.starts_with('#'));
    let mut field = Field { name: tag.name, value: String::new(), nil, reference, elements: false };
    loop {
        match walker.next()? {
            Some(Token::Open(_)) => {
                field.elements = true;
                walker.skip()?;
            }
            Some(Token::Text(text)) => field.value.push_str(&text),
            Some(Token::Close) | None => return Ok(field),
        }
    }
}

fn is_nil(attribute: &super::xml::Attribute) -> bool {
    let of_instance = match &attribute.namespace {
        Some(namespace) => namespace == "http://www.w3.org/2001/XMLSchema-instance",
        // A string put together by hand, its declaration forgotten.
        None => attribute.prefix == "xsi",
    };
    of_instance && attribute.name == "nil" && matches!(super::trim(&attribute.value), "1" | "true")
}

impl From<NotXml> for Fault {
    fn from(why: NotXml) -> Self {
        Self::client(why.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NS11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
    const NS12: &str = "http://www.w3.org/2003/05/soap-envelope";

    fn envelope(namespace: &str, inside: &str) -> String {
        format!("<s:Envelope xmlns:s=\"{namespace}\">{inside}</s:Envelope>")
    }

    fn body(inside: &str) -> String {
        envelope(NS11, &format!("<s:Body>{inside}</s:Body>"))
    }

    fn read_text(text: &str) -> Result<Request, Unreadable> {
        read(text.as_bytes(), Some("text/xml; charset=utf-8"))
    }

    fn fault(text: &str) -> (FaultCode, String) {
        let fault = read_text(text).expect_err("a fault").fault;
        (fault.code, fault.text.into_owned())
    }

    #[test]
    fn the_version_is_that_of_the_envelope_else_of_the_content_type() {
        let soap12 = Some("application/soap+xml; charset=utf-8");
        for (namespace, content_type, version) in [
            (NS11, None, Version::Soap11),
            (NS11, soap12, Version::Soap11),
            (NS12, None, Version::Soap12),
            (NS12, Some("text/xml"), Version::Soap12),
            (NS12, Some("application/x-www-form-urlencoded"), Version::Soap12),
        ] {
            let text = envelope(namespace, "<s:Body><X/></s:Body>");
            assert_eq!(read(text.as_bytes(), content_type).expect("read").version, version, "{namespace}");
        }
        let bare = "<Envelope><Body><X/></Body></Envelope>";
        assert_eq!(read(bare.as_bytes(), None).expect("read").version, Version::Soap11);
        assert_eq!(read(bare.as_bytes(), soap12).expect("read").version, Version::Soap12);
        assert_eq!(fault("<S:Envelope><S:Body><X/></S:Body></S:Envelope>").0, FaultCode::Client, "undeclared");
    }

    #[test]
    fn an_envelope_of_another_version_is_a_mismatch() {
        let text = envelope("http://schemas.xmlsoap.org/soap/envelope/2", "<s:Body><X/></s:Body>");
        assert_eq!(fault(&text).0, FaultCode::VersionMismatch);
        let unreadable = read(text.as_bytes(), Some("application/soap+xml")).expect_err("a fault");
        assert_eq!(unreadable.version, Version::Soap12);
    }

    #[test]
    fn a_header_that_must_be_understood_is_not() {
        let with = |header: &str| envelope(NS11, &format!("<s:Header>{header}</s:Header><s:Body><X/></s:Body>"));
        for header in [
            "<h s:mustUnderstand='1'/>",
            "<h s:mustUnderstand='true'><deep/></h>",
            "<a/><h s:mustUnderstand='1' s:actor=''/>",
            "<h s:mustUnderstand='1' s:actor='http://schemas.xmlsoap.org/soap/actor/next'/>",
        ] {
            assert_eq!(fault(&with(header)).0, FaultCode::MustUnderstand, "{header}");
        }
        for header in [
            "",
            "<h/>",
            "<h s:mustUnderstand='0'/>",
            "<h mustUnderstand='1'/>",
            "<h><inner s:mustUnderstand='1'/></h>",
            "<h s:mustUnderstand='1' s:actor='http://example.com/other'/>",
        ] {
            assert!(read_text(&with(header)).is_ok(), "{header}");
        }
    }

    #[test]
    fn the_operation_is_the_one_element_in_the_body() {
        let request = read_text(&body(" <!-- c --><q:Do xmlns:q='urn:any'><q:A>1</q:A><B/></q:Do>\n")).expect("read");
        assert_eq!(request.operation, "Do");
        assert_eq!(fault(&body("")).1, "the Body is empty");
        assert_eq!(fault(&body("<A/><B/>")).1, "the Body has more than one element");
        assert!(read_text(&body("<A/><multiRef id='id0'>1</multiRef>")).is_ok());
        assert_eq!(fault(&envelope(NS11, "")).1, "there is no Body");
        assert_eq!(fault(&envelope(NS11, "<s:Body><A/></s:Body><s:Body><A/></s:Body>")).1, "there are two Bodies");
        assert_eq!(fault("<html/>").1, "the document is not a SOAP Envelope");
    }

    #[test]
    fn values_are_text_however_they_are_written() {
        let request =
            read_text(&body("<Do a='1'><A x='y'>1<![CDATA[<2>]]>&amp;<!-- c -->3<?pi?></A></Do>")).expect("read");
        assert_eq!(request.fields.text("A").expect("readable"), Some("1<2>&3"));
    }

    #[test]
    fn a_document_that_is_cut_is_never_acted_upon() {
        let whole = body("<Do><A>1</A></Do>");
        assert!(read_text(&whole).is_ok());
        for end in 0..whole.len() {
            assert!(read_text(&whole[..end]).is_err(), "{end}");
        }
        assert!(read_text(&format!("{whole}\r\n ")).is_ok());
        assert!(read_text(&format!("{whole}<x/>")).is_err());
    }

    #[test]
    fn character_sets_come_from_bom_header_declaration() {
        let text = format!("<?xml version='1.0' encoding='GBK'?>{}", body("<Do><A>江苏</A></Do>"));
        let gbk = encoding_rs::GB18030.encode(&text).0;
        for header in [None, Some("text/xml"), Some("text/xml; charset=utf-8"), Some("text/xml; charset=GB2312")] {
            let request = read(&gbk, header).expect("read");
            assert_eq!(request.fields.text("A").expect("readable"), Some("江苏"), "{header:?}");
        }
        let mut utf16 = vec![0xff, 0xfe];
        utf16.extend(body("<Do><A>江苏</A></Do>").encode_utf16().flat_map(u16::to_le_bytes));
        assert_eq!(read(&utf16, None).expect("read").fields.text("A").expect("readable"), Some("江苏"));
        let lie = encoding_rs::GB18030.encode(&body("<Do><A>江苏</A></Do>")).0.into_owned();
        assert_eq!(read(&lie, None).expect_err("a fault").fault.code, FaultCode::Client);
    }

    #[test]
    fn a_thousand_parameters_are_enough() {
        assert!(read_text(&body(&format!("<Do>{}</Do>", "<a/>".repeat(1024)))).is_ok());
        assert_eq!(fault(&body(&format!("<Do>{}</Do>", "<a/>".repeat(1025)))).1, "there are too many parameters");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = read(&bytes, None);
        }

        #[test]
        fn a_broken_envelope_never_panics(at in 0usize..400, with: u8) {
            let mut bytes = body("<Do><A>1</A><B xsi:nil='1'/></Do>").into_bytes();
            let at = at % bytes.len();
            bytes[at] = with;
            let _ = read(&bytes, Some("text/xml"));
        }
    }
}
