//! The documents of the tree: their links lead somewhere, and the tests that they name exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn tree() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Files with this ending below a folder, without build output.
fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the tree").flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && name != "target" && name != ".git" {
            files(&path, ending, found);
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
}

fn documents() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    files(&tree(), "md", &mut found);
    assert!(found.len() > 10, "the documents are found");
    found.into_iter().map(|path| (path.clone(), fs::read_to_string(path).expect("a document"))).collect()
}

/// The targets of a document's links, code blocks aside.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let prose = text.split("```").step_by(2);
    prose.flat_map(|prose| prose.split("](").skip(1)).filter_map(|rest| rest.split(')').next())
}

/// The anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// What is wrong with a link of the document at `from`.
fn broken(from: &Path, link: &str) -> Option<String> {
    if link.starts_with("https://") || link.starts_with("http://") {
        return None;
    }
    let (path, fragment) = link.split_once('#').map_or((link, None), |(path, rest)| (path, Some(rest)));
    let target = if path.is_empty() { from.to_owned() } else { from.with_file_name(path) };
    if !target.exists() {
        return Some(format!("{}: no file {link}", from.display()));
    }
    let wanted = fragment?;
    let text = fs::read_to_string(&target).unwrap_or_default();
    let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
    let known = headings.map(|heading| anchor(heading.trim_start_matches('#'))).any(|known| known == wanted);
    (!known).then(|| format!("{}: no heading {link}", from.display()))
}

#[test]
fn links_lead_somewhere() {
    let documents = documents();
    let broken: Vec<String> =
        documents.iter().flat_map(|(path, text)| links(text).filter_map(|link| broken(path, link))).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(documents.iter().any(|(_, text)| links(text).count() > 5), "links are found");
}

#[test]
fn a_broken_link_is_found() {
    let here = tree().join("README.md");
    for link in ["docs/nothing.md", "README.md#no-such-heading", "#nor-this"] {
        assert!(broken(&here, link).is_some(), "{link}");
    }
    for link in ["docs/using.md#voice-messages", "https://example.org/x", "#tests"] {
        assert_eq!(broken(&here, link), None);
    }
}

/// The names of all test functions, of the macro arguments that declare tests, and of the test programs.
fn test_names() -> BTreeSet<String> {
    let mut sources = Vec::new();
    files(&tree(), "rs", &mut sources);
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    sources
        .iter()
        .flat_map(|path| {
            let text = fs::read_to_string(path).expect("a source file");
            let words = text.split(|c: char| !is_name(c)).filter(|word| word.contains('_'));
            let program = path.file_stem().and_then(|stem| stem.to_str());
            words.chain(program).map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
}

/// The names of tests that a document mentions: words of four parts at least, whose end may be left out by `…`.
fn mentioned(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split('`').skip(1).step_by(2);
    code.filter(|code| code.matches('_').count() >= 3)
        .filter(|code| code.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_…".contains(c)))
        .map(|name| name.trim_matches('…'))
}

#[test]
fn tests_that_documents_name_exist() {
    let known = test_names();
    let exists = |name: &str| known.iter().any(|known| known.starts_with(name.trim_end_matches('_')));
    for document in ["docs/what-survives-what.md", "docs/crashes.md"] {
        let text = fs::read_to_string(tree().join(document)).expect("a document");
        let missing: Vec<&str> = mentioned(&text).filter(|name| !exists(name)).collect();
        assert!(mentioned(&text).count() > 10, "{document} names tests");
        assert!(missing.is_empty(), "{document}: {missing:#?}");
    }
    assert!(!exists(&["no", "such", "test", "exists"].join("_")), "the check itself finds nothing");
}
