//! How to get each documented reply of introspection, revocation and forward-auth.

use reqwest::RequestBuilder;
use serde_json::json;

use super::world::World;
use crate::support::{Credentials, Operation, Reply};

/// How many failed attempts get 401 before the throttle answers 429.
const FAILURES_BEFORE_429: usize = 60;

/// The media type of a signed introspection reply.
const SIGNED: &str = "application/token-introspection+jwt";

/// Gets replies with `status`. [`super::provoke::provoke`] gets those with 405, 408 and 413.
pub(super) async fn provoke(world: &World, operation: &Operation, status: u16) -> Vec<Reply> {
    let request = |client: &Credentials| {
        let request = world.ask(operation, &world.ids);
        request.basic_auth(&client.client_id, Some(&client.client_secret))
    };
    let of_token = |token: &str| request(&world.erp).form(&[("token", token)]);
    let mut replies = Vec::new();
    match status {
        200 => {
            let mut requests: Vec<RequestBuilder> =
                operation.examples().into_iter().map(|(_, form)| request(&world.erp).form(form)).collect();
            let never = json!({"products": ["gst"], "token_expiry": {"mode": "never"}});
            let (never_expiring, _) = world.admin().client("acme-in", never).await;
            for client in [&world.erp, &never_expiring] {
                let token = world.app.access_token(client, &[]).await;
                requests.push(request(client).form(&[("token", &token)]));
            }
            if operation.id == "introspectToken" {
                requests.push(of_token("x").header("accept", SIGNED));
            }
            for request in requests {
                replies.push(Reply::to(request).await);
            }
        }
        400 => {
            replies.push(Reply::to(request(&world.erp).form(&[("x", "y")])).await);
            if operation.id == "revokeToken" {
                let foreign = world.app.access_token(&world.manager, &[]).await;
                let introspect = world.app.request(reqwest::Method::POST, "/oauth2/introspect");
                let signed = introspect
                    .basic_auth(&world.erp.client_id, Some(&world.erp.client_secret))
                    .header("accept", SIGNED)
                    .form(&[("token", "x")]);
                let of_another_kind = Reply::to(signed).await.text();
                for token in [&foreign, &of_another_kind] {
                    replies.push(Reply::to(of_token(token)).await);
                }
            }
        }
        401 => {
            let wrong = Credentials { client_secret: "wrong".to_owned(), ..world.erp.clone() };
            replies.push(Reply::to(request(&wrong).form(&[("token", "x")])).await);
        }
        415 => replies.push(Reply::to(of_token("x").header("content-encoding", "gzip")).await),
        429 => {
            // The throttle counts failures by client id, so each operation uses another unknown id.
            let nobody = Credentials { client_id: operation.id.clone(), ..world.erp.clone() };
            let failed = || Reply::to(request(&nobody).form(&[("token", "x")]));
            for _ in 0..FAILURES_BEFORE_429 {
                assert_eq!(failed().await.status, 401);
            }
            replies.push(failed().await);
        }
        503 => replies.push(Reply::to(of_token("x")).await),
        _ => panic!("no request is known that {} answers with {status}", operation.id),
    }
    replies
}

/// Gets replies of forward-auth with `status`.
pub(super) async fn provoke_verify(world: &World, operation: &Operation, status: u16) -> Vec<Reply> {
    let ask = |query: &str, token: &str| {
        let path = format!("{}{query}", operation.path);
        let request = world.ask_at(None, operation, &path);
        if token.is_empty() { request } else { request.bearer_auth(token) }
    };
    let token =
        if status == 503 { world.manage.clone() } else { world.app.access_token(&world.erp, &[]).await };
    let requests = match status {
        200 => vec![ask("", &token), ask("?product=gst&product=e-invoicing", &token), ask("", &world.manage)],
        401 => vec![ask("", ""), ask("", "x")],
        403 => vec![ask("?product=nothing", &token), ask("?x=y", &token)],
        503 => vec![ask("", &token)],
        _ => panic!("no request is known that {} answers with {status}", operation.id),
    };
    let mut replies = Vec::new();
    for request in requests {
        replies.push(Reply::to(request).await);
    }
    replies
}
