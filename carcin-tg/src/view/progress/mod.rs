//! From events to what is to be sent: one conversation's reducer.

mod end;
mod shown;
mod texts;
mod told;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use carcin_proto::event::{
    ApiRetried, Compacted, CompactionPhase, Event, RequestOpened, ThinkingBlock, ToolEnded, ToolPicture,
    ToolStarted, TurnStarted,
};
use carcin_proto::snapshot::Conversation;
use carcin_proto::{Millis, PromptId};
use serde::{Deserialize, Serialize};

use super::card::{Card, Compaction};
use crate::markdown::{self, Text};
pub use shown::Edit;
pub use texts::{ends_text, goes_beside_text};
pub use told::Task;

/// The failed attempt at which the user is told that the API does not answer; earlier ones are on the card.
const TELL_RETRY: u32 = 3;
/// How many pictures of a turn's tools are shown.
const MAX_PICTURES: u32 = 4;
/// HTTP statuses that no further attempt will cure.
const REFUSED: [u16; 2] = [401, 403];

/// How things are told, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools)] // each is a setting of its own
pub struct Style {
    /// The word at the end of a turn that went well.
    pub done: String,
    /// Whether Claude's thinking is shown, folded.
    pub thinking: bool,
    /// Whether what tools have said is shown, folded, also where they have not failed.
    pub output: bool,
    /// Whether edits that nobody was asked about are shown, folded.
    pub edits: bool,
    /// Whether pictures that tools return are shown.
    pub pictures: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self { done: "Done".to_owned(), thinking: false, output: false, edits: false, pictures: true }
    }
}

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
    /// Those prompts; `None`: not known.
    pub failed_prompts: Option<Vec<PromptId>>,
    /// Where Claude works, as far as known: paths are told relative to it.
    pub folder: String,
    /// The permission mode, as far as known.
    pub mode: Option<String>,
    /// All that the Claude process has cost was seen: what it grows by is the next turn's.
    pub counts: bool,
    /// When somebody was called to the phone for a failure in this turn, in milliseconds of the wall clock.
    pub alarmed_at: Option<u64>,
    /// Claude has died, and somebody was called to the phone for that.
    pub death_heard: bool,
    /// Subagents and background tasks that run.
    pub tasks: Vec<Task>,
    /// Edits that run, and are to be shown.
    pub edits: Vec<Edit>,
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
    /// A block of Claude's text, which takes the place of what was shown of it while it came.
    Text {
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
    /// A picture that a tool has returned, in this file. It is not missed where that is gone.
    Picture(PathBuf),
    /// What is too long for a message.
    File {
        /// What the file is called.
        name: String,
        /// What is in it.
        content: String,
        /// What it is.
        caption: String,
    },
    /// The card begins.
    CardBegun,
    /// The card changed.
    Card,
    /// The card changed, and goes to the end of the chat.
    CardMoved,
    /// The card ends with this.
    CardEnded {
        /// What it says.
        text: Text,
        /// Somebody is to be called to the phone, if no text before it has done that.
        heard: bool,
    },
}

impl Progress {
    /// Whether something goes on that is shown, or is about to be.
    pub fn is_busy(&self) -> bool {
        self.card.is_some() || self.held.is_some()
    }

