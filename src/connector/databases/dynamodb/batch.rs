//! Many rows with one request.

use super::client::{Repeat, pause_before};
use super::failure::Trouble;
use super::job::Job;
use super::schema::Table;
use super::value::Item;
use crate::connector::Failure;
use crate::error::ErrorCode;
use serde_json::{Value, json};

/// Rows of one transaction.
const MAX_TRANSACTION_ROWS: usize = 100;
/// Size of one transaction, of the 4 MB that DynamoDB takes.
const MAX_TRANSACTION_BYTES: usize = 3_500_000;
/// Rows of one batch.
const MAX_BATCH_ROWS: usize = 25;
/// How often what a batch left undone is tried again without any of it being done.
const MAX_FRUITLESS: u32 = 6;

/// Adds to a failure how many rows came before it.
pub(super) fn after(trouble: Trouble, written: usize) -> Trouble {
    if written == 0 {
        return trouble;
    }
    let mut failure = Failure::from(trouble);
    failure
        .message
        .push_str(&format!("; {written} rows before it are written"));
    failure.into()
}

/// Does these in transactions of up to 100, each of which is done as a whole or not at all, and once for all attempts of a
/// run that follow each other within ten minutes.
pub(super) async fn transact(job: Job<'_>, items: Vec<Value>) -> Result<(), Trouble> {
    let mut written = 0;
    for chunk in transactions(items) {
        let size = chunk.len();
        let items = Value::Array(chunk);
        let token = job.token(&items);
        let mut request = Item::new();
        request.insert("TransactItems".into(), items);
        request.insert("ClientRequestToken".into(), json!(token));
        let done = job.call("TransactWriteItems", request, Repeat::Safe).await;
        done.map_err(|trouble| after(trouble, written))?;
        written += size;
    }
    Ok(())
}

fn transactions(items: Vec<Value>) -> Vec<Vec<Value>> {
    let mut all: Vec<Vec<Value>> = Vec::new();
    let mut size = 0;
    for item in items {
        let length = item.to_string().len();
        match all.last_mut() {
            Some(last) if last.len() < MAX_TRANSACTION_ROWS && size + length <= MAX_TRANSACTION_BYTES => {
                size += length;
                last.push(item);
            }
            _ => {
                size = length;
                all.push(vec![item]);
            }
        }
    }
    all
}

/// The rows with these keys, in no order. The columns are those of `shape`: a projection, with its names.
pub(super) async fn get(job: Job<'_>, table: &Table, keys: Vec<Item>, shape: &Item) -> Result<Vec<Item>, Trouble> {
    let mut found = Vec::new();
    for chunk in keys.chunks(MAX_BATCH_ROWS) {
        let mut wanted = shape.clone();
        wanted.insert("Keys".into(), json!(chunk));
        let mut left = Value::Object(wanted);
        let mut fruitless = 0;
        loop {
            let request: Item = [("RequestItems".to_owned(), json!({ &*table.name: left }))]
                .into_iter()
                .collect();
            let answer = job.call("BatchGetItem", request, Repeat::Safe).await?;
            let of = |part: &str| answer.get(part).and_then(|all| all.get(&*table.name));
            let rows = of("Responses")
                .and_then(Value::as_array)
                .map(Vec::as_slice)
                .unwrap_or_default();
            found.extend(rows.iter().filter_map(|row| row.as_object().cloned()));
            match of("UnprocessedKeys") {
                Some(unprocessed) if unprocessed.is_object() => left = unprocessed.clone(),
                _ => break,
            }
            fruitless = if rows.is_empty() { fruitless + 1 } else { 1 };
            if fruitless >= MAX_FRUITLESS {
                let message = "DynamoDB: more was asked for than the table allows";
                return Err(Failure::new(ErrorCode::RateLimited, message).into());
            }
            job.pause(pause_before(fruitless));
        }
    }
    Ok(found)
}

/// Deletes the rows with these keys, whatever else they hold.
pub(super) async fn delete(job: Job<'_>, table: &Table, keys: &[Item]) -> Result<(), Trouble> {
    let mut deleted = 0;
    for chunk in keys.chunks(MAX_BATCH_ROWS) {
        let requests = chunk.iter().map(|key| json!({ "DeleteRequest": { "Key": key } }));
        let mut left: Vec<Value> = requests.collect();
        let mut fruitless = 0;
        while !left.is_empty() {
            let before = left.len();
            let request: Item = [("RequestItems".to_owned(), json!({ &*table.name: left }))]
                .into_iter()
                .collect();
            let answer = job.call("BatchWriteItem", request, Repeat::Safe).await;
            let mut answer = answer.map_err(|trouble| after(trouble, deleted))?;
            let unprocessed = answer.pointer_mut("/UnprocessedItems").map(Value::take);
            left = match unprocessed.as_ref().and_then(|all| all.get(&*table.name)) {
                Some(Value::Array(left)) => left.clone(),
                _ => Vec::new(),
            };
            deleted += before.saturating_sub(left.len());
            if left.is_empty() {
                break;
            }
            fruitless = if left.len() < before { 1 } else { fruitless + 1 };
            if fruitless >= MAX_FRUITLESS {
                return Err(Failure::new(
                    ErrorCode::RateLimited,
                    format!("DynamoDB: more was asked for than the table allows; {deleted} rows are deleted"),
                )
                .into());
            }
            let pause = pause_before(fruitless);
            job.pause(pause);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_are_bounded_in_rows_and_bytes() {
        let sizes = |items: Vec<Value>| transactions(items).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(vec![json!(1); 250]), [100, 100, 50]);
        let large = json!("x".repeat(1_000_000));
        assert_eq!(sizes(vec![large; 7]), [3, 3, 1]);
        assert!(transactions(Vec::new()).is_empty());
    }
}
