//! Reads the constructor's `resources`: an object, or the path of a JSON file that holds one.
//!
//! One module for each section of a product, and [`check`] for their connections. The published JSON Schema,
//! `resources.schema.json`, has the same rules; `__test__/resources.test.ts` compares the two.

mod apps;
mod auth;
mod brokers;
mod caches;
pub mod check;
mod databases;
mod environments;
mod features;
mod notifications;
mod paths;
mod sessions;
mod storage;
mod texts;

use super::fields::{Fields, describe};
use crate::error::Problem;
use crate::resources::Resources;
use serde_json::value::RawValue;

/// Largest file that is accepted, in bytes.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// Reads one member of a product's section and notes problems in it.
type ReadMember = for<'a, 'b, 'c> fn(&'a mut Fields<'b>, product: &'c str, &'a mut Resources);

/// The sections of a product. Those of `graphs` have no effect yet.
const SECTIONS: [(&str, ReadMember); 9] = [
    ("apps", apps::read),
    ("features", features::read),
    ("notifications", notifications::read),
    ("storage", storage::read),
    ("brokers", brokers::read),
    ("databases", databases::read),
    ("graphs", |_, _, _| {}),
    ("sessions", sessions::read),
    ("caches", caches::read),
];

/// Reads `resources` of the options and notes problems there.
pub fn read_resources(options: &mut Fields<'_>) -> Resources {
    let mut resources = Resources::default();
    match options.raw("resources") {
        None => {}
        Some(text) if text.starts_with('"') => {
            let Some(path) = options.string("resources") else {
                return resources;
            };
            match read_file(&path) {
                Ok(text) => options.problems.extend(read_text(&text, &mut resources)),
                Err(why) => options.problem("resources", format!("the file cannot be read: {why}")),
            }
        }
        Some(text) => {
            let problems = read_text(text, &mut resources);
            options.problems.extend(problems);
        }
    }
    resources
}

fn read_file(path: &str) -> Result<String, String> {
    let found = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if found.len() > MAX_FILE_BYTES {
        return Err(format!("it is larger than {MAX_FILE_BYTES} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    serde_json::from_str::<&RawValue>(&text).map_err(|error| format!("it is no JSON: {error}"))?;
    Ok(text.trim().to_owned())
}

fn read_text(text: &str, resources: &mut Resources) -> Vec<Problem> {
    let mut fields = match Fields::read(text, "resources") {
        Ok(fields) => fields,
        Err(problem) => return vec![problem],
    };
    fields.refuse_unknown(&["$schema", "products"]);
    for mut product in members(&mut fields, "products") {
        let mut known = vec!["tag", "name", "description"];
        known.extend(SECTIONS.map(|(name, _)| name));
        product.refuse_unknown(&known);
        if let Some(tag) = required_tag(&mut product) {
            for (name, read) in SECTIONS {
                for mut member in members(&mut product, name) {
                    read(&mut member, &tag, resources);
                    product.absorb(member);
                }
            }
        }
        fields.absorb(product);
    }
    if fields.problems.is_empty() {
        fields.problems.extend(features::nesting_problems(resources));
    }
    fields.problems
}

/// Reads a list of objects.
pub(in crate::api) fn members<'a>(fields: &mut Fields<'a>, name: &str) -> Vec<Fields<'a>> {
    let Some(text) = fields.raw(name) else {
        return Vec::new();
    };
    let Ok(list) = serde_json::from_str::<Vec<&'a RawValue>>(text) else {
        fields.problem(name, format!("must be a list, got {}", describe(text)));
        return Vec::new();
    };
    let mut read = Vec::with_capacity(list.len());
    for (index, member) in list.into_iter().enumerate() {
        match Fields::read(member.get(), &fields.path(&format!("{name}[{index}]"))) {
            Ok(member) => read.push(member),
            Err(problem) => fields.problems.push(problem),
        }
    }
    read
}

/// Reads the required `tag`.
pub(in crate::api) fn required_tag<'a>(fields: &mut Fields<'a>) -> Option<std::borrow::Cow<'a, str>> {
    if fields.raw("tag").is_none() {
        fields.problem("tag", "is missing; it must be a string");
        return None;
    }
    fields.tag("tag")
}
