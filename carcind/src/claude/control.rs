//! The lines that Carcin writes to Claude: prompts, control requests, and answers to its questions.
//!
//! Each function returns one line of valid JSON without the newline, and with none inside.

use carcin_proto::event::Ask;
use carcin_proto::request::Decision;
use carcin_proto::{PromptId, RequestId};

/// A decision that cannot be given to what is asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Another kind of decision is needed.
    #[error("{decision} is no answer to {ask}")]
    DoesNotFit {
        /// The decision.
        decision: &'static str,
        /// What is asked.
        ask: &'static str,
    },
    /// Claude offers nothing to allow for good.
    #[error("this cannot be allowed always, only this once")]
    AlwaysNotOffered,
    /// An answer to what is not asked.
    #[error("nobody asks {0:?}")]
    NotAsked(String),
    /// A question without an answer.
    #[error("{0:?} is not answered")]
    Unanswered(String),
    /// An elicitation's content that is not a JSON object.
    #[error("the content must be a JSON object")]
    NotAnObject,
}

/// A prompt; Claude runs an id that it has had no second time.
pub fn prompt(id: PromptId, text: &str) -> String {
    let _ = (id, text);
    String::new()
}

/// Answered before any prompt, and again by a process that was adopted: a sign of life, a barrier, and the list
/// of what Claude asks, see [`ControlResponse::pending`](super::ControlResponse::pending).
pub fn initialize(request_id: &str) -> String {
    let _ = request_id;
    String::new()
}

/// Ends the running turn, and with `cancel_queued` what is queued behind it.
pub fn interrupt(request_id: &str, cancel_queued: bool) -> String {
    let _ = (request_id, cancel_queued);
    String::new()
}

/// Changes the permission mode.
pub fn set_permission_mode(request_id: &str, mode: &str) -> String {
    let _ = (request_id, mode);
    String::new()
}

/// Changes the model.
pub fn set_model(request_id: &str, model: &str) -> String {
    let _ = (request_id, model);
    String::new()
}

/// Changes the effort, for this process.
pub fn set_effort(request_id: &str, effort: &str) -> String {
    let _ = (request_id, effort);
    String::new()
}

/// Takes a prompt out of Claude's queue; without effect once Claude works on it.
pub fn cancel_async_message(request_id: &str, prompt: PromptId) -> String {
    let _ = (request_id, prompt);
    String::new()
}

/// Ends Claude. It kills background tasks, and drops a prompt right behind it without a receipt.
pub fn end_session(request_id: &str, reason: &str) -> String {
    let _ = (request_id, reason);
    String::new()
}

/// Asks for the use of the context.
pub fn get_context_usage(request_id: &str) -> String {
    let _ = request_id;
    String::new()
}

/// The answer to a question; `tool_input` is that of [`Asked`](super::Asked).
pub fn answer(
    request: &RequestId,
    ask: &Ask,
    tool_input: &str,
    decision: &Decision,
) -> Result<String, AnswerError> {
    let _ = (request, ask, tool_input, decision);
    Err(AnswerError::AlwaysNotOffered)
}

/// The answer to what Carcin cannot answer; Claude goes on without.
pub fn refuse(request: &RequestId, why: &str) -> String {
    let _ = (request, why);
    String::new()
}
