//! Lists of API clients: each filter alone and all together, each order from page to page, counts, the indexes that are read,
//! and how many statements a page takes. Also the last uses and the names that lists show.

use std::collections::BTreeMap;

use mintmark::model::client::{ApiClient, ClientName, ClientRecord};
use mintmark::model::page::{Items, Page};
use mintmark::model::reach::Reach;
use mintmark::model::secret::ClientSecret;
use mintmark::storage::{ClientFilter, ClientOrder, ClientSort, Storage};

use crate::storage::samples::{NOW, change, client, page, secret, stocked};
use crate::support::{Engine, Statements, on_both_engines};

on_both_engines!(
    each_filter_narrows_the_list,
    every_order_is_stable_from_page_to_page,
    the_total_counts_all_pages_and_is_read_only_on_request,
    a_filter_finds_the_same_clients_whether_few_or_many_pass_it,
    pages_by_label_end_and_last_use_are_read_from_an_index_without_sorting,
    uses_of_earlier_versions_are_taken_over,
    clients_are_found_by_id_within_reach,
    the_last_use_outlives_the_secret,
    the_names_of_clients_are_found_within_reach,
);

const ALL: fn() -> ClientFilter = ClientFilter::default;

fn ids(items: &Items<ClientRecord>) -> String {
    items.items.iter().map(|record| record.client.client_id.as_str()).collect::<Vec<_>>().join(" ")
}

async fn listed(storage: &Storage, filter: &ClientFilter) -> String {
    let sort = ClientSort { by: ClientOrder::CreatedAt, descending: false };
    let items = storage.clients(&Reach::Platform, None, filter, sort, &page(50, None), NOW).await.unwrap();
    ids(&items)
}

async fn insert(storage: &Storage, number: usize, client: &ApiClient) {
    change!(storage, tx => tx.insert_client(client, &format!("000{number}")));
}

async fn each_filter_narrows_the_list(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let pairs = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>()
    };
    let plain = ApiClient { metadata: BTreeMap::new(), ..client("cl_1") };
    assert!(change!(storage, tx => tx.update_client(&plain)));
    let odd = "k.\"e\\y' %";
    let sap = ApiClient {
        label: "SAP".to_owned(),
        metadata: pairs(&[("erp", "sap"), ("env", "prod"), (odd, "ä\"'\\")]),
        ..client("cl_2")
    };
    insert(&storage, 2, &sap).await;
    let tally = ApiClient {
        products: vec!["gst".to_owned()],
        metadata: pairs(&[("erp", "tally"), ("env", "prod")]),
        disabled_at: Some(NOW),
        ..client("cl_3")
    };
    insert(&storage, 3, &tally).await;
    for (id, of, expires_at) in
        [("s2", "cl_2", Some(NOW + 10)), ("s3", "cl_3", Some(NOW)), ("s4", "cl_3", None)]
    {
        change!(storage, tx => tx.insert_secret(&ClientSecret { expires_at, ..secret(id, of) }));
    }
    storage.touch_secrets(&[("s1".to_owned(), NOW - 5), ("s2".to_owned(), NOW - 9)]).await.unwrap();

    let with = |pairs: BTreeMap<String, String>| ClientFilter { metadata: pairs, ..ALL() };
    let ending = |at| ClientFilter { secret_expires_before: Some(at), ..ALL() };
    let unused = |at| ClientFilter { unused_since: Some(at), ..ALL() };
    let status = |status: &str| ClientFilter { status: Some(status.to_owned()), ..ALL() };
    for (filter, found) in [
        (ALL(), "cl_1 cl_2 cl_3"),
        (ClientFilter { label: Some("s/4".to_owned()), ..ALL() }, "cl_1 cl_3"),
        (ClientFilter { product: Some("e-invoicing".to_owned()), ..ALL() }, "cl_1 cl_2"),
        (status("active"), "cl_1 cl_2"),
        (status("disabled"), "cl_3"),
        (status("other"), ""),
        (with(pairs(&[("env", "prod")])), "cl_2 cl_3"),
        (with(pairs(&[("env", "prod"), ("erp", "sap")])), "cl_2"),
        (with(pairs(&[("env", "PROD")])), ""),
        (with(pairs(&[("env", "pro")])), ""),
        (with(pairs(&[("none", "prod")])), ""),
        (with(pairs(&[(odd, "ä\"'\\")])), "cl_2"),
        (with(pairs(&[("en%", "prod")])), ""),
        (with(pairs(&[("a\0", "b")])), ""),
        (ending(NOW + 10), ""),
        (ending(NOW + 11), "cl_2"),
        (ending(i64::MAX), "cl_2"),
        (unused(NOW - 4), "cl_1 cl_2 cl_3"),
        (unused(NOW - 5), "cl_2 cl_3"),
        (unused(NOW - 9), "cl_3"),
        (
            ClientFilter {
                label: Some("sap".to_owned()),
                product: Some("gst".to_owned()),
                status: Some("active".to_owned()),
                metadata: pairs(&[("erp", "sap")]),
                secret_expires_before: Some(NOW + 11),
                unused_since: Some(NOW),
            },
            "cl_2",
        ),
    ] {
        assert_eq!(listed(&storage, &filter).await, found, "{filter:?}");
        let mut tx = storage.begin().await.unwrap();
        let by_id = tx.client_ids_found(&Reach::Platform, &filter, None, 50, NOW).await.unwrap();
        assert_eq!(by_id.join(" "), found, "{filter:?}");
        tx.rollback().await.unwrap();
    }
}

