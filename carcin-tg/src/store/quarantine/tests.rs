//! Every kind of row that is read later: damaged, it is met once, kept, told of, and holds up nobody.

use carcin_proto::event::{Ask, PlanAsk};
use rusqlite::params;
use serde_json::json;

use super::super::testing::Bench;
use super::super::{awaiting, bundle, inbox, pickers, progress, prompts, requests, uploads};
use super::*;
use crate::queue::{Lane as In, MessageRef, Op, Priority};
use crate::store::bundle::Next;
use crate::store::inbox::{Arrival, Burst};
use crate::view::Progress;
use crate::view::ask::Draft;
use crate::view::picker::{Picker, What};

const ANN: Place = Place { chat: 42, thread: Some(7) };
/// Neither JSON nor text.
const BROKEN: &str = "CAST(x'7b22ff' AS TEXT)";

fn arrive(bench: &mut Bench, lane: In, message: i64, words: &str) -> i64 {
    let (key, raw) = (format!("{lane:?}{message}"), json!({"k": message}));
    let burst = Burst::Joins;
    let arrival = Arrival {
        key: &key,
        lane,
        place: ANN,
        sender: 42,
        message: Some((message, words)),
        media: "",
        burst,
        needs: false,
        raw: &raw,
    };
    assert!(bench.write(|tx| inbox::insert(tx, &arrival)));
    bench.write(|tx| Ok(tx.last_insert_rowid()))
}

fn damage(bench: &mut Bench, table: &str, column: &str, row: i64) {
    let sql = format!("UPDATE {table} SET {column} = {BROKEN} WHERE rowid = ?1");
    assert_eq!(bench.write(|tx| Ok(tx.execute(&sql, [row])?)), 1);
    bench.reopen();
}

/// What this is: a row that cannot be read, and is in quarantine.
fn unreadable<T: fmt::Debug>(result: Result<T, StoreError>) -> Unreadable {
    match result {
        Err(StoreError::Unreadable(row)) => row,
        other => panic!("it was read: {other:?}"),
    }
}

/// What is said, and where it is edited; all of it is settled.
fn said(bench: &mut Bench) -> Vec<(Op, String)> {
    bench.write(|tx| {
        let mut said = Vec::new();
        for job in outbox::open_jobs(tx, 0, 100)? {
            if let Some(payload) = outbox::begin(tx, &job)? {
                outbox::sent(tx, &job, &payload, Some(job.id))?;
                said.push((payload.op, payload.body["text"].as_str().unwrap_or_default().to_owned()));
            }
        }
        Ok(said)
    })
}

