//! Measures a verification against ring's bare ES256 verification of the same bytes, in the same run: for a new token, and
//! for a remembered one. `cargo bench -p mintmark-verifier` prints the times. They depend on the machine, so the only
//! assertion is that the tokens are valid.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a benchmark that fails should stop with the reason"
)]

use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::{Compression, write::ZlibEncoder};
use mintmark_verifier::{Fetch, FetchFuture, Fetched, Request, Verifier, VerifierBuilder};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use serde_json::{Value, json};
use std::io::Write as _;

const ISSUER: &str = "https://tokens.example.com";
const AUDIENCE: &str = "https://api.example.com";
const LIST: &str = "https://tokens.example.com/oauth2/status-lists/3";
const NOW: i64 = 1_790_000_000;
/// As long as the `kid` of Mintmark, which is a thumbprint.
const KID: &str = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
/// How many tokens are verified in turn.
const TOKENS: usize = 100;
/// How often all of them are verified. The best round of each kind counts, because other load only makes rounds slower.
const ROUNDS: usize = 300;

/// Answers from memory, at once.
struct Memory {
    jwks: String,
    list: String,
}

impl Fetch for Memory {
    fn get<'a>(&'a self, request: Request<'a>) -> FetchFuture<'a> {
        let body = match request.url {
            LIST => self.list.clone(),
            url if url.ends_with("/jwks") => self.jwks.clone(),
            _ => json!({"issuer": ISSUER, "jwks_uri": format!("{ISSUER}/jwks")}).to_string(),
        };
        Box::pin(async move { Ok(Fetched { status: 200, body: body.into(), ..Fetched::default() }) })
    }
}

struct Signer {
    random: SystemRandom,
    pair: EcdsaKeyPair,
}

impl Signer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
        Self { random, pair }
    }

    fn jwk(&self) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": KID, "x": x, "y": y})
    }

    fn sign(&self, typ: &str, claims: &Value) -> String {
        let header = URL_SAFE_NO_PAD.encode(json!({"alg": "ES256", "kid": KID, "typ": typ}).to_string());
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.pair.sign(&self.random, signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A token like those that the service issues.
    fn token(&self, n: usize) -> String {
        let client = "cl_7Hq2mXw0pRk4TzVb8NcYdL";
        let claims = json!({
            "iss": ISSUER, "sub": client, "client_id": client, "aud": AUDIENCE, "iat": NOW, "exp": NOW + 3600,
            "jti": format!("bY7qk0Zr5sX2wVtPl{n:05}"), "scope": "e-invoicing gst", "workspace_id": "acme-in",
            "products": ["e-invoicing", "gst"],
            "status": {"status_list": {"idx": n * 131, "uri": LIST}},
        });
        self.sign("at+jwt", &claims)
    }

    /// A list of 131,072 entries of 2 bits. One in a hundred is revoked, but none of the tokens that are verified.
    fn list(&self) -> String {
        let mut bytes = vec![0_u8; 131_072 / 4];
        for idx in (0..131_072_usize).step_by(100).filter(|idx| idx % 131 != 0) {
            bytes[idx / 4] |= 1 << (idx % 4 * 2);
        }
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
        zlib.write_all(&bytes).unwrap();
        let lst = URL_SAFE_NO_PAD.encode(zlib.finish().unwrap());
        let claims = json!({"sub": LIST, "iat": NOW, "exp": NOW + 3600, "ttl": 60,
            "status_list": {"bits": 2, "lst": lst}});
        self.sign("statuslist+jwt", &claims)
    }
}

/// How long a round over all tokens takes.
#[expect(clippy::disallowed_methods, reason = "the benchmark measures time")]
fn time(round: &dyn Fn()) -> Duration {
    let start = Instant::now();
    round();
    start.elapsed()
}

/// The result of a future that is ready at once.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future is pending"),
    }
}

fn main() {
    let signer = Signer::new();
    let builder = || -> VerifierBuilder {
        let fetch = Memory { jwks: json!({"keys": [signer.jwk()]}).to_string(), list: signer.list() };
        Verifier::builder(ISSUER, AUDIENCE).require_product("gst").fetch(fetch).clock(|| NOW)
    };
    let tokens: Vec<String> = (0..TOKENS).map(|n| signer.token(n)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    // A verifier that remembers only one token has to check the signature of each token again.
    let [full, remembering] = [1, 10_000].map(|count| builder().remember_tokens(count).build().unwrap());
    // After this, keys and list are cached.
    for verifier in [&full, &remembering] {
        for token in &tokens {
            runtime.block_on(verifier.verify(token)).unwrap();
        }
    }

    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, signer.pair.public_key().as_ref());
    let parts: Vec<(&str, Vec<u8>)> = tokens
        .iter()
        .map(|token| token.rsplit_once('.').unwrap())
        .map(|(signed, signature)| (signed, URL_SAFE_NO_PAD.decode(signature).unwrap()))
        .collect();
    let bare = || {
        for (signed, signature) in &parts {
            key.verify(black_box(signed.as_bytes()), signature).unwrap();
        }
    };
    let all_by = |verifier: &Verifier| {
        for token in &tokens {
            black_box(now(verifier.verify(black_box(token))).unwrap());
        }
    };
    // In turn, so that other load affects all three equally.
    let rounds: [&dyn Fn(); 3] = [&bare, &|| all_by(&full), &|| all_by(&remembering)];
    let mut best = [Duration::MAX; 3];
    for _ in 0..ROUNDS {
        for (best, round) in best.iter_mut().zip(rounds) {
            *best = time(round).min(*best);
        }
    }
    let [bare, full, repeat] = best.map(|best| (best / u32::try_from(TOKENS).unwrap()).as_secs_f64() * 1e6);
    println!("tokens of {} bytes, best of {ROUNDS} rounds over {TOKENS} tokens", tokens[0].len());
    println!("ring's bare ES256 verification  {bare:7.2} µs");
    println!("verify, new token               {full:7.2} µs   {:.2} of ring's rate", bare / full);
    println!("verify, remembered              {repeat:7.2} µs   1/{:.0} of the time above", full / repeat);
}
