//! Reads the constructor's `resources`: an object, or the path of a JSON file that holds one.
//!
//! One module for each section of a product, and [`check`] for their connections. The published JSON Schema,
//! `resources.schema.json`, has the same rules; `__test__/resources.test.ts` compares the two.

mod apps;
mod auth;
mod brokers;
mod caches;
pub mod check;
mod cloud_storage;
mod databases;
mod environments;
mod features;
mod graph_templates;
mod graphs;
mod members;
mod notifications;
mod paths;
mod placeholders;
mod sequences;
mod sessions;
mod storage;
mod texts;

use self::members::{members, read_file, required_tag};
use super::fields::Fields;
use crate::error::Problem;
use crate::resources::Resources;

/// Reads one member of a product's section and notes problems in it.
type ReadMember = for<'a, 'b, 'c> fn(&'a mut Fields<'b>, product: &'c str, &'a mut Resources);

/// The sections of a product.
const SECTIONS: [(&str, ReadMember); 9] = [
    ("apps", apps::read),
    ("features", features::read),
    ("notifications", notifications::read),
    ("storage", storage::read),
    ("brokers", brokers::read),
    ("databases", databases::read),
    ("graphs", graphs::read),
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
