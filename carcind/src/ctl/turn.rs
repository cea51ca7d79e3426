//! One prompt followed to its end: events in, what to show out. No I/O.

use carcin_proto::event::{
    Level, PromptOutcome, RequestSettled, TextBlock, TextDelta, ToolEnded, ToolStarted, TurnEnded,
    TurnOutcome,
};
use carcin_proto::request::Gap;
use carcin_proto::{BlockId, ConversationKey, Delivery, Event, PromptId, ToolUseId, Transient, TurnId};

use super::style::Style;
use super::text::{cut, one_line, short};
use super::time::duration;
use super::{ask, describe};

/// Something to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Claude's words, as far as they have come.
    Text(String),
    /// A whole line, or several, about what happens.
    Line(String),
    /// What happens just now; the next piece replaces it.
    Status(String),
}

/// How a prompt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    Completed,
    Failed(String),
    Stopped(String),
    Interrupted(String),
    /// The journal with its end is lost.
    Unknown,
}

/// What is known of our prompt.
pub(super) struct TurnView {
    conversation: ConversationKey,
    prompt: PromptId,
    style: Style,
    /// The turn that took it up.
    turn: Option<TurnId>,
    /// That turn has not ended.
    running: bool,
    turn_outcome: Option<TurnOutcome>,
    prompt_outcome: Option<PromptOutcome>,
    lost: bool,
    text: BlockText,
    /// The tools that run, each with its line.
    tools: Vec<(ToolUseId, String)>,
}

impl TurnView {
    /// Lines are made for `style`.
    pub(super) fn new(conversation: ConversationKey, prompt: PromptId, style: Style) -> Self {
        Self {
            conversation,
            prompt,
            style,
            turn: None,
            running: false,
            turn_outcome: None,
            prompt_outcome: None,
            lost: false,
            text: BlockText::default(),
            tools: Vec::new(),
        }
    }

    /// How it ended, once it has: the prompt is settled, and the turn that had it is over.
    pub(super) fn ending(&self) -> Option<Ending> {
        if self.lost {
            return Some(Ending::Unknown);
        }
        let outcome = self.prompt_outcome.as_ref().filter(|_| !self.running)?;
        Some(match (outcome, &self.turn_outcome) {
            (PromptOutcome::Interrupted(how), _) => Ending::Interrupted(how.clone()),
            (PromptOutcome::Failed(why), _) | (_, Some(TurnOutcome::Failed(why))) => {
                Ending::Failed(why.clone())
            }
            (_, Some(TurnOutcome::Interrupted(how))) => Ending::Interrupted(how.clone()),
            (_, Some(TurnOutcome::Stopped(by))) => Ending::Stopped(format!("stopped by {by}")),
            (PromptOutcome::Cancelled, _) => Ending::Stopped("cancelled".to_owned()),
            (PromptOutcome::Completed, _) => Ending::Completed,
        })
    }

    /// What `delivery` has to show.
    pub(super) fn take(&mut self, delivery: &Delivery) -> Vec<Piece> {
        match delivery {
            Delivery::Durable(_, Some(envelope)) if envelope.conversation == self.conversation => {
                self.durable(&envelope.event)
            }
            Delivery::Transient(envelope) if envelope.conversation == self.conversation => {
                self.transient(&envelope.event)
            }
            Delivery::Gap(gap) => self.gap(gap),
            Delivery::Durable(..) | Delivery::Transient(_) | Delivery::Snapshot(_) => Vec::new(),
        }
    }

    fn transient(&mut self, event: &Transient) -> Vec<Piece> {
        match event {
            Transient::TextDelta(delta) if self.is_ours(delta.turn) => self.text.delta(delta),
            Transient::ToolProgress(progress) if self.is_ours(progress.turn) => {
                let tool = self.tools.iter().find(|(tool_use, _)| *tool_use == progress.tool_use);
                let status = tool.map(|(_, line)| format!("{line}, {}", duration(progress.elapsed)));
                status.into_iter().map(Piece::Status).collect()
            }
            _ => Vec::new(),
        }
    }

