//! `carcin-ctl watch`

use carcin_proto::event::{LineProblem, Notification, Unrecognised};
use carcin_proto::request::From;
use carcin_proto::{ConversationKey, Reply, Seq};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::ChildStdout;

use crate::stand_in::Daemon;

fn notification(text: &str) -> Notification {
    Notification { text: text.into(), topic: String::new() }
}

async fn line(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    lines.next_line().await.unwrap().expect("a line")
}

#[tokio::test]
async fn it_goes_on_after_a_restart_where_it_was() {
    let mut daemon = Daemon::start(|_| Reply::Done);
    daemon.event(notification("before"));
    let mut child = daemon.spawn(&["watch"]);
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut err = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(matches!(daemon.subscribed().await.from, From::After(cursor) if cursor.seq == Seq(1)));
    daemon.event(notification("one"));
    assert_eq!(line(&mut out).await, "2  08:00:00  cli  notification: one");
    daemon.kill().await;
    assert!(err.next_line().await.unwrap().unwrap().ends_with("; waiting for carcind"));
    daemon.event(notification("two"));
    daemon.come_back();
    assert_eq!(line(&mut out).await, "3  08:00:00  cli  notification: two");
}

#[tokio::test]
async fn it_begins_where_it_is_told() {
    let daemon = Daemon::start(|_| Reply::Done);
    for text in ["one", "two", "three"] {
        daemon.event(notification(text));
    }
    let mut child = daemon.spawn(&["watch", "--from", "2", "--json"]);
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    let first: serde_json::Value = serde_json::from_str(&line(&mut out).await).unwrap();
    assert_eq!((first["seq"].as_u64(), first["text"].as_str()), (Some(2), Some("two")));
    assert_eq!((first["type"].as_str(), first["conversation"].as_str()), (Some("notification"), Some("cli")));
    let second: serde_json::Value = serde_json::from_str(&line(&mut out).await).unwrap();
    assert_eq!(second["seq"], 3);
}

#[tokio::test]
async fn raw_lines_and_one_conversation_on_request() {
    let daemon = Daemon::start(|_| Reply::Done);
    let raw = b"{\"type\":\"news\"}".to_vec();
    daemon.event(Unrecognised { problem: LineProblem::UnknownType("news".into()), size: 15, raw });
    let mut child = daemon.spawn(&["watch", "--from", "1", "--raw"]);
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    let words = "a line of Claude's was not understood: unknown type \"news\", 15 bytes";
    assert_eq!(line(&mut out).await, format!("1  08:00:00  cli  {words}"));
    assert_eq!(line(&mut out).await, "  {\"type\":\"news\"}");
    let mut child = daemon.spawn(&["watch", "--from", "1", "--conversation", "tg:7"]);
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    daemon.event_in(ConversationKey::new("tg:7").unwrap(), notification("here"));
    assert_eq!(line(&mut out).await, "2  08:00:00  tg:7  notification: here");
}
