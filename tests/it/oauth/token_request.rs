//! Token requests that are refused (RFC 6749 §3.2, §4.4.2, §5.2). A malformed one is refused before the client is
//! authenticated. An error names what to correct, and repeats nothing that was sent except a refused scope
//! (`docs/conformance.md` T2, T4, T14, T16–T20, T23, T26, T27).

use reqwest::Method;

use super::expect::{
    FORM, GRANT, TOKEN, basic, invalid_client, invalid_request, issued, pair, post, post_as, refused,
    reply_as,
};
use crate::support::{Engine, Reply, TestApp, Wire, on_both_engines};

on_both_engines!(
    t02_no_error_may_be_cached,
    t04_a_wrong_grant_type_is_refused,
    t14_credentials_in_the_url_are_refused,
    t16_a_known_parameter_may_not_be_sent_twice,
    t17_a_scope_must_be_well_formed_and_granted,
    t17_a_refused_scope_is_named,
    t17_a_manager_may_request_read,
    t18_other_methods_issue_nothing,
    t19_bodies_of_a_wrong_type_or_charset_are_refused,
    t20_malformed_forms_are_refused,
    t23_nothing_of_a_request_is_echoed_except_refused_scopes,
    t26_a_request_is_parsed_then_authenticated_then_granted,
    t27_no_reply_has_cors_headers,
);

async fn t02_no_error_may_be_cached(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let large = format!("{GRANT}&x={}", "y".repeat(70_000));
    for (status, request) in [
        (400, post_as(&app, &client, "")),
        (401, post(&app, GRANT)),
        (405, app.request(Method::GET, TOKEN)),
        (413, post_as(&app, &client, large)),
        (415, post_as(&app, &client, GRANT).header("content-encoding", "br")),
    ] {
        let reply = Reply::to(request).await;
        assert_eq!(reply.status, status);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.header("pragma"), Some("no-cache"));
        assert_eq!((reply.header("etag"), reply.header("expires")), (None, None));
    }
    app.stop().await;
}

async fn t04_a_wrong_grant_type_is_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    for missing in ["grant_type=", "grant_type", "scope=mintmark:read", "Grant_Type=client_credentials"] {
        invalid_request(&reply_as(&app, &client, missing).await);
    }
    for unknown in [
        "Client_Credentials",
        "client_credentials+",
        "+client_credentials",
        "password",
        "implicit",
        "authorization_code",
        "refresh_token",
        "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer",
        "client_credentials%0A",
    ] {
        let body = format!("grant_type={unknown}&username=u&password=p&code=c&refresh_token=r&assertion=a");
        refused(&reply_as(&app, &client, body).await, 400, "unsupported_grant_type");
    }
    app.stop().await;
}

async fn t14_credentials_in_the_url_are_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let (id, secret) = (&client.client_id, &client.client_secret);
    let with_query = |query: String, body: &'static str| {
        app.request(Method::POST, &format!("{TOKEN}?{query}")).header("content-type", FORM).body(body)
    };
    for query in [
        format!("client_secret={secret}"),
        format!("client_id={id}&client_secret={secret}"),
        format!("client_id={id}"),
        "client_secret".to_owned(),
        "client%5Fsecret=x".to_owned(),
        "a=b&client_assertion=x".to_owned(),
        format!("{GRANT}&client_id={id}&client_secret={secret}"),
    ] {
        invalid_request(&Reply::to(with_query(query.clone(), GRANT)).await);
        let authenticated = with_query(query, GRANT).basic_auth(id, Some(secret));
        invalid_request(&Reply::to(authenticated).await);
    }
    // No other parameter is read from the URL either.
    let in_query = with_query(GRANT.to_owned(), "a=b").basic_auth(id, Some(secret));
    invalid_request(&Reply::to(in_query).await);
    let in_query =
        with_query("scope=nothing&grant_type=password".to_owned(), GRANT).basic_auth(id, Some(secret));
    assert_eq!(
        issued(&Reply::to(in_query).await).reply["scope"],
        "mintmark:introspect mintmark:manage mintmark:read"
    );
    let in_query = with_query("access_token=x".to_owned(), GRANT);
    invalid_client(&Reply::to(in_query).await);
    app.stop().await;
}

