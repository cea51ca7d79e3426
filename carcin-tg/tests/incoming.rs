//! What people send besides short texts: quotes, forwarded messages, albums, long texts, places, files, voices.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use carcin_lab::telegram::{Fault, FaultKind, MediaKind, Origin, SentFile, Typed};
use carcin_proto::Request;
use support::events::{text, turn_ended, turn_started};
use support::{ANN, EVE, HERE, PIXEL, Rig};

/// A picture of one pixel, with a byte behind it by which it is known.
fn png(marker: u8) -> Vec<u8> {
    [PIXEL, &[marker]].concat()
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
    assert_eq!(prompt.text, format!("{head}{tail}"));
    rig.write("one");
    rig.write("two");
    rig.daemon.wait_for_prompt("one").await;
    rig.daemon.wait_for_prompt("two").await;
    assert_eq!(rig.daemon.state().order.len(), 3);
}

#[tokio::test]
async fn a_text_of_very_many_messages_is_one_prompt_with_all_of_it_in_a_file() {
    let rig = Rig::new().await;
    let pieces: Vec<String> = (0..30).map(|n| format!("{n:04}{}", "漢".repeat(4_092))).collect();
    for piece in &pieces {
        rig.write(piece);
    }
    rig.write("What does it say?");
    let (prompt, _) = rig.prompt_with("What does it say?").await;
    let paths = files(&prompt.text);
    assert_eq!(paths.len(), 1, "{}", prompt.text);
    let whole = format!("{}What does it say?", pieces.concat());
    assert!(std::fs::read_to_string(&paths[0]).expect("it is there") == whole, "something is lost");
    assert_eq!(mode(&paths[0]), 0o600);
    assert_eq!(rig.daemon.state().order.len(), 1);
}

