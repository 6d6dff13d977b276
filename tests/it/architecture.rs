//! The rules of the house, read from the sources: which room may use which, which crate belongs where, how a file opens.

use std::fs;
use std::path::Path;

/// Which rooms a room may use besides itself. `app`, `routes`, `lib` and `main` put the house together and see all.
const ROOMS: [(&str, &[&str]); 22] = [
    ("oauth", DOOR),
    ("manage", DOOR),
    ("console", DOOR),
    ("docs", DOOR),
    // The command line also starts the service.
    (
        "cli",
        &[
            "services",
            "issuance",
            "signing",
            "tokens",
            "tenants",
            "clients",
            "ledger",
            "kernel",
            "vault",
            "model",
            "config",
            "telemetry",
            "app",
        ],
    ),
    ("http", &["model", "config", "telemetry"]),
    (
        "services",
        &[
            "issuance", "signing", "tokens", "tenants", "clients", "ledger", "kernel", "vault", "storage",
            "model",
        ],
    ),
    (
        "issuance",
        &["signing", "tokens", "clients", "ledger", "kernel", "vault", "storage", "model", "config"],
    ),
    ("signing", &["clients", "ledger", "kernel", "vault", "storage", "model"]),
    ("tokens", &["clients", "ledger", "kernel", "vault", "storage", "model"]),
    ("tenants", &["clients", "ledger", "kernel", "vault", "storage", "model"]),
    ("clients", &["ledger", "kernel", "vault", "storage", "model"]),
    ("ledger", &["kernel", "vault", "storage", "model"]),
    ("kernel", &["vault", "storage", "model"]),
    ("vault", &["model"]),
    ("storage", &["model"]),
    ("model", &[]),
    ("delivery", WORKER),
    ("jobs", WORKER),
    ("config", &["model"]),
    ("telemetry", &["model", "config"]),
    ("tls", &["config"]),
];

/// A door reaches storage through a service only, where the access rule is, and never another door.
const DOOR: &[&str] = &[
    "http",
    "services",
    "issuance",
    "signing",
    "tokens",
    "tenants",
    "clients",
    "ledger",
    "kernel",
    "vault",
    "model",
    "config",
    "telemetry",
];
const WORKER: &[&str] = &[
    "services", "issuance", "signing", "tokens", "tenants", "clients", "ledger", "kernel", "storage", "model",
];

const SEE_ALL: [&str; 4] = ["app", "routes", "lib", "main"];

const CRYPTOGRAPHY: &[&str] = &["issuance", "signing", "vault", "clients/secrets", "oauth/authenticate"];

/// Where a crate may be used: rooms, or parts of one.
const CRATES: [(&str, &[&str]); 6] = [
    ("sqlx", &["storage"]),
    ("actix_web", &["oauth", "manage", "console", "cli", "docs", "app", "routes", "telemetry"]),
    ("jsonwebtoken", CRYPTOGRAPHY),
    ("ring", CRYPTOGRAPHY),
    ("aws_lc_rs", CRYPTOGRAPHY),
    ("lettre", &["delivery"]),
];

const DRAWERS: [&str; 4] = ["utils", "common", "types", "helpers"];

#[test]
fn the_house_keeps_its_rules() {
    let mut broken = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut |file, text| {
        broken.extend(broken_rules(file, text));
    });
    assert!(broken.is_empty(), "{} broken:\n{}", broken.len(), broken.join("\n"));
}

#[test]
fn a_broken_rule_is_found() {
    for (file, text, found) in [
        ("oauth/token.rs", "use crate::storage::Storage;", "`oauth` may not use `storage`"),
        (
            "oauth/authenticate/mod.rs",
            "use crate::{model, manage::{self, page}};",
            "`oauth` may not use `manage`",
        ),
        ("manage/page.rs", "fn f() -> crate::storage::Tx {}", "`manage` may not use `storage`"),
        ("model/client.rs", "use super::super::vault::random;", "`model` may not use `vault`"),
        ("storage/mod.rs", "use super::services;", "`storage` may not use `services`"),
        ("signing/ring.rs", "/* \" */ use sqlx::query;", "crate `sqlx`"),
        ("clients/lifecycle.rs", "let x = ring::digest::digest();", "crate `ring`"),
        ("attic/mod.rs", "", "`attic` has no rule"),
        ("manage/helpers.rs", "", "`helpers`"),
        ("model/page.rs", "#[allow(dead_code)]", "`expect` with a reason"),
    ] {
        let broken = broken_rules(file, &format!("//! A file.\n{text}\n"));
        assert!(broken.len() == 1 && broken[0].contains(found), "{file}: {text}: {broken:?}");
    }
    assert_eq!(broken_rules("model/page.rs", "fn f() {}").len(), 1, "no opening comment");
    for (file, text) in [
        ("clients/secrets.rs", "use ring::hmac;"),
        ("manage/page.rs", "use crate::signing::ring; fn f() { ring::snapshot(); }"),
        (
            "oauth/token.rs",
            "// use crate::storage;\nconst A: &str = \"crate::storage\"; const B: char = '\"';",
        ),
        ("oauth/token.rs", "const A: &str = r#\"a\" crate::storage::x\"#; fn f<'a>(x: &'a str) {}"),
        ("oauth/authenticate/secret.rs", "use super::super::form::Form; use crate::oauth::error;"),
        ("app.rs", "use crate::{oauth, storage};"),
    ] {
        assert_eq!(broken_rules(file, &format!("//! A file.\n{text}\n")), [""; 0], "{file}: {text}");
    }
}

