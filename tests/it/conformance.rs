//! Compares `docs/conformance.md` with the tests: each test that it names exists, and each test that is named after a
//! numbered point is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A point of the page has a letter and a number. Tests are named after points with these letters, as in
/// `t01_a_token_is_issued_by_basic` for T1. Tests for points with other letters have names without a number.
const NAMED_AFTER: [char; 5] = ['t', 'i', 'k', 'l', 'r'];

/// The folders with tests.
const SOURCES: [&str; 4] = ["src", "tests/it", "verifier/src", "verifier/tests"];

#[test]
fn every_test_on_the_page_exists_and_every_numbered_test_is_on_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/conformance.md")).unwrap();
    let mut tests = BTreeMap::new();
    for folder in SOURCES {
        collect(root, folder, &mut tests);
    }
    let named = named(&page);
    assert!(named.len() > 100, "only {} tests are read from the page", named.len());
    let missing =
        named.iter().filter(|(file, test)| !tests.get(file).is_some_and(|found| found.contains(test)));
    let missing =
        missing.map(|(file, test)| format!("{file} has no test `{test}`{}", found_elsewhere(&tests, test)));
    let on_page: BTreeSet<&str> = named.iter().map(|(_, test)| test.as_str()).collect();
    let unlisted = tests.iter().flat_map(|(file, found)| {
        let left_out = found.iter().filter(|test| is_numbered(test) && !on_page.contains(test.as_str()));
        left_out.map(move |test| format!("{file}: `{test}` is not on the page"))
    });
    let wrong: Vec<String> = missing.chain(unlisted).collect();
    assert!(wrong.is_empty(), "docs/conformance.md:\n{}", wrong.join("\n"));
}

#[test]
fn names_of_tests_are_read_from_the_page_and_from_source_files() {
    let page =
        "| T1 | asked | tests/it/a.rs: `t01_x`, `y`<br>src/b.rs: `z` |\n| T2 | see `c` | src/b.rs: `t02_w` |";
    let read = [("tests/it/a.rs", "t01_x"), ("tests/it/a.rs", "y"), ("src/b.rs", "z"), ("src/b.rs", "t02_w")];
    assert_eq!(named(page), read.map(|(file, test)| (file.to_owned(), test.to_owned())));
    let source = "on_both_engines!(\n    t01_x,\n);\non_both_engines!(c);\n#[test]\nfn a() {}\n#[tokio::test]\n/// b\nasync fn b() {}\nfn helper() {}";
    assert_eq!(tests_of(source), ["t01_x", "a", "b", "c"].map(str::to_owned).into());
    assert!(is_numbered("t01_x") && is_numbered("i10_x"));
    assert!(!is_numbered("the_list") && !is_numbered("t_1") && !is_numbered("k1") && !is_numbered("x1_y"));
}

/// The tests that the page names, each with its file, in the order of the page.
fn named(page: &str) -> Vec<(String, String)> {
    let cells = page.lines().filter(|line| line.starts_with('|')).flat_map(|line| line.split('|'));
    let entries =
        cells.flat_map(|cell| cell.split("<br>")).filter_map(|entry| entry.trim().split_once(".rs: "));
    let tests = |names: &str| names.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    entries
        .flat_map(|(file, names)| tests(names).into_iter().map(move |test| (format!("{file}.rs"), test)))
        .collect()
}

/// Adds the files below `folder` to `tests`, each with the names of its tests.
fn collect(root: &Path, folder: &str, tests: &mut BTreeMap<String, BTreeSet<String>>) {
    for entry in fs::read_dir(root.join(folder)).unwrap() {
        let path = format!("{folder}/{}", entry.unwrap().file_name().to_str().unwrap());
        if root.join(&path).is_dir() {
            collect(root, &path, tests);
        } else if Path::new(&path).extension().is_some_and(|extension| extension == "rs") {
            let found = tests_of(&fs::read_to_string(root.join(&path)).unwrap());
            tests.insert(path, found);
        }
    }
}

/// The names of the tests in a file: functions with a test attribute, and names within `on_both_engines!`.
fn tests_of(source: &str) -> BTreeSet<String> {
    let lists = source.split("on_both_engines!(").skip(1).filter_map(|rest| rest.split_once(')'));
    let names = lists.flat_map(|(list, _)| list.split(',')).map(str::trim).filter(|name| !name.is_empty());
    let mut found: BTreeSet<String> = names.map(str::to_owned).collect();
    let mut has_attribute = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[") {
            let attributes = ["#[test]", "#[tokio::test", "#[actix_web::test"];
            has_attribute |= attributes.iter().any(|attribute| line.starts_with(attribute));
        } else if !line.starts_with("//") {
            let name = line.split_once("fn ").and_then(|(_, rest)| rest.split_once('('));
            found.extend(name.filter(|_| has_attribute).map(|(name, _)| name.to_owned()));
            has_attribute = false;
        }
    }
    found
}

/// Whether a test is named after a numbered point.
fn is_numbered(test: &str) -> bool {
    let number = test.strip_prefix(NAMED_AFTER).and_then(|rest| rest.split_once('_'));
    number.is_some_and(|(digits, _)| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// The end of an error message, which names the files that have a test of this name; empty if no file has one.
fn found_elsewhere(tests: &BTreeMap<String, BTreeSet<String>>, test: &str) -> String {
    let files: Vec<&str> =
        tests.iter().filter(|(_, found)| found.contains(test)).map(|(file, _)| file.as_str()).collect();
    if files.is_empty() { String::new() } else { format!("; it is in {}", files.join(", ")) }
}
