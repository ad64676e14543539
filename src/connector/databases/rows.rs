//! Writes result rows as JSON while they arrive, up to a limit.
//!
//! Invariant: what is kept is bounded, and truncation is reported.

use super::json;
use super::plan::Shape;
use crate::connector::Failure;
use crate::connector::limits::{DEFAULT_ROW_LIMIT, MAX_RESULT_BYTES};
use crate::text::spelling::truncated;
use std::collections::HashSet;

/// Refuses a result with two columns of one name, of which an object would keep the last alone.
pub(super) fn refuse_same_names<'n>(names: impl IntoIterator<Item = &'n str>) -> Result<(), Failure> {
    let mut known = HashSet::new();
    match names.into_iter().find(|name| !known.insert(*name)) {
        Some(name) => {
            let name = truncated(name);
            Err(Failure::invalid(format!(
                "the result has two columns named '{name}', of which a row can keep one; give one of them another name by AS"
            )))
        }
        None => Ok(()),
    }
}

/// Writes rows as a JSON list.
pub(super) struct RowWriter {
    text: String,
    count: u64,
    max_rows: u64,
    truncated: bool,
    first_of_row: bool,
    row_start: usize,
}

impl RowWriter {
    /// Accepts at most as many rows as the shape asks for.
    pub(super) fn new(shape: Shape) -> Self {
        let max_rows = match shape {
            Shape::Rows(max_rows) => max_rows,
            Shape::FirstRow | Shape::OnlyRow => 1,
            Shape::Changes => u64::MAX,
            Shape::RowsOrChanges => DEFAULT_ROW_LIMIT,
        };
        Self {
            text: String::new(),
            count: 0,
            max_rows,
            truncated: false,
            first_of_row: true,
            row_start: 0,
        }
    }

    /// Begins a row; `false`: no more are wanted.
    pub(super) fn begin(&mut self) -> bool {
        if self.count >= self.max_rows {
            self.truncated = true;
            return false;
        }
        self.row_start = self.text.len();
        if self.count > 0 {
            self.text.push(',');
        }
        self.text.push('{');
        self.first_of_row = true;
        true
    }

    /// Writes a cell of the row.
    pub(super) fn cell(&mut self, name: &str, write: impl FnOnce(&mut String)) {
        if !self.first_of_row {
            self.text.push(',');
        }
        self.first_of_row = false;
        json::push_string(&mut self.text, name);
        self.text.push(':');
        write(&mut self.text);
    }

    /// Ends the row; `false`: it was too large and is left out, and so are all further rows.
    pub(super) fn end(&mut self) -> bool {
        self.text.push('}');
        if self.text.len() > MAX_RESULT_BYTES {
            self.text.truncate(self.row_start);
            self.truncated = true;
            return false;
        }
        self.count += 1;
        true
    }

    /// There are more rows that were not read.
    #[cfg(feature = "dynamodb")]
    pub(super) fn cut(&mut self) {
        self.truncated = true;
    }
}

/// The outcome of a plan.
pub(super) struct Outcome {
    /// Rows of the last statement that returned columns.
    pub(super) rows: Option<RowWriter>,
    /// Number of changed rows.
    pub(super) changed: u64,
    /// The generated id of an inserted row, as the server says.
    pub(super) id: Option<i128>,
}

/// The result of rows alone.
#[cfg(any(feature = "mongodb", feature = "dynamodb"))]
pub(super) fn result_of(rows: RowWriter, shape: Shape) -> Result<String, Failure> {
    let outcome = Outcome {
        rows: Some(rows),
        changed: 0,
        id: None,
    };
    outcome.result(shape, None)
}

impl Outcome {
    /// The rows as a JSON list, and whether there are more.
    pub(super) fn rows_text(self) -> Result<(String, bool), Failure> {
        match self.rows {
            Some(rows) if rows.truncated && rows.count == 0 && rows.max_rows > 0 => Err(too_large()),
            Some(rows) => Ok((format!("[{}]", rows.text), rows.truncated)),
            None => Ok(("[]".into(), false)),
        }
    }

    /// The result of the job, as JSON text.
    pub(super) fn result(self, shape: Shape, given: Option<usize>) -> Result<String, Failure> {
        let changed = given.map_or(self.changed, |given| given as u64);
        match (shape, self.rows) {
            (Shape::FirstRow | Shape::OnlyRow, Some(rows)) if rows.truncated && rows.count == 0 => Err(too_large()),
            (Shape::FirstRow, rows) => Ok(rows
                .filter(|rows| rows.count > 0)
                .map_or("null".into(), |rows| rows.text)),
            (Shape::OnlyRow, rows) => Ok(rows.map_or_else(|| "{}".into(), |rows| rows.text)),
            (Shape::Rows(_) | Shape::RowsOrChanges, Some(rows)) => {
                if rows.truncated && rows.count == 0 && rows.max_rows > 0 {
                    return Err(too_large());
                }
                let truncated = if rows.truncated { ",\"truncated\":true" } else { "" };
                Ok(format!(
                    "{{\"rows\":[{}],\"count\":{}{truncated}}}",
                    rows.text, rows.count
                ))
            }
            (Shape::Changes, Some(rows)) => {
                let truncated = if rows.truncated { ",\"truncated\":true" } else { "" };
                Ok(format!("{{\"count\":{changed},\"rows\":[{}]{truncated}}}", rows.text))
            }
            (_, None) => {
                let mut text = format!("{{\"count\":{changed}");
                // With several rows it would be the first one's here, the last one's there; with an existing one, nobody's.
                if let Some(id) = self.id.filter(|_| changed == 1 && given.is_none()) {
                    text.push_str(",\"insertId\":");
                    json::push_integer(&mut text, id);
                }
                text.push('}');
                Ok(text)
            }
        }
    }
}

fn too_large() -> Failure {
    Failure::invalid(format!(
        "a row is larger than {MAX_RESULT_BYTES} bytes, the most that a job's result may have; select fewer columns"
    ))
}
