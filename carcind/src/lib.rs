//! The daemon: all of it but two small mains.

pub mod child;
pub mod claude;
pub mod conversation;
pub mod os;
pub mod store;
