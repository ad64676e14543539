//! Names of the spaces in which the store keeps entries of a resource.

/// The space of one kind of entry of a product's resource.
#[must_use]
pub fn entry_space(kind: &str, product: &str, tag: &str) -> Box<str> {
    serde_json::to_string(&[kind, product, tag]).unwrap_or_default().into()
}
