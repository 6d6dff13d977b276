//! How to get each documented reply of the token endpoint.

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::world::World;
use crate::support::{Credentials, Operation, Reply};

/// How many failed attempts get 401 before the throttle answers 429.
const FAILURES_BEFORE_429: usize = 60;

/// Gets replies with `status`. [`super::provoke::provoke`] gets those with 405, 408 and 413.
pub(super) async fn provoke(world: &World, operation: &Operation, status: u16) -> Vec<Reply> {
    let grant: (&str, &str) = ("grant_type", "client_credentials");
    let mut replies = Vec::new();
    match status {
        200 => {
            for (_, example) in operation.examples() {
                replies.push(Reply::to(of_example(world, operation, example)).await);
            }
            replies.push(Reply::of(world.app.token(&never(world).await.0, &[]).await).await);
        }
        400 => {
            for form in [
                &[][..],
                &[("grant_type", "password")],
                &[grant, ("scope", "nothing")],
                &[grant, ("resource", "https://nothing.example")],
            ] {
                replies.push(Reply::to(by_basic(world, operation).form(form)).await);
            }
            let (client, product) = never(world).await;
            let product = format!("/v1/products/{product}");
            let forbidden = world.admin().patch(&product, &json!({"never_expires_allowed": false})).await;
            assert_eq!(forbidden.status(), 200);
            replies.push(Reply::of(world.app.token(&client, &[]).await).await);
        }
        401 => {
            let other = Credentials { client_secret: "wrong".to_owned(), ..world.erp.clone() };
            replies.push(Reply::of(world.app.token(&other, &[]).await).await);
        }
        415 => replies.push(
            Reply::to(by_basic(world, operation).header("content-encoding", "gzip").form(&[grant])).await,
        ),
        429 => {
            let nobody = Credentials { client_id: "nobody".to_owned(), ..world.erp.clone() };
            for _ in 0..FAILURES_BEFORE_429 {
                assert_eq!(world.app.token(&nobody, &[]).await.status(), 401);
            }
            replies.push(Reply::of(world.app.token(&nobody, &[]).await).await);
        }
        503 => replies.push(Reply::of(world.app.token(&world.erp, &[]).await).await),
        _ => panic!("no request is known that the token endpoint answers with {status}"),
    }
    replies
}

/// A client whose tokens never expire, and its one product.
async fn never(world: &World) -> (Credentials, String) {
    let product = world.new_name();
    let admin = world.admin();
    admin.product(&product, json!({})).await;
    let wish = json!({"products": [product], "token_expiry": {"mode": "never"}});
    (admin.client("acme-in", wish).await.0, product)
}

fn by_basic(world: &World, operation: &Operation) -> RequestBuilder {
    world.ask(operation, &world.ids).basic_auth(&world.erp.client_id, Some(&world.erp.client_secret))
}

/// The request of an example, with the credentials of [`World::erp`]: in the form if the example has them there, or by Basic.
fn of_example(world: &World, operation: &Operation, example: &Value) -> RequestBuilder {
    let mut form = Vec::new();
    for (name, value) in example.as_object().unwrap() {
        let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        for value in values {
            form.push((
                name.as_str(),
                match name.as_str() {
                    "client_id" => &world.erp.client_id,
                    "client_secret" => &world.erp.client_secret,
                    _ => value.as_str().unwrap(),
                },
            ));
        }
    }
    if example.get("client_secret").is_some() {
        world.ask(operation, &world.ids).form(&form)
    } else {
        by_basic(world, operation).form(&form)
    }
}
