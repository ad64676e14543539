//! Buckets of Google Cloud Storage.

use super::bucket::{Bucket, below, connector, endpoint, no_retries, refused, reveal, reveal_name, trimmed};
use crate::connector::Failure;
use crate::engine::inputs::ExpressionResolver;
use crate::resources::{GcpBucket, OutboundRules};
use crate::text::percent;
use async_trait::async_trait;
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder};
use object_store::path::Path as ObjectPath;
use object_store::signer::Signer;
use reqwest::{Method, Url};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Google's own address.
const GOOGLE: &str = "https://storage.googleapis.com";
/// The variable that names a file of credentials.
const CREDENTIALS_VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
/// Largest file of a key.
const MAX_KEY_BYTES: u64 = 1 << 20;

pub(super) async fn open(
    place: &GcpBucket,
    outbound: &OutboundRules,
    expressions: &ExpressionResolver,
) -> Result<Bucket, Failure> {
    let bucket = reveal_name(&place.bucket, "bucketName", expressions).await?;
    let service = match reveal(place.endpoint.as_ref(), expressions).await? {
        Some(text) => endpoint(&text)?,
        None => endpoint(GOOGLE)?,
    };
    let url = below(service.clone(), &bucket);
    let host = connector(&url, place.ca.as_ref(), outbound, expressions).await?;
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(&bucket)
        .with_base_url(&trimmed(&service))
        .with_retry(no_retries())
        .with_client_options(object_store::ClientOptions::new().with_allow_http(true))
        .with_http_connector(host);
    if let Some(key) = service_account(place, expressions).await? {
        // Its error would name what is in it.
        let sound: Result<serde_json::Value, _> = serde_json::from_str(&key);
        let is_key = |key: &serde_json::Value| {
            ["private_key", "private_key_id", "client_email"]
                .iter()
                .all(|name| key.get(name).is_some_and(serde_json::Value::is_string))
        };
        if !sound.is_ok_and(|key| is_key(&key)) {
            return Err(Failure::invalid(
                "`config` is no key of a service account: it must have private_key, private_key_id and client_email",
            ));
        }
        builder = builder.with_service_account_key(key);
    } else if let Ok(file) = std::env::var(CREDENTIALS_VARIABLE) {
        builder = builder.with_application_credentials(file);
    }
    let store = tokio::task::spawn_blocking(move || builder.build()).await;
    let store = store
        .map_err(|_| Failure::unavailable("the storage is closed"))?
        .map_err(refused(
            "the key of the service account cannot be read, or the file that GOOGLE_APPLICATION_CREDENTIALS or gcloud names",
        ))?;
    let store = Arc::new(store);
    let mut bucket = Bucket::of(&store, url);
    bucket.signer = Arc::new(EncodingSigner(store));
    Ok(bucket)
}

/// Signs URLs of names as they stand in URLs: the crate takes a name for one that does already, so that `a%20b` would be `a b`, and
/// all behind `?` or `#` lost.
struct EncodingSigner(Arc<GoogleCloudStorage>);

impl fmt::Debug for EncodingSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncodingSigner")
    }
}

#[async_trait]
impl Signer for EncodingSigner {
    async fn signed_url(&self, method: Method, path: &ObjectPath, expires_in: Duration) -> object_store::Result<Url> {
        self.0.signed_url(method, &encoded(path), expires_in).await
    }
}

/// The path with each of its names percent-encoded.
fn encoded(path: &ObjectPath) -> ObjectPath {
    let mut text = String::new();
    for (place, name) in path.as_ref().split('/').enumerate() {
        if place > 0 {
            text.push('/');
        }
        percent::encode_into(&mut text, name);
    }
    // Of letters, digits and percent signs, any is one.
    ObjectPath::parse(&text).unwrap_or_else(|_| path.clone())
}

/// JSON text of the key of a service account, if the definition has one.
async fn service_account(place: &GcpBucket, expressions: &ExpressionResolver) -> Result<Option<String>, Failure> {
    if let Some(json) = &place.service_account {
        let json = expressions.reveal_json(json.as_written(), 0).await?;
        // A text that holds the JSON, such as a secret.
        return Ok(Some(serde_json::from_str::<String>(&json).unwrap_or(json)));
    }
    let Some(file) = reveal(place.key_file.as_ref(), expressions).await? else {
        return Ok(None);
    };
    let read = tokio::task::spawn_blocking(move || crate::text_file::read_text_file(Path::new(&file), MAX_KEY_BYTES));
    match read.await {
        Ok(Ok(text)) => Ok(Some(text)),
        _ => Err(Failure::invalid("the file that `keyFilename` names cannot be read")),
    }
}
