//! Containers of Azure Blob Storage.

use super::bucket::{Bucket, below, connector, endpoint, no_retries, refused, reveal, reveal_name, trimmed};
use super::sas::SasSigner;
use crate::connector::Failure;
use crate::engine::inputs::ExpressionResolver;
use crate::resources::{AzureContainer, OutboundRules};
use crate::text::percent;
use object_store::azure::MicrosoftAzureBuilder;
use reqwest::Url;
use std::fmt;
use std::sync::Arc;

/// What follows the name of an account in Azure's own addresses.
const SUFFIX: &str = "core.windows.net";
/// Of the emulator, which is the same for everybody.
const EMULATOR: (&str, &str, &str) = (
    "devstoreaccount1",
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    "http://127.0.0.1:10000/devstoreaccount1",
);

pub(super) async fn open(
    place: &AzureContainer,
    outbound: &OutboundRules,
    expressions: &ExpressionResolver,
) -> Result<Bucket, Failure> {
    let container = reveal_name(&place.container, "containerName", expressions).await?;
    let account = match reveal(place.connection_string.as_ref(), expressions).await? {
        Some(text) => Account::read(&text)?,
        None => Account {
            name: reveal(place.account.as_ref(), expressions).await?.unwrap_or_default(),
            key: reveal(place.key.as_ref(), expressions).await?,
            sas_token: reveal(place.sas_token.as_ref(), expressions).await?,
            endpoint: reveal(place.endpoint.as_ref(), expressions).await?,
        },
    };
    let sound = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if account.name.is_empty() || !account.name.bytes().all(sound) {
        return Err(Failure::invalid("`accountName` is no name of an account"));
    }
    let service = account.url()?;
    let url = below(service.clone(), &container);
    let host = connector(&url, place.ca.as_ref(), outbound, expressions).await?;
    // The variables say which identity a machine has, where no key is given.
    let mut builder = match (&account.key, &account.sas_token) {
        (None, None) => MicrosoftAzureBuilder::from_env(),
        _ => MicrosoftAzureBuilder::new(),
    }
    .with_account(&account.name)
    .with_container_name(&container)
    .with_endpoint(trimmed(&service))
    .with_allow_http(true)
    .with_retry(no_retries())
    .with_http_connector(host);
    if let Some(key) = &account.key {
        builder = builder.with_access_key(key);
    } else if let Some(token) = &account.sas_token {
        builder = builder.with_sas_authorization(sas_pairs(token));
    }
    let store = builder
        .build()
        .map_err(refused("the account's key is no base64, or its address is none"))?;
    let mut bucket = Bucket::new(store, url.clone());
    let key = account.key.as_deref();
    if let Some(signer) = key.and_then(|key| SasSigner::new(&account.name, &container, url, key)) {
        bucket.signer = Arc::new(signer);
    }
    bucket.write_headers = &[("x-ms-blob-type", "BlockBlob")];
    Ok(bucket)
}

/// An account of Azure's storage.
#[derive(Default, PartialEq, Eq)]
struct Account {
    name: String,
    key: Option<String>,
    sas_token: Option<String>,
    endpoint: Option<String>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Account({}, {:?})", self.name, self.endpoint)
    }
}

