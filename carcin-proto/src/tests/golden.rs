//! The bytes on the wire, frozen.
//!
//! A line of `golden/` that changes breaks every reader and every journal there is: undo what changed it. To append
//! a kind or a variant, append its sample in `samples`, run the tests with `INSTA_UPDATE=always`, and see that
//! the only difference are lines added. (Where an enum is within another, samples of the outer one move: compare by
//! content.)

use std::collections::BTreeSet;
use std::fmt::Write as _;

use bytes::BytesMut;

use super::samples;
use crate::event::{Event, Transient};
use crate::frame::{Frame, Kind};
use crate::request::{Reply, Request};
use crate::{Seq, preamble};

fn frozen(name: &str, lines: &str) {
    insta::with_settings!({
        snapshot_path => "golden",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(name, lines);
    });
}

/// A line for each frame: a name, then the bytes after the length.
fn lines(frames: impl IntoIterator<Item = (String, Frame)>) -> String {
    frames.into_iter().fold(String::new(), |mut out, (name, frame)| {
        let mut bytes = BytesMut::new();
        frame.put(&mut bytes);
        writeln!(out, "{name} {}", hex(&bytes[4..])).expect("writing to a string");
        out
    })
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").expect("writing to a string");
        out
    })
}

fn control<T: serde::Serialize>(name: &str, kind: Kind, seq: u64, value: &T) -> (String, Frame) {
    (name.to_owned(), Frame::of(kind, seq, value).expect("encodes"))
}

#[test]
fn the_preamble_and_a_whole_frame() {
    let mut bytes = BytesMut::new();
    Frame::of(Kind::HELLO, 0, &samples::hello()).expect("encodes").put(&mut bytes);
    frozen("preamble", &format!("preamble {}\nhello {}\n", hex(&preamble::ours()), hex(&bytes)));
}

#[test]
fn handshake_snapshot_gap_and_farewell() {
    let mut frames = vec![
        control("hello", Kind::HELLO, 0, &samples::hello()),
        control("welcome", Kind::WELCOME, 0, &samples::welcome()),
        control("snapshot", Kind::SNAPSHOT, 300, &samples::snapshot()),
        control("farewell", Kind::FAREWELL, 0, &samples::farewell()),
    ];
    frames.extend(samples::gaps().iter().map(|gap| control("gap", Kind::GAP, 300, gap)));
    frozen("control", &lines(frames));
}

#[test]
fn durable_events() {
    let frame = |event: Event| {
        let name = name_of(Event::KINDS, event.kind());
        (name, Frame::durable(Seq(300), &samples::envelope(event)).expect("encodes"))
    };
    let kinds: BTreeSet<u16> = samples::events().iter().map(Event::kind).collect();
    assert_eq!(kinds, Event::KINDS.iter().map(|(kind, _)| *kind).collect(), "a sample of each kind");
    frozen("durable", &lines(samples::events().into_iter().map(frame)));
}

#[test]
fn transient_events() {
    let frame = |event: Transient| {
        let name = name_of(Transient::KINDS, event.kind());
        (name, Frame::transient(&samples::transient_envelope(event)).expect("encodes"))
    };
    let kinds: BTreeSet<u16> = samples::transients().iter().map(Transient::kind).collect();
    assert_eq!(kinds, Transient::KINDS.iter().map(|(kind, _)| *kind).collect(), "a sample of each kind");
    frozen("transient", &lines(samples::transients().into_iter().map(frame)));
}

fn name_of(kinds: &[(u16, &'static str)], kind: u16) -> String {
    kinds.iter().find(|(known, _)| *known == kind).expect("a kind from the table").1.to_owned()
}

#[test]
fn requests() {
    let samples = samples::requests();
    let names: BTreeSet<&str> = samples.iter().map(request_name).collect();
    assert_eq!(names.len(), 23, "a sample of each variant");
    let frame = |request: &Request| control(request_name(request), Kind::REQUEST, 1, request);
    frozen("requests", &lines(samples.iter().map(frame)));
}

/// Fails to compile when a variant is appended: then append a sample, and count it.
fn request_name(request: &Request) -> &'static str {
    match request {
        Request::Status => "Status",
        Request::Submit(_) => "Submit",
        Request::Answer(_) => "Answer",
        Request::Stop(_) => "Stop",
        Request::New(_) => "New",
        Request::Resume(_) => "Resume",
        Request::Sessions(_) => "Sessions",
        Request::Recent(_) => "Recent",
        Request::Pending(_) => "Pending",
        Request::Configure(_) => "Configure",
        Request::Notify(_) => "Notify",
        Request::SendFile(_) => "SendFile",
        Request::Subscribe(_) => "Subscribe",
        Request::Shutdown => "Shutdown",
        Request::ListSessions(_) => "ListSessions",
        Request::RecentOf(_) => "RecentOf",
        Request::SubmitWith(_) => "SubmitWith",
        Request::Withdraw(_) => "Withdraw",
        Request::About(_) => "About",
        Request::Inquire(_) => "Inquire",
        Request::StopTask(_) => "StopTask",
        Request::Changes(_) => "Changes",
        Request::Folders(_) => "Folders",
    }
}

#[test]
fn replies() {
    let samples = samples::replies();
    let names: BTreeSet<&str> = samples.iter().map(reply_name).collect();
    assert_eq!(names.len(), 17, "a sample of each variant");
    let frame = |reply: &Reply| control(reply_name(reply), Kind::REPLY, 1, reply);
    frozen("replies", &lines(samples.iter().map(frame)));
}

/// Fails to compile when a variant is appended: then append a sample, and count it.
fn reply_name(reply: &Reply) -> &'static str {
    match reply {
        Reply::Done => "Done",
        Reply::Status(_) => "Status",
        Reply::Submitted(_) => "Submitted",
        Reply::Answered(_) => "Answered",
        Reply::Stopped(_) => "Stopped",
        Reply::Resumed(_) => "Resumed",
        Reply::Sessions(_) => "Sessions",
        Reply::Recent(_) => "Recent",
        Reply::Pending(_) => "Pending",
        Reply::Subscribed(_) => "Subscribed",
        Reply::Refused(_) => "Refused",
        Reply::SessionList(_) => "SessionList",
        Reply::Withdrawn(_) => "Withdrawn",
        Reply::About(_) => "About",
        Reply::Inquired(_) => "Inquired",
        Reply::Changes(_) => "Changes",
        Reply::Folders(_) => "Folders",
    }
}

/// The names and shapes that scripts rely on.
#[test]
fn the_json_of_events() {
    let mut out = String::new();
    for event in samples::events() {
        let json = serde_json::to_string(&samples::envelope(event)).expect("serialises");
        writeln!(out, "{json}").expect("writing to a string");
    }
    for event in samples::transients() {
        let json = serde_json::to_string(&samples::transient_envelope(event)).expect("serialises");
        writeln!(out, "{json}").expect("writing to a string");
    }
    frozen("json", &out);
}