/// Every page of a list, with `limit` clients each.
async fn pages(storage: &Storage, sort: ClientSort, limit: u32) -> Vec<String> {
    let mut pages = Vec::new();
    let mut after = None;
    for _ in 0..20 {
        let page = page(limit, after.as_deref());
        let items = storage.clients(&Reach::Platform, None, &ALL(), sort, &page, NOW).await.unwrap();
        pages.push(ids(&items));
        after = items.next_after;
        if after.is_none() {
            return pages;
        }
    }
    panic!("no last page after {pages:?}")
}

async fn every_order_is_stable_from_page_to_page(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    // `cl_1` was created first. It has the label "SAP S/4HANA ✓" and expires at NOW + 1,000,000.
    for (number, label, expires_at) in [
        (2, "b", None),
        (3, "a:B", Some(NOW + 9)),
        (4, "A:b", Some(NOW + 9)),
        (5, "Ä", None),
        (6, "B", Some(NOW + 8)),
    ] {
        let id = format!("cl_{number}");
        insert(&storage, number, &ApiClient { label: label.to_owned(), expires_at, ..client(&id) }).await;
        change!(storage, tx => tx.insert_secret(&secret(&format!("s{number}"), &id)));
    }
    let used = [("s2", NOW - 1), ("s4", NOW - 7), ("s5", NOW - 1)].map(|(id, at)| (id.to_owned(), at));
    storage.touch_secrets(&used).await.unwrap();
    for (by, ascending) in [
        (ClientOrder::CreatedAt, ["cl_1", "cl_2", "cl_3", "cl_4", "cl_5", "cl_6"]),
        (ClientOrder::Label, ["cl_3", "cl_4", "cl_2", "cl_6", "cl_1", "cl_5"]),
        (ClientOrder::LastUsedAt, ["cl_1", "cl_3", "cl_6", "cl_4", "cl_2", "cl_5"]),
        (ClientOrder::ExpiresAt, ["cl_6", "cl_3", "cl_4", "cl_1", "cl_2", "cl_5"]),
    ] {
        let descending: Vec<&str> = ascending.iter().rev().copied().collect();
        for limit in [1, 2, 3, 4, 6, 50] {
            for (expected, is_descending) in [(ascending.to_vec(), false), (descending.clone(), true)] {
                let sort = ClientSort { by, descending: is_descending };
                let expected: Vec<String> =
                    expected.chunks(limit as usize).map(|page| page.join(" ")).collect();
                assert_eq!(pages(&storage, sort, limit).await, expected, "{sort:?}, {limit} a page");
            }
        }
    }
}

