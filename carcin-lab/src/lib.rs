//! Stand-ins for the outside world.
//!
//! Not shipped: what Carcin's tests and its demo talk to instead of Anthropic and Telegram.

pub mod bench;
pub mod demo;
pub mod logs;
pub mod mcp;
pub mod model;
pub mod rig;
pub mod script;
pub mod scripted;
pub mod telegram;