    /// Takes in what happened at `at`. `cost`: by how much that which Claude has cost has grown with it.
    pub fn take(&mut self, at: Millis, event: &Event, cost: u64, style: &Style) -> Vec<Output> {
        let mut out = Vec::new();
        match event {
            Event::TurnStarted(started) => self.turn_started(started, at, &mut out),
            Event::TextBlock(block) => self.text(block, &mut out),
            Event::ThinkingBlock(block) => self.thinking(block, style, &mut out),
            Event::ToolStarted(started) => self.tool_started(started, at, style, &mut out),
            Event::ToolEnded(ended) => self.tool_ended(ended, style, &mut out),
            Event::ToolPicture(picture) => self.picture(picture, style, &mut out),
            Event::TodosChanged(changed) => self.on_card(&mut out, |card| card.set_todos(&changed.todos)),
            Event::RequestOpened(opened) => self.request_opened(opened, &mut out),
            Event::RequestSettled(settled) => {
                self.on_card(&mut out, |card| card.answered(settled));
            }
            Event::ApiRetried(retried) => self.api_retried(retried, at, &mut out),
            Event::Compacted(compacted) => self.compacted(compacted, &mut out),
            Event::Notice(notice) => self.notice(notice, at, &mut out),
            Event::Notification(notification) => {
                self.flush(false, &mut out);
                let text = markdown::render(&notification.text);
                out.push(Output::Say { text, sound: false });
            }
            Event::FileOffered(_) => {
                self.flush(false, &mut out);
                self.bury();
            }
            Event::ProcessStarted(started) => {
                self.death_heard = false;
                // One that is taken up goes on counting.
                self.counts |= !started.adopted;
            }
            Event::ProcessEnded(ended) => self.process_ended(ended, &mut out),
            Event::PromptStarted(started) => {
                if let Some(card) = &mut self.card {
                    card.takes_up(started.prompt);
                }
            }
            Event::PromptEnded(ended) => self.prompt_ended(ended, &mut out),
            Event::TurnEnded(ended) => self.turn_ended(ended, at, cost, style, &mut out),
            Event::TaskChanged(changed) => self.task_changed(changed, at, &mut out),
            Event::ConversationOpened(opened) => self.folder = opened.cwd.display().to_string(),
            Event::ConversationRecalled(recalled) => {
                self.folder = recalled.cwd.display().to_string();
                self.mode.clone_from(&recalled.settings.permission_mode);
            }
            Event::SessionChanged(changed) => self.folder = changed.cwd.display().to_string(),
            Event::SettingsChanged(settings) => self.settings_changed(settings, &mut out),
            Event::PromptAccepted(_) | Event::Unrecognised(_) | Event::UnrecognisedLines(_) => {}
        }
        if out.iter().any(|output| {
            matches!(
                output,
                Output::Say { .. }
                    | Output::Text { .. }
                    | Output::Files { .. }
                    | Output::File { .. }
                    | Output::Picture(_)
            )
        }) {
            self.bury();
        }
        out
    }

    /// Brings the card in line with what a snapshot says of the conversation; `None`: it is not in it.
    pub fn reconcile(&mut self, now: Option<&Conversation>) -> Vec<Output> {
        let mut out = Vec::new();
        self.flush(false, &mut out);
        self.counts = false;
        if let Some(now) = now {
            self.folder = now.cwd.display().to_string();
            self.mode.clone_from(&now.settings.permission_mode);
            self.tasks.clear();
            for task in &now.tasks {
                self.keep_task(task, Millis(0), true);
            }
        }
        let Some((now, turn)) = now.and_then(|now| Some((now, now.turn.as_ref()?))) else {
            self.lose_card(&mut out);
            return out;
        };
        let waiting = now.requests.iter().map(|(_, opened)| opened.request.to_string()).collect();
        let fresh = Card::of(turn, &self.folder);
        match &mut self.card {
            Some(card) if card.turn == turn.turn.0 && card.started_at == turn.started_at.0 => {
                card.tools.brought_up(fresh.tools);
                card.set_todos(&now.todos);
                card.waiting = waiting;
                card.prompts = fresh.prompts;
                (card.retry, card.compaction) = (None, Compaction::None);
                out.push(Output::Card);
            }
            _ => {
                self.lose_card(&mut out);
                let mut card = Card { waiting, ..fresh };
                card.set_todos(&now.todos);
                self.card = Some(card);
                out.extend([Output::CardBegun, Output::Card]);
            }
        }
        out
    }

    fn on_card(&mut self, out: &mut Vec<Output>, change: impl FnOnce(&mut Card)) {
        if let Some(card) = &mut self.card {
            change(card);
            out.push(Output::Card);
        }
    }

    fn bury(&mut self) {
        if let Some(card) = &mut self.card {
            card.buried = true;
        }
    }

    fn lose_card(&mut self, out: &mut Vec<Output>) {
        out.extend(self.card.take().map(|card| Output::CardEnded { text: card.lost(), heard: false }));
    }

