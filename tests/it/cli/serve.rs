//! `mintmark serve`: what it logs when it starts, how it stops, and where it listens.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use super::process::{Place, Running, Serving, client, text};
use crate::support::{Engine, on_both_engines, until};

on_both_engines!(
    a_first_start_logs_what_an_operator_must_know,
    a_stop_finishes_requests_in_flight,
    a_stop_does_not_disturb_jobs_that_use_the_database,
    management_has_a_separate_address_if_configured,
);

async fn a_first_start_logs_what_an_operator_must_know(engine: Engine) {
    let place = Place::new(engine);
    let serving = place.serve();
    let start = &serving.start;
    assert_eq!(text(start, "version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(text(start, "issuer"), serving.base, "the issuer follows from the port that was chosen");
    assert_eq!(text(start, "engine"), if engine == Engine::Sqlite { "SQLite" } else { "PostgreSQL" });
    assert_eq!(text(start, "master_key"), "data/master.key");
    let key = place.path("data/master.key");
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let before = serving.running.stderr.text();
    assert!(before.contains("NEW MASTER KEY") && before.contains(key.to_str().unwrap()), "{before}");
    assert_eq!(serving.get("/readyz").await.status(), 200);
    let metadata: serde_json::Value =
        serving.get("/.well-known/oauth-authorization-server").await.json().await.unwrap();
    assert_eq!(text(&metadata, "issuer"), serving.base);
    let ran = serving.stop();
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{ran:?}");
    assert!(ran.stderr.contains("mintmark bootstrap"), "{ran:?}");

    let place = place.with("MINTMARK__SERVER__PUBLIC_URL", "http://127.0.0.1:8080");
    place.run(&["bootstrap"]).must_succeed();
    let serving = place.serve();
    assert_eq!(text(&serving.start, "issuer"), "http://127.0.0.1:8080");
    let ran = serving.stop();
    assert!(!ran.stderr.contains("MASTER KEY") && !ran.stderr.contains("bootstrap"), "{ran:?}");
}

async fn a_stop_finishes_requests_in_flight(engine: Engine) {
    for signal in ["TERM", "INT"] {
        let place = Place::new(engine);
        let serving = place.serve();
        let mut request = HalfSent::to(&serving);
        let Serving { mut running, base, .. } = serving;
        running.signal(signal);
        running.stderr.wait_for("finishing requests in flight");
        let reply = request.finish();
        assert!(reply.starts_with("HTTP/1.1 401 "), "{reply}");
        assert!(reply.contains("invalid_client"), "{reply}");
        let ran = running.wait();
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.stderr.contains("\"message\":\"stopped\""), "{ran:?}");
        assert!(TcpStream::connect(base.strip_prefix("http://").unwrap()).is_err());
    }
}

/// The jobs use database connections that requests have opened. These must stay open when the server accepts no more requests.
async fn a_stop_does_not_disturb_jobs_that_use_the_database(engine: Engine) {
    let place = Place::with_issuer(engine);
    let made = place.json(&["bootstrap", "--json"]);
    for _ in 0..4 {
        let serving = place.serve();
        let unknown: Vec<_> = (0..8).map(|number| format!("cl_{number:022}")).collect();
        let requests = unknown.iter().map(|id| serving.token(id, text(&made, "client_secret"), ""));
        for answer in futures_util::future::join_all(requests).await {
            assert_eq!(answer.status(), 401);
        }
        let ran = serving.stop();
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(!ran.stderr.contains("\"ERROR\"") && !ran.stderr.contains("\"WARN\""), "{}", ran.stderr);
    }
}

/// If a job is stopped while it commits, nobody knows whether the database keeps the transaction or rolls it back.
#[tokio::test]
async fn a_stop_waits_for_the_commit_of_a_job() {
    let place = Place::with_issuer(Engine::Postgres);
    place.run(&["bootstrap"]).must_succeed();
    let Serving { mut running, base, .. } = place.serve();
    let mut holder = place.session().await;
    holder
        .execute(
            "CREATE FUNCTION slow_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 PERFORM pg_advisory_xact_lock(7); RETURN NULL;
             END $$;
             CREATE CONSTRAINT TRIGGER slow_disk AFTER UPDATE ON service_state
                 DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow_disk();
             SELECT pg_advisory_lock(7)",
        )
        .await;
    // The heartbeat, a job that updates `service_state`, waits for the lock in its commit.
    place.someone_waits().await;
    running.signal("TERM");
    running.stderr.wait_for("finishing requests in flight");
    let address = base.strip_prefix("http://").unwrap();
    until("no more connections are accepted", async || TcpStream::connect(address).is_err()).await;
    holder.execute("SELECT pg_advisory_unlock(7)").await;
    let ran = running.wait();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(!ran.stderr.contains("\"ERROR\"") && !ran.stderr.contains("\"WARN\""), "{}", ran.stderr);
}

#[test]
fn a_second_signal_stops_at_once() {
    let place = Place::new(Engine::Sqlite);
    let serving = place.serve();
    let _request = HalfSent::to(&serving);
    let mut running: Running = serving.running;
    running.signal("TERM");
    running.stderr.wait_for("finishing requests in flight");
    running.signal("TERM");
    let ran = running.wait();
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("stopped at once"), "{ran:?}");
    assert_eq!(
        place.serve().stop().code,
        0,
        "nothing is left behind that keeps a server from starting again"
    );
}