fn walk(folder: &Path, inside: &str, visit: &mut impl FnMut(&str, &str)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{inside}{}", path.file_name().unwrap().to_string_lossy());
        if path.is_dir() {
            walk(&path, &format!("{name}/"), visit);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            visit(&name, &fs::read_to_string(&path).unwrap());
        }
    }
}

/// The rules that a file of `src` breaks, each in a line that names it.
fn broken_rules(file: &str, text: &str) -> Vec<String> {
    let module: Vec<&str> = file.trim_end_matches(".rs").trim_end_matches("/mod").split('/').collect();
    let room = module[0];
    let mut broken = Vec::new();
    if !text.starts_with("//!") {
        broken.push("opens without a `//!` comment that says what it answers and for whom".to_owned());
    }
    if let Some(drawer) = DRAWERS.iter().find(|drawer| module.contains(drawer)) {
        broken.push(format!("is named `{drawer}`: name it by what it holds"));
    }
    let code = code_only(text);
    if code.split_whitespace().collect::<String>().contains("[allow(") {
        broken.push("has an `allow` attribute: use `expect` with a reason".to_owned());
    }
    let paths = paths(&code);
    match ROOMS.iter().find(|(name, _)| *name == room) {
        None if SEE_ALL.contains(&room) => {}
        None => broken.push(format!("`{room}` has no rule: add it to tests/it/architecture.rs")),
        Some((_, may_use)) => {
            for used in paths.iter().filter_map(|path| room_of(path, &module)).filter(|used| *used != room) {
                let known = SEE_ALL.contains(&used) || ROOMS.iter().any(|(name, _)| *name == used);
                if known && !may_use.contains(&used) {
                    broken.push(format!("`{room}` may not use `{used}`, only {may_use:?}"));
                }
            }
        }
    }
    for (name, places) in CRATES {
        // A module of ours may have the name of a crate.
        let ours = paths
            .iter()
            .any(|path| path.len() > 1 && path.last() == Some(&name) && room_of(path, &module).is_some());
        let used = paths.iter().any(|path| path.len() > 1 && path[0] == name) && !ours;
        let here = module.join("/");
        if used && !places.iter().any(|place| here == *place || here.starts_with(&format!("{place}/"))) {
            broken.push(format!("the crate `{name}` may be used only in {places:?}"));
        }
    }
    broken.sort_unstable();
    broken.dedup();
    broken.into_iter().map(|rule| format!("src/{file}: {rule}")).collect()
}

/// The room that a path from within `module` leads to; `None` for a path into a crate or to something near.
fn room_of<'a>(path: &[&'a str], module: &[&'a str]) -> Option<&'a str> {
    match path {
        ["crate", room, ..] => Some(room),
        ["super", ..] => {
            let up = path.iter().take_while(|part| **part == "super").count();
            if up < module.len() { Some(module[0]) } else { path.get(up).copied() }
        }
        _ => None,
    }
}

/// Every path in the code as its parts; those in the braces of a `use` with what stands before the braces.
fn paths(code: &str) -> Vec<Vec<&str>> {
    let mut found = Vec::new();
    let mut before: Vec<Vec<&str>> = vec![Vec::new()];
    let mut path: Vec<&str> = Vec::new();
    let mut goes_on = false;
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let length = if rest.starts_with("::") {
            2
        } else {
            rest.find(|c| !is_part(c)).unwrap_or(rest.len()).max(first.len_utf8())
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        if token == "::" {
            goes_on = true;
            continue;
        }
        if first.is_whitespace() {
            continue;
        }
        let opens_group = token == "{" && goes_on;
        let goes_on_here = opens_group || (goes_on && is_part(first));
        if !goes_on_here && !path.is_empty() {
            let group = before.last().unwrap();
            found.push(group.iter().copied().chain(path.drain(..)).collect());
        }
        goes_on = false;
        match token {
            "{" if opens_group => {
                let group = before.last().unwrap().iter().copied().chain(path.drain(..)).collect();
                before.push(group);
            }
            "{" => before.push(Vec::new()),
            "}" if before.len() > 1 => drop(before.pop()),
            _ if is_part(first) => path.push(token),
            _ => {}
        }
    }
    found
}

/// The text without comments and without what stands in quotes.
fn code_only(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let hashes = rest.strip_prefix('r').map_or(0, |raw| raw.len() - raw.trim_start_matches('#').len());
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if first == 'r'
            && rest[1 + hashes..].starts_with('"')
            && !code.ends_with(char::is_alphanumeric)
        {
            let end = format!("\"{}", "#".repeat(hashes));
            let start = 2 + hashes;
            rest[start..].find(&end).map_or(rest.len(), |found| start + found + end.len())
        } else if first == '"' {
            quoted(rest, '"')
        } else if first == '\'' && (rest[1..].starts_with('\\') || rest.chars().nth(2) == Some('\'')) {
            quoted(rest, '\'')
        } else {
            code.push(first);
            first.len_utf8()
        };
        rest = &rest[skipped..];
    }
    code
}

/// The length of the quoted text that `rest` begins with.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    let end = rest.char_indices().skip(1).find(|&(_, c)| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    end.map_or(rest.len(), |(at, _)| at + 1)
}
