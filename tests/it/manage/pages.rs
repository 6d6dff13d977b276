//! Lists in pages: limits, cursors and what they are bound to, and queries that are refused.

use serde_json::{Value, json};

use super::{Reply, ok, problem};
use crate::support::{Administrator, Engine, TestApp, on_both_engines};

on_both_engines!(
    pages_give_everything_once_in_order,
    a_limit_is_a_number_from_1_to_200,
    unknown_and_repeated_parameters_are_refused,
    a_cursor_is_valid_only_for_its_list,
    a_list_that_changes_neither_repeats_nor_skips_items,
);

async fn page(admin: &Administrator<'_>, path: &str) -> (Vec<String>, Option<String>) {
    let body = ok(&Reply::of(admin.get(path).await).await, 200);
    let items = body["items"].as_array().unwrap().iter();
    let ids = items
        .map(|item| item["product"].as_str().or(item["workspace_id"].as_str()).unwrap().to_owned())
        .collect();
    assert!(body["next_cursor"].is_null() || body["next_cursor"].is_string(), "{body}");
    assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
    (ids, body["next_cursor"].as_str().map(str::to_owned))
}

async fn all(admin: &Administrator<'_>, path: &str, limit: usize) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut next = format!("{path}?limit={limit}");
    for _ in 0..100 {
        let (items, cursor) = page(admin, &next).await;
        pages.push(items);
        match cursor {
            Some(cursor) => next = format!("{path}?limit={limit}&cursor={cursor}"),
            None => return pages,
        }
    }
    panic!("no last page after {pages:?}")
}

async fn some_products(admin: &Administrator<'_>, count: usize) -> Vec<String> {
    let mut codes: Vec<String> = (0..count).map(|n| format!("p{n}")).collect();
    codes.extend(["e-invoicing", "e.invoicing", "e_invoicing", "e:invoicing", "0", "z"].map(str::to_owned));
    for code in &codes {
        admin.product(code, json!({})).await;
    }
    codes.sort_unstable();
    codes
}

async fn pages_give_everything_once_in_order(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    assert_eq!(page(&admin, "/v1/products").await, (vec![], None));
    let codes = some_products(&admin, 6).await;
    assert_eq!(page(&admin, "/v1/products").await, (codes.clone(), None));
    for limit in [1, 4, 5, 11, 12, 13, 200] {
        let pages = all(&admin, "/v1/products", limit).await;
        assert_eq!(pages.concat(), codes, "limit {limit}");
        assert_eq!(pages.len(), codes.len().div_ceil(limit), "no empty last page at limit {limit}");
    }
    for id in ["b", "a", "C", "_", "-", "1"] {
        admin.workspace(id, json!({})).await;
    }
    let expected = ["-", "1", "C", "_", "a", "b", "platform"].map(str::to_owned);
    assert_eq!(all(&admin, "/v1/workspaces", 3).await.concat(), expected);
    app.stop().await;
}

async fn a_limit_is_a_number_from_1_to_200(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    for n in 0..51 {
        admin.product(&format!("p{n:02}"), json!({})).await;
    }
    for list in ["/v1/products", "/v1/workspaces", "/v1/audit-events"] {
        for bad in [
            "0",
            "201",
            "-1",
            "%2B1",
            "1.0",
            "1e2",
            "",
            "x",
            "99999999999999999999",
            "%31%00",
            "1,2",
            " 1",
            "0x10",
        ] {
            let reply = Reply::of(admin.get(&format!("{list}?limit={bad}")).await).await;
            problem(&reply, 400, "invalid-parameter");
        }
        for good in ["1", "200", "50", "007"] {
            ok(&Reply::of(admin.get(&format!("{list}?limit={good}")).await).await, 200);
        }
    }
    // The default is 50.
    assert_eq!(page(&admin, "/v1/products").await.0.len(), 50);
    assert_eq!(page(&admin, "/v1/products?limit=51").await.0.len(), 51);
    app.stop().await;
}

