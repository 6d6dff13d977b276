//! The schema: the same on both engines, with migrations that never change after a release.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use sqlx::{Connection as _, PgConnection, SqliteConnection};

use crate::support::{Engine, TestDatabase};

/// The SHA-256 of each migration: its name, then the file of SQLite and the file of PostgreSQL.
///
/// A migration of a release is never edited: a database remembers the form that it applied, and a program with another form
/// refuses it. Write a new migration and add its line here. (Until the first release, 0001 may change: then replace its hashes
/// by what the failing test prints.)
const APPLIED: &[(&str, &str, &str)] = &[
    (
        "0001_init.sql",
        "ad42665b270fc9337b8728d2d66576877007ecb812c1071ea82b2ed17d7c354f",
        "616748c5cf0ef67baef3c87792c25d774c59e6712d870b3f79edaaeeebee3f77",
    ),
    (
        "0002_status.sql",
        "a5b8fb4175115af967aeed474855aaf9e262b9d027d020718e22a478e0412155",
        "760de34b78b02274c3286d7c0f63085b9810375971ba94cefa3bac359593a9aa",
    ),
    (
        "0003_token_indexes.sql",
        "5a0785a629d40122d1f0cf7a31b4c3f8748fc04ea9119283fdea76864b47ecd0",
        "a32c877b927d840380c761439e195d5eb5253fc576d6fbf2fc36bb5991f21478",
    ),
    (
        "0004_descriptions.sql",
        "67924b3345367168ba2e846ee9a48108c4da01a5e3b7e769c932aa84c680a47e",
        "920e5ada9986726650f0c7edec9d56ad6414e67a6ca8c1febb8290bc0a8acc42",
    ),
    (
        "0005_live_tokens_and_mails.sql",
        "863230f6b1b28af57fb9f423eb2ee3b4e241037205e12b5292f29667fe86347a",
        "9b8ef167d89c2e48451fed3ee4737ef0923a871d7053c273e05077dd2de9d0d0",
    ),
    (
        "0006_heartbeat.sql",
        "66187c183920239399fc4ac391a8c8e6e9c784bdcc3364282f4da8f9099dcaec",
        "fd16fce5ee168c774edeb4a34390100a985c40f375a64e10eab6276913ec32f7",
    ),
    (
        "0007_client_uses.sql",
        "9c39afe44472a6ac40a129b143fa367666b0c7b312740bc7bb4990431f8fce40",
        "bffa20ab25fa3a5b28f8332824fb057fd09ba3e4b4da598cb24a44e68b7f57af",
    ),
    (
        "0009_generation_began.sql",
        "3653591cdb315fc313bb9c0a3758545cc9c334d347f99dab45e9639eb314eebf",
        "165e08d8c6a45cbdd7042a8107814da4c31b4a7f6954fd2d64b1673b83b6415d",
    ),
    (
        "0010_operators.sql",
        "e4c667cc51dcc85aa2e6df6a0e5f88a4a150164daae06a1c700823eaf21e34af",
        "9e3f5dff2a7fe9ce7f966eb2b9b51f29d37abdc5014926cb8878b49820afc642",
    ),
    (
        "0011_usage.sql",
        "9c30a33770efa9c57f64374269d1a5995f6b8b96eb681c5b20d7c25a814f0e52",
        "5beab0ca20c311144dcfa861cbfeccf16b56317527ed3a8b04d7821560138dcf",
    ),
    (
        "0012_reveals.sql",
        "a46d90cd007e777698600822b1b7c1471563392b3940890b48c330bac2776415",
        "2a1c8a57a4ca5d6fa2f7036bc21a31d75ffcfb91c0bee8acd7b9f925b3d64cfd",
    ),
    (
        "0015_bounded_work.sql",
        "1485f312dfa6d5c83218c579fb3653f63c00bd0250257128bf1b18304a90d920",
        "5bfe132e7f50014d2ab3c21b3a1e408f6025f7cf9db2bb19162a4c79c60f6790",
    ),
    (
        "0016_deliveries.sql",
        "0196b4e485adffc05e522e402809b81fda9dbdd04306700709efafdfb51c603b",
        "1a094fed86a7d0d44525ec0951d9ac9539f5f76c1ce45037e04472d540568fb4",
    ),
    (
        "0017_audit_tree.sql",
        "7df786200ebf3b8a0a2b7e869b91c76145cf20940a44363c31d238315d69080a",
        "6baed20f996febe16634ffc42d94ab306ae61f7b47c17cfa5aa25268232274e7",
    ),
    (
        "0018_webhooks.sql",
        "26efc8a5f8fa0518a612cc7aa8f7e87ba537f0a5177983f2514d3753736fcbf2",
        "685a837401fda8c2fe2b5d7cc05e1905b4cff689762b05e6da20ca9ce19bdae9",
    ),
    (
        "0019_reminders.sql",
        "e64c7feeae5fabe60d7991aca6b78a535bc41dac2527b912dcf3f8cf227e134e",
        "3027241b9a940f19a6ea047c26fd4fdf2abd5c72cdc1a317cef0f220e0405615",
    ),
    (
        "0020_usage_once.sql",
        "9d0972ed5a54d7538c4014073f49a2863393aa92eb8d258dfb2c55798e7e87dc",
        "7a5b8e9aa604660b4235449a46dd3ea40c0f298a0e0221950b005067d85cafa0",
    ),
    (
        "0021_lists_in_order.sql",
        "ea6548e4e370614c51087fea81c373fc394c3c8682e3d2626d399b4f25de7861",
        "34af8c586f3685a2b035342d4e57a26ada9859f4f9afdc46472c076f4d4313ca",
    ),
    (
        "0022_held_secrets.sql",
        "be06260d02e9bb4de2396803a6bf775a9fa71935d2ad1fd273bcb6b0264e1cec",
        "be06260d02e9bb4de2396803a6bf775a9fa71935d2ad1fd273bcb6b0264e1cec",
    ),
    (
        "0023_labels_in_order.sql",
        "d2e7b21864bd0204da096e575e2f0c37814a6304b2b3a70f4991523a5911a5fc",
        "5681a9b12c3af076f9a96c6b896c9295973d169c46df2d74cad2a3935e7e66c9",
    ),
    (
        "0024_fewer_token_indexes.sql",
        "5fee20f171da763b3d4ec408e6b182b6237f7bb30f4f6134b16755584e089b1d",
        "5fee20f171da763b3d4ec408e6b182b6237f7bb30f4f6134b16755584e089b1d",
    ),
];