#[test]
fn the_program_serves_when_no_command_is_given() {
    let place = Place::new(Engine::Sqlite);
    let mut running = place.start(&[]);
    running.stderr.wait_for("\"message\":\"serving\"");
    running.signal("TERM");
    assert_eq!(running.wait().code, 0);
}

#[test]
fn a_port_in_use_is_reported_and_nothing_is_created() {
    for setting in ["LISTEN", "MANAGEMENT_LISTEN"] {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let variable = format!("MINTMARK__SERVER__{setting}");
        let place = Place::with_issuer(Engine::Sqlite).with(&variable, &address);
        let name = format!("server.{}", setting.to_lowercase());
        place
            .run(&["serve"])
            .must_fail(1, &[&name, &address, "choose another port", &format!("{variable}=")]);
        assert!(!place.path("data").exists());
    }
}

async fn management_has_a_separate_address_if_configured(engine: Engine) {
    for issuer in ["", "http://127.0.0.1:8080"] {
        let place = Place::new(engine)
            .with("MINTMARK__SERVER__MANAGEMENT_LISTEN", "127.0.0.1:0")
            .with("MINTMARK__SERVER__PUBLIC_URL", issuer);
        let serving = place.serve();
        let management = text(&serving.start, "management_listen");
        assert_ne!(management, serving.address());
        // The origin of the console has the port that the system chose.
        let page = format!("http://{management}/console/sign-in");
        for (origin, says) in [
            (format!("http://{management}"), "This form is out of date"),
            (format!("http://{}", serving.address()), "This form was not sent from the console"),
        ] {
            let form = client().post(&page).header("origin", &origin).form(&[("csrf", "")]);
            let reply = form.send().await.unwrap().text().await.unwrap();
            assert!(reply.contains(says), "{origin}: {reply}");
        }
        assert_eq!(serving.stop().code, 0);
    }
}

#[test]
fn the_limit_of_open_files_is_raised_or_reported() {
    let place = Place::new(Engine::Sqlite).with("MINTMARK__SERVER__MAX_CONNECTIONS", "500");
    // The soft limit may be raised up to the hard one.
    let mut running = place.serve_within("-Sn 300");
    running.stderr.wait_for("\"message\":\"serving\"");
    running.stderr.wait_for("no API client may manage");
    // The line `serving` is written just before the limit is raised. SIGHUP is answered only after that.
    running.signal("HUP");
    running.stderr.wait_for("no TLS certificate");
    assert!(running.open_files() > 500, "{}", running.open_files());
    running.signal("TERM");
    let ran = running.wait();
    assert!(ran.code == 0 && !ran.stderr.contains("may open fewer files"), "{ran:?}");
    let mut running = place.serve_within("-n 300");
    let line = running.stderr.wait_for("may open fewer files");
    for part in ["WARN", "\"open_files\":300", "server.max_connections", "LimitNOFILE"] {
        assert!(line.contains(part), "{line}");
    }
    let same = Place::with_issuer(Engine::Sqlite).with("MINTMARK__SERVER__MAX_CONNECTIONS", "500");
    let checked = same.run(&["check", "--connect"]).must_succeed().stdout;
    let needed = line.split("\"needed\":").nth(1).unwrap().split(',').next().unwrap();
    assert!(checked.contains(&format!("and up to {needed} may be needed")), "{needed}: {checked}");
    running.signal("TERM");
    assert_eq!(running.wait().code, 0);
}

/// A token request whose head the server has read and whose body is not sent yet.
struct HalfSent(TcpStream);

impl HalfSent {
    const BODY: &str = "grant_type=client_credentials&client_id=cl_0&client_secret=x";

    fn to(serving: &Serving) -> Self {
        let mut stream = TcpStream::connect(serving.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        write!(
            stream,
            "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
            Self::BODY.len()
        )
        .unwrap();
        // The server sends this when it has read the head.
        let mut interim = [0; 25];
        stream.read_exact(&mut interim).unwrap();
        assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
        Self(stream)
    }

    /// Sends the rest; returns the reply, to the end of the connection.
    fn finish(&mut self) -> String {
        self.0.write_all(Self::BODY.as_bytes()).unwrap();
        let mut reply = String::new();
        self.0.read_to_string(&mut reply).unwrap();
        reply
    }
}
