//! Products: rows of `products`.

use crate::model::page::{Items, Page};
use crate::model::product::Product;
use crate::storage::engine::{EngineSql, json_array, on_read, on_tx, row, statements};
use crate::storage::{Storage, StorageError, Tx, touched};

macro_rules! columns {
    () => {
        "product, name, audience, max_token_lifetime_seconds, never_expires_allowed, created_at, updated_at, version,
            description"
    };
}

statements! {
    FIND = concat!("SELECT ", columns!(), " FROM products WHERE product = $1");
    LIST = concat!("SELECT ", columns!(), " FROM products
        WHERE (CAST($1 AS TEXT) IS NULL OR product > $1) ORDER BY product LIMIT $2");
    LIST_ALL = concat!("SELECT ", columns!(), " FROM products ORDER BY product");
    GRANTED = "SELECT p.product, p.name, p.audience, p.max_token_lifetime_seconds, p.never_expires_allowed,
            p.created_at, p.updated_at, p.version, p.description
        FROM client_products c JOIN products p ON p.product = c.product WHERE c.client_id = $1 ORDER BY p.product";
    INSERT = concat!("INSERT INTO products (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT DO NOTHING");
    LOCK = concat!("UPDATE products SET version = version WHERE product = $1 RETURNING ", columns!());
    UPDATE = "UPDATE products SET name = $2, audience = $3, max_token_lifetime_seconds = $4,
        never_expires_allowed = $5, updated_at = $6, version = $7, description = $8 WHERE product = $1";
    DELETE = "DELETE FROM products WHERE product = $1";
    COUNT = "SELECT COUNT(*) FROM products";
    COUNT_GRANTS = "SELECT COUNT(*) FROM client_products WHERE product = $1";
}

// A writing transaction of SQLite locks the whole database. On PostgreSQL several transactions can hold these locks.
const SHARE_SEVERAL: EngineSql = EngineSql {
    sqlite: concat!(
        "SELECT ",
        columns!(),
        " FROM products WHERE product IN (SELECT value FROM json_each($1)) ORDER BY product"
    ),
    postgres: concat!(
        "SELECT ",
        columns!(),
        " FROM products WHERE product IN (SELECT jsonb_array_elements_text(CAST($1 AS JSONB))) ORDER BY product
            FOR SHARE"
    ),
};

row! {
    pub(super) struct ProductRow {
        product: String,
        name: String,
        audience: Option<String>,
        max_token_lifetime_seconds: Option<i64>,
        never_expires_allowed: i64,
        created_at: i64,
        updated_at: i64,
        version: i64,
        description: Option<String>,
    }
}

impl From<ProductRow> for Product {
    fn from(row: ProductRow) -> Self {
        Self {
            product: row.product,
            name: row.name,
            audience: row.audience,
            max_token_lifetime_seconds: row.max_token_lifetime_seconds,
            never_expires_allowed: row.never_expires_allowed != 0,
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: row.version,
            description: row.description,
        }
    }
}

impl Storage {
    /// A product by its code.
    pub async fn product(&self, code: &str) -> Result<Option<Product>, StorageError> {
        let row: Option<ProductRow> =
            on_read!(self, pool => sqlx::query_as(FIND).bind(code).fetch_optional(pool).await)?;
        Ok(row.map(Product::from))
    }

    /// A page of products, by code.
    pub async fn products(&self, page: &Page) -> Result<Items<Product>, StorageError> {
        let rows: Vec<ProductRow> = on_read!(self, pool => sqlx::query_as(LIST)
            .bind(page.after.as_deref()).bind(i64::from(page.limit) + 1).fetch_all(pool).await)?;
        let products = rows.into_iter().map(Product::from).collect();
        let mut total = None;
        if page.count {
            total = Some(on_read!(self, pool => sqlx::query_scalar(COUNT).fetch_one(pool).await)?);
        }
        Ok(Items::cut(products, page.limit, |product: &Product| product.product.clone()).counted(total))
    }

    /// Every product, by code.
    pub async fn all_products(&self) -> Result<Vec<Product>, StorageError> {
        let rows: Vec<ProductRow> = on_read!(self, pool => sqlx::query_as(LIST_ALL).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(Product::from).collect())
    }
}

impl Tx {
    /// The products a client is granted, by code.
    pub async fn granted_products(&mut self, client_id: &str) -> Result<Vec<Product>, StorageError> {
        let rows: Vec<ProductRow> =
            on_tx!(self.db, conn => sqlx::query_as(GRANTED).bind(client_id).fetch_all(&mut *conn).await)?;
        Ok(rows.into_iter().map(Product::from).collect())
    }

    /// Adds a product. `false` if the code is taken.
    pub async fn insert_product(&mut self, product: &Product) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(INSERT)
            .bind(&product.product).bind(&product.name).bind(product.audience.as_deref())
            .bind(product.max_token_lifetime_seconds).bind(i64::from(product.never_expires_allowed))
            .bind(product.created_at).bind(product.updated_at).bind(product.version).bind(product.description.as_deref())
            .execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }

    /// A product, locked until the end of the transaction.
    pub async fn lock_product(&mut self, code: &str) -> Result<Option<Product>, StorageError> {
        let row: Option<ProductRow> =
            on_tx!(self.db, conn => sqlx::query_as(LOCK).bind(code).fetch_optional(&mut *conn).await)?;
        Ok(row.map(Product::from))
    }

    /// Those of the products `codes` that exist, by code. They cannot change until the end of the transaction. Several
    /// transactions can hold them in this way at the same time, so that clients with the same products do not delay each
    /// other.
    pub async fn share_products(&mut self, codes: &[&str]) -> Result<Vec<Product>, StorageError> {
        let (sql, codes) = (self.db.choose(SHARE_SEVERAL), json_array(codes));
        let rows: Vec<ProductRow> =
            on_tx!(self.db, conn => sqlx::query_as(sql).bind(&codes).fetch_all(&mut *conn).await)?;
        Ok(rows.into_iter().map(Product::from).collect())
    }

    /// Writes the changeable members of a product.
    pub async fn update_product(&mut self, product: &Product) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(UPDATE)
            .bind(&product.product).bind(&product.name).bind(product.audience.as_deref())
            .bind(product.max_token_lifetime_seconds).bind(i64::from(product.never_expires_allowed))
            .bind(product.updated_at).bind(product.version).bind(product.description.as_deref())
            .execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }

    /// Removes a product. [`StorageError::Conflict`] if a client is granted it, for example since a moment ago.
    pub async fn delete_product(&mut self, code: &str) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(DELETE)
            .bind(code).execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }

    /// How many API clients are granted a product.
    pub async fn count_product_grants(&mut self, code: &str) -> Result<i64, StorageError> {
        Ok(on_tx!(self.db, conn => sqlx::query_scalar(COUNT_GRANTS).bind(code).fetch_one(&mut *conn).await)?)
    }
}
