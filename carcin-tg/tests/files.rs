//! Files that Claude sends.

mod support;

use std::path::PathBuf;

use carcin_lab::telegram::{ChatMessage, Fault, FaultKind, MediaKind};
use carcin_proto::event::{FileOffered, TurnOutcome};
use support::events::{text, turn_ended, turn_started};
use support::{ANN, HERE, Rig, SOON};

fn png() -> Vec<u8> {
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x40\0\0\0\x40".to_vec()
}

fn write(rig: &Rig, name: &str, bytes: &[u8]) -> PathBuf {
    let path = rig.dir.path().join(name);
    std::fs::write(&path, bytes).expect("writes");
    path
}

/// The bot's messages with files, once there are so many.
async fn files(rig: &Rig, count: usize) -> Vec<ChatMessage> {
    let what = format!("{count} files");
    let found = rig.telegram.wait_for(&what, SOON, |state| {
        let media = |m: &&ChatMessage| m.from_bot() && m.content.media.is_some();
        let files: Vec<ChatMessage> = state.visible(ANN).filter(media).cloned().collect();
        (files.len() >= count).then_some(files)
    });
    found.await.expect("files")
}

fn says(rig: &Rig, words: &str) {
    rig.daemon.emit(HERE, turn_started(1));
    rig.daemon.emit(HERE, text(1, words));
    rig.daemon.emit(HERE, turn_ended(1, TurnOutcome::Completed));
}

#[tokio::test]
async fn a_marker_vanishes_and_its_files_arrive_as_albums_by_kind() {
    let rig = Rig::new().await;
    let paths = [write(&rig, "a.png", &png()), write(&rig, "r.txt", b"report"), write(&rig, "b.png", &png())];
    let markers = paths.map(|path| format!("[[telegram:send:{}]]\n", path.display())).concat();
    says(&rig, &format!("Here they are:\n\n{markers}"));
    rig.sees("Here they are:").await;
    let files = files(&rig, 3).await;
    let kinds: Vec<MediaKind> =
        files.iter().filter_map(|file| Some(file.content.media.as_ref()?.kind)).collect();
    assert_eq!(kinds, [MediaKind::Photo, MediaKind::Photo, MediaKind::Document]);
    assert!(files[0].album.is_some() && files[0].album == files[1].album && files[2].album.is_none());
    assert_eq!(rig.count("telegram:send"), 0);
}

#[tokio::test]
async fn a_marker_in_code_is_shown() {
    let rig = Rig::new().await;
    says(&rig, "Write `[[telegram:send:/tmp/x.png]]` for that.");
    rig.sees("Write [[telegram:send:/tmp/x.png]] for that.").await;
    rig.sees("Done").await;
    assert_eq!(rig.count("I cannot send"), 0);
}

#[tokio::test]
async fn what_cannot_be_sent_is_said_in_a_line_and_the_rest_arrives() {
    let rig = Rig::new().await;
    let good = write(&rig, "a.txt", b"fine");
    let huge = write(&rig, "huge.bin", b"");
    std::fs::File::options().write(true).open(&huge).expect("opens").set_len(50_000_001).expect("grows");
    let dir = rig.dir.path().to_owned();
    let paths = [good, dir, "/nonexistent/x.txt".into()];
    says(&rig, &paths.map(|path| format!("[[telegram:send:{}]]\n", path.display())).concat());
    let told = rig.sees("it is a directory").await;
    assert!(
        told.text().contains("I cannot send /nonexistent/x.txt: there is no such file"),
        "{}",
        told.text()
    );
    files(&rig, 1).await;
}

#[tokio::test]
async fn a_picture_that_telegram_does_not_show_arrives_as_a_document_with_its_caption() {
    let rig = Rig::new().await;
    let path = write(&rig, "thin.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x20\0\0\0\0\x02");
    rig.daemon.emit(HERE, FileOffered { path, caption: "the strip".into() });
    let file = files(&rig, 1).await.remove(0);
    assert_eq!(file.content.media.as_ref().map(|media| media.kind), Some(MediaKind::Document));
    assert_eq!(file.text(), "the strip");
}

#[tokio::test]
async fn of_an_album_that_telegram_does_not_take_the_good_files_arrive() {
    let rig = Rig::new().await;
    // The server takes less than the bot believes.
    let huge = write(&rig, "huge.bin", b"");
    std::fs::File::options().write(true).open(&huge).expect("opens").set_len(60_000_000).expect("grows");
    let paths = [write(&rig, "a.txt", b"a"), huge, write(&rig, "b.txt", b"b")];
    says(&rig, &paths.map(|path| format!("[[telegram:send:{}]]\n", path.display())).concat());
    rig.sees("huge.bin: it is larger than Telegram takes").await;
    let arrived = files(&rig, 2).await;
    let names = arrived.iter().filter_map(|file| Some(file.content.media.as_ref()?.file_name.as_str()));
    assert_eq!(names.collect::<Vec<_>>(), ["a.txt", "b.txt"]);
    let sounds =
        rig.telegram.messages(ANN).iter().filter(|message| message.from_bot() && !message.silent).count();
    assert_eq!(sounds, 1);
}

#[tokio::test]
async fn a_file_that_is_sent_in_the_middle_of_work_makes_no_sound() {
    let rig = Rig::new().await;
    let path = write(&rig, "a.txt", b"a");
    rig.daemon.emit(HERE, FileOffered { path, caption: String::new() });
    assert!(files(&rig, 1).await[0].silent);
}

#[tokio::test]
async fn files_that_were_not_sent_at_the_kill_are_sent_once() {
    let mut rig = Rig::new().await;
    let paths = [write(&rig, "a.txt", b"a"), write(&rig, "b.txt", b"b")];
    rig.telegram.fault(Fault::on("sendMediaGroup", FaultKind::HangBefore).times(1));
    says(&rig, &paths.map(|path| format!("[[telegram:send:{}]]\n", path.display())).concat());
    rig.telegram
        .wait_for("the album's call", SOON, |state| {
            state.calls.iter().any(|call| call.method == "sendMediaGroup").then_some(())
        })
        .await
        .expect("called");
    rig.kill_bot().await;
    rig.telegram.release();
    rig.start_bot();
    files(&rig, 2).await;
    rig.write("/status");
    rig.sees("carcind 9.9.9").await;
    assert_eq!(files(&rig, 2).await.len(), 2);
}
