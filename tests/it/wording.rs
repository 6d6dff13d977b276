//! Checks that texts, comments, docs and names have no archaic or obscure words (CONTRIBUTING.md asks for plain English).

use std::fs;
use std::path::{Path, PathBuf};

/// Words that a reader may have to look up, or that this field does not use. Other forms of a word are listed too.
const WORDS: &str = "\
    aught albeit alas amidst anew asunder befall befalls befell beget begets begot behest behold bestow \
    bestows betray betrayed betrays betwixt born dwell dwells ere erstwhile forsake forthwith hark hearken \
    heed heeds hence henceforth hereby herein hereof heretofore hither hitherto lawful lawfully lest mend \
    mended mends naught nay nigh nought offence offences oft ought perchance perish perishes seldom shall stands \
    stood sundry \
    thence therefrom therein thereof thereto thereupon therewith thither told unlawful unto verily whence \
    wherein whereof whereupon wherewith whilst whither whoever whomever whosoever wont wrought yonder";

/// Phrases that are hard to understand or not idiomatic.
const PHRASES: &[&str] = &[
    "all is well",
    "are dead",
    "as ever",
    "be had",
    "by dint of",
    "by who is",
    "by turns",
    "come to light",
    "come what may",
    "comes to light",
    "concerns nobody",
    "e mail",
    "e mails",
    "for ever",
    "for who is",
    "held off",
    "in vain",
    "is dead",
    "let time have",
    "none of the audiences",
    "of who is",
    "of yore",
    "private half",
    "private halves",
    "public half",
    "public halves",
    "see to",
    "sees to",
    "so be it",
    "takes along",
    "thrown away",
    "to who is",
    "to wit",
    "were it to",
];

/// Files and folders that are checked. CONTRIBUTING.md is not: it quotes what not to write.
const TEXTS: &[&str] = &[
    "benches",
    "CHANGELOG.md",
    "config",
    "docs",
    "examples",
    "openapi.yaml",
    "README.md",
    "scripts",
    "src",
    "tests",
    "verifier/benches",
    "verifier/README.md",
    "verifier/src",
    "verifier/tests",
];

/// Folders that are skipped: their files are generated or from third parties.
const SKIPPED: &[&str] = &["node_modules", "target", "__pycache__", "docs/assets"];

/// The file extensions that are checked. A file without an extension counts by its name, and in `scripts` it is always checked.
const KINDS: &[&str] = &[
    "abap",
    "conf",
    "cs",
    "css",
    "go",
    "html",
    "java",
    "js",
    "md",
    "mjs",
    "pq",
    "ps1",
    "py",
    "rs",
    "sh",
    "sql",
    "toml",
    "ts",
    "txt",
    "yaml",
    "yml",
    "Caddyfile",
];

#[test]
fn texts_and_names_are_in_plain_english() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for text in TEXTS {
        collect(&root.join(text), &mut files);
    }
    assert!(files.len() > 400, "only {} files are read", files.len());
    let mut found = Vec::new();
    for file in files {
        let name = file.strip_prefix(root).unwrap().display().to_string();
        if name == "tests/it/wording.rs" {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        found.extend(listed_words(&text).into_iter().map(|(line, words)| format!("{name}:{line}: {words}")));
    }
    assert!(found.is_empty(), "words and phrases that tests/it/wording.rs forbids:\n{}", found.join("\n"));
}

#[test]
fn listed_words_are_found_in_texts_and_names_and_plain_words_are_not() {
    let found = |text: &str| listed_words(text).into_iter().map(|(_, words)| words).collect::<Vec<_>>();
    assert_eq!(listed_words("fine\n// Whoever asks\nis told"), [(2, "whoever"), (3, "told")]);
    assert_eq!(found("fn a_key_lives_for_ever() {}"), ["for ever"]);
    assert_eq!(found("/// A token is\n/// dead."), ["is dead"]);
    for plain in
        ["#[expect(dead_code)]", "serve_forever()", "here and there", "shallow", "recommend", "is a dead end"]
    {
        assert_eq!(found(plain), [""; 0], "{plain}");
    }
}

/// The forbidden words and phrases in a text, each with its line. A name counts as the words that it is made of.
fn listed_words(text: &str) -> Vec<(usize, &'static str)> {
    let mut words = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let parts = line.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
        words.extend(parts.map(|word| (number + 1, word.to_ascii_lowercase())));
    }
    let mut found = Vec::new();
    for (at, (line, word)) in words.iter().enumerate() {
        found.extend(WORDS.split(' ').find(|listed| listed == word).map(|listed| (*line, listed)));
        found.extend(PHRASES.iter().filter_map(|phrase| {
            let mut rest = words[at..].iter().map(|(_, word)| word.as_str());
            phrase.split(' ').all(|word| rest.next() == Some(word)).then_some((*line, *phrase))
        }));
    }
    found
}

/// Adds a file, or the files below a folder, if they are texts of this project.
fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    let name = path.file_name().unwrap().to_string_lossy();
    if path.is_dir() {
        if SKIPPED.iter().any(|skipped| path.ends_with(skipped)) || name.starts_with('.') {
            return;
        }
        for entry in fs::read_dir(path).unwrap() {
            collect(&entry.unwrap().path(), files);
        }
    } else {
        let kind = path.extension().map_or(name.clone(), |extension| extension.to_string_lossy());
        let is_script =
            path.extension().is_none() && path.parent().is_some_and(|parent| parent.ends_with("scripts"));
        if KINDS.contains(&&*kind) || is_script {
            files.push(path.to_owned());
        }
    }
}
