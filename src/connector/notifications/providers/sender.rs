//! Sends a message to many recipients by a provider's API: several requests at once, each for as many recipients as the
//! provider takes.

use super::answer::{Answer, Outcome};
use super::request::ApiRequest;
use super::{Batch, Provider, Recipient};
use crate::clock::{Clock, SystemClock};
use crate::connector::Failure;
use crate::connector::notifications::history::{DeliveryHistory, DeliveryOutcome, PartNote};
use crate::http::{Client, ClientOptions, ExchangeLimits};
use crate::resources::OutboundRules;
use futures_util::future::join_all;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Most requests of one attempt at once.
const MAX_REQUESTS: usize = 4;
/// How long a request may take.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer that is read.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// What became of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::connector::notifications) struct Delivery {
    pub outcome: DeliveryOutcome,
    pub note: PartNote,
}

/// Sends messages of type `C` by one provider.
pub(super) struct ApiSender<C> {
    pub(super) provider: Box<dyn Provider<C>>,
    client: Client,
    host: String,
}

impl<C: Send + Sync> ApiSender<C> {
    /// `host` is named in messages. Does not connect yet.
    pub(super) async fn open(
        provider: Box<dyn Provider<C>>,
        host: &str,
        outbound: OutboundRules,
    ) -> Result<Self, Failure> {
        Ok(Self {
            provider,
            client: Client::open(ClientOptions::new(outbound)).await?,
            host: host.to_owned(),
        })
    }

    /// Sends to each recipient without a recorded outcome. Returns all outcomes in the order of recipients.
    pub(super) async fn send(&self, batch: &Batch<C>, history: &DeliveryHistory<'_>) -> Vec<Delivery> {
        let known: Vec<Option<Delivery>> = batch
            .recipients
            .iter()
            .map(|recipient| {
                let outcome = history.outcome(&recipient.step)?;
                let note = history.note(&recipient.step);
                Some(Delivery { outcome, note })
            })
            .collect();
        let pending: Vec<usize> = (0..known.len()).filter(|index| known[*index].is_none()).collect();
        let chunks: Vec<&[usize]> = pending.chunks(self.provider.batch().max(1)).collect();
        let work = Work {
            sender: self,
            batch,
            history,
            next: AtomicUsize::new(0),
            unusable: AtomicBool::new(false),
            deliveries: Mutex::new(known),
            chunks: &chunks,
        };
        join_all((0..MAX_REQUESTS.min(chunks.len())).map(|_| work.run())).await;
        let deliveries = work.deliveries.into_inner().unwrap_or_else(PoisonError::into_inner);
        let untried = || Delivery {
            outcome: DeliveryOutcome::NotAttempted,
            note: PartNote::default(),
        };
        deliveries
            .into_iter()
            .map(|delivery| delivery.unwrap_or_else(untried))
            .collect()
    }

    /// Asks for something that shows whether the credentials are right.
    pub(super) async fn check(&self) -> Result<(), Failure> {
        let answer = self.exchange(|| self.provider.probe()).await?;
        if answer.is_success() || self.provider.is_known_by(&answer) {
            return Ok(());
        }
        Err(self.named(answer.failure("")))
    }

    /// Sends a request; with other credentials again, if there are any.
    pub(super) async fn exchange(&self, request: impl Fn() -> Result<ApiRequest, Failure>) -> Result<Answer, Failure> {
        let answer = self.exchange_once(request()?).await?;
        if answer.status == 401 && self.provider.forget_credentials() {
            return self.exchange_once(request()?).await;
        }
        Ok(answer)
    }

    async fn exchange_once(&self, mut request: ApiRequest) -> Result<Answer, Failure> {
        self.provider.authorize(&self.client, &mut request).await?;
        let now = SystemClock.now();
        let limits = ExchangeLimits {
            deadline: REQUEST_TIMEOUT,
            response_bytes: MAX_ANSWER_BYTES,
            redirects: 0,
            now,
        };
        let response = self.client.exchange_any(request.build(&self.client), &limits).await;
        let response = response.map_err(|failure| self.named(failure.into()))?;
        Ok(Answer::read(response, now))
    }

    /// A failure that says whose it is.
    pub(super) fn named(&self, mut failure: Failure) -> Failure {
        failure.message = format!("{}: {}", self.host, failure.message);
        failure
    }
}

