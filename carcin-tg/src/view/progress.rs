//! From events to what is to be sent: one conversation's reducer.

use std::path::PathBuf;

use carcin_proto::Millis;
use carcin_proto::event::{
    ApiRetried, Compacted, CompactionPhase, Event, Level, Notice, ProcessEnded, PromptEnded, PromptOutcome,
    TextBlock, ToolEnded, ToolStarted, TurnEnded, TurnOutcome,
};
use carcin_proto::snapshot::Turn;
use serde::{Deserialize, Serialize};

use super::card::{Card, RunningTool};
use super::markers::{self, Stripped};
use crate::markdown::{self, Text, TextBuilder};

/// The failed attempt at which the user is told that the API does not answer; earlier ones are on the card.
const TELL_RETRY: u32 = 3;
/// HTTP statuses that no further attempt will cure.
const REFUSED: [u16; 2] = [401, 403];

/// What goes on in a conversation, as far as the phone shows it. Stored with the cursor, so that a restart goes
/// on with the same card.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// The running turn's card.
    pub card: Option<Card>,
    /// Claude's last text, in Markdown, until it is known whether it is the final one: only that makes a sound.
    pub held: Option<String>,
    /// Why the last turn failed, which its prompts say again.
    pub failed: Option<String>,
}

/// Something to be shown.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// A new message, in parts if it is long.
    Say {
        /// What it says.
        text: Text,
        /// Whether the phone makes a sound.
        sound: bool,
    },
    /// Files, which come after the text that named them.
    Files {
        /// Which; absolute paths, as Claude wrote them.
        files: Vec<PathBuf>,
        /// Whether the phone makes a sound.
        sound: bool,
    },
    /// The card begins.
    CardBegun,
    /// The card changed.
    Card,
    /// The card ends with this line.
    CardEnded(Text),
}

impl Progress {
    /// Whether there is nothing to remember.
    pub fn is_idle(&self) -> bool {
        self.card.is_none() && self.held.is_none()
    }

    /// Takes in what happened at `at`.
    pub fn take(&mut self, at: Millis, event: &Event) -> Vec<Output> {
        let mut out = Vec::new();
        match event {
            Event::TurnStarted(started) => {
                self.flush(false, &mut out);
                self.lose_card(&mut out);
                self.card = Some(Card::begin(started.turn.0, at));
                out.push(Output::CardBegun);
            }
            Event::TextBlock(block) => self.text(block, &mut out),
            Event::ThinkingBlock(block) if block.parent.is_none() => self.flush(false, &mut out),
            Event::ToolStarted(started) => self.tool_started(started, &mut out),
            Event::ToolEnded(ended) => self.tool_ended(ended, &mut out),
            Event::TodosChanged(changed) => self.on_card(&mut out, |card| card.set_todos(&changed.todos)),
            Event::RequestOpened(opened) => {
                self.flush(false, &mut out);
                self.on_card(&mut out, |card| card.waiting.push(opened.request.to_string()));
            }
            Event::RequestSettled(settled) => {
                self.on_card(&mut out, |card| card.waiting.retain(|id| id != settled.request.as_str()));
            }
            Event::ApiRetried(retried) => self.api_retried(retried, &mut out),
            Event::Compacted(compacted) => self.compacted(compacted, &mut out),
            Event::Notice(notice) => self.notice(notice, &mut out),
            Event::Notification(notification) => {
                self.flush(false, &mut out);
                let text = markdown::render(&notification.text);
                // Compactions come by hook, in the middle of work: nothing to be called to the phone for.
                out.push(Output::Say { text, sound: notification.topic != "compact" });
            }
            Event::FileOffered(_) => self.flush(false, &mut out),
            Event::ProcessEnded(ended) => self.process_ended(ended, &mut out),
            Event::PromptEnded(ended) => self.prompt_ended(ended, &mut out),
            Event::TurnEnded(ended) => self.turn_ended(ended, &mut out),
            Event::ThinkingBlock(_)
            | Event::ConversationOpened(_)
            | Event::ConversationRecalled(_)
            | Event::SessionChanged(_)
            | Event::SettingsChanged(_)
            | Event::ProcessStarted(_)
            | Event::PromptAccepted(_)
            | Event::PromptStarted(_)
            | Event::TaskChanged(_)
            | Event::Unrecognised(_)
            | Event::UnrecognisedLines(_) => {}
        }
        out
    }

