//! The Telegram front end.
pub mod markdown;
