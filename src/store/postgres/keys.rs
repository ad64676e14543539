//! Concurrency keys: how many runs with a key are running, and which are blocked until a slot is free.
//!
//! A due run becomes claimable; a claim that finds its key full moves it to `held`. After a transaction in which a run with
//! a key ended or was removed, [`unblock`] makes the best held runs *of each route* claimable, as many as there are free
//! slots. It is also called regularly, so that a process that dies in between leaves no slot unused.
//!
//! Invariant: the number of running runs with a key is that of its rows in `running`, and the key is locked before they are
//! counted to add one.

use super::failure::DbResult;
use super::param::storable;
use super::session::Session;
use super::tx::Tx;
use crate::model::NewJob;
use std::collections::BTreeMap;

/// Number of a key inside one store.
pub(super) type KeyId = i64;

const INSERT_KEYS: &str = include_str!("sql/insert_keys.sql");
const SELECT_KEYS: &str = include_str!("sql/select_keys.sql");
const UPDATE_KEY_LIMITS: &str = include_str!("sql/update_key_limits.sql");
const CALL_UNBLOCK: &str = include_str!("sql/call_unblock.sql");
const SELECT_KEY_USAGE: &str = include_str!("sql/select_key_usage.sql");
const DELETE_UNUSED_KEYS: &str = include_str!("sql/delete_unused_keys.sql");

type Name = (Box<str>, Box<str>, String);

/// Numbers of the keys of some jobs.
#[derive(Debug, Default)]
pub(super) struct Keys(BTreeMap<Name, KeyId>);

fn name(job: &NewJob) -> Option<Name> {
    let concurrency = job.options.concurrency.as_ref()?;
    let name = storable(&concurrency.key).into_owned();
    Some((job.route.product.clone(), job.route.env.clone(), name))
}

impl Keys {
    /// Looks up the keys and inserts new ones, within the caller's transaction.
    pub(super) async fn find<'a>(session: &Session, jobs: impl Iterator<Item = &'a NewJob>) -> DbResult<Self> {
        let mut limits: BTreeMap<Name, i64> = BTreeMap::new();
        for job in jobs {
            if let (Some(name), Some(concurrency)) = (name(job), &job.options.concurrency) {
                limits.insert(name, concurrency.limit);
            }
        }
        if limits.is_empty() {
            return Ok(Self::default());
        }
        let (mut products, mut envs, mut names, mut most) = (vec![], vec![], vec![], vec![]);
        for ((product, env, name), limit) in limits {
            products.push(product);
            envs.push(env);
            names.push(name);
            most.push(limit);
        }
        session.execute(INSERT_KEYS, &[&products, &envs, &names, &most]).await?;
        let mut keys = Self::default();
        for row in session.query(SELECT_KEYS, &[&products, &envs, &names]).await? {
            keys.0
                .insert((row.try_get(1)?, row.try_get(2)?, row.try_get(3)?), row.try_get(0)?);
        }
        Ok(keys)
    }

    /// The key of one of these jobs.
    pub(super) fn of(&self, job: &NewJob) -> Option<KeyId> {
        self.0.get(&name(job)?).copied()
    }

    /// Applies the limits of these jobs, which were written, to their keys; the last one of each key wins.
    pub(super) async fn limit<'a>(&self, tx: &mut Tx<'_>, jobs: impl Iterator<Item = &'a NewJob>) -> DbResult<()> {
        let mut limits: BTreeMap<KeyId, i64> = BTreeMap::new();
        for job in jobs {
            if let (Some(key), Some(concurrency)) = (self.of(job), &job.options.concurrency) {
                limits.insert(key, concurrency.limit);
            }
        }
        if limits.is_empty() {
            return Ok(());
        }
        let (keys, limits): (Vec<KeyId>, Vec<i64>) = limits.into_iter().unzip();
        tx.session.execute(UPDATE_KEY_LIMITS, &[&keys, &limits]).await?;
        // A raised limit lets more runs start.
        keys.into_iter().for_each(|key| tx.slot_freed(Some(key)));
        Ok(())
    }
}

/// Makes the best held runs of these keys claimable, as far as there are free slots; returns how many.
pub(super) async fn unblock(session: &Session, keys: &[KeyId]) -> DbResult<i64> {
    let row = session.query_opt(CALL_UNBLOCK, &[&keys.to_vec()]).await?;
    Ok(row.map_or(Ok(0), |row| row.try_get(0))?)
}

/// Running runs and limit of the key, if it is full.
pub(super) async fn usage_if_full(session: &Session, key: Option<KeyId>) -> DbResult<Option<(i64, i64)>> {
    let Some(key) = key else { return Ok(None) };
    let Some(row) = session.query_opt(SELECT_KEY_USAGE, &[&key]).await? else {
        return Ok(None);
    };
    let (running, limit): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    Ok((running >= limit).then_some((running, limit)))
}

/// Deletes keys that no job and no run has.
pub(super) async fn delete_unused(session: &Session) -> DbResult<()> {
    session.execute(DELETE_UNUSED_KEYS, &[]).await?;
    Ok(())
}
