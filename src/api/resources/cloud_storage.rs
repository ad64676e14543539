//! Reads where buckets and containers of object stores are, and who may use them.

use super::texts::{template, text};
use crate::api::fields::{Fields, describe};
use crate::resources::{AwsBucket, AzureContainer, GcpBucket, Text};

pub(super) fn aws(config: &mut Fields<'_>) -> Option<AwsBucket> {
    config.refuse_unknown(&[
        "bucketName",
        "bucket",
        "region",
        "accessKeyId",
        "secretAccessKey",
        "sessionToken",
        "profile",
        "endpoint",
        "forcePathStyle",
        "pathStyle",
        "ca",
    ]);
    let bucket = required(config, ["bucketName", "bucket"], "the name of a bucket");
    let id = text(config, "accessKeyId");
    let secret = text(config, "secretAccessKey");
    let session_token = text(config, "sessionToken");
    if id.is_some() != secret.is_some() {
        let missing = if id.is_some() { "secretAccessKey" } else { "accessKeyId" };
        config.problem(
            missing,
            "is missing; a key has both, and without both it is looked for on the machine",
        );
    }
    if session_token.is_some() && id.is_none() {
        config.problem(
            "sessionToken",
            "belongs to `accessKeyId` and `secretAccessKey`, which are missing",
        );
    }
    let profile = text(config, "profile");
    if profile.is_some() && id.is_some() {
        config.problem(
            "profile",
            "says where a key is, and the key is given; leave one of them out",
        );
    }
    let path_style = either(config, ["forcePathStyle", "pathStyle"]).and_then(|name| config.boolean(name));
    Some(AwsBucket {
        bucket: bucket?,
        region: text(config, "region"),
        key: id.zip(secret),
        session_token,
        profile,
        endpoint: endpoint(config),
        path_style,
        ca: authorities(config),
    })
}

pub(super) fn gcp(config: &mut Fields<'_>) -> Option<GcpBucket> {
    config.refuse_unknown(&[
        "bucketName",
        "bucket",
        "config",
        "credentials",
        "keyFilename",
        "endpoint",
        "ca",
    ]);
    let bucket = required(config, ["bucketName", "bucket"], "the name of a bucket");
    let service_account = either(config, ["config", "credentials"]).and_then(|name| {
        let json = config.raw(name).unwrap_or_default();
        if json.starts_with(['{', '"']) {
            return template(config, name);
        }
        config.problem(
            name,
            format!(
                "must be the key of a service account, as an object or JSON text, got {}",
                describe(json)
            ),
        );
        None
    });
    let key_file = text(config, "keyFilename");
    if service_account.is_some() && key_file.is_some() {
        config.problem(
            "keyFilename",
            "is the path of a key, and the key is given; leave one of them out",
        );
    }
    Some(GcpBucket {
        bucket: bucket?,
        service_account,
        key_file,
        endpoint: endpoint(config),
        ca: authorities(config),
    })
}

pub(super) fn azure(config: &mut Fields<'_>) -> Option<AzureContainer> {
    config.refuse_unknown(&[
        "containerName",
        "container",
        "connectionString",
        "accountName",
        "accountKey",
        "sasToken",
        "endpoint",
        "ca",
    ]);
    let container = required(config, ["containerName", "container"], "the name of a container");
    let connection_string = text(config, "connectionString");
    let account = text(config, "accountName");
    if connection_string.is_some() {
        for name in ["accountName", "accountKey", "sasToken", "endpoint"] {
            if config.raw(name).is_some() {
                config.problem(
                    name,
                    "is part of `connectionString`, which is given; leave one of them out",
                );
            }
        }
    } else if account.is_none() {
        config.problem(
            "connectionString",
            "is missing; give it, or `accountName` with `accountKey` or `sasToken`",
        );
    }
    Some(AzureContainer {
        container: container?,
        connection_string,
        account,
        key: text(config, "accountKey"),
        sas_token: text(config, "sasToken"),
        endpoint: endpoint(config),
        ca: authorities(config),
    })
}

/// Which of two names of a member is used.
fn either(config: &mut Fields<'_>, names: [&'static str; 2]) -> Option<&'static str> {
    let [one, other] = names;
    match (config.raw(one).is_some(), config.raw(other).is_some()) {
        (true, true) => {
            config.problem(other, format!("is another name of `{one}`; give one of them"));
            None
        }
        (true, false) => Some(one),
        (false, true) => Some(other),
        (false, false) => None,
    }
}

fn required(config: &mut Fields<'_>, names: [&'static str; 2], what: &str) -> Option<Text> {
    let [one, other] = names;
    if config.raw(one).is_none() && config.raw(other).is_none() {
        config.problem(one, format!("is missing; it must be {what}"));
    }
    let name = either(config, names)?;
    let given = text(config, name)?;
    let written = given.as_written();
    // A slash would make it lead elsewhere.
    if written.is_empty()
        || given.is_plain()
            && !written
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-_$".contains(&byte))
    {
        config.problem(name, format!("must be {what}"));
        return None;
    }
    Some(given)
}

fn endpoint(config: &mut Fields<'_>) -> Option<Text> {
    let endpoint = text(config, "endpoint")?;
    let is_http = |url: url::Url| matches!(url.scheme(), "http" | "https");
    if endpoint.is_plain() && !url::Url::parse(endpoint.as_written()).is_ok_and(is_http) {
        config.problem("endpoint", "must be a URL of http or https");
    }
    Some(endpoint)
}

fn authorities(config: &mut Fields<'_>) -> Option<Text> {
    let ca = text(config, "ca")?;
    if ca.is_plain() && !ca.as_written().contains("-----BEGIN CERTIFICATE-----") {
        config.problem("ca", "must be certificates in PEM");
    }
    Some(ca)
}
