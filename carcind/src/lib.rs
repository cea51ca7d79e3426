//! The daemon.
pub mod claude;
