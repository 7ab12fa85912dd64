//! The callback of section 8: the message that we send, and what counts as its answer. Contract, section 6.

use super::write::{Escaped, envelope};
use super::xml::{Token, Walker};
use super::{CALLBACK_NAMESPACE, Version, charset, fields};
use crate::domain::{Alert, CallbackProfile};

/// 8.1
pub const ALERT_OPERATION: &str = "NotifySubAccountSpaceAlert";
/// 8.2
pub const IDLE_OPERATION: &str = "NotifySubAccountSpaceIdle";

/// The four fields that say whose space it is. The caller zeroes its own copies.
#[derive(Clone, Copy)]
pub struct Whose<'a> {
    /// `Account`
    pub account: &'a str,
    /// `Password`
    pub password: &'a str,
    /// `S3AK`
    pub access_key: &'a str,
    /// `S3SK`
    pub secret: &'a str,
}

/// A message on its way out.
pub struct Message {
    /// Content-Type.
    pub content_type: String,
    /// SOAPAction, quotation marks and all; `None` in SOAP 1.2, where it is part of the Content-Type.
    pub soap_action: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// `AlertType`; `None` for the alert that has none.
pub const fn alert_type(alert: Alert) -> Option<i32> {
    match alert {
        Alert::Full => Some(1),
        Alert::NearlyFull => Some(2),
        Alert::Idle => None,
    }
}

/// Writes one alert as the account's platform wants it. A profile's operation and SOAPAction are those of 8.1;
/// 8.2 keeps its own, or a platform could not tell the two apart.
pub fn write(profile: &CallbackProfile, alert: Alert, whose: Whose<'_>) -> Message {
    let version = if profile.soap12 { Version::Soap12 } else { Version::Soap11 };
    let charset = if profile.gbk { "GBK" } else { "UTF-8" };
    let namespace = profile.namespace.as_deref().unwrap_or(CALLBACK_NAMESPACE);
    let (operation, action) = match alert {
        Alert::Full | Alert::NearlyFull => {
            (profile.operation.as_deref().unwrap_or(ALERT_OPERATION), profile.soap_action.clone())
        }
        Alert::Idle => (IDLE_OPERATION, None),
    };
    let action = action.unwrap_or_else(|| format!("{namespace}#{operation}")).replace('"', "");
    let text = envelope(version, charset, |out| {
        let (prefix, declaration) = if profile.unqualified { ("n:", "xmlns:n") } else { ("", "xmlns") };
        out.push_str(&format!("<{prefix}{operation} {declaration}=\"{}\">", Escaped(namespace, true)));
        let fields = [
            ("Account", whose.account),
            ("Password", whose.password),
            ("S3AK", whose.access_key),
            ("S3SK", whose.secret),
        ];
        for (name, value) in fields {
            out.push_str(&format!("<{name}>{}</{name}>", Escaped(value, false)));
        }
        if let Some(number) = alert_type(alert) {
            out.push_str(&format!("<AlertType>{number}</AlertType>"));
        }
        out.push_str(&format!("</{prefix}{operation}>"));
    });
    let media = version.media_type();
    let named = if profile.gbk { "GBK" } else { "utf-8" };
    let (content_type, soap_action) = match version {
        Version::Soap11 => (format!("{media}; charset={named}"), Some(format!("\"{action}\""))),
        Version::Soap12 => (format!("{media}; charset={named}; action=\"{action}\""), None),
    };
    // A character that GBK lacks becomes a reference, which every reader of XML understands.
    let body = if profile.gbk { encoding_rs::GBK.encode(&text).0.into_owned() } else { text.into_bytes() };
    Message { content_type, soap_action, body }
}

/// The int that a platform's answer (HTTP 2xx) holds: in the first element named Result in any case, else `return`, else a
/// name that ends in Return or Result. The error is in words for operators and repeats nothing of the answer.
pub fn read_answer(body: &[u8], content_type: Option<&str>) -> Result<i32, String> {
    if body.trim_ascii().is_empty() {
        return Err("the answer is empty".to_owned());
    }
    let text = charset::decode(body, content_type).map_err(|why| format!("the answer cannot be read: {why}"))?;
    let found = results(&text)?;
    let text = found.into_iter().flatten().next().ok_or("the answer has no Result")?;
    fields::int(&text).ok_or_else(|| "the Result of the answer is not an int".to_owned())
}

/// The text of the first element of each kind of name, best kind first.
fn results(text: &str) -> Result<[Option<String>; 3], String> {
    let unreadable = |why: super::xml::NotXml| format!("the answer cannot be read: {why}");
    let mut walker = Walker::new(text);
    match walker.next().map_err(unreadable)? {
        Some(Token::Open(tag)) if tag.name == "Envelope" => {}
        Some(_) | None => return Err("the answer is not a SOAP Envelope".to_owned()),
    }
    let mut found: [Option<String>; 3] = [None, None, None];
    // Names of the open elements under the Envelope; which kind of result each is the first of.
    let mut open: Vec<(String, Option<usize>)> = Vec::new();
    while let Some(token) = walker.next().map_err(unreadable)? {
        match token {
            Token::Open(tag) => {
                let in_body = open.first().is_some_and(|(name, _)| name == "Body");
                if in_body && open.len() == 1 && tag.name == "Fault" {
                    return Err("the platform answered with a Fault".to_owned());
                }
                if let Some(kind) = open.last().and_then(|&(_, kind)| kind).and_then(|kind| found.get_mut(kind)) {
                    // Elements inside a Result: no int.
                    *kind = Some("<".to_owned());
                }
                let kind =
                    kind_of_name(&tag.name).filter(|&kind| in_body && found.get(kind).is_some_and(Option::is_none));
                if let Some(slot) = kind.and_then(|kind| found.get_mut(kind)) {
                    *slot = Some(String::new());
                }
                open.push((tag.name, kind));
            }
            Token::Text(text) => {
                let kind = open.last().and_then(|&(_, kind)| kind);
                if let Some(Some(value)) = kind.and_then(|kind| found.get_mut(kind)) {
                    value.push_str(&text);
                }
            }
            Token::Close => drop(open.pop()),
        }
    }
    // A wrapper that only ends in Result, such as NotifyResult around a Result, yields to what it wraps.
    Ok(found)
}

fn kind_of_name(name: &str) -> Option<usize> {
    let lower = name.to_ascii_lowercase();
    match lower.as_str() {
        "result" => Some(0),
        "return" => Some(1),
        _ if lower.ends_with("return") || lower.ends_with("result") => Some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WHOSE: Whose<'_> = Whose { account: "js", password: "p<1>", access_key: "AK1", secret: "SK1" };

    fn text(profile: &CallbackProfile, alert: Alert) -> String {
        String::from_utf8(write(profile, alert, WHOSE).body).expect("UTF-8")
    }

    #[test]
    fn an_alert_is_written_as_the_contract_shows_it() {
        let message = write(&CallbackProfile::default(), Alert::NearlyFull, WHOSE);
        assert_eq!(message.content_type, "text/xml; charset=utf-8");
        assert_eq!(message.soap_action.as_deref(), Some("\"urn:sjkd:alert-callback:v1_2#NotifySubAccountSpaceAlert\""));
        assert_eq!(
            String::from_utf8(message.body).expect("UTF-8"),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body><NotifySubAccountSpaceAlert xmlns=\"urn:sjkd:alert-callback:v1_2\"><Account>js</Account><Password>p&lt;1&gt;</Password><S3AK>AK1</S3AK><S3SK>SK1</S3SK><AlertType>2</AlertType></NotifySubAccountSpaceAlert></soap:Body></soap:Envelope>"
        );
        assert!(text(&CallbackProfile::default(), Alert::Full).contains("<AlertType>1</AlertType>"));
        let idle = text(&CallbackProfile::default(), Alert::Idle);
        assert!(idle.contains("<NotifySubAccountSpaceIdle xmlns=") && !idle.contains("AlertType"), "{idle}");
    }

    #[test]
    fn a_platform_with_a_wsdl_of_its_own_gets_its_own_words() {
        let profile = CallbackProfile {
            namespace: Some("http://x.cn/\"a\"".to_owned()),
            operation: Some("SpaceAlarm".to_owned()),
            soap_action: None,
            soap12: true,
            unqualified: true,
            gbk: true,
        };
        let message = write(&profile, Alert::Full, Whose { account: "江苏😀", ..WHOSE });
        assert_eq!(message.content_type, "application/soap+xml; charset=GBK; action=\"http://x.cn/a#SpaceAlarm\"");
        assert_eq!(message.soap_action, None);
        let (text, _, bad) = encoding_rs::GBK.decode(&message.body);
        assert!(!bad);
        assert!(text.starts_with("<?xml version=\"1.0\" encoding=\"GBK\"?>"), "{text}");
        assert!(
            text.contains("<n:SpaceAlarm xmlns:n=\"http://x.cn/&quot;a&quot;\"><Account>江苏&#128512;</Account>"),
            "{text}"
        );
        let ours = crate::wire::soap::envelope::read(&message.body, Some(&message.content_type)).expect("readable");
        assert_eq!(ours.fields.text("Account"), Ok(Some("江苏😀")));
        let own_action = CallbackProfile { soap_action: Some(String::new()), ..CallbackProfile::default() };
        assert_eq!(write(&own_action, Alert::Full, WHOSE).soap_action.as_deref(), Some("\"\""));
    }

    fn answered(inside: &str) -> Result<i32, String> {
        let text = format!(
            "<e:Envelope xmlns:e='http://www.w3.org/2003/05/soap-envelope'><e:Body>{inside}</e:Body></e:Envelope>"
        );
        read_answer(text.as_bytes(), Some("text/xml"))
    }

    #[test]
    fn the_result_is_found_under_any_of_its_names() {
        for inside in [
            "<R xmlns='urn:any'><Result>0</Result></R>",
            "<R><RESULT> +0 </RESULT></R>",
            "<R><return>0</return></R>",
            "<R><NotifyReturn>0</NotifyReturn></R>",
            "<R><NotifyResult>0</NotifyResult></R>",
            "<R><NotifyResult><Result>0</Result></NotifyResult></R>",
            "<R><return>9</return><Result>0</Result><Result>5</Result></R>",
            "<Result>0</Result>",
        ] {
            assert_eq!(answered(inside), Ok(0), "{inside}");
        }
        assert_eq!(answered("<R><Result>2</Result></R>"), Ok(2));
        assert_eq!(answered("<R><Result>-1</Result></R>"), Ok(-1));
    }

    #[test]
    fn anything_else_is_a_failure_in_words() {
        for (inside, why) in [
            ("", "the answer has no Result"),
            ("<R/>", "the answer has no Result"),
            ("<R><Result/></R>", "the Result of the answer is not an int"),
            ("<R><Result>ok</Result></R>", "the Result of the answer is not an int"),
            ("<R><Result>0<x/></Result></R>", "the Result of the answer is not an int"),
            ("<R><Result><x/>0</Result></R>", "the Result of the answer is not an int"),
            ("<e:Fault><Result>0</Result></e:Fault>", "the platform answered with a Fault"),
        ] {
            assert_eq!(answered(inside), Err(why.to_owned()), "{inside}");
        }
        assert_eq!(read_answer(b" \n", None), Err("the answer is empty".to_owned()));
        for body in [
            "<html><body>0</body></html>",
            "<Result>0</Result>",
            "<!DOCTYPE e><e:Envelope><e:Body><Result>0</Result></e:Body></e:Envelope>",
            "<Envelope><Body><Result>0</Result></Body>",
            "<Envelope><Header><Result>0</Result></Header></Envelope>",
            "0",
        ] {
            assert!(read_answer(body.as_bytes(), None).is_err(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_answers_never_panic(bytes: Vec<u8>, inside in "[<>/RresultunBodyFa0-9 ]{0,60}") {
            let _ = read_answer(&bytes, None);
            let _ = answered(&inside);
        }
    }
}