    /// Brings the card in line with the turn that runs according to a snapshot.
    pub fn reconcile(&mut self, turn: Option<&Turn>, waiting: Vec<String>) -> Vec<Output> {
        let mut out = Vec::new();
        self.flush(false, &mut out);
        let same =
            |card: &Card, turn: &Turn| card.turn == turn.turn.0 && card.started_at == turn.started_at.0;
        match (&mut self.card, turn) {
            (Some(card), Some(turn)) if same(card, turn) => {
                *card = Card { failed: card.failed, todos: card.todos.take(), waiting, ..Card::of(turn) };
                out.push(Output::Card);
            }
            (_, Some(turn)) => {
                self.lose_card(&mut out);
                self.card = Some(Card { waiting, ..Card::of(turn) });
                out.extend([Output::CardBegun, Output::Card]);
            }
            (_, None) => self.lose_card(&mut out),
        }
        out
    }

    /// Sends the text that was held back.
    fn flush(&mut self, sound: bool, out: &mut Vec<Output>) {
        let Some(held) = self.held.take() else { return };
        let Stripped { text, files } = markers::strip(&held);
        let text = markdown::render(&text);
        let said = !text.is_blank();
        if said {
            out.push(Output::Say { text, sound });
        }
        if !files.is_empty() {
            out.push(Output::Files { files, sound: sound && !said });
        }
    }

    fn on_card(&mut self, out: &mut Vec<Output>, change: impl FnOnce(&mut Card)) {
        if let Some(card) = &mut self.card {
            change(card);
            out.push(Output::Card);
        }
    }

    fn lose_card(&mut self, out: &mut Vec<Output>) {
        out.extend(self.card.take().map(|card| Output::CardEnded(card.lost())));
    }

    fn text(&mut self, block: &TextBlock, out: &mut Vec<Output>) {
        // What a subagent writes is for Claude.
        if block.parent.is_some() {
            return;
        }
        self.flush(false, out);
        self.held = Some(block.text.clone());
        if self.card.as_ref().is_some_and(|card| card.retry.is_some()) {
            self.on_card(out, |card| card.retry = None);
        }
    }

    fn tool_started(&mut self, started: &ToolStarted, out: &mut Vec<Output>) {
        if started.parent.is_none() {
            self.flush(false, out);
        }
        self.on_card(out, |card| {
            card.retry = None;
            card.tools += 1;
            card.running.push(RunningTool::of(started));
        });
    }

    fn tool_ended(&mut self, ended: &ToolEnded, out: &mut Vec<Output>) {
        self.on_card(out, |card| {
            card.failed += u32::from(ended.is_error);
            card.running.retain(|tool| tool.tool_use != ended.tool_use.as_str());
        });
    }

    fn api_retried(&mut self, retried: &ApiRetried, out: &mut Vec<Output>) {
        self.flush(false, out);
        let refused = retried.status.is_some_and(|status| REFUSED.contains(&status));
        if retried.attempt == if refused { 1 } else { TELL_RETRY } {
            out.push(Output::Say { text: warning(&retried.message, None), sound: refused });
        }
        self.on_card(out, |card| card.retry = Some(retried.message.clone()));
    }

    fn compacted(&mut self, compacted: &Compacted, out: &mut Vec<Output>) {
        let text = match &compacted.phase {
            CompactionPhase::Started => return,
            CompactionPhase::Failed(why) => warning(&format!("Compacting the context failed: {why}"), None),
            CompactionPhase::Finished => Text::plain(&match (compacted.before, compacted.after) {
                (Some(before), Some(after)) => {
                    format!("🗜 Context compacted: {} → {} tokens", thousands(before), thousands(after))
                }
                _ => "🗜 Context compacted".to_owned(),
            }),
        };
        self.flush(false, out);
        out.push(Output::Say { text, sound: false });
    }

    fn notice(&mut self, notice: &Notice, out: &mut Vec<Output>) {
        self.flush(false, out);
        let hint = notice.hint.as_deref();
        let text = match notice.level {
            Level::Info => told("ℹ️ ", &notice.text, hint),
            Level::Warning => warning(&notice.text, hint),
            Level::Error => failure(&notice.text, hint),
        };
        out.push(Output::Say { text, sound: notice.level == Level::Error });
    }

    fn process_ended(&mut self, ended: &ProcessEnded, out: &mut Vec<Output>) {
        let Some(message) = &ended.message else { return };
        self.flush(false, out);
        let mut text = TextBuilder::new();
        text.append(&failure(message, None));
        if !ended.stderr_tail.trim().is_empty() {
            text.newline().expandable_quote(|quote| {
                quote.push(ended.stderr_tail.trim());
            });
        }
        out.push(Output::Say { text: text.build(), sound: true });
    }

    fn prompt_ended(&mut self, ended: &PromptEnded, out: &mut Vec<Output>) {
        if let PromptOutcome::Failed(why) = &ended.outcome {
            // The end of its turn has said so.
            if self.failed.take().as_ref() == Some(why) {
                return;
            }
            self.flush(false, out);
            let text = failure(&format!("Your message could not be given to Claude: {why}"), None);
            out.push(Output::Say { text, sound: true });
        }
    }

