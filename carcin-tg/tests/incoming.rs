//! What people send besides short texts: quotes, forwarded messages, albums, long texts, places, files, voices.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use carcin_lab::telegram::{Fault, FaultKind, MediaKind, Origin, SentFile, Typed};
use carcin_proto::Request;
use support::events::{text, turn_ended, turn_started};
use support::{ANN, EVE, HERE, Rig};

/// The head of a picture: all that the stand-in looks at.
fn png(marker: u8) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x40\0\0\0\x40".to_vec();
    bytes.push(marker);
    bytes
}

/// The files that a prompt names.
fn files(text: &str) -> Vec<PathBuf> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("[Attached ")?.strip_suffix(']'));
    lines.filter_map(|line| Some(PathBuf::from(line.split_once(": ")?.1))).collect()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[tokio::test]
async fn a_reply_quotes_claude_or_the_part_that_was_chosen() {
    let rig = Rig::new().await;
    rig.daemon.emit(HERE, turn_started(1));
    rig.daemon.emit(HERE, text(1, "Shall I use tabs or spaces?"));
    rig.daemon.emit(HERE, turn_ended(1, carcin_proto::event::TurnOutcome::Completed));
    let asked = rig.sees("tabs or spaces").await;
    rig.telegram.send(ANN, ANN, Typed::new("the second").reply_to(asked.id)).expect("sent");
    let (whole, _) = rig.prompt_with("the second").await;
    assert_eq!(whole.text, "In reply to what you wrote:\n> Shall I use tabs or spaces?\n\nthe second");
    rig.telegram.send(ANN, ANN, Typed::new("these").quoting(asked.id, "spaces")).expect("sent");
    let (part, _) = rig.prompt_with("these").await;
    assert_eq!(part.text, "In reply to what you wrote:\n> spaces\n\nthese");
}

#[tokio::test]
async fn a_forwarded_message_names_its_origin_and_is_no_command() {
    let rig = Rig::new().await;
    let from = Origin::HiddenUser { name: "Bo".into() };
    rig.telegram.send(ANN, ANN, Typed::new("/stop\nnow").forwarded(from)).expect("sent");
    rig.write("what is meant?");
    let (prompt, _) = rig.prompt_with("what is meant").await;
    assert_eq!(prompt.text, "Forwarded from Bo:\n> /stop\n> now\n\nwhat is meant?");
    assert!(!rig.daemon.state().asked.iter().any(|request| matches!(request, Request::Stop(_))));
}

#[tokio::test]
async fn a_document_is_handed_over_as_a_private_file_under_a_safe_name() {
    let rig = Rig::new().await;
    let file = SentFile::document("../../.bash rc", b"alias".to_vec()).caption("what is this?");
    rig.telegram.send_file(ANN, ANN, file).expect("sent");
    let (prompt, images) = rig.prompt_with("what is this?").await;
    let paths = files(&prompt.text);
    assert_eq!((paths.len(), images.len()), (1, 0), "{}", prompt.text);
    assert_eq!(std::fs::read(&paths[0]).expect("it is there"), b"alias");
    let dir = rig.dir.path().join(format!("state/tg/uploads/{ANN}"));
    assert_eq!(paths[0].parent(), Some(dir.as_path()));
    assert!(!paths[0].file_name().expect("a name").to_string_lossy().starts_with('.'));
    assert_eq!((mode(&paths[0]), mode(&dir)), (0o600, 0o700));
}

#[tokio::test]
async fn an_album_is_one_prompt_with_its_pictures_in_order() {
    let rig = Rig::new().await;
    let album = (1..=3).map(|n| SentFile::photo(format!("{n}.png"), png(n)));
    let mut album: Vec<SentFile> = album.collect();
    album[0].caption = "compare these".into();
    rig.telegram.send_album(ANN, ANN, None, album).expect("sent");
    let (prompt, images) = rig.prompt_with("compare these").await;
    let last: Vec<u8> =
        images.iter().map(|image| *std::fs::read(image).expect("a file").last().expect("a byte")).collect();
    assert_eq!(last, [1, 2, 3]);
    assert_eq!(files(&prompt.text), images);
    assert_eq!(rig.daemon.state().order.len(), 1);
}

#[tokio::test]
async fn a_text_that_telegram_has_split_is_one_prompt_and_what_is_short_waits_for_nothing() {
    let rig = Rig::new().await;
    let (head, tail) = ("a".repeat(4_096), "and the rest");
    rig.write(&head);
    rig.write(tail);
    let (prompt, _) = rig.prompt_with(tail).await;
    assert_eq!(prompt.text, format!("{head}\n{tail}"));
    rig.write("one");
    rig.write("two");
    rig.daemon.wait_for_prompt("one").await;
    rig.daemon.wait_for_prompt("two").await;
    assert_eq!(rig.daemon.state().order.len(), 3);
}

