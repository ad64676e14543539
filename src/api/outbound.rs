//! Reads `outbound` of the constructor: where HTTP requests of jobs may go.

use super::fields::{Fields, truncated};
use crate::resources::OutboundRules;
use url::Host;

/// Most hosts that can be listed.
const MAX_HOSTS: usize = 10_000;

/// Reads the option; problems are noted in `options`.
pub(super) fn read_outbound(options: &mut Fields<'_>) -> OutboundRules {
    let mut outbound = OutboundRules::default();
    let Some(mut fields) = options.object("outbound") else {
        return outbound;
    };
    fields.refuse_unknown(&["hosts", "privateAddresses"]);
    outbound.private_addresses = fields.boolean("privateAddresses").unwrap_or(true);
    if let Some(hosts) = fields.tags("hosts", MAX_HOSTS) {
        let mut known = Vec::with_capacity(hosts.len());
        for (index, host) in hosts.iter().enumerate() {
            match read_host(host) {
                Some(host) => known.push(host),
                None => fields.problem(
                    &format!("hosts[{index}]"),
                    format!(
                        "'{}' is no name of a host; give one as in 'api.example.com', or '*.example.com' for all below it, without scheme, port and path",
                        truncated(host)
                    ),
                ),
            }
        }
        outbound.hosts = Some(known);
    }
    options.absorb(fields);
    outbound
}

/// A host in the spelling that URLs have after they were read.
fn read_host(text: &str) -> Option<Box<str>> {
    let (prefix, name) = match text.strip_prefix("*.") {
        Some(name) => ("*.", name),
        None => ("", text),
    };
    // A bare IPv6 address is meant, not a name with colons.
    let bracketed = name.parse::<std::net::Ipv6Addr>().map(|address| format!("[{address}]"));
    let host = Host::parse(bracketed.as_deref().unwrap_or(name)).ok()?;
    match &host {
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            let sound = !name.is_empty() && !name.contains('*');
            sound.then(|| format!("{prefix}{name}").into())
        }
        Host::Ipv4(address) if prefix.is_empty() => Some(address.to_string().into()),
        Host::Ipv6(address) if prefix.is_empty() => Some(address.to_string().into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(option: &str) -> (OutboundRules, Vec<String>) {
        let text = format!("{{\"outbound\":{option}}}");
        let mut fields = Fields::read(&text, "options").unwrap();
        let outbound = read_outbound(&mut fields);
        (
            outbound,
            fields.problems.into_iter().map(|problem| problem.path).collect(),
        )
    }

    #[test]
    fn hosts_are_kept_as_urls_spell_them() {
        let (outbound, problems) =
            read(r#"{"hosts":["API.Example.com","*.Bücher.example","10.0.0.1","::1","[::2]","a.b."]}"#);
        assert_eq!(problems, Vec::<String>::new());
        let hosts: Vec<_> = outbound.hosts.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(
            hosts,
            [
                "api.example.com",
                "*.xn--bcher-kva.example",
                "10.0.0.1",
                "::1",
                "::2",
                "a.b"
            ]
        );
        assert!(outbound.private_addresses);
    }

    #[test]
    fn invalid_hosts_are_reported_with_their_index() {
        let (_, problems) = read(
            r#"{"hosts":["https://a.b","a.b:80","a/b","*","a.*.b","*.10.0.0.1","a b"],"privateAddresses":0,"host":[]}"#,
        );
        let mut expected = vec![
            "options.outbound.host".to_owned(),
            "options.outbound.privateAddresses".to_owned(),
        ];
        expected.extend((0..7).map(|index| format!("options.outbound.hosts[{index}]")));
        assert_eq!(problems, expected);
    }
}
