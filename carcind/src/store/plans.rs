//! No statement of the store's may read a whole table that grows with use, but those that run once.
//!
//! The statements are found in the sources, so that none can be forgotten.

use std::path::Path;

use rusqlite::Connection;

use super::schema::{connect, migrate};

/// The tables that grow with use. What is not here has one row, or a handful.
const GROWING: [&str; 4] = ["event", "conversation", "prompt", "request"];
/// Sources with other statements: the migrations, which run once; the index of sessions, which is no part of the
/// journal; what reads a damaged one to its end, once; and those of this test.
const OTHERS: [&str; 4] = ["schema.rs", "sessions.rs", "salvage.rs", "plans.rs"];
/// How the plan of a statement that is allowed to read one of them to its end names the index that makes it short:
/// each holds only what is open.
const SHORT: [&str; 3] = ["conversation_child", "prompt_open", "request_open"];

/// The string literals of a source file that are statements.
fn statements(source: &str) -> Vec<String> {
    let (mut found, mut rest) = (Vec::new(), source);
    while let Some(begin) = rest.find('"') {
        let Some(length) = rest[begin + 1..].find('"') else { break };
        let literal = &rest[begin + 1..begin + 1 + length];
        let verbs = ["SELECT ", "INSERT ", "UPDATE ", "DELETE "];
        if verbs.iter().any(|verb| literal.trim_start().starts_with(verb)) {
            found.push(literal.replace("\\\n", " "));
        }
        rest = &rest[begin + length + 2..];
    }
    found
}

fn all_statements() -> Vec<(String, String)> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(sources).expect("the sources are there") {
        let path = entry.expect("a source").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if OTHERS.contains(&&*name) || path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let source = std::fs::read_to_string(&path).expect("a source is text");
        let shipped = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        all.extend(statements(shipped).into_iter().map(|sql| (name.clone(), sql)));
    }
    all
}

/// The lines of the plan that read a growing table to its end.
fn scans(journal: &Connection, sql: &str) -> Vec<String> {
    let mut plan = journal.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("a valid statement");
    let nothing = rusqlite::params_from_iter(vec![rusqlite::types::Null; plan.parameter_count()]);
    let lines = plan.query_map(nothing, |row| row.get::<_, String>(3)).expect("a plan");
    let long = |line: &String| {
        let table = line.strip_prefix("SCAN ").and_then(|rest| rest.split(' ').next());
        let short = SHORT.iter().any(|index| line.contains(index));
        table.is_some_and(|table| GROWING.contains(&table)) && !short
    };
    lines.map(|line| line.expect("a line of the plan")).filter(long).collect()
}

/// Whether the statement itself says that it reads only so much.
fn is_limited(sql: &str) -> bool {
    sql.contains(" LIMIT ?") && (sql.contains("ORDER BY rowid") || sql.contains("ORDER BY seq"))
}

fn journal() -> (tempfile::TempDir, Connection) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("journal.db");
    let mut connection = connect(&path).expect("a journal");
    migrate(&mut connection, &path).expect("the newest version");
    (dir, connection)
}

#[test]
fn no_statement_reads_a_whole_table() {
    let (_dir, journal) = journal();
    let all = all_statements();
    assert!(all.len() > 20, "only {} statements were found", all.len());
    for (file, sql) in all {
        let scans = scans(&journal, &sql);
        assert!(scans.is_empty() || is_limited(&sql), "{file}: {sql}\n{scans:#?}");
    }
}

#[test]
fn one_that_does_is_found() {
    let (_dir, journal) = journal();
    for sql in [
        "SELECT row FROM prompt WHERE settled = 1",
        "SELECT key FROM conversation ORDER BY key",
        "DELETE FROM event WHERE kind = 7",
        "SELECT count(*) FROM request",
    ] {
        assert_eq!(scans(&journal, sql).len(), 1, "{sql}");
        assert!(!is_limited(sql));
    }
    assert_eq!(
        statements("let a = \"SELECT 1\"; b(\"no\"); c(\"DELETE \\\nFROM event\")"),
        ["SELECT 1", "DELETE  FROM event"]
    );
}
