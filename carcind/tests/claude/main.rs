//! What the `claude` module makes of Claude Code's output, and what it writes to Claude Code.

mod broken;
mod control;
mod failure;
mod frames;
mod launch;
mod open_sessions;
mod real_cli;
mod recordings;
mod todos;
mod transcripts;
