use std::io::Write;

use tower::ServiceExt;

use super::*;

/// Answers with the operation's name; fails in the ways that its name asks for.
#[derive(Clone)]
struct Echo;

impl Dispatch for Echo {
    async fn take(&self, request: Request, _origin: Origin) -> (Reply, Answered) {
        match request.operation.as_str() {
            "Busy" => (Reply::Busy, UNREAD),
            "Broken" => (Reply::Fault(Fault::server("the appliance failed")), UNREAD),
            name => (Reply::Answer(format!("<did>{name}</did>")), DONE),
        }
    }
}

const DONE: Answered = Answered { operation: "Do", outcome: "0", refused: false };

const SOAP11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const SOAP12: &str = "http://www.w3.org/2003/05/soap-envelope";

fn envelope_of(namespace: &str, operation: &str) -> String {
    format!("<s:Envelope xmlns:s='{namespace}'><s:Body><{operation}/></s:Body></s:Envelope>")
}

async fn ask(method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let settings = Arc::new(SoapSettings { public_url: None, zone_minutes: 480 });
    let mut request = axum::http::Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    router(Echo, settings).oneshot(request.body(body.into()).expect("a request")).await.expect("infallible")
}

async fn post_bytes(headers: &[(&str, &str)], body: Vec<u8>) -> Response {
    let length = body.len().to_string();
    let mut all = vec![("content-length", length.as_str())];
    all.extend_from_slice(headers);
    ask("POST", STORAGE_PATH, &all, body).await
}

async fn text(response: Response) -> String {
    String::from_utf8(response.into_body().collect().await.expect("a body").to_bytes().to_vec()).expect("UTF-8")
}

fn header_of<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().expect("ASCII"))
}

#[tokio::test]
async fn an_answer_comes_in_the_version_of_the_request_whatever_the_headers_say() {
    for (namespace, answer_type) in
        [(SOAP11, "text/xml; charset=utf-8"), (SOAP12, "application/soap+xml; charset=utf-8")]
    {
        for headers in [
            &[][..],
            &[("content-type", "text/xml; charset=utf-8"), ("soapaction", "\"anything\"")],
            &[("content-type", "application/soap+xml")],
            &[("content-type", "application/x-www-form-urlencoded")],
        ] {
            let response = post_bytes(headers, envelope_of(namespace, "Do").into_bytes()).await;
            assert_eq!(response.status(), 200);
            assert_eq!(header_of(&response, "content-type"), answer_type);
            assert_eq!(text(response).await, "<did>Do</did>");
        }
    }
}

#[tokio::test]
async fn faults_have_the_status_of_their_version() {
    let response = post_bytes(&[], b"{}".to_vec()).await;
    assert_eq!((response.status().as_u16(), header_of(&response, "content-type")), (500, "text/xml; charset=utf-8"));
    assert!(text(response).await.contains("<faultcode>soap:Client</faultcode>"));
    let response = post_bytes(&[("content-type", "application/soap+xml")], b"{}".to_vec()).await;
    assert_eq!(response.status(), 400);
    assert!(text(response).await.contains("soap:Sender"));
    for (namespace, code) in [(SOAP11, "soap:Server"), (SOAP12, "soap:Receiver")] {
        let response = post_bytes(&[], envelope_of(namespace, "Broken").into_bytes()).await;
        assert_eq!(response.status(), 500);
        assert!(text(response).await.contains(code));
    }
    let response =
        post_bytes(&[("content-type", "application/soap+xml")], envelope_of("urn:soap", "Do").into_bytes()).await;
    assert_eq!(response.status(), 500);
    assert!(text(response).await.contains("soap:VersionMismatch"));
}

#[tokio::test]
async fn every_call_says_what_came_of_it_and_a_contract_is_no_call() {
    let told = |response: &Response| response.extensions().get::<Answered>().copied();
    assert_eq!(told(&post_bytes(&[], envelope_of(SOAP11, "Do").into_bytes()).await), Some(DONE));
    assert_eq!(told(&post_bytes(&[], b"{}".to_vec()).await), Some(UNREAD));
    assert_eq!(told(&post_bytes(&[("content-encoding", "br")], Vec::new()).await), Some(UNREAD));
    assert_eq!(told(&ask("GET", "/services/AlertCallback?wsdl", &[("host", "a")], Body::empty()).await), None);
}