/// The ids that the pages of a workspace, or of all workspaces, must show. This filters and sorts `clients` in memory:
/// each client, and when it was last used (-1 if never).
fn expected(
    clients: &[(ApiClient, i64)],
    workspace: Option<&str>,
    filter: &ClientFilter,
    sort: ClientSort,
) -> Vec<String> {
    let passes = |(client, _): &&(ApiClient, i64)| {
        workspace.is_none_or(|workspace| client.workspace_id == workspace)
            && filter.label.as_deref().is_none_or(|label| client.label.to_ascii_lowercase().contains(label))
            && filter.product.as_ref().is_none_or(|product| client.products.contains(product))
            && filter
                .status
                .as_deref()
                .is_none_or(|status| (status == "disabled") == client.disabled_at.is_some())
    };
    let mut found: Vec<_> = clients.iter().filter(passes).enumerate().collect();
    found.sort_by_key(|(number, (client, used_at))| {
        let by_number = match sort.by {
            ClientOrder::LastUsedAt => *used_at,
            ClientOrder::ExpiresAt => client.expires_at.unwrap_or(i64::MAX),
            ClientOrder::CreatedAt | ClientOrder::Label => 0,
        };
        let label =
            if sort.by == ClientOrder::Label { client.label.to_ascii_lowercase() } else { String::new() };
        (by_number, label, *number)
    });
    if sort.descending {
        found.reverse();
    }
    found.into_iter().map(|(_, (client, _))| client.client_id.clone()).collect()
}

async fn a_filter_finds_the_same_clients_whether_few_or_many_pass_it(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let mut clients = vec![(client("cl_1"), -1)];
    let mut tx = storage.begin().await.unwrap();
    // If at most 1,000 clients pass a filter, the storage finds all of them and then sorts them. Otherwise it reads all clients
    // in the order of the list. More than 1,000 clients pass each of the filters `plant`, `gst` and `active`. Fewer pass each
    // of `rare`, `e-invoicing` and `disabled`.
    for number in 0..1_300_i64 {
        let few = number % 13 == 0;
        let made = ApiClient {
            workspace_id: "other".to_owned(),
            label: format!("Plant {}{}", number * 7_919 % 400, if few { " Rare" } else { "" }),
            products: if few {
                vec!["gst".to_owned(), "e-invoicing".to_owned()]
            } else {
                vec!["gst".to_owned()]
            },
            expires_at: (number % 3 == 0).then_some(NOW + number * 31 % 50),
            disabled_at: (number % 11 == 0).then_some(NOW),
            ..client(&format!("cl_many{number:05}"))
        };
        tx.insert_client(&made, &format!("1{number:05}")).await.unwrap();
        let used_at = if number % 4 == 0 { -1 } else { NOW - number * 17 % 90 };
        if used_at > 0 {
            tx.touch_client(&made.client_id, used_at).await.unwrap();
        }
        clients.push((made, used_at));
    }
    tx.commit().await.unwrap();
    let of = |label: Option<&str>, product: Option<&str>, status: Option<&str>| ClientFilter {
        label: label.map(str::to_owned),
        product: product.map(str::to_owned),
        status: status.map(str::to_owned),
        ..ALL()
    };
    for filter in [
        ALL(),
        of(Some("plant"), None, None),
        of(Some("rare"), None, None),
        of(Some("none such"), None, None),
        of(None, Some("gst"), None),
        of(None, Some("e-invoicing"), None),
        of(None, None, Some("disabled")),
        of(None, None, Some("active")),
        of(Some("rare"), Some("gst"), Some("disabled")),
        of(Some("plant"), Some("e-invoicing"), Some("active")),
    ] {
        for by in
            [ClientOrder::CreatedAt, ClientOrder::Label, ClientOrder::LastUsedAt, ClientOrder::ExpiresAt]
        {
            for (workspace, descending, count) in [
                (Some("other"), false, true),
                (Some("other"), true, false),
                (None, false, false),
                (None, true, true),
            ] {
                let sort = ClientSort { by, descending };
                let expected = expected(&clients, workspace, &filter, sort);
                let (mut after, mut seen) = (None, 0);
                // A difference between the two ways of searching would show on the first pages.
                for expected_page in expected.chunks(70).take(3) {
                    let page = Page { count, ..page(70, after.as_deref()) };
                    let found = storage
                        .clients(&Reach::Platform, workspace, &filter, sort, &page, NOW)
                        .await
                        .unwrap();
                    let what = format!("{workspace:?} {filter:?} {sort:?}");
                    assert_eq!(ids(&found), expected_page.join(" "), "{what}");
                    let total = u64::try_from(expected.len()).ok().filter(|_| count);
                    assert_eq!(found.total, total, "{what}");
                    seen += expected_page.len();
                    after = found.next_after;
                    assert_eq!(after.is_some(), seen < expected.len(), "{what}");
                }
                if expected.is_empty() {
                    let found = storage
                        .clients(&Reach::Platform, workspace, &filter, sort, &page(70, None), NOW)
                        .await
                        .unwrap();
                    assert_eq!(ids(&found), "");
                }
            }
        }
    }
}

