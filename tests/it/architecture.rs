//! The rules of the architecture, checked in the sources: which top-level module (directly in `src`) uses which, where each
//! crate is used, and what holds for every file.
//!
//! The lists are exact: a test fails if something is used that is not listed, and if something is listed that is not used.

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use source::{Source, walk};

/// The top-level modules, each with the ones that it uses. A module comes before the ones that it uses, so that there are no
/// cycles.
const MODULES: [(&str, &[&str]); 30] = [
    ("main", &["cli"]),
    (
        "cli",
        &[
            "app",
            "services",
            "issuance",
            "signing",
            "tokens",
            "tenants",
            "operators",
            "webhooks",
            "clients",
            "usage",
            "ledger",
            "kernel",
            "vault",
            "telemetry",
            "config",
            "model",
        ],
    ),
    (
        "app",
        &[
            "routes",
            "oauth",
            "manage",
            "console",
            "http",
            "jobs",
            "services",
            "issuance",
            "delivery",
            "ledger",
            "outbound",
            "kernel",
            "vault",
            "storage",
            "telemetry",
            "tls",
            "config",
            "model",
        ],
    ),
    ("routes", &["oauth", "manage", "console", "docs", "telemetry"]),
    // Doors, where requests arrive: they never use each other, and never storage, which does not check access.
    (
        "oauth",
        &[
            "http",
            "services",
            "issuance",
            "tokens",
            "clients",
            "usage",
            "ledger",
            "kernel",
            "telemetry",
            "config",
            "model",
        ],
    ),
    (
        "manage",
        &[
            "http",
            "services",
            "issuance",
            "signing",
            "tokens",
            "tenants",
            "operators",
            "webhooks",
            "clients",
            "usage",
            "ledger",
            "kernel",
            "vault",
            "telemetry",
            "config",
            "model",
        ],
    ),
    (
        "console",
        &[
            "http",
            "services",
            "issuance",
            "tokens",
            "operators",
            "clients",
            "tenants",
            "webhooks",
            "signing",
            "usage",
            "ledger",
            "outbound",
            "kernel",
            "vault",
            "telemetry",
            "config",
            "model",
        ],
    ),
    ("docs", &[]),
    // What the doors share.
    ("http", &["telemetry", "model"]),
    ("jobs", &["services", "ledger", "kernel", "tls"]),
    (
        "services",
        &[
            "issuance",
            "signing",
            "tokens",
            "tenants",
            "operators",
            "webhooks",
            "clients",
            "reminders",
            "usage",
            "delivery",
            "ledger",
            "outbound",
            "kernel",
            "vault",
            "model",
        ],
    ),
    (
        "issuance",
        &["signing", "tokens", "clients", "ledger", "kernel", "vault", "storage", "config", "model"],
    ),
    ("signing", &["clients", "ledger", "kernel", "vault", "storage", "model"]),
    ("tokens", &["clients", "ledger", "kernel", "storage", "model"]),
    ("tenants", &["clients", "ledger", "kernel", "storage", "model"]),
    ("operators", &["ledger", "kernel", "storage", "model"]),
    ("clients", &["ledger", "usage", "kernel", "storage", "model"]),
    ("reminders", &["ledger", "kernel", "storage", "model"]),
    // Below clients: the cached record of a client holds its counters.
    ("usage", &["ledger", "kernel", "storage", "model"]),
    // Sends what the ledger has queued.
    ("delivery", &["webhooks", "ledger", "outbound", "kernel", "storage", "config", "model"]),
    // Uses outbound, whose rules say which hosts a webhook may name.
    ("webhooks", &["ledger", "outbound", "kernel", "vault", "storage", "model"]),
    ("ledger", &["kernel", "storage", "model"]),
    ("kernel", &["vault", "storage", "model"]),
    // The only module with which the server makes HTTP requests to other hosts.
    ("outbound", &["config"]),
    ("vault", &["model"]),
    ("storage", &["model"]),
    ("telemetry", &["config", "model"]),
    ("tls", &["config"]),
    ("config", &["model"]),
    ("model", &[]),
];

