//! Reads providers of e-mail: SMTP servers, and providers with an API of their own.
//!
//! Texts without `$` are checked here, the others when the resource is opened.

use super::checks::{is_host, is_line, text, url_problem};
use super::settings::Settings;
use crate::api::fields::{Fields, truncated};
use crate::resources::{EmailProvider, MailApi, MailService, Smtp, SmtpSecurity, Text};

#[derive(Clone, Copy)]
enum Kind {
    Smtp,
    SendGrid,
    Mailgun,
    Postmark,
    Brevo,
    Ses,
}

const KINDS: [(&str, Kind); 6] = [
    ("smtp", Kind::Smtp),
    ("sendgrid", Kind::SendGrid),
    ("mailgun", Kind::Mailgun),
    ("postmark", Kind::Postmark),
    ("brevo", Kind::Brevo),
    ("aws_ses", Kind::Ses),
];
/// Names of connection security modes.
const SECURITY_MODES: [(&str, SmtpSecurity); 3] = [
    ("tls", SmtpSecurity::Tls),
    ("starttls", SmtpSecurity::StartTls),
    ("none", SmtpSecurity::None),
];
/// The sender's address.
const FROM: [&str; 3] = ["from", "sender_email", "sender"];
const REPLY_TO: [&str; 1] = ["replyTo"];
const ADDRESS: &str = "an address, as in 'Shop <shop@example.com>'";

pub(super) fn read(emails: &mut Fields<'_>) -> Option<EmailProvider> {
    // A server without the name of a provider is one of SMTP.
    let is_server = emails.raw("provider").is_none() && emails.raw("host").is_some();
    let kind = if is_server {
        Kind::Smtp
    } else {
        emails.server_type("provider", &KINDS, |_| true)?
    };
    let name = KINDS.iter().find(|(_, known)| *known as u8 == kind as u8);
    let mut settings = Settings::new(emails, "provider", name.map_or("smtp", |(name, _)| name));
    let read = match kind {
        Kind::Smtp => read_smtp(&mut settings),
        kind => read_api(&mut settings, kind),
    };
    settings.finish();
    read
}

fn read_api(settings: &mut Settings<'_, '_>, kind: Kind) -> Option<EmailProvider> {
    let key = "a key of the provider's API, as in '$Secret{KEY}'";
    let service = match kind {
        Kind::Smtp => None,
        Kind::SendGrid => settings
            .required(&["apiKey"], key)
            .map(|api_key| MailService::SendGrid { api_key }),
        Kind::Brevo => settings
            .required(&["apiKey"], key)
            .map(|api_key| MailService::Brevo { api_key }),
        Kind::Postmark => settings
            .required(&["serverToken"], "the token of a server, as in '$Secret{KEY}'")
            .map(|server_token| MailService::Postmark { server_token }),
        Kind::Mailgun => {
            let api_key = settings.required(&["apiKey"], key);
            let domain = settings.required(&["domain"], "the domain that sends, as in 'mg.example.com'");
            let europe = match settings.find(&["region"]) {
                Some((fields, name)) => fields.one_of(name, &[("us", false), ("eu", true)]),
                None => Some(false),
            };
            match (api_key, domain, europe) {
                (Some(api_key), Some(domain), Some(europe)) => Some(MailService::Mailgun {
                    api_key,
                    domain,
                    europe,
                }),
                _ => None,
            }
        }
        Kind::Ses => {
            let region = settings.required(&["region"], "a region of AWS, as in 'eu-west-1'");
            let id = settings.required(&["accessKeyId"], "the id of an access key");
            let secret = settings.required(&["secretAccessKey"], "an access key, as in '$Secret{KEY}'");
            let session_token = settings.text(&["sessionToken"]);
            match (region, id, secret) {
                (Some(region), Some(access_key_id), Some(secret_access_key)) => Some(MailService::Ses {
                    region,
                    access_key_id,
                    secret_access_key,
                    session_token,
                }),
                _ => None,
            }
        }
    };
    let (from, from_name, reply_to) = read_sender(settings);
    let endpoint = read_endpoint(settings);
    Some(EmailProvider::Api(Box::new(MailApi {
        service: service?,
        from: from?,
        from_name,
        reply_to,
        endpoint,
    })))
}

/// Address and name of the sender, and the address for replies.
fn read_sender(settings: &mut Settings<'_, '_>) -> (Option<Text>, Option<Text>, Option<Text>) {
    let from = settings.required(&FROM, ADDRESS);
    let name = settings.text(&["sender_name"]);
    let reply_to = settings.text(&REPLY_TO);
    for (names, mailbox) in [(&FROM[..], &from), (&REPLY_TO[..], &reply_to)] {
        if let Some(mailbox) = mailbox.as_ref().filter(|text| text.is_plain())
            && !(mailbox.as_written().contains('@') && is_line(mailbox.as_written()))
        {
            settings.problem(
                names,
                "must be an address, as in 'Shop <shop@example.com>', on one line",
            );
        }
    }
    (from, name, reply_to)
}

