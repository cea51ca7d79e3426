//! What Claude says: held back until it is known whether it is the last of a turn, as only that makes a sound.

use carcin_proto::event::{Event, TextBlock};

use super::{Output, Progress};
use crate::markdown::{self, MESSAGE_LIMIT};
use crate::view::card::{Card, Compaction};
use crate::view::markers::{self, Stripped};

/// The longest text that comes as messages, in UTF-16 code units: sixteen of them. A longer one is begun in a message,
/// and comes as a file.
const LONGEST: usize = 16 * MESSAGE_LIMIT;

/// Whether a text that is complete is sent before what this event tells.
pub fn ends_text(event: &Event) -> bool {
    match event {
        Event::TextBlock(block) => block.parent.is_none(),
        Event::ThinkingBlock(block) => block.parent.is_none(),
        Event::ToolStarted(started) => started.parent.is_none(),
        Event::TurnStarted(_)
        | Event::TurnEnded(_)
        | Event::RequestOpened(_)
        | Event::ApiRetried(_)
        | Event::Compacted(_)
        | Event::Notice(_)
        | Event::Notification(_)
        | Event::FileOffered(_)
        | Event::ProcessEnded(_)
        | Event::PromptEnded(_) => true,
        Event::ToolEnded(_)
        | Event::ToolPicture(_)
        | Event::TodosChanged(_)
        | Event::RequestSettled(_)
        | Event::ConversationOpened(_)
        | Event::ConversationRecalled(_)
        | Event::SessionChanged(_)
        | Event::SettingsChanged(_)
        | Event::ProcessStarted(_)
        | Event::PromptAccepted(_)
        | Event::PromptStarted(_)
        | Event::TaskChanged(_)
        | Event::Unrecognised(_)
        | Event::UnrecognisedLines(_) => false,
    }
}

/// Whether this may happen while a text is being written, which goes on afterwards.
pub fn goes_beside_text(event: &Event) -> bool {
    matches!(
        event,
        Event::RequestOpened(_)
            | Event::PromptEnded(_)
            | Event::Notice(_)
            | Event::Notification(_)
            | Event::FileOffered(_)
    )
}

impl Progress {
    /// Another text begins: the one before it is not the final one.
    pub fn next_text(&mut self) -> Vec<Output> {
        let mut out = Vec::new();
        self.flush(false, &mut out);
        if !out.is_empty() {
            self.bury();
        }
        out
    }

    /// Takes in the text of a block that never came to its end, as far as it was seen: the turn is over.
    pub fn cut_short(&mut self, text: &str) -> Vec<Output> {
        let mut out = Vec::new();
        self.flush(false, &mut out);
        self.held = Some(format!("{}…", text.trim_end()));
        self.flush(false, &mut out);
        out
    }

    /// Sends the text that was held back.
    pub(super) fn flush(&mut self, sound: bool, out: &mut Vec<Output>) {
        let Some(held) = self.held.take() else { return };
        let Stripped { text: source, files } = markers::strip(&held);
        let text = markdown::render(&source);
        let said = !text.is_blank();
        if text.units() > LONGEST {
            out.push(Output::Text { text: markdown::truncate(&text, MESSAGE_LIMIT), sound });
            let caption = format!("📄 The whole of it, {} characters", source.chars().count());
            out.push(Output::File { name: "answer.md".to_owned(), content: source, caption });
        } else if said {
            out.push(Output::Text { text, sound });
        }
        if !files.is_empty() {
            out.push(Output::Files { files, sound: sound && !said });
        }
    }

    pub(super) fn text(&mut self, block: &TextBlock, out: &mut Vec<Output>) {
        // What a subagent writes is for Claude. What `/compact` prints was told better.
        let is_told =
            |card: &Card| card.compaction == Compaction::Told && block.text.starts_with("Compacted");
        if block.parent.is_some() || self.card.as_ref().is_some_and(is_told) {
            return;
        }
        self.flush(false, out);
        self.held = Some(block.text.clone());
        self.api_answers(out);
    }
}
