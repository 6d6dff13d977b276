//! What the log says when something cannot be signed.

use std::sync::{Arc, Mutex};

use mintmark::config::Settings;
use mintmark::issuance::IssueError;
use mintmark::telemetry::logs::{self, Output};
use serde::ser::{Error as _, Serialize, Serializer};

use super::Place;
use crate::support::{Engine, on_both_engines};

on_both_engines!(a_reply_that_cannot_be_signed_is_logged_once_as_such);

/// A log that stays in memory.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<String>>);

impl Output for Memory {
    fn write_line(&self, line: &str, _urgent: bool) {
        self.0.lock().unwrap().push_str(line);
    }
}

/// A reply that cannot be written as JSON.
struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("no JSON"))
    }
}

async fn a_reply_that_cannot_be_signed_is_logged_once_as_such(engine: Engine) {
    let place = Place::new(engine);
    let services = place.services().await;
    let memory = Memory::default();
    let settings = Settings::from_toml_layers(&[""]).unwrap().log;
    let outcome = tracing::subscriber::with_default(logs::subscriber(&settings, memory.clone()), || {
        services.issuer.sign_introspection("cl_1", &Unwritable)
    });
    assert!(matches!(outcome, Err(IssueError::NotSigned)), "{outcome:?}");
    let text = memory.0.lock().unwrap().clone();
    assert_eq!(text.lines().count(), 1, "{text}");
    // Lines with this field are limited to one a second.
    assert!(text.contains("failure=signing"), "{text}");
}
