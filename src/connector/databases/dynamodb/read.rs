//! Operations that read.
//!
//! Invariant: what is read is bounded in pages; a result that the bound cuts off says so, or is an error where it would be
//! wrong.

use super::access::{Access, Needed, Query, choose};
use super::client::Repeat;
use super::expression::Expressions;
use super::failure::Trouble;
use super::job::Job;
use super::row::push_row;
use super::schema::Table;
use super::value::Item;
use crate::connector::Failure;
use crate::connector::databases::filter::{Filter, Predicate};
use crate::connector::databases::operation::{Columns, Count, Order, Select};
use crate::connector::databases::plan::Shape;
use crate::connector::databases::rows::{RowWriter, result_of};
use crate::connector::limits::{DEFAULT_ROW_LIMIT, MAX_PAGES_QUERIED, MAX_PAGES_SCANNED, MAX_ROWS_READ};
use serde_json::{Value, json};

/// What to read.
pub(super) struct Wanted<'a> {
    pub(super) filter: &'a Filter,
    pub(super) order: &'a [Order],
    pub(super) columns: &'a Columns,
    /// Rows after which nothing more is taken, if nothing but the key is tested.
    pub(super) most: u64,
}

/// How reading ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// There are no more rows, or no more are wanted.
    Whole,
    /// The bound of pages was met.
    Cut,
}

/// Reads rows, page by page, and hands over each one until `take` says that no more are wanted.
pub(super) async fn each(
    job: Job<'_>,
    table: &Table,
    wanted: Wanted<'_>,
    mut take: impl FnMut(&Item) -> Result<bool, Failure> + Send,
) -> Result<End, Trouble> {
    let needed = match wanted.columns {
        Columns::All => Needed::All,
        Columns::These(columns) => Needed::These(columns),
    };
    match choose(table, wanted.filter, wanted.order, needed)? {
        Access::Nothing => Ok(End::Whole),
        Access::Get(key) => {
            if let Some(item) = get(job, table, key, wanted.columns).await? {
                take(&item)?;
            }
            Ok(End::Whole)
        }
        Access::GetMany(keys) => {
            for item in &get_many(job, table, keys, wanted.columns).await? {
                if !take(item)? {
                    break;
                }
            }
            Ok(End::Whole)
        }
        Access::Query(query) => {
            let (request, limited) = of_query(table, &query, wanted.columns)?;
            let limit = limited.then_some(wanted.most);
            let pages = Pages::of("Query", request, limit, MAX_PAGES_QUERIED);
            pages
                .each(job, |item| if query.excludes(item) { Ok(true) } else { take(item) })
                .await
        }
        Access::Scan => {
            job.warn_of_scan(table);
            let (request, limited) = of_scan(table, wanted.filter, wanted.columns)?;
            let limit = limited.then_some(wanted.most);
            Pages::of("Scan", request, limit, MAX_PAGES_SCANNED)
                .each(job, take)
                .await
        }
    }
}

async fn get(job: Job<'_>, table: &Table, key: Item, columns: &Columns) -> Result<Option<Item>, Trouble> {
    let mut request = Item::new();
    request.insert("TableName".into(), json!(&*table.name));
    request.insert("Key".into(), Value::Object(key));
    request.insert("ConsistentRead".into(), json!(true));
    if let Columns::These(columns) = columns {
        let mut expressions = Expressions::of(table);
        let projection = expressions.projection(columns.iter().map(|column| &**column))?;
        request.insert("ProjectionExpression".into(), json!(projection));
        expressions.put_into(&mut request);
    }
    let answer = job.call("GetItem", request, Repeat::Safe).await?;
    Ok(answer.get("Item").and_then(Value::as_object).cloned())
}

async fn get_many(job: Job<'_>, table: &Table, keys: Vec<Item>, columns: &Columns) -> Result<Vec<Item>, Trouble> {
    let mut shape = Item::new();
    shape.insert("ConsistentRead".into(), json!(true));
    let mut expressions = Expressions::of(table);
    project(&mut shape, &mut expressions, columns, None)?;
    expressions.put_into(&mut shape);
    super::batch::get(job, table, keys, &shape).await
}

