//! One line to its meaning.

use carcin_proto::RequestId;
use carcin_proto::event::LineProblem;

use super::output::Parsed;

/// Reads one complete line without its newline. Never fails, never panics.
pub fn parse(line: &[u8]) -> Parsed {
    let _ = line;
    Parsed::Problem(LineProblem::NotJson)
}

/// Whether `beginning`, cut from a line over the cap, begins a question of Claude's; then it must be refused by
/// this id, or Claude waits for ever.
pub fn cut_ask(beginning: &[u8]) -> Option<RequestId> {
    let _ = beginning;
    None
}
