//! The text blocks that are being written, as far as they have come: what a reader needs that begins to listen in the
//! middle of one.
//!
//! In memory alone: after a restart the spool is read again from the last commit, and gives most of it back.

use std::collections::BTreeMap;

use carcin_proto::event::{Event, MAX_EXCERPT, TextDelta, TextSoFar};
use carcin_proto::{BlockId, ConversationKey, Transient, TurnId};

use crate::rows::Item;

/// So much of a text is given to a reader, in bytes: more than a phone shows of it.
const GIVEN: usize = MAX_EXCERPT;
/// So much is kept, in bytes, so that what is clipped is copied now and then and not with each delta.
const KEPT: usize = 2 * GIVEN;

/// The blocks, one for each conversation that writes one.
#[derive(Debug, Default)]
pub(super) struct Texts(BTreeMap<ConversationKey, Text>);

#[derive(Debug)]
struct Text {
    turn: TurnId,
    block: BlockId,
    /// Characters that are no longer kept.
    before: u64,
    kept: String,
    /// Characters that have come.
    characters: u64,
}

impl Texts {
    /// Takes in what happened.
    pub(super) fn take(&mut self, key: &ConversationKey, item: &Item) {
        match item {
            Item::Transient(Transient::TextDelta(delta)) => self.delta(key, delta),
            Item::Durable(event) if ends_text(event) => drop(self.0.remove(key)),
            Item::Transient(_) | Item::Durable(_) => {}
        }
    }

    fn delta(&mut self, key: &ConversationKey, delta: &TextDelta) {
        match self.0.get_mut(key) {
            Some(text) if text.goes_on_with(delta) => text.push(&delta.text),
            _ => {
                let (turn, block, before) = (delta.turn, delta.block, delta.offset);
                let mut text = Text { turn, block, before, kept: String::new(), characters: before };
                text.push(&delta.text);
                self.0.insert(key.clone(), text);
            }
        }
    }

    /// What there is of each block.
    pub(super) fn so_far(&self) -> impl Iterator<Item = (&ConversationKey, TextSoFar)> {
        self.0.iter().map(|(key, text)| (key, text.so_far()))
    }
}

impl Text {
    fn goes_on_with(&self, delta: &TextDelta) -> bool {
        (self.turn, self.block, self.characters) == (delta.turn, delta.block, delta.offset)
    }

    fn push(&mut self, more: &str) {
        self.characters += count(more);
        self.kept.push_str(more);
        if self.kept.len() > KEPT {
            let clipped = self.kept.len() - tail(&self.kept).len();
            self.before += count(&self.kept[..clipped]);
            self.kept.drain(..clipped);
        }
    }

    fn so_far(&self) -> TextSoFar {
        let text = tail(&self.kept);
        let offset = self.before + count(&self.kept[..self.kept.len() - text.len()]);
        TextSoFar { turn: self.turn, block: self.block, offset, text: text.to_owned() }
    }
}

fn count(text: &str) -> u64 {
    u64::try_from(text.chars().count()).unwrap_or(u64::MAX)
}

/// The end of a text, of [`GIVEN`] bytes at most.
fn tail(text: &str) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(GIVEN))..]
}

/// Whether the text that is being written is complete with this, or will never be.
fn ends_text(event: &Event) -> bool {
    match event {
        Event::TextBlock(block) => block.parent.is_none(),
        Event::ThinkingBlock(block) => block.parent.is_none(),
        Event::ToolStarted(started) => started.parent.is_none(),
        Event::TurnStarted(_)
        | Event::TurnEnded(_)
        | Event::ProcessEnded(_)
        | Event::SessionChanged(_)
        | Event::ApiRetried(_)
        | Event::Compacted(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use carcin_proto::event::TextBlock;

    use super::*;

    fn key() -> ConversationKey {
        ConversationKey::new("test").expect("a valid key")
    }

    fn delta(block: u32, offset: u64, text: &str) -> Item {
        let delta = TextDelta { turn: TurnId(1), block: BlockId(block), offset, text: text.to_owned() };
        Item::Transient(delta.into())
    }

    fn so_far(items: impl IntoIterator<Item = Item>) -> Vec<(u32, u64, String)> {
        let mut texts = Texts::default();
        items.into_iter().for_each(|item| texts.take(&key(), &item));
        texts.so_far().map(|(_, text)| (text.block.0, text.offset, text.text)).collect()
    }

    #[test]
    fn block_that_is_being_written_is_known_until_it_is_complete() {
        assert_eq!(so_far([delta(0, 0, "Hé"), delta(0, 2, "llo")]), [(0, 0, "Héllo".to_owned())]);
        let block = TextBlock { turn: TurnId(1), block: BlockId(0), text: "Hé".into(), parent: None };
        assert_eq!(so_far([delta(0, 0, "Hé"), Item::Durable(block.into())]), []);
        assert_eq!(so_far([delta(0, 0, "Hé"), delta(1, 0, "next")]), [(1, 0, "next".to_owned())]);
    }

    #[test]
    fn block_whose_beginning_is_lost_is_known_from_where_it_is() {
        assert_eq!(so_far([delta(0, 7, "rest"), delta(0, 11, "!")]), [(0, 7, "rest!".to_owned())]);
        assert_eq!(so_far([delta(0, 0, "abc"), delta(0, 9, "rest")]), [(0, 9, "rest".to_owned())]);
    }

    #[test]
    fn only_the_end_of_a_long_text_is_kept() {
        let pieces = (0..10_000).map(|piece| delta(0, piece * 8, &format!("é{piece:07}")));
        let [(_, offset, text)] = &so_far(pieces)[..] else { panic!("one") };
        assert!(text.len() <= GIVEN && text.len() > GIVEN - 9, "{}", text.len());
        assert!(text.ends_with("é0009999"));
        assert_eq!(offset + count(text), 80_000);
    }
}