impl Account {
    /// Reads a connection string: `Name=Value` pairs with `;` between them.
    fn read(text: &str) -> Result<Self, Failure> {
        let mut account = Self::default();
        let (mut scheme, mut suffix) = ("https", SUFFIX);
        for pair in text.split(';').map(str::trim).filter(|pair| !pair.is_empty()) {
            let Some((name, value)) = pair.split_once('=') else {
                return Err(Failure::invalid(
                    "`connectionString` must be pairs such as AccountName=…, with ';' between them",
                ));
            };
            match name.trim().to_ascii_lowercase().as_str() {
                "accountname" => account.name = value.to_owned(),
                "accountkey" => account.key = Some(value.to_owned()),
                "sharedaccesssignature" => account.sas_token = Some(value.to_owned()),
                "blobendpoint" => account.endpoint = Some(value.to_owned()),
                "defaultendpointsprotocol" => scheme = value,
                "endpointsuffix" => suffix = value,
                "usedevelopmentstorage" if value.eq_ignore_ascii_case("true") => {
                    account.name = EMULATOR.0.to_owned();
                    account.key = Some(EMULATOR.1.to_owned());
                    account.endpoint = Some(EMULATOR.2.to_owned());
                }
                // Queues, tables and files have addresses of their own there.
                _ => {}
            }
        }
        if account.name.is_empty()
            && let Some(url) = account
                .endpoint
                .as_deref()
                .and_then(|endpoint| Url::parse(endpoint).ok())
            && let Some((name, _)) = url.host_str().unwrap_or_default().split_once('.')
        {
            account.name = name.to_owned();
        }
        if account.endpoint.is_none() && !account.name.is_empty() {
            account.endpoint = Some(format!("{scheme}://{}.blob.{suffix}", account.name));
        }
        if account.name.is_empty() || account.key.is_none() && account.sas_token.is_none() {
            return Err(Failure::invalid(
                "`connectionString` must have AccountName with AccountKey, or BlobEndpoint with SharedAccessSignature",
            ));
        }
        Ok(account)
    }

    /// Where its blobs are.
    fn url(&self) -> Result<Url, Failure> {
        match &self.endpoint {
            Some(text) => endpoint(text),
            None => endpoint(&format!("https://{}.blob.{SUFFIX}", self.name)),
        }
    }
}

/// The parameters of a signature that grants access.
fn sas_pairs(token: &str) -> Vec<(String, String)> {
    let decoded = |text: &str| String::from_utf8_lossy(&percent::decode(text)).into_owned();
    token
        .trim_start_matches('?')
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_strings_are_read() {
        let url = |text: &str| Account::read(text).map(|account| account.url().unwrap().to_string());
        for (text, expected) in [
            (
                "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=a2V5Cg==;EndpointSuffix=core.windows.net",
                "https://acc.blob.core.windows.net/",
            ),
            (
                "AccountName=acc;AccountKey=a2V5Cg==",
                "https://acc.blob.core.windows.net/",
            ),
            (
                "accountname=acc; accountkey=a2V5Cg==;",
                "https://acc.blob.core.windows.net/",
            ),
            (
                "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=k=;EndpointSuffix=core.chinacloudapi.cn",
                "https://acc.blob.core.chinacloudapi.cn/",
            ),
            (
                "BlobEndpoint=https://acc.blob.core.windows.net/;SharedAccessSignature=sv=2022-11-02&sig=a%2Bb",
                "https://acc.blob.core.windows.net/",
            ),
            (
                "AccountName=devstoreaccount1;AccountKey=k=;BlobEndpoint=http://127.0.0.1:1/devstoreaccount1",
                "http://127.0.0.1:1/devstoreaccount1",
            ),
            ("UseDevelopmentStorage=true", "http://127.0.0.1:10000/devstoreaccount1"),
        ] {
            assert_eq!(url(text).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(
            Account::read("AccountName=acc;AccountKey=k==").unwrap().key.as_deref(),
            Some("k==")
        );
        for text in [
            "",
            "acc",
            "AccountName=acc",
            "AccountKey=k",
            "BlobEndpoint=https://acc.blob.core.windows.net",
        ] {
            let failure = Account::read(text).unwrap_err();
            assert!(failure.message.contains("connectionString"), "{text}");
        }
    }

    #[test]
    fn parameters_of_signatures_are_decoded() {
        let pairs = sas_pairs("?sv=2022-11-02&sig=a%2Bb%3D");
        assert_eq!(
            pairs,
            [("sv".into(), "2022-11-02".into()), ("sig".into(), "a+b=".into())]
        );
    }
}