    fn is_ours(&self, turn: TurnId) -> bool {
        self.running && self.turn == Some(turn)
    }

    fn durable(&mut self, event: &Event) -> Vec<Piece> {
        match event {
            Event::PromptStarted(started) if started.prompt == self.prompt => {
                self.turn = Some(started.turn);
                self.running = true;
                self.turn_outcome = None;
                Vec::new()
            }
            Event::PromptEnded(ended) if ended.prompt == self.prompt => {
                self.prompt_outcome = Some(ended.outcome.clone());
                Vec::new()
            }
            Event::TurnEnded(ended) if self.is_ours(ended.turn) => self.turn_ended(ended),
            Event::ProcessEnded(ended) => {
                self.running = false;
                let message = ended.message.as_ref().map(|_| describe::describe(event));
                message.map(|message| self.line(&self.style.red(&message))).unwrap_or_default()
            }
            Event::TextBlock(block) if self.is_ours(block.turn) && block.parent.is_none() => {
                self.text.settle(block)
            }
            Event::ToolStarted(started) if self.is_ours(started.turn) => self.tool_started(started),
            Event::ToolEnded(ended) if self.is_ours(ended.turn) => self.tool_ended(ended),
            Event::RequestOpened(opened) if self.is_ours(opened.turn) => {
                let asked = ask::render(&opened.ask, short(opened.request.as_str()), self.style);
                self.line(asked.trim_end())
            }
            Event::RequestSettled(settled) => self.request_settled(settled),
            Event::ApiRetried(_) | Event::Compacted(_) | Event::Notification(_) | Event::FileOffered(_) => {
                self.line(&self.style.dim(&describe::describe(event)))
            }
            Event::Notice(notice) => match notice.level {
                Level::Info => self.line(&self.style.dim(&describe::describe(event))),
                Level::Warning | Level::Error => self.line(&self.style.yellow(&describe::describe(event))),
            },
            _ => Vec::new(),
        }
    }

    fn turn_ended(&mut self, ended: &TurnEnded) -> Vec<Piece> {
        self.running = false;
        self.turn_outcome = Some(ended.outcome.clone());
        self.tools.clear();
        // How else it ended is the last word, see `ending`.
        let took = format!("completed after {}", duration(ended.duration));
        let line = (ended.outcome == TurnOutcome::Completed).then(|| self.line(&self.style.dim(&took)));
        line.unwrap_or_default()
    }

    fn tool_started(&mut self, started: &ToolStarted) -> Vec<Piece> {
        let indent = if started.parent.is_some() { "  " } else { "" };
        let line = format!("{indent}{}", describe::tool(started));
        self.tools.push((started.tool_use.clone(), line.clone()));
        self.after_text([Piece::Status(line)])
    }

    fn tool_ended(&mut self, ended: &ToolEnded) -> Vec<Piece> {
        let at = self.tools.iter().position(|(tool_use, _)| *tool_use == ended.tool_use);
        let name = at.map_or_else(|| "tool".to_owned(), |at| self.tools.remove(at).1);
        let indent = name.len() - name.trim_start().len();
        let took = format!("  {}", duration(ended.duration));
        let room = self.style.width.saturating_sub(indent + 2 + took.len());
        let mark = if ended.is_error { self.style.red("✗") } else { self.style.green("✓") };
        let name = cut(name.trim_start(), room);
        let line = format!("{}{mark} {name}{}", " ".repeat(indent), self.style.dim(&took));
        let mut pieces = self.line(&line);
        pieces.extend(self.tools.last().map(|(_, line)| Piece::Status(line.clone())));
        pieces
    }

    fn request_settled(&mut self, settled: &RequestSettled) -> Vec<Piece> {
        let line = format!("[{}] {}", short(settled.request.as_str()), describe::settled(settled));
        self.line(&self.style.dim(&one_line(&line)))
    }

