//! How fast tokens come out, beside how fast they could: the release server on one core against a bare actix loop that
//! only parses, hashes, signs with the same kind of ring key and replies, both asked by one generator on another core;
//! and recorded tokens (here never-expiring ones, each durable before its reply) beside stateless ones.
//!
//! `cargo bench --bench load` measures requests a second and latencies and prints the ratios, then the time from a cold
//! start to the first token, and resident memory with 10,000 clients in use. Absolute numbers belong to the machine;
//! the ratio is the figure.
#![expect(clippy::expect_used, clippy::panic, reason = "a measurement that cannot go on says so")]
#![expect(
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "shares of a few million samples"
)]
#![expect(clippy::disallowed_methods, reason = "time is what is measured here")]

mod bare;
mod generate;
mod mintmark_server;
mod process;

use std::time::Duration;

use generate::{Report, Target};
use mintmark_server::{Client, Mintmark};

/// Connections held open, each with one request at a time.
const CONNECTIONS: usize = 64;
/// How long each turn is measured, after a shorter one to warm up.
const MEASURED: Duration = Duration::from_secs(8);
const WARM_UP: Duration = Duration::from_secs(2);
/// Turns for each server, taken alternately so that both see the same machine.
const TURNS: usize = 3;
/// Clients in use when memory is read.
const CLIENTS: usize = 10_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("bare") => bare::serve(),
        Some("generate") => generate::child(arguments),
        _ => compare(),
    }
}

fn compare() {
    let bare = process::Server::bare();
    let mintmark = Mintmark::start();
    let client = mintmark.clients.first().expect("a client was made");
    let token = |address: &str, client: &Client| Target {
        address: address.to_owned(),
        client_id: client.client_id.clone(),
        client_secret: client.client_secret.clone(),
    };
    let server = &mintmark.server.address;
    let targets = [
        ("bare actix loop", token(&bare.address, client)),
        ("mintmark", token(server, client)),
        ("mintmark, recorded", token(server, &mintmark.never_expiring)),
    ];
    let mut reports: [Vec<Report>; 3] = [const { Vec::new() }; 3];
    for _ in 0..TURNS {
        for (target, reports) in targets.iter().zip(&mut reports) {
            generate::on_the_other_core(&target.1, CONNECTIONS, WARM_UP);
            reports.push(generate::on_the_other_core(&target.1, CONNECTIONS, MEASURED));
        }
    }
    println!("ES256 tokens, {CONNECTIONS} connections, each server on one core, best of {TURNS} turns:");
    println!("{:<18} {:>12} {:>10} {:>10}", "", "requests/s", "p50 ms", "p99 ms");
    let mut best = Vec::new();
    for ((name, _), reports) in targets.iter().zip(&reports) {
        let report = reports.iter().max_by(|a, b| a.per_second.total_cmp(&b.per_second)).expect("measured");
        println!("{name:<18} {:>12.0} {:>10.2} {:>10.2}", report.per_second, report.p50_ms, report.p99_ms);
        best.push(report.per_second);
    }
    println!("stateless to bare  {:>12.2}", best[1] / best[0]);
    println!("recorded to stateless {:>9.2}", best[2] / best[1]);
    let (tokens, commits) = mintmark.recorded_tokens_and_commits();
    println!("recorded tokens to a durable commit {:.1}", tokens / commits);
    println!();
    let used = mintmark.use_every_client();
    println!(
        "resident memory    bare {:.1} MB, mintmark with {used} clients in use {:.1} MB",
        bare.resident_mb(),
        mintmark.server.resident_mb()
    );
    drop(mintmark);
    drop(bare);
    println!(
        "cold start         bare {:.0} ms to the first reply, mintmark {:.0} ms to the first token",
        process::cold_start_bare_ms(),
        mintmark_server::cold_start_ms()
    );
}
