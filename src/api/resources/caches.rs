//! Reads caches.

use super::members::required_tag;
use crate::api::fields::Fields;
use crate::resources::{DEFAULT_CACHE_EXPIRY, Resources};

/// The longest expiry, ms.
const MAX_EXPIRY_MS: i64 = 9_007_199_254_740_991;

pub(super) fn read(cache: &mut Fields<'_>, product: &str, resources: &mut Resources) {
    cache.refuse_unknown(&["tag", "expiry", "name", "description"]);
    let expiry = cache
        .integer("expiry", 1, MAX_EXPIRY_MS)
        .unwrap_or(DEFAULT_CACHE_EXPIRY);
    if let Some(tag) = required_tag(cache)
        && !resources.add_cache(product, &tag, expiry)
    {
        cache.problem("tag", format!("'{tag}' is the tag of another cache of the product"));
    }
}
