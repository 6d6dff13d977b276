//! Products as pages show them: by display name.

use std::collections::BTreeMap;

use crate::kernel::{Error, Reader};
use crate::model::page::Page;
use crate::model::product::Product;
use crate::services::Services;

/// Every product that may be granted in the workspace of the caller, for a platform administrator every product, in the order
/// of the codes.
///
/// # Errors
/// [`Error::NotFound`] if the workspace was deleted; [`Error::Storage`].
pub(super) async fn all(services: &Services, reader: &Reader) -> Result<Vec<Product>, Error> {
    let mut all = Vec::new();
    let mut page = Page::first(Page::MAX_LIMIT);
    loop {
        let found = services.tenants.products(reader, &page).await?;
        all.extend(found.items);
        match found.next_after {
            Some(after) => page.after = Some(after),
            None => return Ok(all),
        }
    }
}

/// The display names of the products that [`all`] returns, by code.
///
/// # Errors
/// Those of [`all`].
pub(super) async fn names(services: &Services, reader: &Reader) -> Result<BTreeMap<String, String>, Error> {
    Ok(all(services, reader).await?.into_iter().map(|product| (product.product, product.name)).collect())
}

/// The display names of these products; a product that is not among `names` shows its code.
pub(super) fn shown(codes: &[String], names: &BTreeMap<String, String>) -> Vec<String> {
    codes.iter().map(|code| names.get(code).unwrap_or(code).clone()).collect()
}
