//! Answers and faults as the contract's section 3 writes them: no white space between tags, one default namespace, every field.

use std::fmt::Write;

use super::{Fault, Version};
use crate::domain::object::is_xml_char;

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `xs:int` or `xs:long`.
    Int(i64),
    /// `xs:string`.
    Text(String),
    /// A wrapper element with so many elements of one name.
    List {
        /// Name of each.
        item: &'static str,
        /// The fields of each.
        rows: Vec<Vec<(&'static str, Value)>>,
    },
}

/// An answer in UTF-8: `wrapper` in `namespace`, its fields in order.
pub fn answer(version: Version, namespace: &str, wrapper: &str, fields: &[(&'static str, Value)]) -> String {
    envelope(version, "UTF-8", |out| {
        let _ = write!(out, "<{wrapper} xmlns=\"{}\">", Escaped(namespace, true));
        write_fields(out, fields);
        let _ = write!(out, "</{wrapper}>");
    })
}

/// A fault in UTF-8.
pub fn fault(version: Version, fault: &Fault) -> String {
    let (code, text) = (fault.code.name(version), Escaped(&fault.text, false));
    envelope(version, "UTF-8", |out| {
        let _ = match version {
            Version::Soap11 => write!(
                out,
                "<soap:Fault><faultcode>soap:{code}</faultcode><faultstring>{text}</faultstring></soap:Fault>"
            ),
            Version::Soap12 => write!(
                out,
                "<soap:Fault><soap:Code><soap:Value>soap:{code}</soap:Value></soap:Code>\
                 <soap:Reason><soap:Text xml:lang=\"en\">{text}</soap:Text></soap:Reason></soap:Fault>"
            ),
        };
    })
}

/// An Envelope with this inside its Body. (Writing into a `String` cannot fail.)
pub(super) fn envelope(version: Version, encoding: &str, inside: impl FnOnce(&mut String)) -> String {
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"{encoding}\"?><soap:Envelope xmlns:soap=\"{}\"><soap:Body>",
        version.namespace()
    );
    inside(&mut out);
    out.push_str("</soap:Body></soap:Envelope>");
    out
}

/// Recursion goes as deep as the answer's type: a list has rows, rows have no lists.
fn write_fields(out: &mut String, fields: &[(&'static str, Value)]) {
    for (name, value) in fields {
        let _ = match value {
            Value::Int(number) => write!(out, "<{name}>{number}</{name}>"),
            Value::Text(text) => write!(out, "<{name}>{}</{name}>", Escaped(text, false)),
            Value::List { item, rows } => {
                let _ = write!(out, "<{name}>");
                for row in rows {
                    let _ = write!(out, "<{item}>");
                    write_fields(out, row);
                    let _ = write!(out, "</{item}>");
                }
                write!(out, "</{name}>")
            }
        };
    }
}

/// Text with what XML needs escaped, CR, LF and TAB as references; the flag says that it stands in quotation marks.
pub struct Escaped<'a>(pub &'a str, pub bool);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' if self.1 => f.write_str("&quot;")?,
                '\r' => f.write_str("&#13;")?,
                '\n' => f.write_str("&#10;")?,
                '\t' => f.write_str("&#9;")?,
                // Refused where they come in; a document that nobody can read would be worse than a wrong character.
                c if !is_xml_char(c) => f.write_char(char::REPLACEMENT_CHARACTER)?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_answer_is_written_as_the_contract_shows_it() {
        let fields = [("Result", Value::Int(0)), ("TotalSpace", Value::Int(100)), ("FreeSpace", Value::Int(98))];
        assert_eq!(
            answer(Version::Soap11, crate::wire::soap::STORAGE_NAMESPACE, "QueryUserSpaceResponse", &fields),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body><QueryUserSpaceResponse xmlns=\"urn:sjkd:video-cloud-storage:v1_2\"><Result>0</Result><TotalSpace>100</TotalSpace><FreeSpace>98</FreeSpace></QueryUserSpaceResponse></soap:Body></soap:Envelope>"
        );
    }

    #[test]
    fn a_fault_is_written_in_the_version_of_the_request() {
        let why = Fault::client("StorageSpace is not an int");
        assert_eq!(
            fault(Version::Soap11, &why),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body><soap:Fault><faultcode>soap:Client</faultcode><faultstring>StorageSpace is not an int</faultstring></soap:Fault></soap:Body></soap:Envelope>"
        );
        assert_eq!(
            fault(Version::Soap12, &why),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soap:Envelope xmlns:soap=\"http://www.w3.org/2003/05/soap-envelope\"><soap:Body><soap:Fault><soap:Code><soap:Value>soap:Sender</soap:Value></soap:Code><soap:Reason><soap:Text xml:lang=\"en\">StorageSpace is not an int</soap:Text></soap:Reason></soap:Fault></soap:Body></soap:Envelope>"
        );
    }

    #[test]
    fn ends_of_lines_survive_as_references() {
        assert_eq!(Escaped("a\r\n\tb<&>\"'\u{1}", false).to_string(), "a&#13;&#10;&#9;b&lt;&amp;&gt;\"'\u{fffd}");
        assert_eq!(Escaped("\"", true).to_string(), "&quot;");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(text in "(\\PC|[\r\n\t]){0,60}") {
            let text: String = text.chars().filter(|&c| is_xml_char(c)).collect();
            let written = answer(Version::Soap12, "urn:x", "Do", &[("A", Value::Text(text.clone()))]);
            let read = crate::wire::soap::envelope::read(written.as_bytes(), None).expect("our own");
            prop_assert_eq!(read.fields.raw("A").expect("once").unwrap_or_default(), text);
        }
    }
}