/// The URL of an API, if not the public one.
pub(super) fn read_endpoint(settings: &mut Settings<'_, '_>) -> Option<Text> {
    const NAMES: [&str; 2] = ["endpoint", "url"];
    let endpoint = settings.text(&NAMES)?;
    if endpoint.is_plain()
        && let Some(message) = url_problem(endpoint.as_written())
    {
        settings.problem(&NAMES, message);
    }
    Some(endpoint)
}

fn read_smtp(settings: &mut Settings<'_, '_>) -> Option<EmailProvider> {
    let host = settings.required(&["host"], "the mail server's name, as in 'smtp.example.com'");
    let port = settings
        .integer(&["port"], 1, 65_535)
        .and_then(|port| u16::try_from(port).ok());
    let security = read_security(settings, port);
    let credentials = read_credentials(settings);
    let (from, from_name, reply_to) = read_sender(settings);
    let ca = settings.text(&["ca"]);
    if let Some(host) = host
        .as_ref()
        .filter(|host| host.is_plain() && !is_host(host.as_written()))
    {
        let message = format!(
            "must be the name or address of a host, without a scheme, port or path, got '{}'",
            truncated(host.as_written())
        );
        settings.problem(&["host"], message);
    }
    if let Some(ca) = ca.as_ref().filter(|text| text.is_plain())
        && !ca.as_written().contains("-----BEGIN CERTIFICATE-----")
    {
        settings.problem(&["ca"], "must be certificates in PEM (BEGIN CERTIFICATE)");
    }
    let from = match (from, from_name) {
        (Some(from), Some(name)) => Some(Text::from(&*format!("{} <{}>", name.as_written(), from.as_written()))),
        (from, _) => from,
    };
    Some(EmailProvider::Smtp(Box::new(Smtp {
        host: host?,
        port: port.unwrap_or_else(|| security.port()),
        security,
        credentials,
        from: from?,
        reply_to,
        ca,
    })))
}

/// `security`, or what other programs have in its place: `secure` is TLS from the first byte, `tls` is `STARTTLS`.
fn read_security(settings: &mut Settings<'_, '_>, port: Option<u16>) -> SmtpSecurity {
    let security = match settings.find(&["security"]) {
        Some((fields, name)) => fields.one_of(name, &SECURITY_MODES),
        None => None,
    };
    let (secure, tls) = (settings.boolean("secure"), settings.boolean("tls"));
    match (security, secure, tls) {
        (Some(security), None, None) => security,
        (Some(security), ..) => {
            settings.problem(
                &["security"],
                "says what `secure` and `tls` say too; give `security` alone",
            );
            security
        }
        (None, Some(true), _) => SmtpSecurity::Tls,
        // Servers speak TLS from the first byte there.
        (None, None, _) if port == Some(SmtpSecurity::Tls.port()) => SmtpSecurity::Tls,
        // Never in the clear unless `security` says so.
        (None, ..) => SmtpSecurity::StartTls,
    }
}

/// Reads user name and password: both or neither; also as `auth: { user, pass }`.
fn read_credentials(settings: &mut Settings<'_, '_>) -> Option<(Text, Text)> {
    const USER: [&str; 2] = ["username", "user"];
    const PASSWORD: [&str; 2] = ["password", "pass"];
    let in_auth = settings.find(&["auth"]).and_then(|(fields, name)| {
        let mut auth = fields.object(name)?;
        auth.take_aliases(&[("username", "user"), ("password", "pass")]);
        auth.refuse_unknown(&["user", "pass"]);
        for member in ["user", "pass"] {
            if auth.raw(member).is_none() {
                auth.problem(member, "is missing; user and password go together");
            }
        }
        let read = (text(&mut auth, "user"), text(&mut auth, "pass"));
        fields.absorb(auth);
        Some(read)
    });
    let flat = [settings.find(&USER).is_some(), settings.find(&PASSWORD).is_some()];
    if in_auth.is_some() && flat.contains(&true) {
        settings.problem(&["auth"], "holds user and password, which are given beside it too");
    }
    if let Some((username, password)) = in_auth {
        return username.zip(password);
    }
    match flat {
        [true, false] => settings.problem(&PASSWORD, "is missing; `username` goes with it"),
        [false, true] => settings.problem(&USER, "is missing; `password` goes with it"),
        _ => {}
    }
    settings.text(&USER).zip(settings.text(&PASSWORD))
}
