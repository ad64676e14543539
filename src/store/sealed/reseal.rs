//! Seals anew, with the key that seals now, what is sealed with another or not at all.
//!
//! Invariant: a text is replaced only while it is what was read, and only by itself sealed anew.

use super::SealedStore;
use super::keyring::{Keyring, Opened};
use crate::error::Result;
use crate::model::{JobId, JobOptions, RunError};
use crate::store::payload::{Field, JSON_PREFIX, TEXT_PREFIX};
use crate::store::text::{
    ResealPosition, Resealed, StoredText, TextColumn, TextKey, TextPage, TextQuery, TextReplacement, TextStore,
};
use crate::store::{EntryKey, EntryKind};
use async_trait::async_trait;

#[async_trait]
impl TextStore for SealedStore {
    async fn texts_after(&self, query: TextQuery) -> Result<TextPage> {
        self.inner.texts_after(query).await
    }

    async fn replace_texts(&self, column: TextColumn, replacements: Vec<TextReplacement>) -> Result<usize> {
        self.inner.replace_texts(column, replacements).await
    }

    async fn encryption_keys(&self) -> Result<Vec<Box<str>>> {
        self.mark_sealing().await?;
        let sealing = self.keys.sealing_id();
        let others = self.keys.ids().filter(|id| Some(*id) != sealing);
        Ok(sealing.into_iter().chain(others).map(Into::into).collect())
    }

    async fn reseal(&self, from: ResealPosition, limit: usize) -> Result<Resealed> {
        self.mark_sealing().await?;
        let Some(key) = self.keys.sealing_id() else {
            return Ok(Resealed::default());
        };
        let column = from.column;
        let query = TextQuery {
            column,
            after: from.after,
            except: current_beginning(column, key),
            limit,
        };
        let TextPage { texts, next } = self.inner.texts_after(query).await?;
        let bytes = texts.iter().map(|stored| stored.text.len()).sum();
        let sealed_anew = self.with_keys(bytes, move |keys| seal_anew(keys, column, texts));
        let (replacements, unreadable) = sealed_anew.await??;
        let wanted = replacements.len();
        let sealed = match wanted {
            0 => 0,
            _ => self.inner.replace_texts(column, replacements).await?,
        };
        let column = match next {
            Some(_) => Some(column),
            None => column.next(),
        };
        let after = next.unwrap_or_else(TextKey::first);
        Ok(Resealed {
            sealed,
            changed: wanted.saturating_sub(sealed),
            unreadable,
            next: column.map(|column| ResealPosition { column, after }),
        })
    }
}

/// What is at the beginning of a text of this column that is sealed with this key, or within it.
fn current_beginning(column: TextColumn, key: &str) -> Box<str> {
    let before = match column {
        TextColumn::Inputs | TextColumn::Results | TextColumn::Steps | TextColumn::Progress => JSON_PREFIX,
        TextColumn::Options | TextColumn::Errors | TextColumn::EventErrors => {
            // Within a JSON text a quote of a user's is escaped.
            return format!("\":\"{TEXT_PREFIX}{key}:").into();
        }
        TextColumn::LogLines
        | TextColumn::Entries
        | TextColumn::WebhookSecrets
        | TextColumn::WebhookErrors
        | TextColumn::CancelReasons => TEXT_PREFIX,
    };
    format!("{before}{key}:").into()
}

/// Texts that are to be replaced, and how many cannot be.
fn seal_anew(keys: &Keyring, column: TextColumn, texts: Vec<StoredText>) -> Result<(Vec<TextReplacement>, usize)> {
    let (mut replacements, mut unreadable) = (Vec::with_capacity(texts.len()), 0);
    for stored in texts {
        let new = match column {
            TextColumn::Options => options_anew(keys, stored.id.as_ref(), &stored.text)?,
            TextColumn::Errors | TextColumn::EventErrors => error_anew(keys, &stored.text)?,
            _ => text_anew(keys, column, &stored)?,
        };
        match new {
            Anew::Nothing => {}
            Anew::Unreadable => unreadable += 1,
            Anew::Text(after, digest) => replacements.push(TextReplacement {
                key: stored.key,
                before: stored.text,
                after,
                digest,
            }),
        }
    }
    Ok((replacements, unreadable))
}

