//! Why a Claude ended, in a sentence for the user.

use carcin_proto::event::Exit;

use super::output::TurnResult;

/// A sentence for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What happened.
    pub message: String,
    /// What to do about it, where there is something.
    pub hint: Option<String>,
}

/// Why a process ended that was not asked to: from how it ended, the end of its stderr, and its last result.
pub fn sentence(exit: &Exit, stderr_tail: &str, last_result: Option<&TurnResult>) -> Failure {
    let _ = (exit, stderr_tail, last_result);
    Failure { message: String::new(), hint: None }
}

/// Why a turn failed; `None`: it did not, or it was interrupted.
pub fn of_turn(result: &TurnResult) -> Option<Failure> {
    let _ = result;
    None
}