async fn unknown_and_repeated_parameters_are_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    for bad in [
        "limits=1",
        "limit=1&limit=1",
        "limit=1&limit=2",
        "cursor=&cursor=",
        "LIMIT=1",
        "offset=0",
        "limit[]=1",
        "a",
        "=",
        "%00=1",
        "a=%ff",
        "a=%0a",
        "workspace_id=acme",
    ] {
        problem(&Reply::of(admin.get(&format!("/v1/products?{bad}")).await).await, 400, "invalid-parameter");
        problem(
            &Reply::of(admin.get(&format!("/v1/workspaces?{bad}")).await).await,
            400,
            "invalid-parameter",
        );
    }
    ok(&Reply::of(admin.get("/v1/products?").await).await, 200);
    app.stop().await;
}

async fn a_cursor_is_valid_only_for_its_list(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    some_products(&admin, 1).await;
    let (_, cursor) = page(&admin, "/v1/products?limit=2").await;
    let cursor = cursor.unwrap();
    // Another page size does not change the list.
    assert_eq!(page(&admin, &format!("/v1/products?limit=1&cursor={cursor}")).await.0.len(), 1);

    // A cursor is the base64url of a MAC (32 bytes) and the last code of the page, here `e-invoicing`: 58 characters. Some bits
    // of character 42 belong to the MAC, the others to the code.
    let mut bad = vec![
        String::new(),
        "x".into(),
        "e-invoicing".into(),
        cursor[1..].into(),
        cursor[..cursor.len() - 1].into(),
    ];
    bad.extend([
        format!("{cursor}A"),
        format!("{cursor}%3D"),
        cursor.to_uppercase(),
        "A".repeat(58),
        "A".repeat(5000),
    ]);
    bad.extend(["' OR 1=1 --", "../..", "%F0%9F%92%A9", "null"].map(|text| text.replace(' ', "%20")));
    for position in [0, 10, 42, cursor.len() - 1] {
        let mut tampered = cursor.clone().into_bytes();
        tampered[position] = if tampered[position] == b'B' { b'C' } else { b'B' };
        bad.push(String::from_utf8(tampered).unwrap());
    }
    for bad in bad {
        problem(
            &Reply::of(admin.get(&format!("/v1/products?cursor={bad}")).await).await,
            400,
            "invalid-parameter",
        );
    }
    // A cursor is refused for another list, for other filters and for another caller. Another token of the same caller may use
    // it.
    problem(
        &Reply::of(admin.get(&format!("/v1/workspaces?cursor={cursor}")).await).await,
        400,
        "invalid-parameter",
    );
    let events = ok(&Reply::of(admin.get("/v1/audit-events?limit=1").await).await, 200);
    let of_events = events["next_cursor"].as_str().unwrap().to_owned();
    for query in ["action=product.created&", "workspace_id=platform&"] {
        let reply = Reply::of(admin.get(&format!("/v1/audit-events?{query}cursor={of_events}")).await).await;
        problem(&reply, 400, "invalid-parameter");
    }
    ok(&Reply::of(admin.get(&format!("/v1/audit-events?cursor={of_events}&limit=3")).await).await, 200);
    let (other, _) = admin.client("platform", json!({"permissions": ["mintmark:read"]})).await;
    let other = app.administrator_as(&other, "mintmark:read").await;
    problem(
        &Reply::of(other.get(&format!("/v1/products?cursor={cursor}")).await).await,
        400,
        "invalid-parameter",
    );
    let again = app.administrator_as(&admin.client, "mintmark:read").await;
    ok(&Reply::of(again.get(&format!("/v1/products?cursor={cursor}")).await).await, 200);
    app.stop().await;
}

async fn a_list_that_changes_neither_repeats_nor_skips_items(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    for code in ["b", "d", "f", "h"] {
        admin.product(code, json!({})).await;
    }
    let (first, cursor) = page(&admin, "/v1/products?limit=2").await;
    assert_eq!(first, ["b", "d"]);
    // The item of the cursor is deleted, and one before and one after it are created.
    assert_eq!(admin.delete("/v1/products/d").await.status(), 204);
    admin.product("a", json!({})).await;
    admin.product("e", json!({})).await;
    let (rest, end) = page(&admin, &format!("/v1/products?cursor={}", cursor.unwrap())).await;
    assert_eq!((rest, end), (vec!["e".into(), "f".into(), "h".into()], None));
    let names: Value = ok(&Reply::of(admin.get("/v1/products?limit=200").await).await, 200);
    assert_eq!(names["items"].as_array().unwrap().len(), 5);
    app.stop().await;
}
