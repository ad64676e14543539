//! `envs`: the settings of a resource in each environment.

use super::members::members;
use crate::api::fields::Fields;

/// Reads the environments of a resource with their slugs, which are unique; at least one. The caller must
/// [collect](Fields::absorb) the problems of each.
pub(super) fn environments<'a>(resource: &mut Fields<'a>) -> Vec<(Box<str>, Fields<'a>)> {
    let mut read: Vec<(Box<str>, Fields<'a>)> = Vec::new();
    if resource.raw("envs").is_none() {
        resource.problem(
            "envs",
            "is missing; list the environments, as in [{ \"slug\": \"prd\", … }]",
        );
    }
    for mut env in members(resource, "envs") {
        if env.raw("slug").is_none() {
            env.problem("slug", "is missing; it must be a string, as in 'prd'");
        }
        match env.tag("slug") {
            Some(slug) if read.iter().any(|(known, _)| **known == *slug) => {
                env.problem("slug", format!("'{slug}' is the slug of another environment of it"));
                resource.absorb(env);
            }
            Some(slug) => read.push((slug.as_ref().into(), env)),
            None => resource.absorb(env),
        }
    }
    read
}
