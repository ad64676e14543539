//! Operations that change or delete rows.
//!
//! Invariants: a row is changed only while the whole filter holds for it; which rows are met is known, and within the bound,
//! before the first of them is changed.

use super::access::full_key;
use super::batch;
use super::client::Repeat;
use super::expression::Expressions;
use super::failure::Trouble;
use super::job::Job;
use super::read::{End, Wanted, each, too_much};
use super::row::changed;
use super::schema::Table;
use super::update::{Changes, Target};
use super::value::Item;
use crate::connector::Failure;
use crate::connector::databases::filter::Filter;
use crate::connector::databases::operation::{Columns, Delete, Update};
use crate::connector::databases::operators::Operators;
use crate::connector::limits::MAX_ROWS_WRITTEN;
use serde_json::{Value, json};

/// Rows of which the first one is tried that still is as the filter says.
const MAX_CANDIDATES: usize = 100;

/// The keys of the rows of a filter.
async fn keys(job: Job<'_>, table: &Table, filter: &Filter, one: bool, what: &str) -> Result<Vec<Item>, Trouble> {
    let columns = Columns::These(table.key.names().map(Box::from).collect());
    let most = if one { MAX_CANDIDATES } else { MAX_ROWS_WRITTEN };
    let wanted = Wanted {
        filter,
        order: &[],
        columns: &columns,
        most: most as u64 + 1,
    };
    let mut keys = Vec::new();
    let end = each(job, table, wanted, |item| {
        keys.extend(table.key_of(item));
        Ok(keys.len() <= if one { MAX_CANDIDATES - 1 } else { most })
    })
    .await?;
    if one && !keys.is_empty() {
        return Ok(keys);
    }
    if end == End::Cut {
        return Err(too_much(what).into());
    }
    if keys.len() > most {
        return Err(Failure::invalid(format!(
            "{what} meets more than {MAX_ROWS_WRITTEN} rows; nothing was changed: give a narrower filter, in several jobs"
        ))
        .into());
    }
    Ok(keys)
}

