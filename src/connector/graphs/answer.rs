//! Collects results of operations as JSON.
//!
//! Invariant: what is kept of a result is bounded, and what is left out is reported.

use super::bolt::{Summary, Value};
use super::json::{member, push, push_object};
use super::plan::Shape;
use crate::connector::Failure;
use crate::connector::databases::json::push_integer;
use crate::connector::limits::{DEFAULT_ROW_LIMIT, MAX_RESULT_BYTES};

/// Collects what a statement returns, in the form that a shape asks for.
pub(super) struct Answer {
    shape: Shape,
    text: String,
    /// Rows that came, also those that are not kept.
    rows: u64,
    kept: u64,
    truncated: bool,
    /// The number in the first row.
    number: i64,
}

impl Answer {
    pub(super) fn new(shape: Shape) -> Self {
        Self {
            shape,
            text: String::new(),
            rows: 0,
            kept: 0,
            truncated: false,
            number: 0,
        }
    }

    fn most(&self) -> u64 {
        match self.shape {
            Shape::Created(_) | Shape::Merged(..) | Shape::FirstOrNull | Shape::Path => 1,
            Shape::Updated { one: true, .. } => 1,
            Shape::Deleted { .. } | Shape::Count | Shape::Done { .. } => 0,
            Shape::List { most, .. } => most,
            Shape::Updated { .. } | Shape::Hits | Shape::Rows | Shape::Described(_) => DEFAULT_ROW_LIMIT,
        }
    }

    /// Takes a row; `false`: no more are wanted.
    pub(super) fn row(&mut self, columns: &[Value], values: &[Value]) -> bool {
        self.rows += 1;
        if let Some(Value::Integer(number)) = values.first() {
            self.number = *number;
        }
        if self.kept >= self.most() {
            self.truncated = true;
        } else if !self.truncated {
            self.keep(columns, values);
        }
        // Changes are counted to their end.
        !self.truncated || matches!(self.shape, Shape::Updated { .. })
    }

    fn keep(&mut self, columns: &[Value], values: &[Value]) {
        let from = self.text.len();
        if self.kept > 0 {
            self.text.push(',');
        }
        match self.shape {
            Shape::Hits => {
                if let [node, score] = values {
                    push_object(&mut self.text, &[("node", node), ("score", score)]);
                }
            }
            Shape::Rows | Shape::Described(_) => {
                self.text.push('{');
                for (index, (column, value)) in columns.iter().zip(values).enumerate() {
                    member(&mut self.text, index == 0, column.as_text().unwrap_or_default());
                    push(&mut self.text, value);
                }
                self.text.push('}');
            }
            Shape::Path => {
                push(&mut self.text, values.first().unwrap_or(&Value::Null));
                if let Some(weight) = values.get(1) {
                    self.text.push_str(",\"weight\":");
                    push(&mut self.text, weight);
                }
            }
            _ => push(&mut self.text, values.first().unwrap_or(&Value::Null)),
        }
        if self.text.len() > MAX_RESULT_BYTES {
            self.text.truncate(from);
            self.truncated = true;
        } else {
            self.kept += 1;
        }
    }

    /// The result of the job, as JSON text.
    pub(super) fn result(self, summary: &Summary) -> Result<String, Failure> {
        let (text, kept) = (&self.text, self.kept);
        let truncated = if self.truncated { ",\"truncated\":true" } else { "" };
        if self.truncated && kept == 0 && self.most() > 0 {
            return Err(too_large());
        }
        let first = if kept == 0 { "null" } else { text };
        Ok(match self.shape {
            Shape::Created(key) | Shape::Merged(key, _) if kept == 0 => {
                return Err(Failure::not_found(format!(
                    "the {key} was not created, since a node with that `startNodeId` or `endNodeId` is not there"
                )));
            }
            Shape::Created(key) => format!("{{\"{key}\":{text},\"created\":true}}"),
            Shape::Merged(key, counter) => {
                let created = summary.counter(counter) > 0;
                format!("{{\"{key}\":{text},\"created\":{created}}}")
            }
            Shape::FirstOrNull => first.to_owned(),
            Shape::List { key, .. } => format!("{{\"{key}\":[{text}],\"count\":{kept}{truncated}}}"),
            Shape::Updated {
                one: true,
                key: (key, _),
            } => {
                format!("{{\"{key}\":{first},\"updatedCount\":{}}}", self.rows)
            }
            Shape::Updated { key: (_, key), .. } => {
                format!("{{\"{key}\":[{text}],\"updatedCount\":{}{truncated}}}", self.rows)
            }
            Shape::Deleted { .. } => {
                format!("{{\"deleted\":{},\"deletedCount\":{}}}", self.number > 0, self.number)
            }
            Shape::Count => format!("{{\"count\":{}}}", self.number),
            Shape::Path => format!("{{\"path\":{first}}}"),
            Shape::Hits => format!("{{\"results\":[{text}],\"count\":{kept}{truncated}}}"),
            Shape::Rows => {
                let counters = counters(summary);
                format!("{{\"rows\":[{text}],\"count\":{kept}{truncated}{counters}}}")
            }
            Shape::Done { key, counter } => format!("{{\"{key}\":{}}}", summary.counter(counter) > 0),
            Shape::Described(key) => format!("{{\"{key}\":[{text}]{truncated}}}"),
        })
    }
}

/// `,"counters":{"nodesCreated":1}`, if something was changed.
fn counters(summary: &Summary) -> String {
    if summary.counters.is_empty() {
        return String::new();
    }
    let mut text = String::from(",\"counters\":{");
    for (index, (name, count)) in summary.counters.iter().enumerate() {
        member(&mut text, index == 0, &camel_case(name));
        push_integer(&mut text, (*count).into());
    }
    text.push('}');
    text
}

/// `nodesCreated` of `nodes-created`.
fn camel_case(name: &str) -> String {
    let mut out = String::new();
    let mut upper = false;
    for character in name.chars() {
        if character == '-' {
            upper = true;
        } else if upper {
            out.extend(character.to_uppercase());
            upper = false;
        } else {
            out.push(character);
        }
    }
    out
}

/// One thing alone is more than a result may have.
pub(super) fn too_large() -> Failure {
    Failure::invalid(format!(
        "the result is larger than {MAX_RESULT_BYTES} bytes, the most that a job's result may have; ask for fewer properties by `query`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_kept_up_to_a_bound_and_counted_beyond() {
        let large = Value::text(&"x".repeat(400_000));
        let mut answer = Answer::new(Shape::Rows);
        let column = [Value::text("a")];
        assert!(answer.row(&column, std::slice::from_ref(&large)));
        assert!(answer.row(&column, std::slice::from_ref(&large)));
        assert!(!answer.row(&column, std::slice::from_ref(&large)));
        let summary = Summary {
            counters: vec![("nodes-created".into(), 3)],
        };
        let text = answer.result(&summary).unwrap();
        assert!(text.ends_with(r#","count":2,"truncated":true,"counters":{"nodesCreated":3}}"#));
        let mut answer = Answer::new(Shape::Updated {
            one: false,
            key: ("node", "nodes"),
        });
        for _ in 0..1_500 {
            assert!(answer.row(&[], &[Value::Null]));
        }
        let text = answer.result(&Summary::default()).unwrap();
        assert!(text.ends_with(r#""updatedCount":1500,"truncated":true}"#));
        let mut answer = Answer::new(Shape::FirstOrNull);
        answer.row(&[], &[Value::text(&"x".repeat(1_100_000))]);
        assert_eq!(
            &*answer.result(&Summary::default()).unwrap_err().code,
            "VALIDATION_ERROR"
        );
    }
}