fn migrations(engine: &str) -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(engine);
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|file| {
            let hash = ring::digest::digest(&ring::digest::SHA256, &fs::read(&file).unwrap());
            let hex = hash.as_ref().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
            (file.file_name().unwrap().to_str().unwrap().to_owned(), hex)
        })
        .collect()
}

#[test]
fn applied_migrations_are_unchanged() {
    let pinned = |hash: fn(&(&str, &str, &str)) -> String| -> BTreeMap<String, String> {
        APPLIED.iter().map(|applied| (applied.0.to_owned(), hash(applied))).collect()
    };
    assert_eq!(
        migrations("sqlite"),
        pinned(|applied| applied.1.to_owned()),
        "sqlite: the doc of `APPLIED` says what to do"
    );
    assert_eq!(
        migrations("postgres"),
        pinned(|applied| applied.2.to_owned()),
        "postgres: the doc of `APPLIED` says what to do"
    );
}

#[test]
fn both_engines_have_the_same_migrations() {
    let [sqlite, postgres] = ["sqlite", "postgres"].map(migrations);
    assert!(sqlite.keys().eq(postgres.keys()), "{sqlite:?}\n{postgres:?}");
    assert!(!sqlite.is_empty());
}

/// What `_sqlx_migrations` holds: version, description and the SHA-384 of the file. Databases that earlier versions of Mintmark
/// migrated hold the same values, so a program that computed another hash would refuse them.
type Recorded = Vec<(i64, String, Vec<u8>)>;

