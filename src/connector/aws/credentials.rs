//! Credentials of Amazon's services, and signatures by them.
//!
//! Knows where credentials are found, and no service. Invariants: asking for credentials is bounded in time and size; no
//! failure contains a credential.

use super::chain::{Chain, SEARCH_TIMEOUT};
use crate::connector::Failure;
use http_types::request::Parts;
use reqsign_aws_v4::{Credential, RequestSigner, StaticCredentialProvider};
use reqsign_core::{Context, Env, Signer};
use std::sync::{Mutex, PoisonError};

/// Credentials in a definition.
#[derive(Clone)]
pub(in crate::connector) struct GivenKey {
    pub(in crate::connector) id: String,
    pub(in crate::connector) secret: String,
    pub(in crate::connector) session_token: Option<String>,
}

impl std::fmt::Debug for GivenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GivenKey(…)")
    }
}

/// A service in a region, and who asks it.
#[derive(Clone, Debug)]
pub(in crate::connector) struct Account {
    /// What people call the service.
    pub(in crate::connector) label: &'static str,
    /// What signatures call it.
    pub(in crate::connector) service: &'static str,
    /// The member of a definition that may hold credentials.
    pub(in crate::connector) place: &'static str,
    pub(in crate::connector) region: String,
    /// What the definition says; `None`: what the environment has.
    pub(in crate::connector) given: Option<GivenKey>,
    /// The profile in the shared files; `None`: `AWS_PROFILE`, or `default`.
    pub(in crate::connector) profile: Option<String>,
}

/// What a signature adds to a request.
#[cfg(feature = "ses")]
const SIGNATURE_HEADERS: [&str; 4] = [
    "authorization",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
];

/// Signs requests.
pub(in crate::connector) struct Credentials {
    account: Account,
    signer: Mutex<Signer<Credential>>,
    /// What finds credentials; `None`: the definition has them.
    chain: Option<Chain>,
}

impl Credentials {
    /// Asks nobody yet. `env` has the variables that say where credentials are.
    pub(super) fn new(account: Account, env: impl Env) -> Self {
        if let Some(given) = &account.given {
            return Self {
                signer: Mutex::new(fixed(given, &account)),
                account,
                chain: None,
            };
        }
        let chain = Chain::new(&account.region, account.profile.clone(), env);
        Self {
            signer: Mutex::new(searching(&chain, &account)),
            account,
            chain: Some(chain),
        }
    }