/// A request for one row, without its key: only while the row is there and the filter holds.
pub(super) fn request(
    table: &Table,
    filter: &Filter,
    changes: Option<(&Changes<'_>, Target)>,
    returning: Option<&'static str>,
) -> Result<Item, Failure> {
    let mut expressions = Expressions::of(table);
    let mut request = Item::new();
    request.insert("TableName".into(), json!(&*table.name));
    let mut condition = expressions.exists();
    if let Some(rest) = expressions.condition([filter])? {
        condition = format!("{condition} AND {rest}");
    }
    if let Some((changes, target)) = changes {
        let rendered = changes.render(&mut expressions, table, target)?;
        if let Some(update) = rendered.update {
            request.insert("UpdateExpression".into(), json!(update));
        }
        if let Some(more) = rendered.condition {
            condition = format!("{condition} AND {more}");
        }
    }
    let condition = super::expression::bounded("the filter", condition)?;
    request.insert("ConditionExpression".into(), json!(condition));
    if let Some(returning) = returning {
        request.insert("ReturnValues".into(), json!(returning));
    }
    expressions.put_into(&mut request);
    Ok(request)
}

/// Sends a request for the row with this key; `None`: its condition did not hold.
async fn send(
    job: Job<'_>,
    operation: &str,
    request: &Item,
    key: &Item,
    repeat: Repeat,
) -> Result<Option<Item>, Trouble> {
    let mut request = request.clone();
    request.insert("Key".into(), Value::Object(key.clone()));
    match job.call(operation, request, repeat).await {
        Ok(answer) => Ok(Some(
            answer
                .get("Attributes")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
        )),
        Err(trouble) if trouble.is_unmet_condition() => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

/// What was changed.
struct Done {
    count: u64,
    rows: Vec<Item>,
}

impl Done {
    fn result(&self, table: &Table, returning: Option<&Columns>) -> Result<String, Trouble> {
        let returned = returning.map(|columns| (columns, self.rows.as_slice()));
        Ok(changed(self.count, table, returned)?)
    }
}

pub(super) async fn update(job: Job<'_>, update: &Update) -> Result<String, Trouble> {
    let table = job.table(&update.table.name).await?;
    let changes = Changes::of(&table, &update.changes)?;
    let returning = update.returning.as_ref().map(|_| "ALL_NEW");
    let of = |target| request(&table, &update.filter, Some((&changes, target)), returning);
    let requests = Requests {
        first: of(Target::Set)?,
        on_lists: match changes.may_be_of_a_list() {
            true => Some([of(Target::ListWithout)?, of(Target::ListWith)?]),
            false => None,
        },
    };
    let known = full_key(&table, &update.filter)?;
    let named = Operators::with_sets(&update.changes);
    // A filter that the change itself makes false would find nothing the second time.
    let is_safe = changes.are_repeatable() && known.as_ref().is_some_and(|(_, rest)| rest.is_empty());
    let repeat = if is_safe { Repeat::Safe } else { Repeat::Unsafe };
    let keys = match known {
        Some((key, _)) => vec![key],
        None => keys(job, &table, &update.filter, update.one, "the update").await?,
    };
    let mut done = Done {
        count: 0,
        rows: Vec::new(),
    };
    for key in &keys {
        let row = requests.send(job, key, repeat).await;
        let row = row.map_err(|trouble| batch::after(trouble.of_operators(&named), done.count as usize))?;
        if let Some(row) = row {
            done.count += 1;
            done.rows.extend(update.returning.is_some().then_some(row));
            if update.one {
                break;
            }
        }
    }
    done.result(&table, update.returning.as_ref())
}

/// The requests of an update, of which one fits the row.
struct Requests {
    first: Item,
    /// Where `$addToSet` meets a list: for one that lacks the value, and one that has it.
    on_lists: Option<[Item; 2]>,
}

impl Requests {
    async fn send(&self, job: Job<'_>, key: &Item, repeat: Repeat) -> Result<Option<Item>, Trouble> {
        let first = send(job, "UpdateItem", &self.first, key, repeat).await;
        match (first, &self.on_lists) {
            (Err(trouble), Some(on_lists)) if trouble.is_of_types() => {
                for request in on_lists {
                    if let Some(row) = send(job, "UpdateItem", request, key, Repeat::Unsafe).await? {
                        return Ok(Some(row));
                    }
                }
                Ok(None)
            }
            (first, _) => first,
        }
    }
}

pub(super) async fn delete(job: Job<'_>, delete: &Delete) -> Result<String, Trouble> {
    let table = job.table(&delete.table.name).await?;
    let returning = delete.returning.as_ref().map(|_| "ALL_OLD");
    let request = request(&table, &delete.filter, None, returning)?;
    let keys = match full_key(&table, &delete.filter)? {
        Some((key, _)) => vec![key],
        None => {
            let keys = keys(job, &table, &delete.filter, delete.one, "the deletion").await?;
            if !delete.one && returning.is_none() && names_keys_alone(&table, &delete.filter) {
                batch::delete(job, &table, &keys).await?;
                return Done {
                    count: keys.len() as u64,
                    rows: Vec::new(),
                }
                .result(&table, None);
            }
            keys
        }
    };
    let mut done = Done {
        count: 0,
        rows: Vec::new(),
    };
    for key in &keys {
        let row = send(job, "DeleteItem", &request, key, Repeat::Unsafe).await;
        let row = row.map_err(|trouble| batch::after(trouble, done.count as usize))?;
        if let Some(row) = row {
            done.count += 1;
            done.rows.extend(delete.returning.is_some().then_some(row));
            if delete.one {
                break;
            }
        }
    }
    done.result(&table, delete.returning.as_ref())
}

/// Whether a filter holds for as long as the row is there.
fn names_keys_alone(table: &Table, filter: &Filter) -> bool {
    let mut names = Vec::new();
    super::access::columns_of(filter, &mut names);
    names.into_iter().all(|name| table.key.has(name))
}