    /// Events are lost; the snapshot tells whether ours is still to be worked on.
    fn gap(&mut self, gap: &Gap) -> Vec<Piece> {
        let conversation = gap.snapshot.conversations.get(&self.conversation);
        let queued =
            conversation.is_some_and(|now| now.queue.iter().any(|queued| queued.prompt == self.prompt));
        let turn = conversation.and_then(|now| now.turn.as_ref());
        let turn = turn.filter(|turn| turn.prompts.contains(&self.prompt));
        self.turn = turn.map(|turn| turn.turn);
        self.running = turn.is_some();
        self.lost = !queued && !self.running;
        self.tools.clear();
        self.line(&self.style.yellow("some of what happened is lost"))
    }

    fn line(&mut self, line: &str) -> Vec<Piece> {
        self.after_text([Piece::Line(line.to_owned())])
    }

    /// The pieces, after the end of the last text's line if that text is whole.
    fn after_text<const N: usize>(&mut self, pieces: [Piece; N]) -> Vec<Piece> {
        self.text.end_line().into_iter().chain(pieces).collect()
    }
}

/// The text block that is being shown, counted in characters.
#[derive(Default)]
struct BlockText {
    block: Option<BlockId>,
    /// How much of it was shown.
    shown: u64,
    /// How much of it the durable events have told.
    settled: u64,
    /// The last line shown has no end yet.
    mid_line: bool,
}

impl BlockText {
    /// The text of a delta that follows what was shown. Of any other the durable block will tell.
    fn delta(&mut self, delta: &TextDelta) -> Vec<Piece> {
        let mut pieces = Vec::new();
        if self.block != Some(delta.block) {
            if self.shown > self.settled || delta.offset != 0 {
                return pieces;
            }
            pieces = self.begin(delta.block);
        }
        if delta.offset == self.shown {
            pieces.extend(self.show(&delta.text));
        }
        pieces
    }

    /// What of a finished block was not shown.
    fn settle(&mut self, block: &TextBlock) -> Vec<Piece> {
        let mut pieces = if self.block == Some(block.block) { Vec::new() } else { self.begin(block.block) };
        let known = self.shown.saturating_sub(self.settled);
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        let missing: String = block.text.chars().skip(known).collect();
        pieces.extend(self.show(&missing));
        self.settled += block.text.chars().count() as u64;
        self.shown = self.shown.max(self.settled);
        pieces
    }

    fn begin(&mut self, block: BlockId) -> Vec<Piece> {
        let blank = self.block.is_some().then(|| Piece::Text("\n".to_owned()));
        self.shown = self.settled;
        let end = self.end_line();
        *self = Self { block: Some(block), ..Self::default() };
        end.into_iter().chain(blank).collect()
    }

    fn show(&mut self, text: &str) -> Option<Piece> {
        if text.is_empty() {
            return None;
        }
        self.shown += text.chars().count() as u64;
        self.mid_line = !text.ends_with('\n');
        Some(Piece::Text(text.to_owned()))
    }

