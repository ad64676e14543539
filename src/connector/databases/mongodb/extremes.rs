//! `$min` and `$max`, which MongoDB would compare across types, so that a text takes the place of any number.
//!
//! Invariant: an update meets no document in which one of them would replace a value of another type.

use super::failure::failure;
use super::value::{Forms, of_field, stored};
use crate::connector::Failure;
use crate::connector::databases::operation::Change;
use crate::text::spelling::truncated;
use mongodb::Collection;
use mongodb::bson::{Bson, Document, doc};
use std::time::Duration;

/// Restricts a filter to documents whose fields fit, and gives dates to fields that hold dates. A document that does not fit is
/// a failure that names its field.
pub(super) async fn guarded(
    target: &Collection<Document>,
    filter: Document,
    changes: &[(Box<str>, Change)],
    update: &mut Document,
    timeout: Duration,
) -> Result<Document, Failure> {
    let mut guards = vec![Bson::Document(filter.clone())];
    for (name, change) in changes {
        let (Change::Least(value) | Change::Greatest(value)) = change else {
            continue;
        };
        let first = async |condition: Document| {
            let wanted = doc! { "$and": [filter.clone(), condition] };
            let found = target.find_one(wanted).max_time(timeout).await;
            found.map_err(|error| failure(&error))
        };
        let mut bson = stored(value).map_err(of_field(name))?;
        let date = Forms::read(value).map_err(of_field(name))?.date;
        if let Some(date) = date.filter(|_| type_of(&bson) != Some("date"))
            && first(of_type(name, "date")).await?.is_some()
        {
            if let Ok(fields) = update.get_document_mut(change.operator()) {
                fields.insert(&**name, date.clone());
            }
            bson = date;
        }
        let Some(kind) = type_of(&bson) else { continue };
        let fits = fitting(name, kind);
        if let Some(other) = first(doc! { "$nor": [fits.clone()] }).await? {
            let found = value_at(&other, name).map_or("something else", shown);
            return Err(Failure::invalid(format!(
                "input.data.{}: {} compares with {}, and {found} is stored there; set such a value first, or take it away by $unset",
                truncated(name),
                change.operator(),
                shown(&bson),
            )));
        }
        guards.push(Bson::Document(fits));
    }
    Ok(match guards.len() {
        1 => filter,
        _ => doc! { "$and": guards },
    })
}

fn of_type(name: &str, kind: &str) -> Document {
    let mut condition = Document::new();
    condition.insert(name, doc! { "$type": kind });
    condition
}

/// Whether a field has a value of this type, or none. A list has the types of its elements, too.
fn fitting(name: &str, kind: &str) -> Document {
    let mut none = Document::new();
    none.insert(name, Bson::Null);
    let fits = doc! { "$or": [none, of_type(name, kind)] };
    match kind {
        "array" => fits,
        _ => doc! { "$and": [fits, { "$nor": [of_type(name, "array")] }] },
    }
}

/// The type of a value as `$type` names it; `None`: it is compared with everything.
fn type_of(bson: &Bson) -> Option<&'static str> {
    Some(match bson {
        Bson::Double(_) | Bson::Int32(_) | Bson::Int64(_) | Bson::Decimal128(_) => "number",
        Bson::String(_) => "string",
        Bson::Boolean(_) => "bool",
        Bson::DateTime(_) => "date",
        Bson::ObjectId(_) => "objectId",
        Bson::Array(_) => "array",
        Bson::Document(_) => "object",
        Bson::Binary(_) => "binData",
        Bson::Timestamp(_) => "timestamp",
        _ => return None,
    })
}

/// The type of a value as messages name it.
fn shown(bson: &Bson) -> &'static str {
    match type_of(bson) {
        Some("number") => "a number",
        Some("string") => "a string",
        Some("bool") => "a boolean",
        Some("date") => "a date",
        Some("objectId") => "an ObjectId",
        Some("array") => "a list",
        Some("object") => "an object",
        Some("binData") => "bytes",
        Some("timestamp") => "a timestamp",
        _ => "something else",
    }
}

/// The value at a path such as `address.city`.
fn value_at<'d>(document: &'d Document, path: &str) -> Option<&'d Bson> {
    match path.split_once('.') {
        None => document.get(path),
        Some((first, rest)) => value_at(document.get_document(first).ok()?, rest),
    }
}