    /// Adds the headers of a signature.
    pub(super) async fn sign(&self, head: &mut Parts) -> Result<(), Failure> {
        let signer = self.signer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(chain) = &self.chain {
            chain.expect_answers();
        }
        let signed = tokio::time::timeout(SEARCH_TIMEOUT, signer.sign(head, None)).await;
        let Account { label, place, .. } = self.account;
        match signed {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) if !self.some_source_is_silent() => Err(Failure::unauthorized(format!(
                "{label}: there are no credentials, neither in {place} nor in the environment, a profile, a web identity or a container, nor of the machine",
            ))),
            // A source that is there may have them the next time.
            _ => Err(Failure::connection(format!(
                "{label}: no credentials were found, and a source of them did not answer; give them in {place}, or set AWS_EC2_METADATA_DISABLED=true if this machine has none",
            ))),
        }
    }

    fn some_source_is_silent(&self) -> bool {
        self.chain.as_ref().is_some_and(Chain::some_source_is_silent)
    }

    /// The same, asking this machine where the definition has none.
    #[cfg(feature = "ses")]
    pub(in crate::connector) fn of(account: Account) -> Self {
        Self::new(account, reqsign_core::OsEnv)
    }

    /// The headers that a signature of this request adds to those that it has.
    #[cfg(feature = "ses")]
    pub(in crate::connector) async fn signature(
        &self,
        (method, url): (&reqwest::Method, &url::Url),
        headers: &[(&'static str, String)],
        body: &str,
    ) -> Result<Vec<(&'static str, String)>, Failure> {
        // Without it the body would not be part of the signature.
        let digest = ring::digest::digest(&ring::digest::SHA256, body.as_bytes());
        let mut request = http_types::Request::builder()
            .method(method)
            .uri(url.as_str())
            .header("x-amz-content-sha256", crate::text::hex::hex(digest.as_ref()));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let label = self.account.label;
        let request = request.body(());
        let request = request.map_err(|_| Failure::invalid(format!("{label}: the request cannot be made")))?;
        let (mut head, ()) = request.into_parts();
        self.sign(&mut head).await?;
        let added = |name: &'static str| Some((name, head.headers.get(name)?.to_str().ok()?.to_owned()));
        Ok(SIGNATURE_HEADERS.into_iter().filter_map(added).collect())
    }

    /// Forgets credentials that were refused, unless they are the definition's own; `false`: there are no others.
    #[cfg(any(test, feature = "dynamodb", feature = "sqs"))]
    pub(super) fn forget(&self) -> bool {
        let Some(chain) = &self.chain else { return false };
        *self.signer.lock().unwrap_or_else(PoisonError::into_inner) = searching(chain, &self.account);
        true
    }
}

fn fixed(given: &GivenKey, account: &Account) -> Signer<Credential> {
    let mut provider = StaticCredentialProvider::new(&given.id, &given.secret);
    if let Some(token) = &given.session_token {
        provider = provider.with_session_token(token);
    }
    Signer::new(Context::new(), provider, request_signer(account))
}

fn request_signer(account: &Account) -> RequestSigner {
    RequestSigner::new(account.service, &account.region)
}

/// A signer that knows no credentials yet.
fn searching(chain: &Chain, account: &Account) -> Signer<Credential> {
    Signer::new(chain.context().clone(), chain.provider(), request_signer(account))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqsign_core::StaticEnv;
    use std::collections::HashMap;
    use std::time::{Duration, Instant};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A service that answers each request by its path.
    async fn service(answer: fn(&str) -> Option<&'static str>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 8_192];
                let length = stream.read(&mut request).await.unwrap_or_default();
                let request = String::from_utf8_lossy(&request[..length]).into_owned();
                let Some(body) = answer(request.lines().next().unwrap_or_default()) else {
                    // Nothing is ever answered.
                    tokio::time::sleep(Duration::from_secs(60)).await;
                    continue;
                };
                let head = format!(
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            }
        });
        address
    }

    const TEMPORARY: &str = r#"{"Code":"Success","AccessKeyId":"TEMPORARY","SecretAccessKey":"s3cret","Token":"a-token","Expiration":"2099-01-01T00:00:00Z"}"#;

    fn account(profile: Option<&str>, given: Option<&str>) -> Account {
        Account {
            label: "DynamoDB",
            service: "dynamodb",
            place: "connection_url",
            region: "eu-west-1".to_owned(),
            given: given.map(|id| GivenKey {
                id: id.to_owned(),
                secret: "s3cret".to_owned(),
                session_token: None,
            }),
            profile: profile.map(str::to_owned),
        }
    }

    /// Whose signature a request gets, and its session token.
    async fn signed_by(account: Account, variables: &[(&str, &str)]) -> Result<(String, Option<String>), Failure> {
        let mut envs: HashMap<String, String> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        for (name, value) in [
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/no/such/file"),
            ("AWS_CONFIG_FILE", "/no/such/file"),
        ] {
            envs.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
        let env = StaticEnv { home_dir: None, envs };
        let credentials = Credentials::new(account, env);
        let request = http_types::Request::post("http://h/").body(()).unwrap();
        let (mut head, ()) = request.into_parts();
        credentials.sign(&mut head).await?;
        let text = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let (_, rest) = text("authorization")
            .unwrap()
            .split_once("Credential=")
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        let who = rest.split('/').next().unwrap().to_owned();
        Ok((who, text("x-amz-security-token")))
    }

    #[tokio::test]
    async fn credentials_are_found_in_each_place_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let shared = write(
            "credentials",
            "[default]\naws_access_key_id = SHARED\naws_secret_access_key = s3cret\n\n[work]\naws_access_key_id = WORK\naws_secret_access_key = s3cret\naws_session_token = work-token\n",
        );
        let config = write(
            "config",
            "[profile config]\naws_access_key_id = CONFIG\naws_secret_access_key = s3cret\n",
        );
        let container = service(|_| Some(TEMPORARY)).await;
        let machine = service(|request| match request {
            request if request.starts_with("PUT /latest/api/token") => Some("a-machine-token"),
            request if request.contains("/security-credentials/role ") => Some(TEMPORARY),
            _ => Some("role"),
        })
        .await;
        let shared = ("AWS_SHARED_CREDENTIALS_FILE", &*shared);
        let config = ("AWS_CONFIG_FILE", &*config);
        let own = [
            ("AWS_ACCESS_KEY_ID", "ENVIRONMENT"),
            ("AWS_SECRET_ACCESS_KEY", "s3cret"),
        ];
        let session = ("AWS_SESSION_TOKEN", "env-token");
        let container = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*container);
        let plain = (None, None);
        let named = (Some("work"), None);
        for ((profile, given), variables, who, token) in [
            ((None, Some("GIVEN")), vec![own[0], own[1]], "GIVEN", None),
            (
                plain,
                vec![own[0], own[1], session, shared],
                "ENVIRONMENT",
                Some("env-token"),
            ),
            (plain, vec![shared], "SHARED", None),
            (plain, vec![shared, ("AWS_PROFILE", "work")], "WORK", Some("work-token")),
            (plain, vec![config, ("AWS_PROFILE", "config")], "CONFIG", None),
            (named, vec![own[0], own[1], shared], "WORK", Some("work-token")),
            (plain, vec![container], "TEMPORARY", Some("a-token")),
            (
                plain,
                vec![
                    ("AWS_EC2_METADATA_DISABLED", "false"),
                    ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &machine),
                ],
                "TEMPORARY",
                Some("a-token"),
            ),
        ] {
            let found = signed_by(account(profile, given), &variables).await.unwrap();
            assert_eq!(found, (who.to_owned(), token.map(str::to_owned)), "{variables:?}");
        }
    }

    #[tokio::test]
    async fn credentials_that_are_nowhere_are_told_from_a_source_that_is_silent() {
        let silent = service(|_| None).await;
        let failure = signed_by(account(None, None), &[]).await.unwrap_err();
        assert_eq!(&*failure.code, "UNAUTHORIZED", "{failure:?}");
        let began = Instant::now();
        for variable in [
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        ] {
            let variables = [(variable, &*silent), ("AWS_EC2_METADATA_DISABLED", "false")];
            let variables = &variables[..if variable.contains("EC2") { 2 } else { 1 }];
            let failure = signed_by(account(None, None), variables).await.unwrap_err();
            assert_eq!(&*failure.code, "CONNECTION_ERROR", "{failure:?}");
            assert!(!failure.message.contains("127.0.0.1"), "{failure:?}");
        }
        assert!(began.elapsed() < SEARCH_TIMEOUT, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn refused_credentials_are_asked_for_again_unless_the_definition_has_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        let write = |id: &str| {
            let text = format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = s3cret\n");
            std::fs::write(&path, text).unwrap();
        };
        write("OLD");
        let shared = path.to_str().unwrap().to_owned();
        let envs = [("AWS_SHARED_CREDENTIALS_FILE".to_owned(), shared)]
            .into_iter()
            .collect();
        let env = StaticEnv { home_dir: None, envs };
        let credentials = Credentials::new(account(None, None), env);
        let who = async || {
            let (mut head, ()) = http_types::Request::post("http://h/").body(()).unwrap().into_parts();
            credentials.sign(&mut head).await.unwrap();
            head.headers["authorization"].to_str().unwrap().contains("=NEW/")
        };
        assert!(!who().await);
        write("NEW");
        assert!(!who().await);
        assert!(credentials.forget() && who().await);
        let given = account(None, Some("GIVEN"));
        assert!(!Credentials::new(given, StaticEnv::default()).forget());
    }
}
