//! `carcin-ctl watch`

use std::collections::HashMap;
use std::process::ExitCode;

use carcin_proto::event::{Envelope, ToolStarted, Unrecognised};
use carcin_proto::request::Gap;
use carcin_proto::{Client, ConversationKey, Cursor, Delivery, Event, Followed, Follower, Seq, ToolUseId};
use jiff::tz::TimeZone;
use serde::Serialize;

use super::context::{Context, NAME, VERSION};
use super::describe;
use super::error::CtlError;
use super::output::{note, print};
use super::style::Style;
use super::text::{cut, harmless_json, push_line, visible};
use super::time::clock;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Begin with the event of this number [default: the next]
    #[arg(long, value_name = "SEQ")]
    from: Option<u64>,
    /// Show the lines of Claude's that were not understood; with `--from 1` all that are kept
    #[arg(long)]
    raw: bool,
}

/// An event as a line of JSON.
#[derive(Serialize)]
pub(super) struct JsonEvent<'a> {
    seq: Seq,
    #[serde(flatten)]
    envelope: &'a Envelope,
}

impl<'a> JsonEvent<'a> {
    pub(super) fn new(seq: Seq, envelope: &'a Envelope) -> Self {
        Self { seq, envelope }
    }

    pub(super) fn line(&self) -> Result<String, CtlError> {
        Ok(harmless_json(&serde_json::to_string(self)?) + "\n")
    }
}

pub(super) async fn run(context: &Context, args: &Args) -> Result<ExitCode, CtlError> {
    // A daemon that is not there at all is an error; one that goes away later is waited for.
    let welcome = Client::connect(&context.socket, NAME, VERSION).await?.welcome().clone();
    let after = args.from.map_or(welcome.head, |from| Seq(from.saturating_sub(1)));
    let cursor = Cursor { journal: welcome.journal, seq: after };
    let mut follower = Follower::new(&context.socket, NAME, VERSION, Some(cursor)).durable_only();
    let mut lines = Lines::new(args.raw, TimeZone::system(), context.style);
    let mut away = false;
    loop {
        match follower.next().await {
            Followed::Connected(_) if std::mem::take(&mut away) => note("carcind is back\n"),
            Followed::Connected(_) => {}
            // One that may not watch would wait for ever.
            Followed::Disconnected(error) if !error.is_connection() => return Err(error.into()),
            Followed::Disconnected(_) if std::mem::replace(&mut away, true) => {}
            Followed::Disconnected(error) => note(&format!("{error}; waiting for carcind\n")),
            Followed::Delivery(delivery) => delivered(context, &mut lines, &delivery)?,
        }
    }
}

fn delivered(context: &Context, lines: &mut Lines, delivery: &Delivery) -> Result<(), CtlError> {
    match delivery {
        Delivery::Durable(seq, envelope) => {
            let elsewhere =
                |key: &ConversationKey| context.chosen.as_ref().is_some_and(|chosen| chosen != key);
            if envelope.as_ref().is_some_and(|envelope| elsewhere(&envelope.conversation)) {
                return Ok(());
            }
            match envelope {
                Some(envelope) if context.json => print(&JsonEvent::new(*seq, envelope).line()?),
                Some(envelope) => print(&lines.event(*seq, envelope)),
                None if context.json => print(&format!("{{\"seq\":{seq},\"type\":\"unknown\"}}\n")),
                None => print(&format!("{seq}  an event that this version does not know\n")),
            }
        }
        Delivery::Gap(Gap { reason, snapshot }) => {
            let why = match reason {
                carcin_proto::request::GapReason::OtherJournal => "carcind has a new journal",
                carcin_proto::request::GapReason::BeyondHead => "carcind's journal does not go that far",
                carcin_proto::request::GapReason::BehindRetention => "carcind no longer keeps them",
            };
            note(&format!("events are missing here: {why}; going on after {}\n", snapshot.seq));
            Ok(())
        }
        Delivery::Snapshot(_) | Delivery::Transient(_) => Ok(()),
    }
}

/// Events as lines for people.
struct Lines {
    raw: bool,
    zone: TimeZone,
    style: Style,
    /// The tools that run: an end does not tell its tool's name.
    tools: HashMap<ToolUseId, (ConversationKey, String)>,
}

impl Lines {
    fn new(raw: bool, zone: TimeZone, style: Style) -> Self {
        Self { raw, zone, style, tools: HashMap::new() }
    }