async fn pages_by_label_end_and_last_use_are_read_from_an_index_without_sorting(engine: Engine) {
    let (database, storage) = stocked(engine).await;
    let mut tx = storage.begin().await.unwrap();
    for number in 0..2_000 {
        let workspace_id = if number % 10 == 0 { "acme" } else { "other" }.to_owned();
        let label = format!("Plant {number}");
        let made = ApiClient { workspace_id, label, ..client(&format!("cl_many{number:05}")) };
        tx.insert_client(&made, &format!("1{number:05}")).await.unwrap();
    }
    tx.commit().await.unwrap();
    // `VACUUM` marks all rows as visible to everyone. Without that, PostgreSQL cannot answer from an index alone.
    database.execute(if engine == Engine::Postgres { "VACUUM ANALYZE" } else { "ANALYZE" }).await;
    let label = ClientFilter { label: Some("plant 9".to_owned()), ..ALL() };
    for (workspace, filter, by, index) in [
        (Some("acme"), ALL(), ClientOrder::Label, "api_clients_by_label"),
        (Some("acme"), label.clone(), ClientOrder::Label, "api_clients_by_label"),
        (Some("acme"), ALL(), ClientOrder::ExpiresAt, "api_clients_by_end"),
        (Some("acme"), ALL(), ClientOrder::LastUsedAt, "client_uses_order"),
        (None, ALL(), ClientOrder::Label, "api_clients_all_by_label"),
        (None, label.clone(), ClientOrder::Label, "api_clients_all_by_label"),
        (None, ALL(), ClientOrder::ExpiresAt, "api_clients_all_by_end"),
        (None, ALL(), ClientOrder::LastUsedAt, "client_uses_order"),
    ] {
        // The last of these pages begins after the client with the ordinal 100500, whose key in the order of the list is 9.
        for (descending, after) in [(false, None), (true, None), (false, Some("100500:9"))] {
            let sort = ClientSort { by, descending };
            let plan = storage.plan_of_clients(workspace, &filter, sort, &page(50, after)).await.unwrap();
            let plan = plan.join("\n");
            let what = format!("{workspace:?} {filter:?} {sort:?} {after:?}:\n{plan}");
            assert!(plan.contains(index), "{what}");
            assert!(
                !plan.contains("TEMP B-TREE") && !plan.contains("Sort"),
                "the engine sorts the rows: {what}"
            );
            // PostgreSQL skips labels that do not pass the filter without reading their clients.
            let alone = format!("Index Only Scan {}using {index}", if descending { "Backward " } else { "" });
            let searched = engine == Engine::Postgres && filter.label.is_some();
            assert!(!searched || plan.contains(&alone), "{what}");
        }
    }
}

async fn uses_of_earlier_versions_are_taken_over(engine: Engine) {
    let (database, storage) = stocked(engine).await;
    insert(&storage, 2, &client("cl_2")).await;
    change!(storage, tx => tx.touch_client("cl_1", NOW - 3));
    let mut session = database.session().await;
    // The table as earlier versions left it: without workspace and ordinal, and without clients that were never used.
    for statement in [
        "DROP INDEX client_uses_order",
        "DROP INDEX api_clients_by_label",
        "DROP INDEX api_clients_by_end",
        "DROP INDEX api_clients_disabled",
        "ALTER TABLE client_uses DROP COLUMN workspace_id",
        "ALTER TABLE client_uses DROP COLUMN ordinal",
        "DELETE FROM client_uses WHERE last_used_at < 0",
    ] {
        session.execute(statement).await;
    }
    let migration = match engine {
        Engine::Sqlite => include_str!("../../../../migrations/sqlite/0021_lists_in_order.sql"),
        Engine::Postgres => include_str!("../../../../migrations/postgres/0021_lists_in_order.sql"),
    };
    for statement in migration.split_inclusive(';').filter(|statement| statement.contains(';')) {
        session.execute(statement).await;
    }
    let sort = ClientSort { by: ClientOrder::LastUsedAt, descending: true };
    let found = storage.clients(&Reach::Platform, None, &ALL(), sort, &page(9, None), NOW).await.unwrap();
    let uses: Vec<_> = found.items.iter().map(|record| record.last_used_at).collect();
    assert_eq!((ids(&found).as_str(), uses), ("cl_1 cl_2", vec![Some(NOW - 3), None]));
    let same = "SELECT COUNT(*) FROM client_uses u JOIN api_clients c
        ON c.client_id = u.client_id AND c.workspace_id = u.workspace_id AND c.ordinal = u.ordinal";
    assert_eq!(session.number(same).await, 2);
}