    fn turn_started(&mut self, started: &TurnStarted, at: Millis, out: &mut Vec<Output>) {
        self.flush(false, out);
        self.lose_card(out);
        self.death_heard = false;
        self.alarmed_at = None;
        self.card = Some(Card::begin(started.turn.0, at, started.prompt));
        out.push(Output::CardBegun);
    }

    fn thinking(&mut self, block: &ThinkingBlock, style: &Style, out: &mut Vec<Output>) {
        if block.parent.is_some() {
            return;
        }
        self.flush(false, out);
        self.api_answers(out);
        if style.thinking && !block.text.trim().is_empty() {
            out.push(told::folded("💭", "Thinking", "thinking.txt", &block.text));
        }
    }

    /// What the card says of failed attempts is over.
    fn api_answers(&mut self, out: &mut Vec<Output>) {
        if self.card.as_ref().is_some_and(|card| card.retry.is_some()) {
            self.on_card(out, |card| card.retry = None);
        }
    }

    fn tool_started(&mut self, started: &ToolStarted, at: Millis, style: &Style, out: &mut Vec<Output>) {
        let own = started.parent.is_none();
        if own {
            self.flush(false, out);
        }
        if !out.is_empty() {
            self.bury();
        }
        if style.edits {
            self.edit_begins(started);
        }
        let Some(card) = &mut self.card else { return };
        card.retry = None;
        if let Some(parent) = started.parent.as_ref().filter(|parent| !card.tools.runs(parent.as_str()))
            && let Some(task) = self.tasks.iter().find(|task| task.is_of(parent))
        {
            task.goes_on_with(&mut card.tools);
        }
        card.tools.started(started, at, &self.folder);
        out.push(if own && card.moves(at) { Output::CardMoved } else { Output::Card });
    }

    fn tool_ended(&mut self, ended: &ToolEnded, style: &Style, out: &mut Vec<Output>) {
        let goes_on = self.background(ended);
        let edit = self.edit_ended(ended);
        let Some(card) = &mut self.card else { return };
        if goes_on && !ended.is_error {
            card.tools.goes_on(ended.tool_use.as_str());
        } else if let Some(tool) = card.tools.ended(ended) {
            out.extend(told::failed_tool(card, &tool, ended));
            out.extend(shown::done(&tool, ended, edit, style));
        }
        out.push(Output::Card);
    }

    /// Shows a picture that a tool has returned. What a subagent sees is the subagent's business, and the first few are
    /// enough.
    fn picture(&mut self, picture: &ToolPicture, style: &Style, out: &mut Vec<Output>) {
        let Some(card) = &mut self.card else { return };
        if !style.pictures || picture.parent.is_some() || card.pictures >= MAX_PICTURES {
            return;
        }
        card.pictures += 1;
        self.flush(false, out);
        out.push(Output::Picture(picture.path.clone()));
    }

    fn request_opened(&mut self, opened: &RequestOpened, out: &mut Vec<Output>) {
        self.flush(false, out);
        self.edit_is_asked(opened);
        self.on_card(out, |card| card.asks(opened));
    }

    fn api_retried(&mut self, retried: &ApiRetried, at: Millis, out: &mut Vec<Output>) {
        self.flush(false, out);
        let refused = retried.status.is_some_and(|status| REFUSED.contains(&status));
        if retried.attempt == if refused { 1 } else { TELL_RETRY } {
            if refused {
                self.alarmed_at = Some(at.0);
            }
            out.push(Output::Say { text: told::warning(&told::retry(retried), None), sound: refused });
        }
        self.on_card(out, |card| card.retry = Some(told::retry(retried)));
    }

    fn compacted(&mut self, compacted: &Compacted, out: &mut Vec<Output>) {
        self.flush(false, out);
        if let Some(card) = &mut self.card {
            card.compaction = match compacted.phase {
                CompactionPhase::Started => Compaction::Runs,
                CompactionPhase::Finished => Compaction::Told,
                CompactionPhase::Failed(_) => Compaction::None,
            };
            out.push(Output::Card);
        }
        // While it runs, the card says so.
        if compacted.phase != CompactionPhase::Started || self.card.is_none() {
            out.push(Output::Say { text: told::compaction(compacted), sound: false });
        }
    }
}
