//! Reads an operation from a job's input.
//!
//! Invariant: everything that is not a value is from a closed list or a checked name.

mod changes;
mod nodes;
mod paths;
mod query;
mod relationships;
mod schema;

use super::filter::{self, Filter};
use super::name::Name;
use super::operation::{Direction, Id, LabelChange, Nodes, Operation, Page, Properties, SchemaKind};
use crate::connector::Failure;
use crate::connector::databases::json::Json;
use crate::connector::limits::{MAX_COLUMNS, MAX_ROWS_READ};
use crate::text::spelling::{simplified, suggestion, truncated};

/// The operations, in documentation order.
const OPERATIONS: [&str; 33] = [
    "createNode",
    "findNodes",
    "findNodeById",
    "updateNode",
    "updateNodes",
    "deleteNode",
    "deleteNodes",
    "mergeNode",
    "addLabels",
    "removeLabels",
    "setLabels",
    "createRelationship",
    "findRelationships",
    "updateRelationship",
    "deleteRelationship",
    "mergeRelationship",
    "traverse",
    "shortestPath",
    "allPaths",
    "getNeighborhood",
    "findConnectedComponents",
    "countNodes",
    "countRelationships",
    "getStatistics",
    "fullTextSearch",
    "vectorSearch",
    "query",
    "createNodeIndex",
    "createRelationshipIndex",
    "createNodeConstraint",
    "createRelationshipConstraint",
    "listIndexes",
    "listConstraints",
];

/// Reads an operation by its name and input; `raw`: whether jobs may run queries of their own.
pub(super) fn read(name: &str, input: &Json, raw: bool) -> Result<Operation, Failure> {
    let Json::Map(entries) = input else {
        return Err(Failure::invalid(format!(
            "the input must be an object, got {}",
            input.kind()
        )));
    };
    let fields = InputFields { entries };
    match &*simplified(name) {
        "createnode" | "insert" => fields.create_node(),
        "findnodes" | "find" => fields.find_nodes(),
        "findnodebyid" => fields.find_node_by_id(),
        "updatenode" | "updatenodes" | "update" => fields.update_nodes(),
        "deletenode" | "deletenodes" | "delete" => fields.delete_nodes(),
        "mergenode" => fields.merge_node(),
        "addlabels" => fields.change_labels(LabelChange::Add),
        "removelabels" => fields.change_labels(LabelChange::Remove),
        "setlabels" => fields.change_labels(LabelChange::Set),
        "createrelationship" => fields.create_relationship(),
        "findrelationships" => fields.find_relationships(),
        "updaterelationship" | "updaterelationships" => fields.update_relationships(),
        "deleterelationship" | "deleterelationships" => fields.delete_relationships(),
        "mergerelationship" => fields.merge_relationship(),
        "traverse" => fields.traverse(),
        "shortestpath" => fields.shortest_path(),
        "allpaths" => fields.all_paths(),
        "getneighborhood" => fields.neighborhood(),
        "findconnectedcomponents" => fields.components(),
        "countnodes" => fields.count_nodes(),
        "countrelationships" => fields.count_relationships(),
        "getstatistics" => fields.reject_unknown_fields(&[]).map(|()| Operation::Statistics),
        "fulltextsearch" => fields.full_text_search(),
        "vectorsearch" => fields.vector_search(),
        "query" | "execute" | "raw" if !raw => Err(Failure::invalid(
            "this graph takes no queries from jobs (its definition says `raw: false`); use an action",
        )),
        "query" | "execute" | "raw" => fields.query(),
        "createnodeindex" => fields.create_index(true),
        "createrelationshipindex" => fields.create_index(false),
        "createnodeconstraint" => fields.create_constraint(true),
        "createrelationshipconstraint" => fields.create_constraint(false),
        "listindexes" => fields.list(SchemaKind::Indexes),
        "listconstraints" => fields.list(SchemaKind::Constraints),
        "dropindex" => fields.drop(SchemaKind::Indexes),
        "dropconstraint" => fields.drop(SchemaKind::Constraints),
        _ => Err(Failure::invalid(format!(
            "'{}' is no operation of graphs; {}",
            truncated(name),
            suggestion(name, &OPERATIONS)
        ))),
    }
}

/// Stands for a property whose name a job gives, while a definition is checked.
const UNKNOWN: &str = "value";

/// The fields of an input.
struct InputFields<'a> {
    entries: &'a [(Box<str>, Json)],
}

