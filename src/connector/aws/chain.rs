//! Where a machine has credentials of AWS: the environment, a profile, a web identity, a container, the machine itself.
//!
//! Knows no service and signs nothing. Invariants: asking is bounded in size, and each question in time; no failure contains a
//! credential.

use crate::http::{Client, ClientOptions, ExchangeLimits};
use crate::resources::OutboundRules;
use bytes::Bytes;
use reqsign_aws_v4::{
    AssumeRoleWithWebIdentityCredentialProvider, Credential, ECSCredentialProvider, EnvCredentialProvider,
    IMDSv2CredentialProvider, ProfileCredentialProvider,
};
use reqsign_core::{Context, Env, Error, FileRead, HttpSend, ProvideCredentialChain};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::OnceCell;

/// How long a source of credentials may take to answer one request.
const SOURCE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long looking for credentials may take in all.
pub(in crate::connector) const SEARCH_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest file or answer with credentials.
const MAX_SOURCE_BYTES: usize = 1 << 20;

/// Finds credentials where this machine has them.
pub(in crate::connector) struct Chain {
    context: Context,
    region: String,
    profile: Option<String>,
    /// Whether a source did not answer.
    unanswered: Arc<AtomicBool>,
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chain")
    }
}

impl Chain {
    /// Asks nobody yet. `env` has the variables that say where credentials are.
    pub(in crate::connector) fn new(region: &str, profile: Option<String>, env: impl Env) -> Self {
        let unanswered = Arc::new(AtomicBool::new(false));
        let source = Source {
            client: OnceCell::new(),
            unanswered: Arc::clone(&unanswered),
        };
        Self {
            context: Context::new()
                .with_env(env)
                .with_file_read(Files)
                .with_http_send(source),
            region: region.to_owned(),
            profile,
            unanswered,
        }
    }

    /// How environment, files and services are reached.
    pub(in crate::connector) fn context(&self) -> &Context {
        &self.context
    }

    /// What is asked, in this order.
    pub(in crate::connector) fn provider(&self) -> ProvideCredentialChain<Credential> {
        let mut profile = ProfileCredentialProvider::new();
        if let Some(name) = &self.profile {
            profile = profile.with_profile(name.clone());
        }
        let mut chain = ProvideCredentialChain::new();
        // A profile that is asked for by name goes before variables that happen to be set.
        chain = match self.profile {
            Some(_) => chain.push(profile),
            None => chain.push(EnvCredentialProvider::new()).push(profile),
        };
        chain
            .push(
                AssumeRoleWithWebIdentityCredentialProvider::default()
                    .with_region(self.region.clone())
                    .with_regional_sts_endpoint(),
            )
            .push(ECSCredentialProvider::new())
            .push(IMDSv2CredentialProvider::new())
    }

    /// Forgets which sources did not answer, before all are asked again.
    pub(in crate::connector) fn expect_answers(&self) {
        self.unanswered.store(false, Ordering::Relaxed);
    }

    /// Whether a source did not answer, which may have credentials the next time.
    pub(in crate::connector) fn some_source_is_silent(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed)
    }
}

/// Reads files with credentials.
#[derive(Debug)]
struct Files;

impl FileRead for Files {
    async fn file_read(&self, path: &str) -> reqsign_core::Result<Vec<u8>> {
        let path = path.to_owned();
        let read = tokio::task::spawn_blocking(move || {
            crate::text_file::read_text_file(Path::new(&path), MAX_SOURCE_BYTES as u64)
        });
        match read.await {
            Ok(Ok(text)) => Ok(text.into_bytes()),
            _ => Err(Error::config_invalid("a file of credentials cannot be read")),
        }
    }
}

/// Asks services that have credentials. They are named by this machine's environment, not by a job, and most of them have
/// private addresses.
#[derive(Debug)]
struct Source {
    client: OnceCell<Client>,
    unanswered: Arc<AtomicBool>,
}

impl HttpSend for Source {
    async fn http_send(
        &self,
        request: http_types::Request<Bytes>,
    ) -> reqsign_core::Result<http_types::Response<Bytes>> {
        let answer = self.ask(request).await;
        let failed = match &answer {
            Ok(answer) => answer.status().is_server_error() || answer.status().as_u16() == 429,
            Err(_) => true,
        };
        if failed {
            self.unanswered.store(true, Ordering::Relaxed);
        }
        answer
    }
}

impl Source {
    async fn ask(&self, request: http_types::Request<Bytes>) -> reqsign_core::Result<http_types::Response<Bytes>> {
        let failed = |_| Error::unexpected("a source of credentials did not answer");
        let open = || Client::open(ClientOptions::new(OutboundRules::default()));
        let client = self.client.get_or_try_init(open).await.map_err(|_| failed(()))?;
        let (head, body) = request.into_parts();
        let url = head.uri.to_string().parse().map_err(|_| failed(()))?;
        let limits = ExchangeLimits {
            deadline: SOURCE_TIMEOUT,
            response_bytes: MAX_SOURCE_BYTES,
            redirects: 0,
            now: 0,
        };
        let request = client.request(head.method, url).headers(head.headers).body(body);
        let answer = client.exchange_any(request, &limits).await.map_err(|_| failed(()))?;
        let mut response = http_types::Response::new(Bytes::from(answer.body));
        *response.status_mut() = http_types::StatusCode::from_u16(answer.status).map_err(|_| failed(()))?;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}
