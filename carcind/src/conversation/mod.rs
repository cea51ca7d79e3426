//! Conversations: one actor each, around a state machine without I/O.
//!
//! [`Conversations`] finds or opens them, a [`Handle`] talks to one, [`Site`] is what they all share.

mod actor;
mod clearing;
mod handle;
mod keeper;
pub mod machine;
mod mailbox;
mod registry;
mod running;
mod site;

pub use handle::Handle;
pub use machine::Patience;
pub use registry::Conversations;
pub use site::Site;
pub(crate) use site::now;
