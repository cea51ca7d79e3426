//! How things end, and who is called to the phone for it: once for each end.

use carcin_proto::Millis;
use carcin_proto::event::{ProcessEnded, PromptEnded, PromptOutcome, TurnEnded, TurnOutcome};

use super::told::failure;
use super::{Output, Progress, Style};
use crate::markdown::TextBuilder;

/// Between a failure that was heard and the end of a turn that it brings about, in milliseconds: within that the end
/// says nothing new.
const SAME_FAILURE: u64 = 60_000;

impl Progress {
    pub(super) fn turn_ended(
        &mut self,
        ended: &TurnEnded,
        at: Millis,
        cost: u64,
        style: &Style,
        out: &mut Vec<Output>,
    ) {
        // Whoever stopped it knows. Of a death the prompts tell, each with what can be done; there may be none.
        let alone = self.card.as_ref().is_none_or(|card| card.by_itself);
        let heard = match &ended.outcome {
            TurnOutcome::Completed => true,
            // A limit that is reached is told, and heard, right before the turn fails of it.
            TurnOutcome::Failed(_) => {
                self.alarmed_at.is_none_or(|alarmed| at.0.saturating_sub(alarmed) >= SAME_FAILURE)
            }
            TurnOutcome::Stopped(_) => false,
            TurnOutcome::Interrupted(_) => alone && !std::mem::replace(&mut self.death_heard, true),
        };
        self.flush(heard, out);
        self.failed = match &ended.outcome {
            TurnOutcome::Failed(why) => Some(why.clone()),
            _ => None,
        };
        self.failed_prompts = self.card.as_ref().map(|card| card.prompts.clone());
        self.edits.clear();
        let cost = self.counts.then_some(cost);
        self.counts |= ended.usage.cost_micro_usd > 0;
        match (self.card.take(), &ended.outcome) {
            (Some(card), outcome) => {
                // What a Claude had begun that died is over too.
                let dead = matches!(outcome, TurnOutcome::Interrupted(_));
                let text = card.ended(ended, cost, if dead { 0 } else { self.tasks_going_on() }, style);
                out.push(Output::CardEnded { text, heard });
            }
            (None, TurnOutcome::Failed(why)) if out.is_empty() => {
                out.push(Output::Say { text: failure(&format!("Claude failed: {why}"), None), sound: true });
            }
            (None, _) => {}
        }
    }

    pub(super) fn process_ended(&mut self, ended: &ProcessEnded, out: &mut Vec<Output>) {
        self.counts = false;
        self.tasks.clear();
        self.flush(false, out);
        let Some(message) = &ended.message else { return };
        let heard = std::mem::replace(&mut self.death_heard, true);
        let mut text = TextBuilder::new();
        text.append(&failure(message, None));
        if !ended.stderr_tail.trim().is_empty() {
            text.newline().expandable_quote(|quote| {
                quote.push(ended.stderr_tail.trim());
            });
        }
        out.push(Output::Say { text: text.build(), sound: !heard });
    }

    pub(super) fn prompt_ended(&mut self, ended: &PromptEnded, out: &mut Vec<Output>) {
        if let PromptOutcome::Failed(why) = &ended.outcome {
            // The end of its turn has said so, of all that were in it. One that never began is another matter.
            let told = match &self.failed_prompts {
                Some(prompts) => prompts.contains(&ended.prompt) && self.failed.as_ref() == Some(why),
                None => self.failed.take().as_ref() == Some(why),
            };
            if told {
                return;
            }
            self.flush(false, out);
            let text = failure(&format!("Your message could not be given to Claude: {why}"), None);
            out.push(Output::Say { text, sound: true });
        }
    }

    /// Whether the message about an interrupted prompt is to be heard: the first of a death is.
    pub fn hear_death(&mut self) -> bool {
        !std::mem::replace(&mut self.death_heard, true)
    }
}
