//! The limit of open files, and what `server.max_connections` needs: with a lower limit the system refuses connections before
//! the setting is reached.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::inspect::Finding;
use crate::config::Settings;

/// Open files of the tokio runtime of each thread that serves requests: an epoll instance and its duplicate, the eventfd that
/// wakes the thread, and the socket that announces signals.
const OF_WORKER: u64 = 4;

/// Open files of the rest of the process, such as logs and connections to other hosts: a generous estimate.
const OTHERS: u64 = 256;

/// Raises the limit as far as the settings need it. If the system does not allow that, the log says so.
pub(super) fn ensure(settings: &Settings) {
    let needed = needed(settings);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(current) = current.filter(|current| *current < needed) else { return };
    let raised = maximum.map_or(needed, |maximum| needed.min(maximum));
    let in_force = match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }) {
        Ok(()) => raised,
        Err(_) => current,
    };
    if in_force < needed {
        tracing::warn!(
            open_files = in_force,
            needed,
            max_connections = settings.server.max_connections,
            "this process may open fewer files than server.max_connections needs: raise the limit (LimitNOFILE= in systemd, \
             --ulimit nofile= in a container), or lower the setting"
        );
    }
}

/// Whether a server with these settings could raise its limit of open files as far as it needs. If it could not, the check
/// still passes: the service works, but with fewer connections.
pub fn inspect_open_files(settings: &Settings) -> Finding {
    finding(needed(settings), getrlimit(Resource::Nofile).maximum)
}

fn finding(needed: u64, maximum: Option<u64>) -> Finding {
    let advice = if maximum.is_none_or(|maximum| maximum >= needed) {
        ""
    } else {
        ": raise the limit (`ulimit -n`, LimitNOFILE= in systemd, --ulimit nofile= in a container), or lower \
         server.max_connections"
    };
    let may = maximum.map_or_else(|| "any number of".to_owned(), |maximum| maximum.to_string());
    Finding {
        what: "open_files",
        ok: true,
        detail: format!("{may} files may be open, and up to {needed} may be needed{advice}"),
    }
}

/// How many files a server with these settings may have open.
fn needed(settings: &Settings) -> u64 {
    let listeners = if settings.server.management_listen.is_some() { 2 } else { 1 };
    let connections = settings.server.max_connections.saturating_mul(listeners);
    let workers = settings.server.workers.saturating_mul(listeners);
    // For each connection SQLite opens the database file, its write-ahead log and the index of that log.
    let database = u64::from(settings.database.max_connections).saturating_mul(3);
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    count(connections)
        .saturating_add(count(workers).saturating_mul(OF_WORKER))
        .saturating_add(database)
        .saturating_add(OTHERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_is_given_only_if_the_limit_is_too_low() {
        let advised = |maximum| finding(1000, maximum).detail.contains("raise the limit");
        assert!(advised(Some(999)) && !advised(Some(1000)) && !advised(None));
    }
    #[test]
    fn each_worker_of_each_listener_adds_the_open_files_of_its_runtime() {
        let needed_by = |settings: &str| needed(&Settings::from_toml_layers(&[settings]).unwrap());
        let one = needed_by("server.workers = 1");
        assert_eq!(needed_by("server.workers = 65") - one, 64 * OF_WORKER);
        let two = "server.management_listen = \"127.0.0.1:8081\"\nserver.workers = ";
        assert_eq!(needed_by(&format!("{two}65")) - needed_by(&format!("{two}1")), 2 * 64 * OF_WORKER);
    }
}
