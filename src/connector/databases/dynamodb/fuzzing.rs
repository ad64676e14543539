//! What the fuzz target `dynamodb` sees: the requests that an operation sends.

use super::access::{Access, Needed, choose};
use super::schema::Table;
use super::update::{Changes, Target};
use super::value::Item;
use super::{change, insert, read};
use crate::connector::Failure;
use crate::connector::databases::filter::Filter;
use crate::connector::databases::operation::{Columns, Operation, Order};
use serde_json::{Value, json};

/// A table with a key of two attributes, and two indexes, one of which has few attributes.
fn table() -> Option<Table> {
    let attribute = |name: &str, kind: &str| json!({ "AttributeName": name, "AttributeType": kind });
    let part = |name: &str, kind: &str| json!({ "AttributeName": name, "KeyType": kind });
    let answer = json!({ "Table": {
        "AttributeDefinitions": [attribute("i", "N"), attribute("s", "S"), attribute("b", "B")],
        "KeySchema": [part("s", "HASH"), part("i", "RANGE")],
        "GlobalSecondaryIndexes": [
            { "IndexName": "all", "KeySchema": [part("i", "HASH"), part("b", "RANGE")],
              "Projection": { "ProjectionType": "ALL" } },
            { "IndexName": "few", "KeySchema": [part("b", "HASH")],
              "Projection": { "ProjectionType": "INCLUDE", "NonKeyAttributes": ["j"] } }],
    }});
    Table::read("table", &answer)
}

/// The requests of an operation, as JSON; those that go by what the server answers each with a key that it may have.
///
/// # Errors
/// As the job fails.
pub(in crate::connector::databases) fn requests(operation: &Operation) -> Result<Vec<Value>, Failure> {
    let Some(table) = &table() else { return Ok(Vec::new()) };
    let none = (&[][..], &Columns::All);
    let requests = match operation {
        Operation::Find(select) | Operation::FindOne(select) => {
            reads(table, &select.filter, &select.order, &select.columns)?
        }
        Operation::Count(count) => reads(table, &count.filter, none.0, none.1)?,
        Operation::Insert(insert) => {
            let (items, _) = insert::new_items(table, &insert.rows)?;
            let written = |item: Item| match &insert.conflict {
                None => Ok(insert::put_if_absent(table, item)),
                Some(_) => insert::set(table, &item, None),
            };
            items.into_iter().map(written).collect::<Result<_, _>>()?
        }
        Operation::Update(update) => {
            let changes = Changes::of(table, &update.changes)?;
            let targets = [Target::Set, Target::ListWithout, Target::ListWith];
            let of_lists = changes.may_be_of_a_list();
            let targets = targets.into_iter().take(if of_lists { 3 } else { 1 });
            let of = |target| change::request(table, &update.filter, Some((&changes, target)), None);
            let mut requests: Vec<Item> = targets.map(of).collect::<Result<_, _>>()?;
            requests.extend(reads(table, &update.filter, none.0, none.1)?);
            requests
        }
        Operation::Delete(delete) => {
            let mut requests = vec![change::request(table, &delete.filter, None, None)?];
            requests.extend(reads(table, &delete.filter, none.0, none.1)?);
            requests
        }
        Operation::Compute { .. } | Operation::Aggregate(_) | Operation::Pipeline { .. } | Operation::Raw(_) => {
            Vec::new()
        }
    };
    Ok(requests.into_iter().map(Value::Object).collect())
}

fn reads(table: &Table, filter: &Filter, order: &[Order], columns: &Columns) -> Result<Vec<Item>, Failure> {
    let needed = match columns {
        Columns::All => Needed::All,
        Columns::These(columns) => Needed::These(columns),
    };
    let with_key = |key: Item| [("Key".to_owned(), Value::Object(key))].into_iter().collect();
    Ok(match choose(table, filter, order, needed)? {
        Access::Nothing => Vec::new(),
        Access::Get(key) => vec![with_key(key)],
        Access::GetMany(keys) => keys.into_iter().map(with_key).collect(),
        Access::Query(query) => vec![read::of_query(table, &query, columns)?.0],
        Access::Scan => vec![read::of_scan(table, filter, columns)?.0],
    })
}
