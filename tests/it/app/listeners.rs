//! The sockets of the server.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use mintmark::app::Listeners;

/// More than 128, the length of the queue that the standard library asks for.
const BURST: usize = 600;

#[test]
fn a_burst_of_connections_waits_to_be_accepted() {
    let allowed: usize =
        std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap().trim().parse().unwrap();
    assert!(allowed > BURST, "net.core.somaxconn is {allowed}, too low for this test: raise it");
    let listener = Listeners::bind_public(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = listener.local_addr().unwrap();
    // If the queue is full, the system does not answer, and connecting takes a second or more.
    let waiting: Vec<_> = (0..BURST)
        .map(|n| {
            TcpStream::connect_timeout(&address, Duration::from_millis(900))
                .unwrap_or_else(|e| panic!("{n}: {e}"))
        })
        .collect();
    for _ in &waiting {
        listener.accept().unwrap();
    }
}

#[test]
fn an_address_is_bound_by_one_listener_at_a_time() {
    let first = Listeners::bind_public(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = first.local_addr().unwrap();
    assert!(Listeners::bind_public(address).is_err());
    assert!(TcpListener::bind(address).is_err());
    drop(first);
    Listeners::bind_public(address).unwrap();
}

#[test]
fn an_address_of_another_machine_is_refused_with_one_that_works_here() {
    // 192.0.2.0/24 is for documentation (RFC 5737), so no machine has it.
    let error = Listeners::bind_public(SocketAddr::from(([192, 0, 2, 1], 8443))).unwrap_err().to_string();
    assert!(error.contains("for example MINTMARK__SERVER__LISTEN=127.0.0.1:8443"), "{error}");
}