/// What is to become of a text.
enum Anew {
    /// It holds nothing to seal.
    Nothing,
    /// It cannot be opened.
    Unreadable,
    /// This, with the digest of an input.
    Text(Box<str>, Option<Box<str>>),
}

fn text_anew(keys: &Keyring, column: TextColumn, stored: &StoredText) -> Result<Anew> {
    let entry;
    let field = match (column, &stored.id) {
        (TextColumn::Inputs, Some(id)) => Field::Input(id),
        (TextColumn::Results, _) => Field::Result(stored.key.job()),
        (TextColumn::Steps, _) => Field::Step(stored.key.job(), &stored.key.names[0]),
        (TextColumn::Progress, _) => Field::Progress(stored.key.job()),
        (TextColumn::LogLines, _) => Field::LogLine(stored.key.job()),
        (TextColumn::Entries, _) => {
            entry = entry_key(&stored.key);
            Field::Entry(&entry)
        }
        (TextColumn::WebhookSecrets, _) => Field::WebhookSecret(&stored.webhook),
        (TextColumn::WebhookErrors, _) => Field::WebhookError(&stored.webhook),
        (TextColumn::CancelReasons, _) => Field::Message,
        (TextColumn::Inputs | TextColumn::Options | TextColumn::Errors | TextColumn::EventErrors, _) => {
            return Ok(Anew::Nothing);
        }
    };
    let plain = match keys.open(&field, &stored.text) {
        Opened::Clear => stored.text.clone(),
        Opened::Text(plain) => plain,
        Opened::Unreadable(_) => return Ok(Anew::Unreadable),
    };
    let digest = (column == TextColumn::Inputs).then(|| keys.digest(&plain)).flatten();
    let sealed = keys.seal(&field, &plain)?;
    Ok(sealed.map_or(Anew::Nothing, |sealed| Anew::Text(sealed, digest)))
}

fn entry_key(key: &TextKey) -> EntryKey {
    let [space, name] = key.names.clone();
    let session = key.numbers[0] == EntryKind::Session as i64;
    EntryKey {
        kind: if session { EntryKind::Session } else { EntryKind::Cache },
        space,
        key: name,
    }
}

fn options_anew(keys: &Keyring, id: Option<&JobId>, text: &str) -> Result<Anew> {
    let (Some(id), Ok(mut options)) = (id, serde_json::from_str::<JobOptions>(text)) else {
        return Ok(Anew::Nothing);
    };
    let Some(session) = &mut options.session else {
        return Ok(Anew::Nothing);
    };
    if !replace(keys, &Field::Token(id), &mut session.token)? {
        return Ok(Anew::Unreadable);
    }
    Ok(written(&options))
}

fn error_anew(keys: &Keyring, text: &str) -> Result<Anew> {
    let Ok(mut error) = serde_json::from_str::<RunError>(text) else {
        return Ok(Anew::Nothing);
    };
    let mut opened = replace(keys, &Field::Message, &mut error.message)?;
    if let Some(stack) = &mut error.stack {
        opened &= replace(keys, &Field::Stack, stack)?;
    }
    if let Some(origin) = &mut error.origin {
        opened &= replace(keys, &Field::Causes, origin)?;
    }
    if !opened {
        return Ok(Anew::Unreadable);
    }
    Ok(written(&error))
}

/// Seals a text anew in its place. `false`: it cannot be opened.
fn replace(keys: &Keyring, field: &Field<'_>, text: &mut Box<str>) -> Result<bool> {
    match keys.open(field, text) {
        Opened::Clear => {}
        Opened::Text(plain) => *text = plain,
        Opened::Unreadable(_) => return Ok(false),
    }
    keys.seal_in(field, text)?;
    Ok(true)
}

fn written(value: &impl serde::Serialize) -> Anew {
    match serde_json::to_string(value) {
        Ok(text) => Anew::Text(text.into(), None),
        Err(_) => Anew::Nothing,
    }
}
