//! No secret and no token is written to standard error or the log, at any log level (`docs/conformance.md` O6).

use super::process::{Place, text};
use crate::support::{Engine, on_both_engines};

/// How every token begins: `{"alg":` in base64url. It is so long that no random id in the log contains it by chance.
const BEGINNING: &str = "eyJhbGciOi";

on_both_engines!(secrets_go_only_to_standard_output);

async fn secrets_go_only_to_standard_output(engine: Engine) {
    for format in ["text", "json"] {
        let mut place =
            Place::new(engine).with("MINTMARK__LOG__LEVEL", "trace").with("MINTMARK__LOG__FORMAT", "json");
        let serving = place.serve();
        place.set("MINTMARK__LOG__FORMAT", format);
        place.set("MINTMARK__SERVER__PUBLIC_URL", &serving.base);
        let mut said = String::new();
        let mut secrets = Vec::new();
        let ran = place.run(&["bootstrap", "--json"]).must_succeed();
        let made = ran.json();
        let id = text(&made, "client_id").to_owned();
        secrets.push(text(&made, "client_secret").to_owned());
        said += &ran.stderr;
        for args in [
            &["clients", "create", "platform", "--label", "x", "--permissions", "mintmark:read", "--json"][..],
            &["clients", "add-secret", &id, "--json"],
        ] {
            let ran = place.run(args).must_succeed();
            secrets.push(text(&ran.json(), "client_secret").to_owned());
            said += &ran.stderr;
        }
        let reply = serving.token(&id, &secrets[0], "mintmark:manage").await;
        let reply: serde_json::Value = reply.json().await.unwrap();
        let token = text(&reply, "access_token").to_owned();
        assert!(token.starts_with(BEGINNING));
        serving.managed(&token, "/v1/products").await;
        secrets.push(token);
        // A secret of which only the last character is wrong must not be logged either.
        let almost = format!("{}!", &secrets[0][..secrets[0].len() - 1]);
        assert_eq!(serving.token(&id, &almost, "").await.status(), 401);
        let ran = serving.stop();
        assert!(ran.stderr.len() > 1000, "the log is long at this level");
        said += &ran.stderr;

        place.set("MINTMARK__SERVER__PUBLIC_URL", "");
        let ran = place.run(&["quickstart", "--once", "--json"]).must_succeed();
        let document = ran.json();
        secrets.extend(["client_secret", "access_token"].map(|member| text(&document, member).to_owned()));
        said += &ran.stderr;
        said += &place.run(&["quickstart", "--once"]).must_succeed().stderr;

        assert!(!said.contains("mms_"), "{format}: a client secret was written");
        for secret in &secrets {
            assert!(!said.contains(&secret[..secret.len() - 1]), "{format}: a secret or token was written");
        }
        assert!(!said.contains(BEGINNING), "{format}: the beginning of a token was written");
    }
}
