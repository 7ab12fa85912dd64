//! SOAP as a platform of 2014 speaks it: envelopes put together by hand, answers searched for names.

use std::collections::HashMap;

use quick_xml::Reader;
use quick_xml::escape::{escape, unescape};
use quick_xml::events::Event;

use super::operations::SECRETS;
use super::{ClientError, Connection, Content, Endpoint};
use crate::domain::{AccessKey, Secret};
use crate::tls::Trust;

/// What stands for a secret.
const VEIL: &str = "***";
const NAMESPACE: &str = "urn:sjkd:video-cloud-storage:v1_2";

/// Which SOAP is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SoapVersion {
    /// `text/xml` and a SOAPAction header.
    #[default]
    V11,
    /// `application/soap+xml`.
    V12,
}

/// A call as it went over the wire.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The operation's name.
    pub operation: String,
    /// The path that it was posted to.
    pub path: String,
    /// The request's headers.
    pub headers: Vec<(String, String)>,
    /// The request's envelope.
    pub request: String,
    /// HTTP's status.
    pub status: u16,
    /// The answer's body.
    pub answer: String,
    /// Every element of the answer without elements in it, by its local name; of a name that is there twice, the last.
    pub fields: HashMap<String, String>,
    /// What is no XML in it.
    pub unreadable: Option<String>,
}

impl Exchange {
    /// The answer's Result, where it has one.
    pub fn result(&self) -> Option<i32> {
        self.fields.get("Result").and_then(|text| text.trim().parse().ok())
    }

    /// What its Fault says, where it is one.
    pub fn fault(&self) -> Option<&str> {
        self.fields.get("faultstring").or_else(|| self.fields.get("Text")).map(String::as_str)
    }

    /// The elements of this name, in their order, each with the elements in it.
    pub fn items(&self, name: &str) -> Vec<HashMap<String, String>> {
        items(&self.answer, name).unwrap_or_default()
    }

    /// With stars where passwords and secret keys were.
    #[must_use]
    pub fn veiled(mut self) -> Self {
        for name in SECRETS {
            self.request = veiled(&self.request, name);
            self.answer = veiled(&self.answer, name);
            if let Some(value) = self.fields.get_mut(name).filter(|value| !value.is_empty()) {
                VEIL.clone_into(value);
            }
        }
        self
    }
}

/// The platform's side of section 7, for one account.
pub struct Platform {
    connection: Connection,
    account: String,
    password: Secret,
    version: SoapVersion,
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

impl OpenedSubAccount {
    /// From the fields of the answer.
    ///
    /// # Errors
    ///
    /// One of them is missing, or is not what it must be.
    pub fn read(mut fields: HashMap<String, String>) -> Result<Self, ClientError> {
        let mut take = |name: &str| {
            let missing = || ClientError::Answer(format!("OpenSubAccount answers without {name}"));
            fields.remove(name).filter(|value| !value.is_empty()).ok_or_else(missing)
        };
        Ok(Self {
            access_key: take("S3AK")?.parse().map_err(|error| ClientError::Answer(format!("S3AK: {error}")))?,
            secret: Secret::new(take("S3SK")?),
            s3: Endpoint::parse(&take("S3URL")?)?,
            recordings: take("S3RecordBucket")?,
            pictures: take("S3PictureBucket")?,
        })
    }
}

impl Platform {
    /// A platform that calls this service for this account.
    pub fn new(service: Endpoint, account: impl Into<String>, password: Secret, trust: Trust) -> Self {
        let version = SoapVersion::default();
        Self { connection: Connection::new(service, trust), account: account.into(), password, version }
    }

    /// Speaks this version from now on.
    #[must_use]
    pub fn speaking(self, version: SoapVersion) -> Self {
        Self { version, ..self }
    }

