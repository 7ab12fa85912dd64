//! A SOAP request in any character set. The first line is its Content-Type (`-`: none), the rest its body.

use kandian::wire::soap::{Fault, FaultCode, Request, Unreadable, Value, Version, charset, envelope, fields, write};

/// The parameters of the nine operations.
const NAMES: [&str; 22] = [
    "Account",
    "Password",
    "S3AK",
    "S3SK",
    "StorageSpace",
    "StorageMode",
    "Type",
    "StartTime",
    "EndTime",
    "PageNumber",
    "PageSize",
    "PageIndex",
    "FileName",
    "LockFlag",
    "FileURL",
    "SpacePolicy",
    "BeginTime",
    "PageNo",
    "OverWrite",
    "AlarmURL",
    "A",
    "B",
];

/// Reads the request in the character set that it says, and its text in every other.
pub fn run(data: &[u8]) {
    let (line, body) =
        data.iter().position(|b| *b == b'\n').map_or((data, &[][..]), |at| (&data[..at], &data[at + 1..]));
    let content_type = std::str::from_utf8(line).ok().filter(|line| *line != "-");
    let read = envelope::read(body, content_type);
    if let Err(unreadable) = &read {
        answerable(unreadable);
    }
    let Ok(text) = charset::decode(body, content_type) else {
        assert!(read.is_err());
        return;
    };
    // A mark at the beginning of a text is its byte order's.
    if !text.starts_with('\u{feff}') {
        for (content_type, bytes) in in_every_character_set(&text, content_type) {
            assert_eq!(charset::decode(&bytes, content_type.as_deref()).as_deref(), Ok(&*text), "{content_type:?}");
            alike(&read, &envelope::read(&bytes, content_type.as_deref()));
        }
    }
    if let Ok(request) = &read {
        fields_are_in_range(request);
    }
    echoed(&text);
}

/// The text by byte order marks and by name; each with the media type of before, which says the version.
fn in_every_character_set(text: &str, content_type: Option<&str>) -> Vec<(Option<String>, Vec<u8>)> {
    let media =
        content_type.and_then(|t| t.split(';').next()).filter(|media| !media.contains('=')).unwrap_or("text/xml");
    let named = |charset: &str| Some(format!("{media}; charset={charset}"));
    let utf16 = |little: bool| -> Vec<u8> {
        text.encode_utf16().flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
    };
    let marked = [
        (named("gbk"), [b"\xef\xbb\xbf", text.as_bytes()].concat()),
        (named("utf-8"), [&b"\xff\xfe"[..], &utf16(true)].concat()),
        (named("utf-8"), [&b"\xfe\xff"[..], &utf16(false)].concat()),
    ];
    let mut all = vec![
        (named("utf-16le"), utf16(true)),
        (named("UTF-16BE"), utf16(false)),
        (named("utf-8"), text.as_bytes().to_vec()),
    ];
    // Not every character of Unicode has a way there and back in GB18030 of 2005.
    let (gb, _, lossy) = encoding_rs::GB18030.encode(text);
    let back = encoding_rs::GB18030.decode_without_bom_handling_and_without_replacement(&gb);
    if !lossy && back.as_deref() == Some(text) {
        all.push((named("GB18030"), gb.to_vec()));
    }
    // Bytes that begin as a mark are read by it, whatever is said of them.
    all.retain(|(_, bytes)| encoding_rs::Encoding::for_bom(bytes).is_none());
    all.extend(marked);
    all
}

fn alike(a: &Result<Request, Unreadable>, b: &Result<Request, Unreadable>) {
    match (a, b) {
        (Ok(a), Ok(b)) => {
            assert_eq!((a.version, &a.operation), (b.version, &b.operation));
            for name in NAMES {
                assert_eq!((a.fields.text(name), a.fields.raw(name)), (b.fields.text(name), b.fields.raw(name)));
            }
        }
        (Err(a), Err(b)) => assert_eq!(a.fault, b.fault),
        (a, b) => panic!("{a:?} in one character set, {b:?} in another"),
    }
}

fn fields_are_in_range(request: &Request) {
    assert!(!request.operation.is_empty());
    for name in NAMES {
        if let Ok(Some(number)) = request.fields.optional_int(name, -5..=100) {
            assert!((-5..=100).contains(&number));
            let text = request.fields.text(name).expect("it was read").expect("it is there");
            assert_eq!(fields::int(text), Some(number));
        }
        if let Ok(Some(text)) = request.fields.text(name) {
            assert_eq!(text, text.trim_matches([' ', '\t', '\r', '\n']));
        }
    }
}

/// A fault names a version, fits into a line, and says nothing of the request.
fn answerable(unreadable: &Unreadable) {
    assert!(unreadable.fault.text.len() < 200, "{unreadable:?}");
    assert_ne!(unreadable.fault.code, FaultCode::Server);
    let text = write::fault(unreadable.version, &unreadable.fault);
    let read = envelope::read(text.as_bytes(), Some(unreadable.version.content_type())).expect("our own fault");
    assert_eq!((read.version, read.operation.as_str()), (unreadable.version, "Fault"));
}

/// A text that an answer has in it is read as it was, but for what XML cannot carry.
fn echoed(text: &str) {
    let clean = text.replace(|c| !kandian::domain::object::is_xml_char(c), "\u{fffd}");
    for version in [Version::Soap11, Version::Soap12] {
        let values = [("A", Value::Text(text.to_owned())), ("B", Value::Int(-7))];
        let answer = write::answer(version, text, "DoResponse", &values);
        // Namespaces that are reserved, or empty, are no namespaces.
        if let Ok(read) = envelope::read(answer.as_bytes(), Some(version.content_type())) {
            assert_eq!(read.operation, "DoResponse");
            assert_eq!(read.fields.raw("A").expect("once"), Some(clean.as_str()).filter(|text| !text.is_empty()));
            assert_eq!(read.fields.int("B", -7..=-7), Ok(-7));
        } else {
            assert!(text.starts_with("http://www.w3.org/"), "{answer}");
        }
        let fault = write::fault(version, &Fault::client(text.to_owned()));
        assert_eq!(envelope::read(fault.as_bytes(), None).expect("our own fault").operation, "Fault");
    }
}