/// Crates that are used only in a few places, each with these places: top-level modules, or modules in them.
const CRATES: [(&str, &[&str]); 17] = [
    ("sqlx", &["storage"]),
    ("actix_web", &["app", "routes", "oauth", "manage", "console", "docs", "http", "telemetry"]),
    ("actix_http", &["app/server"]),
    ("actix_service", &["app/server"]),
    ("socket2", &["app"]),
    ("tokio_rustls", &["app/server"]),
    ("jsonwebtoken", &["signing", "console/sign_in"]),
    ("ring", &["signing", "vault", "operators", "webhooks", "ledger/tree", "console/sign_in"]),
    ("qrcodegen", &["console/sign_in/qr"]),
    ("aws_lc_rs", &["signing"]),
    ("askama", &["console", "delivery/messages"]),
    ("lettre", &["delivery/smtp"]),
    ("argon2", &["operators/passwords"]),
    ("governor", &["kernel/ticks", "oauth/authenticate", "operators/throttle"]),
    ("clap", &["cli"]),
    ("prometheus_client", &["telemetry"]),
    ("reqwest", &["outbound", "cli", "config"]),
];

/// Top-level modules whose files still use each other in a cycle.
const WITH_CYCLES: [&str; 2] = ["oauth", "telemetry"];

/// Names that do not say what is in a file.
const VAGUE_NAMES: [&str; 4] = ["utils", "common", "types", "helpers"];

const LINES_MAX: usize = 400;

/// Folders of `tests/it` that are not named after a top-level module.
const OTHER_TESTS: [&str; 3] = ["architecture", "contract", "support"];

#[test]
fn modules_use_what_is_listed_and_only_that() {
    must_hold(&broken_uses(&SOURCES, &MODULES));
}

#[test]
fn a_module_is_listed_above_those_it_uses() {
    for (at, (module, uses)) in MODULES.iter().enumerate() {
        for used in *uses {
            let below = MODULES[at + 1..].iter().any(|(name, _)| name == used);
            assert!(below, "`{module}` uses `{used}`, which is not below it in MODULES");
        }
    }
}

#[test]
fn crates_are_used_where_they_belong() {
    must_hold(&misplaced_crates(&SOURCES, &CRATES));
}

#[test]
fn files_of_a_module_do_not_use_each_other_in_a_cycle() {
    for (module, _) in MODULES {
        let cycle = cycle(&SOURCES, module);
        if WITH_CYCLES.contains(&module) {
            assert!(cycle.is_some(), "`{module}` has no cycle any more: remove it from WITH_CYCLES");
        } else {
            assert!(cycle.is_none(), "files of `{module}` use each other in a cycle: {cycle:?}");
        }
    }
}

#[test]
fn every_file_has_a_doc_comment_a_clear_name_no_allow_attribute_and_fewer_than_400_lines() {
    must_hold(&SOURCES.iter().flat_map(faults).collect::<Vec<_>>());
}

#[test]
fn lib_rs_describes_every_module_and_folders_of_tests_are_named_after_modules() {
    let map = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let described: Vec<&str> = map.lines().filter(|line| line.starts_with("//!")).collect();
    let described = described.join("\n");
    for (module, _) in MODULES.iter().filter(|(module, _)| *module != "main") {
        assert!(described.contains(&format!("`{module}`")), "src/lib.rs does not say what `{module}` is for");
    }
    for entry in fs::read_dir(root().join("tests/it")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let is_module = MODULES.iter().any(|(module, _)| *module == name);
        let is_file = ["main.rs", "architecture.rs", "conformance.rs", "wording.rs"].contains(&name.as_str());
        let is_known = is_module || is_file || OTHER_TESTS.contains(&name.as_str());
        assert!(is_known, "tests/it/{name} is not named after a top-level module");
    }
}