fn files_as_recorded(engine: &str) -> Recorded {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(engine);
    let names = migrations(engine).into_keys();
    let recorded = names.map(|name| {
        let (version, description) = name.strip_suffix(".sql").unwrap().split_once('_').unwrap();
        let file = fs::read(folder.join(&name)).unwrap();
        let hash = ring::digest::digest(&ring::digest::SHA384, &file).as_ref().to_vec();
        (version.parse().unwrap(), description.replace('_', " "), hash)
    });
    recorded.collect()
}

#[tokio::test]
async fn every_migration_is_applied_and_recorded_with_the_hash_of_its_file() {
    const RECORDED: &str = "SELECT version, description, checksum FROM _sqlx_migrations ORDER BY version";
    let database = TestDatabase::new(Engine::Sqlite);
    database.open().await.close().await;
    let mut connection = SqliteConnection::connect(database.url()).await.unwrap();
    let recorded: Recorded = sqlx::query_as(RECORDED).fetch_all(&mut connection).await.unwrap();
    assert_eq!(recorded, files_as_recorded("sqlite"));

    let database = TestDatabase::new(Engine::Postgres);
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    let recorded: Recorded = sqlx::query_as(RECORDED).fetch_all(&mut connection).await.unwrap();
    assert_eq!(recorded, files_as_recorded("postgres"));
}

#[tokio::test]
async fn both_engines_have_the_same_schema() {
    let [mut sqlite, postgres] = [sqlite_schema().await, postgres_schema().await];
    // PostgreSQL has a column for the order of the rows. SQLite numbers its rows by itself.
    sqlite.insert("access_tokens column place BIGINT".to_owned());
    let only = |one: &BTreeSet<String>, other: &BTreeSet<String>| {
        one.difference(other).fold(String::new(), |lines, line| format!("{lines}  {line}\n"))
    };
    assert!(
        sqlite == postgres,
        "only on SQLite:\n{}only on PostgreSQL:\n{}",
        only(&sqlite, &postgres),
        only(&postgres, &sqlite)
    );
    for expected in [
        "api_clients column label TEXT NOT NULL",
        "api_clients column expires_at BIGINT",
        "client_secrets column mac BYTES NOT NULL",
        "client_products primary key (client_id, product)",
        "api_clients unique (ordinal)",
        "api_clients index api_clients_workspace (workspace_id, ordinal)",
        "deliveries index deliveries_due (host, next_attempt_at, delivery_id) partial",
        "client_products (client_id) references api_clients (client_id) on delete CASCADE",
        "client_products (product) references products (product) on delete NO ACTION",
    ] {
        assert!(sqlite.contains(expected), "the comparison overlooks `{expected}`");
    }
}

/// One line for each fact: columns, primary keys, other unique columns, indexes, foreign keys. Columns that an index of
/// PostgreSQL only includes (`INCLUDE`) are left out: SQLite has no such thing.
type Schema = BTreeSet<String>;

fn kind(name: &str) -> &'static str {
    match name {
        "INTEGER" | "bigint" => "BIGINT",
        "TEXT" | "text" => "TEXT",
        "BLOB" | "bytea" => "BYTES",
        other => panic!("{other} is not a type that both engines have"),
    }
}

fn column(table: &str, name: &str, type_name: &str, not_null: bool) -> String {
    format!("{table} column {name} {}{}", kind(type_name), if not_null { " NOT NULL" } else { "" })
}

fn reference(table: &str, column: &str, to_table: &str, to_column: &str, on_delete: &str) -> String {
    format!("{table} ({column}) references {to_table} ({to_column}) on delete {on_delete}")
}

fn index(table: &str, origin: &str, name: &str, columns: &str, partial: bool) -> String {
    let name = if origin == "index" { format!(" {name}") } else { String::new() };
    format!("{table} {origin}{name} ({columns}){}", if partial { " partial" } else { "" })
}