fn kept(bench: &mut Bench) -> Vec<(String, i64)> {
    bench.write(|tx| {
        let mut rows =
            tx.prepare_cached("SELECT source, row FROM quarantine WHERE json_valid(content) ORDER BY id")?;
        Ok(rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
    })
}

fn next_prompt(bench: &mut Bench) -> Result<Option<i64>, StoreError> {
    let later = now_ms() + 60_000;
    bench.try_write(|tx| bundle::next(tx, later)).map(|next| match next {
        Next::Ready(ready) => Some(ready.head.id),
        Next::Later(_) | Next::Nothing => None,
    })
}

#[test]
fn a_prompt_holds_up_no_other_whichever_part_of_it_is_damaged() {
    for (column, submitted) in [("raw", false), ("composed", false), ("composed", true), ("part", false)] {
        let mut bench = Bench::new();
        let first = arrive(&mut bench, In::Prompt, 1, "do this");
        if column == "composed" {
            let composed = inbox::Composed { text: "do this".into(), ..inbox::Composed::default() };
            bench.write(|tx| bundle::submit(tx, first, &[], &composed));
            if !submitted {
                bench.write(|tx| inbox::withdraw(tx, first));
            }
        }
        damage(&mut bench, "inbox", column, first);
        let second = arrive(&mut bench, In::Prompt, 2, "and that");
        assert_eq!(unreadable(next_prompt(&mut bench)).row, first, "{column}");
        assert_eq!(next_prompt(&mut bench).expect("reads"), Some(second), "{column}");
        let told = said(&mut bench);
        assert_eq!(told.len(), 1, "{column}: {told:?}");
        assert!(told[0].1.contains("“do this”") && told[0].1.contains("Send it again"), "{told:?}");
        assert_eq!(told[0].1.contains("may not have it"), submitted, "{told:?}");
        assert_eq!(kept(&mut bench), [("inbox".to_owned(), first)]);
    }
}

#[test]
fn of_several_messages_in_one_prompt_the_damaged_one_is_left_out() {
    let mut bench = Bench::new();
    let head = arrive(&mut bench, In::Prompt, 1, "one");
    bench.write(|tx| Ok(tx.execute("UPDATE inbox SET burst = 2 WHERE id = ?1", [head])?));
    let damaged = arrive(&mut bench, In::Prompt, 2, "two");
    damage(&mut bench, "inbox", "raw", damaged);
    arrive(&mut bench, In::Prompt, 3, "three");
    assert_eq!(unreadable(next_prompt(&mut bench)).row, damaged);
    let later = now_ms() + 60_000;
    let Next::Ready(ready) = bench.write(|tx| bundle::next(tx, later)) else { panic!("it is ready") };
    assert_eq!((ready.head.id, ready.messages.len()), (head, 2));
}

#[test]
fn the_other_lanes_go_on_too() {
    for lane in [In::Stop, In::Info, In::Button] {
        let mut bench = Bench::new();
        let first = arrive(&mut bench, lane, 1, "/first");
        damage(&mut bench, "inbox", "raw", first);
        let second = arrive(&mut bench, lane, 2, "/second");
        let next = |bench: &mut Bench| match lane {
            In::Info => bench
                .try_write(|tx| inbox::next_beside(tx, lane, &[], 9))
                .map(|rows| rows.first().map(|row| row.id)),
            _ => bench.try_write(|tx| inbox::next(tx, lane)).map(|row| row.map(|row| row.id)),
        };
        assert_eq!(unreadable(next(&mut bench)).row, first);
        assert_eq!(next(&mut bench).expect("reads"), Some(second));
        assert_eq!(said(&mut bench).len(), 1);
    }
}

#[test]
fn files_that_are_waited_for_go_on_too() {
    let mut bench = Bench::new();
    let [first, second] = [1, 2].map(|message| arrive(&mut bench, In::Prompt, message, "a file"));
    bench.write(|tx| Ok(tx.execute("UPDATE inbox SET needs = 1", [])?));
    damage(&mut bench, "inbox", "raw", first);
    assert_eq!(unreadable(bench.try_write(|tx| bundle::to_fetch(tx, &[], 9))).row, first);
    let ids: Vec<i64> = bench.write(|tx| bundle::to_fetch(tx, &[], 9)).iter().map(|row| row.id).collect();
    assert_eq!(ids, [second]);
    damage(&mut bench, "inbox", "part", second);
    assert_eq!(unreadable(bench.try_write(|tx| uploads::in_use(tx))).row, second);
    assert!(bench.read(uploads::in_use).is_empty());
    assert_eq!(said(&mut bench).len(), 2);
}

#[test]
fn a_settled_row_goes_into_quarantine_without_a_word() {
    let mut bench = Bench::new();
    let row = arrive(&mut bench, In::Prompt, 1, "do this");
    let composed = inbox::Composed { text: "do this, now".into(), ..inbox::Composed::default() };
    bench.write(|tx| bundle::submit(tx, row, &[], &composed));
    bench.write(|tx| inbox::finish(tx, row, inbox::End::Accepted));
    damage(&mut bench, "inbox", "composed", row);
    assert_eq!(unreadable(bench.try_write(|tx| inbox::prompt_of(tx, "Prompt1"))).row, row);
    let whole = bench.write(|tx| inbox::prompt_of(tx, "Prompt1")).expect("what was written is there");
    assert_eq!(whole.text, "do this");
    assert!(said(&mut bench).is_empty());
    // Nor does it hold up what looks at old messages.
    let row = arrive(&mut bench, In::Info, 2, "/status");
    bench.write(|tx| inbox::finish(tx, row, inbox::End::Accepted));
    damage(&mut bench, "inbox", "raw", row);
    assert_eq!(unreadable(bench.try_write(|tx| awaiting::slashes_between(tx, 42, 0, 99))).row, row);
    assert_eq!(bench.write(|tx| awaiting::slashes_between(tx, 42, 0, 99)).len(), 1);
}

#[test]
fn a_message_to_be_sent_holds_up_no_other() {
    let mut bench = Bench::new();
    let message = |text: &str| Message::silent(Text::plain(text));
    for (column, value) in [("body", BROKEN), ("body", "'[]'"), ("body", "'3'"), ("op", "'of_tomorrow'")] {
        for text in ["first", "second"] {
            bench.write(|tx| outbox::send(tx, ANN, Priority::Prose, &message(text)));
        }
        let first = bench.write(|tx| outbox::open_jobs(tx, 0, 9)).remove(0);
        let sql = format!("UPDATE outbox SET {column} = {value} WHERE id = ?1");
        bench.write(|tx| Ok(tx.execute(&sql, [first.id])?));
        bench.reopen();
        let found = match column {
            "op" => unreadable(bench.try_write(|tx| outbox::open_jobs(tx, 0, 9))),
            _ => unreadable(bench.try_write(|tx| outbox::begin(tx, &first))),
        };
        assert_eq!((found.table, found.row), (Table::Outbox, first.id), "{value}");
        let told = said(&mut bench);
        assert_eq!(told[0].1, "second", "{value}");
        assert!(told[1].1.contains("can no longer read a message"), "{told:?}");
        assert_eq!(told.len(), 2);
    }
}

#[test]
fn a_question_that_is_damaged_says_where_it_can_be_answered_and_holds_up_no_events() {
    for column in ["ask", "draft", "conversation"] {
        let mut bench = Bench::new();
        let asked = |nonce: &str, request: &str, message: MessageRef| requests::Asked {
            nonce: nonce.into(),
            request: request.parse().expect("an id"),
            conversation: ANN.conversation(),
            ask: Ask::Plan(PlanAsk { plan: "1. Read".into(), path: None }),
            message,
            outcome: None,
            draft: Draft::default(),
            reminder: None,
            folder: String::new(),
        };
        let question = Message::silent(Text::plain("May I?"));
        for (nonce, request) in [("n1", "r1"), ("n2", "r2")] {
            bench.write(|tx| {
                let message = outbox::create(tx, ANN, &question)?;
                requests::insert(tx, &asked(nonce, request, message))?;
                awaiting::set(tx, ANN, 42, nonce, 1)
            });
        }
        said(&mut bench);
        damage(&mut bench, "request", column, 1);
        assert_eq!(unreadable(bench.try_write(|tx| requests::open(tx))).row, 1, "{column}");
        let open = bench.read(requests::open);
        assert_eq!(open.iter().map(|asked| asked.nonce.as_str()).collect::<Vec<_>>(), ["n2"]);
        let told = said(&mut bench);
        assert!(told[0].0 == Op::Edit && told[0].1.contains("carcin-ctl answer"), "{told:?}");
        assert_eq!(bench.write(|tx| requests::by_nonce(tx, "n1")), None, "a press finds nothing");
        assert_eq!(kept(&mut bench), [("request".to_owned(), 1)]);
    }
}

#[test]
fn a_list_a_card_and_a_button_that_are_damaged_say_so() {
    let mut bench = Bench::new();
    let message = Message::silent(Text::plain("shown"));
    let key = ANN.conversation();
    let picker = Picker { generation: 1, what: What::Closed("done".into()) };
    let [list, card, button] = [0; 3].map(|_| bench.write(|tx| outbox::create(tx, ANN, &message)));
    let picked = pickers::Picked { nonce: "n1".into(), conversation: key.clone(), picker, message: list };
    bench.write(|tx| pickers::insert(tx, &picked));
    let shown = progress::Shown { card: Some(card), stream: None };
    bench.write(|tx| progress::save(tx, &key, &Progress::default(), shown));
    bench.write(|tx| {
        Ok(tx.execute(
            "INSERT INTO prompt (prompt, conversation, key, content, nonce, message, at)
             VALUES ('p', 'tg:42', 'k', 'do this', 'n2', ?1, ?2)",
            params![button.0, now_ms()],
        )?)
    });
    said(&mut bench);
    for (table, column) in [("picker", "state"), ("progress", "state"), ("prompt", "content")] {
        damage(&mut bench, table, column, 1);
    }
    assert_eq!(unreadable(bench.try_write(|tx| pickers::by_nonce(tx, "n1"))).table, Table::Picker);
    assert_eq!(bench.write(|tx| pickers::by_nonce(tx, "n1")), None);
    assert_eq!(unreadable(bench.try_write(|tx| progress::load(tx, &key))).table, Table::Progress);
    assert_eq!(bench.write(|tx| progress::load(tx, &key)).1, progress::Shown::default());
    assert_eq!(unreadable(bench.try_write(|tx| prompts::by_nonce(tx, "n2"))).table, Table::Prompt);
    assert_eq!(bench.write(|tx| prompts::by_nonce(tx, "n2")), None);
    let told = said(&mut bench);
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|(op, text)| *op == Op::Edit && text.starts_with("⚠️ I ")), "{told:?}");
}

#[test]
fn the_quarantine_is_emptied_after_a_week() {
    let mut bench = Bench::new();
    let row = arrive(&mut bench, In::Prompt, 1, "do this");
    damage(&mut bench, "inbox", "raw", row);
    unreadable(next_prompt(&mut bench));
    bench.write(|tx| super::super::prune(tx, now_ms()));
    assert_eq!(kept(&mut bench).len(), 1);
    bench.write(|tx| super::super::prune(tx, now_ms() + 8 * 24 * 3_600_000));
    assert!(kept(&mut bench).is_empty());
}
