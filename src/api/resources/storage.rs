//! Reads storage: its location by environment, and its events.

use super::cloud_storage;
use super::environments::environments;
use super::members::{members, required_tag};
use super::texts::{check_text, text};
use crate::api::fields::Fields;
use crate::resources::{
    FileSources, LocalFolder, Resources, Storage, StorageEnv, StorageEvent, StorageLocation, StorageOperation,
};

/// Names of storage types.
const STORAGE_TYPES: [&str; 4] = ["local", "aws", "gcp", "azure"];
/// Upper limit of a file's size, in bytes: what the largest parts of an upload come to.
const MAX_FILE_BYTES: i64 = 640 << 30;

pub(super) fn read(storage: &mut Fields<'_>, product: &str, resources: &mut Resources) {
    storage.refuse_unknown(&["tag", "envs", "events", "name", "description"]);
    let tag = required_tag(storage);
    let mut envs = Vec::new();
    for (slug, mut env) in environments(storage) {
        let sources = read_sources(&mut env);
        if let Some(place) = read_location(&mut env) {
            envs.push(StorageEnv { slug, place, sources });
        }
        storage.absorb(env);
    }
    let events = read_events(storage);
    let Some(tag) = tag else {
        return;
    };
    let definition = Storage {
        tag: tag.as_ref().into(),
        envs,
        events,
    };
    if !resources.storage.add(product, &tag, definition) {
        storage.problem("tag", format!("'{tag}' is the tag of another storage of the product"));
    }
}

fn read_location(env: &mut Fields<'_>) -> Option<StorageLocation> {
    env.refuse_unknown(&["slug", "type", "config", "sources", "description"]);
    let kind = env.server_type("type", &STORAGE_TYPES.map(|name| (name, name)), |_| true)?;
    let Some(mut config) = env.object("config") else {
        if env.raw("config").is_none() {
            let example = match kind {
                "aws" => r#"{ "bucketName": "files", "region": "eu-west-1" }"#,
                "gcp" => r#"{ "bucketName": "files", "config": … }"#,
                "azure" => r#"{ "containerName": "files", "connectionString": … }"#,
                _ => r#"{ "root": "./files" }"#,
            };
            env.problem("config", format!("is missing; it must be an object, as in {example}"));
        }
        return None;
    };
    let place = match kind {
        "aws" => cloud_storage::aws(&mut config).map(StorageLocation::Aws),
        "gcp" => cloud_storage::gcp(&mut config).map(StorageLocation::Gcp),
        "azure" => cloud_storage::azure(&mut config).map(StorageLocation::Azure),
        _ => read_folder(&mut config).map(StorageLocation::Local),
    };
    env.absorb(config);
    place
}

fn read_sources(env: &mut Fields<'_>) -> FileSources {
    let Some(mut sources) = env.object("sources") else {
        return FileSources::default();
    };
    sources.refuse_unknown(&["folder", "privateAddresses"]);
    let folder = text(&mut sources, "folder");
    if folder.as_ref().is_some_and(|folder| folder.as_written().is_empty()) {
        sources.problem("folder", "must be the path of a folder");
    }
    let private_addresses = sources.boolean("privateAddresses").unwrap_or(false);
    env.absorb(sources);
    FileSources {
        folder,
        private_addresses,
    }
}

fn read_folder(config: &mut Fields<'_>) -> Option<LocalFolder> {
    config.refuse_unknown(&["root", "create"]);
    let create = config.boolean("create").unwrap_or(true);
    if config.raw("root").is_none() {
        config.problem("root", "is missing; it must be the path of a folder");
    }
    let root = config.string("root")?;
    check_text(config, "root", &root);
    if root.is_empty() || root.contains('\0') {
        config.problem("root", "must be the path of a folder");
        return None;
    }
    Some(LocalFolder {
        root: root.as_ref().into(),
        create,
    })
}

fn read_events(storage: &mut Fields<'_>) -> Vec<StorageEvent> {
    let mut read: Vec<StorageEvent> = Vec::new();
    for mut event in members(storage, "events") {
        event.refuse_unknown(&["tag", "operation", "path", "maxBytes", "name", "description"]);
        let operation = event.one_of("operation", &StorageOperation::NAMES);
        if event.raw("operation").is_none() {
            let names = StorageOperation::NAMES.map(|(name, _)| name).join(", ");
            event.problem("operation", format!("is missing; known are {names}"));
        }
        let max_bytes = event.integer("maxBytes", 1, MAX_FILE_BYTES).map(i64::unsigned_abs);
        if max_bytes.is_some() && operation.is_some_and(|operation| operation != StorageOperation::Upload) {
            event.problem("maxBytes", "is for uploads");
        }
        let path = event.string("path").map(|path| Box::from(&*path));
        if let Some(Err(why)) = path.as_deref().map(crate::resources::FilePath::folder) {
            event.problem("path", why);
        }
        if let Some(tag) = required_tag(&mut event) {
            if StorageOperation::named(&tag).is_some_and(|named| operation.is_some_and(|operation| named != operation))
            {
                event.problem(
                    "tag",
                    format!("'{tag}' is the name of another operation, which jobs ask for by it"),
                );
            }
            if read.iter().any(|known| *known.tag == *tag) {
                event.problem("tag", format!("'{tag}' is the tag of another event of it"));
            } else if let Some(operation) = operation {
                read.push(StorageEvent {
                    tag: tag.as_ref().into(),
                    operation,
                    path,
                    max_bytes,
                });
            }
        }
        storage.absorb(event);
    }
    read
}
