//! Reads where a broker is: its address in one text, a list of servers, or host and port; and who asks.
//!
//! Invariant: no message repeats an address, since it may hold a password.

use super::super::texts;
use crate::api::fields::{Fields, describe, truncated};
use crate::resources::{BrokerConfig, BrokerKind, SaslMechanism, Text};
use url::Url;

/// Members of `config` that say where any broker is, and who asks.
pub(super) const SERVER_FIELDS: [&str; 9] = [
    "url",
    "connection_url",
    "host",
    "port",
    "tls",
    "ssl",
    "username",
    "password",
    "ca",
];
/// Most servers of a list.
const MAX_SERVERS: usize = 100;
/// Mechanisms of SASL, as Kafka's own clients name them.
const MECHANISMS: [(&str, SaslMechanism); 3] = [
    ("plain", SaslMechanism::Plain),
    ("scram-sha-256", SaslMechanism::ScramSha256),
    ("scram-sha-512", SaslMechanism::ScramSha512),
];

/// The member that lists servers, where a kind has one.
fn list_field(kind: BrokerKind) -> Option<&'static str> {
    match kind {
        BrokerKind::Kafka => Some("brokers"),
        BrokerKind::Nats => Some("servers"),
        _ => None,
    }
}

/// Reads everything but what is a topic's.
pub(super) fn read(kind: BrokerKind, config: &mut Fields<'_>) -> Option<BrokerConfig> {
    let addresses = read_addresses(kind, config);
    let mut read = BrokerConfig {
        tls: read_tls(config),
        username: secret(config, "username"),
        password: secret(config, "password"),
        ca: secret(config, "ca"),
        ..BrokerConfig::default()
    };
    match kind {
        BrokerKind::Kafka => {
            read.client_id = config.tag("clientId").map(|id| id.as_ref().into());
            // It names a group of consumers, and jobs only publish.
            config.tag("groupId");
            read_sasl(config, &mut read);
        }
        BrokerKind::Nats => read_nats(config, &mut read),
        _ => {}
    }
    let mut addresses = addresses?.into_iter();
    read.url = addresses.next()?;
    read.others = addresses.collect();
    Some(read)
}

pub(super) fn secret(config: &mut Fields<'_>, name: &str) -> Option<Text> {
    texts::text(config, name)
}

fn read_tls(config: &mut Fields<'_>) -> Option<bool> {
    let (tls, ssl) = (config.boolean("tls"), config.boolean("ssl"));
    if tls.is_some() && ssl.is_some() {
        config.problem("ssl", "says the same as `tls`; give one of them");
    }
    tls.or(ssl)
}

fn read_sasl(config: &mut Fields<'_>, read: &mut BrokerConfig) {
    let Some(mut sasl) = config.object("sasl") else {
        return;
    };
    sasl.refuse_unknown(&["mechanism", "username", "password"]);
    if let Some(name) = sasl.string("mechanism") {
        let known = MECHANISMS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
        read.sasl = known.map(|(_, mechanism)| *mechanism);
        if known.is_none() {
            let message = format!(
                "must be 'plain', 'scram-sha-256' or 'scram-sha-512', got '{}'",
                truncated(&name)
            );
            sasl.problem("mechanism", message);
        }
    }
    for (name, place) in [("username", &mut read.username), ("password", &mut read.password)] {
        if place.is_some() {
            sasl.problem(name, format!("is given in `config.{name}`, too; give it once"));
        }
        let given = secret(&mut sasl, name);
        if given.is_none() && sasl.raw(name).is_none() {
            sasl.problem(name, "is missing; it is what SASL logs in with");
        }
        *place = given.or(place.take());
    }
    config.absorb(sasl);
}

fn read_nats(config: &mut Fields<'_>, read: &mut BrokerConfig) {
    for (alias, name, place) in [
        ("user", "username", &mut read.username),
        ("pass", "password", &mut read.password),
    ] {
        let given = secret(config, alias);
        if given.is_some() && place.is_some() {
            config.problem(alias, format!("says the same as `{name}`; give one of them"));
        }
        *place = place.take().or(given);
    }
    read.token = secret(config, "token");
    read.credentials = secret(config, "credentials");
    read.client_id = config.tag("name").map(|name| name.as_ref().into());
    // When to connect again is up to the jobs that want to publish.
    config.integer("maxReconnectAttempts", -1, i64::from(u32::MAX));
    config.integer("reconnectTimeWait", 0, i64::from(u32::MAX));
    let given: Vec<&str> = ["password", "pass", "token", "credentials"]
        .into_iter()
        .filter(|name| config.raw(name).is_some())
        .collect();
    if let [_, second, ..] = given.as_slice() {
        let message = format!("give one of {}, not several", given.join(", "));
        config.problem(second, message);
    }
}

