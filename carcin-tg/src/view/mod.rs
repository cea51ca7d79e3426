//! What the phone shows of what happens: pure functions from events to texts, without a clock.

pub mod ask;
pub mod card;
mod phrases;
pub mod progress;
pub mod prompt;
pub mod status;

pub(crate) use phrases::duration;
pub use progress::{Output, Progress, Style};
