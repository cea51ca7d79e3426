//! Which files that people sent are still needed, however old they are.

use std::collections::BTreeSet;
use std::path::PathBuf;

use rusqlite::{OptionalExtension, params};

use super::bundle::Part;
use super::inbox::Composed;
use super::quarantine::{self, Table};
use super::{Reader, StoreError, prompts, steering};

/// A prompt can be run again, and that again; beyond so many times nobody looks where it came from.
const MOST_RERUNS: usize = 64;

/// The files that something needs that is not over: a message that is not submitted, a prompt that the daemon has and
/// that is not settled, an answer to a question that is open.
pub fn in_use(tx: &Reader<'_>) -> Result<BTreeSet<PathBuf>, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT id, part, composed FROM inbox
         WHERE (part IS NOT NULL OR composed IS NOT NULL)
           AND (state IN ('received', 'submitted') OR id IN (SELECT value FROM json_each(?1)))",
    )?;
    let rows = statement.query_map([kept_rows(tx)?], |row| {
        let id = row.get(0)?;
        Ok(quarantine::reading(Table::Inbox, id, || {
            let (part, composed): (Option<String>, Option<String>) = (row.get(1)?, row.get(2)?);
            let part: Option<Part> = part.map(|part| serde_json::from_str(&part)).transpose()?;
            let composed: Option<Composed> = composed.map(|all| serde_json::from_str(&all)).transpose()?;
            let composed = composed.into_iter().flat_map(|all| all.files.into_iter().chain(all.images));
            Ok(part.and_then(|part| part.path).into_iter().chain(composed).collect::<Vec<_>>())
        }))
    })?;
    let files = rows.collect::<rusqlite::Result<Result<Vec<_>, _>>>()??;
    Ok(files.into_iter().flatten().collect())
}

