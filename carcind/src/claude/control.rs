//! The lines that Carcin writes to Claude: prompts and control requests; answers are in [`answer`](self::answer()).
//!
//! Each function returns one line of valid JSON without the newline, and with none inside.

use carcin_proto::event::SettingsChanged;
use carcin_proto::{PromptId, RequestId};
use serde_json::{Value, json};

use super::json::Object;

pub use super::answer::{AnswerError, answer};

/// A prompt. An id that Claude has had already is not run again by the same process.
pub fn prompt(id: PromptId, text: &str) -> String {
    line(&json!({
        "type": "user",
        "message": { "role": "user", "content": text },
        "parent_tool_use_id": null,
        "session_id": "",
        "uuid": id.to_string(),
    }))
}

/// The prompt `line` with pictures behind its text: media type and base64 of each.
pub fn with_images(line: &str, images: &[(&str, String)]) -> String {
    let Ok(mut frame) = serde_json::from_str::<Value>(line) else { return line.to_owned() };
    let text = json!({ "type": "text", "text": frame["message"]["content"].take() });
    let image = |(media_type, data): &(&str, String)| json!({ "type": "image", "source": { "type": "base64", "media_type": media_type, "data": data } });
    frame["message"]["content"] = std::iter::once(text).chain(images.iter().map(image)).collect();
    self::line(&frame)
}

/// Answered before any prompt, and again by a process that was adopted: a barrier, and the list of what Claude asks, see [`ControlResponse::pending`](super::ControlResponse::pending).
pub fn initialize(request_id: &str) -> String {
    // Whoever can end each task by itself wants a stop to spare them.
    request(request_id, &json!({ "subtype": "initialize", "perTaskStopAffordance": true }))
}

/// Ends the running turn, and with `cancel_queued` what is queued behind it.
pub fn interrupt(request_id: &str, cancel_queued: bool) -> String {
    request(request_id, &json!({ "subtype": "interrupt", "cancel_queued": cancel_queued }))
}

/// The permission modes of Claude. One that begins with any other ends at once.
pub const PERMISSION_MODES: [&str; 7] =
    ["default", "acceptEdits", "plan", "auto", "dontAsk", "manual", "bypassPermissions"];

/// The efforts of Claude; which of them do something depends on the model. It takes others without a word.
pub const EFFORTS: [&str; 5] = ["low", "medium", "high", "xhigh", "max"];

/// Changes the permission mode.
pub fn set_permission_mode(request_id: &str, mode: &str) -> String {
    request(request_id, &json!({ "subtype": "set_permission_mode", "mode": mode }))
}

/// Changes the model; `default` is Claude's own choice.
pub fn set_model(request_id: &str, model: &str) -> String {
    request(request_id, &json!({ "subtype": "set_model", "model": model }))
}

/// Changes the effort, for this process.
pub fn set_effort(request_id: &str, effort: &str) -> String {
    request(request_id, &json!({ "subtype": "apply_flag_settings", "settings": { "effortLevel": effort } }))
}

/// What can be set in a Claude that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// By [`set_model`].
    Model,
    /// By [`set_permission_mode`].
    PermissionMode,
    /// By [`set_effort`].
    Effort,
}

impl Setting {
    /// What a line that one of these three has made sets, and to what.
    pub fn asked(line: &str) -> Option<(Self, String)> {
        let line: Value = serde_json::from_str(line).ok()?;
        let request = &line["request"];
        let (setting, value) = match request["subtype"].as_str()? {
            "set_model" => (Self::Model, &request["model"]),
            "set_permission_mode" => (Self::PermissionMode, &request["mode"]),
            "apply_flag_settings" => (Self::Effort, &request["settings"]["effortLevel"]),
            _ => return None,
        };
        Some((setting, value.as_str()?.to_owned()))
    }

    /// What Claude calls that which it has taken: of `opus`, the model's full name. `None`: it does not say.
    pub fn taken(self, answer: &str) -> Option<String> {
        let field = match self {
            Self::Model => "model",
            Self::PermissionMode => "mode",
            Self::Effort => return None,
        };
        let answer: Value = serde_json::from_str(answer).ok()?;
        answer[field].as_str().filter(|value| !value.is_empty()).map(str::to_owned)
    }

