//! What the phone shows of what happens: pure functions from events to texts, without a clock.

pub mod ask;
pub mod card;
pub mod markers;
mod phrases;
pub mod progress;
pub mod prompt;
pub mod status;
pub mod steering;

pub use progress::{Output, Progress};
