//! `allowed_ips` (`docs/oauth.md`; `docs/conformance.md` S3): where a client may call from, by the address of the connection
//! or, behind trusted proxies, by the last address in `X-Forwarded-For` that is not one of these proxies.

use reqwest::RequestBuilder;
use serde_json::json;

use super::expect::{GRANT, invalid_client, issued, post, post_as};
use crate::support::{Administrator, Credentials, Engine, Reply, TestApp, on_both_engines};

on_both_engines!(
    the_address_of_the_peer_decides,
    headers_of_an_untrusted_peer_do_not_count,
    behind_trusted_proxies_the_last_hop_before_them_counts,
    an_unreadable_hop_makes_the_source_unknown,
    only_listed_proxies_are_trusted,
    a_changed_allow_list_applies_immediately,
);

async fn client(admin: &Administrator<'_>, networks: &[&str]) -> Credentials {
    admin.client("platform", json!({"products": ["gst"], "allowed_ips": networks})).await.0
}

/// An administrator. The product `gst` exists.
async fn stocked(app: &TestApp) -> Administrator<'_> {
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    admin
}

fn ask(app: &TestApp, client: &Credentials) -> RequestBuilder {
    post_as(app, client, GRANT)
}

async fn the_address_of_the_peer_decides(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    for allowed in [
        &[][..],
        &["127.0.0.1"],
        &["127.0.0.0/8"],
        &["0.0.0.0/0"],
        &["203.0.113.7", "2001:db8::/32", "127.0.0.1"],
        // IPv4-mapped IPv6.
        &["::ffff:127.0.0.1"],
        &["::ffff:127.0.0.0/104"],
    ] {
        issued(&Reply::to(ask(&app, &client(&admin, allowed).await)).await);
    }
    let unproved = Reply::to(post(&app, GRANT)).await;
    for elsewhere in [&["203.0.113.7"][..], &["127.0.0.2"], &["::1"], &["::/0"], &["::ffff:203.0.113.0/120"]]
    {
        let reply = Reply::to(ask(&app, &client(&admin, elsewhere).await)).await;
        invalid_client(&reply);
        assert_eq!(reply.comparable(), unproved.clone().comparable(), "{elsewhere:?}");
    }
    app.stop().await;
}

async fn headers_of_an_untrusted_peer_do_not_count(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    let here = client(&admin, &["127.0.0.1"]).await;
    let there = client(&admin, &["203.0.113.7"]).await;
    for (name, value) in [
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-for", "203.0.113.7, 127.0.0.1"),
        ("x-forwarded-for", "127.0.0.1, 203.0.113.7"),
        ("forwarded", "for=203.0.113.7"),
        ("forwarded", "for=203.0.113.7, for=127.0.0.1"),
        ("x-real-ip", "203.0.113.7"),
        ("true-client-ip", "203.0.113.7"),
        ("cf-connecting-ip", "203.0.113.7"),
        ("x-client-ip", "203.0.113.7"),
        ("x-cluster-client-ip", "203.0.113.7"),
    ] {
        invalid_client(&Reply::to(ask(&app, &there).header(name, value)).await);
        issued(&Reply::to(ask(&app, &here).header(name, value)).await);
    }
    app.stop().await;
}