impl<'a> InputFields<'a> {
    fn reject_unknown_fields(&self, known: &[&str]) -> Result<(), Failure> {
        match self.entries.iter().find(|(key, _)| !known.contains(&&**key)) {
            Some((key, _)) if known.is_empty() => Err(Failure::invalid(format!(
                "input.{}: is not known here; the operation takes nothing",
                truncated(key)
            ))),
            Some((key, _)) => Err(Failure::unknown_member("input", key, known)),
            None => Ok(()),
        }
    }

    /// The value of a field with several names; `null` counts as absent.
    fn get(&self, names: &[&str]) -> Result<Option<&'a Json>, Failure> {
        let mut present = self
            .entries
            .iter()
            .filter(|(key, value)| names.contains(&&**key) && *value.value() != Json::Null);
        let found = present.next();
        if present.next().is_some() {
            return Err(Failure::invalid(format!(
                "give one of {}, not several",
                names.join(", ")
            )));
        }
        Ok(found.map(|(_, value)| value))
    }

    fn required(&self, names: &[&str], what: &str) -> Result<&'a Json, Failure> {
        let name = names.first().copied().unwrap_or_default();
        self.get(names)?
            .ok_or_else(|| Failure::invalid(format!("input.{name}: is missing; it must be {what}")))
    }

    fn flag(&self, name: &str) -> Result<bool, Failure> {
        match self.get(&[name])?.map(|json| (json, json.value())) {
            None => Ok(false),
            Some((_, Json::Bool(flag))) => Ok(*flag),
            Some((_, Json::Any)) => Ok(true),
            Some((json, _)) => Err(type_mismatch(name, "true or false", json)),
        }
    }

    fn whole_number(&self, names: &[&str], least: i64, most: i64) -> Result<Option<u64>, Failure> {
        let name = names.first().copied().unwrap_or_default();
        let Some(json) = self.get(names)? else { return Ok(None) };
        let number = match json.value() {
            Json::Number(text) => text.parse::<i64>().ok(),
            // The least that contradicts nothing.
            Json::Any => Some(if name == "maxDepth" { most } else { least }),
            _ => None,
        };
        number
            .filter(|number| (least..=most).contains(number))
            .map(|number| Some(number.unsigned_abs()))
            .ok_or_else(|| Failure::invalid(format!("input.{name}: must be an integer from {least} to {most}")))
    }

    fn limit(&self, names: &[&str]) -> Result<Option<u64>, Failure> {
        self.whole_number(names, 1, MAX_ROWS_READ)
    }

    /// A name, or a list of names.
    fn names(&self, names: &[&str], what: &str) -> Result<Vec<Name>, Failure> {
        let name = names.first().copied().unwrap_or_default();
        let Some(json) = self.get(names)? else {
            return Ok(Vec::new());
        };
        let expected = "a string or a list of strings";
        let mut read: Vec<Name> = Vec::new();
        let list = match json.value() {
            Json::List(list) => list.as_slice(),
            _ => std::slice::from_ref(json),
        };
        if list.len() > MAX_COLUMNS {
            return Err(Failure::invalid(format!(
                "input.{name}: may have at most {MAX_COLUMNS} entries"
            )));
        }
        for entry in list.iter().filter(|entry| *entry.value() != Json::Any) {
            let text = entry.as_text().ok_or_else(|| type_mismatch(name, expected, entry))?;
            let checked = Name::read(what, text)?;
            if !read.contains(&checked) {
                read.push(checked);
            }
        }
        Ok(read)
    }

    fn one_name(&self, names: &[&str], what: &str) -> Result<Name, Failure> {
        let name = names.first().copied().unwrap_or_default();
        let json = self.required(names, "a string")?;
        let text = json.as_text().ok_or_else(|| type_mismatch(name, "a string", json))?;
        Name::read(what, text)
    }

    fn labels(&self) -> Result<Vec<Name>, Failure> {
        self.names(&["labels", "label"], "label")
    }

    fn types(&self) -> Result<Vec<Name>, Failure> {
        self.names(&["relationshipTypes", "types", "type"], "type of relationships")
    }

    fn id(&self, names: &[&str]) -> Result<Option<Id>, Failure> {
        self.get(names)?
            .map(|json| read_id(names.first().copied().unwrap_or_default(), json))
            .transpose()
    }

    fn required_id(&self, names: &[&str]) -> Result<Id, Failure> {
        let name = names.first().copied().unwrap_or_default();
        read_id(name, self.required(names, "the `id` or the `elementId` of a result")?)
    }

    fn filter(&self) -> Result<Filter, Failure> {
        self.get(&["where", "filter"])?
            .map_or_else(|| Ok(Filter::default()), filter::read)
    }

    fn nodes(&self) -> Result<Nodes, Failure> {
        Ok(Nodes {
            labels: self.labels()?,
            filter: self.filter()?,
        })
    }

    fn page(&self) -> Result<Page, Failure> {
        Ok(Page {
            order: self.order()?,
            limit: self.limit(&["limit"])?,
            skip: self.whole_number(&["skip", "offset"], 0, i64::MAX)?.unwrap_or(0),
        })
    }

    fn order(&self) -> Result<Vec<(Name, bool)>, Failure> {
        let Some(json) = self.get(&["orderBy"])? else {
            return Ok(Vec::new());
        };
        let list = match json.value() {
            Json::List(list) => list.as_slice(),
            _ => std::slice::from_ref(json),
        };
        let mut order = Vec::new();
        for entry in list.iter().take(MAX_COLUMNS) {
            match entry.value() {
                Json::Text(text) => order.push((Name::read("property", text)?, false)),
                Json::Any => {}
                Json::Map(entries) => {
                    for (name, direction) in entries {
                        let descending = match direction.as_text() {
                            _ if *direction.value() == Json::Any => false,
                            Some(text) if text.eq_ignore_ascii_case("asc") => false,
                            Some(text) if text.eq_ignore_ascii_case("desc") => true,
                            _ => return Err(Failure::invalid("input.orderBy: a direction must be 'asc' or 'desc'")),
                        };
                        order.push((Name::read("property", name)?, descending));
                    }
                }
                _ => {
                    return Err(type_mismatch(
                        "orderBy",
                        "a property, or an object such as { created: 'desc' }",
                        entry,
                    ));
                }
            }
        }
        Ok(order)
    }

    fn direction(&self, default: Direction) -> Result<Direction, Failure> {
        let Some(json) = self.get(&["direction"])? else {
            return Ok(default);
        };
        if *json.value() == Json::Any {
            return Ok(default);
        }
        let word = json.as_text().map(simplified);
        match word.as_deref() {
            Some("outgoing" | "out") => Ok(Direction::Outgoing),
            Some("incoming" | "in") => Ok(Direction::Incoming),
            Some("both") => Ok(Direction::Both),
            _ => Err(Failure::invalid(
                "input.direction: must be 'OUTGOING', 'INCOMING' or 'BOTH'",
            )),
        }
    }

    /// Values by property.
    fn properties(&self, names: &[&str]) -> Result<Properties, Failure> {
        let name = names.first().copied().unwrap_or_default();
        let Some(json) = self.get(names)? else {
            return Ok(Vec::new());
        };
        let entries = match json.value() {
            Json::Map(entries) => entries.as_slice(),
            Json::Any => return Ok(vec![(Name::read("property", UNKNOWN)?, Json::Any)]),
            _ => return Err(type_mismatch(name, "an object of properties and values", json)),
        };
        bounded_properties(name, entries)?;
        let literal = matches!(json, Json::Literal(_));
        let entries = entries.iter().map(|(key, value)| {
            let value = if literal {
                Json::Literal(Box::new(value.clone()))
            } else {
                value.clone()
            };
            Ok((Name::read("property", key)?, value))
        });
        entries.collect()
    }
}

fn bounded_properties(name: &str, entries: &[(Box<str>, Json)]) -> Result<(), Failure> {
    if entries.len() > MAX_COLUMNS {
        return Err(Failure::invalid(format!(
            "input.{name}: may have at most {MAX_COLUMNS} properties, got {}",
            entries.len()
        )));
    }
    Ok(())
}

fn read_id(name: &str, json: &Json) -> Result<Id, Failure> {
    let id = match json.value() {
        Json::Number(text) => text.parse().ok().map(Id::Number),
        // Ids beyond 2⁵³ are strings in results.
        Json::Text(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse().ok().map(Id::Number)
        }
        Json::Text(text) if !text.is_empty() => Some(Id::Element(text.clone())),
        Json::Any => Some(Id::Number(0)),
        _ => None,
    };
    id.ok_or_else(|| type_mismatch(name, "the `id` or the `elementId` of a result", json))
}

fn type_mismatch(name: &str, expected: &str, got: &Json) -> Failure {
    Failure::invalid(format!("input.{name}: must be {expected}, got {}", got.kind()))
}
