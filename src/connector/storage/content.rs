//! What an upload writes: bytes of its input, a file of this machine, or what a URL answers with; read in parts.
//!
//! Invariants: no more than one part is in memory; files are opened below the folder that the definition names, and URLs only where
//! the rules for requests and the definition allow it; no failure names a file, or more of a URL than its host.

use super::error::FileSystemError;
use super::media::is_media_type;
use super::operand::{FileName, Source};
use super::sandbox::{Folder, Kind};
use crate::clock::{Clock, SystemClock};
use crate::connector::Failure;
use crate::connector::limits::MAX_REDIRECTS;
use crate::engine::inputs::ExpressionResolver;
use crate::http::{self, Client, ClientOptions, ExchangeLimits};
use crate::resources::{FileSources, OutboundRules};
use bytes::{Bytes, BytesMut};
use reqwest::{Method, Response, Url};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;

/// How long a server may take to begin its answer, or to go on with it.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Opens what uploads name.
pub(super) struct Sources {
    folder: Option<PathBuf>,
    rules: OutboundRules,
    /// Made by the first URL.
    client: OnceCell<Client>,
}

impl Sources {
    /// Puts the secrets in; a relative folder is one of `base`.
    pub(super) async fn open(
        sources: &FileSources,
        outbound: &OutboundRules,
        base: &Path,
        expressions: &ExpressionResolver,
    ) -> Result<Arc<Self>, Failure> {
        let folder = match &sources.folder {
            Some(folder) => {
                let folder = expressions.reveal(folder.as_written()).await?;
                if folder.is_empty() || folder.contains('\0') {
                    return Err(Failure::invalid("`sources.folder` is no path of a folder"));
                }
                Some(base.join(folder))
            }
            None => None,
        };
        let mut rules = outbound.clone();
        rules.private_addresses &= sources.private_addresses;
        Ok(Arc::new(Self {
            folder,
            rules,
            client: OnceCell::new(),
        }))
    }

    /// Opens the content of an upload.
    pub(super) async fn content(&self, source: Source) -> Result<Content, Failure> {
        match source {
            Source::Bytes(bytes) => Ok(Content::Bytes(bytes)),
            Source::File(file, most) => self.file(file, most).await,
            Source::Url(url, most) => self.url(url, most).await,
        }
    }

    async fn file(&self, file: FileName, most: u64) -> Result<Content, Failure> {
        let Some(root) = self.folder.clone() else {
            return Err(Failure::forbidden(
                "input.file.path: the storage's definition names no folder whose files may be uploaded; set `sources.folder` there",
            ));
        };
        let opened = blocking(move || {
            let mut folder = Folder::root(&root, false)?;
            for name in file.folder.names() {
                folder = folder.enter(name, false)?;
            }
            folder.read(&file.name)
        });
        let (opened, status) = opened.await?.map_err(|error| {
            let mut failure = Failure::from(error);
            failure.message.insert_str(0, "input.file.path: ");
            failure
        })?;
        if status.kind != Kind::File {
            return Err(Failure::invalid("input.file.path: what has the name is no file"));
        }
        if status.size > most {
            return Err(too_large(most));
        }
        Ok(Content::File {
            file: Some(opened),
            left: most,
            size: status.size,
        })
    }

    async fn url(&self, url: Url, most: u64) -> Result<Content, Failure> {
        let open = || {
            Client::open(ClientOptions {
                compressed: false,
                ..ClientOptions::new(self.rules.clone())
            })
        };
        let client = self.client.get_or_try_init(open).await?;
        let host: Box<str> = url.host_str().unwrap_or_default().into();
        let limits = ExchangeLimits {
            deadline: STALL_TIMEOUT,
            response_bytes: 0,
            redirects: MAX_REDIRECTS,
            now: SystemClock.now(),
        };
        let answered = client.open_stream(client.request(Method::GET, url), &limits).await;
        let response = answered.map_err(|failure| of_url(&host, failure))?;
        let size = response.content_length();
        if size.is_some_and(|size| size > most) {
            return Err(too_large(most));
        }
        Ok(Content::Url {
            response: Box::new(response),
            host,
            ahead: BytesMut::new(),
            left: most,
            size,
        })
    }
}

/// The content of an upload, opened.
pub(super) enum Content {
    /// Bytes of the input, or what is left of them.
    Bytes(Bytes),
    /// A file.
    File {
        /// `None` while it is being read.
        file: Option<File>,
        /// How many bytes may still come.
        left: u64,
        /// How many there were when it was opened.
        size: u64,
    },
    /// The answer of a server.
    Url {
        response: Box<Response>,
        host: Box<str>,
        /// What has come and has not been asked for.
        ahead: BytesMut,
        /// How many bytes may still come.
        left: u64,
        /// How many the server has announced.
        size: Option<u64>,
    },
}

impl Content {
    /// About so many bytes are in it, or at most so many if nobody knows.
    #[cfg_attr(not(feature = "cloud-storage"), allow(dead_code, reason = "folders have no parts"))]
    pub(super) fn most_bytes(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { size, .. } => *size,
            Self::Url { size, left, .. } => size.unwrap_or(*left),
        }
    }

    /// The media type that comes with it.
    pub(super) fn mime_type(&self) -> Option<String> {
        let Self::Url { response, .. } = self else { return None };
        let given = response.headers().get("content-type")?.to_str().ok()?;
        is_media_type(given).then(|| given.to_owned())
    }

    /// The next bytes, fewer than asked for only at the end.
    pub(super) async fn next_part(&mut self, bytes: u64) -> Result<Bytes, Failure> {
        let wanted = usize::try_from(bytes).unwrap_or(usize::MAX);
        match self {
            Self::Bytes(left) => Ok(left.split_to(wanted.min(left.len()))),
            Self::File { file, left, .. } => {
                let Some(mut opened) = file.take() else {
                    return Err(Failure::unavailable("the file cannot be read on"));
                };
                let most = *left;
                // One more than is allowed shows that it is too large.
                let ask = bytes.min(most.saturating_add(1));
                let (opened, read) = blocking(move || {
                    let mut part = Vec::with_capacity(usize::try_from(ask).unwrap_or_default());
                    let read = (&mut opened).take(ask).read_to_end(&mut part);
                    (opened, read.map(|_| part))
                })
                .await?;
                *file = Some(opened);
                let part = read.map_err(FileSystemError::from)?;
                *left = left.checked_sub(part.len() as u64).ok_or_else(|| too_large(most))?;
                Ok(part.into())
            }
            Self::Url {
                response,
                host,
                ahead,
                left,
                ..
            } => {
                while ahead.len() < wanted {
                    let chunk = tokio::time::timeout(STALL_TIMEOUT, response.chunk())
                        .await
                        .map_err(|_| of_url(host, http::Failure::timed_out(STALL_TIMEOUT)))?
                        .map_err(|error| of_url(host, http::Failure::from_client_error(&error)))?;
                    let Some(chunk) = chunk else { break };
                    *left = left.checked_sub(chunk.len() as u64).ok_or_else(|| too_large(*left))?;
                    ahead.extend_from_slice(&chunk);
                }
                Ok(ahead.split_to(wanted.min(ahead.len())).freeze())
            }
        }
    }
}

fn too_large(most: u64) -> Failure {
    Failure::invalid(format!(
        "input.file: has more bytes than `maxBytes` of the event allows, or than {most} if that is not set"
    ))
}

fn of_url(host: &str, failure: http::Failure) -> Failure {
    let mut failure = Failure::from(failure);
    failure.message = format!("input.file.url: {host}: {}", failure.message);
    failure
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Failure::unavailable("the storage is closed"))
}
