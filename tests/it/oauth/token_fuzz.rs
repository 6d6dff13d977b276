//! Random requests made of valid, nearly valid and absurd parts (`docs/conformance.md` F1): each gets a token or a well-formed
//! error, none gets a server error, and only a client that has authenticated gets a token.

use super::expect::{FORM, GRANT, TOKEN, basic, issued, pair, refused};
use crate::support::{Engine, Reply, TestApp, Wire, on_both_engines};

on_both_engines!(every_random_request_gets_a_token_or_a_well_formed_error);

const REQUESTS: usize = 600;

/// Pseudo-random numbers, the same in each run, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % sides
    }

    fn one_of<'a>(&mut self, choices: &[&'a [u8]]) -> &'a [u8] {
        choices[self.throw(choices.len())]
    }

    /// Damages a text at a random place, in one case of eight.
    fn damaged(&mut self, mut text: Vec<u8>) -> Vec<u8> {
        if self.throw(8) == 0 && !text.is_empty() {
            let at = self.throw(text.len());
            text[at] = u8::try_from(self.throw(256)).unwrap();
        }
        text
    }
}

async fn every_random_request_gets_a_token_or_a_well_formed_error(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let right = basic(pair(&client));
    let secret = [b"client_secret=", client.client_secret.as_bytes()].concat();
    let id = [b"client_id=", client.client_id.as_bytes()].concat();
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let (mut given, mut statuses) = (0, std::collections::BTreeMap::new());
    for _ in 0..REQUESTS {
        let mut body = Vec::new();
        for n in 0..=dice.throw(4) {
            let part = match (n, dice.throw(6)) {
                (0, 1..) => GRANT.as_bytes(),
                (_, 1..=3) => dice.one_of(&[b"x=%F0%9F%94%91&y", b"=&&=", b"scope=", b"scope=mintmark:read"]),
                _ => dice.one_of(&[b"grant_type=password", b"resource=x", b"%", &id, &secret]),
            };
            body.extend(dice.damaged(part.to_vec()));
            body.push(b'&');
        }
        let mut request = format!("POST {TOKEN} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n").into_bytes();
        for _ in 0..[1, 1, 1, 0, 2][dice.throw(5)] {
            let header = dice.one_of(&[right.as_bytes(), right.as_bytes(), b"Basic Og==", b"Bearer x", b""]);
            // Bytes that end a line would end the header, and NUL is not HTTP.
            let value: Vec<u8> = dice
                .damaged(header.to_vec())
                .into_iter()
                .filter(|b| !matches!(b, b'\r' | b'\n' | 0))
                .collect();
            request.extend([b"Authorization: ".as_slice(), &value, b"\r\n"].concat());
        }
        let media_type = if dice.throw(8) == 0 { b"text/plain".as_slice() } else { FORM.as_bytes() };
        request.extend([b"Content-Type: ".as_slice(), media_type, b"\r\n"].concat());
        request.extend(format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes());
        request.extend(&body);
        let mut wire = Wire::to(&app).await;
        wire.send(&request).await;
        let reply = wire.reply().await;
        *statuses.entry(reply.status).or_insert(0) += 1;
        let shown = String::from_utf8_lossy(&request).into_owned();
        match reply.status {
            200 => {
                given += 1;
                assert_eq!(issued(&reply).claims["sub"], client.client_id.as_str());
                let proved =
                    shown.contains(&client.client_secret) || shown.contains(right.trim_end_matches('='));
                assert!(proved && shown.contains(GRANT), "{shown}");
            }
            // Control characters in a header are not HTTP; the server answers before our code.
            400 if reply.body.is_empty() => assert!(shown.contains("Authorization"), "{shown}"),
            status => {
                assert!([400, 401, 429].contains(&status), "{shown}: {reply:?}");
                refused(&reply, status, reply.json()["error"].as_str().unwrap());
            }
        }
    }
    // Enough requests got each of these statuses.
    assert!(given >= 20 && statuses[&400] >= 100 && statuses[&401] >= 20, "{statuses:?}");
    // A minute later no failed attempt counts any more, and the client gets a token.
    app.clock.advance(60);
    issued(&Reply::to(super::expect::post_as(&app, &client, GRANT)).await);
    app.stop().await;
}
