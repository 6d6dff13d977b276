//! Request bodies: their media type, size and JSON; and one reply that reports every bad member.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Reply, broken, ok, problem};
use crate::support::{Engine, TestApp, on_both_engines};

on_both_engines!(
    other_media_types_are_refused,
    encoded_bodies_are_refused,
    a_body_has_a_limit,
    a_body_that_is_refused_is_not_waited_for,
    bodies_that_are_not_json_are_malformed,
    all_bad_members_are_reported_in_one_reply,
    names_have_visible_text_and_no_control_characters,
    a_refused_body_changes_nothing,
);

async fn sent(request: RequestBuilder) -> Reply {
    Reply::of(request.send().await.unwrap()).await
}

async fn other_media_types_are_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    let post = |code: &str| {
        admin.request(Method::POST, "/v1/products").body(format!(r#"{{"product":"{code}","name":"N"}}"#))
    };
    let patch = || admin.request(Method::PATCH, "/v1/products/gst").body(r#"{"name":"N"}"#);
    let bad = [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "application/json; charset=utf-16",
        "*/*",
        "",
    ];
    for content_type in bad {
        let reply = sent(post("a").header("content-type", content_type)).await;
        problem(&reply, 415, "unsupported-media-type");
        assert_eq!(reply.header("accept-patch"), "");
        let reply = sent(patch().header("content-type", content_type)).await;
        problem(&reply, 415, "unsupported-media-type");
        assert_eq!(reply.header("accept-patch"), "application/merge-patch+json, application/json");
    }
    problem(&sent(post("a")).await, 415, "unsupported-media-type");
    problem(&sent(patch()).await, 415, "unsupported-media-type");
    problem(
        &sent(post("a").header("content-type", "application/merge-patch+json")).await,
        415,
        "unsupported-media-type",
    );
    let twice =
        post("a").header("content-type", "application/json").header("content-type", "application/json");
    problem(&sent(twice).await, 415, "unsupported-media-type");
    let good = [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=\"UTF-8\"",
    ];
    for (n, content_type) in good.into_iter().enumerate() {
        ok(&sent(post(&format!("p{n}")).header("content-type", content_type)).await, 201);
        ok(&sent(patch().header("content-type", content_type)).await, 200);
    }
    ok(&sent(patch().header("content-type", "application/merge-patch+json")).await, 200);
    // A byte order mark before UTF-8 is skipped.
    let marked = |request: RequestBuilder, body: &str| {
        sent(request.header("content-type", "application/json").body(format!("\u{feff}{body}")))
    };
    ok(&marked(post("x"), r#"{"product":"marked","name":"ä"}"#).await, 201);
    ok(&marked(patch(), r#"{"name":"N"}"#).await, 200);
    app.stop().await;
}

async fn encoded_bodies_are_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let post = |encoding: &str| {
        let request = admin.request(Method::POST, "/v1/products").header("content-type", "application/json");
        request.header("content-encoding", encoding).body(r#"{"product":"a","name":"A"}"#)
    };
    for encoding in ["gzip", "br", "zstd", "deflate", "identity, gzip", "x"] {
        problem(&sent(post(encoding)).await, 415, "unsupported-media-type");
    }
    ok(&sent(post("identity")).await, 201);
    app.stop().await;
}

async fn a_body_has_a_limit(engine: Engine) {
    const LIMIT: usize = 256 * 1024;
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let padded = |code: &str, length: usize| {
        let body = format!(r#"{{"product":"{code}","name":"N"}}"#);
        let padding = " ".repeat(length - body.len());
        body + &padding
    };
    let post = || admin.request(Method::POST, "/v1/products").header("content-type", "application/json");
    ok(&sent(post().body(padded("a", LIMIT))).await, 201);
    problem(&sent(post().body(padded("b", LIMIT + 1))).await, 413, "payload-too-large");
    problem(&sent(post().body(padded("b", 4 * LIMIT))).await, 413, "payload-too-large");
    // The next request works.
    ok(&Reply::of(admin.get("/v1/products/a").await).await, 200);
    problem(&Reply::of(admin.get("/v1/products/b").await).await, 404, "not-found");
    app.stop().await;
}

/// Sends these bytes on a new connection, and returns the reply up to the end of its headers.
async fn raw(app: &TestApp, bytes: &str) -> String {
    let mut stream = TcpStream::connect(app.base.trim_start_matches("http://")).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read_buf(&mut answer).await.unwrap();
        assert_ne!(read, 0, "closed after {}", String::from_utf8_lossy(&answer));
    }
    String::from_utf8(answer).unwrap()
}

async fn a_body_that_is_refused_is_not_waited_for(engine: Engine) {
    let app = TestApp::start_with(engine, "server.request_timeout_seconds = 1").await;
    let admin = app.administrator().await;
    let head = |more: &str| {
        let token = &admin.token;
        format!("POST /v1/products HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{more}\r\n\r\n")
    };
    let json = "Content-Type: application/json\r\n";
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    for (request, status) in [
        // The headers are enough to refuse the request, so the test sends no body.
        (head(&format!("{json}Content-Encoding: br\r\nContent-Length: 850")), "415"),
        (head("Content-Type: text/plain\r\nContent-Length: 100000"), "415"),
        // One byte more than the limit of 256 KiB.
        (head(&format!("{json}Content-Length: 262145")), "413"),
        (head(&format!("{json}Content-Length: 99999999999")), "413"),
        // This body has no Content-Length and no end: the app stops reading at the limit.
        (head(&format!("{json}Transfer-Encoding: chunked")) + &chunk.repeat(5), "413"),
        // The body does not arrive within the time limit.
        (head(&format!("{json}Content-Length: 100")) + "{", "408"),
        (head(&format!("{json}Transfer-Encoding: chunked")), "408"),
    ] {
        let answer = raw(&app, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {answer}");
        assert!(answer.contains("content-type: application/problem+json"), "{answer}");
        // Later bytes of the body are not read as a request.
        assert!(answer.contains("connection: close"), "{answer}");
    }
    let body = r#"{"product":"slow","name":"Slow"}"#;
    let whole = head(&format!("{json}Content-Length: {}\r\nExpect: 100-continue", body.len())) + body;
    assert!(raw(&app, &whole).await.starts_with("HTTP/1.1 100 Continue"));
    app.stop().await;
}

async fn bodies_that_are_not_json_are_malformed(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let deep = format!(r#"{{"product":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let bad: Vec<Vec<u8>> = [
        "",
        " ",
        "{",
        "}",
        "nul",
        "{\"a\":}",
        "{'a':1}",
        "{\"a\":1,}",
        "{\"a\":1} x",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":1e999}",
        "{\"a\":\"\u{1}\"}",
        "\u{feff}",
        "\u{feff}\u{feff}{}",
        "product=a&name=A",
        "<product/>",
        &deep,
        r#"{"product":"a","name":"A","name":"B"}"#,
        r#"{"product":"a","name":"A","n\u0061me":"B"}"#,
        r#"{"product":"a","name":{"x":1,"x":1}}"#,
    ]
    .into_iter()
    .map(|text| text.as_bytes().to_vec())
    .chain([
        b"{\"name\":\"\xff\"}".to_vec(),
        b"\xff\xfe{\x00}\x00".to_vec(),
        b"{\"name\":\"\xc0\x80\"}".to_vec(),
    ])
    .collect();
    for body in bad {
        for (method, path) in [(Method::POST, "/v1/products"), (Method::PATCH, "/v1/workspaces/platform")] {
            let request =
                admin.request(method, path).header("content-type", "application/json").body(body.clone());
            problem(&sent(request).await, 400, "malformed-json");
        }
    }
    let secret = r#"{"client_secret":"mms_leak","client_secret":"mms_leak"}"#;
    let request =
        admin.request(Method::POST, "/v1/products").header("content-type", "application/json").body(secret);
    let reply = sent(request).await;
    problem(&reply, 400, "malformed-json");
    assert!(!reply.text().contains("leak"));
    app.stop().await;
}

async fn all_bad_members_are_reported_in_one_reply(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    for body in [json!([]), json!("x"), json!(1), json!(null), json!(true), json!([{"product": "a"}])] {
        broken(&Reply::of(admin.post("/v1/products", &body).await).await, &[""]);
        broken(&Reply::of(admin.patch("/v1/products/gst", &body).await).await, &[""]);
    }
    let product = json!({
        "product": 1, "name": ["A"], "audience": {}, "max_token_lifetime_seconds": "60", "never_expires_allowed": "yes",
        "extra": 1, "a/b~c": 1, "": 1, "created_at": "2026-09-21T14:13:20Z", "__proto__": {}
    });
    broken(
        &Reply::of(admin.post("/v1/products", &product).await).await,
        &[
            "/product",
            "/name",
            "/audience",
            "/max_token_lifetime_seconds",
            "/never_expires_allowed",
            "/extra",
            "/a~1b~0c",
            "/",
            "/created_at",
            "/__proto__",
        ],
    );
    // Wrong types and broken rules are in one reply.
    let mixed = json!({"product": "GST", "name": "", "audience": 1, "max_token_lifetime_seconds": 59, "never_expires_allowed": 0});
    broken(
        &Reply::of(admin.post("/v1/products", &mixed).await).await,
        &["/product", "/name", "/audience", "/max_token_lifetime_seconds", "/never_expires_allowed"],
    );
    let workspace = json!({
        "workspace_id": "a b", "name": null, "status": "on", "never_expires_allowed": 1,
        "products_allowed": ["gst", 1, null, "absent", "gst"], "products": []
    });
    broken(
        &Reply::of(admin.post("/v1/workspaces", &workspace).await).await,
        &[
            "/workspace_id",
            "/name",
            "/status",
            "/never_expires_allowed",
            "/products_allowed/1",
            "/products_allowed/2",
            "/products_allowed/3",
            "/products_allowed/4",
            "/products",
        ],
    );
    let listed = json!({"name": "A", "products_allowed": ["gst", "absent", "gst", "GST", ""]});
    broken(
        &Reply::of(admin.post("/v1/workspaces", &listed).await).await,
        &["/products_allowed/1", "/products_allowed/2", "/products_allowed/3", "/products_allowed/4"],
    );
    let reply = Reply::of(admin.post("/v1/products", &json!({"product": "a"})).await).await;
    let body = problem(&reply, 422, "validation");
    assert_eq!(body["detail"], "1 field is not valid");
    assert_eq!(body["errors"], json!([{"pointer": "/name", "detail": "is required"}]));
    app.stop().await;
}

async fn names_have_visible_text_and_no_control_characters(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let (longest, too_long) = ("ä".repeat(200), "ä".repeat(201));
    let bad = [
        "",
        " ",
        "\t\r\n",
        "\u{a0}\u{3000}",
        "\u{200b}",
        "\u{200d}",
        "\u{feff}",
        "\u{2800}",
        "\u{3164}",
        "a\u{200b}b",
        "a\u{2060}",
        "G\u{200d}ST",
        "a\nb",
        "a\r\nBcc: x@y",
        "\0",
        "\u{1b}[31m",
        "\u{7f}",
        "\u{85}",
        "\u{202a}",
        "\u{202e}gst",
        "\u{2066}",
        "\u{2069}",
        "\u{200e}",
        "\u{200f}",
        "\u{61c}",
        &too_long,
    ];
    for name in bad {
        broken(
            &Reply::of(admin.post("/v1/products", &json!({"product": "x", "name": name})).await).await,
            &["/name"],
        );
        broken(
            &Reply::of(admin.post("/v1/workspaces", &json!({"workspace_id": "x", "name": name})).await).await,
            &["/name"],
        );
        broken(
            &Reply::of(admin.patch("/v1/workspaces/platform", &json!({"name": name})).await).await,
            &["/name"],
        );
    }
    let good = [
        "a",
        " \ta  b\u{a0}\n",
        "SAP S/4HANA – Produktion",
        "जीएसटी",
        "<script>alert(1)</script>",
        "'; DROP TABLE products; --",
        "👩‍💻",
        "\\u0000 \"quoted\"",
        &longest,
    ];
    for (n, name) in good.into_iter().enumerate() {
        let made = admin.create("/v1/products", &json!({"product": format!("p{n}"), "name": name})).await;
        let name = name.trim();
        assert_eq!(made["name"], name);
        let read = ok(&Reply::of(admin.get(&format!("/v1/products/p{n}")).await).await, 200);
        assert_eq!(read["name"], name);
    }
    app.stop().await;
}

async fn a_refused_body_changes_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let before = admin.product("gst", json!({})).await;
    let events = |page: Value| page["items"].as_array().unwrap().len();
    let written = events(ok(&Reply::of(admin.get("/v1/audit-events").await).await, 200));
    let half_good = json!({"name": "New", "audience": "no uri"});
    broken(&Reply::of(admin.patch("/v1/products/gst", &half_good).await).await, &["/audience"]);
    let reply = Reply::of(admin.get("/v1/products/gst").await).await;
    assert_eq!(ok(&reply, 200), before);
    // The first version of a product: the time of its creation in milliseconds.
    assert_eq!(reply.header("etag"), "\"v1790000000000\"");
    assert_eq!(events(ok(&Reply::of(admin.get("/v1/audit-events").await).await, 200)), written);
    app.stop().await;
}
