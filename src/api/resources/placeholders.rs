//! Checks placeholders `{{name}}` in templates: that each is one, and stands for a value and not for a name.

use crate::resources::Template;
use crate::text::spelling::truncated;
use serde_json::Value;

/// A problem, and the path of what has it.
type Problem = (String, String);

/// What is wrong with the placeholders of a template, given as JSON.
pub(super) fn problems(template: &str, path: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    if template.contains("{{")
        && let Ok(template) = serde_json::from_str::<Value>(template)
    {
        check(&template, path, &mut problems);
    }
    problems
}

fn check(value: &Value, path: &str, problems: &mut Vec<Problem>) {
    match value {
        Value::String(text) => {
            if let Err(why) = Template::parse(text) {
                problems.push((path.to_owned(), why));
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                check(value, &format!("{path}[{index}]"), problems);
            }
        }
        Value::Object(members) => {
            for (name, value) in members {
                let path = format!("{path}.{}", truncated(name));
                if name.contains("{{") {
                    let why = "has a place {{…}} in its name: a job brings values only, so write the column's name";
                    problems.push((path, why.to_owned()));
                } else {
                    check(value, &path, problems);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_of_placeholders_have_their_paths() {
        for (template, path, said) in [
            (r#"{"where":{"{{column}}":1}}"#, "t.where.{{column}}", "in its name"),
            (r#"{"a":[{"b":"{{open"}]}"#, "t.a[0].b", "has no }} behind it"),
            (r#""SELECT {{#each x}}""#, "t", "no place to fill"),
            (r#"{"a":"{{n:numbr}}"}"#, "t.a", "`number`"),
        ] {
            let found = problems(template, "t");
            let [(at, why)] = found.as_slice() else {
                panic!("{template}: {found:?}")
            };
            assert!(at == path && why.contains(said), "{template}: {at} {why}");
        }
        for sound in [
            r#"{"a":"{{x}} and {{y.z:string:1:5}}","b":["}}"]}"#,
            "7",
            r#""{ {a} }""#,
        ] {
            assert_eq!(problems(sound, "t"), [], "{sound}");
        }
    }
}
