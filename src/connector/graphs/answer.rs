//! Writes values of servers as JSON, and results of operations from them.
//!
//! Invariant: what is kept of a result is bounded, and what is left out is reported.

use super::bolt::{Summary, Value};
use super::plan::Shape;
use super::temporal;
use crate::connector::Failure;
use crate::connector::databases::json::{push_bytes, push_float, push_integer, push_string};
use crate::connector::limits::{DEFAULT_ROW_LIMIT, MAX_RESULT_BYTES};

/// Writes a value.
pub(super) fn push(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Integer(number) => push_integer(out, (*number).into()),
        Value::Float(number) => push_float(out, *number),
        Value::Bytes(bytes) => push_bytes(out, bytes),
        Value::Text(text) => push_string(out, text),
        Value::List(list) => push_list(out, list),
        Value::Map(entries) => {
            out.push('{');
            for (index, (key, value)) in entries.iter().enumerate() {
                member(out, index == 0, key);
                push(out, value);
            }
            out.push('}');
        }
        Value::Structure(tag, fields) => push_structure(out, *tag, fields),
    }
}

fn push_list(out: &mut String, list: &[Value]) {
    out.push('[');
    for (index, value) in list.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push(out, value);
    }
    out.push(']');
}

/// Begins a member of an object.
fn member(out: &mut String, first: bool, name: &str) {
    if !first {
        out.push(',');
    }
    push_string(out, name);
    out.push(':');
}

fn push_structure(out: &mut String, tag: u8, fields: &[Value]) {
    use Value::{Float, Integer, List, Text};
    match (tag, fields) {
        (b'N', [id, labels, properties, rest @ ..]) => {
            let element = element_id(rest.first(), id);
            push_object(
                out,
                &[
                    ("id", id),
                    ("elementId", &element),
                    ("labels", labels),
                    ("properties", properties),
                ],
            );
        }
        (b'R', [id, start, end, kind, properties, rest @ ..]) => {
            push_relationship(out, (id, start, end), (kind, properties), rest);
        }
        (b'r', [id, kind, properties, rest @ ..]) => {
            let element = element_id(rest.first(), id);
            push_object(
                out,
                &[
                    ("id", id),
                    ("elementId", &element),
                    ("type", kind),
                    ("properties", properties),
                ],
            );
        }
        (b'P', [List(nodes), List(relationships), List(indices)]) => push_path(out, nodes, relationships, indices),
        (b'D', [Integer(days)]) => push_string(out, &temporal::date(*days)),
        (b'T', [Integer(nanos), Integer(offset)]) => {
            push_string(out, &format!("{}{}", temporal::time(*nanos), temporal::offset(*offset)));
        }
        (b't', [Integer(nanos)]) => push_string(out, &temporal::time(*nanos)),
        (b'I', [Integer(seconds), Integer(nanos), Integer(_)])
        | (b'i', [Integer(seconds), Integer(nanos), Text(_)]) => {
            push_string(out, &format!("{}Z", temporal::date_time(*seconds, *nanos)));
        }
        // Of servers before Neo4j 4.4: seconds of the local time.
        (b'F', [Integer(seconds), Integer(nanos), Integer(offset)]) => {
            push_string(
                out,
                &format!("{}Z", temporal::date_time(seconds.saturating_sub(*offset), *nanos)),
            );
        }
        (b'f', [Integer(seconds), Integer(nanos), Text(zone)]) => {
            push_string(out, &format!("{}[{zone}]", temporal::date_time(*seconds, *nanos)));
        }
        (b'd', [Integer(seconds), Integer(nanos)]) => push_string(out, &temporal::date_time(*seconds, *nanos)),
        (b'E', [Integer(months), Integer(days), Integer(seconds), Integer(nanos)]) => {
            push_string(out, &temporal::duration(*months, *days, *seconds, *nanos));
        }
        (b'X', [srid @ Integer(_), x @ Float(_), y @ Float(_)]) => {
            out.push_str("{\"$point\":");
            push_object(out, &[("srid", srid), ("x", x), ("y", y)]);
            out.push('}');
        }
        (b'Y', [srid @ Integer(_), x @ Float(_), y @ Float(_), z @ Float(_)]) => {
            out.push_str("{\"$point\":");
            push_object(out, &[("srid", srid), ("x", x), ("y", y), ("z", z)]);
            out.push('}');
        }
        _ => push_string(out, "a value of a type that is not known here"),
    }
}

