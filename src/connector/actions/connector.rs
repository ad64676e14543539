//! A service in one environment, with its secrets in it.

use super::super::{Call, Connector, Failure, auth};
use super::{input, request, response};
use crate::clock::{Clock, SystemClock};
use crate::connector::limits::{CHECK_TIMEOUT, MAX_IDLE_PER_HOST, MAX_REDIRECTS};
use crate::engine::inputs::ExpressionResolver;
use crate::http::{self, Client, ClientOptions, ExchangeLimits};
use crate::resources::{Action, App, AppEnv, OutboundRules};
use async_trait::async_trait;
use reqwest::header::HeaderMap;
use reqwest::{Method, Url};
use std::sync::Arc;
use std::time::Duration;

/// A service that can be called.
pub(super) struct AppConnector {
    app: Arc<App>,
    client: Client,
    /// Without a slash at its end.
    base: String,
    host: String,
    /// Headers of every request, credentials among them.
    headers: HeaderMap,
}

impl AppConnector {
    /// Puts the secrets in.
    pub(super) async fn open(
        app: Arc<App>,
        env: &AppEnv,
        outbound: OutboundRules,
        expressions: &ExpressionResolver,
    ) -> Result<Self, Failure> {
        let base = base(&expressions.reveal(env.base_url.as_written()).await?)?;
        let mut headers = HeaderMap::new();
        for (name, value) in &env.headers {
            let value = expressions.reveal(value.as_written()).await?;
            request::put_header(&mut headers, name, &value)?;
        }
        if let Some(credentials) = &env.auth {
            let (name, value) = auth::header(credentials, expressions).await?;
            headers.insert(name, value);
        }
        let authorities = match &env.ca {
            Some(pem) => Some(expressions.reveal(pem.as_written()).await?),
            None => None,
        };
        let client = Client::open(ClientOptions {
            outbound,
            authorities,
            idle_per_host: MAX_IDLE_PER_HOST,
            ..ClientOptions::new(OutboundRules::default())
        });
        Ok(Self {
            app,
            client: client.await?,
            host: base.host_str().unwrap_or_default().to_owned(),
            base: base.as_str().trim_end_matches('/').to_owned(),
            headers,
        })
    }

    /// The action that a job is for.
    fn action(&self, tag: &str) -> Result<&Action, Failure> {
        let found = self.app.actions.iter().find(|action| *action.tag == *tag);
        found.ok_or_else(|| Failure::invalid("the app defines no such action"))
    }

    /// A failure of the exchange, with the host that was asked.
    fn with_host(&self, failure: http::Failure) -> Failure {
        let mut failure = Failure::from(failure);
        failure.message = format!("{}: {}", self.host, failure.message);
        failure
    }
}

#[async_trait]
impl Connector for AppConnector {
    async fn run(&self, call: &Call<'_>) -> Result<Option<Box<str>>, Failure> {
        let action = self.action(call.event())?;
        let parts = input::read(call.input(), action)?;
        let (url, headers, body) = request::build(&self.base, &self.headers, action, parts, call).await?;
        let mut request = self
            .client
            .request(request::method(action.method), url)
            .headers(headers);
        if let Some(bytes) = body {
            request = request.body(bytes);
        }
        let timeout = call
            .attempt
            .options
            .timeout
            .or(action.timeout)
            .unwrap_or(call.limits.timeout);
        let limits = ExchangeLimits {
            deadline: Duration::from_millis(timeout.unsigned_abs()),
            response_bytes: call.limits.response_bytes,
            redirects: MAX_REDIRECTS,
            now: SystemClock.now(),
        };
        let answered = self.client.exchange(request, &limits).await;
        let status = match &answered {
            Ok(answer) => Some(answer.status),
            Err(failure) => failure.status,
        };
        if let Some(status) = status {
            call.attempt.trace.note_http_status(status);
        }
        answered
            .map(|answer| Some(response::result_json(&answer)))
            .map_err(|failure| self.with_host(failure))
    }

    /// Asks for the head of the base. A service is there when it answers, also that it has nothing at that place, or does
    /// not know the question.
    async fn check(&self) -> Result<(), Failure> {
        let url = Url::parse(&self.base).map_err(|_| Failure::invalid("`base_url` is no URL"))?;
        let request = self.client.request(Method::HEAD, url).headers(self.headers.clone());
        let limits = ExchangeLimits {
            deadline: CHECK_TIMEOUT,
            response_bytes: 0,
            redirects: 0,
            now: SystemClock.now(),
        };
        match self.client.exchange(request, &limits).await {
            Ok(_) => Ok(()),
            // A redirect that is not followed has its status too.
            Err(failure) => match failure.status {
                Some(401 | 403 | 500 | 502..) | None => Err(self.with_host(failure)),
                Some(_) => Ok(()),
            },
        }
    }
}

/// What a base is once its secrets are in it. It is not repeated in a message.
fn base(text: &str) -> Result<Url, Failure> {
    let url = Url::parse(text).map_err(|error| Failure::invalid(format!("`base_url` is no URL: {error}")))?;
    let has_user = !url.username().is_empty() || url.password().is_some();
    if !matches!(url.scheme(), "http" | "https") || has_user || url.query().is_some() || url.fragment().is_some() {
        return Err(Failure::invalid(
            "`base_url` must be a URL of http or https that ends with its path and holds no user; give credentials as `auth`",
        ));
    }
    Ok(url)
}
