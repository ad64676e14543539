//! Reads `dynamodb://region/accessKeyId/secret?endpoint=…`.
//!
//! Does not connect. Invariant: no error contains any part of an address but the name of an option.

use crate::connector::Failure;
use crate::connector::aws::GivenKey;
use crate::text::percent::decode;
use crate::text::spelling::{suggestion, truncated};
use url::Url;

/// Options behind the question mark.
const OPTIONS: [&str; 3] = ["endpoint", "profile", "session_token"];

/// Where tables are, and by which credentials.
#[derive(Debug)]
pub(super) struct Address {
    pub(super) region: String,
    pub(super) endpoint: Url,
    /// What the address says; `None`: what the environment has.
    pub(super) given: Option<GivenKey>,
    /// The profile in the shared files; `None`: `AWS_PROFILE`, or `default`.
    pub(super) profile: Option<String>,
}

impl Address {
    /// `endpoint` is that of the definition; the address may name one, too.
    pub(super) fn read(url: &str, endpoint: Option<&str>) -> Result<Self, Failure> {
        let wrong = || {
            Failure::invalid(
                "connection_url is no address of DynamoDB; it must look like 'dynamodb://eu-west-1' or 'dynamodb://eu-west-1/accessKeyId/secret'",
            )
        };
        let rest = url.strip_prefix("dynamodb://").ok_or_else(wrong)?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (region, key) = place.split_once('/').unwrap_or((place, ""));
        let is_region = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if region.is_empty() || region.len() > 50 || !region.bytes().all(is_region) {
            return Err(wrong());
        }
        let (mut named, mut profile, mut session_token) = (None, None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = text(value).ok_or_else(wrong)?;
            match name {
                "endpoint" => named = Some(value),
                "profile" => profile = Some(value),
                "session_token" => session_token = Some(value),
                _ => {
                    return Err(Failure::invalid(format!(
                        "connection_url: '{}' is no option of DynamoDB; {}",
                        truncated(name),
                        suggestion(name, &OPTIONS)
                    )));
                }
            }
        }
        let given = match key.trim_end_matches('/') {
            "" if session_token.is_some() => return Err(wrong()),
            "" => None,
            // A secret may hold slashes.
            key => {
                let (id, secret) = key.split_once('/').ok_or_else(wrong)?;
                let is_sendable = |text: &String| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
                Some(GivenKey {
                    id: text(id).filter(is_sendable).ok_or_else(wrong)?,
                    secret: text(secret).filter(is_sendable).ok_or_else(wrong)?,
                    session_token: session_token
                        .map(|token| Some(token).filter(is_sendable).ok_or_else(wrong))
                        .transpose()?,
                })
            }
        };
        if given.is_some() && profile.is_some() {
            return Err(Failure::invalid(
                "connection_url: has credentials and `profile` too; give one of them",
            ));
        }
        if named.is_some() && endpoint.is_some() {
            return Err(Failure::invalid(
                "endpoint: is in connection_url and in the definition; give one of them",
            ));
        }
        let endpoint = match named.as_deref().or(endpoint) {
            Some(endpoint) => read_endpoint(endpoint)?,
            None => Url::parse(&usual_endpoint(region)).map_err(|_| wrong())?,
        };
        Ok(Self {
            region: region.to_owned(),
            endpoint,
            given,
            profile,
        })
    }
}

fn text(encoded: &str) -> Option<String> {
    String::from_utf8(decode(encoded)).ok()
}

fn usual_endpoint(region: &str) -> String {
    let domain = if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    };
    format!("https://dynamodb.{region}.{domain}/")
}

fn read_endpoint(endpoint: &str) -> Result<Url, Failure> {
    let read = Url::parse(endpoint).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
    });
    read.ok_or_else(|| Failure::invalid("endpoint: must be an address such as 'http://127.0.0.1:8000'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_has_a_region_and_may_have_credentials_and_an_endpoint() {
        let read = |url: &str| Address::read(url, None).unwrap();
        let plain = read("dynamodb://eu-west-1");
        assert_eq!(plain.endpoint.as_str(), "https://dynamodb.eu-west-1.amazonaws.com/");
        assert!(plain.given.is_none());
        let chinese = read("dynamodb://cn-north-1/?profile=work");
        assert_eq!(
            chinese.endpoint.as_str(),
            "https://dynamodb.cn-north-1.amazonaws.com.cn/"
        );
        assert_eq!(chinese.profile.as_deref(), Some("work"));
        let local = read("dynamodb://eu-west-1/AKID/a%2Fb/c+d?endpoint=http%3A%2F%2Flocalhost:8000&session_token=t");
        let key = local.given.unwrap();
        assert_eq!((&*key.id, &*key.secret), ("AKID", "a/b/c+d"));
        assert_eq!(key.session_token.as_deref(), Some("t"));
        assert_eq!(local.endpoint.as_str(), "http://localhost:8000/");
        let named = Address::read("dynamodb://local", Some("http://h:1")).unwrap();
        assert_eq!(named.endpoint.as_str(), "http://h:1/");
    }

    #[test]
    fn address_error_does_not_reveal_the_secret() {
        for (url, endpoint) in [
            ("dynamodb:///AKID/s3cret", None),
            ("dynamodb://eu west/AKID/s3cret", None),
            ("dynamodb://EU/AKID/s3cret", None),
            ("dynamodb://evil.com#/AKID/s3cret", None),
            ("dynamodb://user:s3cret@eu-west-1", None),
            ("dynamodb://eu-west-1/s3cret", None),
            ("dynamodb://eu-west-1/AKID/s3cret%0A", None),
            ("dynamodb://eu-west-1/AKID/s3cret?regoin=s3cret", None),
            ("dynamodb://eu-west-1/AKID/s3cret?profile=s3cret", None),
            ("dynamodb://eu-west-1?session_token=s3cret", None),
            ("dynamodb://eu-west-1?endpoint=s3cret", None),
            ("dynamodb://eu-west-1?endpoint=ftp://s3cret", None),
            ("dynamodb://eu-west-1?endpoint=http://u:s3cret@h", None),
            ("dynamodb://eu-west-1?endpoint=http://h/s3cret", None),
            ("dynamodb://eu-west-1?endpoint=http://h", Some("http://s3cret")),
            ("postgres://s3cret", None),
            ("s3cret", None),
        ] {
            let failure = Address::read(url, endpoint).unwrap_err();
            assert_eq!(&*failure.code, "VALIDATION_ERROR", "{url}");
            assert!(!failure.message.contains("s3cret"), "{url}: {}", failure.message);
        }
    }
}