#[test]
fn cited_markdown_files_exist() {
    let mut missing = Vec::new();
    for folder in ["src", "tests", "benches", "examples", "verifier/src", "verifier/tests"] {
        walk(&root().join(folder), &["rs"], &mut |file, text| {
            for cited in cited(text) {
                let here = Path::new(folder).join(file);
                let beside = here.parent().unwrap().join(cited);
                if ![Path::new(cited.trim_start_matches('/')), &beside]
                    .iter()
                    .any(|path| root().join(path).exists())
                {
                    missing.push(format!("{}: {cited}", here.display()));
                }
            }
        });
    }
    must_hold(&missing);
}

#[test]
fn unlisted_and_unused_modules_are_found() {
    let modules: [(&str, &[&str]); 4] =
        [("oauth", &["model"]), ("manage", &["model"]), ("storage", &["model"]), ("model", &[])];
    let rest =
        [("manage/a.rs", "use crate::model::page;"), ("storage/mod.rs", "use super::model::{page, ids};")];
    let judge = |file: &str, text: &str| {
        let more = [("oauth/b.rs", "use crate::model;"), ("model/mod.rs", ""), (file, text)];
        let sources: Vec<Source> =
            rest.iter().chain(&more).map(|(file, text)| Source::read(file, text)).collect();
        broken_uses(&sources, &modules)
    };
    for (file, text, found) in [
        ("oauth/token.rs", "use crate::storage::Storage;", "`oauth` uses `storage`"),
        ("oauth/authenticate/mod.rs", "use crate::{model, manage::{self, page}};", "`oauth` uses `manage`"),
        ("oauth/token.rs", "mod tests { use super::super::super::storage::Tx; }", "`oauth` uses `storage`"),
        ("oauth/key_tests.rs", "use super::super::super::storage::Tx;", "`oauth` uses `storage`"),
        ("manage/page.rs", "fn f() -> crate::storage::Tx {}", "`manage` uses `storage`"),
        ("manage/page.rs", "fn f() { assert!(crate::storage::x()); }", "`manage` uses `storage`"),
        ("manage/page.rs", "#[derive(crate::storage::Row)] struct S;", "`manage` uses `storage`"),
        ("model/client.rs", "use super::super::storage::Tx;", "`model` uses `storage`"),
        ("unlisted/mod.rs", "", "`unlisted` is not listed"),
    ] {
        let broken = judge(file, text);
        assert!(broken.len() == 1 && broken[0].contains(found), "{file}: {text}: {broken:?}");
    }
    for (file, text) in [
        ("oauth/token.rs", "// use crate::storage;\nconst A: &str = \"crate::storage\";"),
        ("oauth/token.rs", "fn f() { assert!(true, \"crate::storage::x\"); }"),
        ("oauth/authenticate/secret.rs", "use super::super::form::Form; use crate::oauth::error;"),
        ("oauth/mod.rs", "mod storage; use storage::Tx;"),
    ] {
        assert_eq!(judge(file, text), [""; 0], "{file}: {text}");
    }
    let unused = [Source::read("model/mod.rs", ""), Source::read("oauth/mod.rs", "")];
    assert_eq!(broken_uses(&unused, &[("oauth", &["model"]), ("model", &[])]).len(), 1);
    assert_eq!(broken_uses(&unused, &[("oauth", &[]), ("model", &[]), ("missing", &[])]).len(), 1);
}

#[test]
fn misplaced_crates_are_found() {
    let crates: [(&str, &[&str]); 1] = [("ring", &["vault", "oauth/authenticate"])];
    let judge = |file: &str, text: &str| {
        let right =
            [("vault/seal.rs", "use ring::aead;"), ("oauth/authenticate/a.rs", "const A: u8 = ring::A;")];
        let all = right.iter().chain([(file, text)].to_vec().iter()).copied().collect::<Vec<_>>();
        misplaced_crates(
            &all.iter().map(|(file, text)| Source::read(file, text)).collect::<Vec<_>>(),
            &crates,
        )
    };
    for (file, text) in [
        ("clients/a.rs", "use ring::hmac;"),
        ("clients/a.rs", "fn f() { let x = ring::digest::digest(); }"),
        ("oauth/token.rs", "use {ring::hmac::{self, Key}};"),
    ] {
        assert_eq!(judge(file, text).len(), 1, "{file}: {text}");
    }
    for (file, text) in [
        ("clients/a.rs", "use crate::signing::ring; fn f() { ring::snapshot(); }"),
        ("signing/mod.rs", "mod ring; pub use ring::KeyRing;"),
    ] {
        assert_eq!(judge(file, text), [""; 0], "{file}: {text}");
    }
    assert_eq!(misplaced_crates(&[], &crates).len(), 2, "neither place uses the crate");
}

