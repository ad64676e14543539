//! Which proxy a request goes by: the environment's variables, in the forms that curl takes. Pure: variables are passed in.
//!
//! Invariant: no message holds the value of a variable, which may have credentials in it.

use reqwest::Url;
use std::net::IpAddr;
use std::str::FromStr;

/// The proxies of the environment.
#[derive(Clone, Debug, Default)]
pub(super) struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    except: Vec<Exception>,
}

/// A proxy; without a URL where its variable holds none that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Proxy {
    variable: &'static str,
    url: Option<Url>,
}

/// What an entry of `NO_PROXY` names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    All,
    /// A host and what is below it, at one port or at all.
    Host(Box<str>, Option<u16>),
    /// Addresses of which this many bits are the same.
    Network(IpAddr, u32, Option<u16>),
}

impl Proxies {
    /// Reads the variables. As with curl, the lower-case name goes before the other, and an empty one counts as absent.
    pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let value = |name: &str| {
            variable(name)
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty())
        };
        let first = |names: &[&'static str]| names.iter().find_map(|name| Some((*name, value(name)?)));
        // In a CGI program it is a header of the request.
        let is_cgi = value("REQUEST_METHOD").is_some();
        let of_http: &[&'static str] = if is_cgi {
            &["http_proxy"]
        } else {
            &["http_proxy", "HTTP_PROXY"]
        };
        let all = || first(&["all_proxy", "ALL_PROXY"]);
        let proxy = |found: Option<(&'static str, String)>| {
            found.map(|(variable, text)| Proxy {
                variable,
                url: read_url(&text),
            })
        };
        let except = first(&["no_proxy", "NO_PROXY"])
            .map(|(_, text)| text)
            .unwrap_or_default();
        Self {
            http: proxy(first(of_http).or_else(all)),
            https: proxy(first(&["https_proxy", "HTTPS_PROXY"]).or_else(all)),
            except: except
                .split(|character: char| character == ',' || character.is_whitespace())
                .filter_map(Exception::read)
                .collect(),
        }
    }

    /// The proxy for a URL; `None`: none.
    ///
    /// # Errors
    /// With a message, when there is one that cannot be used.
    pub(super) fn of(&self, url: &Url) -> Result<Option<&Url>, String> {
        let proxy = if url.scheme() == "https" {
            &self.https
        } else {
            &self.http
        };
        let Some(proxy) = proxy.as_ref().filter(|_| !self.excepts(url)) else {
            return Ok(None);
        };
        match &proxy.url {
            Some(url) => Ok(Some(url)),
            None => Err(format!(
                "the environment variable {} names no proxy that can be used: give the URL of one of http or https, or name the host in NO_PROXY",
                proxy.variable
            )),
        }
    }

    fn excepts(&self, url: &Url) -> bool {
        let port = url.port_or_known_default();
        let host = url.host_str().unwrap_or_default();
        let host = without_brackets(host).trim_end_matches('.').to_ascii_lowercase();
        let address = IpAddr::from_str(&host).ok();
        let is_port = |wanted: &Option<u16>| wanted.is_none() || *wanted == port;
        self.except.iter().any(|exception| match exception {
            Exception::All => true,
            Exception::Host(name, wanted) => {
                let is_below = host
                    .strip_suffix(&**name)
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
                address.is_none() && is_below && is_port(wanted)
            }
            Exception::Network(network, bits, wanted) => {
                address.is_some_and(|address| is_within(address, *network, *bits)) && is_port(wanted)
            }
        })
    }
}

