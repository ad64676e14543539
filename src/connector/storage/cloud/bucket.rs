//! Buckets and containers, and what their definitions have in common.

use super::http;
use crate::connector::Failure;
use crate::engine::inputs::ExpressionResolver;
use crate::http::{Client, ClientOptions};
use crate::resources::{OutboundRules, Text};
use object_store::list::PaginatedListStore;
use object_store::signer::Signer;
use object_store::{ObjectStore, RetryConfig};
use reqwest::Url;
use std::sync::Arc;

/// Connections to one bucket that are kept while nothing uses them.
const IDLE_CONNECTIONS: usize = 16;

/// A bucket or container, ready for use.
pub(super) struct Bucket {
    /// For one object.
    pub objects: Arc<dyn ObjectStore>,
    /// For lists.
    pub pages: Arc<dyn PaginatedListStore>,
    /// For URLs.
    pub signer: Arc<dyn Signer>,
    /// Where its objects are: their paths follow.
    pub url: Url,
    /// Headers that a client must send to write by a signed URL.
    pub write_headers: &'static [(&'static str, &'static str)],
}

impl Bucket {
    pub(super) fn new<T>(store: T, url: Url) -> Self
    where
        T: ObjectStore + PaginatedListStore + Signer,
    {
        Self::of(&Arc::new(store), url)
    }

    pub(super) fn of<T>(store: &Arc<T>, url: Url) -> Self
    where
        T: ObjectStore + PaginatedListStore + Signer,
    {
        Self {
            objects: Arc::clone(store) as _,
            pages: Arc::clone(store) as _,
            signer: Arc::clone(store) as _,
            url,
            write_headers: &[],
        }
    }
}

/// Retries are made where requests are sent, and by the engine.
pub(super) fn no_retries() -> RetryConfig {
    RetryConfig {
        max_retries: 0,
        ..RetryConfig::default()
    }
}

/// What sends the requests to a bucket at `url`.
pub(super) async fn connector(
    url: &Url,
    ca: Option<&Text>,
    outbound: &OutboundRules,
    expressions: &ExpressionResolver,
) -> Result<http::Connector, Failure> {
    let authorities = reveal(ca, expressions).await?;
    let client = |outbound: OutboundRules| {
        Client::open(ClientOptions {
            authorities: authorities.clone(),
            idle_per_host: IDLE_CONNECTIONS,
            // An object is what it is, also where it says that it is compressed.
            compressed: false,
            ..ClientOptions::new(outbound)
        })
    };
    Ok(http::Connector {
        guarded: client(outbound.clone()).await?,
        open: client(OutboundRules::default()).await?,
        host: url.host_str().unwrap_or_default().into(),
    })
}

/// A text of a definition with its secrets in it; an empty one counts as absent.
pub(super) async fn reveal(text: Option<&Text>, expressions: &ExpressionResolver) -> Result<Option<String>, Failure> {
    match text {
        Some(text) => {
            let revealed = expressions.reveal(text.as_written()).await?;
            Ok(Some(revealed).filter(|revealed| !revealed.is_empty()))
        }
        None => Ok(None),
    }
}

/// The name of a bucket or container, which becomes a part of a URL.
pub(super) async fn reveal_name(
    text: &Text,
    member: &str,
    expressions: &ExpressionResolver,
) -> Result<String, Failure> {
    let name = expressions.reveal(text.as_written()).await?;
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b".-_$".contains(&byte);
    if name.is_empty() || !name.bytes().all(sound) || name.starts_with('.') {
        return Err(Failure::invalid(format!(
            "`{member}` is no name of a bucket or container"
        )));
    }
    Ok(name)
}

/// A URL of a definition. It is not repeated in a message.
pub(super) fn endpoint(text: &str) -> Result<Url, Failure> {
    let url = Url::parse(text).map_err(|error| Failure::invalid(format!("`endpoint` is no URL: {error}")))?;
    let has_user = !url.username().is_empty() || url.password().is_some();
    if !matches!(url.scheme(), "http" | "https") || has_user || url.query().is_some() || url.fragment().is_some() {
        return Err(Failure::invalid(
            "`endpoint` must be a URL of http or https without user, query and fragment",
        ));
    }
    Ok(url)
}

/// A URL with another part at the end of its path.
pub(super) fn below(mut url: Url, name: &str) -> Url {
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().push(name);
    }
    url
}

/// A URL as `object_store` takes one: without a slash at its end.
pub(super) fn trimmed(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

/// A definition that `object_store` refuses. What it says may name a secret, and is left out.
pub(super) fn refused(what: &'static str) -> impl Fn(object_store::Error) -> Failure {
    move |_| Failure::invalid(what)
}