async fn sqlite_schema() -> Schema {
    let database = TestDatabase::new(Engine::Sqlite);
    database.open().await.close().await;
    let mut connection = SqliteConnection::connect(database.url()).await.unwrap();
    let mut schema = Schema::new();

    let columns: Vec<(String, String, String, bool)> = sqlx::query_as(
        "SELECT t.name, c.name, c.type, c.\"notnull\" FROM sqlite_schema t, pragma_table_info(t.name) c
         WHERE t.type = 'table' AND t.name <> '_sqlx_migrations'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    schema.extend(columns.iter().map(|(table, name, kind, not_null)| column(table, name, kind, *not_null)));

    // A primary key of one INTEGER column has no index, so primary keys are read from the columns.
    let keys: Vec<(String, String)> = sqlx::query_as(
        "SELECT name, group_concat(column_name, ', ') FROM
            (SELECT t.name AS name, c.name AS column_name FROM sqlite_schema t, pragma_table_info(t.name) c
             WHERE t.type = 'table' AND t.name <> '_sqlx_migrations' AND c.pk > 0 ORDER BY t.name, c.pk)
         GROUP BY name",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    schema.extend(keys.iter().map(|(table, columns)| index(table, "primary key", "", columns, false)));

    let indexes: Vec<(String, String, String, bool, String)> = sqlx::query_as(
        "SELECT name, origin, index_name, partial, group_concat(column_name, ', ') FROM
            (SELECT t.name AS name, CASE WHEN i.\"unique\" THEN 'u' ELSE i.origin END AS origin, i.name AS index_name, i.partial AS partial, c.name AS column_name
             FROM sqlite_schema t, pragma_index_list(t.name) i, pragma_index_info(i.name) c
             WHERE t.type = 'table' AND t.name <> '_sqlx_migrations' AND i.origin <> 'pk'
             ORDER BY i.name, c.seqno)
         GROUP BY name, origin, index_name, partial",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    schema.extend(indexes.iter().map(|(table, origin, name, partial, columns)| {
        index(table, if origin == "u" { "unique" } else { "index" }, name, columns, *partial)
    }));

    let references: Vec<(String, String, String, String, String)> = sqlx::query_as(
        "SELECT t.name, f.\"from\", f.\"table\", f.\"to\", f.on_delete
         FROM sqlite_schema t, pragma_foreign_key_list(t.name) f WHERE t.type = 'table'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    schema.extend(references.iter().map(|(a, b, c, d, e)| reference(a, b, c, d, e)));
    schema
}

async fn postgres_schema() -> Schema {
    let database = TestDatabase::new(Engine::Postgres);
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    let mut schema = Schema::new();

    let columns: Vec<(String, String, String, bool)> = sqlx::query_as(
        "SELECT table_name::text, column_name::text, data_type::text, is_nullable = 'NO'
         FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    schema.extend(columns.iter().map(|(table, name, kind, not_null)| column(table, name, kind, *not_null)));

    let indexes: Vec<(String, String, String, bool, String)> = sqlx::query_as(
        "SELECT t.relname::text,
            CASE WHEN x.indisprimary THEN 'primary key' WHEN x.indisunique THEN 'unique' ELSE 'index' END,
            i.relname::text, x.indpred IS NOT NULL,
            (SELECT string_agg(a.attname, ', ' ORDER BY k.place)
             FROM unnest(x.indkey) WITH ORDINALITY AS k (number, place)
             JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number WHERE k.place <= x.indnkeyatts)
         FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
         WHERE t.relnamespace = 'public'::regnamespace AND t.relname <> '_sqlx_migrations'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    schema.extend(
        indexes
            .iter()
            .map(|(table, origin, name, partial, columns)| index(table, origin, name, columns, *partial)),
    );

    let references: Vec<(String, String, String, String, String)> = sqlx::query_as(
        "SELECT k.table_name::text, k.column_name::text, u.table_name::text, u.column_name::text, r.delete_rule::text
         FROM information_schema.referential_constraints r
         JOIN information_schema.key_column_usage k ON k.constraint_name = r.constraint_name
         JOIN information_schema.constraint_column_usage u ON u.constraint_name = r.constraint_name",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    schema.extend(references.iter().map(|(a, b, c, d, e)| reference(a, b, c, d, e)));
    schema
}
