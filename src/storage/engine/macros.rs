//! Macros that write a body once and expand it for each engine, so that each call is static dispatch on the driver of
//! that engine; the list of all statements; and structs that are read from rows.

/// Runs one body, a `Result<_, sqlx::Error>`, on a pool for reading.
macro_rules! on_read {
    ($storage:expr, $pool:ident => $body:expr) => {
        match &$storage.db {
            crate::storage::engine::Db::Sqlite { read: $pool, .. } => $body,
            crate::storage::engine::Db::Postgres($pool) => {
                crate::storage::engine::within_limit(async { $body }).await
            }
        }
    };
}

/// Runs one body, a `Result<_, sqlx::Error>`, on a pool for writing: for a single statement outside a transaction.
macro_rules! on_write {
    ($storage:expr, $pool:ident => $body:expr) => {
        $storage.writes.note_failure(match &$storage.db {
            crate::storage::engine::Db::Sqlite { write: $pool, .. } => $body,
            crate::storage::engine::Db::Postgres($pool) => {
                crate::storage::engine::within_limit(async { $body }).await
            }
        })
    };
}

/// Runs one body, a `Result<_, sqlx::Error>`, within a transaction. `$conn` is used as `&mut *$conn`.
macro_rules! on_tx {
    ($tx:expr, $conn:ident => $body:expr) => {
        match &mut $tx {
            crate::storage::engine::DbTx::Sqlite(transaction) => {
                let $conn: &mut sqlx::SqliteConnection = &mut *transaction;
                $body
            }
            crate::storage::engine::DbTx::Postgres(transaction) => {
                let $conn: &mut sqlx::PgConnection = &mut *transaction;
                crate::storage::engine::within_limit(async { $body }).await
            }
        }
    };
}

/// Makes SQL constants and the list of all of them, which a test prepares on both engines.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)*) => {
        $($(#[$doc])* const $name: &str = $sql;)*
        /// The statements of this file that both engines run as they are.
        pub(super) const STATEMENTS: crate::storage::engine::Statements = &[$((stringify!($name), $name)),*];
    };
}

/// A statement over the rows in `$1`, an array of arrays; each engine has its own function to expand it. With `of`, a table
/// and its key, the statement leaves out rows whose first column is no key in that table. `$order` is the order of the rows on
/// PostgreSQL.
macro_rules! over_rows {
    ($before:literal, of $table:literal, $order:literal, $after:literal) => {
        crate::storage::engine::EngineSql {
            sqlite: concat!(
                $before,
                " jsonb_each($1) AS given CROSS JOIN ",
                $table,
                " = given.value ->> 0 WHERE 1 = 1 ",
                $after
            ),
            postgres: concat!(
                $before,
                " jsonb_array_elements(CAST($1 AS JSONB)) AS given (value) JOIN ",
                $table,
                " = given.value ->> 0 ORDER BY ",
                $order,
                " ",
                $after
            ),
        }
    };
    ($before:literal, $after:literal) => {
        crate::storage::engine::EngineSql {
            sqlite: concat!($before, " jsonb_each($1) AS given ", $after),
            postgres: concat!($before, " jsonb_array_elements(CAST($1 AS JSONB)) AS given (value) ", $after),
        }
    };
}

/// Makes a struct that is read from a row by the names of its columns, on either engine.
macro_rules! row {
    (
        $(#[$about:meta])*
        $visibility:vis struct $name:ident {
            $($(#[$about_column:meta])* $column_visibility:vis $column:ident: $type:ty,)*
        }
    ) => {
        $(#[$about])*
        $visibility struct $name {
            $($(#[$about_column])* $column_visibility $column: $type,)*
        }

        impl<'r, R: sqlx::Row> sqlx::FromRow<'r, R> for $name
        where
            &'static str: sqlx::ColumnIndex<R>,
            $($type: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,)*
        {
            fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
                Ok(Self { $($column: row.try_get(stringify!($column))?,)* })
            }
        }
    };
}

pub(in crate::storage) use {on_read, on_tx, on_write, over_rows, row, statements};
