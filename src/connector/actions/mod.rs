//! Actions: calls of HTTP services.
//!
//! The way of a call: [`input`] sorts what the job brings, [`request`] merges it into what the action defines and makes
//! the request ([`url`], [`body`]), `http` sends it, [`response`] makes the result. Invariants: no value of an input can
//! leave its place in the request; a failure names the host and the status and nothing that was sent or answered.

mod body;
mod connector;
mod input;
mod json;
mod multipart;
mod request;
mod response;
#[cfg(test)]
mod tests;
mod url;

pub(super) use json::merge;
pub(super) use request::{method, put_header};
pub(super) use url::build as build_url;

use super::{Connector, Definition, Failure, ResourceName, ServedTarget};
use crate::engine::inputs::ExpressionResolver;
use crate::engine::routing::Pattern;
use crate::model::{Namespace, Route};
use crate::resources::{App, AppEnv, OutboundRules, Resources};
use async_trait::async_trait;
use connector::AppConnector;
use std::sync::Arc;

/// One definition for each such resource and environment in `resources`.
pub(super) fn definitions(resources: &Resources, outbound: &OutboundRules) -> Vec<Arc<dyn Definition>> {
    let mut all: Vec<Arc<dyn Definition>> = Vec::new();
    for (product, app) in resources.apps.iter() {
        for env in &app.envs {
            all.push(Arc::new(AppDefinition {
                product: product.into(),
                app: Arc::clone(app),
                env: env.clone(),
                outbound: outbound.clone(),
            }));
        }
    }
    all
}

/// An app in one environment.
struct AppDefinition {
    product: Box<str>,
    app: Arc<App>,
    env: AppEnv,
    outbound: OutboundRules,
}

#[async_trait]
impl Definition for AppDefinition {
    fn name(&self) -> ResourceName {
        ResourceName {
            product: self.product.clone(),
            kind: "app",
            tag: self.app.tag.clone(),
            env: self.env.slug.clone(),
        }
    }

    /// One for each action: jobs of others are left for a process that knows them.
    fn targets(&self) -> Vec<ServedTarget> {
        let target = |action: &crate::resources::Action| ServedTarget {
            pattern: Pattern {
                namespace: Namespace::Actions,
                product: Some(self.product.clone()),
                env: Some(self.env.slug.clone()),
                target: vec![Some(self.app.tag.clone()), Some(action.tag.clone())],
            },
            timeout: action.timeout,
        };
        self.app.actions.iter().map(target).collect()
    }

    fn span_attributes(&self, route: &Route) -> Vec<(&'static str, Box<str>)> {
        let action = route.target.last();
        let action = self.app.actions.iter().find(|known| Some(&known.tag) == action);
        let method = action.map(|action| ("http.request.method", request::method(action.method).as_str().into()));
        let base = &self.env.base_url;
        let url = base.is_plain().then(|| reqwest::Url::parse(base.as_written()).ok());
        let host = url.flatten().and_then(|url| url.host_str().map(Into::into));
        method
            .into_iter()
            .chain(host.map(|host| ("server.address", host)))
            .collect()
    }

    async fn open(&self, expressions: &ExpressionResolver) -> Result<Arc<dyn Connector>, Failure> {
        let connector = AppConnector::open(Arc::clone(&self.app), &self.env, self.outbound.clone(), expressions);
        Ok(Arc::new(connector.await?))
    }
}
