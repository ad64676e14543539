//! Notifications: e-mail by SMTP and by providers' APIs, text messages, push notifications, and callbacks.
//!
//! Invariants: the whole input is checked before the first part is sent; a part that was sent is not sent again by a later
//! attempt of the run.

mod address;
mod callback;
mod connector;
mod history;
mod input;
mod outcome;
mod providers;
mod resolved;
mod result;
#[cfg(feature = "smtp")]
mod smtp;
#[cfg(not(feature = "smtp"))]
#[path = "without_smtp.rs"]
mod smtp;

use super::{Connector, Definition, Failure, ResourceName, ServedTarget};
use crate::engine::inputs::ExpressionResolver;
use crate::engine::routing::Pattern;
use crate::model::Namespace;
use crate::resources::{Channels, Message, Notification, OutboundRules, Resources};
use async_trait::async_trait;
use connector::NotificationConnector;
use std::sync::Arc;

/// One definition for each notification and environment in `resources`.
pub(super) fn definitions(resources: &Resources, outbound: &OutboundRules) -> Vec<Arc<dyn Definition>> {
    let mut all: Vec<Arc<dyn Definition>> = Vec::new();
    for (product, notification) in resources.notifications.iter() {
        for channels in &notification.envs {
            all.push(Arc::new(NotificationDefinition {
                product: product.into(),
                notification: Arc::clone(notification),
                channels: channels.clone(),
                outbound: outbound.clone(),
            }));
        }
    }
    all
}

/// One notification in one environment.
struct NotificationDefinition {
    product: Box<str>,
    notification: Arc<Notification>,
    /// The channels of this environment.
    channels: Channels,
    outbound: OutboundRules,
}

impl NotificationDefinition {
    fn pattern(&self, message: &Message) -> Pattern {
        Pattern {
            namespace: Namespace::Notifications,
            product: Some(self.product.clone()),
            env: Some(self.channels.slug.clone()),
            target: vec![Some(self.notification.tag.clone()), Some(message.tag.clone())],
        }
    }
}

#[async_trait]
impl Definition for NotificationDefinition {
    fn name(&self) -> ResourceName {
        ResourceName {
            product: self.product.clone(),
            kind: "notification",
            tag: self.notification.tag.clone(),
            env: self.channels.slug.clone(),
        }
    }

    fn targets(&self) -> Vec<ServedTarget> {
        let messages = self.notification.messages.iter();
        messages
            .map(|message| ServedTarget {
                pattern: self.pattern(message),
                timeout: None,
            })
            .collect()
    }

    async fn open(&self, expressions: &ExpressionResolver) -> Result<Arc<dyn Connector>, Failure> {
        let messages = &self.notification.messages;
        let connector = NotificationConnector::open(&self.channels, messages, self.outbound.clone(), expressions);
        Ok(Arc::new(connector.await?))
    }
}
