//! Requests to the SOAP plane, whole: the first line is the Content-Type (`-`: none), the rest the body.

use axum::body::Body;
use http::{HeaderValue, Request};
use kandian::wire::soap::envelope;

use super::shop::{PASSWORD, inside};

/// Calls, and looks at the answer.
pub fn run(data: &[u8]) {
    inside(false, async |shop| {
        let input = shop.fill(data);
        let at = input.iter().position(|b| *b == b'\n').unwrap_or(input.len());
        let (line, body) = (&input[..at], input.get(at + 1..).unwrap_or_default());
        let mut request = Request::post("/services/VideoCloudStorage").header("host", "soap.test:9001");
        request = request.header("content-length", body.len());
        if let (false, Ok(kind)) = (line == b"-", HeaderValue::from_bytes(line)) {
            request = request.header("content-type", kind);
        }
        let answer = shop.ask(&shop.soap, request.body(Body::from(body.to_vec())).expect("a request")).await;
        let text = String::from_utf8(answer.body.expect("it is whole")).expect("answers are UTF-8");
        let status = answer.head.status.as_u16();
        assert!(matches!(status, 200 | 400 | 413 | 415 | 500), "{status}: {text}");
        assert!(!text.contains("the appliance failed"), "{text}");
        assert!(text.len() < 256 << 10, "an answer of {} bytes", text.len());
        assert!(!text.contains(PASSWORD), "{text}");
        if matches!(status, 413 | 415) {
            return;
        }
        let kind = answer.head.headers.get("content-type").and_then(|kind| kind.to_str().ok());
        let read = envelope::read(text.as_bytes(), kind).expect("our own answer");
        // 500 is SOAP 1.1's status for every Fault.
        assert_eq!(read.operation == "Fault", status != 200, "{text}");
        if status == 200 {
            let result = read.fields.int("Result", 0..=6).expect("each answer has one");
            let knows = String::from_utf8_lossy(data).contains("PASSWORD");
            assert!(knows || result != 0, "done for who does not know the password: {text}");
        }
    });
}
