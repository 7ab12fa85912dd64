//! The two WSDLs, compiled in, and the address that the first one tells.

use axum::http::{HeaderMap, Uri, header};

use super::SoapSettings;
use super::front::STORAGE_PATH;
use crate::wire::soap::write::Escaped;

const STORAGE: &str = include_str!("wsdl/video-cloud-storage.wsdl");
const ALERT: &str = include_str!("wsdl/alert-callback.wsdl");

/// What stands in the file where the address goes.
const PLACEHOLDER: &str = "http://localhost/services/VideoCloudStorage";

/// The Host of a request is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadHost;

/// The contract of section 8. Its address is the platform's to fill in, as the platform serves it.
pub(super) fn alert() -> String {
    ALERT.to_owned()
}

/// The contract of section 7, with the address under which the caller has found us, or the configured one.
pub(super) fn storage(
    settings: &SoapSettings,
    uri: &Uri,
    headers: &HeaderMap,
    secured: bool,
) -> Result<String, BadHost> {
    let scheme = if secured { "https" } else { "http" };
    let address = match &settings.public_url {
        Some(url) => configured(url),
        None => match host(uri, headers)? {
            Some(host) => format!("{scheme}://{host}{STORAGE_PATH}"),
            None => format!("{scheme}://localhost{STORAGE_PATH}"),
        },
    };
    Ok(STORAGE.replace(PLACEHOLDER, &Escaped(&address, true).to_string()))
}

/// A public URL may be the whole address, or only `http(s)://host[:port]`.
fn configured(url: &str) -> String {
    let bare = url.trim_end_matches('/');
    let has_path = bare.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    if has_path { bare.to_owned() } else { format!("{bare}{STORAGE_PATH}") }
}

/// The validated host of a request; `None` in HTTP/1.0 without one.
fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Result<Option<&'a str>, BadHost> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(BadHost);
    }
    let sent = match (uri.authority(), first) {
        (Some(authority), _) => authority.as_str(),
        (None, Some(host)) => host.to_str().map_err(|_| BadHost)?,
        (None, None) => return Ok(None),
    };
    if is_host(sent) { Ok(Some(sent)) } else { Err(BadHost) }
}

/// `name[:port]`, `address[:port]` or `[address][:port]`.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            match rest.strip_prefix(':') {
                Some(port) => ("v6", Some(port)),
                None if rest.is_empty() => ("v6", None),
                None => return false,
            }
        }
        None => match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        },
    };
    let name_is_one = !name.is_empty()
        && name.len() <= 253
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    let port_is_one =
        port.is_none_or(|port| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|p| p > 0));
    name_is_one && port_is_one
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(public_url: Option<&str>, host: Option<&str>) -> Result<String, BadHost> {
        let settings = SoapSettings { public_url: public_url.map(str::to_owned), zone_minutes: 480 };
        let mut headers = HeaderMap::new();
        if let Some(host) = host {
            headers.insert(header::HOST, host.parse().expect("a header value"));
        }
        storage(&settings, &Uri::from_static("/services/VideoCloudStorage?wsdl"), &headers, false)
    }

    fn addresses(wsdl: &str) -> Vec<&str> {
        wsdl.split(":address location=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect()
    }

    #[test]
    fn both_ports_tell_the_address_under_which_we_were_found() {
        for host in ["10.1.2.3:9001", "box.local", "[fe80::1]:9001", "[::1]", "my_box:1"] {
            let wsdl = served(None, Some(host)).expect("a good host");
            let expected = format!("http://{host}/services/VideoCloudStorage");
            assert_eq!(addresses(&wsdl), [expected.as_str(), expected.as_str()]);
        }
        assert_eq!(addresses(&served(None, None).expect("none"))[0], PLACEHOLDER);
    }

    #[test]
    fn who_came_over_tls_is_led_to_tls() {
        let settings = SoapSettings { public_url: None, zone_minutes: 480 };
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "box.local:9001".parse().expect("a header value"));
        let wsdl = storage(&settings, &Uri::from_static("/?wsdl"), &headers, true).expect("a good host");
        assert_eq!(addresses(&wsdl), ["https://box.local:9001/services/VideoCloudStorage"; 2]);
    }

    #[test]
    fn a_configured_address_beats_the_host() {
        for url in ["https://soap.example.cn:8443", "https://soap.example.cn:8443/"] {
            let wsdl = served(Some(url), Some("evil\"><x")).expect("the host is not looked at");
            assert_eq!(addresses(&wsdl)[1], "https://soap.example.cn:8443/services/VideoCloudStorage");
        }
        let wsdl = served(Some("http://gateway/kandian/soap?a=1&b=2"), None).expect("served");
        assert_eq!(addresses(&wsdl)[0], "http://gateway/kandian/soap?a=1&amp;b=2");
    }

    #[test]
    fn a_bad_host_is_refused() {
        for host in [
            "", "a b", "a\"b", "a/b", "a:b", "a:0", "a:65536", "a:", "user@a", "[::1", "[x]:1", "[::1]x", "a:1:2",
            "<x>", "a:+1",
        ] {
            assert_eq!(served(None, Some(host)), Err(BadHost), "{host}");
        }
    }

    #[test]
    fn two_hosts_are_none() {
        let settings = SoapSettings { public_url: None, zone_minutes: 480 };
        let mut headers = HeaderMap::new();
        headers.append(header::HOST, "a".parse().expect("a header value"));
        headers.append(header::HOST, "b".parse().expect("a header value"));
        assert_eq!(storage(&settings, &Uri::from_static("/?wsdl"), &headers, false), Err(BadHost));
    }
}
