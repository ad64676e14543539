//! Resources of one kind, by product and tag, in definition order.

use std::collections::HashMap;
use std::sync::Arc;

/// Product and tag.
type ResourceKey = (Box<str>, Box<str>);

/// The resources of one kind, of all products.
#[derive(Clone, Debug)]
pub struct Section<T> {
    members: Vec<(Box<str>, Arc<T>)>,
    index_by_key: HashMap<ResourceKey, usize>,
}

impl<T> Default for Section<T> {
    fn default() -> Self {
        Self {
            members: Vec::new(),
            index_by_key: HashMap::new(),
        }
    }
}

impl<T> Section<T> {
    /// Adds a resource; `false`: not added, since the product already has one with this tag.
    pub fn add(&mut self, product: &str, tag: &str, member: T) -> bool {
        let name = (product.into(), tag.into());
        if self.index_by_key.contains_key(&name) {
            return false;
        }
        self.index_by_key.insert(name, self.members.len());
        self.members.push((product.into(), Arc::new(member)));
        true
    }

    /// The product's resource with this tag.
    #[must_use]
    pub fn get(&self, product: &str, tag: &str) -> Option<&Arc<T>> {
        let place = *self.index_by_key.get(&(product.into(), tag.into()))?;
        self.members.get(place).map(|(_, member)| member)
    }

    /// All resources with the tags of their products, in definition order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Arc<T>)> {
        self.members.iter().map(|(product, member)| (&**product, member))
    }
}
