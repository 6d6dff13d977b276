//! `log.level`: which events are logged, as a level with exceptions by module.

use std::fmt;
use std::str::FromStr;

use tracing_subscriber::filter::{LevelFilter, Targets};

const OURS: &str = "mintmark";

/// A checked `log.level`, like `info,mintmark::http=warn`.
///
/// A level without a module applies to Mintmark's own modules; libraries log from `warn` up, or less if the level is stricter.
/// A library that is named may log from `info` up. `debug` and `trace` are refused for libraries, because some then log the
/// bytes that they transport, which could include a secret.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLevel {
    text: String,
    targets: Targets,
}

impl LogLevel {
    /// The level as a filter for a subscriber.
    pub fn targets(&self) -> Targets {
        self.targets.clone()
    }
}

impl FromStr for LogLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut targets = Targets::new();
        for directive in text.split(',').map(str::trim) {
            let (target, level) =
                directive.split_once('=').map_or((None, directive), |(t, l)| (Some(t.trim()), l));
            let level = parse_level(level.trim())
                .ok_or_else(|| format!("{directive:?} does not contain a log level"))?;
            targets = match target {
                None => targets.with_default(level.min(LevelFilter::WARN)).with_target(OURS, level),
                Some(target) if !is_module(target) => {
                    return Err(format!("{directive:?} does not start with the path of a module"));
                }
                Some(target) if is_ours(target) || level <= LevelFilter::INFO => {
                    targets.with_target(target, level)
                }
                Some(target) => {
                    return Err(format!("{target} is a library, and below info it may log secrets"));
                }
            };
        }
        Ok(Self { text: text.to_owned(), targets })
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parse_level(name: &str) -> Option<LevelFilter> {
    Some(match name.to_ascii_lowercase().as_str() {
        "off" => LevelFilter::OFF,
        "error" => LevelFilter::ERROR,
        "warn" => LevelFilter::WARN,
        "info" => LevelFilter::INFO,
        "debug" => LevelFilter::DEBUG,
        "trace" => LevelFilter::TRACE,
        _ => return None,
    })
}

fn is_module(target: &str) -> bool {
    target
        .split("::")
        .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
}

// Targets match by prefix of the text, so `mintmarkx` must not count as one of ours.
fn is_ours(target: &str) -> bool {
    target == OURS || target.strip_prefix(OURS).is_some_and(|rest| rest.starts_with("::"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn libraries_log_from_warn_up_or_from_info_up_if_they_are_named() {
        let targets = "trace".parse::<LogLevel>().unwrap().targets();
        assert!(targets.would_enable("mintmark::keys", &Level::TRACE));
        assert!(targets.would_enable("actix_http::h1", &Level::WARN));
        assert!(!targets.would_enable("actix_http::h1", &Level::INFO));
        let targets = "info,actix_server=info".parse::<LogLevel>().unwrap().targets();
        assert!(targets.would_enable("actix_server::worker", &Level::INFO));
        assert!("info,sqlx=debug".parse::<LogLevel>().is_err_and(|why| why.contains("library")));
        assert!("mintmarkx=debug".parse::<LogLevel>().is_err());
    }

    #[test]
    fn a_module_can_have_another_level() {
        let targets = "info, mintmark::http=warn,sqlx=off".parse::<LogLevel>().unwrap().targets();
        assert!(targets.would_enable("mintmark::oauth", &Level::INFO));
        assert!(!targets.would_enable("mintmark::http", &Level::INFO));
        assert!(!targets.would_enable("sqlx::query", &Level::ERROR));
        let targets = "mintmark::keys=debug".parse::<LogLevel>().unwrap().targets();
        assert!(!targets.would_enable("mintmark::oauth", &Level::ERROR));
        assert!(targets.would_enable("mintmark::keys", &Level::DEBUG));
    }

    #[test]
    fn a_text_without_a_level_or_with_a_malformed_module_is_refused() {
        for bad in [
            "",
            "loud",
            "info,",
            "=info",
            "mintmark=",
            "mintmark[x]=info",
            "a b=info",
            "mintmark::=info",
            "3",
        ] {
            assert!(bad.parse::<LogLevel>().is_err(), "{bad}");
        }
    }
}
