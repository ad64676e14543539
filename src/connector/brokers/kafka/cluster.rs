//! The cluster: who leads which partition, and how a message gets there.
//!
//! Invariant: what is known of a topic is asked for anew when a server says that it is wrong, and after a while anyway.

use super::batch::{Record, partition_of_key};
use super::connection::Connection;
use super::failure::{Refusal, code, refusal};
use super::node::{Node, Place};
use super::producer::Producer;
use super::protocol::{Metadata, TopicMetadata};
use super::settings::{Address, Settings};
use crate::connector::Failure;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long what is known of a topic is good.
const MAX_AGE: Duration = Duration::from_secs(300);
/// Most topics that something is known of.
const MAX_TOPICS: usize = 1_000;
/// How often a message is sent to whoever leads its partition then.
const MAX_ROUTES: u32 = 5;
/// The pause before the second time; it grows with each.
const PAUSE: Duration = Duration::from_millis(100);

/// What is known of a topic.
struct Topic {
    name: Arc<str>,
    since: Instant,
    /// By the numbers of partitions; `None`: nobody leads it now.
    leaders: Vec<Option<Address>>,
    /// The partition whose turn it is to get a message without a key.
    turn: AtomicUsize,
}

impl Topic {
    /// The partition of a message, and who leads it.
    fn route(&self, key: Option<&[u8]>) -> Option<(i32, &Address)> {
        let count = self.leaders.len();
        let partition = match key {
            Some(key) => partition_of_key(key, count),
            None => {
                let turn = self.turn.fetch_add(1, Ordering::Relaxed);
                (0..count)
                    .map(|step| turn.wrapping_add(step) % count)
                    .find(|partition| self.leaders.get(*partition).is_some_and(Option::is_some))?
            }
        };
        let leader = self.leaders.get(partition)?.as_ref()?;
        Some((i32::try_from(partition).ok()?, leader))
    }
}

/// A server that could not be connected to.
struct Unreached {
    address: Address,
    failure: Failure,
}

#[derive(Default)]
struct State {
    nodes: HashMap<Address, Arc<Node>>,
    /// All servers, as one of them has said.
    brokers: Vec<Address>,
    topics: HashMap<Box<str>, Arc<Topic>>,
}

/// A cluster that is talked to.
pub(in crate::connector::brokers) struct Cluster {
    settings: Arc<Settings>,
    producer: Arc<Producer>,
    state: Mutex<State>,
    /// One asks at a time, and those that waited take what it has learned.
    asking: tokio::sync::Mutex<()>,
}

