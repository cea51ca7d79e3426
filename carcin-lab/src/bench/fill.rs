//! A journal that was used for years, made in a minute.
//!
//! The tables are those that `carcind` made; the rows are written here, in its own encodings, since to have it write
//! ten million events would take an hour.

use std::path::Path;

use anyhow::Context as _;
use carcin_proto::event::{
    ConversationOpened, TextBlock, ToolEnded, ToolStarted, TurnEnded, TurnOutcome, TurnStarted, Usage,
};
use carcin_proto::{BlockId, ConversationKey, Envelope, Event, Frame, Millis, Seq, ToolUseId, TurnId};
use rusqlite::{Connection, params};

use super::transcripts::session;

/// A conversation as the journal has it once its Claude has gone: what is left out has a default.
const ROW: &str = r#"{"cwd":"/home/user/project","session":"SESSION","session_used":true,"last_turn":9,"next_position":20}"#;
/// Events that begin with the opening of a conversation, and are then turns of five events each.
const TURN: u64 = 5;

/// Fills the journal at `path`, which no daemon has open: so many conversations, and events of theirs in turn.
pub(super) fn fill(path: &Path, conversations: u64, events: u64) -> anyhow::Result<()> {
    let mut connection = Connection::open(path).context("cannot open the journal")?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    let transaction = connection.transaction()?;
    let head: i64 = transaction.query_row("SELECT coalesce(max(seq), 0) FROM event", [], |row| row.get(0))?;
    let head = u64::try_from(head)?;
    {
        let mut conversation = transaction.prepare("INSERT INTO conversation (key, row) VALUES (?1, ?2)")?;
        for number in 0..conversations {
            let row = ROW.replace("SESSION", &session(number).to_string());
            conversation.execute(params![key(number)?.as_str(), row])?;
        }
        let mut event = transaction.prepare(
            "INSERT INTO event (seq, conversation, kind, format, payload) VALUES (?1, ?2, ?3, 1, ?4)",
        )?;
        for number in 0..events {
            let conversation = key(number % conversations)?;
            let seq = head + 1 + number;
            let happened = happened(number / conversations)?;
            let envelope = Envelope { conversation, at: Millis(1_700_000_000_000 + number), event: happened };
            let frame = Frame::durable(Seq(seq), &envelope)?;
            event.execute(params![
                seq.cast_signed(),
                envelope.conversation.as_str(),
                frame.kind.0,
                &frame.payload[..]
            ])?;
        }
    }
    transaction.commit()?;
    // What is measured next is not to wait until the disk has all this.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    drop(connection);
    std::fs::File::open(path)?.sync_all().context("cannot sync the journal")
}

fn key(number: u64) -> anyhow::Result<ConversationKey> {
    Ok(ConversationKey::new(format!("tg:{}", 100_000_000 + number))?)
}

/// What happens in a conversation, in order.
fn happened(number: u64) -> anyhow::Result<Event> {
    let Some(number) = number.checked_sub(1) else {
        return Ok(ConversationOpened { cwd: "/home/user/project".into() }.into());
    };
    let turn = TurnId(number / TURN);
    let tool_use = ToolUseId::new(format!("toolu_{number:032x}"))?;
    Ok(match number % TURN {
        0 => TurnStarted { turn, prompt: None }.into(),
        1 => ToolStarted {
            turn,
            block: BlockId(0),
            tool_use,
            name: "Bash".to_owned(),
            summary: "ls -l".to_owned(),
            input: r#"{"command":"ls -l","description":"List the files"}"#.to_owned(),
            parent: None,
        }
        .into(),
        2 => ToolEnded {
            turn,
            tool_use: ToolUseId::new(format!("toolu_{:032x}", number - 1))?,
            is_error: false,
            output: "total 0".to_owned(),
            omitted: 0,
            duration: Millis(20),
            parent: None,
        }
        .into(),
        3 => TextBlock {
            turn,
            block: BlockId(1),
            text: "There is nothing in it. Shall I look elsewhere?".to_owned(),
            parent: None,
        }
        .into(),
        _ => TurnEnded {
            turn,
            outcome: TurnOutcome::Completed,
            duration: Millis(2000),
            usage: Usage::default(),
        }
        .into(),
    })
}