async fn the_total_counts_all_pages_and_is_read_only_on_request(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    for number in 2..6 {
        insert(&storage, number, &client(&format!("cl_{number}"))).await;
    }
    let elsewhere = ApiClient { workspace_id: "other".to_owned(), ..client("cl_6") };
    insert(&storage, 6, &elsewhere).await;
    let disabled = ClientFilter { status: Some("disabled".to_owned()), ..ALL() };
    let nul = ClientFilter { label: Some("\0".to_owned()), ..ALL() };
    let [acme, none] = ["acme", "none"].map(|id| Reach::Workspace(id.to_owned()));
    for (reach, workspace, filter, total) in [
        (&Reach::Platform, None, ALL(), 6),
        (&Reach::Platform, Some("other"), ALL(), 1),
        (&acme, None, ALL(), 5),
        (&acme, Some("other"), ALL(), 0),
        (&none, None, ALL(), 0),
        (&Reach::Platform, None, disabled, 0),
        (&Reach::Platform, None, nul, 0),
    ] {
        let mut after = None;
        loop {
            let page = Page { after, count: true, ..Page::first(2) };
            let sort = ClientSort::default();
            let items = storage.clients(reach, workspace, &filter, sort, &page, NOW).await.unwrap();
            assert_eq!(items.total, Some(total), "{reach:?} {workspace:?} {filter:?}");
            after = items.next_after;
            if after.is_none() {
                break;
            }
        }
        let (sort, page) = (ClientSort::default(), page(2, None));
        let uncounted = storage.clients(reach, workspace, &filter, sort, &page, NOW).await.unwrap();
        assert_eq!(uncounted.total, None);
    }
}

async fn clients_are_found_by_id_within_reach(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    insert(&storage, 2, &ApiClient { workspace_id: "other".to_owned(), ..client("cl_2") }).await;
    insert(&storage, 3, &client("cl_0")).await;
    let acme = Reach::Workspace("acme".to_owned());
    let mut tx = storage.begin().await.unwrap();
    for (reach, among, limit, found) in [
        (&Reach::Platform, None, 50, "cl_0 cl_1 cl_2"),
        (&Reach::Platform, None, 2, "cl_0 cl_1"),
        (&acme, None, 50, "cl_0 cl_1"),
        (&Reach::Platform, Some(&["cl_2", "cl_1", "cl_9"][..]), 50, "cl_1 cl_2"),
        (&acme, Some(&["cl_2", "cl_1"]), 50, "cl_1"),
        (&acme, Some(&[]), 50, ""),
    ] {
        let ids = tx.client_ids_found(reach, &ALL(), among, limit, NOW).await.unwrap();
        assert_eq!(ids.join(" "), found, "{reach:?} {among:?}");
    }
    let named = ["cl_2", "cl_9", "cl_1"];
    let home = |id: &str, workspace: &str| (id.to_owned(), workspace.to_owned());
    let homes = tx.workspaces_of_clients(&Reach::Platform, &named).await.unwrap();
    assert_eq!(homes, BTreeMap::from([home("cl_1", "acme"), home("cl_2", "other")]));
    let homes = tx.workspaces_of_clients(&acme, &named).await.unwrap();
    assert_eq!(homes, BTreeMap::from([home("cl_1", "acme")]));
    tx.rollback().await.unwrap();
}

