//! Whatever Claude prints: it is never slowed, the daemon's memory stays small, what can be understood is, and what
//! cannot is kept raw, counted, and can be looked at.

#[path = "../e2e_support/mod.rs"]
#[macro_use]
mod e2e_support;

mod floods;
mod kit;
mod large_frames;
mod long_lines;
mod odd_lines;
mod questions;
