//! `multipart/form-data`, as S3's POST and the portals take it. The first line is the Content-Type, the rest the body.

use kandian::wire::form::{BadForm, Form, Piece};

/// What a form came to: its fields, its file, whether that was whole.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Read {
    fields: Vec<(String, String)>,
    name: Option<String>,
    file: Vec<u8>,
    whole: bool,
}

/// Reads a form in one piece, in two, byte by byte; then writes what was in it as a form and reads that.
pub fn run(data: &[u8]) {
    let (line, body) =
        data.iter().position(|b| *b == b'\n').map_or((data, &[][..]), |at| (&data[..at], &data[at + 1..]));
    let content_type = String::from_utf8_lossy(line);
    let Some(whole) = read(&content_type, body, body.len()) else { return };
    for size in [1, 7, body.len() / 2] {
        assert_eq!(read(&content_type, body, size), Some(whole.clone()), "pieces of {size}");
    }
    let Ok(whole) = whole else { return };
    let bytes: usize = whole.fields.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!(bytes <= 20 << 10 && whole.fields.len() <= 200 && bytes + whole.file.len() <= body.len());
    if whole.whole {
        again(&whole);
    }
}

/// `None`: the Content-Type is of no form.
fn read(content_type: &str, body: &[u8], size: usize) -> Option<Result<Read, BadForm>> {
    let mut form = Form::new(content_type)?;
    let mut out = Read { fields: Vec::new(), name: None, file: Vec::new(), whole: false };
    for piece in body.chunks(size.max(1)) {
        form.push(piece);
        loop {
            match form.piece() {
                Ok(None) => break,
                Ok(Some(Piece::Field(name, value))) => {
                    assert!(out.name.is_none(), "a field behind the file");
                    out.fields.push((name, value));
                }
                Ok(Some(Piece::File(name))) => assert!(out.name.replace(name).is_none(), "two files"),
                Ok(Some(Piece::Data(data))) => {
                    assert!(out.name.is_some() && !out.whole && !data.is_empty());
                    out.file.extend_from_slice(&data);
                }
                Ok(Some(Piece::End)) => out.whole = true,
                Err(bad) => return Some(Err(bad)),
            }
        }
    }
    Some(Ok(out))
}

fn again(form: &Read) {
    let simple = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_. ".contains(&b));
    let boundary = "----7d81b516112482";
    let marked = |bytes: &[u8]| bytes.windows(boundary.len()).any(|window| window == boundary.as_bytes());
    let mut body = Vec::new();
    for (name, value) in &form.fields {
        if !simple(name) || name.trim() != name || name.eq_ignore_ascii_case("file") || marked(value.as_bytes()) {
            return;
        }
        let head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(value.as_bytes());
        body.extend_from_slice(b"\r\n");
    }
    if marked(&form.file) {
        return;
    }
    let head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.ts\"\r\n\r\n");
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(&form.file);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    let got =
        read(&format!("multipart/form-data; boundary={boundary}"), &body, 1000).expect("a form").expect("well-formed");
    assert_eq!((&got.fields, &got.file, got.whole), (&form.fields, &form.file, true));
    assert_eq!(got.name.as_deref(), Some("a.ts"));
}