async fn the_last_use_outlives_the_secret(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let used = async || {
        let record = storage.client(&Reach::Platform, "cl_1", NOW).await.unwrap().unwrap();
        let sort = ClientSort::default();
        let items = storage.clients(&Reach::Platform, None, &ALL(), sort, &page(9, None), NOW).await.unwrap();
        let last_used_at = record.last_used_at;
        assert_eq!(items.items, [record]);
        last_used_at
    };
    assert_eq!(used().await, None);
    change!(storage, tx => tx.touch_client("cl_1", NOW + 3));
    assert_eq!(used().await, Some(NOW + 3));
    storage.touch_secrets(&[("s1".to_owned(), NOW + 5), ("gone".to_owned(), NOW + 6)]).await.unwrap();
    change!(storage, tx => tx.touch_client("cl_1", NOW + 4));
    assert!(change!(storage, tx => tx.delete_secret("cl_1", "s1")));
    assert_eq!(used().await, Some(NOW + 5));
    let found = change!(storage, tx => tx.last_uses(&["cl_1", "cl_9"]));
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [("cl_1".to_owned(), NOW + 5)]);
    assert!(change!(storage, tx => tx.delete_client("cl_1")));
    assert!(change!(storage, tx => tx.last_uses(&["cl_1"])).is_empty());
}

/// Tested on PostgreSQL, whose driver reports each statement in the thread of the caller; the statements of SQLite are the
/// same.
#[tokio::test]
async fn a_page_takes_the_same_statements_however_many_clients_it_has() {
    let (_database, storage) = stocked(Engine::Postgres).await;
    let list = async || {
        let sort = ClientSort::default();
        storage.clients(&Reach::Platform, None, &ALL(), sort, &page(200, None), NOW).await.unwrap().items
    };
    let (found, of_one) = Statements::during(list()).await;
    assert_eq!(found.len(), 1);
    for number in 2..40 {
        let id = format!("cl_{number}");
        change!(storage, tx => tx.insert_client(&client(&id), &format!("00{number:02}")));
        change!(storage, tx => tx.insert_secret(&secret(&format!("s{number}"), &id)));
    }
    let (found, of_many) = Statements::during(list()).await;
    assert_eq!(found.len(), 39);
    assert!(found.iter().all(|record| record.secrets.len() == 1 && record.client.products.len() == 2));
    assert!(of_one.iter().any(|sql| sql.contains("FROM client_secrets")), "{of_one:?}");
    assert_eq!(of_many, of_one);
}

#[tokio::test]
async fn products_are_locked_granted_and_removed_by_one_statement_each() {
    let (_database, storage) = stocked(Engine::Postgres).await;
    let codes: Vec<String> = (0..30).map(|number| format!("p{number:02}")).collect();
    for code in &codes {
        change!(storage, tx => tx.insert_product(&crate::storage::samples::product(code)));
    }
    let mut tx = storage.begin().await.unwrap();
    let ((), statements) = Statements::during(async {
        let all: Vec<&str> = codes.iter().map(String::as_str).chain(["none"]).collect();
        let locked = tx.share_products(&all).await.unwrap();
        assert!(locked.iter().map(|product| &product.product).eq(&codes));
        tx.grant_products("cl_1", &codes).await.unwrap();
        tx.ungrant_products("cl_1", &codes).await.unwrap();
    })
    .await;
    assert_eq!(statements.len(), 3, "{statements:?}");
    tx.rollback().await.unwrap();
}

async fn the_names_of_clients_are_found_within_reach(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    insert(&storage, 2, &ApiClient { workspace_id: "other".to_owned(), ..client("cl_2") }).await;
    let wanted = ["cl_1", "cl_2", "cl_none"];
    let all = storage.client_names(&Reach::Platform, &wanted).await.unwrap();
    assert_eq!(all.keys().map(String::as_str).collect::<Vec<_>>(), ["cl_1", "cl_2"]);
    let acme = storage.client_names(&Reach::Workspace("acme".to_owned()), &wanted).await.unwrap();
    let expected = ClientName {
        label: "SAP S/4HANA ✓".to_owned(),
        workspace_id: "acme".to_owned(),
        workspace_name: "Workspace acme ✓".to_owned(),
        contacts: vec!["a@example.com".to_owned(), "\"b c\"@example.com".to_owned()],
        last_used_at: None,
    };
    assert_eq!(acme, BTreeMap::from([("cl_1".to_owned(), expected)]));
    assert_eq!(storage.client_names(&Reach::Platform, &[]).await.unwrap(), BTreeMap::new());
}
