//! Reads apps and their actions.

use super::auth::read_auth;
use super::environments::environments;
use super::members::{members, required_tag};
use super::paths::read_resource;
use super::texts::{headers, object_template, template, text};
use crate::api::fields::{Fields, truncated};
use crate::resources::{Action, App, AppEnv, Method, RequestType, Resources, Text};
use url::Url;

/// The longest timeout of an action, ms: one day.
const MAX_ACTION_TIMEOUT_MS: i64 = 86_400_000;

pub(super) fn read(app: &mut Fields<'_>, product: &str, resources: &mut Resources) {
    app.refuse_unknown(&["tag", "envs", "actions", "name", "description"]);
    let tag = required_tag(app);
    let envs = environments(app)
        .into_iter()
        .filter_map(|(slug, mut env)| {
            let read = read_env(slug, &mut env);
            app.absorb(env);
            read
        })
        .collect();
    let actions = read_actions(app);
    let Some(tag) = tag else { return };
    let read = App {
        tag: tag.as_ref().into(),
        envs,
        actions,
    };
    if !resources.apps.add(product, &tag, read) {
        app.problem("tag", format!("'{tag}' is the tag of another app of the product"));
    }
}

fn read_env(slug: Box<str>, env: &mut Fields<'_>) -> Option<AppEnv> {
    env.refuse_unknown(&["slug", "base_url", "headers", "auth", "ca", "name", "description"]);
    if env.raw("base_url").is_none() {
        env.problem("base_url", "is missing; give one such as 'https://api.example.com/v1'");
    }
    let base_url = text(env, "base_url");
    if let Some(url) = base_url.as_ref().filter(|url| url.is_plain())
        && let Err(message) = check_base_url(url.as_written())
    {
        env.problem("base_url", message);
    }
    let headers = headers(env, "headers");
    let auth = read_auth(env);
    let ca = text(env, "ca");
    if ca
        .as_ref()
        .is_some_and(|ca| ca.is_plain() && !ca.as_written().contains("-----BEGIN CERTIFICATE-----"))
    {
        env.problem(
            "ca",
            "must be certificates in PEM (BEGIN CERTIFICATE), as text and not as a path",
        );
    }
    Some(AppEnv {
        slug,
        base_url: base_url?,
        headers,
        auth,
        ca,
    })
}

/// Checks a URL as far as possible before its secrets are known. Messages do not repeat it, since it may hold a token.
fn check_base_url(text: &str) -> Result<(), String> {
    let wanted = "give one such as 'https://api.example.com/v1'";
    let url = Url::parse(text).map_err(|error| format!("is no URL ({error}); {wanted}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!(
            "must begin with http:// or https://, got {}://; {wanted}",
            truncated(url.scheme())
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must hold no user and no password; give them as `auth`".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must end with its path; a query belongs to the actions".to_owned());
    }
    Ok(())
}

fn read_actions(app: &mut Fields<'_>) -> Vec<Action> {
    let mut actions: Vec<Action> = Vec::new();
    for mut member in members(app, "actions") {
        let action = read_action(&mut member);
        match action {
            Some(action) if actions.iter().any(|known| known.tag == action.tag) => {
                member.problem(
                    "tag",
                    format!("'{}' is the tag of another action of the app", action.tag),
                );
            }
            Some(action) => actions.push(action),
            None => {}
        }
        app.absorb(member);
    }
    actions
}

fn read_action(action: &mut Fields<'_>) -> Option<Action> {
    action.refuse_unknown(&[
        "tag",
        "method",
        "resource",
        "request_type",
        "timeout",
        "headers",
        "query",
        "params",
        "body",
        "name",
        "description",
    ]);
    let tag = required_tag(action);
    if action.raw("method").is_none() {
        action.problem("method", "is missing; it must be one as 'GET' or 'POST'");
    }
    let method = action.one_of("method", &Method::NAMES);
    if action.raw("resource").is_none() {
        action.problem("resource", "is missing; it must be a path as '/orders/:id'");
    }
    let resource = action.string("resource").and_then(|path| match read_resource(&path) {
        Ok(resource) => Some(resource),
        Err(message) => {
            action.problem("resource", message);
            None
        }
    });
    let request_type = read_request_type(action);
    let timeout = action.integer("timeout", 1, MAX_ACTION_TIMEOUT_MS);
    let headers = headers(action, "headers");
    let query = object_template(action, "query");
    let params = object_template(action, "params");
    let body = read_body(action, request_type.as_ref());
    Some(Action {
        tag: tag?.as_ref().into(),
        method: method?,
        resource: resource?,
        request_type: request_type?,
        timeout,
        headers,
        query,
        params,
        body,
    })
}

fn read_request_type(action: &mut Fields<'_>) -> Option<RequestType> {
    if action.raw("request_type").is_none() {
        return Some(RequestType::Json("application/json".into()));
    }
    let name = action.string("request_type")?;
    let lower = name.to_ascii_lowercase();
    let essence = lower.split(';').next().unwrap_or_default().trim_end();
    let is_name = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    let sound = essence
        .split_once('/')
        .is_some_and(|(kind, sub)| is_name(kind) && is_name(sub));
    if !sound || name.chars().any(char::is_control) || !name.is_ascii() {
        action.problem(
            "request_type",
            format!(
                "'{}' is no media type; it must be 'application/json', 'application/x-www-form-urlencoded', 'multipart/form-data', 'text/plain' or another one",
                truncated(&name)
            ),
        );
        return None;
    }
    Some(match essence {
        "application/json" => RequestType::Json(name.as_ref().into()),
        "application/x-www-form-urlencoded" => RequestType::Form,
        "multipart/form-data" => RequestType::Multipart,
        other if other.ends_with("+json") => RequestType::Json(name.as_ref().into()),
        _ => RequestType::Raw(name.as_ref().into()),
    })
}

fn read_body(action: &mut Fields<'_>, request_type: Option<&RequestType>) -> Option<Text> {
    match request_type {
        Some(RequestType::Form | RequestType::Multipart) => object_template(action, "body"),
        _ => template(action, "body"),
    }
}