async fn t16_a_known_parameter_may_not_be_sent_twice(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let (id, secret) = (&client.client_id, &client.client_secret);
    let other = "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    for twice in [
        GRANT.to_owned(),
        "grant_type=".to_owned(),
        "grant_type=password".to_owned(),
        "scope=mintmark:read&scope=mintmark:read".to_owned(),
        "scope=mintmark:read&scope=mintmark:manage".to_owned(),
        "scope=&scope=mintmark:read".to_owned(),
        "scope=mintmark:read&scope=".to_owned(),
        format!("client_id={id}&client_id={id}"),
        format!("client_id=&client_id={id}"),
        format!("client%5fid={id}&client_id={id}"),
        "client_secret=&client_secret=".to_owned(),
        "client_assertion=&client_assertion=".to_owned(),
        "client_assertion_type=&client_assertion_type=".to_owned(),
    ] {
        invalid_request(&reply_as(&app, &client, format!("{GRANT}&{twice}")).await);
    }
    for twice in [
        format!("client_id={id}&client_id={id}&client_secret={secret}"),
        format!("client_id={id}&client_secret={secret}&client_secret={secret}"),
        format!("client_id={id}&client_secret=wrong&client_secret={secret}"),
        format!("client_assertion=a&client_assertion=a&{other}"),
        format!("client_assertion=a&{other}&{other}"),
    ] {
        invalid_request(&Reply::to(post(&app, format!("{GRANT}&{twice}"))).await);
    }
    app.stop().await;
}

async fn t17_a_scope_must_be_well_formed_and_granted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let reply = async |scope: &str| reply_as(&app, &client, format!("{GRANT}&scope={scope}")).await;
    for (valid, granted) in [
        ("mintmark:read", "mintmark:read"),
        ("mintmark:read+mintmark:manage", "mintmark:manage mintmark:read"),
        ("mintmark:manage%20mintmark:read", "mintmark:manage mintmark:read"),
        ("mintmark:read+mintmark:read", "mintmark:read"),
        // Extra spaces.
        ("+mintmark:read", "mintmark:read"),
        ("mintmark:read+", "mintmark:read"),
        ("++mintmark:read++mintmark:manage+", "mintmark:manage mintmark:read"),
        ("+", "mintmark:introspect mintmark:manage mintmark:read"),
    ] {
        assert_eq!(issued(&reply(valid).await).reply["scope"], granted, "{valid}");
    }
    for (why, invalid) in [
        ("not granted", "gst"),
        ("not granted", "mintmark:read+gst"),
        ("another case", "Mintmark:read"),
        ("a prefix", "mintmark:"),
        ("a wildcard", "*"),
        ("comma", "mintmark:read,mintmark:manage"),
        ("tab", "mintmark:read%09mintmark:manage"),
        ("line feed", "mintmark:read%0Amintmark:manage"),
        ("carriage return", "mintmark:read%0D"),
        ("quote", "mintmark:read%22"),
        ("backslash", "mintmark:read%5C"),
        ("delete", "mintmark:read%7F"),
        ("not ASCII", "mintmark:r%C3%A9ad"),
        ("no-break space", "mintmark:read%C2%A0mintmark:manage"),
        ("long", &"x".repeat(20_000)),
    ] {
        let reply = reply(invalid).await;
        assert_eq!(reply.json()["error"], "invalid_scope", "{why}");
        refused(&reply, 400, "invalid_scope");
    }
    app.stop().await;
}

async fn t17_a_refused_scope_is_named(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let long = "x".repeat(65);
    for (scope, named) in [
        ("gst", Some("gst")),
        ("mintmark:read+gst", Some("gst")),
        ("e-invoicing+mintmark:read+gst+gst", Some("e-invoicing gst")),
        ("Mintmark:read", Some("Mintmark:read")),
        ("*", Some("*")),
        // A text that cannot be the name of a scope.
        (long.as_str(), None),
    ] {
        let reply = reply_as(&app, &client, format!("{GRANT}&scope={scope}")).await;
        refused(&reply, 400, "invalid_scope");
        let said = reply.json()["error_description"].as_str().unwrap().to_owned();
        match named {
            Some(named) => {
                assert!(said.starts_with(&format!("not granted to this client: {named};")), "{said}");
            }
            None => {
                assert!(said.contains("a requested scope is not granted") && !said.contains("xx"), "{said}");
            }
        }
    }
    app.stop().await;
}

