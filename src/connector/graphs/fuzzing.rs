//! What the fuzz targets `bolt` and `graph` see: JSON of what a server sends, and the statement that an operation becomes.

use super::bolt::read_value;
use super::build::plan;
use super::json;
use super::plan::Work;
use super::request::read;
use crate::connector::Failure;
use crate::connector::databases::json::Json;
use crate::resources::GraphKind;

/// JSON of the value that the bytes of a server hold; `None`: they hold none.
#[must_use]
pub fn json_of(bytes: &[u8]) -> Option<String> {
    let mut out = String::new();
    json::push(&mut out, &read_value(bytes)?);
    Some(out)
}

/// The text of the statement of an operation, if it is one statement, and the names of its parameters. Jobs may run no queries.
///
/// # Errors
/// As the job fails.
pub fn statement(operation: &str, input: &str) -> Result<Option<(String, Vec<String>)>, Failure> {
    let operation = read(operation, &Json::read_marked(input)?.with_marked_fields(), false)?;
    Ok(match plan(&operation, GraphKind::Neo4j)?.work {
        Work::One(statement, _) => {
            let names = statement.params.iter().map(|(name, _)| name.to_string());
            Some((statement.text, names.collect()))
        }
        _ => None,
    })
}
