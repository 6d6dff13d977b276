//! Products as pages show them: by display name.

use std::collections::BTreeMap;

use crate::kernel::{Error, Reader};
use crate::model::page::Page;
use crate::model::product::Product;
use crate::services::Services;

/// Every product that the caller may grant, in the order of the codes.
///
/// # Errors
/// [`Error::Storage`].
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

/// The display names of the products that the caller may grant, by code.
///
/// # Errors
/// [`Error::Storage`].
pub(super) async fn names(services: &Services, reader: &Reader) -> Result<BTreeMap<String, String>, Error> {
    Ok(all(services, reader).await?.into_iter().map(|product| (product.product, product.name)).collect())
}

/// The display names of these products; a product that the caller may not grant shows its code.
pub(super) fn shown(codes: &[String], names: &BTreeMap<String, String>) -> Vec<String> {
    codes.iter().map(|code| names.get(code).unwrap_or(code).clone()).collect()
}