fn push_object(out: &mut String, members: &[(&str, &Value)]) {
    out.push('{');
    for (index, (name, value)) in members.iter().enumerate() {
        member(out, index == 0, name);
        push(out, value);
    }
    out.push('}');
}

/// The id as text; servers without ids of that kind have the number.
fn element_id(given: Option<&Value>, id: &Value) -> Value {
    match (given, id) {
        (Some(given), _) => given.clone(),
        (None, Value::Integer(number)) => Value::Text(number.to_string().into()),
        (None, other) => other.clone(),
    }
}

fn push_relationship(
    out: &mut String,
    (id, start, end): (&Value, &Value, &Value),
    (kind, properties): (&Value, &Value),
    elements: &[Value],
) {
    let element = element_id(elements.first(), id);
    let (start_element, end_element) = (element_id(elements.get(1), start), element_id(elements.get(2), end));
    push_object(
        out,
        &[
            ("id", id),
            ("elementId", &element),
            ("type", kind),
            ("startNodeId", start),
            ("endNodeId", end),
            ("startNodeElementId", &start_element),
            ("endNodeElementId", &end_element),
            ("properties", properties),
        ],
    );
}

/// A path: the first node, then by turns which relationship follows (from 1 on; negative: against its direction) and which
/// node.
fn push_path(out: &mut String, nodes: &[Value], relationships: &[Value], indices: &[Value]) {
    let number = |value: &Value| value.as_integer();
    let node_at = |index: i64| usize::try_from(index).ok().and_then(|index| nodes.get(index));
    let mut along = Vec::new();
    let mut here = nodes.first();
    out.push_str("{\"nodes\":[");
    if let Some(node) = here {
        push(out, node);
    }
    for pair in indices.chunks_exact(2) {
        let (Some(step), Some(next)) = (pair.first().and_then(number), pair.get(1).and_then(number)) else {
            break;
        };
        let relationship = usize::try_from(step.unsigned_abs()).ok();
        let relationship = relationship.and_then(|at| relationships.get(at.checked_sub(1)?));
        let (Some(from), Some(to), Some(Value::Structure(_, fields))) = (here, node_at(next), relationship) else {
            break;
        };
        out.push(',');
        push(out, to);
        along.push(if step < 0 {
            (to, from, fields)
        } else {
            (from, to, fields)
        });
        here = Some(to);
    }
    out.push_str("],\"relationships\":[");
    for (index, (start, end, fields)) in along.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        let [id, kind, properties, rest @ ..] = fields.as_slice() else {
            continue;
        };
        let ((start, start_element), (end, end_element)) = (ids_of(start), ids_of(end));
        let elements = [element_id(rest.first(), id), start_element, end_element];
        push_relationship(out, (id, &start, &end), (kind, properties), &elements);
    }
    out.push_str(&format!("],\"length\":{}}}", along.len()));
}

