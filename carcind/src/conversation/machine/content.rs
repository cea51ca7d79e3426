//! What Claude writes and does within a turn: text, thinking, tools, todos.
//!
//! Blocks are numbered as Claude begins them; the finished block then takes the number of the oldest one begun,
//! so that a reader can put the block in the place of its deltas.

use carcin_proto::event::{
    MAX_EXCERPT, MAX_TEXT, TextBlock, TextDelta, ThinkingBlock, ThinkingDelta, TodosChanged, ToolEnded,
    ToolPicture, ToolProgress, ToolStarted,
};
use carcin_proto::{BlockId, Millis, ToolUseId, Transient};

use super::{Machine, TurnRow};
use crate::claude::{Assistant, Block, Picture, ToolResult, cut};
use crate::conversation::tool_pictures::Kept;
use crate::rows::{InputKind, Item, OpenBlock, ToolRow};

/// Partial text that is read at once is told at once, up to this many bytes: whoever comes late has less to read.
const MAX_JOINED: usize = 4096;

/// The most blocks that are begun and not finished, and the most tools that run at a time. Beyond, the oldest is
/// forgotten: the row is written with every commit.
const MAX_OPEN: usize = 256;
const MAX_TOOLS: usize = 256;

impl Machine {
    pub(super) fn message_started(&mut self) {
        let turn = self.begin_turn(None);
        turn.open.clear();
        turn.unanswered = false;
    }

    pub(super) fn block_started(&mut self, index: u32) {
        let turn = self.begin_turn(None);
        let block = take_number(turn);
        if turn.open.len() >= MAX_OPEN {
            turn.open.remove(0);
        }
        turn.open.push(OpenBlock { index, block, characters: 0 });
    }

    pub(super) fn text_delta(&mut self, index: u32, text: &str) {
        let Some((turn, block, offset)) = self.extend(index, text) else { return };
        if let Some(Item::Transient(Transient::TextDelta(last))) = self.step.items.last_mut()
            && (last.turn, last.block) == (turn, block)
            && last.text.len() + text.len() <= MAX_JOINED
        {
            return last.text.push_str(text);
        }
        self.emit_transient(TextDelta { turn, block, offset, text: text.to_owned() });
    }

    pub(super) fn thinking_delta(&mut self, index: u32, text: &str) {
        let Some((turn, block, offset)) = self.extend(index, text) else { return };
        if let Some(Item::Transient(Transient::ThinkingDelta(last))) = self.step.items.last_mut()
            && (last.turn, last.block) == (turn, block)
            && last.text.len() + text.len() <= MAX_JOINED
        {
            return last.text.push_str(text);
        }
        self.emit_transient(ThinkingDelta { turn, block, offset, text: text.to_owned() });
    }

    /// Where in the turn `text` belongs; `None`: its block was begun before anybody listened.
    fn extend(&mut self, index: u32, text: &str) -> Option<(carcin_proto::TurnId, BlockId, u64)> {
        if text.is_empty() {
            return None;
        }
        let turn = self.row.turn.as_mut()?;
        let open = turn.open.iter_mut().find(|open| open.index == index)?;
        let offset = open.characters;
        open.characters += u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
        Some((turn.turn, open.block, offset))
    }

