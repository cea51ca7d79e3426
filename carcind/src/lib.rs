//! The daemon.

pub mod ctl;
