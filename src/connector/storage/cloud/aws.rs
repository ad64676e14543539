//! Buckets of S3, and of services that speak its protocol.

use super::bucket::{Bucket, below, connector, endpoint, no_retries, refused, reveal, reveal_name, trimmed};
use super::trouble::{self, Trouble};
use crate::connector::Failure;
use crate::connector::aws::{Chain, SEARCH_TIMEOUT};
use crate::engine::inputs::ExpressionResolver;
use crate::resources::{AwsBucket, OutboundRules};
use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::aws::{AmazonS3Builder, AwsCredential};
use reqsign_aws_v4::Credential;
use reqsign_core::{OsEnv, ProvideCredential, SigningCredential};
use reqwest::Url;
use std::sync::Arc;
use tokio::sync::Mutex;

/// The region of services that have none.
const USUAL_REGION: &str = "us-east-1";
/// Variables that name a region.
const REGION_VARIABLES: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

pub(super) async fn open(
    place: &AwsBucket,
    outbound: &OutboundRules,
    expressions: &ExpressionResolver,
) -> Result<Bucket, Failure> {
    let bucket = reveal_name(&place.bucket, "bucketName", expressions).await?;
    let own = match reveal(place.endpoint.as_ref(), expressions).await? {
        Some(text) => Some(endpoint(&text)?),
        None => None,
    };
    let region = match reveal(place.region.as_ref(), expressions).await? {
        Some(region) => region,
        None => region_of_machine(own.is_some())?,
    };
    if !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(Failure::invalid("`region` is no name of a region"));
    }
    let url = bucket_url(own, &region, &bucket, place.path_style)?;
    let host = connector(&url.bucket, place.ca.as_ref(), outbound, expressions).await?;
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&bucket)
        .with_region(&region)
        .with_endpoint(trimmed(&url.endpoint))
        .with_virtual_hosted_style_request(!url.is_path_style)
        // Objects are removed one by one, which every service can do.
        .with_disable_bulk_delete(true)
        .with_allow_http(true)
        .with_retry(no_retries())
        .with_http_connector(host);
    if let Some((id, secret)) = &place.key {
        builder = builder
            .with_access_key_id(expressions.reveal(id.as_written()).await?)
            .with_secret_access_key(expressions.reveal(secret.as_written()).await?);
        if let Some(token) = reveal(place.session_token.as_ref(), expressions).await? {
            builder = builder.with_token(token);
        }
    } else {
        let profile = reveal(place.profile.as_ref(), expressions).await?;
        builder = builder.with_credentials(Arc::new(Found {
            chain: Chain::new(&region, profile, OsEnv),
            last: Mutex::default(),
        }));
    }
    let store = builder.build().map_err(refused(
        "`bucketName`, `region` and `endpoint` make no address of a bucket",
    ))?;
    Ok(Bucket::new(store, url.bucket))
}

fn region_of_machine(has_endpoint: bool) -> Result<String, Failure> {
    let named = REGION_VARIABLES.into_iter().find_map(|name| std::env::var(name).ok());
    match named.filter(|region| !region.is_empty()) {
        Some(region) => Ok(region),
        None if has_endpoint => Ok(USUAL_REGION.to_owned()),
        None => Err(Failure::invalid(
            "`region` is missing; give it, or set AWS_REGION in the environment",
        )),
    }
}

/// Where a bucket is.
#[derive(Debug)]
struct BucketUrl {
    /// As `object_store` takes it: with the bucket, if that is in the host.
    endpoint: Url,
    /// With the bucket.
    bucket: Url,
    is_path_style: bool,
}