    pub(super) fn assistant(&mut self, assistant: Assistant) {
        let own = assistant.parent.is_none();
        // Claude Code's own words about a failure: the end of the turn says the same, and what to do.
        if own && assistant.synthetic && assistant.error.is_some() {
            return;
        }
        if own && assistant.context_tokens > 0 {
            self.row.context = (assistant.context_tokens, assistant.model);
        }
        for block in assistant.blocks {
            let now = self.now;
            let turn = self.begin_turn(None);
            let id = if own && !turn.open.is_empty() { turn.open.remove(0).block } else { take_number(turn) };
            let turn_id = turn.turn;
            let parent = assistant.parent.clone();
            match block {
                Block::Text(text) => self.text_block(id, &text, parent.as_ref()),
                Block::Thinking(text) => {
                    let text = cut(&text, MAX_EXCERPT).to_owned();
                    self.emit(ThinkingBlock { turn: turn_id, block: id, text, parent });
                }
                Block::ToolUse { id: tool_use, name, input, summary } => {
                    if turn.tools.len() >= MAX_TOOLS {
                        turn.tools.pop_first();
                    }
                    turn.tools.insert(tool_use.clone(), ToolRow { started_at: now, name: name.clone() });
                    if own && self.todos.started(&tool_use, &name, &input) {
                        self.keep_todos();
                    }
                    self.emit(ToolStarted {
                        turn: turn_id,
                        block: id,
                        tool_use,
                        name,
                        summary,
                        input,
                        parent,
                    });
                }
            }
        }
    }

    /// A text as one event, or as several where it is longer than one may be.
    fn text_block(&mut self, block: BlockId, text: &str, parent: Option<&ToolUseId>) {
        let (mut rest, mut block) = (text, block);
        loop {
            let part = cut(rest, MAX_TEXT);
            let turn = self.row.last_turn;
            self.emit(TextBlock { turn, block, text: part.to_owned(), parent: parent.cloned() });
            rest = &rest[part.len()..];
            if rest.is_empty() {
                return;
            }
            block = take_number(self.begin_turn(None));
        }
    }

    /// What a slash command prints, as a text of Claude's.
    pub(super) fn local_output(&mut self, text: &str) {
        // Claude says so when it is given another model, before it answers. The change itself is told: this would be
        // a text, and beside a turn a turn of its own.
        let sets = self.lines.of(InputKind::Setting).next().is_some();
        if sets && (self.row.turn.is_none() || text.starts_with("Set model to ")) {
            return;
        }
        if !text.trim().is_empty() {
            let block = take_number(self.begin_turn(None));
            self.text_block(block, text, None);
        }
    }

    /// A tool that runs has returned a picture, which is in this file.
    pub fn picture(&mut self, picture: &Picture, kept: Kept) {
        let Some(turn) = &self.row.turn else { return };
        if turn.tools.contains_key(&picture.tool_use) {
            let (turn, tool_use, parent) = (turn.turn, picture.tool_use.clone(), picture.parent.clone());
            let Kept { path, media_type, size } = kept;
            self.emit(ToolPicture { turn, tool_use, path, media_type: media_type.to_owned(), size, parent });
        }
    }

    pub(super) fn tool_result(&mut self, result: ToolResult) {
        let now = self.now;
        // A result outside a turn is the last word of a tool that an interrupt cut off.
        let Some(turn) = &mut self.row.turn else { return };
        let Some(tool) = turn.tools.remove(&result.tool_use) else { return };
        let turn = turn.turn;
        let mut todos = None;
        if result.parent.is_none() && self.todos.is_open(&result.tool_use) {
            todos =
                self.todos.finished(&result.tool_use, result.is_error, &result.output, &result.structured);
            self.keep_todos();
        }
        self.emit(ToolEnded {
            turn,
            tool_use: result.tool_use,
            is_error: result.is_error,
            output: result.output,
            omitted: result.omitted,
            duration: Millis(now.0.saturating_sub(tool.started_at.0)),
            parent: result.parent,
        });
        if let Some(todos) = todos {
            self.emit(TodosChanged { todos });
        }
    }

    pub(super) fn tool_progress(&mut self, tool_use: ToolUseId, elapsed: Millis) {
        if let Some(turn) = &self.row.turn {
            let turn = turn.turn;
            self.emit_transient(ToolProgress { turn, tool_use, elapsed });
        }
    }

    /// The tracker also remembers uses that have not come back, so it changes more often than the list.
    pub(super) fn keep_todos(&mut self) {
        self.row.todos = serde_json::to_string(&self.todos).unwrap_or_default();
    }
}

fn take_number(turn: &mut TurnRow) -> BlockId {
    turn.next_block += 1;
    BlockId(turn.next_block - 1)
}
