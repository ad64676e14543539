//! Reads `neo4j+s://user:password@host:7687?…`.
//!
//! Does not connect. Invariant: no error contains any part of an address.

use super::bolt::{Login, Transport, UserAndPassword, VERSIONS, Value};
use crate::connector::Failure;
use crate::text::percent;
use crate::tls::{self, CertificateCheck};
use std::sync::Arc;
use url::{Host, Url};

/// The port of an address that names none.
pub(super) const DEFAULT_PORT: u16 = 7687;

/// A server's host and port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ServerName {
    pub(super) host: Box<str>,
    pub(super) port: u16,
}

impl ServerName {
    /// Reads `host:port`, as routing tables have it.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.ends_with(':') => (host, port.parse().ok()?),
            _ => (text, DEFAULT_PORT),
        };
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        (!host.is_empty()).then(|| Self {
            host: host.into(),
            port,
        })
    }
}

/// Where a graph is, and how to get there.
pub(super) struct Address {
    pub(super) server: ServerName,
    pub(super) transport: Transport,
    pub(super) login: Login,
    /// Whether `server` tells who reads and who writes.
    pub(super) routed: bool,
}

/// What a definition says beside the address, with its secrets resolved.
#[derive(Default)]
pub(super) struct Credentials<'a> {
    pub(super) username: Option<&'a str>,
    pub(super) password: Option<&'a str>,
    /// PEM, or the path of such a file.
    pub(super) ca: Option<&'a str>,
}

impl Address {
    pub(super) fn read(text: &str, credentials: &Credentials<'_>) -> Result<Self, Failure> {
        let url = Url::parse(text).map_err(|_| no_address())?;
        let host = match url.host() {
            Some(Host::Domain(name)) => percent_decoded(name),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return Err(no_address()),
        };
        let (routed, check) = match url.scheme() {
            "bolt" => (false, None),
            "bolt+s" => (false, Some(CertificateCheck::AuthorityAndName)),
            "bolt+ssc" => (false, Some(CertificateCheck::Skip)),
            "neo4j" => (true, None),
            "neo4j+s" => (true, Some(CertificateCheck::AuthorityAndName)),
            "neo4j+ssc" => (true, Some(CertificateCheck::Skip)),
            _ => return Err(no_address()),
        };
        if credentials.ca.is_some() && check != Some(CertificateCheck::AuthorityAndName) {
            return Err(Failure::invalid(
                "`ca` has no effect with this connection_url; certificates are checked with bolt+s:// and neo4j+s://",
            ));
        }
        if !matches!(url.path(), "" | "/") {
            return Err(Failure::invalid(
                "connection_url has a path, which says nothing; the database is named by `database`",
            ));
        }
        let server = ServerName {
            host: host.into(),
            port: url.port().unwrap_or(DEFAULT_PORT),
        };
        let tls = check.map(|check| tls::client_config(check, credentials.ca)).transpose();
        let tls = tls.map_err(|why| Failure::invalid(format!("the certificates of `ca`: {why}")))?;
        Ok(Self {
            login: Login {
                credentials: login(&url, credentials)?,
                routing: routing(&url, &server, routed)?,
            },
            server,
            transport: Transport {
                tls: tls.map(Arc::new),
                versions: VERSIONS,
            },
            routed,
        })
    }
}

fn no_address() -> Failure {
    Failure::invalid(
        "connection_url is no address of a graph; it must look like 'neo4j://user:password@host:7687' or 'bolt://…', with special characters in the password percent-encoded",
    )
}

fn percent_decoded(text: &str) -> String {
    String::from_utf8_lossy(&percent::decode(text)).into_owned()
}

/// Those of the definition, else those of the address.
fn login(url: &Url, credentials: &Credentials<'_>) -> Result<Option<UserAndPassword>, Failure> {
    let of_url = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(percent_decoded);
    let user = credentials
        .username
        .map(str::to_owned)
        .or_else(|| of_url(Some(url.username())));
    let password = credentials
        .password
        .map(str::to_owned)
        .or_else(|| of_url(url.password()));
    match (user, password) {
        (None, None) => Ok(None),
        (Some(user), password) => Ok(Some((user.into(), password.unwrap_or_default().into()))),
        (None, Some(_)) => Err(Failure::invalid(
            "there is a password and no user; name one in connection_url or as `username`",
        )),
    }
}

/// What servers choose a routing table by: the address that was asked, and the parameters of the address.
fn routing(url: &Url, server: &ServerName, routed: bool) -> Result<Option<Value>, Failure> {
    let mut context = vec![(
        "address".into(),
        Value::Text(format!("{}:{}", server.host, server.port).into()),
    )];
    for (name, value) in url.query_pairs() {
        if !routed || *name == *"address" {
            return Err(Failure::invalid(
                "connection_url has a parameter that says nothing here; only neo4j:// takes some, for the routing policy",
            ));
        }
        context.push(((*name).into(), Value::text(&value)));
    }
    Ok(routed.then_some(Value::Map(context)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Address, Failure> {
        Address::read(url, &Credentials::default())
    }

    #[test]
    fn addresses_say_where_who_and_how() {
        let address = read("neo4j://ann:p%40ss%2Fword@db.example:7688?policy=eu").unwrap();
        assert_eq!(address.server, ServerName::read("db.example:7688").unwrap());
        assert_eq!(address.login.credentials, Some(("ann".into(), "p@ss/word".into())));
        assert!(address.routed && address.transport.tls.is_none());
        let context = address.login.routing.unwrap();
        assert_eq!(context.get("address").and_then(Value::as_text), Some("db.example:7688"));
        assert_eq!(context.get("policy").and_then(Value::as_text), Some("eu"));
        let address = read("bolt+ssc://[::1]").unwrap();
        assert_eq!((&*address.server.host, address.server.port), ("::1", 7687));
        assert!(!address.routed && address.transport.tls.is_some() && address.login.credentials.is_none());
        let given = Credentials {
            username: Some("bob"),
            password: Some("secret"),
            ca: None,
        };
        let address = Address::read("bolt://ann:other@h", &given).unwrap();
        assert_eq!(address.login.credentials, Some(("bob".into(), "secret".into())));
    }

    #[test]
    fn servers_of_routing_tables_are_read() {
        for (text, host, port) in [("h:1", "h", 1), ("h", "h", 7687), ("[::1]:7688", "::1", 7688)] {
            let server = ServerName::read(text).unwrap();
            assert_eq!((&*server.host, server.port), (host, port), "{text}");
        }
        for text in ["", ":7687", "h:port", "h:70000"] {
            assert_eq!(ServerName::read(text), None, "{text}");
        }
    }

    #[test]
    fn address_error_does_not_reveal_the_password() {
        for url in [
            "neo4j://u:s3cret@h:port",
            "http://u:s3cret@h:7474",
            "bolt://u:s3cret@h/database",
            "bolt://u:s3cret@h?policy=eu",
            "bolt://:s3cret@h",
            "s3cret",
        ] {
            let failure = read(url).err().unwrap_or_else(|| panic!("{url} was taken"));
            assert_eq!(&*failure.code, "VALIDATION_ERROR");
            assert!(!failure.message.contains("s3cret"), "{}", failure.message);
        }
        let trusting = Credentials {
            ca: Some("/ca.pem"),
            ..Credentials::default()
        };
        assert!(
            Address::read("bolt://h", &trusting)
                .err()
                .unwrap()
                .message
                .contains("`ca`")
        );
    }
}