/// The request of a query, and whether each row that is read is one that is wanted.
pub(super) fn of_query(table: &Table, query: &Query<'_, '_>, columns: &Columns) -> Result<(Item, bool), Failure> {
    let mut expressions = Expressions::of(table);
    let mut request = Item::new();
    request.insert("TableName".into(), json!(&*table.name));
    if let Some(index) = query.index {
        request.insert("IndexName".into(), json!(&*index.name));
    }
    if !query.index.is_some_and(|index| index.global) {
        request.insert("ConsistentRead".into(), json!(true));
    }
    let condition = query.key_condition(&mut expressions);
    request.insert("KeyConditionExpression".into(), json!(condition));
    request.insert("ScanIndexForward".into(), json!(!query.descending));
    let filter = expressions.condition(query.rest.iter().copied())?;
    let limited = filter.is_none() && query.excluding().is_none();
    if let Some(filter) = filter {
        request.insert("FilterExpression".into(), json!(filter));
    }
    project(&mut request, &mut expressions, columns, query.excluding())?;
    expressions.put_into(&mut request);
    Ok((request, limited))
}

pub(super) fn of_scan(table: &Table, filter: &Filter, columns: &Columns) -> Result<(Item, bool), Failure> {
    let mut expressions = Expressions::of(table);
    let mut request = Item::new();
    request.insert("TableName".into(), json!(&*table.name));
    request.insert("ConsistentRead".into(), json!(true));
    let filter = expressions.condition([filter])?;
    let limited = filter.is_none();
    if let Some(filter) = filter {
        request.insert("FilterExpression".into(), json!(filter));
    }
    project(&mut request, &mut expressions, columns, None)?;
    expressions.put_into(&mut request);
    Ok((request, limited))
}

fn project(
    request: &mut Item,
    expressions: &mut Expressions<'_>,
    columns: &Columns,
    tested: Option<&str>,
) -> Result<(), Failure> {
    let Columns::These(columns) = columns else {
        return Ok(());
    };
    let tested = tested.filter(|tested| !columns.iter().any(|column| **column == **tested));
    let names = columns.iter().map(|column| &**column).chain(tested);
    request.insert("ProjectionExpression".into(), json!(expressions.projection(names)?));
    Ok(())
}

/// Pages of a query or a scan.
struct Pages {
    operation: &'static str,
    request: Item,
    /// Rows that are still to be read, where all that are read count.
    left: Option<u64>,
    pages: usize,
}

impl Pages {
    fn of(operation: &'static str, request: Item, left: Option<u64>, pages: usize) -> Self {
        Self {
            operation,
            request,
            left,
            pages,
        }
    }

    /// The next page, and whether there is another one.
    async fn next(&mut self, job: Job<'_>) -> Result<(Value, bool), Trouble> {
        if let Some(left) = self.left {
            self.request.insert("Limit".into(), json!(left.max(1)));
        }
        let mut answer = job.call(self.operation, self.request.clone(), Repeat::Safe).await?;
        self.pages = self.pages.saturating_sub(1);
        let next = answer
            .as_object_mut()
            .and_then(|answer| answer.remove("LastEvaluatedKey"));
        let more = next.as_ref().is_some_and(Value::is_object);
        if let Some(next) = next {
            self.request.insert("ExclusiveStartKey".into(), next);
        }
        Ok((answer, more))
    }

    async fn each(
        mut self,
        job: Job<'_>,
        mut take: impl FnMut(&Item) -> Result<bool, Failure> + Send,
    ) -> Result<End, Trouble> {
        loop {
            let (answer, more) = self.next(job).await?;
            let items = answer.get("Items").and_then(Value::as_array);
            let items = items.map(Vec::as_slice).unwrap_or_default();
            for item in items.iter().filter_map(Value::as_object) {
                if !take(item)? {
                    return Ok(End::Whole);
                }
            }
            if let Some(left) = &mut self.left {
                *left = left.saturating_sub(items.len() as u64);
            }
            match (more, self.left) {
                (false, _) | (true, Some(0)) => return Ok(End::Whole),
                _ if self.pages == 0 => return Ok(End::Cut),
                _ => {}
            }
        }
    }

    /// The number of rows.
    async fn count(mut self, job: Job<'_>) -> Result<(u64, End), Trouble> {
        let mut count = 0;
        loop {
            let (answer, more) = self.next(job).await?;
            count += answer.get("Count").and_then(Value::as_u64).unwrap_or_default();
            match more {
                false => return Ok((count, End::Whole)),
                true if self.pages == 0 => return Ok((count, End::Cut)),
                true => {}
            }
        }
    }
}

/// Reading met its bound before the result was whole.
pub(super) fn too_much(what: &str) -> Failure {
    Failure::invalid(format!(
        "{what} would read more than {MAX_PAGES_SCANNED} pages of the table, or {MAX_PAGES_QUERIED} of a query, of 1 MB each; give the hash key of the table or of an index, or a narrower range of the sort key"
    ))
}

