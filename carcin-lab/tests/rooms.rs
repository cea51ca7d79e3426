//! No circle between rooms: the modules at the top of each crate import each other in one direction, so a reader can
//! say which is below which.
//!
//! What a module imports is read from its tokens: every path that begins with `crate` or `super`, in a `use`, in code
//! and in macros. Tests do not count, and neither do comments and texts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Circles that are still there, by crate. The list only gets shorter: a circle that is gone must leave it.
const KNOWN: &[(&str, &[&str])] = &[
    ("carcin-proto", &["codec", "event", "frame"]),
    ("carcin-proto", &["inquiry", "request"]),
    ("carcind", &["config", "daemon"]),
];

#[test]
fn no_circle_between_rooms() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut found = BTreeSet::new();
    let mut report = String::new();
    for manifest in glob_manifests(root) {
        let name = manifest.file_name().expect("a folder").to_string_lossy().into_owned();
        let imports = Imports::of_crate(&manifest.join("src"));
        assert!(!imports.rooms.is_empty(), "{name} has no modules");
        for circle in imports.circles() {
            report.extend([&name, ": ", &circle.join(", "), "\n", &imports.within(&circle)]);
            found.insert((name.clone(), circle));
        }
    }
    let known: BTreeSet<(String, Vec<String>)> = KNOWN
        .iter()
        .map(|(name, rooms)| ((*name).to_owned(), rooms.iter().map(|room| (*room).to_owned()).collect()))
        .collect();
    let gone: Vec<_> = known.difference(&found).collect();
    assert!(found.is_subset(&known), "circles between rooms:\n{report}");
    assert!(gone.is_empty(), "no longer circles, take them from the list: {gone:?}");
}

/// The folders of the workspace's crates.
fn glob_manifests(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root).expect("the workspace");
    let mut crates: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.join("Cargo.toml").exists() && path.join("src").exists())
        .collect();
    crates.sort();
    assert!(crates.len() >= 4, "{crates:?}");
    crates
}

/// Which rooms of a crate import which, and in which files.
#[derive(Debug, Default)]
struct Imports {
    rooms: BTreeSet<String>,
    /// Names that the crate's root has from a room.
    reexported: BTreeMap<String, String>,
    edges: BTreeMap<(String, String), BTreeSet<PathBuf>>,
}

impl Imports {
    /// Reads a crate, from its root file on.
    fn of_crate(src: &Path) -> Self {
        let mut imports = Self::default();
        let root = ["lib.rs", "main.rs"].map(|name| src.join(name)).into_iter().find(|path| path.exists());
        let Some(root) = root else { return imports };
        let tokens = parse(&root);
        for item in items(&tokens) {
            match &item {
                Item::Module(name, _) => drop(imports.rooms.insert(name.clone())),
                Item::Other(tokens) => imports.reexport(tokens),
            }
        }
        imports.module(&root, src, &mut Vec::new(), &tokens);
        imports
    }

    /// Notes what `pub use room::{…}` in the root hands on.
    fn reexport(&mut self, item: &[TokenTree]) {
        let words: Vec<String> = item.iter().map(ToString::to_string).collect();
        let Some(at) = words.iter().position(|word| word == "use") else { return };
        let mut path = item[at + 1..]
            .iter()
            .filter(|token| ident(token).is_some_and(|name| name != "crate" && name != "self"));
        let Some(room) = path.next().and_then(ident).filter(|name| self.rooms.contains(name)) else { return };
        let mut names = Vec::new();
        all_idents(&item[at + 1..], &mut names);
        for name in names.into_iter().filter(|name| !self.rooms.contains(name)) {
            self.reexported.insert(name, room.clone());
        }
    }

    /// Reads a module whose path in the crate is `path` and whose submodules are files in `dir`.
    fn module(&mut self, file: &Path, dir: &Path, path: &mut Vec<String>, tokens: &[TokenTree]) {
        for item in items(tokens) {
            match item {
                Item::Other(tokens) => self.paths(file, path, &tokens),
                Item::Module(name, body) => {
                    let inner = dir.join(&name);
                    let (file, tokens) = if let Some(body) = body {
                        (file.to_owned(), body)
                    } else {
                        let candidates = [dir.join(format!("{name}.rs")), inner.join("mod.rs")];
                        let found = candidates.into_iter().find(|path| path.exists());
                        let found = found.unwrap_or_else(|| panic!("no file for {}", inner.display()));
                        let tokens = parse(&found);
                        (found, tokens)
                    };
                    path.push(name);
                    self.module(&file, &inner, path, &tokens);
                    path.pop();
                }
            }
        }
    }

