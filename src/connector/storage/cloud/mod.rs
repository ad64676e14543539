//! Files in object stores: S3 and what speaks its protocol, Google Cloud Storage, Azure Blob Storage.
//!
//! [`aws`], [`gcp`] and [`azure`] make a [`Bucket`] of a definition, [`http`] sends its requests, [`trouble`] tells what went wrong,
//! [`multipart`] uploads large files. Invariants: an object is seen whole or not at all; no failure names an object.

mod aws;
mod azure;
mod bucket;
mod gcp;
mod http;
mod multipart;
mod sas;
mod trouble;

use super::content::Sources;
use super::event::Event;
use super::media::media_type;
use super::operand::{Access, FileName, Listing};
use super::result::{Counted, FileInfo, Listed, Removed, SignedUrl, Stats, to_json};
use super::task::{Task, Upload};
use crate::clock::{Clock, SystemClock};
use crate::connector::limits::{MAX_COUNTED_FILES, MAX_DOWNLOAD_BYTES};
use crate::connector::{Call, Connector, Failure};
use crate::engine::inputs::ExpressionResolver;
use crate::resources::{OutboundRules, StorageLocation, name_problem};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bucket::Bucket;
use multipart::Removals;
use object_store::list::PaginatedListOptions;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, GetOptions, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt, PutOptions, PutPayload,
};
use reqwest::Method;
use std::sync::Arc;
use std::time::Duration;
use trouble::{tell, told};

/// Names that one request lists.
const PAGE_NAMES: usize = 1_000;
/// Requests that list the files of one job.
const MAX_PAGES: usize = 10;
/// Files in a bucket.
pub(super) struct CloudConnector {
    bucket: Bucket,
    events: Arc<[Event]>,
    sources: Arc<Sources>,
    removals: Removals,
}

impl CloudConnector {
    /// Puts the secrets in, and asks nobody yet.
    pub(super) async fn open(
        place: &StorageLocation,
        outbound: &OutboundRules,
        expressions: &ExpressionResolver,
        (events, sources): (Arc<[Event]>, Arc<Sources>),
    ) -> Result<Arc<Self>, Failure> {
        let bucket = match place {
            StorageLocation::Aws(place) => aws::open(place, outbound, expressions).await?,
            StorageLocation::Gcp(place) => gcp::open(place, outbound, expressions).await?,
            StorageLocation::Azure(place) => azure::open(place, outbound, expressions).await?,
            StorageLocation::Local(_) => return Err(Failure::invalid("a local folder is no bucket")),
        };
        Ok(Arc::new(Self {
            bucket,
            events,
            sources,
            removals: Removals::default(),
        }))
    }

    async fn upload(&self, upload: Upload) -> Result<FileInfo, Failure> {
        let Upload {
            file,
            mime_type,
            source,
        } = upload;
        let path = path_of(&file)?;
        let mut content = self.sources.content(source).await?;
        let mime_type = mime_type
            .or_else(|| media_type(&file.name).map(str::to_owned))
            .or_else(|| content.mime_type());
        let attributes: Attributes = mime_type
            .iter()
            .map(|mime_type| (Attribute::ContentType, mime_type.clone()))
            .collect();
        let part_bytes = multipart::part_bytes(content.most_bytes());
        let first = content.next_part(part_bytes).await?;
        let size = first.len() as u64;
        let (result, time, size) = if size < part_bytes {
            let options = PutOptions {
                attributes,
                ..PutOptions::default()
            };
            let put = self
                .bucket
                .objects
                .put_opts(&path, PutPayload::from_bytes(first), options);
            let (result, time) = told(put).await?;
            (result, time, size)
        } else {
            let content = (first, &mut content);
            let objects = &*self.bucket.objects;
            multipart::upload(objects, &path, attributes, content, part_bytes, &self.removals).await?
        };
        let etag = result.e_tag.as_deref().map(unquoted).unwrap_or_default();
        let mut info = FileInfo::new(&file, size, etag, time.unwrap_or_else(|| SystemClock.now()));
        info.mime_type = mime_type;
        info.url = Some(self.url_of(&file));
        Ok(info)
    }