    fn turn_ended(&mut self, ended: &TurnEnded, out: &mut Vec<Output>) {
        let heard = matches!(ended.outcome, TurnOutcome::Completed | TurnOutcome::Failed(_));
        self.flush(heard, out);
        if let (TurnOutcome::Failed(why), true) = (&ended.outcome, out.is_empty()) {
            out.push(Output::Say { text: failure(&format!("Claude failed: {why}"), None), sound: true });
        }
        self.failed = match &ended.outcome {
            TurnOutcome::Failed(why) => Some(why.clone()),
            _ => None,
        };
        if let Some(card) = self.card.take() {
            out.push(Output::CardEnded(card.ended(&ended.outcome, ended.duration)));
        }
    }
}

fn warning(text: &str, hint: Option<&str>) -> Text {
    told("⚠️ ", text, hint)
}

fn failure(text: &str, hint: Option<&str>) -> Text {
    told("❌ ", text, hint)
}

fn told(sign: &str, text: &str, hint: Option<&str>) -> Text {
    let mut line = TextBuilder::new();
    line.push(sign).push(text.trim());
    if let Some(hint) = hint {
        line.newline().italic(hint.trim());
    }
    line.build()
}

/// `950`, `12k`.
fn thousands(tokens: u64) -> String {
    if tokens < 1000 { tokens.to_string() } else { format!("{}k", tokens / 1000) }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use carcin_proto::event::{Ask, PlanAsk};
    use carcin_proto::event::{RequestOpened, RequestSettled, Settlement, ThinkingBlock, TurnStarted, Usage};
    use carcin_proto::{BlockId, TurnId};

    use super::*;

    const TURN: TurnId = TurnId(7);

    fn started() -> Event {
        TurnStarted { turn: TURN, prompt: None }.into()
    }

    fn ended(outcome: TurnOutcome) -> Event {
        TurnEnded { turn: TURN, outcome, duration: Millis(12_000), usage: Usage::default() }.into()
    }

    fn text(text: &str, parent: Option<&str>) -> Event {
        let parent = parent.map(|id| id.parse().expect("an id"));
        TextBlock { turn: TURN, block: BlockId(0), text: text.into(), parent }.into()
    }

    fn tool(id: &str) -> Event {
        ToolStarted {
            turn: TURN,
            block: BlockId(0),
            tool_use: id.parse().expect("an id"),
            name: "Bash".into(),
            summary: format!("run {id}"),
            input: String::new(),
            parent: None,
        }
        .into()
    }

    fn tool_done(id: &str, is_error: bool) -> Event {
        ToolEnded {
            turn: TURN,
            tool_use: id.parse().expect("an id"),
            is_error,
            output: String::new(),
            omitted: 0,
            duration: Millis(5),
            parent: None,
        }
        .into()
    }

    /// What a phone would see, one line for each thing.
    fn play(progress: &mut Progress, events: &[Event]) -> String {
        let mut seen = String::new();
        for event in events {
            let at = Millis(1_000);
            for output in progress.take(at, event) {
                let line = match output {
                    Output::Say { text, sound: true } => format!("say ♪ {}", text.text),
                    Output::Say { text, sound: false } => format!("say {}", text.text),
                    Output::Card => {
                        let card = progress.card.as_ref().map(|card| card.working(at).text);
                        format!("card {}", card.unwrap_or_default())
                    }
                    Output::Files { files, .. } => format!("files {files:?}"),
                    Output::CardBegun => "begin".to_owned(),
                    Output::CardEnded(text) => format!("end {}", text.text),
                };
                writeln!(seen, "{}", line.replace('\n', " ⏎ ")).expect("a string takes it");
            }
        }
        seen
    }

    #[test]
    fn only_the_final_text_makes_a_sound() {
        let mut progress = Progress::default();
        let events = [
            started(),
            text("I will look.", None),
            tool("t1"),
            text("for Claude's eyes", Some("t1")),
            tool_done("t1", true),
            text("Found **it**.", None),
            ended(TurnOutcome::Completed),
        ];
        insta::assert_snapshot!(play(&mut progress, &events));
        assert!(progress.is_idle());
    }

    #[test]
    fn a_stopped_turn_never_says_done() {
        let mut progress = Progress::default();
        let seen =
            play(&mut progress, &[started(), text("half", None), ended(TurnOutcome::Stopped("Ann".into()))]);
        assert!(!seen.contains("Done") && !seen.contains('♪'), "{seen}");
        assert!(seen.contains("Stopped by Ann"), "{seen}");
    }

    #[test]
    fn a_failure_is_heard_once() {
        let failed = || ended(TurnOutcome::Failed("no credit".into()));
        let mut progress = Progress::default();
        let silent = play(&mut progress, &[started(), failed()]);
        let spoken = play(&mut progress, &[started(), text("Credit balance is too low", None), failed()]);
        assert_eq!(silent.matches('♪').count(), 1, "{silent}");
        assert_eq!(spoken.matches('♪').count(), 1, "{spoken}");
    }

    #[test]
    fn a_refused_key_is_told_at_once_and_an_overload_only_when_it_lasts() {
        let retried = |attempt, status| {
            let message = format!("attempt {attempt} failed with {status}");
            Event::from(ApiRetried {
                attempt,
                max_attempts: 10,
                delay: Millis(500),
                status: Some(status),
                message,
            })
        };
        let mut progress = Progress::default();
        let seen = play(&mut progress, &[started(), retried(1, 401), retried(2, 401), retried(3, 401)]);
        assert_eq!(seen.matches("say").count(), 1, "{seen}");
        let seen = play(
            &mut progress,
            &[started(), retried(1, 529), retried(2, 529), retried(3, 529), retried(4, 529)],
        );
        assert_eq!(seen.matches("say").count(), 1, "{seen}");
        assert!(seen.contains("say ⚠️ attempt 3"), "{seen}");
    }

    #[test]
    fn the_card_says_when_claude_waits() {
        let request: carcin_proto::RequestId = "r".parse().expect("an id");
        let opened = RequestOpened {
            request: request.clone(),
            turn: TURN,
            ask: Ask::Plan(PlanAsk { plan: String::new(), path: None }),
        };
        let settled = RequestSettled { request, settlement: Settlement::Allowed, by: "Ann".into() };
        let seen = play(&mut Progress::default(), &[started(), opened.into(), settled.into()]);
        insta::assert_snapshot!(seen);
    }

    #[test]
    fn everything_that_happens_is_told_in_one_clear_message() {
        let notice = |level, hint: Option<&str>| {
            Event::from(Notice {
                level,
                text: "The disk is nearly full".into(),
                hint: hint.map(str::to_owned),
            })
        };
        let compacted = |phase| Event::from(Compacted { phase, before: Some(155_000), after: Some(900) });
        let events = [
            notice(Level::Info, None),
            notice(Level::Warning, Some("Free some space")),
            notice(Level::Error, None),
            compacted(CompactionPhase::Started),
            compacted(CompactionPhase::Finished),
            ProcessEnded {
                exit: carcin_proto::event::Exit::Signal(9),
                message: Some("Claude was killed by signal 9.".into()),
                stderr_tail: "oom\n".into(),
            }
            .into(),
            ProcessEnded { exit: carcin_proto::event::Exit::Code(0), message: None, stderr_tail: "x".into() }
                .into(),
            PromptEnded {
                prompt: carcin_proto::PromptId::random(),
                outcome: PromptOutcome::Failed("the folder is gone".into()),
            }
            .into(),
        ];
        insta::assert_snapshot!(play(&mut Progress::default(), &events));
    }

    #[test]
    fn a_card_whose_turn_is_over_is_closed_and_one_that_runs_is_kept() {
        let mut progress = Progress::default();
        play(&mut progress, &[started(), tool("t1"), text("held", None)]);
        let mut kept = progress.clone();
        let turn = Turn { turn: TURN, prompts: vec![], started_at: Millis(1_000), tools: 4, running: vec![] };
        let outputs = kept.reconcile(Some(&turn), vec![]);
        assert!(matches!(&outputs[..], [Output::Say { sound: false, .. }, Output::Card]), "{outputs:?}");
        assert_eq!(kept.card.map(|card| card.tools), Some(4));

        let another = Turn { started_at: Millis(9_000), ..turn };
        let outputs = progress.clone().reconcile(Some(&another), vec![]);
        assert!(
            matches!(&outputs[..], [_, Output::CardEnded(_), Output::CardBegun, Output::Card]),
            "{outputs:?}"
        );

        let outputs = progress.reconcile(None, vec![]);
        assert!(matches!(&outputs[..], [_, Output::CardEnded(_)]), "{outputs:?}");
        assert!(progress.is_idle());
    }

    #[test]
    fn what_is_held_back_survives_as_json() {
        let mut progress = Progress::default();
        play(&mut progress, &[started(), tool("t1"), text("held", None)]);
        let json = serde_json::to_string(&progress).expect("serialises");
        assert_eq!(serde_json::from_str::<Progress>(&json).expect("parses"), progress);
    }

    #[test]
    fn thinking_ends_the_wait_for_a_final_text() {
        let thinking = ThinkingBlock { turn: TURN, block: BlockId(1), text: String::new(), parent: None };
        let seen = play(&mut Progress::default(), &[text("so far", None), thinking.into()]);
        assert_eq!(seen, "say so far\n");
    }
}
