//! Settings of a provider: beside its name, or in an object that has the provider's name.

use super::checks::text;
use crate::api::fields::{Fields, describe};
use crate::resources::Text;

/// The settings of one channel, being read; each can go by several names.
pub(super) struct Settings<'f, 'a> {
    channel: &'f mut Fields<'a>,
    /// The object with the provider's name.
    nested: Option<Fields<'a>>,
    /// Names that were asked for.
    known: Vec<&'static str>,
    /// Members of the channel itself.
    own: [&'static str; 2],
}

impl<'f, 'a> Settings<'f, 'a> {
    /// `member` names the provider in the channel.
    pub(super) fn new(channel: &'f mut Fields<'a>, member: &'static str, provider: &'static str) -> Self {
        let nested = channel.object(provider);
        Self {
            channel,
            nested,
            known: Vec::new(),
            own: [member, provider],
        }
    }

    /// Where a setting is, and the name it goes by there. Names it only once.
    pub(super) fn find(&mut self, names: &[&'static str]) -> Option<(&mut Fields<'a>, &'static str)> {
        self.known.extend_from_slice(names);
        let in_nested = |name: &&'static str| self.nested.as_ref().is_some_and(|nested| nested.raw(name).is_some());
        let in_channel = |name: &&'static str| self.channel.raw(name).is_some();
        let nested: Vec<&'static str> = names.iter().copied().filter(in_nested).collect();
        let flat: Vec<&'static str> = names.iter().copied().filter(in_channel).collect();
        let given = nested.first().copied().map(|name| (true, name));
        let (is_nested, name) = given.or_else(|| Some((false, flat.first().copied()?)))?;
        let mut others = nested
            .iter()
            .skip(1)
            .chain(flat.iter().skip(usize::from(nested.is_empty())));
        if let Some(other) = others.next() {
            let message = format!("is the same as `{other}`; give one of them");
            self.fields(is_nested).problem(name, message);
        }
        Some((self.fields(is_nested), name))
    }

    fn fields(&mut self, nested: bool) -> &mut Fields<'a> {
        match &mut self.nested {
            Some(fields) if nested => fields,
            _ => self.channel,
        }
    }

    /// A text that may hold expressions.
    pub(super) fn text(&mut self, names: &[&'static str]) -> Option<Text> {
        let (fields, name) = self.find(names)?;
        text(fields, name)
    }

    /// The same, which must be there.
    pub(super) fn required(&mut self, names: &[&'static str], what: &str) -> Option<Text> {
        if self.find(names).is_none() {
            let nested = self.nested.is_some();
            let name = names.first().copied().unwrap_or_default();
            self.fields(nested)
                .problem(name, format!("is missing; it must be {what}"));
            return None;
        }
        self.text(names)
    }

    /// An integer, which may be written as text.
    pub(super) fn integer(&mut self, names: &[&'static str], min: i64, max: i64) -> Option<i64> {
        let (fields, name) = self.find(names)?;
        let raw = fields.raw(name).unwrap_or_default();
        if !raw.starts_with('"') {
            return fields.integer(name, min, max);
        }
        let value = fields.string(name)?;
        let read = value.trim().parse().ok().filter(|value| (min..=max).contains(value));
        if read.is_none() {
            let message = format!("must be an integer from {min} to {max}, got {}", describe(raw));
            fields.problem(name, message);
        }
        read
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, name: &'static str) -> Option<bool> {
        let (fields, name) = self.find(&[name])?;
        fields.boolean(name)
    }

    /// Notes a problem with the setting that goes by one of these names.
    pub(super) fn problem(&mut self, names: &[&'static str], message: impl Into<String>) {
        match self.find(names) {
            Some((fields, name)) => fields.problem(name, message),
            None => self
                .channel
                .problem(names.first().copied().unwrap_or_default(), message),
        }
    }

    /// Refuses what was not asked for.
    pub(super) fn finish(self) {
        let mut known = self.known;
        known.dedup();
        if let Some(mut nested) = self.nested {
            nested.refuse_unknown(&known);
            self.channel.absorb(nested);
        }
        let [member, provider] = self.own;
        known.insert(0, member);
        known.push(provider);
        self.channel.refuse_unknown(&known);
    }
}