    /// Its place among the settings.
    pub fn of(self, settings: &mut SettingsChanged) -> &mut Option<String> {
        match self {
            Self::Model => &mut settings.model,
            Self::PermissionMode => &mut settings.permission_mode,
            Self::Effort => &mut settings.effort,
        }
    }
}

impl std::fmt::Display for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Model => "model",
            Self::PermissionMode => "permission mode",
            Self::Effort => "effort",
        })
    }
}

/// Takes a prompt out of Claude's queue; without effect once Claude works on it.
pub fn cancel_async_message(request_id: &str, prompt: PromptId) -> String {
    request(request_id, &json!({ "subtype": "cancel_async_message", "message_uuid": prompt.to_string() }))
}

/// Whether Claude's answer to [`cancel_async_message`] says that the prompt was in its queue, and no longer is.
pub fn is_cancelled(answer: &str) -> bool {
    Object::parse(answer).is_some_and(|answer| answer.is_true("cancelled"))
}

/// Ends Claude. It kills background tasks, and drops a prompt right behind it without a receipt.
pub fn end_session(request_id: &str, reason: &str) -> String {
    request(request_id, &json!({ "subtype": "end_session", "reason": reason }))
}

/// Answered at all times, at once and shortly: a sign of life.
pub fn sign_of_life(request_id: &str) -> String {
    request(request_id, &json!({ "subtype": "get_binary_version" }))
}

/// Asks for the use of the context.
pub fn get_context_usage(request_id: &str) -> String {
    request(request_id, &json!({ "subtype": "get_context_usage" }))
}

/// Asks for what the session has used, and how much of the plan's limits. It has all transcripts of a week read for
/// what nobody is shown, unless told not to.
pub fn get_usage(request_id: &str) -> String {
    request(request_id, &json!({ "subtype": "get_usage", "skip_behaviors": true }))
}

/// Ends a subagent or a background task. Claude says the same of one that does not run.
pub fn stop_task(request_id: &str, task: &str) -> String {
    request(request_id, &json!({ "subtype": "stop_task", "task_id": task }))
}

/// What Claude answered to [`get_context_usage`] or [`get_usage`], in at most `max` bytes: if need be, without what is
/// only for a screen, and without the single parts of long lists. `None`: it is too long all the same.
pub fn within(answer: &str, max: usize) -> Option<String> {
    let mut left_out = vec!["mcpTools", "skills", "agents", "slashCommands", "messageBreakdown", "gridRows"];
    let mut answer: Value = serde_json::from_str(answer).ok()?;
    loop {
        if let (Some(fields), Some(name)) = (answer.as_object_mut(), left_out.pop()) {
            fields.remove(name);
        } else {
            return None;
        }
        let shorter = answer.to_string();
        if shorter.len() <= max {
            return Some(shorter);
        }
    }
}

/// The answer to what Carcin cannot answer; Claude goes on without.
pub fn refuse(request: &RequestId, why: &str) -> String {
    line(&json!({
        "type": "control_response",
        "response": { "subtype": "error", "request_id": request.as_str(), "error": why },
    }))
}

fn request(request_id: &str, request: &Value) -> String {
    line(&json!({ "type": "control_request", "request_id": request_id, "request": request }))
}

fn line(value: &Value) -> String {
    on_one_line(&value.to_string())
}

/// Takes every line break out of valid JSON, and changes nothing of what it says. Claude Code's reader also splits at
/// the two separators of Unicode, which JSON does not escape by itself.
pub(super) fn on_one_line(json: &str) -> String {
    let mut line = String::with_capacity(json.len());
    for char in json.chars() {
        match char {
            // Inside a string these two are always escaped, so that here they are between two tokens.
            '\n' | '\r' => line.push(' '),
            '\u{2028}' => line.push_str("\\u2028"),
            '\u{2029}' => line.push_str("\\u2029"),
            char => line.push(char),
        }
    }
    line
}
