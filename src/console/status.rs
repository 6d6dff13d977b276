//! The status of an API client in words, with the reason, and what its record says in sentences.

use super::moment;
use crate::model::client::{ActiveTokens, ApiClient, ClientRecord};
use crate::model::clock::UnixSeconds;
use crate::model::expiry::TokenExpiry;
use crate::model::workspace::Workspace;

/// A client gets a warning if it ends, or the last of its secrets ends, within this many seconds.
const SOON_SECONDS: i64 = 30 * 86_400;

/// A status as a badge: words, a tone for its colour, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) words: &'static str,
    pub(super) tone: &'static str,
    pub(super) reason: String,
}

/// The status of a client, and the reason for it.
pub(super) fn of(record: &ClientRecord, workspace: &Workspace, now: UnixSeconds) -> Status {
    let ClientRecord { client, secrets, last_used_at } = record;
    let status = |words, tone, reason: String| Status { words, tone, reason };
    if let Some(at) = workspace.suspended_at {
        let since = format!("its workspace has been suspended since {}", moment::day(at));
        return status("Suspended", "bad", since);
    }
    if let Some(at) = client.disabled_at {
        return status("Disabled", "bad", moment::ago(now, at));
    }
    if let Some(at) = client.expires_at {
        if at <= now {
            return status("Ended", "bad", format!("on {}", moment::day(at)));
        }
        if at - now < SOON_SECONDS {
            return status("Ends soon", "warn", moment::until(now, at));
        }
    }
    if secrets.is_empty() {
        return status("No secret", "bad", "it cannot get tokens until you add one".to_owned());
    }
    // When the last of its secrets ends.
    let last_end = secrets.iter().map(|secret| secret.expires_at.unwrap_or(UnixSeconds::MAX)).max();
    if let Some(at) = last_end.filter(|at| *at != UnixSeconds::MAX && at - now < SOON_SECONDS) {
        return status("Secret ends soon", "warn", moment::until(now, at));
    }
    if last_used_at.is_none() {
        return status("Never used", "info", "waiting for the first call".to_owned());
    }
    status("Active", "ok", String::new())
}

/// How long tokens are valid: `1 hour`, `Never expires`.
pub(super) fn expiry(expiry: TokenExpiry) -> String {
    match expiry {
        TokenExpiry::After { seconds } => moment::span(seconds),
        TokenExpiry::Never {} => "Never expires".to_owned(),
    }
}

/// How many tokens are valid at a time.
pub(super) fn active_tokens(client: &ApiClient) -> String {
    match client.active_tokens {
        ActiveTokens::Many => "Any number".to_owned(),
        ActiveTokens::AtMost(max) => {
            format!(
                "At most {max}: if the client requests more, the oldest is revoked. Tokens that an operator generates do not count"
            )
        }
        ActiveTokens::Replace { grace_seconds: 0 } => "One: a new token revokes the one before it".to_owned(),
        ActiveTokens::Replace { grace_seconds } => {
            format!("One: a new token revokes the one before it after {}", moment::span(grace_seconds))
        }
    }
}

/// What a client may do, and until when, in words.
pub(super) fn sentence(client: &ApiClient, product_names: &[String]) -> String {
    let mut opens = product_names.to_vec();
    if !client.permissions.is_empty() {
        opens.push("the management API of Mintmark".to_owned());
    }
    let from = if client.allowed_ips.is_empty() {
        "from any address".to_owned()
    } else {
        let networks: Vec<String> = client.allowed_ips.iter().map(|network| shown(*network)).collect();
        format!("from {}", listed(&networks))
    };
    let lifetime = match client.token_expiry {
        TokenExpiry::Never {} => "its tokens are valid until you revoke them".to_owned(),
        TokenExpiry::After { seconds } => format!("its tokens expire after {}", moment::span(seconds)),
    };
    let end = client.expires_at.map(|at| format!(". It ends on {}", moment::exact(at))).unwrap_or_default();
    format!("This client may open {} {from}; {lifetime}{end}.", listed(&opens))
}

/// A network as people write it: a single address without its prefix length.
pub(super) fn shown(network: ipnet::IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() {
        network.addr().to_string()
    } else {
        network.to_string()
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn listed(items: &[String]) -> String {
    match items {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_listed_and_networks_are_shown_as_people_write_them() {
        let items = |names: &[&str]| listed(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(items(&["a"]), "a");
        assert_eq!(items(&["a", "b"]), "a and b");
        assert_eq!(items(&["a", "b", "c"]), "a, b and c");
        assert_eq!(shown("10.0.0.1/32".parse().unwrap()), "10.0.0.1");
        assert_eq!(shown("10.0.0.0/8".parse().unwrap()), "10.0.0.0/8");
    }
}