/// Reads the addresses, and checks those that hold no secret. `None`: there is none, or none that can be used.
fn read_addresses(kind: BrokerKind, config: &mut Fields<'_>) -> Option<Vec<Text>> {
    let example = kind.schemes().first().map_or("amqp", |(scheme, _)| scheme);
    let list = list_field(kind);
    let names = ["url", "connection_url"].into_iter().chain(list).chain(["host"]);
    let given: Vec<&str> = names.filter(|name| config.raw(name).is_some()).collect();
    if config.raw("port").is_some() && !given.contains(&"host") {
        config.problem("port", "goes with `host`; put it into the address otherwise");
    }
    let field = match given.as_slice() {
        [] => {
            let others = list.map_or_else(String::new, |list| format!(", or give `{list}`"));
            config.problem(
                "url",
                format!("is missing; it must be an address, as in '{example}://host'{others}"),
            );
            return None;
        }
        [field] => *field,
        [first, second, ..] => {
            config.problem(
                second,
                format!("says where the broker is, as `{first}` does; give one of them"),
            );
            return None;
        }
    };
    let written = match field {
        "host" => vec![(field.to_owned(), read_host(config)?)],
        field if list == Some(field) => read_list(config, field)?,
        field => vec![(field.to_owned(), config.string(field)?.into_owned())],
    };
    let mut addresses = Vec::with_capacity(written.len());
    for (path, written) in written {
        let whole = if written.contains("://") || field != "host" && list != Some(field) {
            written
        } else {
            format!("{example}://{written}")
        };
        let text = Text::from(whole.as_str());
        texts::check_text(config, &path, &whole);
        if text.is_plain()
            && let Some(message) = url_problem(kind, &whole)
        {
            config.problem(&path, message);
            return None;
        }
        addresses.push(text);
    }
    Some(addresses)
}

/// Host and port as one text.
fn read_host(config: &mut Fields<'_>) -> Option<String> {
    let port = config.integer("port", 1, 65_535);
    let host = config.tag("host")?;
    if host.contains("://") {
        config.problem(
            "host",
            "must be a name or an address of the network; an address with a scheme is a `url`",
        );
        return None;
    }
    let host = if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host.into_owned()
    };
    Some(match port {
        Some(port) => format!("{host}:{port}"),
        None => host,
    })
}

/// The servers of a list, or of one text with commas, by their paths.
fn read_list(config: &mut Fields<'_>, field: &str) -> Option<Vec<(String, String)>> {
    let raw = config.raw(field)?;
    let listed: Vec<String> = if raw.starts_with('"') {
        let text = config.string(field)?;
        text.split(',').map(|part| part.trim().to_owned()).collect()
    } else if let Ok(listed) = serde_json::from_str(raw) {
        listed
    } else {
        config.problem(
            field,
            format!("must be an array of texts, as in ['host:1234'], got {}", describe(raw)),
        );
        return None;
    };
    if listed.is_empty() || listed.len() > MAX_SERVERS {
        config.problem(
            field,
            format!("must have 1 to {MAX_SERVERS} entries, got {}", listed.len()),
        );
        return None;
    }
    let paths = (0..).map(|index: usize| format!("{field}[{index}]"));
    Some(paths.zip(listed).collect())
}

/// What is wrong with a URL, without repeating it, since it may hold a password.
fn url_problem(kind: BrokerKind, text: &str) -> Option<String> {
    let schemes: Vec<&str> = kind.schemes().iter().map(|(scheme, _)| *scheme).collect();
    let example = schemes.first().copied().unwrap_or_default();
    let Ok(url) = Url::parse(text) else {
        return Some(format!(
            "is no address; it must be as in '{example}://user:password@host:port', with special characters in user and password percent-encoded, or given as `username` and `password`"
        ));
    };
    if !schemes.contains(&url.scheme()) {
        let message = format!(
            "must begin with {}, got '{}://'",
            list(&schemes),
            truncated(url.scheme())
        );
        return Some(message);
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Some(format!("names no host; it must be as in '{example}://host'"));
    }
    (url.port() == Some(0)).then(|| "port 0 cannot be connected to".to_owned())
}

fn list(schemes: &[&str]) -> String {
    let quoted: Vec<String> = schemes.iter().map(|scheme| format!("'{scheme}://'")).collect();
    quoted.join(" or ")
}
