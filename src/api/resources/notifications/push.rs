//! Reads providers of push notifications.

use super::super::texts::object_template;
use super::checks::text;
use super::emails::read_endpoint;
use super::settings::Settings;
use crate::api::fields::Fields;
use crate::resources::{PushApi, PushService, Text};

#[derive(Clone, Copy)]
enum Kind {
    Expo,
    Firebase,
}

const KINDS: [(&str, Kind); 2] = [("EXPO", Kind::Expo), ("FIREBASE", Kind::Firebase)];
/// What of a service account is used, with both spellings.
const ACCOUNT: [[&str; 2]; 3] = [
    ["project_id", "projectId"],
    ["client_email", "clientEmail"],
    ["private_key", "privateKey"],
];

pub(super) fn read(push: &mut Fields<'_>) -> Option<PushApi> {
    let kind = push.server_type("type", &KINDS, |_| true)?;
    let name = match kind {
        Kind::Expo => "expo",
        Kind::Firebase => "firebase",
    };
    let mut settings = Settings::new(push, "type", name);
    let service = match kind {
        Kind::Expo => Some(PushService::Expo {
            access_token: settings.text(&["accessToken"]),
        }),
        Kind::Firebase => {
            // Documented, and of another service of Firebase.
            settings.text(&["databaseUrl"]);
            read_credentials(&mut settings).map(|credentials| PushService::Firebase { credentials })
        }
    };
    let endpoint = read_endpoint(&mut settings);
    settings.finish();
    Some(PushApi {
        service: service?,
        endpoint,
    })
}

/// A service account: an object, or a text that holds one.
fn read_credentials(settings: &mut Settings<'_, '_>) -> Option<Text> {
    const NAMES: [&str; 1] = ["credentials"];
    const WHAT: &str = "is missing; it must be a service account, or its JSON as text, as in '$Secret{KEY}'";
    let Some((fields, name)) = settings.find(&NAMES) else {
        settings.problem(&NAMES, WHAT);
        return None;
    };
    if !fields.raw(name).unwrap_or_default().starts_with('{') {
        return text(fields, name);
    }
    let mut account = fields.object(name)?;
    for [member, other] in ACCOUNT {
        if account.raw(member).is_none() && account.raw(other).is_none() {
            account.problem(member, "is missing; a service account has it");
        }
    }
    fields.absorb(account);
    object_template(fields, name)
}
