//! Products, and which clients they are granted to.

use mintmark::model::product::Product;
use mintmark::storage::StorageError;

use crate::storage::samples::{NOW, change, client, page, product, stocked};
use crate::support::{Engine, TestDatabase, on_both_engines};

on_both_engines!(
    a_product_is_stored_with_all_members,
    a_code_in_use_is_refused,
    pages_are_in_the_order_of_the_bytes_of_the_code,
    a_product_is_changed_under_its_lock,
    a_granted_product_cannot_be_deleted,
    grants_are_counted_and_listed,
);

async fn a_product_is_stored_with_all_members(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    let bare = Product {
        description: None,
        audience: None,
        max_token_lifetime_seconds: None,
        never_expires_allowed: true,
        ..product("bare")
    };
    for product in [product("gst"), bare] {
        assert!(change!(storage, tx => tx.insert_product(&product)));
        assert_eq!(storage.product(&product.product).await.unwrap(), Some(product));
    }
    assert_eq!(storage.product("none").await.unwrap(), None);
}

async fn a_code_in_use_is_refused(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let again = Product { name: "Another".to_owned(), ..product("gst") };
    assert!(!change!(storage, tx => tx.insert_product(&again)));
    assert_eq!(storage.product("gst").await.unwrap(), Some(product("gst")));
}

async fn pages_are_in_the_order_of_the_bytes_of_the_code(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    // A linguistic order would ignore punctuation.
    let sorted = ["a-z", "a.b", "a:a", "a_c", "aa"];
    for code in ["aa", "a_c", "a-z", "a:a", "a.b"] {
        change!(storage, tx => tx.insert_product(&product(code)));
    }
    let codes = |products: Vec<Product>| products.into_iter().map(|p| p.product).collect::<Vec<_>>();
    assert_eq!(codes(storage.all_products().await.unwrap()), sorted);

    let first = storage.products(&page(2, None)).await.unwrap();
    assert_eq!(
        (codes(first.items), first.next_after.as_deref()),
        (vec!["a-z".into(), "a.b".into()], Some("a.b"))
    );
    let second = storage.products(&page(2, Some("a.b"))).await.unwrap();
    assert_eq!(
        (codes(second.items), second.next_after.as_deref()),
        (vec!["a:a".into(), "a_c".into()], Some("a_c"))
    );
    let last = storage.products(&page(2, Some("a_c"))).await.unwrap();
    assert_eq!((codes(last.items), last.next_after), (vec!["aa".into()], None));
    let exact = storage.products(&page(5, None)).await.unwrap();
    assert_eq!((exact.items.len(), exact.next_after), (5, None));
}

async fn a_product_is_changed_under_its_lock(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    assert_eq!(change!(storage, tx => tx.share_products(&["none", "gst"])), [product("gst")]);
    let mut tx = storage.begin().await.unwrap();
    assert_eq!(tx.lock_product("none").await.unwrap(), None);
    let found = tx.lock_product("gst").await.unwrap().unwrap();
    assert_eq!(found, product("gst"));
    let changed = Product {
        name: "GST returns".to_owned(),
        description: None,
        audience: None,
        max_token_lifetime_seconds: None,
        never_expires_allowed: true,
        updated_at: NOW + 50,
        version: 4,
        ..found
    };
    assert!(tx.update_product(&changed).await.unwrap());
    assert!(!tx.update_product(&product("none")).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(storage.product("gst").await.unwrap(), Some(changed));
    assert_eq!(storage.product("e-invoicing").await.unwrap(), Some(product("e-invoicing")));
}

async fn a_granted_product_cannot_be_deleted(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let mut tx = storage.begin().await.unwrap();
    let refused = tx.delete_product("gst").await;
    assert!(matches!(refused, Err(StorageError::Conflict(_))), "{refused:?}");
    drop(tx);
    assert!(storage.product("gst").await.unwrap().is_some());

    change!(storage, tx => tx.ungrant_products("cl_1", &["gst"]));
    assert!(change!(storage, tx => tx.delete_product("gst")));
    assert!(!change!(storage, tx => tx.delete_product("gst")));
    assert_eq!(storage.product("gst").await.unwrap(), None);
    assert!(change!(storage, tx => tx.insert_product(&product("gst"))), "the code is free again");
}

async fn grants_are_counted_and_listed(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    change!(storage, tx => tx.insert_client(&client("cl_2"), "0002"));
    change!(storage, tx => tx.ungrant_products("cl_2", &["e-invoicing"]));
    let mut tx = storage.begin().await.unwrap();
    assert_eq!(tx.count_product_grants("gst").await.unwrap(), 2);
    assert_eq!(tx.count_product_grants("e-invoicing").await.unwrap(), 1);
    assert_eq!(tx.count_product_grants("none").await.unwrap(), 0);
    assert_eq!(tx.granted_products("cl_1").await.unwrap(), [product("e-invoicing"), product("gst")]);
    assert_eq!(tx.granted_products("cl_2").await.unwrap(), [product("gst")]);
    assert_eq!(tx.granted_products("cl_9").await.unwrap(), []);
    tx.rollback().await.unwrap();
}
