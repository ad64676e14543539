//! Changes of an update as MongoDB has them.

use super::value::{Forms, negated, of_field, operand, stored};
use crate::connector::Failure;
use crate::connector::databases::dialect::Dialect;
use crate::connector::databases::json::Json;
use crate::connector::databases::name::column;
use crate::connector::databases::operation::Change;
use mongodb::bson::{Bson, Document, doc};

/// The update document.
pub(super) fn document(changes: &[(Box<str>, Change)]) -> Result<Document, Failure> {
    let mut update = Document::new();
    for (name, change) in changes {
        let (operator, value) = operation(change).map_err(of_field(name))?;
        match update.get_document_mut(operator) {
            Ok(fields) => {
                fields.insert(&**name, value);
            }
            Err(_) => {
                let mut fields = Document::new();
                fields.insert(&**name, value);
                update.insert(operator, fields);
            }
        }
    }
    Ok(update)
}

fn operation(change: &Change) -> Result<(&'static str, Bson), Failure> {
    let each = |values: &[Json]| {
        let values: Vec<Bson> = values.iter().map(stored).collect::<Result<_, _>>()?;
        Ok::<_, Failure>(Bson::Document(doc! { "$each": values }))
    };
    Ok(match change {
        Change::Set(value) => ("$set", stored(value)?),
        Change::Unset => ("$unset", Bson::String(String::new())),
        Change::Increment(by) => ("$inc", operand(by)?),
        Change::Decrement(by) => ("$inc", negated(by)?),
        Change::Multiply(by) => ("$mul", operand(by)?),
        Change::Least(value) => ("$min", stored(value)?),
        Change::Greatest(value) => ("$max", stored(value)?),
        Change::Push(values) => ("$push", each(values)?),
        Change::AddToSet(values) => ("$addToSet", each(values)?),
        Change::Pull(values) => {
            let mut all = Vec::with_capacity(values.len());
            for value in values {
                all.extend(Forms::read(value)?.all());
            }
            ("$pull", Bson::Document(doc! { "$in": all }))
        }
        Change::Pop { first } => ("$pop", Bson::Int32(if *first { -1 } else { 1 })),
        Change::Rename(name) => ("$rename", Bson::String(column(name, Dialect::Mongo)?.into_string())),
        Change::CurrentDate => ("$currentDate", Bson::Boolean(true)),
    })
}