pub(super) async fn find(job: Job<'_>, select: &Select) -> Result<String, Trouble> {
    let shape = Shape::Rows(select.limit.unwrap_or(DEFAULT_ROW_LIMIT));
    // Without a limit one more, to tell whether there are more.
    let most = select.limit.unwrap_or(DEFAULT_ROW_LIMIT + 1);
    rows(job, select, shape, most).await
}

pub(super) async fn find_one(job: Job<'_>, select: &Select) -> Result<String, Trouble> {
    rows(job, select, Shape::FirstRow, 1).await
}

pub(super) fn without_include(select: &Select) -> Result<(), Failure> {
    if select.include.is_empty() {
        return Ok(());
    }
    Err(Failure::invalid(
        "input.include: DynamoDB joins no tables; read the other table by a job of its own",
    ))
}

async fn rows(job: Job<'_>, select: &Select, shape: Shape, most: u64) -> Result<String, Trouble> {
    without_include(select)?;
    if select.offset > MAX_ROWS_READ.unsigned_abs() {
        return Err(Failure::invalid(format!(
            "input.offset: DynamoDB reads the rows that are passed over, so that it may be at most {MAX_ROWS_READ}; begin at a value of the sort key"
        ))
        .into());
    }
    let table = job.table(&select.table.name).await?;
    let wanted = Wanted {
        filter: &select.filter,
        order: &select.order,
        columns: &select.columns,
        most: most.saturating_add(select.offset),
    };
    let mut rows = RowWriter::new(shape);
    let (mut passed, mut found) = (0, 0);
    let end = each(job, &table, wanted, |item| {
        if passed < select.offset {
            passed += 1;
            return Ok(true);
        }
        found += 1;
        Ok(push_row(&mut rows, &table, &select.columns, item) && found < most)
    })
    .await?;
    if end == End::Cut {
        if found == 0 {
            return Err(too_much("the query").into());
        }
        rows.cut();
    }
    Ok(result_of(rows, shape)?)
}

pub(super) fn without_distinct(count: &Count) -> Result<(), Failure> {
    if count.distinct {
        return Err(not_computed("a count of distinct values"));
    }
    Ok(())
}

pub(super) async fn count(job: Job<'_>, count: &Count) -> Result<String, Trouble> {
    without_distinct(count)?;
    let table = job.table(&count.table.name).await?;
    let filter = match &count.column {
        None => count.filter.clone(),
        Some(column) => Filter::All(vec![
            count.filter.clone(),
            Filter::Column(column.clone(), Predicate::IsNull(false)),
        ]),
    };
    let (counted, end) = match choose(&table, &filter, &[], Needed::These(&[]))? {
        Access::Nothing => (0, End::Whole),
        Access::Get(key) => {
            let keys = Columns::These(table.key.names().map(Box::from).collect());
            let found = get(job, &table, key, &keys).await?;
            (found.map_or(0, |_| 1), End::Whole)
        }
        Access::GetMany(keys) => {
            let names = Columns::These(table.key.names().map(Box::from).collect());
            (get_many(job, &table, keys, &names).await?.len() as u64, End::Whole)
        }
        Access::Query(query) => match query.excluding() {
            None => {
                let (mut request, _) = of_query(&table, &query, &Columns::All)?;
                request.insert("Select".into(), json!("COUNT"));
                Pages::of("Query", request, None, MAX_PAGES_QUERIED).count(job).await?
            }
            Some(name) => {
                let (request, _) = of_query(&table, &query, &Columns::These(vec![name.into()]))?;
                let mut counted = 0;
                let pages = Pages::of("Query", request, None, MAX_PAGES_QUERIED);
                let count = |item: &Item| {
                    counted += u64::from(!query.excludes(item));
                    Ok(true)
                };
                let end = pages.each(job, count).await?;
                (counted, end)
            }
        },
        Access::Scan => {
            job.warn_of_scan(&table);
            let (mut request, _) = of_scan(&table, &filter, &Columns::All)?;
            request.insert("Select".into(), json!("COUNT"));
            Pages::of("Scan", request, None, MAX_PAGES_SCANNED).count(job).await?
        }
    };
    if end == End::Cut {
        return Err(too_much("the count").into());
    }
    Ok(format!("{{\"count\":{counted}}}"))
}

/// Something that only the program can do over rows.
pub(super) fn not_computed(what: &str) -> Failure {
    Failure::invalid(format!(
        "DynamoDB computes nothing over rows but `count`: {what} is to be done by the program, from rows that a query returns"
    ))
}
