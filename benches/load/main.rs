//! How many tokens a second the service issues, compared with a bare actix loop that only parses, hashes, signs with the
//! same kind of ring key and replies. Each server runs on one core, built with the same profile and allocator, and gets its
//! requests from one generator on another core. The service writes its request log to a pipe that is read, as by default.
//!
//! Three loads on the service: one client; 10,000 clients in turn; and recorded tokens (here never-expiring ones), each
//! durable before its reply. `cargo bench --bench load` prints requests a second, latencies and ratios, then resident
//! memory with 10,000 clients in use and the time from a cold start to the first token. Absolute numbers depend on the
//! machine; the ratios are the result.
#![expect(clippy::expect_used, clippy::panic, reason = "a benchmark that fails should stop with the reason")]
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
use mintmark_server::Mintmark;

/// Connections held open, each with one request at a time.
const CONNECTIONS: usize = 64;
/// How long each turn is measured, after a shorter one to warm up.
const MEASURED: Duration = Duration::from_secs(3);
const WARM_UP: Duration = Duration::from_secs(1);
/// How often each load is measured. The loads alternate in many short turns, so that other work on the machine affects all of
/// them alike. The median counts. The service stores its usage counts every five seconds, which falls into about three of five
/// turns.
const TURNS: usize = 15;
/// Clients in use.
const CLIENTS: usize = 10_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("bare") => bare::serve(),
        Some("generate") => generate::child(arguments),
        _ => compare(),
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn compare() {
    let bare = process::Server::bare();
    let mintmark = Mintmark::start();
    let server = &mintmark.server.address;
    let one = &mintmark.clients[..1];
    let never_expiring = std::slice::from_ref(&mintmark.never_expiring);
    let loads = [
        ("bare actix loop", Target { address: &bare.address, clients: one }),
        ("one client", Target { address: server, clients: one }),
        ("10,000 clients", Target { address: server, clients: &mintmark.clients }),
        ("recorded tokens", Target { address: server, clients: never_expiring }),
    ];
    let mut reports = [const { Vec::new() }; 4];
    for turn in 1..=TURNS {
        for ((name, target), reports) in loads.iter().zip(&mut reports) {
            generate::on_the_other_core(target, CONNECTIONS, WARM_UP);
            let report = generate::on_the_other_core(target, CONNECTIONS, MEASURED);
            // Turns that differ much show that other work disturbed the measurement.
            eprintln!("turn {turn}: {name} {:.0}/s", report.per_second);
            reports.push(report);
        }
    }
    println!("ES256 tokens, {CONNECTIONS} connections, each server on one core, medians of {TURNS} turns:");
    println!("{:<18} {:>12} {:>10} {:>10}", "", "requests/s", "p50 ms", "p99 ms");
    for ((name, _), reports) in loads.iter().zip(&reports) {
        let middle = |of: fn(&Report) -> f64| median(reports.iter().map(of));
        let (rate, p50, p99) = (
            middle(|report| report.per_second),
            middle(|report| report.p50_ms),
            middle(|report| report.p99_ms),
        );
        println!("{name:<18} {rate:>12.0} {p50:>10.2} {p99:>10.2}");
    }
    let [bare_loop, one_client, many_clients, recorded] = &reports;
    // Within a turn, because a machine that gets slower or faster over minutes does so for both.
    let ratio = |these: &[Report], those: &[Report]| {
        median(these.iter().zip(those).map(|(this, that)| this.per_second / that.per_second))
    };
    println!("ratios within a turn, medians:");
    println!("one client to the bare loop     {:.3}", ratio(one_client, bare_loop));
    println!("10,000 clients to the bare loop {:.3}", ratio(many_clients, bare_loop));
    println!("10,000 clients to one client    {:.3}", ratio(many_clients, one_client));
    println!("recorded to stateless tokens    {:.3}", ratio(recorded, one_client));
    let (tokens, commits) = mintmark.recorded_tokens_and_commits();
    println!("recorded tokens in one commit   {:.1}", tokens / commits);
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