    fn event(&mut self, seq: Seq, envelope: &Envelope) -> String {
        let what = self.what(envelope);
        let head = format!("{seq}  {}  {}  ", clock(envelope.at, &self.zone), envelope.conversation);
        let room = self.style.width.saturating_sub(head.len()).max(20);
        let what = self.paint(&envelope.event, &cut(&what, room));
        let mut out = format!("{}{what}\n", self.style.dim(&head));
        if self.raw {
            match &envelope.event {
                Event::Unrecognised(line) => push_raw(&mut out, line),
                Event::UnrecognisedLines(many) => {
                    many.kept.iter().for_each(|line| push_raw(&mut out, line));
                    let more = many.lines.saturating_sub(many.kept.len() as u64);
                    if more > 0 {
                        push_line(&mut out, &format!("  … {more} more, not kept"));
                    }
                }
                _ => {}
            }
        }
        out
    }

    fn what(&mut self, envelope: &Envelope) -> String {
        match &envelope.event {
            Event::ToolStarted(ToolStarted { tool_use, .. }) => {
                let name = describe::describe(&envelope.event);
                self.tools.insert(tool_use.clone(), (envelope.conversation.clone(), name.clone()));
                name
            }
            Event::ToolEnded(ended) => match self.tools.remove(&ended.tool_use) {
                Some((_, name)) => describe::tool_ended(&name, ended),
                None => describe::describe(&envelope.event),
            },
            Event::TurnEnded(_) | Event::ProcessEnded(_) => {
                self.tools.retain(|_, (conversation, _)| *conversation != envelope.conversation);
                describe::describe(&envelope.event)
            }
            event => describe::describe(event),
        }
    }

    fn paint(&self, event: &Event, text: &str) -> String {
        match event {
            Event::RequestOpened(_)
            | Event::Unrecognised(_)
            | Event::UnrecognisedLines(_)
            | Event::ApiRetried(_) => self.style.yellow(text),
            Event::ToolEnded(ended) if ended.is_error => self.style.red(text),
            Event::TextBlock(_) => self.style.bold(text),
            _ => text.to_owned(),
        }
    }
}

/// A line of Claude's as it was, below its event. Indented, so that it cannot pass for an event.
fn push_raw(out: &mut String, line: &Unrecognised) {
    push_line(out, &format!("  {}", visible(&line.raw)));
    // Of a whole line the newline may count.
    if line.size > line.raw.len() as u64 + 1 {
        push_line(out, &format!("  … the first {} of {} bytes", line.raw.len(), line.size));
    }
}

#[cfg(test)]
mod tests {
    use carcin_proto::Millis;

    use super::super::describe::tests::events;
    use super::*;

    fn envelopes() -> Vec<Envelope> {
        let conversation = ConversationKey::new("tg:7").unwrap();
        let envelope = |(at, event): (u64, Event)| Envelope {
            conversation: conversation.clone(),
            at: Millis(1_800_000_000_000 + at * 1000),
            event,
        };
        (0..).zip(events()).map(envelope).collect()
    }

    fn shown(raw: bool) -> String {
        let mut lines = Lines::new(raw, TimeZone::UTC, Style::PLAIN);
        (300..).zip(envelopes()).map(|(seq, envelope)| lines.event(Seq(seq), &envelope)).collect()
    }

    #[test]
    fn events_are_lines_of_eighty_columns() {
        let shown = shown(false);
        assert!(shown.lines().all(|line| unicode_width::UnicodeWidthStr::width(line) <= 80));
        assert_eq!(shown.lines().count(), events().len());
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn raw_lines_are_shown_where_asked_for() {
        assert!(!shown(false).contains("news\"}"));
        let shown = shown(true);
        assert!(shown.contains("\n  {\"type\":\"news\"}\\n\n"), "{shown}");
        assert!(shown.contains("\n  \\x1b[31mred\\x9b\\xff\n"), "{shown}");
        assert!(
            shown.contains("\n  é\\u{202e}x\\\\\n  … the first 7 of 65000 bytes\n  … 298 more, not kept\n"),
            "{shown}"
        );
    }

    #[test]
    fn json_cannot_paint_the_screen_and_says_the_same() {
        let text = "a\u{9b}31m\u{7f}\u{202e}b\u{1b}\u{0}c\u{2028}é🦀";
        let envelope = Envelope {
            conversation: ConversationKey::new("tg:7").unwrap(),
            at: Millis(0),
            event: carcin_proto::event::Notification { text: text.to_owned(), topic: String::new() }.into(),
        };
        let line = JsonEvent::new(Seq(1), &envelope).line().unwrap();
        assert!(!line.trim_end().chars().any(|c| c.is_control() || c == '\u{202e}'), "{line:?}");
        assert!(line.contains("é🦀"));
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(json["text"], text);
    }

    #[test]
    fn json_lines_have_a_seq() {
        for envelope in envelopes() {
            let line = JsonEvent::new(Seq(7), &envelope).line().unwrap();
            let json: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!((json["seq"].as_u64(), json["conversation"].as_str()), (Some(7), Some("tg:7")));
        }
    }
}
