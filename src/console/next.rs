//! Where to go after a sign-in: a path of the console, and nothing else.

/// The sections of the console where nobody should land after a sign-in: the sign-in pages, setup links, and `sign-out`, which
/// takes only POST.
const NEVER: [&str; 3] = ["sign-in", "sign-out", "setup"];

/// Whether a part of a path is `.` or `..`, percent-encoded or not. A browser resolves such parts, so that the path would
/// lead elsewhere.
fn is_dotted(segment: &str) -> bool {
    matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
}

/// `wanted`, if it is a path under `base` of at most 2048 bytes, with or without a query; else `base`. Also `base` if a browser
/// would change the path, or if the path is in a section of [`NEVER`].
pub(super) fn next_path(base: &str, wanted: Option<&str>) -> String {
    wanted.filter(|wanted| is_under(base, wanted)).unwrap_or(base).to_owned()
}

fn is_under(base: &str, wanted: &str) -> bool {
    let Some(rest) = wanted.strip_prefix(base) else { return false };
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~%:@!$&'()*+,;=".contains(&b);
    // The router decodes `%73ign-in` before it looks for the route. No section has a name that needs to be encoded.
    let section = path.split('/').nth(1).unwrap_or_default();
    wanted.len() <= 2048
        && (path.is_empty() || path.starts_with('/'))
        && path.bytes().all(plain)
        && query.bytes().all(|b| plain(b) || b == b'?')
        && !["%2f", "%5c", "%00"].iter().any(|hidden| path.to_ascii_lowercase().contains(hidden))
        && !path.contains("//")
        && !path.split('/').any(is_dotted)
        && !section.contains('%')
        && !NEVER.contains(&section)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_under_the_console_are_kept() {
        for path in [
            "/console",
            "/console/account",
            "/console/workspaces/acme/api-clients?search=SAP%20%26%20co&page=2",
            "/console?workspace_id=acme",
            "/console/api-clients/mm_1/tokens",
        ] {
            assert_eq!(next_path("/console", Some(path)), path);
        }
        assert_eq!(next_path("/tenant/console", Some("/tenant/console/help")), "/tenant/console/help");
    }

    #[test]
    fn any_other_address_becomes_the_start_page() {
        for path in [
            "",
            "/",
            "//evil",
            "//evil/console",
            "/\\evil",
            "\\\\evil",
            "https:",
            "https://evil",
            "https:/console",
            "javascript:alert(1)",
            "console",
            "/consoles",
            "/console.evil",
            "/console@evil",
            "/console\\..\\v1",
            "/console/../v1",
            "/console/..",
            "/console/./",
            "/console/%2e%2e/v1",
            "/console/.%2E/v1",
            "/console//evil",
            "/console/%2f/evil",
            "/console/a\nb",
            "/console/a\tb",
            "/console/a b",
            "/console/ä",
            "/console/a#b",
            "/console?a=\r\nb",
            "/console/\u{202e}",
            " /console",
            "/console/sign-in",
            "/console/sign-in?next=/console",
            "/console/sign-out",
            "/console/%73ign-in",
            "/console/sign%2Dout",
            "/console/%73etup/x",
            "/console/setup/x",
            "/v1/operators",
            "/Console",
        ] {
            assert_eq!(next_path("/console", Some(path)), "/console", "{path:?}");
        }
        assert_eq!(next_path("/console", None), "/console");
        assert_eq!(next_path("/tenant/console", Some("/console/account")), "/tenant/console");
        assert_eq!(next_path("/console", Some(&format!("/console/{}", "a".repeat(3000)))), "/console");
    }

    proptest! {
        /// A browser changes an address before it uses it (URL Standard, §4.4): backslashes become slashes, tabs and line
        /// breaks are removed, dots are resolved. In a path that is kept there must be nothing to change.
        #[test]
        fn a_browser_has_nothing_to_resolve(text in "[ -~\\t\\n]{0,40}", prefix in prop::sample::select(vec!["", "/console", "/console/"])) {
            let next = next_path("/console", Some(&format!("{prefix}{text}")));
            let path = next.split('?').next().unwrap_or_default().to_ascii_lowercase().replace("%2e", ".");
            prop_assert!(path == "/console" || path.starts_with("/console/"));
            prop_assert!(!path.contains("//") && !path.contains("/../") && !path.ends_with("/..") && !path.contains("/./"));
            prop_assert!(!next.contains(['\\', '\t', '\n', '\r', ' ', '#', '<', '"']));
        }
    }
}