async fn behind_trusted_proxies_the_last_hop_before_them_counts(engine: Engine) {
    let app = TestApp::start_with(engine, "server.trusted_proxies = [\"127.0.0.0/8\", \"10.0.0.0/8\"]").await;
    let admin = stocked(&app).await;
    let v4 = client(&admin, &["203.0.113.0/24"]).await;
    let v6 = client(&admin, &["2001:db8::/32"]).await;
    let proxy = client(&admin, &["127.0.0.1"]).await;
    for (who, lines) in [
        (&v4, &["203.0.113.7"][..]),
        (&v4, &["203.0.113.7:4711"]),
        (&v4, &["::ffff:203.0.113.7"]),
        // Entries further left were written by the client.
        (&v4, &["198.51.100.1, 203.0.113.7"]),
        (&v4, &["unknown, 203.0.113.7"]),
        // The proxies before this one are trusted too.
        (&v4, &["203.0.113.7, 10.1.2.3"]),
        (&v4, &["203.0.113.7,10.1.2.3 , 127.0.0.9"]),
        // Several header lines are one list.
        (&v4, &["198.51.100.1", "203.0.113.7", "10.1.2.3"]),
        (&v6, &["2001:db8::1"]),
        (&v6, &["[2001:db8::1]:443"]),
        // Without the header, the address of the proxy counts.
        (&proxy, &[]),
    ] {
        let request =
            lines.iter().fold(ask(&app, who), |request, line| request.header("x-forwarded-for", *line));
        let reply = Reply::to(request).await;
        assert_eq!(reply.status, 200, "{lines:?}: {reply:?}");
        issued(&reply);
    }
    for (who, lines) in [
        (&v4, &[][..]),
        (&v4, &["198.51.100.1"]),
        (&v4, &["203.0.113.7, 198.51.100.1"]),
        (&v4, &["203.0.113.7", "198.51.100.1"]),
        (&v4, &["203.0.113.7, unknown"]),
        (&v4, &["203.0.113.7,"]),
        (&v4, &["203.0.113.7, 203.0.113.7.evil.example"]),
        (&v4, &["203.0.113.0/24"]),
        (&v6, &["2001:db9::1"]),
        (&proxy, &["203.0.113.7"]),
    ] {
        let request =
            lines.iter().fold(ask(&app, who), |request, line| request.header("x-forwarded-for", *line));
        invalid_client(&Reply::to(request).await);
    }
    // A byte that is not ASCII in what the client wrote does not hide the address that the proxy appended.
    let hidden = ask(&app, &v4).header("x-forwarded-for", b"\xff, 203.0.113.7".as_slice());
    issued(&Reply::to(hidden).await);
    let hidden = ask(&app, &proxy).header("x-forwarded-for", b"\xff, 203.0.113.7".as_slice());
    invalid_client(&Reply::to(hidden).await);
    app.stop().await;
}

async fn an_unreadable_hop_makes_the_source_unknown(engine: Engine) {
    let app = TestApp::start_with(engine, "server.trusted_proxies = [\"127.0.0.0/8\", \"10.0.0.0/8\"]").await;
    let admin = stocked(&app).await;
    let proxy = client(&admin, &["127.0.0.1", "10.0.0.0/8"]).await;
    let all = client(&admin, &["0.0.0.0/0", "::/0"]).await;
    let anywhere = client(&admin, &[]).await;
    for unreadable in [
        &b"\xff"[..],
        b"203.0.113.7\xff",
        b"203.0.113.7, \x80",
        b"unknown",
        b"_hidden",
        b"203.0.113.7, _hidden, 10.1.2.3",
        b"fe80::1%eth0",
        b"203.0.113.7,",
        b"203.0.113.7,,10.1.2.3",
        b"",
        b"for=203.0.113.7",
    ] {
        for listed in [&proxy, &all] {
            let request = ask(&app, listed).header("x-forwarded-for", unreadable);
            invalid_client(&Reply::to(request).await);
        }
        issued(&Reply::to(ask(&app, &anywhere).header("x-forwarded-for", unreadable)).await);
    }
    // The audit event has no address, rather than that of the proxy.
    let body = json!({"label": "Made from nowhere", "products": ["gst"]});
    let made = admin.request(reqwest::Method::POST, "/v1/workspaces/platform/api-clients").json(&body);
    let made = Reply::to(made.header("x-forwarded-for", "unknown")).await;
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.json()["client_id"].as_str().unwrap().to_owned();
    let events = Reply::of(admin.get(&format!("/v1/audit-events?client_id={id}")).await).await.json();
    assert!(events["items"][0]["source_ip"].is_null(), "{events}");
    app.stop().await;
}

async fn only_listed_proxies_are_trusted(engine: Engine) {
    let app = TestApp::start_with(engine, "server.trusted_proxies = [\"10.0.0.0/8\"]").await;
    let admin = stocked(&app).await;
    let there = client(&admin, &["203.0.113.7"]).await;
    for forged in ["203.0.113.7", "203.0.113.7, 10.0.0.1"] {
        invalid_client(&Reply::to(ask(&app, &there).header("x-forwarded-for", forged)).await);
    }
    app.stop().await;
}

async fn a_changed_allow_list_applies_immediately(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    let client = client(&admin, &["127.0.0.1"]).await;
    let path = format!("/v1/api-clients/{}", client.client_id);
    for (allowed, is_served) in
        [(json!(["203.0.113.7"]), false), (json!(null), true), (json!(["::1"]), false)]
    {
        let changed = admin.patch(&path, &json!({"allowed_ips": allowed})).await;
        assert_eq!(changed.status(), 200);
        assert_eq!(Reply::to(ask(&app, &client)).await.status == 200, is_served, "{allowed}");
    }
    app.stop().await;
}