#[tokio::test]
async fn another_picture_in_the_place_of_one_that_was_not_taken_is_the_one_that_goes() {
    let rig = Rig::new().await;
    rig.daemon.emit(HERE, turn_started(1));
    rig.sees("Started").await;
    let message =
        rig.telegram.send_file(ANN, ANN, SentFile::photo("1.png", png(1)).caption("look")).expect("sent");
    let (_, images) = rig.prompt_with("look").await;
    assert_eq!(std::fs::read(&images[0]).expect("a file").last(), Some(&1));
    // Telegram has the other one, from somebody whom the bot does not hear.
    let other = rig.telegram.send_file(EVE, EVE, SentFile::document("2.png", png(2))).expect("sent");
    let stored = rig.telegram.look(|state| {
        let found = state.visible(EVE).find(|message| message.id == other).expect("it is there");
        found.content.media.clone().expect("a file")
    });
    let file = rig.telegram.file(&stored.file_id).expect("it is kept");
    let photo = serde_json::json!([{"file_id": file.id, "file_unique_id": file.unique_id, "width": 1, "height": 1,
        "file_size": file.bytes.len()}]);
    let person = serde_json::json!({"id": ANN, "first_name": "Ann", "is_bot": false, "type": "private"});
    let edited = serde_json::json!({"message_id": message, "chat": person, "from": person, "date": 1_700_000_000,
        "edit_date": 1_700_000_000, "caption": "look", "photo": photo});
    rig.telegram.raw_update("edited_message", edited);
    let second = |state: &support::daemon::State| {
        let images = state.images.values().flatten();
        let mut seen = images.filter_map(|path| std::fs::read(path).ok()?.last().copied());
        seen.any(|marker| marker == 2).then_some(())
    };
    rig.daemon.wait_for("the other picture", second).await;
    assert_eq!(rig.daemon.waiting().len(), 1);
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
    ];
    for (kind, name, what) in kinds {
        rig.telegram.send_file(ANN, ANN, SentFile::new(kind, name, name.as_bytes().to_vec())).expect("sent");
        let (prompt, images) = rig.prompt_with(&format!("[{what}: ")).await;
        let path = files(&prompt.text).pop().expect("a file");
        assert_eq!(std::fs::read(&path).expect("it is there"), name.as_bytes());
        assert_eq!(images.len(), 0);
    }
    for (name, images) in [("still.webp", 1), ("moves.tgs", 0), ("moves.webm", 0)] {
        let bytes = if images > 0 { PIXEL.to_vec() } else { name.as_bytes().to_vec() };
        rig.telegram.send_file(ANN, ANN, SentFile::new(MediaKind::Sticker, name, bytes)).expect("sent");
        let ending = name.rsplit_once('.').expect("an extension").1;
        let (prompt, seen) = rig.prompt_with(&format!("sticker.{ending}]")).await;
        assert_eq!(seen.len(), images, "{}", prompt.text);
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
async fn of_an_album_with_a_file_over_the_limit_the_rest_goes_with_every_caption() {
    let rig = Rig::new().await;
    let mut album = vec![
        SentFile::document("disk.img", vec![0; 20 * 1024 * 1024 + 1]).caption("look into all of it"),
        SentFile::document("a.log", b"one".to_vec()).caption("from here"),
        SentFile::document("a.log", b"two".to_vec()).caption("from there"),
    ];
    album[2].name = "../../a.log".into();
    rig.telegram.send_album(ANN, ANN, None, album).expect("sent");
    let (prompt, _) = rig.prompt_with("from there").await;
    assert!(
        prompt.text.starts_with("look into all of it\n\n[Missing here: a file “disk.img”"),
        "{}",
        prompt.text
    );
    let read: Vec<Vec<u8>> =
        files(&prompt.text).iter().map(|path| std::fs::read(path).expect("a file")).collect();
    assert_eq!(read, [b"one", b"two"], "{}", prompt.text);
    let told = rig.sees("no file over 20 MB").await;
    assert!(told.text().contains("The rest of the album goes without it"), "{}", told.text());
    assert_eq!((rig.daemon.state().order.len(), rig.count("20 MB")), (1, 1));
}

#[tokio::test]
async fn whatever_a_file_is_called_it_is_a_file_of_its_own_in_the_folder_of_the_chat() {
    let rig = Rig::new().await;
    let long = format!("{}.txt", "n".repeat(300));
    let names = [
        "../../x",
        "",
        "\u{202e}gpj.exe",
        "/dev/null",
        "a\0b\nc",
        "CON",
        "\u{fffd}\u{fffd}",
        "same.txt",
        "same.txt",
        &long,
    ];
    let album =
        names.iter().enumerate().map(|(n, name)| SentFile::document(*name, n.to_string().into_bytes()));
    rig.telegram.send_album(ANN, ANN, None, album.collect()).expect("sent");
    let (prompt, _) = rig.prompt_with("Attached file").await;
    let paths = files(&prompt.text);
    let read: Vec<String> = paths.iter().map(|path| std::fs::read_to_string(path).expect("a file")).collect();
    assert_eq!(read, (0..names.len()).map(|n| n.to_string()).collect::<Vec<_>>(), "{}", prompt.text);
    let dir = rig.dir.path().join(format!("state/tg/uploads/{ANN}"));
    assert!(paths.iter().all(|path| path.parent() == Some(dir.as_path())), "{}", prompt.text);
}

#[tokio::test]
async fn what_is_no_whole_picture_is_a_file_that_nobody_opens_as_a_picture() {
    let rig = Rig::new().await;
    let page =
        SentFile::document("shot.png", b"<!DOCTYPE html><html>404</html>".to_vec()).caption("what is that?");
    rig.telegram.send_file(ANN, ANN, page).expect("sent");
    let (prompt, images) = rig.prompt_with("what is that?").await;
    assert!(images.is_empty());
    assert!(prompt.text.ends_with("-shot.png.damaged]"), "{}", prompt.text);
    assert!(files(&prompt.text)[0].exists());
    let told = rig.sees("shot.png is damaged").await;
    assert!(told.silent);
    let cut = SentFile::photo("1.png", PIXEL[..50].to_vec()).caption("and that?");
    rig.telegram.send_file(ANN, ANN, cut).expect("sent");
    let (_, images) = rig.prompt_with("and that?").await;
    assert!(images.is_empty());
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