    /// Notes what the paths among these tokens lead to.
    fn paths(&mut self, file: &Path, path: &[String], tokens: &[TokenTree]) {
        let mut at = 0;
        while at < tokens.len() {
            if let TokenTree::Group(group) = &tokens[at] {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                self.paths(file, path, &inner);
            }
            let Some(begin) = ident(&tokens[at]).filter(|name| name == "crate" || name == "super") else {
                at += 1;
                continue;
            };
            let mut up = if begin == "super" { 1 } else { path.len() };
            at += 1;
            while is_path_separator(&tokens[at..]) {
                at += 2;
                match tokens.get(at).and_then(ident) {
                    Some(name) if name == "super" => up += 1,
                    _ => break,
                }
                at += 1;
            }
            if up == path.len() {
                for name in heads(tokens.get(at)) {
                    self.import(file, path, &name);
                }
            }
        }
    }

    fn import(&mut self, file: &Path, path: &[String], name: &str) {
        let Some(here) = path.first() else { return };
        let target = self.rooms.get(name).or_else(|| self.reexported.get(name));
        if let Some(target) = target.filter(|target| *target != here) {
            let edge = (here.clone(), target.clone());
            self.edges.entry(edge).or_default().insert(file.to_owned());
        }
    }

    fn reachable<'a>(&'a self, from: &'a str) -> BTreeSet<&'a str> {
        let mut seen = BTreeSet::new();
        let mut open = vec![from];
        while let Some(room) = open.pop() {
            let next = self.edges.keys().filter(|(a, _)| a == room).map(|(_, b)| b.as_str());
            open.extend(next.filter(|next| seen.insert(*next)));
        }
        seen
    }

    /// Rooms that lead to each other, each set once.
    fn circles(&self) -> BTreeSet<Vec<String>> {
        let reach: BTreeMap<&str, BTreeSet<&str>> =
            self.rooms.iter().map(|room| (room.as_str(), self.reachable(room))).collect();
        let in_circle = |room: &&str| reach[*room].contains(*room);
        let circle = |room: &str| -> Vec<String> {
            let others = reach[room].iter().filter(|other| reach[**other].contains(room));
            others.map(|other| (*other).to_owned()).collect()
        };
        reach.keys().copied().filter(in_circle).map(circle).collect()
    }

    /// Who imports whom among these rooms.
    fn within(&self, circle: &[String]) -> String {
        let mut lines = String::new();
        for ((from, to), files) in &self.edges {
            if circle.contains(from) && circle.contains(to) {
                let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
                lines.extend(["  ", from, " imports ", to, " in ", &files.join(", "), "\n"]);
            }
        }
        lines
    }
}

enum Item {
    /// A module that is no test: its name, and what is in it where that stands here.
    Module(String, Option<Vec<TokenTree>>),
    /// Anything else.
    Other(Vec<TokenTree>),
}

/// The items of a module, less those for tests alone.
fn items(tokens: &[TokenTree]) -> Vec<Item> {
    let mut items = Vec::new();
    let mut item: Vec<TokenTree> = Vec::new();
    for token in tokens {
        item.push(token.clone());
        let is_end = match token {
            TokenTree::Punct(punct) => punct.as_char() == ';',
            TokenTree::Group(group) => group.delimiter() == Delimiter::Brace && !is_use(&item),
            _ => false,
        };
        if is_end {
            items.extend(sort(std::mem::take(&mut item)));
        }
    }
    items.extend(sort(item));
    items
}

/// Whether it is an import, which goes on after its braces.
fn is_use(item: &[TokenTree]) -> bool {
    let starts_generics =
        |next: Option<&TokenTree>| matches!(next, Some(TokenTree::Punct(punct)) if punct.as_char() == '<');
    let at = item.iter().position(|token| ident(token).is_some_and(|name| name == "use"));
    at.is_some_and(|at| !starts_generics(item.get(at + 1)))
}

