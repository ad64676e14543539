//! Reads notifications: their channels by environment, and their messages.

mod channels;
mod checks;
mod emails;
mod messages;
mod push;
mod settings;
mod sms;

use super::environments::environments;
use super::{members, required_tag};
use crate::api::fields::Fields;
use crate::resources::{Notification, Resources};

pub(super) fn read(notification: &mut Fields<'_>, product: &str, resources: &mut Resources) {
    notification.refuse_unknown(&["tag", "envs", "messages", "name", "description"]);
    let tag = required_tag(notification);
    let mut envs = Vec::new();
    for (slug, mut env) in environments(notification) {
        envs.push(channels::read(&mut env, slug));
        notification.absorb(env);
    }
    let messages = read_messages(notification);
    let Some(tag) = tag else {
        return;
    };
    let definition = Notification {
        tag: tag.as_ref().into(),
        envs,
        messages,
    };
    if !resources.notifications.add(product, &tag, definition) {
        notification.problem(
            "tag",
            format!("'{tag}' is the tag of another notification of the product"),
        );
    }
}

fn read_messages(notification: &mut Fields<'_>) -> Vec<crate::resources::Message> {
    if notification.raw("messages").is_none() {
        notification.problem(
            "messages",
            "is missing; list the messages, as in [{ \"tag\": \"welcome\", … }]",
        );
    }
    let mut read: Vec<crate::resources::Message> = Vec::new();
    for mut message in members(notification, "messages") {
        if let Some(tag) = required_tag(&mut message) {
            if read.iter().any(|known| *known.tag == *tag) {
                message.problem("tag", format!("'{tag}' is the tag of another message of it"));
            } else {
                read.push(messages::read(&mut message, tag.as_ref().into()));
            }
        }
        notification.absorb(message);
    }
    read
}