#[tokio::test]
async fn a_burst_survives_a_kill_and_keeps_the_order_and_no_other_chat_waits() {
    let mut rig = Rig::new().await;
    let group = rig.telegram.group(-100_500, "Team");
    rig.telegram.send_file(ANN, ANN, SentFile::photo("1.png", png(1))).expect("sent");
    rig.write("what is that?");
    rig.write("/status");
    rig.sees("carcind 9.9.9").await;
    rig.kill_bot().await;
    rig.start_bot();
    rig.telegram.send_text(group, ANN, "meanwhile").expect("sent");
    rig.telegram.send_text(group, EVE, "not for strangers").expect("sent");
    let (prompt, images) = rig.prompt_with("what is that?").await;
    assert_eq!(images.len(), 1);
    assert!(prompt.text.starts_with("[Attached picture: "), "{}", prompt.text);
    rig.daemon.wait_for_prompt("meanwhile").await;
    let state = rig.daemon.state();
    assert_eq!(state.order.len(), 2);
}

#[tokio::test]
async fn an_edited_caption_of_an_album_that_was_not_taken_replaces_the_prompt_with_all_its_pictures() {
    let rig = Rig::new().await;
    rig.daemon.emit(HERE, turn_started(1));
    rig.sees("Started").await;
    let mut album: Vec<SentFile> = (1..=2).map(|n| SentFile::photo(format!("{n}.png"), png(n))).collect();
    album[0].caption = "comprae".into();
    let ids = rig.telegram.send_album(ANN, ANN, None, album).expect("sent");
    rig.prompt_with("comprae").await;
    rig.telegram.edit_text(ANN, ANN, ids[0], "compare").expect("edited");
    let (edited, images) = rig.prompt_with("compare\n").await;
    assert_eq!((images.len(), files(&edited.text).len()), (2, 2));
    assert_eq!(rig.daemon.waiting().len(), 1);
}

#[tokio::test]
async fn places_contacts_and_stickers_reach_claude() {
    let rig = Rig::new().await;
    rig.telegram.send_location(ANN, ANN, 52.5, 13.25).expect("sent");
    rig.prompt_with("My location: 52.5, 13.25").await;
    rig.telegram.send_contact(ANN, ANN, "Bo", "+49 1").expect("sent");
    rig.prompt_with("A contact: Bo, +49 1").await;
    let kinds = [
        (MediaKind::Video, "a.mp4", "Attached video"),
        (MediaKind::Audio, "a.mp3", "Attached audio file"),
        (MediaKind::Animation, "b.mp4", "Attached animation"),
        (MediaKind::VideoNote, "c.mp4", "Attached video message"),
        (MediaKind::Sticker, "d.webp", "Attached sticker"),
    ];
    for (kind, name, what) in kinds {
        rig.telegram.send_file(ANN, ANN, SentFile::new(kind, name, name.as_bytes().to_vec())).expect("sent");
        let (prompt, images) = rig.prompt_with(&format!("[{what}: ")).await;
        let path = files(&prompt.text).pop().expect("a file");
        assert_eq!(std::fs::read(&path).expect("it is there"), name.as_bytes());
        assert_eq!(images.len(), usize::from(kind == MediaKind::Sticker));
    }
}

#[tokio::test]
async fn a_file_over_the_limit_is_refused_with_what_to_do() {
    let rig = Rig::new().await;
    let large = SentFile::document("disk.img", vec![0; 20 * 1024 * 1024 + 1]).caption("look into it");
    rig.telegram.send_file(ANN, ANN, large).expect("sent");
    let told = rig.sees("no file over 20 MB").await;
    assert!(told.text().contains("disk.img") && told.text().contains("TELEGRAM_API_URL"), "{}", told.text());
    rig.write("never mind");
    rig.daemon.wait_for_prompt("never mind").await;
    assert_eq!(rig.daemon.state().order.len(), 1);
}