async fn t17_a_manager_may_request_read(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let only = |permission: &str| serde_json::json!({"permissions": [permission]});
    let (manager, _) = admin.client("platform", only("mintmark:manage")).await;
    let whole = issued(&reply_as(&app, &manager, GRANT).await);
    assert_eq!(whole.reply["scope"], "mintmark:manage", "read is granted only if it is requested");
    let both =
        issued(&reply_as(&app, &manager, format!("{GRANT}&scope=mintmark:read+mintmark:manage")).await);
    assert_eq!(both.reply["scope"], "mintmark:manage mintmark:read");
    let reader = app.administrator_as(&manager, "mintmark:read").await;
    assert_eq!(reader.get("/v1/products").await.status(), 200);
    let refusal = reader.post("/v1/products", &serde_json::json!({"product": "a", "name": "A"})).await;
    assert_eq!(refusal.status(), 403, "a token for read may not write");
    // The permission to manage includes read, so both end together.
    let path = format!("/v1/api-clients/{}", manager.client_id);
    admin.product("gst", serde_json::json!({})).await;
    let none = serde_json::json!({"permissions": [], "products": ["gst"]});
    assert_eq!(admin.patch(&path, &none).await.status(), 200);
    assert_eq!(reader.get("/v1/products").await.status(), 401);
    let other = reply_as(&app, &manager, format!("{GRANT}&scope=mintmark:read")).await;
    refused(&other, 400, "invalid_scope");
    app.stop().await;
}

async fn t18_other_methods_issue_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let used_at = async || {
        let caller = mintmark::kernel::Manager::command_line();
        app.core
            .services
            .clients
            .client(&caller, &client.client_id)
            .await
            .unwrap()
            .secrets
            .first()
            .unwrap()
            .last_used_at
    };
    for method in ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY", "post", "X"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = app.request(method, TOKEN).header("content-type", FORM).body(GRANT);
        let reply = Reply::to(request.basic_auth(&client.client_id, Some(&client.client_secret))).await;
        refused(&reply, 405, "invalid_request");
    }
    let mut wire = Wire::to(&app).await;
    wire.send(format!(
        "HEAD /oauth2/token?{GRANT} HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nConnection: close\r\n\r\n",
        basic(pair(&client))
    ))
    .await;
    let reply = wire.reply_to_head().await;
    assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
    wire.must_close().await;
    assert_eq!(used_at().await, None, "no client was authenticated");
    issued(&reply_as(&app, &client, GRANT).await);
    assert_eq!(used_at().await, Some(crate::support::START));
    app.stop().await;
}

async fn t19_bodies_of_a_wrong_type_or_charset_are_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let sent = |media_type: Option<&str>, body: &str| {
        let request =
            app.request(Method::POST, TOKEN).basic_auth(&client.client_id, Some(&client.client_secret));
        let request = request.body(body.to_owned());
        match media_type {
            Some(media_type) => request.header("content-type", media_type),
            None => request,
        }
    };
    for (media_type, body) in [
        (None, GRANT),
        (Some(""), GRANT),
        (Some("application/json"), GRANT),
        (Some(FORM), "{\"grant_type\":\"client_credentials\"}"),
        (
            Some("multipart/form-data; boundary=x"),
            "--x\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\nclient_credentials\r\n--x--\r\n",
        ),
        (Some("text/plain"), GRANT),
        (Some("application/x-www-form-urlencoded2"), GRANT),
        (Some("application/x-www-form-urlencoded, application/json"), GRANT),
        // Not ASCII, and so not the same in every charset.
        (Some("application/x-www-form-urlencoded; charset=iso-8859-1"), "grant_type=client_credentials&x=ä"),
        (Some("application/x-www-form-urlencoded; charset="), "grant_type=client_credentials&x=ä"),
        (Some("application/json; charset=iso-8859-1"), "{\"grant_type\":\"client_credentials\",\"x\":\"ä\"}"),
        // Text in UTF-16.
        (Some("application/x-www-form-urlencoded; charset=utf-16"), "g\0r\0a\0n\0t\0"),
    ] {
        invalid_request(&Reply::to(sent(media_type, body)).await);
    }
    let two = sent(Some(FORM), GRANT).header("content-type", "text/plain");
    invalid_request(&Reply::to(two).await);
    let unreadable =
        sent(None, GRANT).header("content-type", b"application/x-www-form-urlencoded; x=\xff".as_slice());
    invalid_request(&Reply::to(unreadable).await);
    app.stop().await;
}