    /// 7.2 子账户开户申请, with this many GB.
    ///
    /// # Errors
    ///
    /// The call fails, its Result is not 0, or the answer lacks something.
    pub async fn open_sub_account(&mut self, gigabytes: u32) -> Result<OpenedSubAccount, ClientError> {
        let space = gigabytes.to_string();
        OpenedSubAccount::read(self.call("OpenSubAccount", &[("StorageSpace", &space)]).await?)
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
        let (account, password) = (self.account.clone(), self.password.clone());
        let credentials = [("Account", account.as_str()), ("Password", password.expose())];
        let all: Vec<_> = credentials.iter().chain(fields).copied().collect();
        let exchange = self.exchange(operation, &all).await?;
        if let Some(why) = &exchange.unreadable {
            return Err(ClientError::Answer(format!("{operation}: HTTP {}: {why}", exchange.status)));
        }
        match (exchange.result(), exchange.fault()) {
            (Some(0), _) => Ok(exchange.fields),
            (Some(result), _) => Err(ClientError::Answer(format!("{operation}: Result {result}"))),
            (None, Some(fault)) => Err(ClientError::Answer(format!("{operation}: fault: {fault}"))),
            (None, None) => Err(ClientError::Answer(format!("{operation}: HTTP {}, no Result", exchange.status))),
        }
    }

    /// Sends these fields and no others, whatever comes of it.
    ///
    /// # Errors
    ///
    /// There is no answer.
    pub async fn exchange(&mut self, operation: &str, fields: &[(&str, &str)]) -> Result<Exchange, ClientError> {
        let request = envelope(self.version, operation, fields.iter());
        let action = format!("{NAMESPACE}#{operation}");
        let headers = match self.version {
            SoapVersion::V11 => {
                vec![("content-type", "text/xml; charset=utf-8".to_owned()), ("soapaction", format!("\"{action}\""))]
            }
            SoapVersion::V12 => {
                vec![("content-type", format!("application/soap+xml; charset=utf-8; action=\"{action}\""))]
            }
        };
        let sent: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let path = self.connection.endpoint().path().to_owned();
        let answer = self.connection.call("POST", &path, &sent, Content::Whole(request.clone().into())).await?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let (fields, unreadable) = match leaves(&text) {
            Ok(fields) => (fields, None),
            Err(error) => (HashMap::new(), Some(error.to_string())),
        };
        Ok(Exchange {
            operation: operation.to_owned(),
            path,
            headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            request,
            status: answer.status,
            answer: text,
            fields,
            unreadable,
        })
    }
}

/// What is in elements of this name, but for empty ones, is not to be seen.
fn veiled(xml: &str, name: &str) -> String {
    let (mut out, mut rest) = (String::new(), xml);
    while let Some((before, tail)) = rest.split_once(name) {
        out.push_str(before);
        out.push_str(name);
        rest = tail;
        // Where an element begins: its name ends here, and what follows is text.
        let prefix = out[..out.len() - name.len()].rsplit_once('<').map(|(_, prefix)| prefix);
        let opened = prefix
            .is_some_and(|prefix| prefix.is_empty() || (prefix.ends_with(':') && !prefix.contains(['/', '>', ' '])));
        if opened
            && let Some((attributes, text)) = rest.split_once('>')
            && (attributes.is_empty() || attributes.starts_with(' '))
            && !attributes.contains('<')
            && !attributes.ends_with('/')
            && let Some(end) = text.find("</").filter(|end| *end > 0)
        {
            out.push_str(attributes);
            out.push('>');
            out.push_str(VEIL);
            rest = &text[end..];
        }
    }
    out + rest
}

fn envelope<'a>(version: SoapVersion, operation: &str, fields: impl Iterator<Item = &'a (&'a str, &'a str)>) -> String {
    let fields: String = fields.map(|(name, value)| format!("<{name}>{}</{name}>", escape(*value))).collect();
    let namespace = match version {
        SoapVersion::V11 => "http://schemas.xmlsoap.org/soap/envelope/",
        SoapVersion::V12 => "http://www.w3.org/2003/05/soap-envelope",
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <soap:Envelope xmlns:soap=\"{namespace}\"><soap:Body>\
         <{operation} xmlns=\"{NAMESPACE}\">{fields}</{operation}></soap:Body></soap:Envelope>"
    )
}