/// The settled rows of the inbox that stay, however old: those of prompts that are not settled, and answers to what is
/// still open. A list in JSON.
pub(super) fn kept_rows(tx: &Reader<'_>) -> Result<String, StoreError> {
    let mut rows: BTreeSet<i64> = BTreeSet::new();
    for key in prompts::unsettled(tx)? {
        let key = message_key(tx, &key)?;
        let mut statement = tx.prepare_cached(
            "SELECT id FROM inbox WHERE key = ?1
             UNION ALL SELECT id FROM inbox WHERE joined = (SELECT coalesce(joined, id) FROM inbox WHERE key = ?1)",
        )?;
        let found = statement.query_map([key], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
        rows.extend(found);
    }
    let mut statement = tx.prepare_cached(
        "SELECT reply.inbox FROM reply JOIN request ON request.nonce = reply.nonce WHERE request.outcome IS NULL",
    )?;
    rows.extend(statement.query_map([], |row| row.get::<_, i64>(0))?.collect::<Result<Vec<_>, _>>()?);
    Ok(serde_json::to_string(&rows)?)
}

/// The key of the message from which a prompt came, whoever moved it or ran it again since.
pub fn message_key(tx: &Reader<'_>, key: &str) -> Result<String, StoreError> {
    let mut key = key.to_owned();
    for _ in 0..MOST_RERUNS {
        let Some((_, prompt)) = key.rsplit_once(":rerun:") else { break };
        let earlier: Option<String> = tx
            .query_row("SELECT key FROM prompt WHERE prompt = ?1", params![prompt], |row| row.get(0))
            .optional()?;
        let Some(earlier) = earlier else { break };
        key = earlier;
    }
    Ok(steering::base(&key).to_owned())
}

#[cfg(test)]
mod tests {
    use carcin_proto::event::PromptAccepted;
    use carcin_proto::{ConversationKey, PromptId};
    use serde_json::json;

    use super::super::inbox::{self, Arrival, Burst};
    use super::super::testing::Bench;
    use super::super::{bundle, now_ms, prune};
    use super::*;
    use crate::place::Place;
    use crate::queue::{Lane, MessageRef};

    const AGES: i64 = 400 * 24 * 60 * 60 * 1000;

    /// A message with a file that was accepted as a prompt.
    fn accepted(bench: &mut Bench, key: &str, message: i64) -> (PromptId, PathBuf) {
        let path = PathBuf::from(format!("/up/{message}"));
        let part = Part { path: Some(path.clone()), ..Part::default() };
        let raw = json!({"k": key});
        bench.write(|tx| {
            let arrival = Arrival {
                key,
                lane: Lane::Prompt,
                place: Place::private(1),
                sender: 1,
                message: Some((message, "")),
                media: "",
                burst: Burst::Alone,
                needs: true,
                raw: &raw,
            };
            assert!(inbox::insert(tx, &arrival)?);
            let id = tx.last_insert_rowid();
            bundle::fetched(tx, id, &part)?;
            inbox::submit(tx, id)?;
            inbox::accept(tx, id)
        });
        (daemon_has(bench, key), path)
    }

    fn daemon_has(bench: &mut Bench, key: &str) -> PromptId {
        let prompt = PromptId::random();
        let conversation: ConversationKey = "tg:1".parse().expect("a key");
        let key = key.parse().expect("a key");
        let event = PromptAccepted { prompt, key, text: "look".into(), by: "Ann".into(), ahead: 0 };
        bench.write(|tx| prompts::accepted(tx, &conversation, &event));
        prompt
    }

    /// Years pass.
    fn age(bench: &mut Bench) {
        bench.write(|tx| {
            for table in ["inbox", "prompt", "request"] {
                tx.execute(&format!("UPDATE {table} SET at = at - ?1"), [AGES / 8])?;
            }
            prune(tx, now_ms())
        });
    }

    #[test]
    fn a_file_is_in_use_until_its_prompt_is_settled_however_long_that_waits() {
        let mut bench = Bench::new();
        let (first, path) = accepted(&mut bench, "tg:9:1:1:0", 1);
        let (second, other) = accepted(&mut bench, "tg:9:1:2:0", 2);
        // The second waits behind the turn, under a key made of its own.
        bench.write(|tx| prompts::forget(tx, second));
        let moved = daemon_has(&mut bench, "tg:9:1:2:0:queue");
        age(&mut bench);
        assert_eq!(bench.read(in_use), [path, other.clone()].into());
        bench.write(|tx| prompts::forget(tx, first));
        assert_eq!(bench.read(in_use), [other].into());
        bench.write(|tx| prompts::forget(tx, moved));
        assert!(bench.read(in_use).is_empty());
        age(&mut bench);
        let left: i64 =
            bench.write(|tx| Ok(tx.query_row("SELECT count(*) FROM inbox", [], |row| row.get(0))?));
        assert_eq!(left, 0, "what is over is forgotten");
    }

    #[test]
    fn a_prompt_that_is_run_again_and_again_has_its_files_and_its_whole_text() {
        let mut bench = Bench::new();
        let (mut prompt, path) = accepted(&mut bench, "tg:9:1:1:0", 1);
        bench.write(|tx| {
            tx.execute("UPDATE inbox SET composed = ?1", [r#"{"text": "look at all of it"}"#])?;
            Ok(())
        });
        for _ in 0..2 {
            bench.write(|tx| prompts::interrupted(tx, prompt, &prompt.to_string(), MessageRef(1)));
            assert!(bench.read(in_use).is_empty());
            prompt = daemon_has(&mut bench, &format!("tg:9:rerun:{prompt}"));
            age(&mut bench);
            assert_eq!(bench.read(in_use), [path.clone()].into());
        }
        assert_eq!(bench.write(|tx| prompts::text(tx, prompt)).as_deref(), Some("look at all of it"));
    }

    #[test]
    fn the_file_of_an_answer_is_in_use_until_the_question_is_settled() {
        let mut bench = Bench::new();
        let (prompt, path) = accepted(&mut bench, "tg:9:1:1:0", 1);
        bench.write(|tx| {
            prompts::forget(tx, prompt)?;
            tx.execute("INSERT INTO reply (inbox, nonce) SELECT id, 'n' FROM inbox", [])?;
            tx.execute(
                "INSERT INTO request (nonce, request, conversation, ask, message, at)
                 VALUES ('n', 'r', 'tg:1', '{}', 1, ?1)",
                [now_ms()],
            )?;
            Ok(())
        });
        age(&mut bench);
        assert_eq!(bench.read(in_use), [path].into());
        bench.write(|tx| super::super::requests::settle(tx, "n", "done"));
        assert!(bench.read(in_use).is_empty());
    }
}
