//! Whoever connects to the daemon: those who read slowly or not at all, who vanish, who come in crowds, who send what
//! is no frame, who are somebody else. None of them costs the others anything.

#[macro_use]
#[path = "../e2e_support/mod.rs"]
mod e2e_support;

mod crowd;
mod hostile;
mod peers;
mod raw;
mod replay;
mod restarts;
mod shutdown;
mod slow;
mod stuck;