/// Both ids of a node.
fn ids_of(node: &Value) -> (Value, Value) {
    match node {
        Value::Structure(_, fields) => {
            let id = fields.first().cloned().unwrap_or(Value::Null);
            let element = element_id(fields.get(3), &id);
            (id, element)
        }
        _ => (Value::Null, Value::Null),
    }
}

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

    fn written(value: &Value) -> String {
        let mut out = String::new();
        push(&mut out, value);
        out
    }

    fn node(id: i64, element: Option<&str>) -> Value {
        let labels = Value::List(vec![Value::text("A")]);
        let mut fields = vec![Value::Integer(id), labels, Value::Map(Vec::new())];
        fields.extend(element.map(Value::text));
        Value::Structure(b'N', fields)
    }

    #[test]
    fn structures_have_the_documented_forms() {
        use Value::{Float, Integer};
        for (tag, fields, expected) in [
            (b'D', vec![Integer(20_484)], r#""2026-01-31""#),
            (
                b'T',
                vec![Integer(34_200_000_000_000), Integer(3_600)],
                r#""09:30:00+01:00""#,
            ),
            (b't', vec![Integer(34_200_000_000_000)], r#""09:30:00""#),
            (
                b'I',
                vec![Integer(1_769_850_000), Integer(0), Integer(3_600)],
                r#""2026-01-31T09:00:00.000Z""#,
            ),
            (
                b'i',
                vec![Integer(1_769_850_000), Integer(0), Value::text("Europe/Berlin")],
                r#""2026-01-31T09:00:00.000Z""#,
            ),
            (
                b'F',
                vec![Integer(1_769_853_600), Integer(0), Integer(3_600)],
                r#""2026-01-31T09:00:00.000Z""#,
            ),
            (
                b'f',
                vec![Integer(1_769_853_600), Integer(0), Value::text("Europe/Berlin")],
                r#""2026-01-31T10:00:00.000[Europe/Berlin]""#,
            ),
            (
                b'd',
                vec![Integer(1_769_850_000), Integer(0)],
                r#""2026-01-31T09:00:00.000""#,
            ),
            (
                b'E',
                vec![Integer(1), Integer(2), Integer(3), Integer(0)],
                r#""P1M2DT3S""#,
            ),
            (
                b'X',
                vec![Integer(4_326), Float(13.4), Float(52.5)],
                r#"{"$point":{"srid":4326,"x":13.4,"y":52.5}}"#,
            ),
            (
                b'Y',
                vec![Integer(9_157), Float(1.0), Float(2.0), Float(3.0)],
                r#"{"$point":{"srid":9157,"x":1.0,"y":2.0,"z":3.0}}"#,
            ),
            (b'?', vec![], r#""a value of a type that is not known here""#),
            (b'D', vec![], r#""a value of a type that is not known here""#),
        ] {
            assert_eq!(written(&Value::Structure(tag, fields)), expected);
        }
        assert_eq!(
            written(&node(7, Some("4:x:7"))),
            r#"{"id":7,"elementId":"4:x:7","labels":["A"],"properties":{}}"#
        );
        assert_eq!(
            written(&node(7, None)),
            r#"{"id":7,"elementId":"7","labels":["A"],"properties":{}}"#
        );
        assert_eq!(written(&Integer(9_007_199_254_740_993)), "\"9007199254740993\"");
    }

    #[test]
    fn paths_name_the_ends_of_their_relationships_whichever_way_they_are_walked() {
        let step = |id: i64| {
            let fields = vec![
                Value::Integer(id),
                Value::text("T"),
                Value::Map(Vec::new()),
                Value::text("5:x:1"),
            ];
            Value::Structure(b'r', fields)
        };
        let indices = [1, 1, -2, 2].map(Value::Integer).to_vec();
        let nodes = vec![node(1, Some("n1")), node(2, Some("n2")), node(3, Some("n3"))];
        let path = Value::Structure(
            b'P',
            vec![
                Value::List(nodes),
                Value::List(vec![step(10), step(11)]),
                Value::List(indices),
            ],
        );
        let text = written(&path);
        assert!(text.ends_with("\"length\":2}"), "{text}");
        assert!(
            text.contains(r#""startNodeId":1,"endNodeId":2,"startNodeElementId":"n1","endNodeElementId":"n2""#),
            "{text}"
        );
        assert!(text.contains(r#""startNodeId":3,"endNodeId":2"#), "{text}");
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
        // Whatever a server sends, it is JSON.
        let odd = [9, 9, -9, 0, 1].map(Value::Integer).to_vec();
        let path = Value::Structure(
            b'P',
            vec![Value::List(vec![node(1, None)]), Value::List(vec![]), Value::List(odd)],
        );
        assert!(written(&path).ends_with("\"relationships\":[],\"length\":0}"));
    }

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