#[tokio::test]
async fn a_large_download_is_shown_and_begins_again_after_a_kill() {
    let mut rig = Rig::new().await;
    let bytes: Vec<u8> = (0..2_500_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    rig.telegram.fault(Fault::on("getFile", FaultKind::HangBefore).times(1));
    rig.telegram
        .send_file(ANN, ANN, SentFile::document("a.bin", bytes.clone()).caption("unpack"))
        .expect("sent");
    let note = rig.sees("⬇️ a.bin · 2.5 MB").await;
    assert!(note.silent);
    rig.telegram
        .wait_for("the question for the file", support::SOON, |state| {
            state.calls.iter().any(|call| call.method == "getFile").then_some(())
        })
        .await
        .expect("asked");
    rig.kill_bot().await;
    rig.telegram.clear_faults();
    rig.telegram.release();
    rig.start_bot();
    let (prompt, _) = rig.prompt_with("unpack").await;
    assert_eq!(std::fs::read(&files(&prompt.text)[0]).expect("it is there"), bytes);
    rig.sees("📎 a.bin · 2.5 MB").await;
}

#[tokio::test]
async fn a_file_waits_while_telegram_is_away() {
    let rig = Rig::new().await;
    rig.telegram.fault(Fault::on("getFile", FaultKind::CloseBefore).times(2));
    rig.telegram
        .send_file(ANN, ANN, SentFile::document("a.txt", b"x".to_vec()).caption("read"))
        .expect("sent");
    let (prompt, _) = rig.prompt_with("read").await;
    assert!(files(&prompt.text)[0].exists());
}

#[tokio::test]
async fn what_is_stopped_while_it_is_fetched_is_not_submitted() {
    let rig = Rig::new().await;
    rig.telegram.fault(Fault::on("getFile", FaultKind::HangBefore).times(1));
    rig.telegram
        .send_file(ANN, ANN, SentFile::document("a.txt", b"x".to_vec()).caption("do it"))
        .expect("sent");
    rig.write("/stop");
    rig.sees("1 waiting message is dropped").await;
    rig.telegram.clear_faults();
    rig.telegram.release();
    rig.write("another thing");
    rig.daemon.wait_for_prompt("another thing").await;
    assert_eq!(rig.daemon.state().order.len(), 1);
}

#[tokio::test]
async fn a_voice_message_is_transcribed_and_shown_before_it_runs() {
    let rig = Rig::configured("transcribe = \"cat {file}\"").await;
    let voice = |words: &str| SentFile::new(MediaKind::Voice, "voice.ogg", words.as_bytes().to_vec());
    rig.telegram.send_file(ANN, ANN, voice("fix the tests")).expect("sent");
    rig.daemon.wait_for_prompt("fix the tests").await;
    rig.sees("🎙 fix the tests").await;
    rig.telegram.send_file(ANN, ANN, voice("  ")).expect("sent");
    rig.sees("nothing was heard in it").await;
    let (prompt, _) = rig.prompt_with("Attached voice message").await;
    assert!(files(&prompt.text)[0].exists());
}

#[tokio::test]
async fn without_a_transcriber_a_voice_message_is_a_file() {
    let rig = Rig::new().await;
    let voice = SentFile::new(MediaKind::Voice, "voice.ogg", b"OggS".to_vec());
    rig.telegram.send_file(ANN, ANN, voice).expect("sent");
    let (prompt, _) = rig.prompt_with("Attached voice message").await;
    assert_eq!(std::fs::read(&files(&prompt.text)[0]).expect("it is there"), b"OggS");
}

#[tokio::test]
async fn every_topic_is_a_conversation_and_new_opens_one() {
    let rig = Rig::new().await;
    let forum = rig.telegram.forum(-100_700, "Work");
    rig.telegram.send_text(forum, ANN, "/new The docs").expect("sent");
    let greeting = rig
        .telegram
        .wait_for("the greeting", support::SOON, |state| {
            let greets =
                |message: &&carcin_lab::telegram::ChatMessage| message.text().contains("🆕 The docs");
            state.visible(forum).find(greets).cloned()
        })
        .await
        .expect("greeted");
    let docs = greeting.thread.expect("in a topic");
    let other = rig.telegram.topic(forum, ANN, "Other").expect("a topic");
    for (thread, words) in [(docs, "write docs"), (other, "do other things")] {
        let typed = Typed { thread: Some(thread), ..Typed::new(words) };
        rig.telegram.send(forum, ANN, typed).expect("sent");
        let (_, submit) = rig.daemon.wait_for_prompt(words).await;
        assert_eq!(submit.conversation.as_str(), format!("tg:{forum}:{thread}"));
    }
    // A stop in one topic is none in another.
    rig.telegram.send(forum, ANN, Typed { thread: Some(docs), ..Typed::new("/stop") }).expect("sent");
    let stopped = |state: &support::daemon::State| {
        state.asked.iter().find_map(|request| match request {
            Request::Stop(stop) => Some(stop.conversation.to_string()),
            _ => None,
        })
    };
    assert_eq!(rig.daemon.wait_for("the stop", stopped).await, format!("tg:{forum}:{docs}"));
    // In a chat without topics it is a folder, as a path is everywhere.
    rig.telegram.send_text(forum, ANN, "/new /srv/app").expect("sent");
    rig.daemon
        .wait_for("the folder", |state| {
            state.asked.iter().any(|request| matches!(request, Request::New(_))).then_some(())
        })
        .await;
    assert_eq!(rig.telegram.calls_of("createForumTopic").len(), 1);
}

#[tokio::test]
async fn a_flood_wait_of_a_topic_holds_up_nobodys_prompts() {
    let rig = Rig::new().await;
    let forum = rig.telegram.forum(-100_701, "Work");
    rig.telegram.fault(Fault::on("createForumTopic", FaultKind::RetryAfter(13_938)));
    rig.telegram.send_text(forum, ANN, "/new The docs").expect("sent");
    rig.write("and this");
    rig.daemon.wait_for_prompt("and this").await;
    assert_eq!(rig.telegram.calls_of("createForumTopic").len(), 1);
}
