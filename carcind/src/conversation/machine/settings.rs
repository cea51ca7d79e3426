//! What a person sets: the session, the folder, the model, the permission mode, the effort.

use std::path::PathBuf;

use carcin_proto::SessionId;
use carcin_proto::event::{FileOffered, Notification, SessionCause, SettingsChanged};
use carcin_proto::request::Configure;

use super::{InputKind, Machine, Process, control};
use crate::claude::Init;

impl Machine {
    /// The next prompt begins a new session. What runs is stopped.
    pub fn new_session(&mut self, cwd: Option<PathBuf>, by: &str) {
        let cause = if cwd.is_some() { SessionCause::Moved } else { SessionCause::New };
        self.leave_session(by);
        if let Some(cwd) = cwd {
            self.row.cwd = cwd;
        }
        self.change_session(None, cause);
        self.step.sync = true;
    }

    /// The next prompt goes on with this session. What runs is stopped.
    pub fn resume(&mut self, session: SessionId, cwd: Option<PathBuf>, by: &str) {
        self.leave_session(by);
        if let Some(cwd) = cwd {
            self.row.cwd = cwd;
        }
        self.change_session(Some(session), SessionCause::Resumed);
        self.step.sync = true;
    }

    /// The session may be gone on with although these processes have it open.
    pub fn take_over(&mut self, from: Vec<(u32, u64)>) {
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

    /// Changes settings, of the running Claude and of those to come.
    pub fn configure(&mut self, configure: &Configure) {
        // One that is starting was started with what was wanted before; it gets the line once it takes lines.
        let alive = !matches!(self.process, Process::Absent | Process::Ending);
        if let Some(model) = &configure.model {
            self.row.wanted.model = Some(model.clone());
            if alive {
                self.send_control(InputKind::Setting, |id| control::set_model(id, model));
            }
        }
        if let Some(mode) = &configure.permission_mode {
            self.row.wanted.permission_mode = Some(mode.clone());
            if alive {
                self.send_control(InputKind::Setting, |id| control::set_permission_mode(id, mode));
            }
        }
        if let Some(effort) = &configure.effort {
            self.row.wanted.effort = Some(effort.clone());
            if alive {
                self.send_control(InputKind::Setting, |id| control::set_effort(id, effort));
            }
        }
        let wanted = self.row.wanted.clone();
        let actual = self.row.actual.clone();
        self.settings(SettingsChanged {
            model: configure.model.clone().or(actual.model),
            permission_mode: configure.permission_mode.clone().or(actual.permission_mode),
            effort: wanted.effort,
        });
        self.step.dirty = true;
        self.step.sync = true;
    }

    /// Claude has answered to such a change. One that it refuses is taken back, or each Claude to come would be
    /// started with it; unless something else was asked for since.
    pub(super) fn setting_answered(&mut self, asked: SettingsChanged, is_taken: bool) {
        let each = |settings: SettingsChanged| [settings.model, settings.permission_mode, settings.effort];
        let mut wanted = each(std::mem::take(&mut self.row.wanted));
        let mut agreed = each(std::mem::take(&mut self.row.agreed));
        let mut actual = each(self.row.actual.clone());
        for (index, asked) in each(asked).into_iter().enumerate() {
            if asked.is_none() {
                continue;
            }
            if is_taken {
                agreed[index] = asked;
            } else if wanted[index] == asked {
                wanted[index].clone_from(&agreed[index]);
                actual[index].clone_from(&agreed[index]);
            }
        }
        let all = |[model, permission_mode, effort]: [Option<String>; 3]| SettingsChanged {
            model,
            permission_mode,
            effort,
        };
        self.row.wanted = all(wanted);
        self.row.agreed = all(agreed);
        self.settings(all(actual));
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
    pub fn notify(&mut self, text: String, topic: String) {
        self.emit(Notification { text, topic });
        self.step.sync = true;
    }

    /// A tool or a person offers a file.
    pub fn offer_file(&mut self, path: PathBuf, caption: String) {
        self.emit(FileOffered { path, caption });
        self.step.sync = true;
    }
}
