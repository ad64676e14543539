//! Which routes a handler takes.

use crate::model::{Namespace, Route};

/// Which routes a handler takes. `None` means any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Of the nine, exactly one.
    pub namespace: Namespace,
    /// Product tag.
    pub product: Option<Box<str>>,
    /// Environment slug.
    pub env: Option<Box<str>>,
    /// One entry for each target field.
    pub target: Vec<Option<Box<str>>>,
}

impl Pattern {
    pub(super) fn matches(&self, route: &Route) -> bool {
        let fits = |wanted: &Option<Box<str>>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
        self.namespace == route.namespace
            && fits(&self.product, &route.product)
            && fits(&self.env, &route.env)
            && self
                .target
                .iter()
                .zip(&route.target)
                .all(|(wanted, value)| fits(wanted, value))
    }

    /// More fixed fields are more specific; among equals an earlier target field counts more than a later one, and the
    /// target more than product and env.
    pub(super) fn specificity(&self) -> (usize, u32) {
        let bits = self
            .fields()
            .fold(0_u32, |bits, field| bits << 1 | u32::from(field.is_some()));
        (bits.count_ones() as usize, bits)
    }

    /// The fields, those that count most first.
    pub(super) fn fields(&self) -> impl Iterator<Item = Option<&str>> {
        let fields = self.target.iter().chain([&self.product, &self.env]);
        fields.map(Option::as_deref)
    }
}
