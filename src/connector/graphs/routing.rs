//! Routing tables: which servers of a cluster read, which write, and which know who does.

use super::address::ServerName;
use super::bolt::Value;
use super::plan::Access;
use std::time::{Duration, Instant};

/// Shortest and longest time that a table is kept.
const MIN_TTL: i64 = 1;
const MAX_TTL: i64 = 3_600;

/// Servers by what they do.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RoutingTable {
    readers: Vec<ServerName>,
    writers: Vec<ServerName>,
    /// Those to be asked for the next table.
    pub(super) routers: Vec<ServerName>,
    until: Instant,
}

impl RoutingTable {
    /// Reads what a server has sent.
    pub(super) fn read(value: &Value) -> Option<Self> {
        let ttl = value.get("ttl")?.as_integer()?.clamp(MIN_TTL, MAX_TTL);
        let mut table = Self {
            readers: Vec::new(),
            writers: Vec::new(),
            routers: Vec::new(),
            until: Instant::now() + Duration::from_secs(ttl.unsigned_abs()),
        };
        for group in value.get("servers")?.as_list()? {
            let addresses = group.get("addresses")?.as_list()?;
            let servers = addresses
                .iter()
                .filter_map(|address| ServerName::read(address.as_text()?));
            match group.get("role")?.as_text()? {
                "READ" => table.readers.extend(servers),
                "WRITE" => table.writers.extend(servers),
                "ROUTE" => table.routers.extend(servers),
                _ => {}
            }
        }
        Some(table)
    }

    /// The server whose turn it is; `None`: the table has none, or is out of date.
    pub(super) fn server(&self, access: Access, turn: usize) -> Option<ServerName> {
        if Instant::now() >= self.until {
            return None;
        }
        let servers = match access {
            // A single server reads and writes.
            Access::Read if !self.readers.is_empty() => &self.readers,
            _ => &self.writers,
        };
        servers.get(turn.checked_rem(servers.len())?).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(role: &str, addresses: &[&str]) -> Value {
        let addresses = addresses.iter().map(|address| Value::text(address)).collect();
        Value::Map(vec![
            ("addresses".into(), Value::List(addresses)),
            ("role".into(), Value::text(role)),
        ])
    }

    fn table(ttl: i64, groups: Vec<Value>) -> Option<RoutingTable> {
        RoutingTable::read(&Value::Map(vec![
            ("ttl".into(), Value::Integer(ttl)),
            ("servers".into(), Value::List(groups)),
        ]))
    }

    #[test]
    fn servers_take_turns_by_what_they_do() {
        let groups = vec![
            group("WRITE", &["w:1"]),
            group("READ", &["a:1", "b:1"]),
            group("ROUTE", &["a:1", "bad:port"]),
            group("OTHER", &["x:1"]),
        ];
        let table = table(300, groups).unwrap();
        let host = |access, turn| table.server(access, turn).unwrap().host;
        assert_eq!(&*host(Access::Write, 7), "w");
        assert_eq!(
            (
                &*host(Access::Read, 0),
                &*host(Access::Read, 1),
                &*host(Access::Read, 2)
            ),
            ("a", "b", "a")
        );
        assert_eq!(table.routers.len(), 1);
    }

    #[test]
    fn without_writers_nobody_writes_and_without_readers_writers_read() {
        let only = table(300, vec![group("WRITE", &["w:1"])]).unwrap();
        assert_eq!(&*only.server(Access::Read, 3).unwrap().host, "w");
        let none = table(300, vec![group("READ", &["a:1"])]).unwrap();
        assert_eq!(none.server(Access::Write, 0), None);
        assert_eq!(table(300, vec![Value::Null]), None);
        assert_eq!(RoutingTable::read(&Value::Null), None);
        let mut old = only;
        old.until = Instant::now();
        assert_eq!(old.server(Access::Write, 0), None);
    }
}