fn sort(item: Vec<TokenTree>) -> Option<Item> {
    let is_test = item.windows(2).any(|pair| match pair {
        [TokenTree::Punct(hash), TokenTree::Group(attribute)] => {
            hash.as_char() == '#' && attribute.stream().to_string().replace(' ', "").contains("cfg(test)")
        }
        _ => false,
    });
    if is_test || item.is_empty() {
        return None;
    }
    let module = item.iter().position(|token| ident(token).is_some_and(|name| name == "mod"));
    let named = module.and_then(|at| Some((ident(item.get(at + 1)?)?, item.get(at + 2)?)));
    match named {
        Some((name, TokenTree::Punct(_))) => Some(Item::Module(name, None)),
        Some((name, TokenTree::Group(body))) => {
            Some(Item::Module(name, Some(body.stream().into_iter().collect())))
        }
        _ => Some(Item::Other(item)),
    }
}

fn ident(token: &TokenTree) -> Option<String> {
    match token {
        TokenTree::Ident(ident) => Some(ident.to_string()),
        _ => None,
    }
}

fn is_path_separator(tokens: &[TokenTree]) -> bool {
    let is_colon = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ':');
    matches!(tokens, [a, b, ..] if is_colon(a) && is_colon(b))
}

/// The first words of what a path goes on with: one, or each of `{a::b, c}`.
fn heads(next: Option<&TokenTree>) -> Vec<String> {
    match next {
        Some(TokenTree::Ident(ident)) => vec![ident.to_string()],
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
            let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
            let is_comma =
                |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
            tokens.split(is_comma).filter_map(|one| ident(one.first()?)).collect()
        }
        _ => Vec::new(),
    }
}

fn all_idents(tokens: &[TokenTree], names: &mut Vec<String>) {
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => names.push(ident.to_string()),
            TokenTree::Group(group) => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                all_idents(&inner, names);
            }
            _ => {}
        }
    }
}

fn parse(file: &Path) -> Vec<TokenTree> {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    tokens.into_iter().collect()
}

/// A crate of these files, read.
fn planted(files: &[(&str, &str)]) -> Imports {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    Imports::of_crate(dir.path())
}

fn circles(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    planted(files).circles().into_iter().collect()
}

#[test]
fn a_planted_circle_is_found_however_it_is_written() {
    let root = ("lib.rs", "mod a;\nmod b;\npub use b::Thing;\n");
    let back = ("b.rs", "fn f() { crate::a::g() }");
    for there in [
        "use crate::b;",
        "use crate::b::{self, Thing};",
        "use crate::{b::Thing, other};",
        "use crate::Thing;",
        "use super::b::Thing;",
        "fn g() -> crate::b::Thing { todo!() }",
        "fn g() { println!(\"{}\", crate::b::NAME) }",
        "mod inner { use super::super::b::Thing; }",
    ] {
        assert_eq!(circles(&[root, ("a.rs", there), back]), [["a", "b"]], "{there}");
    }
    let deep = ("a/deep.rs", "use super::super::b;");
    assert_eq!(circles(&[root, ("a/mod.rs", "mod deep;"), deep, back]), [["a", "b"]]);
    let three = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::b;"),
        ("b.rs", "use crate::c;"),
        ("c.rs", "use crate::a;"),
    ];
    assert_eq!(circles(&three), [["a", "b", "c"]]);
}

#[test]
fn tests_comments_and_texts_are_no_imports() {
    let root = ("lib.rs", "mod a;\nmod b;\n#[cfg(test)]\nmod bench;\n");
    let back = ("b.rs", "use crate::a;");
    for there in [
        "//! See [`crate::b`].\n// crate::b\nfn g() {}",
        "const TEXT: &str = \"crate::b\";",
        "#[cfg(test)]\nmod tests { use crate::b; }",
        "#[cfg(test)]\nuse crate::b;",
        "mod b { pub fn f() {} }\nmod c { use super::b; }",
    ] {
        assert!(circles(&[root, ("a.rs", there), back]).is_empty(), "{there}");
    }
}
