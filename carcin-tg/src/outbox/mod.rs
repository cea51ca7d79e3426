//! The way out: when each message goes, and what becomes of it.

mod attempt;
mod beat;
mod bucket;
mod deliver;
mod files;
mod late;
pub mod live;
mod lost;
mod scheduler;
pub mod sender;
mod stream;

pub use scheduler::{Outcome, Scheduler, Step};
