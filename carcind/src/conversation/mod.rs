//! Conversations: one actor each, around a state machine without I/O.
//!
//! [`Conversations`] finds or opens them, a [`Handle`] talks to one, [`Site`] is what they all share.

mod abilities;
mod actor;
mod clearing;
mod handle;
pub mod machine;
mod mailbox;
mod pictures;
mod registry;
mod running;
mod site;
mod supervisor;
mod tool_pictures;

pub use abilities::SharedAbilities;
pub use handle::Handle;
pub use machine::{Patience, Rest};
pub use registry::Conversations;
pub use site::Site;

/// Does this work, or waits for ever where there is none: for a branch of `select!` that may have nothing to wait for.
async fn or_never<F: Future>(work: Option<F>) -> F::Output {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}
