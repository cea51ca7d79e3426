//! What Carcin costs: its own latencies, without the time that Claude takes, and its memory.
//!
//! Run it in release mode and on a quiet machine. Clocks vary from run to run, so each figure is a median with
//! its spread.

mod clock;
mod measure;
pub mod probe;
mod stats;

pub use measure::{Options, run};
pub use stats::{Figure, table};