    /// The end of the last line, if the block is whole.
    fn end_line(&mut self) -> Option<Piece> {
        let ends = self.mid_line && self.shown <= self.settled;
        ends.then(|| {
            self.mid_line = false;
            Piece::Text("\n".to_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use carcin_proto::event::Envelope;
    use carcin_proto::event::{ProcessEnded, ToolProgress};
    use carcin_proto::request::GapReason;
    use carcin_proto::snapshot::QueuedPrompt;
    use carcin_proto::{Conversation, Millis, Seq, Snapshot, TransientEnvelope};
    use proptest::prelude::*;

    use super::super::describe::tests as samples;
    use super::*;

    fn key() -> ConversationKey {
        ConversationKey::new("cli").unwrap()
    }

    fn view() -> TurnView {
        TurnView::new(key(), samples::prompt(), Style::PLAIN)
    }

    fn durable(event: impl Into<Event>) -> Delivery {
        Delivery::Durable(Seq(1), Some(Envelope { conversation: key(), at: Millis(1), event: event.into() }))
    }

    fn transient(event: impl Into<Transient>) -> Delivery {
        Delivery::Transient(TransientEnvelope { conversation: key(), event: event.into() })
    }

    fn delta(block: u32, offset: u64, text: &str) -> Delivery {
        transient(TextDelta { turn: TurnId(3), block: BlockId(block), offset, text: text.into() })
    }

    fn block(block: u32, text: &str) -> Delivery {
        durable(samples::text(block, text))
    }

    /// All of standard output, after the prompt was started.
    fn words(deliveries: &[Delivery]) -> String {
        let mut view = view();
        view.take(&durable(samples::prompt_started()));
        let pieces = deliveries.iter().flat_map(|delivery| view.take(delivery));
        pieces.filter_map(|piece| if let Piece::Text(text) = piece { Some(text) } else { None }).collect()
    }

    fn end() -> Delivery {
        durable(samples::turn_ended(TurnOutcome::Completed))
    }

    #[test]
    fn deltas_are_shown_as_they_come_and_not_again_with_the_block() {
        assert_eq!(words(&[delta(0, 0, "Hé"), delta(0, 2, "llo")]), "Héllo");
        assert_eq!(words(&[delta(0, 0, "Hé"), delta(0, 2, "llo"), block(0, "Héllo"), end()]), "Héllo\n");
    }

    #[test]
    fn a_missed_delta_waits_for_the_block() {
        let lagging =
            [delta(0, 0, "He"), delta(0, 4, "o w"), delta(0, 7, "orld"), block(0, "Hello world"), end()];
        assert_eq!(words(&lagging[..3]), "He");
        assert_eq!(words(&lagging), "Hello world\n");
        assert_eq!(words(&[delta(0, 5, "late"), block(0, "Hello late"), end()]), "Hello late\n");
        assert_eq!(words(&[delta(0, 0, "ab"), delta(0, 1, "b"), block(0, "abc"), end()]), "abc\n");
    }

    #[test]
    fn blocks_have_a_blank_line_between_them() {
        let both = [delta(0, 0, "One"), block(0, "One"), delta(2, 0, "Tw"), block(2, "Two\n"), end()];
        assert_eq!(words(&both), "One\n\nTwo\n");
    }

    #[test]
    fn a_block_in_several_events_is_one_text() {
        let deliveries = [delta(0, 0, "ab"), block(0, "abc"), delta(0, 3, "d"), block(0, "def"), end()];
        assert_eq!(words(&deliveries), "abcdef\n");
    }

    #[test]
    fn other_turns_and_conversations_are_not_shown() {
        let mut view = view();
        assert!(view.take(&delta(0, 0, "before ours")).is_empty());
        assert!(view.take(&block(0, "before ours")).is_empty());
        view.take(&durable(samples::prompt_started()));
        let other = TextDelta { turn: TurnId(9), block: BlockId(0), offset: 0, text: "x".into() };
        assert!(view.take(&transient(other.clone())).is_empty());
        let elsewhere = TransientEnvelope {
            conversation: ConversationKey::new("tg:7").unwrap(),
            event: TextDelta { turn: TurnId(3), ..other }.into(),
        };
        assert!(view.take(&Delivery::Transient(elsewhere)).is_empty());
    }

    #[test]
    fn tools_and_requests_are_lines() {
        let mut view = view();
        let progress = ToolProgress {
            turn: TurnId(3),
            tool_use: ToolUseId::new("toolu_1").unwrap(),
            elapsed: Millis(42_000),
        };
        let deliveries = [
            durable(samples::prompt_started()),
            delta(0, 0, "I look."),
            block(0, "I look."),
            durable(samples::tool_started()),
            durable(samples::request_opened()),
            transient(progress),
            durable(samples::tool_ended(false)),
            durable(samples::tool_started()),
            durable(samples::tool_ended(true)),
            end(),
        ];
        let shown: Vec<String> = deliveries
            .iter()
            .flat_map(|delivery| view.take(delivery))
            .map(|piece| match piece {
                Piece::Text(text) => format!("text   {text:?}"),
                Piece::Line(line) => format!("line   {}", line.replace('\n', "\n       ")),
                Piece::Status(status) => format!("status {status}"),
            })
            .collect();
        insta::assert_snapshot!(shown.join("\n"));
    }

    fn ending(events: &[Event]) -> Option<Ending> {
        let mut view = view();
        for event in events {
            view.take(&durable(event.clone()));
        }
        view.ending()
    }

    #[test]
    fn it_ends_when_the_prompt_is_settled_and_its_turn_is_over() {
        let started = samples::prompt_started();
        let done = samples::prompt_ended(PromptOutcome::Completed);
        let over = samples::turn_ended(TurnOutcome::Completed);
        assert_eq!(ending(std::slice::from_ref(&started)), None);
        assert_eq!(ending(&[started.clone(), done.clone()]), None);
        assert_eq!(ending(&[started.clone(), over.clone()]), None);
        assert_eq!(ending(&[started.clone(), over.clone(), done.clone()]), Some(Ending::Completed));
        assert_eq!(ending(&[started, done, over]), Some(Ending::Completed));
    }

    #[test]
    fn each_end_is_told_apart() {
        let after = |prompt, turn| {
            ending(&[samples::prompt_started(), samples::prompt_ended(prompt), samples::turn_ended(turn)])
        };
        let failed = TurnOutcome::Failed("overloaded".into());
        assert_eq!(after(PromptOutcome::Completed, failed), Some(Ending::Failed("overloaded".into())));
        let stopped = TurnOutcome::Stopped("ana".into());
        let by_ana = Some(Ending::Stopped("stopped by ana".into()));
        assert_eq!(after(PromptOutcome::Cancelled, stopped.clone()), by_ana);
        assert_eq!(after(PromptOutcome::Completed, stopped), by_ana);
        let killed = PromptOutcome::Interrupted("killed".into());
        let interrupted = Some(Ending::Interrupted("killed".into()));
        assert_eq!(after(killed.clone(), TurnOutcome::Failed("x".into())), interrupted);
        assert_eq!(
            ending(&[samples::prompt_ended(PromptOutcome::Cancelled)]),
            Some(Ending::Stopped("cancelled".into()))
        );
        assert_eq!(
            ending(&[samples::prompt_ended(PromptOutcome::Failed("no disk".into()))]),
            Some(Ending::Failed("no disk".into()))
        );
        let gone = ProcessEnded {
            exit: carcin_proto::event::Exit::Signal(9),
            message: None,
            stderr_tail: String::new(),
        };
        let events = [samples::prompt_started(), gone.into(), samples::prompt_ended(killed)];
        assert_eq!(ending(&events), interrupted);
    }

    #[test]
    fn after_a_gap_the_snapshot_tells_whether_to_go_on() {
        let mut conversation = Conversation::default();
        let gap = |conversation: &Conversation| {
            let conversations = [(key(), conversation.clone())].into();
            let snapshot = Snapshot { seq: Seq(9), conversations };
            Delivery::Gap(Gap { reason: GapReason::BehindRetention, snapshot })
        };
        let mut view = view();
        conversation.queue.push(QueuedPrompt { prompt: samples::prompt(), text: String::new() });
        view.take(&gap(&conversation));
        assert_eq!(view.ending(), None);
        conversation.queue.clear();
        view.take(&gap(&conversation));
        assert_eq!(view.ending(), Some(Ending::Unknown));
    }

    proptest! {
        /// Whichever deltas are lost or come twice, the words shown are the block's.
        #[test]
        fn lost_deltas_do_not_matter(
            parts in prop::collection::vec("[aß漢🦀 \n]{1,4}", 1..8),
            kept in prop::collection::vec(0usize..3, 8),
        ) {
            let (mut deliveries, mut offset) = (Vec::new(), 0);
            for (part, times) in parts.iter().zip(kept) {
                deliveries.extend(std::iter::repeat_n(delta(0, offset, part), times));
                offset += part.chars().count() as u64;
            }
            let whole = parts.concat();
            deliveries.push(block(0, &whole));
            prop_assert_eq!(words(&deliveries), whole);
        }
    }
}