#[tokio::test]
async fn busy_is_503_with_retry_after() {
    let response = post_bytes(&[], envelope_of(SOAP11, "Busy").into_bytes()).await;
    assert_eq!((response.status().as_u16(), header_of(&response, "retry-after")), (503, "1"));
    assert_eq!(text(response).await, "");
}

#[tokio::test]
async fn the_wsdl_is_served_in_any_case_and_by_head() {
    let host = [("host", "10.0.0.1:9001")];
    for query in ["wsdl", "WSDL", "Wsdl", "wsdl=", "x&wsdl"] {
        for method in ["GET", "HEAD"] {
            let response = ask(method, &format!("{STORAGE_PATH}?{query}"), &host, Body::empty()).await;
            assert_eq!(
                (response.status().as_u16(), header_of(&response, "content-type")),
                (200, "text/xml; charset=utf-8")
            );
        }
    }
    let response = ask("GET", "/services/VideoCloudStorage?wsdl", &host, Body::empty()).await;
    assert!(text(response).await.contains("location=\"http://10.0.0.1:9001/services/VideoCloudStorage\""));
    let response = ask("GET", "/services/AlertCallback?WSDL", &host, Body::empty()).await;
    assert!(text(response).await.contains("targetNamespace=\"urn:sjkd:alert-callback:v1_2\""));
    let response = ask("GET", "/services/VideoCloudStorage?wsdl", &[("host", "a\"b")], Body::empty()).await;
    assert_eq!(response.status(), 400);
}

#[tokio::test]
async fn what_is_not_soap_gets_its_own_status() {
    assert_eq!(ask("GET", "/", &[], Body::empty()).await.status(), 404);
    assert_eq!(ask("POST", "/services/Other", &[], Body::empty()).await.status(), 404);
    let response = ask("GET", STORAGE_PATH, &[], Body::empty()).await;
    assert_eq!((response.status().as_u16(), header_of(&response, "allow")), (405, "POST"));
    let response = ask("PUT", STORAGE_PATH, &[], Body::empty()).await;
    assert_eq!((response.status().as_u16(), header_of(&response, "allow")), (405, "GET, HEAD, POST"));
    let response = ask("POST", "/services/AlertCallback?wsdl", &[], Body::empty()).await;
    assert_eq!((response.status().as_u16(), header_of(&response, "allow")), (405, "GET, HEAD"));
    assert_eq!(ask("POST", STORAGE_PATH, &[], Body::empty()).await.status(), 411);
    for kind in ["multipart/related; boundary=x", "application/json", "Application/JSON; charset=utf-8"] {
        assert_eq!(post_bytes(&[("content-type", kind)], Vec::new()).await.status(), 415, "{kind}");
    }
    for encoding in ["deflate", "br", "gzip, gzip", "zstd"] {
        assert_eq!(post_bytes(&[("content-encoding", encoding)], Vec::new()).await.status(), 415, "{encoding}");
    }
}

#[tokio::test]
async fn a_body_has_at_most_one_mebibyte() {
    let mut body = envelope_of(SOAP11, "Do").into_bytes();
    body.resize(limits::SOAP_BODY_BYTES_MAX, b' ');
    assert_eq!(post_bytes(&[], body.clone()).await.status(), 200);
    body.push(b' ');
    assert_eq!(post_bytes(&[], body.clone()).await.status(), 413);
    let chunked = ask("POST", STORAGE_PATH, &[("transfer-encoding", "chunked")], body.clone()).await;
    assert_eq!((chunked.status().as_u16(), header_of(&chunked, "connection")), (413, "close"));
    let chunked = ask("POST", STORAGE_PATH, &[("transfer-encoding", "chunked")], envelope_of(SOAP11, "Do")).await;
    assert_eq!(chunked.status(), 200);
    let announced = [("content-length", "99999999999"), ("expect", "100-continue")];
    let never = Body::from_stream(futures_util::stream::pending::<std::io::Result<Bytes>>());
    assert_eq!(ask("POST", STORAGE_PATH, &announced, never).await.status(), 413, "before a byte of it was read");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("in memory");
    encoder.finish().expect("in memory")
}

