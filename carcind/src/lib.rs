//! The daemon.

pub mod child;
pub mod os;