    async fn download(&self, file: &FileName) -> Result<FileInfo, Failure> {
        let path = path_of(file)?;
        let found = tell(self.bucket.objects.get_opts(&path, GetOptions::default())).await?;
        if found.meta.size > MAX_DOWNLOAD_BYTES {
            return Err(Failure::invalid(format!(
                "the file has {} bytes, and a result holds at most {MAX_DOWNLOAD_BYTES}; give its readers a URL by `getSignedUrl`",
                found.meta.size
            )));
        }
        let mut info = self.file_info(file, &found.meta, &found.attributes);
        let bytes = tell(found.bytes()).await?;
        info.size = bytes.len() as u64;
        info.buffer = Some(STANDARD.encode(bytes));
        Ok(info)
    }

    /// A missing file is no failure, since an earlier attempt may have removed it.
    async fn remove(&self, file: &FileName) -> Result<Removed, Failure> {
        let path = path_of(file)?;
        if self.head(&path).await?.is_none() {
            return Ok(Removed { removed: false });
        }
        match tell(self.bucket.objects.delete(&path)).await {
            Ok(()) => Ok(Removed { removed: true }),
            // Removed meanwhile.
            Err(failure) if &*failure.code == "NOT_FOUND" => Ok(Removed { removed: false }),
            Err(failure) => Err(failure),
        }
    }

    async fn stats(&self, file: &FileName) -> Result<Stats, Failure> {
        let found = self.head(&path_of(file)?).await?;
        Ok(Stats::of(
            found.map(|found| self.file_info(file, &found.meta, &found.attributes)),
        ))
    }

    /// What the server knows of an object; `None`: there is none.
    async fn head(&self, path: &Path) -> Result<Option<GetResult>, Failure> {
        let options = GetOptions {
            head: true,
            ..GetOptions::default()
        };
        let failure = match tell(self.bucket.objects.get_opts(path, options)).await {
            Ok(found) => return Ok(Some(found)),
            Err(failure) => failure,
        };
        if !matches!(&*failure.code, "NOT_FOUND" | "FORBIDDEN" | "VALIDATION_ERROR") {
            return Err(failure);
        }
        // The answer has no body that says whether it is the object that is missing or the bucket, the right or the key.
        match self.probe().await {
            Err(reason) if &*reason.code != "FORBIDDEN" => Err(reason),
            _ if &*failure.code == "NOT_FOUND" => Ok(None),
            _ => Err(failure),
        }
    }

    async fn probe(&self) -> Result<(), Failure> {
        let options = PaginatedListOptions {
            max_keys: Some(1),
            ..PaginatedListOptions::default()
        };
        // Whatever the names of others are.
        match tell(self.bucket.pages.list_paginated(None, options)).await {
            Err(failure) if failure.message.starts_with(trouble::UNREADABLE_NAME) => Ok(()),
            Err(failure) => Err(failure),
            Ok(_) => Ok(()),
        }
    }

    async fn list(&self, listing: &Listing) -> Result<Listed, Failure> {
        let folder = folder_prefix(listing);
        let mut listed = Listed::default();
        let mut token = listing.after.as_deref().map(str::to_owned);
        for _ in 0..MAX_PAGES {
            let options = PaginatedListOptions {
                delimiter: Some("/".into()),
                max_keys: Some(listing.limit - listed.len()),
                page_token: token.take(),
                ..PaginatedListOptions::default()
            };
            let prefix = format!("{folder}{}", listing.prefix);
            let page = tell(self.bucket.pages.list_paginated(Some(&prefix), options)).await?;
            for object in page.result.objects {
                let name = object.location.as_ref().strip_prefix(&folder).unwrap_or_default();
                if name_problem(name).is_none() {
                    let file = FileName {
                        folder: listing.folder.clone(),
                        name: name.into(),
                    };
                    listed.push(self.file_info(&file, &object, &Attributes::default()));
                }
            }
            token = page.page_token;
            if token.is_none() || listed.len() >= listing.limit {
                break;
            }
        }
        listed.continue_at(token);
        Ok(listed)
    }

