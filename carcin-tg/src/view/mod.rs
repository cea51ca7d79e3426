//! What the phone shows of what happens: pure functions from events to texts, without a clock.

pub mod ask;
pub mod card;
pub mod changes;
pub mod context;
mod diff;
pub mod markers;
mod phrases;
pub mod picker;
pub mod progress;
pub mod prompt;
pub mod recent;
pub mod status;
pub mod steering;
pub mod usage;

pub(crate) use phrases::duration;
pub use progress::{Output, Progress, Style};
