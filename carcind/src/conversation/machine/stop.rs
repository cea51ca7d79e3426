//! Stopping: what runs is interrupted, what waits is cancelled, and a ladder takes over where Claude does not
//! obey.

use carcin_proto::event::{Level, PromptOutcome};
use carcin_proto::request::Stopped;

use super::{Effect, InputKind, Machine, Process, PromptState, RUNG, Rung, control};

impl Machine {
    /// Ends the running turn and cancels all that was sent before; Claude stays warm.
    pub(super) fn stop(&mut self, by: &str) -> Stopped {
        let was_running = self.busy();
        let cancelled = self.cancel_waiting();
        if was_running {
            if let Some(turn) = &mut self.row.turn {
                turn.stopped_by = Some(by.to_owned());
            }
            self.stopper = Some(by.to_owned());
            self.interrupt();
        }
        // What has begun is settled by Claude's own word, with the end of its turn.
        self.step.dirty = true;
        Stopped { was_running, cancelled }
    }

    /// Cancels what Claude has not begun: it is not given, and not given again, to this Claude or the next. The
    /// interrupt takes it out of Claude's own queue.
    pub(super) fn cancel_waiting(&mut self) -> Vec<carcin_proto::PromptId> {
        self.settle_all(|prompt| prompt.state != PromptState::Started, &PromptOutcome::Cancelled)
    }

    /// Ends the running turn, and nothing that waits: nobody asked for a stop.
    pub(super) fn interrupt_turn(&mut self) {
        self.stopper = None;
        if matches!(self.process, Process::Adopted | Process::Greeted | Process::Ready) {
            if !self.lines.has_interrupt() {
                self.send_control(InputKind::Interrupt, |id| control::interrupt(id, false));
            }
            self.step.effects.push(Effect::Arm(Rung::Interrupt));
        }
    }

    fn interrupt(&mut self) {
        if matches!(self.process, Process::Adopted | Process::Greeted | Process::Ready) {
            // One on its way is for all that was given before it.
            if !self.lines.are_interrupted() {
                self.send_control(InputKind::Interrupt, |id| control::interrupt(id, true));
            }
            self.step.effects.push(Effect::Arm(Rung::Interrupt));
        }
    }

    /// Ends the process: politely if it is idle, else (`busy`) by way of an interrupt.
    pub(super) fn end_process(&mut self, busy: bool) {
        match self.process {
            Process::Absent | Process::Ending => return,
            // Nothing reads its input yet.
            Process::Starting | Process::Adopted => self.will_end(),
            Process::Greeted | Process::Ready => {
                // First, or these lines would wait for the answer of one that is to go.
                self.will_end();
                if busy {
                    self.send_control(InputKind::Interrupt, |id| control::interrupt(id, true));
                }
                self.send_control(InputKind::Control, |id| control::end_session(id, "idle"));
            }
        }
        self.step.effects.push(Effect::Arm(Rung::Terminate));
    }

    /// From here on the process gets nothing more, and its end is nothing to speak of.
    pub(super) fn will_end(&mut self) {
        self.process = Process::Ending;
        if let Some(child) = &mut self.row.child {
            child.ending = true;
            self.step.dirty = true;
        }
    }

    /// The time of a rung is up.
    pub fn rung(&mut self, rung: Rung) {
        let obeyed = match self.process {
            Process::Absent => true,
            Process::Ending => false,
            // One that is not even heard has not obeyed, also where nothing of ours is left to be ended.
            Process::Starting | Process::Adopted | Process::Greeted | Process::Ready => {
                !self.busy() && !self.lines.has_interrupt()
            }
        };
        if obeyed {
            return;
        }
        if self.process != Process::Ending {
            let text = format!("Claude did not stop within {} s and is ended", RUNG.as_secs());
            self.notice(Level::Warning, text, Some("The next message starts it again".to_owned()));
            // A signal ends the process after the turn.
            self.will_end();
            self.step.sync = true;
        }
        self.step.effects.push(Effect::Signal(rung));
        let next = match rung {
            Rung::Interrupt => Rung::Terminate,
            Rung::Terminate | Rung::Kill => Rung::Kill,
        };
        self.step.effects.push(Effect::Arm(next));
    }

    /// The daemon is told to end, and Claude with it.
    pub(super) fn shutdown(&mut self, by: &str) {
        self.closing = true;
        if let Some(turn) = &mut self.row.turn {
            turn.stopped_by = Some(by.to_owned());
        }
        self.process = if self.process == Process::Absent { Process::Absent } else { Process::Ending };
        if self.process == Process::Ending {
            self.step.effects.push(Effect::Signal(Rung::Terminate));
            self.step.effects.push(Effect::Arm(Rung::Kill));
        }
        self.step.dirty = true;
    }

    /// The disk is nearly full, or no longer. While it is, nothing is begun, and what runs is interrupted.
    pub fn space(&mut self, short: bool) {
        if self.short_of_space == short {
            return;
        }
        self.short_of_space = short;
        let waiting = !self.prompts.is_empty();
        if short && self.busy() {
            if let Some(turn) = &mut self.row.turn {
                turn.stopped_by = Some("carcind, because the disk is nearly full".to_owned());
            }
            self.interrupt();
        }
        if waiting || self.row.turn.is_some() {
            if short {
                let hint = Some("free some space; what waits goes on by itself".to_owned());
                self.notice(Level::Error, "The disk is nearly full: prompts wait", hint);
            } else {
                self.notice(Level::Info, "There is space on the disk again: prompts go on", None);
            }
        }
        self.advance();
    }
}
