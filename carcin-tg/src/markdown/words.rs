//! Words that Telegram would turn into links although they are none.
//!
//! Every client links `main.rs` and `foo.md` (Serbia and Moldova), makes a command of `/tmp` and a
//! mention of `@types/node` and a share's price of `$HOME`. Such words become code, in which nothing is linked.

use std::ops::Range;

use super::{Entity, EntityKind, Text, canonical::canonical, utf16_len};

/// Extensions of files that programmers name in prose. Most are top-level domains too; the others
/// are here so that the files of one sentence look alike. No `js`: Node.js and Vue.js are names.
const EXTENSIONS: &[&str] = &[
    "ac",
    "am",
    "as",
    "bash",
    "bat",
    "bz",
    "c",
    "cc",
    "cfg",
    "cl",
    "conf",
    "cpp",
    "cr",
    "cs",
    "css",
    "csv",
    "dot",
    "env",
    "ex",
    "exs",
    "fish",
    "gd",
    "go",
    "gs",
    "h",
    "hpp",
    "hs",
    "html",
    "in",
    "ini",
    "ipynb",
    "java",
    "jl",
    "json",
    "jsonl",
    "jsx",
    "kt",
    "kts",
    "la",
    "lock",
    "log",
    "lua",
    "map",
    "md",
    "mdx",
    "mk",
    "ml",
    "mm",
    "mo",
    "mov",
    "mts",
    "nim",
    "ninja",
    "nix",
    "nu",
    "php",
    "pl",
    "pm",
    "po",
    "pro",
    "properties",
    "proto",
    "ps",
    "pub",
    "py",
    "pyi",
    "rb",
    "re",
    "rs",
    "rst",
    "sc",
    "scss",
    "sh",
    "so",
    "sol",
    "sql",
    "st",
    "sv",
    "svelte",
    "svg",
    "swift",
    "tex",
    "tf",
    "toml",
    "ts",
    "tsx",
    "txt",
    "vi",
    "vue",
    "xml",
    "yaml",
    "yml",
    "zig",
    "zip",
    "zsh",
];

/// Members that are top-level domains: `user.id`, `array.map`, `app.run`.
const MEMBERS: &[&str] = &[
    "at", "build", "call", "click", "data", "date", "final", "host", "id", "is", "link", "map", "name",
    "open", "page", "read", "run", "select", "space", "to", "top", "total", "work", "zone",
];

/// Endings of addresses that are meant as addresses.
const SITES: &[&str] = &["ai", "app", "com", "dev", "edu", "gov", "info", "io", "me", "net", "org"];

/// Directories at the root, which Telegram takes for commands.
const ROOTS: &[&str] = &[
    "bin", "boot", "dev", "etc", "home", "lib", "mnt", "opt", "proc", "root", "run", "srv", "sys", "tmp",
    "usr", "var",
];

/// Makes code of the words of `text` that would become false links.
pub(super) fn protect(text: Text) -> Text {
    let mut entities = text.entities;
    let mut taken = entities
        .iter()
        .filter(|entity| {
            matches!(entity.kind, EntityKind::Code | EntityKind::Pre { .. } | EntityKind::TextLink { .. })
        })
        .map(|entity| entity.offset..entity.offset + entity.length)
        .collect::<Vec<_>>()
        .into_iter()
        .peekable();

    let mut found = Vec::new();
    let (mut bytes, mut units) = (0, 0);
    for word in words(&text.text) {
        units += utf16_len(&text.text[bytes..word.start]);
        let length = utf16_len(&text.text[word.clone()]);
        bytes = word.end;
        while taken.next_if(|range| range.end <= units).is_some() {}
        let free = taken.peek().is_none_or(|range| range.start >= units + length);
        if free && is_false_link(&text.text[word]) {
            found.push(Entity { kind: EntityKind::Code, offset: units, length });
        }
        units += length;
    }
    if !found.is_empty() {
        entities.append(&mut found);
        entities = canonical(&text.text, entities);
    }
    Text { text: text.text, entities }
}

/// The words of `text`, without the punctuation around them.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let separates = |c: char| {
        c.is_whitespace()
            || matches!(c, '(' | ')' | '[' | ']' | '{' | '}' | '<' | '>' | '"' | '\'' | '`' | ',' | ';')
            || matches!(c, '!' | '?' | '|' | '“' | '”' | '„' | '«' | '»' | '…' | '—' | '–' | '→')
    };
    text.split(separates).filter_map(move |word| {
        let start = word.as_ptr().addr() - text.as_ptr().addr();
        let kept = word.trim_end_matches(['.', ':', '*', '_']).trim_start_matches('*');
        let skipped = word.len() - word.trim_start_matches('*').len();
        (!kept.is_empty() && skipped < word.len()).then(|| start + skipped..start + skipped + kept.len())
    })
}

/// Whether the word is a file, a path, a package or a member that Telegram takes for an address.
fn is_false_link(word: &str) -> bool {
    if word.contains("://") || word.starts_with("www.") {
        return false;
    }
    if let Some((user, rest)) = word.split_once('@') {
        // `@scope/package` and `git@host:path`, while `a@b.de` is an address.
        return rest.contains(if user.is_empty() { '/' } else { ':' });
    }
    if word.strip_prefix('$').is_some_and(|name| name.starts_with(|c: char| c.is_ascii_alphabetic())) {
        return true;
    }
    if word.strip_prefix('/').is_some_and(|root| ROOTS.contains(&root)) {
        return true;
    }
    // `src/main.rs:12:5` and `main.rs#L12` are places in a file.
    let path = word.split([':', '#']).next().unwrap_or_default();
    let mut components = path.split(['/', '\\']);
    let first = components.next().unwrap_or_default();
    if path.contains('/') && ends_in(first, SITES) {
        return false;
    }
    ends_in(first, EXTENSIONS)
        || components.any(|component| ends_in(component, EXTENSIONS))
        || (path == word && !path.contains('/') && ends_in(path, MEMBERS))
}

/// Whether `name` ends in a dot and one of `endings`, in small letters, and begins like a name.
fn ends_in(name: &str, endings: &[&str]) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(stem, ending)| stem.chars().any(char::is_alphanumeric) && endings.contains(&ending))
}

#[cfg(test)]
mod tests {
    use super::is_false_link;

    #[test]
    fn files_and_members_are_no_links() {
        for word in [
            "main.rs",
            "foo.md",
            "src/lib.rs",
            "./x.sh",
            "main.rs:12:5",
            "a.py#L3",
            "/tmp",
            "@types/node",
            "git@github.com:a/b.git",
            "user.id",
            "Makefile.am",
            "foo.rs/bar",
            "$HOME/bin",
        ] {
            assert!(is_false_link(word), "{word}");
        }
        for word in [
            "example.com",
            "https://a.de/x.rs",
            "github.com/a/README.md",
            "a@b.de",
            "Node.js",
            "3.14",
            "/start",
            "@alice",
            "e.g",
            ".md",
            "and/or",
            "end.In",
            "$5",
        ] {
            assert!(!is_false_link(word), "{word}");
        }
    }
}