    async fn count(&self, listing: &Listing) -> Result<Counted, Failure> {
        let prefix = format!("{}{}", folder_prefix(listing), listing.prefix);
        let mut counted = Counted::default();
        let mut token = listing.after.as_deref().map(str::to_owned);
        for _ in 0..MAX_COUNTED_FILES / PAGE_NAMES {
            let options = PaginatedListOptions {
                max_keys: Some(PAGE_NAMES),
                page_token: token.take(),
                ..PaginatedListOptions::default()
            };
            let prefix = Some(&*prefix).filter(|prefix| !prefix.is_empty());
            let page = tell(self.bucket.pages.list_paginated(prefix, options)).await?;
            for object in page.result.objects {
                counted.add(object.location.filename().unwrap_or_default(), object.size);
            }
            token = page.page_token;
            if token.is_none() {
                break;
            }
        }
        counted.continue_at(token);
        Ok(counted)
    }

    async fn sign(&self, file: &FileName, access: Access, expires_in: Duration) -> Result<SignedUrl, Failure> {
        let method = match access {
            Access::Read => Method::GET,
            Access::Write => Method::PUT,
        };
        let from = SystemClock.now();
        let path = path_of(file)?;
        let signed = self.bucket.signer.signed_url(method.clone(), &path, expires_in);
        let url = tell(signed).await.map_err(|failure| {
            if failure.message.starts_with(trouble::BROKEN) {
                return Failure::invalid("these credentials cannot sign URLs; give the key of an account");
            }
            failure
        })?;
        let headers = match access {
            Access::Read => &[][..],
            Access::Write => self.bucket.write_headers,
        };
        let lifetime = i64::try_from(expires_in.as_millis()).unwrap_or(i64::MAX);
        Ok(SignedUrl {
            url: url.into(),
            method: method.to_string(),
            headers: headers.iter().copied().collect(),
            expires_at: from.saturating_add(lifetime),
        })
    }

    fn file_info(&self, file: &FileName, meta: &ObjectMeta, attributes: &Attributes) -> FileInfo {
        let etag = meta.e_tag.as_deref().map(unquoted).unwrap_or_default();
        let mut info = FileInfo::new(file, meta.size, etag, meta.last_modified.timestamp_millis());
        if let Some(mime_type) = attributes.get(&Attribute::ContentType) {
            info.mime_type = Some(mime_type.to_string());
        }
        info.url = Some(self.url_of(file));
        info
    }

    /// The URL of an object, which says where it is and grants no access.
    fn url_of(&self, file: &FileName) -> String {
        let mut url = self.bucket.url.clone();
        // A URL of http always has a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(file.folder.names()).push(&file.name);
        }
        url.into()
    }
}

#[async_trait]
impl Connector for CloudConnector {
    async fn run(&self, call: &Call<'_>) -> Result<Option<Box<str>>, Failure> {
        let answer = match Task::read(&self.events, call.event(), call.input())? {
            Task::Upload(upload) => to_json(&self.upload(upload).await?),
            Task::Download(file) => to_json(&self.download(&file).await?),
            Task::Remove(file) => to_json(&self.remove(&file).await?),
            Task::Stats(file) => to_json(&self.stats(&file).await?),
            Task::Count(listing) => to_json(&self.count(&listing).await?),
            Task::List(listing) => to_json(&self.list(&listing).await?),
            Task::SignedUrl(file, access, expires_in) => to_json(&self.sign(&file, access, expires_in).await?),
        };
        Ok(Some(answer?.into()))
    }

    /// Asks for one name.
    async fn check(&self) -> Result<(), Failure> {
        self.probe().await
    }

    /// Waits until the parts of uploads that were given up are removed.
    async fn close(&self) {
        self.removals.finish().await;
    }
}

fn path_of(file: &FileName) -> Result<Path, Failure> {
    // Names are checked before, by stricter rules.
    Path::parse(format!("{}{}", folder_text(&file.folder.text()), file.name))
        .map_err(|_| Failure::invalid("input.fileName: is no name of an object"))
}

fn folder_prefix(listing: &Listing) -> String {
    folder_text(&listing.folder.text())
}

fn folder_text(folder: &str) -> String {
    if folder.is_empty() {
        String::new()
    } else {
        format!("{folder}/")
    }
}

/// An entity tag without its quotes.
fn unquoted(etag: &str) -> String {
    etag.trim_matches('"').to_owned()
}