impl Cluster {
    /// Connects to the first server that answers.
    pub(super) async fn connect(settings: Arc<Settings>) -> Result<Self, Failure> {
        let mut failure = Failure::invalid("config.brokers: is empty");
        for address in &settings.servers {
            let connection = match Connection::open(address, &settings).await {
                Ok(connection) => connection,
                Err(why) => {
                    failure = why;
                    continue;
                }
            };
            let cluster = Self {
                settings: Arc::clone(&settings),
                producer: Arc::default(),
                state: Mutex::default(),
                asking: tokio::sync::Mutex::default(),
            };
            let node = cluster.make_node(address, Some(connection));
            match node.metadata(&[]).await {
                Ok(metadata) => {
                    cluster.learn(&metadata, Instant::now());
                    return Ok(cluster);
                }
                Err(_) if settings.login.is_none() && Connection::wants_login(address, &settings).await => {
                    failure = Failure::unauthorized(format!(
                        "{address}: it wants credentials; give `sasl` in the broker's `config`"
                    ));
                }
                Err(why) => failure = why,
            }
        }
        Err(failure)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make_node(&self, address: &Address, connection: Option<Connection>) -> Arc<Node> {
        let make = || {
            let (settings, producer) = (Arc::clone(&self.settings), Arc::clone(&self.producer));
            Arc::new(Node::new(address.clone(), settings, producer, connection))
        };
        Arc::clone(self.state().nodes.entry(address.clone()).or_insert_with(make))
    }

    /// Ends all that is under way.
    pub(super) fn abandon(&self) {
        self.state().nodes.values().for_each(|node| node.abandon());
    }

    /// Whether it answers.
    pub(super) async fn probe(&self) -> Result<(), Failure> {
        self.metadata(&[], None).await.map(|_| ())
    }

    /// Asks the servers in turn, first those that there are connections to, and not one that was just tried in vain.
    async fn metadata(&self, topics: &[&str], tried: Option<&Unreached>) -> Result<Metadata, Failure> {
        let mut candidates: Vec<Address> = Vec::new();
        {
            let state = self.state();
            let all = state.nodes.keys().chain(&state.brokers).chain(&self.settings.servers);
            for address in all {
                if !candidates.contains(address) && tried.is_none_or(|tried| tried.address != *address) {
                    candidates.push(address.clone());
                }
            }
        }
        let mut failure = tried.map_or_else(
            || Failure::connection("no server of the cluster is known"),
            |tried| tried.failure.clone(),
        );
        for address in &candidates {
            match self.make_node(address, None).metadata(topics).await {
                Ok(metadata) => return Ok(metadata),
                Err(why) if &*why.code != "CONNECTION_ERROR" => return Err(why),
                Err(why) => failure = why,
            }
        }
        Err(failure)
    }

    fn learn(&self, metadata: &Metadata, since: Instant) {
        let by_id = addresses(metadata);
        let mut state = self.state();
        state.brokers = by_id.values().cloned().collect();
        for topic in &metadata.topics {
            if topic.code != code::NONE && topic.leaders.is_empty() {
                state.topics.remove(&topic.name);
                continue;
            }
            if state.topics.len() >= MAX_TOPICS {
                state.topics.clear();
            }
            let known = Topic {
                name: (&*topic.name).into(),
                since,
                leaders: leaders(topic, &by_id),
                turn: AtomicUsize::default(),
            };
            state.topics.insert(topic.name.clone(), Arc::new(known));
        }
    }

    /// What is known of a topic, and was asked for after `since`.
    async fn topic(
        &self,
        name: &str,
        since: Option<Instant>,
        tried: Option<&Unreached>,
    ) -> Result<Arc<Topic>, Refusal> {
        let known = || {
            let topic = self.state().topics.get(name).cloned()?;
            let is_good = since.map_or(topic.since.elapsed() < MAX_AGE, |since| topic.since > since);
            is_good.then_some(topic)
        };
        if let Some(topic) = known() {
            return Ok(topic);
        }
        let _one = self.asking.lock().await;
        if let Some(topic) = known() {
            return Ok(topic);
        }
        let asked = Instant::now();
        let metadata = self.metadata(&[name], tried).await.map_err(Refusal::Refused)?;
        self.learn(&metadata, asked);
        if let Some(topic) = known() {
            return Ok(topic);
        }
        let why = metadata.topics.first().map_or(code::NONE, |topic| topic.code);
        Err(refusal(why, name, None))
    }

    async fn try_once(
        &self,
        topic: &str,
        record: &Record,
        since: Option<Instant>,
        tried: Option<&Unreached>,
    ) -> Result<Place, Refusal> {
        let topic = self.topic(topic, since, tried).await?;
        let Some((partition, leader)) = topic.route(record.key.as_deref()) else {
            return Err(refusal(5, &topic.name, None));
        };
        let node = self.make_node(leader, None);
        node.produce(Arc::clone(&topic.name), partition, record.clone()).await
    }

    /// Stores a message.
    pub(super) async fn publish(&self, topic: &str, record: &Record) -> Result<Place, Failure> {
        let (mut since, mut tries, mut tried) = (None, 0, None);
        loop {
            let began = Instant::now();
            tries += 1;
            match self.try_once(topic, record, since, tried.as_ref()).await {
                Ok(place) => return Ok(place),
                // A topic that was made just now is not known everywhere; one that stays unknown is none.
                Err(Refusal::Elsewhere(failure)) if &*failure.code == "NOT_FOUND" && tries > 2 => return Err(failure),
                Err(Refusal::Elsewhere(failure) | Refusal::Outdated(failure) | Refusal::Unreached(_, failure))
                    if tries >= MAX_ROUTES =>
                {
                    return Err(failure);
                }
                Err(Refusal::Elsewhere(_)) => {
                    tokio::time::sleep(PAUSE * tries).await;
                    since = Some(began);
                }
                // Another server may lead in its place, and can tell.
                Err(Refusal::Unreached(address, failure)) => {
                    tried = Some(Unreached { address, failure });
                    since = Some(began);
                }
                Err(Refusal::Outdated(_)) => {}
                Err(Refusal::Refused(failure) | Refusal::Unknown(failure)) => return Err(failure),
                Err(Refusal::TooLarge) => return Err(super::failure::too_large(record.size())),
            }
        }
    }
}

/// All servers, by their ids.
fn addresses(metadata: &Metadata) -> HashMap<i32, Address> {
    let address = |(id, host, port): &(i32, Arc<str>, u16)| {
        let (host, port) = (Arc::clone(host), *port);
        (*id, Address { host, port })
    };
    metadata.brokers.iter().map(address).collect()
}

/// Who leads the partitions of all topics, as they are kept.
#[cfg(fuzzing)]
pub(super) fn all_leaders(metadata: &Metadata) -> Vec<Vec<Option<Address>>> {
    let by_id = addresses(metadata);
    metadata.topics.iter().map(|topic| leaders(topic, &by_id)).collect()
}

fn leaders(topic: &TopicMetadata, by_id: &HashMap<i32, Address>) -> Vec<Option<Address>> {
    let mut leaders = vec![None; topic.leaders.len()];
    for (number, leader) in &topic.leaders {
        let place = usize::try_from(*number).ok().and_then(|number| leaders.get_mut(number));
        if let Some(place) = place {
            *place = by_id.get(leader).cloned();
        }
    }
    leaders
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(leaders: &[Option<u16>]) -> Topic {
        let leader = |port: &Option<u16>| port.map(|port| Address { host: "h".into(), port });
        Topic {
            name: "t".into(),
            since: Instant::now(),
            leaders: leaders.iter().map(leader).collect(),
            turn: AtomicUsize::default(),
        }
    }

    #[test]
    fn partitions_share_the_name_of_the_server_that_leads_them() {
        let metadata = Metadata {
            brokers: vec![(1, "h".into(), 9092)],
            topics: vec![TopicMetadata {
                code: code::NONE,
                name: "t".into(),
                leaders: vec![(0, 1), (1, 1), (2, 7)],
            }],
        };
        let leaders = leaders(&metadata.topics[0], &addresses(&metadata));
        let [Some(first), Some(second), None] = &leaders[..] else {
            panic!("{leaders:?}")
        };
        assert!(Arc::ptr_eq(&first.host, &second.host));
    }

    #[test]
    fn messages_without_a_key_take_turns_among_partitions_that_are_led() {
        let topic = topic(&[Some(1), None, Some(3)]);
        let routes: Vec<i32> = (0..6).map(|_| topic.route(None).unwrap().0).collect();
        assert_eq!(routes, [0, 2, 2, 0, 2, 2]);
    }

    #[test]
    fn messages_with_a_key_keep_to_its_partition() {
        // 479470107 % 3 is 0.
        assert_eq!(topic(&[Some(1), None, Some(3)]).route(Some(b"abc")).unwrap().0, 0);
        // Nobody leads it now, and another partition would be the wrong one.
        assert_eq!(topic(&[None, Some(2), Some(3)]).route(Some(b"abc")), None);
        assert_eq!(topic(&[]).route(Some(b"abc")), None);
        assert_eq!(topic(&[]).route(None), None);
    }
}
