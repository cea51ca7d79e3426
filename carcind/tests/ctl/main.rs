//! `carcin-ctl` as people and scripts call it: the real program against a stand-in for the daemon.

mod send;
mod stand_in;
mod verbs;
mod watch;