#[tokio::test]
async fn a_packed_body_is_unpacked_within_the_same_limit() {
    let mut body = envelope_of(SOAP11, "Do").into_bytes();
    for name in ["gzip", "x-gzip", "GZIP"] {
        assert_eq!(post_bytes(&[("content-encoding", name)], gzip(&body)).await.status(), 200);
    }
    body.resize(limits::SOAP_BODY_BYTES_MAX + 1, b' ');
    assert_eq!(post_bytes(&[("content-encoding", "gzip")], gzip(&body)).await.status(), 413);
    let bomb = gzip(&vec![0; 64 << 20]);
    assert!(bomb.len() < limits::SOAP_BODY_BYTES_MAX);
    assert_eq!(post_bytes(&[("content-encoding", "gzip")], bomb).await.status(), 413);
    let response = post_bytes(&[("content-encoding", "gzip")], b"not gzip".to_vec()).await;
    assert_eq!(response.status(), 500);
    assert!(text(response).await.contains("soap:Client"));
}

#[tokio::test]
async fn a_request_that_does_not_arrive_is_408() {
    let never = Body::from_stream(futures_util::stream::pending::<std::io::Result<Bytes>>());
    let response = ask("POST", STORAGE_PATH, &[("content-length", "10")], never).await;
    assert_eq!((response.status().as_u16(), header_of(&response, "connection")), (408, "close"));
}

/// What comes back over a real connection for these bytes.
async fn over_a_socket(sent: &[u8]) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let settings = Arc::new(SoapSettings { public_url: None, zone_minutes: 480 });
    tokio::spawn(async move { axum::serve(listener, router(Echo, settings)).await });
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("connected");
    let (mut reader, mut writer) = stream.split();
    let mut got = Vec::new();
    let (_, read) = tokio::join!(writer.write_all(sent), reader.read_to_end(&mut got));
    read.expect("no reset");
    String::from_utf8(got).expect("UTF-8")
}

#[tokio::test]
async fn chunks_and_pipelining_work_on_a_connection() {
    let body = envelope_of(SOAP11, "Do");
    let chunked = format!(
        "POST {STORAGE_PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
        &body[..5],
        body.len() - 5,
        &body[5..]
    );
    let last = format!("GET {STORAGE_PATH}?wsdl HTTP/1.1\r\nHost: box:9\r\nConnection: close\r\n\r\n");
    let got = over_a_socket(format!("{chunked}{chunked}{last}").as_bytes()).await;
    assert_eq!(got.matches("<did>Do</did>").count(), 2, "{got}");
    assert!(got.contains("http://box:9/services/VideoCloudStorage"), "{got}");
}

#[tokio::test]
async fn http_1_0_without_a_host_is_answered_unchunked_and_closed() {
    let body = envelope_of(SOAP11, "Do");
    let post = format!("POST {STORAGE_PATH} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let got = over_a_socket(post.as_bytes()).await;
    assert!(got.contains("content-length: 13\r\n") && got.ends_with("<did>Do</did>"), "{got}");
    assert!(over_a_socket(format!("POST {STORAGE_PATH} HTTP/1.0\r\n\r\n").as_bytes()).await.contains(" 411 "));
}

#[tokio::test]
async fn a_sender_of_too_much_sees_the_answer_and_no_reset() {
    let mut post = format!("POST {STORAGE_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n").into_bytes();
    post.resize(post.len() + 4_000_000, b' ');
    assert!(over_a_socket(&post).await.starts_with("HTTP/1.1 413 "));
    let waits = "POST /services/VideoCloudStorage HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\nExpect: 100-continue\r\n\r\n";
    let got = over_a_socket(waits.as_bytes()).await;
    assert!(got.starts_with("HTTP/1.1 413 "), "no 100 before it: {got}");
}