async fn t20_malformed_forms_are_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    invalid_request(&reply_as(&app, &client, "").await);
    let bad: [&[u8]; 14] = [
        b"%ff",
        b"x=%ff",
        b"x=%c0%80",
        b"x=%ed%a0%80",
        b"x=%00",
        b"%00=x",
        b"x=\0",
        b"\0",
        b"x=%2",
        b"x=%",
        b"x=%zz",
        b"x=%+1",
        b"x=\xff\xfe",
        b"x=\xc3",
    ];
    for bad in bad {
        let at_end = [GRANT.as_bytes(), b"&", bad].concat();
        invalid_request(&reply_as(&app, &client, at_end).await);
        let in_scope = [GRANT.as_bytes(), b"&scope=mintmark:read", bad].concat();
        let reply = reply_as(&app, &client, in_scope).await;
        assert_eq!(reply.status, 400, "{:?}: {reply:?}", String::from_utf8_lossy(bad));
    }
    // A line end after the form would be part of its last name or value; the error names it.
    for end in ["\n", "\r\n", "&\n", "&scope=mintmark:read\n"] {
        let reply = reply_as(&app, &client, format!("{GRANT}{end}")).await;
        invalid_request(&reply);
        assert!(reply.text().contains("the form ends with a line end"), "{reply:?}");
    }
    // Control characters in credentials get a 4xx error, not a server error.
    let in_secret = format!("{GRANT}&client_id={}&client_secret=%00", client.client_id);
    invalid_request(&Reply::to(post(&app, in_secret)).await);
    let control = format!("{GRANT}&client_id=%01%7F%0D%0A&client_secret={}", client.client_secret);
    invalid_client(&Reply::to(post(&app, control)).await);
    app.stop().await;
}

async fn t23_nothing_of_a_request_is_echoed_except_refused_scopes(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let marked = "mark%22%3Cscript%3E%0D%0ASet-Cookie%3A+a%3Db";
    let requests = [
        post_as(&app, &client, format!("grant_type={marked}")),
        post_as(&app, &client, format!("{GRANT}&scope={marked}")),
        post_as(&app, &client, format!("{GRANT}&scope={}", "mark".repeat(20))),
        post_as(&app, &client, format!("{GRANT}&resource={marked}")),
        post_as(&app, &client, format!("{GRANT}&client_id={marked}")),
        post_as(&app, &client, format!("{GRANT}&{marked}=%zz")),
        post(&app, format!("{GRANT}&client_id={marked}&client_secret={marked}")),
        post(&app, format!("{GRANT}&client_assertion_type={marked}&client_assertion={marked}")),
        post(&app, GRANT).header("authorization", basic("mark:mark")),
        post(&app, GRANT).header("authorization", "mark mark").header("content-encoding", "mark"),
        app.request(Method::POST, &format!("{TOKEN}?client_secret={marked}")),
        app.request(Method::GET, &format!("{TOKEN}?error_description={marked}")),
    ];
    for request in requests {
        let reply = Reply::to(request).await;
        assert!((400..500).contains(&reply.status), "{reply:?}");
        refused(&reply, reply.status, reply.json()["error"].as_str().unwrap());
        // The mark is not in the reply, neither as sent nor decoded.
        let all = format!("{:?}{}", reply.headers, reply.text()).to_lowercase();
        assert!(!all.replace("mintmark", "").contains("mark"), "{reply:?}");
        assert_eq!(reply.header("set-cookie"), None);
    }
    app.stop().await;
}

async fn t26_a_request_is_parsed_then_authenticated_then_granted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let wrong = crate::support::Credentials { client_secret: "wrong".to_owned(), ..client.clone() };
    // A malformed request is refused for every client.
    invalid_request(&reply_as(&app, &wrong, "grant_type=client_credentials&x=%zz").await);
    invalid_request(&reply_as(&app, &wrong, "scope=mintmark:read").await);
    // A client that has not authenticated learns nothing about grants and scopes.
    invalid_client(&reply_as(&app, &wrong, "grant_type=password").await);
    invalid_client(&reply_as(&app, &wrong, format!("{GRANT}&scope=nothing")).await);
    invalid_client(&reply_as(&app, &wrong, format!("{GRANT}&scope=%22")).await);
    invalid_client(&reply_as(&app, &wrong, format!("{GRANT}&resource=https://nowhere.example")).await);
    // The grant type is checked before the scope, and the scope before the resources.
    let all_wrong = "grant_type=password&scope=nothing&resource=nowhere";
    refused(&reply_as(&app, &client, all_wrong).await, 400, "unsupported_grant_type");
    let both_wrong = format!("{GRANT}&scope=nothing&resource=nowhere");
    refused(&reply_as(&app, &client, both_wrong).await, 400, "invalid_scope");
    let target_wrong = format!("{GRANT}&scope=mintmark:read&resource=nowhere");
    refused(&reply_as(&app, &client, target_wrong).await, 400, "invalid_target");
    app.stop().await;
}

async fn t27_no_reply_has_cors_headers(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let preflight = app
        .request(Method::OPTIONS, TOKEN)
        .header("origin", "https://evil.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization");
    // `refused` and `issued` check that no reply of this endpoint has CORS headers.
    refused(&Reply::to(preflight).await, 405, "invalid_request");
    issued(&Reply::to(post_as(&app, &client, GRANT).header("origin", "https://evil.example")).await);
    invalid_client(&Reply::to(post(&app, GRANT).header("origin", "https://evil.example")).await);
    app.stop().await;
}
