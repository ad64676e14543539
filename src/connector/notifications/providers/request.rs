//! A request to a provider's API. Pure.

use crate::connector::Failure;
use crate::http::Client;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, RequestBuilder, Url};
use serde_json::Value;

/// A request, as it is sent.
pub(super) struct ApiRequest {
    pub method: Method,
    pub url: Url,
    /// Names in lower case.
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl ApiRequest {
    /// Asks for what is there.
    pub(super) fn get(url: Url) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// Sends JSON.
    pub(super) fn json(url: Url, body: &Value) -> Self {
        Self {
            method: Method::POST,
            url,
            headers: vec![("content-type", "application/json".to_owned())],
            body: body.to_string(),
        }
    }

    /// Sends a form.
    pub(super) fn form(url: Url, members: &[(&str, &str)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(members)
            .finish();
        Self {
            method: Method::POST,
            url,
            headers: vec![("content-type", "application/x-www-form-urlencoded".to_owned())],
            body,
        }
    }

    /// With one more header.
    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With user and password.
    pub(super) fn basic(self, user: &str, password: &str) -> Self {
        let encoded = STANDARD.encode(format!("{user}:{password}"));
        self.header("authorization", format!("Basic {encoded}"))
    }

    /// As the HTTP client has it.
    pub(super) fn build(self, client: &Client) -> RequestBuilder {
        let mut request = client.request(self.method, self.url);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        if self.body.is_empty() {
            request
        } else {
            request.body(self.body)
        }
    }
}

/// Reads the URL of a provider's API.
pub(super) fn base_url(text: &str, path: &str) -> Result<Url, Failure> {
    let url = Url::parse(text).map_err(|error| Failure::invalid(format!("{path}: is no URL: {error}")))?;
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if !matches!(url.scheme(), "http" | "https") || !plain {
        return Err(Failure::invalid(format!(
            "{path}: must be a URL of http or https without a user, a password and a query"
        )));
    }
    Ok(url)
}

/// A place below the URL of an API; the segments are encoded.
pub(super) fn at(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    // URLs of http and https always have a path.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}
