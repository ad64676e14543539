//! Reads providers of text messages.

use super::emails::read_endpoint;
use super::settings::Settings;
use crate::api::fields::Fields;
use crate::resources::{SmsApi, SmsService};

#[derive(Clone, Copy)]
enum Kind {
    Twilio,
    Nexmo,
    Plivo,
}

const KINDS: [(&str, Kind); 3] = [("twilio", Kind::Twilio), ("nexmo", Kind::Nexmo), ("plivo", Kind::Plivo)];
const SECRET: &str = "a secret of the provider, as in '$Secret{KEY}'";

pub(super) fn read(sms: &mut Fields<'_>) -> Option<SmsApi> {
    let kind = sms.server_type("provider", &KINDS, |_| true)?;
    let name = match kind {
        Kind::Twilio => "twilio",
        Kind::Nexmo => "nexmo",
        Kind::Plivo => "plivo",
    };
    let mut settings = Settings::new(sms, "provider", name);
    let service = match kind {
        Kind::Twilio => {
            let sid = settings.required(&["accountSid"], "the id of an account, as in 'AC…'");
            let token = settings.required(&["authToken"], SECRET);
            sid.zip(token).map(|(account_sid, auth_token)| SmsService::Twilio {
                account_sid,
                auth_token,
            })
        }
        Kind::Nexmo => {
            let key = settings.required(&["apiKey"], "a key of the provider's API");
            let secret = settings.required(&["apiSecret"], SECRET);
            key.zip(secret)
                .map(|(api_key, api_secret)| SmsService::Nexmo { api_key, api_secret })
        }
        Kind::Plivo => {
            let id = settings.required(&["authId", "apiKey"], "the id of an account, as in 'MA…'");
            let token = settings.required(&["authToken", "apiSecret"], SECRET);
            id.zip(token)
                .map(|(auth_id, auth_token)| SmsService::Plivo { auth_id, auth_token })
        }
    };
    let sender = settings.required(
        &["sender", "from"],
        "the number or name of the sender, as in '+15005550006'",
    );
    let endpoint = read_endpoint(&mut settings);
    settings.finish();
    Some(SmsApi {
        service: service?,
        sender: sender?,
        endpoint,
    })
}
