//! The minimum for a token endpoint with actix: read a form and Basic credentials, hash the secret, sign claims with a
//! ring key, reply. One path, no rules, no log, no metrics.

use std::collections::HashMap;
use std::io::Write as _;

use actix_web::http::header;
use actix_web::web::{self, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

struct Bare {
    key: EcdsaKeyPair,
    pepper: hmac::Key,
    random: SystemRandom,
}

/// Serves on a free port, which it prints, with one worker.
pub(crate) fn serve() {
    let random = SystemRandom::new();
    let alg = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(alg, &random).expect("a key");
    let key = EcdsaKeyPair::from_pkcs8(alg, pkcs8.as_ref(), &random).expect("a key");
    let pepper = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
    let bare = Data::new(Bare { key, pepper, random });
    actix_web::rt::System::new().block_on(async move {
        let server = HttpServer::new(move || {
            App::new().app_data(bare.clone()).route("/oauth2/token", web::post().to(token))
        });
        let server = server.workers(1).bind("127.0.0.1:0").expect("a free port");
        println!("{}", server.addrs().first().expect("an address"));
        std::io::stdout().flush().expect("the address is printed");
        server.run().await.expect("it serves");
    });
}

async fn token(request: HttpRequest, body: web::Bytes, bare: Data<Bare>) -> HttpResponse {
    let form: HashMap<_, _> = form_urlencoded::parse(&body).collect();
    let basic = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.as_bytes().strip_prefix(b"Basic "));
    let (Some("client_credentials"), Some(basic)) = (form.get("grant_type").map(AsRef::as_ref), basic) else {
        return HttpResponse::BadRequest().finish();
    };
    let credentials = STANDARD.decode(basic).expect("base64");
    let credentials = std::str::from_utf8(&credentials).expect("text");
    let (client_id, secret) = credentials.split_once(':').expect("a colon");
    let mac = hmac::sign(&bare.pepper, secret.as_bytes());
    // About as many claims as a real token has; the MAC takes part so that it is not optimised away.
    let claims = format!(
        r#"{{"iss":"http://127.0.0.1:8080","sub":"{client_id}","client_id":"{client_id}","aud":"http://127.0.0.1:8080/products","iat":1790000000,"exp":1790003600,"jti":"{}","scope":"e-invoicing gst","workspace_id":"acme-in","products":["e-invoicing","gst"],"status":{{"status_list":{{"idx":4711,"uri":"http://127.0.0.1:8080/oauth2/status-lists/1"}}}}}}"#,
        URL_SAFE_NO_PAD.encode(mac.as_ref().get(..16).expect("32 bytes"))
    );
    let mut jwt = String::with_capacity(960);
    jwt.push_str("eyJhbGciOiJFUzI1NiIsImtpZCI6IkFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUEiLCJ0eXAiOiJhdCtqd3QifQ.");
    URL_SAFE_NO_PAD.encode_string(&claims, &mut jwt);
    let signature = bare.key.sign(&bare.random, jwt.as_bytes()).expect("a signature");
    jwt.push('.');
    URL_SAFE_NO_PAD.encode_string(signature.as_ref(), &mut jwt);
    let reply = format!(
        r#"{{"access_token":"{jwt}","token_type":"Bearer","expires_in":3600,"scope":"e-invoicing gst"}}"#
    );
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(reply)
}
