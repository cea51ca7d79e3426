//! The daemon: all of it but two small mains.

pub mod claude;
pub mod conversation;
pub mod store;
