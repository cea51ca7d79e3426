//! What a person sets: the session, the folder, the model, the permission mode, the effort.

use std::path::PathBuf;

use carcin_proto::event::{FileOffered, Level, Notification, SessionCause, SettingsChanged};
use carcin_proto::request::Configure;
use carcin_proto::{Refusal, RefusalCode, SessionId};

use super::call::{Reply, Ticket};
use super::waits::Awaits;
use super::{InputKind, InputRow, Machine, Process, control};
use crate::claude::Init;
use crate::claude::control::Setting;
use crate::process_stat::ProcessId;

/// What Claude says of a mode that it has to be started with.
const NOT_LAUNCHED_FOR_IT: &str = "not launched with";

impl Machine {
    /// The next prompt begins a new session. What runs is stopped.
    pub(super) fn new_session(&mut self, cwd: Option<PathBuf>, by: &str) {
        let cause = if cwd.is_some() { SessionCause::Moved } else { SessionCause::New };
        self.leave_session(by);
        if let Some(cwd) = cwd {
            self.row.cwd = cwd;
        }
        self.change_session(None, cause);
        self.step.sync = true;
    }

    /// The next prompt goes on with this session. What runs is stopped.
    pub(super) fn resume(&mut self, session: SessionId, cwd: Option<PathBuf>, by: &str) {
        self.leave_session(by);
        if let Some(cwd) = cwd {
            self.row.cwd = cwd;
        }
        self.change_session(Some(session), SessionCause::Resumed);
        self.step.sync = true;
    }

    /// The session may be gone on with although these processes have it open.
    pub(super) fn take_over(&mut self, from: Vec<ProcessId>) {
        self.row.taken_over = from;
        self.step.dirty = true;
    }

    fn leave_session(&mut self, by: &str) {
        // With what Claude has been given and has not begun: it may be about to.
        let busy = self.busy();
        self.cancel_waiting();
        if let Some(turn) = &mut self.row.turn {
            turn.stopped_by = Some(by.to_owned());
        }
        self.end_process(busy);
    }

    /// Changes settings, of the running Claude and of those to come. What the running one has changes when it says so.
    pub(super) fn configure(&mut self, ticket: Ticket, configure: &Configure) {
        // One that is starting was started with what was wanted before; it gets the line once it takes lines.
        let alive = !matches!(self.process, Process::Absent | Process::Ending);
        let mut lines = Vec::new();
        if let Some(model) = &configure.model {
            self.row.wanted.model = Some(model.clone());
            if alive {
                lines.push(self.send_control(InputKind::Setting, |id| control::set_model(id, model)));
            }
        }
        if let Some(mode) = &configure.permission_mode {
            self.row.wanted.permission_mode = Some(mode.clone());
            if alive {
                lines
                    .push(self.send_control(InputKind::Setting, |id| control::set_permission_mode(id, mode)));
            }
        }
        if let Some(effort) = &configure.effort {
            self.row.wanted.effort = Some(effort.clone());
            if alive {
                lines.push(self.send_control(InputKind::Setting, |id| control::set_effort(id, effort)));
            }
        }
        if !alive {
            self.tell_what_the_next_gets();
        }
        self.step.dirty = true;
        self.step.sync = true;
        if lines.is_empty() || self.process != Process::Ready {
            self.reply(ticket, Ok(Reply::Done(())));
        } else {
            self.wait(ticket, Awaits::Settings { open: lines, refused: None });
        }
    }

    /// The next Claude is started with what was asked for; what was not stays as it was, as far as is known.
    pub(super) fn tell_what_the_next_gets(&mut self) {
        let (wanted, actual) = (self.row.wanted.clone(), self.row.actual.clone());
        self.settings(SettingsChanged {
            model: wanted.model.or(actual.model),
            permission_mode: wanted.permission_mode.or(actual.permission_mode),
            effort: wanted.effort.or(actual.effort),
        });
    }

    /// A Claude is started with all that was asked for.
    pub(super) fn starts_with_settings(&mut self) {
        self.row.agreed = self.row.wanted.clone();
        self.tell_what_the_next_gets();
    }

    /// Claude has answered to the line `id`. What it refuses is taken back, or each Claude to come would be started with
    /// it; unless something else was asked for since. Whoever waits for the answer is told by it alone.
    pub(super) fn setting_answered(
        &mut self,
        id: &str,
        (setting, asked): (Setting, String),
        result: Result<&str, &str>,
    ) {
        let later = |line: &InputRow| Setting::asked(&line.line).is_some_and(|(later, _)| later == setting);
        let is_last = !self.lines.of(InputKind::Setting).any(later);
        match result {
            Ok(answer) => {
                let mut actual = self.row.actual.clone();
                *setting.of(&mut actual) = Some(setting.taken(answer).unwrap_or_else(|| asked.clone()));
                *setting.of(&mut self.row.agreed) = Some(asked);
                self.settings(actual);
            }
            Err(error) => {
                if is_last && setting.of(&mut self.row.wanted).as_deref() == Some(asked.as_str()) {
                    let agreed = setting.of(&mut self.row.agreed).clone();
                    *setting.of(&mut self.row.wanted) = agreed;
                }
                if !self.waits.is_setting(id) {
                    let text = format!("Claude refuses the {setting} {asked}: {error}");
                    self.notice(Level::Warning, text, hint(error));
                }
            }
        }
        self.step.dirty = true;
    }

    /// Claude tells at the start of each turn what it has.
    pub(super) fn init(&mut self, init: Init) {
        if !self.row.session_used {
            self.row.session_used = true;
            self.step.dirty = true;
        }
        let actual = self.row.actual.clone();
        self.settings(SettingsChanged {
            model: init.model.or(actual.model),
            permission_mode: init.permission_mode.or(actual.permission_mode),
            effort: actual.effort,
        });
    }

    pub(super) fn mode_changed(&mut self, mode: String) {
        self.settings(SettingsChanged { permission_mode: Some(mode), ..self.row.actual.clone() });
    }

    fn settings(&mut self, settings: SettingsChanged) {
        if self.row.actual != settings {
            self.row.actual = settings.clone();
            self.emit(settings);
        }
    }

    /// A hook or a tool has something to say.
    pub(super) fn notify(&mut self, text: String, topic: String) {
        self.emit(Notification { text, topic });
        self.step.sync = true;
    }

    /// A tool or a person offers a file.
    pub(super) fn offer_file(&mut self, path: PathBuf, caption: String) {
        self.emit(FileOffered { path, caption });
        self.step.sync = true;
    }
}

/// Claude does not take a setting.
pub(super) fn refusal(why: &str) -> Refusal {
    let refusal = Refusal::new(RefusalCode::Invalid, format!("Claude refuses that: {why}"));
    match hint(why) {
        Some(hint) => refusal.hint(hint),
        None => refusal,
    }
}

/// What to do about a setting that Claude refuses.
fn hint(why: &str) -> Option<String> {
    let hint = "begin a new session and set it before the first message: Claude is then started with it";
    why.contains(NOT_LAUNCHED_FOR_IT).then(|| hint.to_owned())
}