/// One message on its way: several workers each take the next recipients.
struct Work<'a, C> {
    sender: &'a ApiSender<C>,
    batch: &'a Batch<C>,
    history: &'a DeliveryHistory<'a>,
    chunks: &'a [&'a [usize]],
    next: AtomicUsize,
    /// Set when no further request should be tried.
    unusable: AtomicBool,
    deliveries: Mutex<Vec<Option<Delivery>>>,
}

impl<C: Send + Sync> Work<'_, C> {
    async fn run(&self) {
        while !self.unusable.load(Ordering::Relaxed) {
            let Some(chunk) = self.chunks.get(self.next.fetch_add(1, Ordering::Relaxed)) else {
                return;
            };
            self.send_chunk(chunk).await;
        }
    }

    async fn send_chunk(&self, chunk: &[usize]) {
        let mut left = chunk.to_vec();
        while !left.is_empty() && !self.unusable.load(Ordering::Relaxed) {
            let outcomes = self.ask(&left).await;
            let mut again = Vec::new();
            for (index, outcome) in left.iter().zip(outcomes) {
                match outcome {
                    Outcome::Again => again.push(*index),
                    outcome => self.settle(*index, outcome).await,
                }
            }
            // The request was refused, and not for one of its recipients.
            if again.len() == left.len() {
                let failure = Failure::invalid("the request was refused as a whole");
                return self
                    .settle_all(&again, &Outcome::Unusable(self.sender.named(failure)))
                    .await;
            }
            left = again;
        }
    }

    async fn settle_all(&self, indexes: &[usize], outcome: &Outcome) {
        for index in indexes {
            self.settle(*index, outcome.clone()).await;
        }
    }

    async fn ask(&self, indexes: &[usize]) -> Vec<Outcome> {
        let recipients: Vec<&Recipient> = indexes
            .iter()
            .filter_map(|index| self.batch.recipients.get(*index))
            .collect();
        let provider = &self.sender.provider;
        let request = || provider.request(&self.batch.content, &recipients);
        match self.sender.exchange(request).await {
            Ok(answer) => {
                let read = provider.read(&answer, recipients.len()).into_iter();
                let mut outcomes: Vec<Outcome> = read
                    .map(|outcome| match outcome {
                        Outcome::Failed(failure) => Outcome::Failed(self.sender.named(failure)),
                        Outcome::Unusable(failure) => Outcome::Unusable(self.sender.named(failure)),
                        other => other,
                    })
                    .collect();
                // An answer that leaves some out: nobody knows what became of them.
                let missing = || Outcome::Failed(Failure::unavailable("the answer does not say what became of it"));
                outcomes.resize_with(recipients.len(), missing);
                outcomes
            }
            Err(failure) => vec![Outcome::Unusable(failure); recipients.len()],
        }
    }

    /// Takes an outcome, and records it if it is final.
    async fn settle(&self, index: usize, outcome: Outcome) {
        let Some(recipient) = self.batch.recipients.get(index) else {
            return;
        };
        let mut note = PartNote::default();
        let outcome = match outcome {
            Outcome::Sent(id) => {
                note.id = id;
                DeliveryOutcome::Sent
            }
            Outcome::Refused(refusal) => {
                note.code = Some(refusal.code.clone()).filter(|code| !code.is_empty());
                note.dead = refusal.dead;
                DeliveryOutcome::Refused(format!("{}: {}", self.sender.provider.name(), refusal.message()))
            }
            Outcome::Failed(failure) => DeliveryOutcome::Failed(failure),
            Outcome::Unusable(failure) => self.stop(failure),
            Outcome::Again => DeliveryOutcome::NotAttempted,
        };
        let outcome = match self.history.record_with_note(&recipient.step, &outcome, &note).await {
            Ok(()) => outcome,
            // Not recorded: a later attempt tries again and is refused again.
            Err(_) if matches!(outcome, DeliveryOutcome::Refused(_)) => outcome,
            // Outcomes cannot be recorded: each further message would be sent again by the next attempt.
            Err(failure) => self.stop(failure),
        };
        let mut deliveries = self.deliveries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = deliveries.get_mut(index) {
            *place = Some(Delivery { outcome, note });
        }
    }

    fn stop(&self, failure: Failure) -> DeliveryOutcome {
        self.unusable.store(true, Ordering::Relaxed);
        DeliveryOutcome::Failed(failure)
    }
}
