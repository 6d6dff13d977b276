//! The lock that lets one process at a time open a SQLite database: users without access to the database cannot hold it, and a
//! process that waits for it says so and can be stopped. Also: who may read a database that was restored.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use super::process::Place;
use crate::support::Engine;

const LOCK: &str = "data/mintmark.db.migrate-lock";
const WAITING: &str = "another process is opening or migrating this database: waiting until it is done";

fn mode(place: &Place, file: &str) -> u32 {
    place.path(file).metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn only_users_of_the_database_can_hold_its_lock() {
    let place = Place::with_issuer(Engine::Sqlite);
    let migrate = "umask 0; exec \"$0\" migrate";
    let migrate = || {
        let mut shell = place.shell();
        let done = shell.args(["-c", migrate, env!("CARGO_BIN_EXE_mintmark")]).status().unwrap();
        assert!(done.success());
    };
    migrate();
    for (file, expected) in [("data", 0o700), ("data/mintmark.db", 0o600), (LOCK, 0o600)] {
        assert_eq!(mode(&place, file), expected, "{file}");
    }
    // The mode of a lock file from an earlier version is corrected.
    std::fs::set_permissions(place.path(LOCK), Permissions::from_mode(0o666)).unwrap();
    migrate();
    assert_eq!(mode(&place, LOCK), 0o600);
    // A group that may write the database can still use the lock.
    std::fs::set_permissions(place.path("data/mintmark.db"), Permissions::from_mode(0o660)).unwrap();
    std::fs::set_permissions(place.path(LOCK), Permissions::from_mode(0o664)).unwrap();
    migrate();
    assert_eq!(mode(&place, LOCK), 0o660);
}

#[test]
fn a_command_waits_for_the_lock_and_says_so() {
    let place = Place::with_issuer(Engine::Sqlite);
    place.run(&["migrate"]).must_succeed();
    let held = File::options().write(true).open(place.path(LOCK)).unwrap();
    held.lock().unwrap();
    let mut listing = place.start(&["products", "list"]);
    listing.stderr.wait_for(WAITING);
    held.unlock().unwrap();
    listing.wait().must_succeed();
}

#[test]
fn a_server_that_waits_for_the_lock_is_stopped_by_signals() {
    for signal in ["TERM", "INT"] {
        let place = Place::with_issuer(Engine::Sqlite);
        place.run(&["migrate"]).must_succeed();
        let held = File::options().write(true).open(place.path(LOCK)).unwrap();
        held.lock().unwrap();
        let mut serving = place.start(&["serve"]);
        serving.stderr.wait_for(WAITING);
        serving.signal(signal);
        serving.wait().must_succeed();
    }
}

#[test]
fn a_restored_database_and_its_folder_are_accessible_only_to_their_owner() {
    let place = Place::with_issuer(Engine::Sqlite);
    place.run(&["migrate"]).must_succeed();
    // `migrate` makes no master key, but this command does.
    place.run(&["products", "list"]).must_succeed();
    place.run(&["backup", "copy.db"]).must_succeed();
    std::fs::rename(place.path("data/master.key"), place.path("master.key")).unwrap();
    std::fs::remove_dir_all(place.path("data")).unwrap();
    let place = place.with("MINTMARK__KEYS__MASTER_KEY_FILE", "master.key");
    let mut shell = place.shell();
    let restore = "umask 0; exec \"$0\" restore copy.db";
    assert!(shell.args(["-c", restore, env!("CARGO_BIN_EXE_mintmark")]).status().unwrap().success());
    assert_eq!(mode(&place, "data"), 0o700);
    assert_eq!(mode(&place, "data/mintmark.db"), 0o600);
}
