//! SOAP as a platform of 2014 speaks it: envelopes put together by hand, answers searched for names.

use std::collections::HashMap;

use quick_xml::Reader;
use quick_xml::escape::{escape, unescape};
use quick_xml::events::Event;

use super::{ClientError, Connection, Content, Endpoint};
use crate::domain::{AccessKey, Secret};
use crate::tls::Trust;

const NAMESPACE: &str = "urn:sjkd:video-cloud-storage:v1_2";

/// The platform's side of section 7, for one account.
pub struct Platform {
    connection: Connection,
    account: String,
    password: Secret,
}

/// The answer of 7.2.
#[derive(Clone, Debug)]
pub struct OpenedSubAccount {
    /// `S3AK`.
    pub access_key: AccessKey,
    /// `S3SK`.
    pub secret: Secret,
    /// `S3URL`.
    pub s3: Endpoint,
    /// `S3RecordBucket`.
    pub recordings: String,
    /// `S3PictureBucket`.
    pub pictures: String,
}

impl Platform {
    /// A platform that calls this service for this account.
    pub fn new(service: Endpoint, account: impl Into<String>, password: Secret, trust: Trust) -> Self {
        Self { connection: Connection::new(service, trust), account: account.into(), password }
    }

    /// 7.2 子账户开户申请, with this many GB.
    ///
    /// # Errors
    ///
    /// The call fails, its Result is not 0, or the answer lacks something.
    pub async fn open_sub_account(&mut self, gigabytes: u32) -> Result<OpenedSubAccount, ClientError> {
        let space = gigabytes.to_string();
        let mut fields = self.call("OpenSubAccount", &[("StorageSpace", &space)]).await?;
        let mut take = |name: &str| {
            let missing = || ClientError::Answer(format!("OpenSubAccount answers without {name}"));
            fields.remove(name).filter(|value| !value.is_empty()).ok_or_else(missing)
        };
        Ok(OpenedSubAccount {
            access_key: take("S3AK")?.parse().map_err(|error| ClientError::Answer(format!("S3AK: {error}")))?,
            secret: Secret::new(take("S3SK")?),
            s3: Endpoint::parse(&take("S3URL")?)?,
            recordings: take("S3RecordBucket")?,
            pictures: take("S3PictureBucket")?,
        })
    }

    /// 7.6 子账户空间管理策略: whether the oldest recordings make room for new ones.
    ///
    /// # Errors
    ///
    /// The call fails or its Result is not 0.
    pub async fn set_loop(&mut self, sub_account: &OpenedSubAccount, on: bool) -> Result<(), ClientError> {
        let fields = [
            ("S3AK", sub_account.access_key.as_str()),
            ("S3SK", sub_account.secret.expose()),
            ("SpaceLoop", if on { "1" } else { "0" }),
        ];
        self.call("SetSubAccountSpacePolicy", &fields).await.map(drop)
    }

    /// Calls an operation of section 7; the fields of its answer, where Result is 0.
    ///
    /// # Errors
    ///
    /// The call fails, the answer cannot be read, or its Result is not 0.
    pub async fn call(
        &mut self,
        operation: &str,
        fields: &[(&str, &str)],
    ) -> Result<HashMap<String, String>, ClientError> {
        let credentials = [("Account", self.account.as_str()), ("Password", self.password.expose())];
        let envelope = envelope(operation, credentials.iter().chain(fields));
        let action = format!("\"{NAMESPACE}#{operation}\"");
        let headers = [("content-type", "text/xml; charset=utf-8"), ("soapaction", action.as_str())];
        let path = self.connection.endpoint().path().to_owned();
        let answer = self.connection.call("POST", &path, &headers, Content::Whole(envelope.into())).await?;
        let text = String::from_utf8_lossy(&answer.body);
        let fields = leaves(&text)
            .map_err(|error| ClientError::Answer(format!("{operation}: HTTP {}: {error}", answer.status)))?;
        match (fields.get("Result").map(|result| result.trim()), fields.get("faultstring")) {
            (Some("0"), _) => Ok(fields),
            (Some(result), _) => Err(ClientError::Answer(format!("{operation}: Result {result}"))),
            (None, Some(fault)) => Err(ClientError::Answer(format!("{operation}: fault: {fault}"))),
            (None, None) => Err(ClientError::Answer(format!("{operation}: HTTP {}, no Result", answer.status))),
        }
    }
}

fn envelope<'a>(operation: &str, fields: impl Iterator<Item = &'a (&'a str, &'a str)>) -> String {
    let fields: String = fields.map(|(name, value)| format!("<{name}>{}</{name}>", escape(*value))).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body>\
         <{operation} xmlns=\"{NAMESPACE}\">{fields}</{operation}></soap:Body></soap:Envelope>"
    )
}

/// Every element without elements in it, by its local name; of a name that is there twice, the last.
fn leaves(xml: &str) -> Result<HashMap<String, String>, quick_xml::Error> {
    let mut reader = Reader::from_str(xml);
    let mut found = HashMap::new();
    let mut text = Some(String::new());
    loop {
        match reader.read_event()? {
            Event::Eof => return Ok(found),
            Event::Start(_) => text = Some(String::new()),
            Event::Text(piece) => text.iter_mut().for_each(|text| text.push_str(&piece)),
            Event::CData(piece) => text.iter_mut().for_each(|text| text.push_str(&escape(&*piece))),
            Event::GeneralRef(name) => text.iter_mut().for_each(|text| {
                text.push('&');
                text.push_str(&name);
                text.push(';');
            }),
            Event::Empty(element) => {
                found.insert(element.local_name().as_ref().to_owned(), String::new());
                text = None;
            }
            Event::End(element) => {
                if let Some(text) = text.take() {
                    found.insert(element.local_name().as_ref().to_owned(), unescape(&text)?.into_owned());
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_names_its_fields_and_escapes_them() {
        let made = envelope("QueryUserSpace", [("Account", "shop & co"), ("Password", "<")].iter());
        assert!(made.contains("<soap:Body><QueryUserSpace xmlns=\"urn:sjkd:video-cloud-storage:v1_2\"><Account>"));
        let fields = leaves(&made).unwrap();
        assert_eq!((fields["Account"].as_str(), fields["Password"].as_str()), ("shop & co", "<"));
        assert_eq!(fields.len(), 2);
    }

    #[test]
    fn an_answer_is_read_whatever_its_prefixes() {
        let fields = leaves(
            "<?xml version=\"1.0\"?><S:Envelope xmlns:S=\"x\"><S:Body><n:R xmlns:n=\"y\"><n:Result>0</n:Result>\
             <n:S3SK>a&#98;&amp;c</n:S3SK><n:S3URL><![CDATA[http://h/?a&b]]></n:S3URL><n:E/></n:R></S:Body></S:Envelope>",
        )
        .unwrap();
        let field = |name: &str| fields[name].as_str();
        assert_eq!((field("Result"), field("S3SK"), field("S3URL"), field("E")), ("0", "ab&c", "http://h/?a&b", ""));
        assert_eq!(fields.len(), 4);
    }

    #[test]
    fn what_is_no_xml_is_an_error() {
        assert!(leaves("<a><b></a>").is_err());
        assert!(leaves("<a>&nobody;</a>").is_err());
    }
}