#[test]
fn cycles_are_found() {
    let judge =
        |files: [(&str, &str); 3]| cycle(&files.map(|(file, text)| Source::read(file, text)), "x").is_some();
    let (a, b) = (("x/a.rs", "use super::b::B;"), ("x/b.rs", "use crate::x::a::A;"));
    assert!(judge([("x/mod.rs", "mod a; mod b;"), a, b]));
    assert!(judge([("x/mod.rs", "mod a; mod b; pub use a::A;"), a, ("x/b.rs", "use super::A;")]));
    assert!(!judge([("x/mod.rs", "mod a; mod b;"), a, ("x/b.rs", "use super::A;")]));
    assert!(!judge([("x/mod.rs", ""), a, ("x/b.rs", "#[cfg(test)] mod tests { use super::super::a::A; }")]));
    assert!(!judge([("x/mod.rs", ""), a, ("x/b_tests.rs", "use super::super::a::A;")]));
}

#[test]
fn faults_of_files_are_found() {
    for (file, text) in [
        ("model/page.rs", "fn f() {}"),
        ("manage/helpers.rs", "//! A file."),
        ("model/page.rs", "//! A file.\n#[allow(dead_code)]\nfn f() {}"),
        ("model/page.rs", "//! A file.\n#![cfg_attr(test, allow(dead_code))]"),
        ("model/page.rs", &format!("//! A file.{}", "\n".repeat(LINES_MAX))),
    ] {
        assert_eq!(faults(&Source::read(file, text)).len(), 1, "{file}: {text}");
    }
    let expects = Source::read("model/page.rs", "//! A file.\n#![cfg_attr(test, expect(dead_code))]");
    assert_eq!(faults(&expects), [""; 0]);
    let cites = "`docs/tokens.md`, see [there](README.md). x.mdx";
    assert_eq!(cited(cites).collect::<Vec<_>>(), ["docs/tokens.md", "README.md"]);
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of `src`.
static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let mut sources = Vec::new();
    walk(&root().join("src"), &["rs"], &mut |file, text| sources.push(Source::read(file, text)));
    sources
});

fn must_hold(broken: &[String]) {
    assert!(broken.is_empty(), "{} broken rules:\n{}", broken.len(), broken.join("\n"));
}

/// The errors about modules: one uses a module that is not listed, or the list names a module that is not used or does not
/// exist.
fn broken_uses(sources: &[Source], modules: &[(&str, &[&str])]) -> Vec<String> {
    let mut broken = BTreeSet::new();
    let mut used = BTreeSet::new();
    let all = sources.iter().map(Source::top_module);
    let existing: BTreeSet<&str> = all.filter(|module| *module != "lib").collect();
    for source in sources.iter().filter(|source| source.top_module() != "lib") {
        let module = source.top_module();
        let Some((_, listed)) = modules.iter().find(|(name, _)| *name == module) else {
            broken.insert(format!("the module `{module}` is not listed in MODULES"));
            continue;
        };
        for target in source.targets().filter(|target| target[0] != module) {
            if listed.contains(&target[0].as_str()) {
                used.insert((module.to_owned(), target[0].clone()));
            } else if existing.contains(target[0].as_str()) {
                broken.insert(format!(
                    "src/{}: `{module}` uses `{}`, which MODULES does not list for it",
                    source.file, target[0]
                ));
            }
        }
    }
    for (module, uses) in modules {
        if !existing.contains(module) {
            broken.insert(format!("the module `{module}` is listed, but does not exist"));
        }
        for unused in uses.iter().filter(|name| !used.contains(&((*module).to_owned(), (**name).to_owned())))
        {
            broken.insert(format!("`{module}` does not use `{unused}`: remove it from the list"));
        }
    }
    broken.into_iter().collect()
}