fn bucket_url(own: Option<Url>, region: &str, bucket: &str, path_style: Option<bool>) -> Result<BucketUrl, Failure> {
    // With a dot in its name it would be a host of two more parts, for which S3 has no certificate. Other services seldom have
    // a host for each bucket.
    let is_path_style = path_style.unwrap_or(own.is_some() || bucket.contains('.'));
    let service = match own {
        Some(url) => url,
        None => {
            let end = if region.starts_with("cn-") { ".cn" } else { "" };
            endpoint(&format!("https://s3.{region}.amazonaws.com{end}"))?
        }
    };
    if is_path_style {
        return Ok(BucketUrl {
            bucket: below(service.clone(), bucket),
            endpoint: service,
            is_path_style,
        });
    }
    let mut url = service;
    let host = format!("{bucket}.{}", url.host_str().unwrap_or_default());
    url.set_host(Some(&host)).map_err(|_| {
        Failure::invalid("`endpoint` has no host that a bucket can be before; set `forcePathStyle: true`")
    })?;
    Ok(BucketUrl {
        endpoint: url.clone(),
        bucket: url,
        is_path_style,
    })
}

/// Credentials that this machine has, kept for as long as they are good.
#[derive(Debug)]
struct Found {
    chain: Chain,
    last: Mutex<Option<Credential>>,
}

#[async_trait]
impl CredentialProvider for Found {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut last = self.last.lock().await;
        if let Some(credential) = last.as_ref().filter(|credential| credential.is_valid()) {
            return Ok(as_credential(credential));
        }
        self.chain.expect_answers();
        let provider = self.chain.provider();
        let asked = provider.provide_credential(self.chain.context());
        match tokio::time::timeout(SEARCH_TIMEOUT, asked).await {
            Ok(Ok(Some(credential))) => {
                let found = as_credential(&credential);
                *last = Some(credential);
                Ok(found)
            }
            Ok(_) if !self.chain.some_source_is_silent() => Err(without(Failure::unauthorized(
                "there are no credentials, neither in the definition nor in the environment, a profile, a web identity or a container, nor of the machine",
            ))),
            // A source that is there may have them the next time.
            _ => Err(without(Failure::connection(
                "no credentials were found, and a source of them did not answer; give `accessKeyId` and `secretAccessKey`, or set AWS_EC2_METADATA_DISABLED=true if this machine has none",
            ))),
        }
    }
}

fn as_credential(credential: &Credential) -> Arc<AwsCredential> {
    Arc::new(AwsCredential {
        key_id: credential.access_key_id.clone(),
        secret_key: credential.secret_access_key.clone(),
        token: credential.session_token.clone(),
    })
}

fn without(failure: Failure) -> object_store::Error {
    let source = failure.message.clone().into();
    trouble::note(Trouble::Unasked(failure));
    object_store::Error::Unauthenticated {
        path: String::new(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_in_the_host_or_in_the_path() {
        let own = |text: &str| Some(Url::parse(text).unwrap());
        for (service, region, bucket, style, expected) in [
            (
                None,
                "eu-west-1",
                "files",
                None,
                "https://files.s3.eu-west-1.amazonaws.com/",
            ),
            (
                None,
                "eu-west-1",
                "my.files",
                None,
                "https://s3.eu-west-1.amazonaws.com/my.files",
            ),
            (
                None,
                "eu-west-1",
                "files",
                Some(true),
                "https://s3.eu-west-1.amazonaws.com/files",
            ),
            (
                None,
                "cn-north-1",
                "files",
                None,
                "https://files.s3.cn-north-1.amazonaws.com.cn/",
            ),
            (
                own("http://127.0.0.1:9000"),
                "us-east-1",
                "files",
                None,
                "http://127.0.0.1:9000/files",
            ),
            (
                own("http://minio:9000/base/"),
                "us-east-1",
                "files",
                None,
                "http://minio:9000/base/files",
            ),
            (
                own("https://a.r2.example.com"),
                "auto",
                "files",
                Some(false),
                "https://files.a.r2.example.com/",
            ),
        ] {
            let url = bucket_url(service, region, bucket, style).unwrap();
            assert_eq!(url.bucket.as_str(), expected);
        }
        assert!(bucket_url(own("http://[::1]:9000"), "r", "files", Some(false)).is_err());
    }
}
