//! Writes values of servers as JSON.

use super::bolt::Value;
use super::temporal;
use crate::connector::databases::json::{push_bytes, push_float, push_integer, push_string};

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
pub(super) fn member(out: &mut String, first: bool, name: &str) {
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

pub(super) fn push_object(out: &mut String, members: &[(&str, &Value)]) {
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
}