/// The errors about the listed crates: a crate is used outside its places, or not used in one of them.
fn misplaced_crates(sources: &[Source], crates: &[(&str, &[&str])]) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, places) in crates {
        let mut unused: BTreeSet<&str> = places.iter().copied().collect();
        for source in sources.iter().filter(|source| source.names_crate(name)) {
            let here = source.module.join("/");
            let place = places.iter().find(|place| here == **place || here.starts_with(&format!("{place}/")));
            match place {
                Some(place) => drop(unused.remove(place)),
                None => broken.push(format!("src/{}: the crate `{name}` belongs in {places:?}", source.file)),
            }
        }
        broken.extend(unused.into_iter().map(|place| format!("`{place}` does not use the crate `{name}`")));
    }
    broken
}

/// Modules directly in `top_module` that use each other in a cycle, each followed by one that it uses; `None` if there is no
/// cycle. A module that uses a name which `mod.rs` imports from a second module uses the second module.
fn cycle(sources: &[Source], top_module: &str) -> Option<Vec<String>> {
    let inside = || sources.iter().filter(|source| source.top_module() == top_module);
    let modules: BTreeSet<&String> = inside().filter_map(|source| source.module.get(1)).collect();
    let top = inside().find(|source| source.module.len() == 1);
    let mut uses: BTreeMap<&String, BTreeSet<String>> = BTreeMap::new();
    for source in inside() {
        let Some(module) = source.module.get(1) else { continue };
        for target in
            source.targets_outside_tests().filter(|target| target[0] == top_module && target.len() > 1)
        {
            let imported = || top.and_then(|top| top.import(&target[1])).and_then(|path| path.get(1));
            let sibling = if modules.contains(&target[1]) { Some(&target[1]) } else { imported() };
            uses.entry(module).or_default().extend(sibling.filter(|name| *name != module).cloned());
        }
    }
    // A module that uses none of the modules that are left cannot be in a cycle.
    while let Some(last) = uses.iter().find(|(_, used)| !used.iter().any(|name| uses.contains_key(name))) {
        let last = *last.0;
        uses.remove(last);
    }
    let mut chain: Vec<String> = uses.keys().take(1).map(|first| (*first).clone()).collect();
    for _ in 0..uses.len() {
        let next = uses[chain.last()?].iter().find(|name| uses.contains_key(name))?.clone();
        if let Some(start) = chain.iter().position(|name| *name == next) {
            return Some(chain.split_off(start));
        }
        chain.push(next);
    }
    None
}

/// The rules for a single file that a file breaks.
fn faults(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    if !source.text.starts_with("//!") {
        faults.push("does not begin with a `//!` comment that says what it is for".to_owned());
    }
    if let Some(vague) = VAGUE_NAMES.iter().find(|vague| source.module.iter().any(|name| name == *vague)) {
        faults.push(format!("is named `{vague}`: name it after what it holds"));
    }
    if source.has_allow {
        faults.push("has an `allow` attribute: use `expect` with a reason".to_owned());
    }
    let lines = source.text.split('\n').count() - 1;
    if lines >= LINES_MAX {
        faults.push(format!("has {lines} lines: split it by what its parts are for"));
    }
    faults.into_iter().map(|fault| format!("src/{}: {fault}", source.file)).collect()
}

/// The Markdown files that a text names.
fn cited(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && !"./_-".contains(c));
    words.map(|word| word.trim_end_matches('.')).filter(|word| {
        word.len() > 3 && Path::new(word).extension().is_some_and(|extension| extension == "md")
    })
}