/// Every element without elements in it, by its local name; of a name that is there twice, the last.
fn leaves(xml: &str) -> Result<HashMap<String, String>, quick_xml::Error> {
    let mut found = HashMap::new();
    each_leaf(xml, |_, name, text| {
        found.insert(name, text);
    })?;
    Ok(found)
}

/// The elements of one name, each with the elements in it that have none.
fn items(xml: &str, item: &str) -> Result<Vec<HashMap<String, String>>, quick_xml::Error> {
    let mut found: Vec<HashMap<String, String>> = Vec::new();
    let mut number = 0;
    each_leaf(xml, |path, name, text| {
        let Some(now) = path.iter().find(|(of, _)| of == item).map(|(_, number)| *number) else { return };
        if now != number {
            found.push(HashMap::new());
            number = now;
        }
        if let Some(last) = found.last_mut() {
            last.insert(name, text);
        }
    })?;
    Ok(found)
}

/// Gives every element without elements in it: the names around it, each with the number of its tag in the document, its
/// own name and its text.
fn each_leaf(xml: &str, mut each: impl FnMut(&[(String, usize)], String, String)) -> Result<(), quick_xml::Error> {
    let mut reader = Reader::from_str(xml);
    let (mut path, mut number) = (Vec::new(), 0);
    let mut text = Some(String::new());
    loop {
        match reader.read_event()? {
            Event::Eof => return Ok(()),
            Event::Start(element) => {
                number += 1;
                path.push((element.local_name().as_ref().to_owned(), number));
                text = Some(String::new());
            }
            Event::Text(piece) => text.iter_mut().for_each(|text| text.push_str(&piece)),
            Event::CData(piece) => text.iter_mut().for_each(|text| text.push_str(&escape(&*piece))),
            Event::GeneralRef(name) => text.iter_mut().for_each(|text| {
                text.push('&');
                text.push_str(&name);
                text.push(';');
            }),
            Event::Empty(element) => {
                each(&path, element.local_name().as_ref().to_owned(), String::new());
                text = None;
            }
            Event::End(element) => {
                path.pop();
                if let Some(text) = text.take() {
                    each(&path, element.local_name().as_ref().to_owned(), unescape(&text)?.into_owned());
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
        let made = envelope(SoapVersion::V11, "QueryUserSpace", [("Account", "shop & co"), ("Password", "<")].iter());
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
    fn items_of_a_list_are_told_apart() {
        let xml = "<a><L><n:F xmlns:n=\"x\"><N>1</N><S/></n:F><F><N>2</N></F><F/></L><N>3</N></a>";
        let found = items(xml, "F").unwrap();
        let names: Vec<_> = found.iter().map(|item| item["N"].as_str()).collect();
        assert_eq!((names.as_slice(), found[0]["S"].as_str()), (["1", "2"].as_slice(), ""));
        assert!(items(xml, "G").unwrap().is_empty());
    }

    #[test]
    fn secrets_are_veiled_where_they_stand_and_nowhere_else() {
        let text =
            "<a:Password x=\"1\">a&amp;b</a:Password><S3AK>a&amp;b</S3AK><S3SK></S3SK><S3SK/><S3SK>c</S3SK>Password";
        let veil =
            "<a:Password x=\"1\">***</a:Password><S3AK>a&amp;b</S3AK><S3SK></S3SK><S3SK/><S3SK>***</S3SK>Password";
        let fields = HashMap::from([("S3SK".to_owned(), "c".to_owned()), ("S3AK".to_owned(), "d".to_owned())]);
        let exchange = Exchange {
            operation: String::new(),
            path: String::new(),
            headers: Vec::new(),
            request: text.to_owned(),
            status: 200,
            answer: text.to_owned(),
            fields,
            unreadable: None,
        };
        let veiled = exchange.veiled();
        assert_eq!((veiled.request.as_str(), veiled.answer.as_str()), (veil, veil));
        assert_eq!((veiled.fields["S3SK"].as_str(), veiled.fields["S3AK"].as_str()), ("***", "d"));
    }

    #[test]
    fn what_is_no_xml_is_an_error() {
        assert!(leaves("<a><b></a>").is_err());
        assert!(leaves("<a>&nobody;</a>").is_err());
    }
}
