//! What the fuzz target `kafka` sees: what is read of a server's answers, and kept.

use super::cluster::all_leaders;
use super::failure::{Refusal, refusal};
use super::protocol::{Metadata, Versions, read_authenticate, read_handshake, read_init_producer, read_produce};
use super::scram::{Hash, Scram};

/// Password and nonce of a login.
const SECRET: &str = "secret";
/// Rounds that are computed while fuzzing, as digits: more only take time.
const MAX_ROUND_DIGITS: usize = 3;

/// Reads the answer to a request of this kind, as the client does. Returns what is kept of it, to be dropped by the caller;
/// `None`: it is no such answer.
#[must_use]
pub fn read_answer(kind: u8, answer: &[u8]) -> Option<Box<dyn std::any::Any>> {
    match kind {
        0 => Some(Box::new(Versions::read(answer)?)),
        1 => {
            let metadata = Metadata::read(answer)?;
            Some(Box::new((all_leaders(&metadata), metadata)))
        }
        2 => Some(Box::new(read_init_producer(answer)?)),
        version @ 3..=8 => {
            let stored = read_produce(answer, version.into())?;
            let refusals = stored
                .iter()
                .map(|stored| refusal(stored.code, "t", stored.words.as_deref()));
            let longest = refusals.map(|refusal| message(&refusal).len()).max();
            assert!(longest < Some(4_000), "a message of {longest:?} bytes");
            Some(Box::new(stored))
        }
        9 => Some(Box::new(read_handshake(answer)?)),
        10 => Some(Box::new(read_authenticate(answer)?.1.to_vec())),
        _ => {
            let challenge = std::str::from_utf8(answer).ok()?;
            let digits = challenge.rsplit("i=").next().unwrap_or_default();
            let scram = Scram::new(Hash::Sha256, "ann", SECRET.to_owned());
            let proof = (digits.len() <= MAX_ROUND_DIGITS).then(|| scram.proof(SECRET, challenge))??;
            Some(Box::new(proof))
        }
    }
}

fn message(refusal: &Refusal) -> &str {
    match refusal {
        Refusal::Elsewhere(failure)
        | Refusal::Unreached(_, failure)
        | Refusal::Outdated(failure)
        | Refusal::Refused(failure)
        | Refusal::Unknown(failure) => &failure.message,
        Refusal::TooLarge => "",
    }
}