/// The URL of a proxy, whose scheme may be missing.
fn read_url(text: &str) -> Option<Url> {
    let text = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let url = Url::parse(&text).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

impl Exception {
    fn read(entry: &str) -> Option<Self> {
        if entry == "*" {
            return Some(Self::All);
        }
        if let Ok(address) = IpAddr::from_str(without_brackets(entry)) {
            return Some(Self::Network(address, width(address), None));
        }
        if let Some((address, bits)) = entry.split_once('/') {
            let address = IpAddr::from_str(without_brackets(address)).ok()?;
            let bits = bits.parse().ok().filter(|bits| *bits <= width(address))?;
            return Some(Self::Network(address, bits, None));
        }
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (entry, None),
        };
        if let Ok(address) = IpAddr::from_str(without_brackets(host)) {
            return Some(Self::Network(address, width(address), port));
        }
        let host = host.trim_start_matches('*').trim_matches('.').to_ascii_lowercase();
        (!host.is_empty()).then(|| Self::Host(host.into(), port))
    }
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let differing = match (address.to_canonical(), network) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        _ => return false,
    };
    differing >= bits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &'static [(&'static str, &'static str)]) -> Proxies {
        Proxies::read(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn of(proxies: &Proxies, url: &str) -> Option<String> {
        let url = Url::parse(url).unwrap();
        proxies.of(&url).unwrap().map(|proxy| proxy.to_string())
    }

    #[test]
    fn variables_name_the_proxy_of_each_scheme() {
        let each = proxies(&[
            ("HTTP_PROXY", "proxy:3128"),
            ("HTTPS_PROXY", "http://me:secret@proxy:3129/"),
        ]);
        assert_eq!(of(&each, "http://a/").as_deref(), Some("http://proxy:3128/"));
        assert_eq!(of(&each, "https://a/").as_deref(), Some("http://me:secret@proxy:3129/"));
        let all = proxies(&[
            ("ALL_PROXY", "https://proxy"),
            ("http_proxy", "a:1"),
            ("HTTP_PROXY", "b:1"),
            ("https_proxy", ""),
        ]);
        assert_eq!(of(&all, "http://x/").as_deref(), Some("http://a:1/"));
        assert_eq!(of(&all, "https://x/").as_deref(), Some("https://proxy/"));
        let cgi = proxies(&[("HTTP_PROXY", "a:1"), ("REQUEST_METHOD", "GET")]);
        assert_eq!(of(&cgi, "http://x/"), None);
        assert_eq!(of(&proxies(&[]), "http://x/"), None);
    }

    #[test]
    fn exceptions_are_names_addresses_networks_and_ports() {
        for (except, direct, by_proxy) in [
            (
                "*",
                &["http://example.com/", "http://127.0.0.1/", "http://[::1]/"][..],
                &[][..],
            ),
            (
                "example.com",
                &[
                    "http://example.com/",
                    "http://EXAMPLE.com./",
                    "http://www.example.com:81/",
                ],
                &["http://notexample.com/", "http://example.com.evil/"],
            ),
            (
                ".example.com *.b.org",
                &["http://example.com/", "http://a.b.org/"],
                &["http://example.org/"],
            ),
            (
                "a,example.com:8080",
                &["http://example.com:8080/", "http://www.example.com:8080/", "http://a/"],
                &["http://example.com/", "http://example.com:8081/"],
            ),
            ("example.com:443", &["https://example.com/"], &["http://example.com/"]),
            (
                "127.0.0.1, 10.1.0.0/16",
                &["http://127.0.0.1:9/", "http://10.1.2.3/", "http://[::ffff:10.1.2.3]/"],
                &["http://127.0.0.2/", "http://10.2.0.1/", "http://10.1.2.3.example.com/"],
            ),
            ("127.0.0.1:80", &["http://127.0.0.1/"], &["http://127.0.0.1:81/"]),
            (
                "[::1], fd00::/8 [fe80::1]:81",
                &["http://[::1]/", "http://[fd12::1]/", "http://[fe80::1]:81/"],
                &["http://[::2]/", "http://[fe80::1]/", "http://1.1.1.1/"],
            ),
            ("0.0.0.0/0", &["http://1.2.3.4/"], &["http://a/", "http://[::1]/"]),
            (
                "10.0.0.0/33, 10.0.0.0/x, :80, ., a:b",
                &[],
                &["http://10.0.0.0/", "http://a/", "http://b/"],
            ),
        ] {
            let proxies = Proxies::read(|name| match name {
                "all_proxy" => Some("proxy".to_owned()),
                "no_proxy" => Some(except.to_owned()),
                _ => None,
            });
            for url in direct {
                assert_eq!(of(&proxies, url), None, "{except}: {url}");
            }
            for url in by_proxy {
                assert!(of(&proxies, url).is_some(), "{except}: {url}");
            }
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_named_by_its_variable_where_it_would_be() {
        for text in ["socks5://me:hunter2@proxy:1080", "http://", "http://hunter2:x:y/"] {
            let proxies = Proxies::read(|name| match name {
                "HTTPS_PROXY" => Some(text.to_owned()),
                "NO_PROXY" => Some("b".to_owned()),
                _ => None,
            });
            let message = proxies.of(&Url::parse("https://a/").unwrap()).unwrap_err();
            assert!(
                message.contains("HTTPS_PROXY") && !message.contains("hunter2"),
                "{message}"
            );
            assert_eq!(of(&proxies, "https://b/"), None);
            assert_eq!(of(&proxies, "http://a/"), None);
        }
    }
}
