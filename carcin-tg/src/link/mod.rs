//! The way to the daemon: requests, and the subscription that carries its events into the store.

pub mod apply;
pub mod asks;
mod daemon;
pub mod follow;
pub mod steering;

pub use daemon::{AskError, Daemon};
