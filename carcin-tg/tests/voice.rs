//! Voice messages: what a program of the user's choice makes of them, whatever that does.

mod support;

use std::path::PathBuf;

use carcin_lab::telegram::{MediaKind, SentFile};
use support::{ANN, Rig};

fn voice(words: &str) -> SentFile {
    SentFile::new(MediaKind::Voice, "voice.ogg", words.as_bytes().to_vec())
}

/// The files that a prompt names.
fn files(text: &str) -> Vec<PathBuf> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("[Attached ")?.strip_suffix(']'));
    lines.filter_map(|line| Some(PathBuf::from(line.split_once(": ")?.1))).collect()
}

/// A transcriber that says that it has begun, and ends when the file `go` is beside the recording, or that is gone.
const WAITS: &str = r#"transcribe = '''sh -c "echo \$\$ > \"\$0.pid\"; mv \"\$0.pid\" \"\$0.begun\"; while [ -e \"\$0\" ] && [ ! -e \"\$(dirname \"\$0\")/go\" ]; do sleep 0.05; done; cat \"\$0\"" {file}'''"#;

/// The number of the transcriber, once it has begun.
async fn begun(rig: &Rig) -> i32 {
    let dir = uploads(rig);
    until("the transcriber", || {
        let entries = std::fs::read_dir(&dir).ok()?;
        let mut begun =
            entries.flatten().filter(|entry| entry.file_name().to_string_lossy().ends_with(".begun"));
        std::fs::read_to_string(begun.next()?.path()).ok()?.trim().parse().ok()
    })
    .await
}

fn uploads(rig: &Rig) -> PathBuf {
    rig.dir.path().join(format!("state/tg/uploads/{ANN}"))
}

async fn until<T>(what: &str, find: impl Fn() -> Option<T>) -> T {
    for _ in 0..12_000 {
        if let Some(found) = find() {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("waited in vain for {what}");
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
async fn what_is_stopped_while_it_is_transcribed_is_ended_and_not_submitted() {
    let rig = Rig::configured(WAITS).await;
    rig.telegram.send_file(ANN, ANN, voice("delete everything")).expect("sent");
    let pid = begun(&rig).await;
    rig.write("/stop");
    rig.sees("1 waiting message is dropped").await;
    until("the transcriber's end", || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    })
    .await;
    let recordings = || {
        let names =
            std::fs::read_dir(uploads(&rig)).expect("a folder").flatten().map(|entry| entry.file_name());
        names.filter(|name| name.to_string_lossy().ends_with(".ogg")).count()
    };
    until("the recording to go", || (recordings() == 0).then_some(())).await;
    rig.write("another thing");
    rig.daemon.wait_for_prompt("another thing").await;
    assert_eq!((rig.daemon.state().order.len(), rig.count("🎙")), (1, 0));
}

#[tokio::test]
async fn what_was_being_transcribed_at_a_kill_is_transcribed_and_shown_once() {
    let mut rig = Rig::configured(WAITS).await;
    rig.telegram.send_file(ANN, ANN, voice("fix the tests")).expect("sent");
    begun(&rig).await;
    rig.kill_bot().await;
    std::fs::write(uploads(&rig).join("go"), "").expect("writes");
    rig.start_bot();
    rig.daemon.wait_for_prompt("fix the tests").await;
    rig.sees("🎙 fix the tests").await;
    rig.settled().await;
    rig.kill_bot().await;
    rig.start_bot();
    rig.write("and the docs");
    rig.daemon.wait_for_prompt("and the docs").await;
    assert_eq!((rig.daemon.state().order.len(), rig.count("🎙")), (2, 1));
}

#[tokio::test]
async fn a_transcriber_that_prints_without_end_is_cut_short_and_the_chat_stays_readable() {
    let rig =
        Rig::configured(r#"transcribe = '''sh -c "head -c 3000000 /dev/zero | tr '\\0' a" {file}'''"#).await;
    rig.telegram.send_file(ANN, ANN, voice("hm")).expect("sent");
    let (prompt, _) = rig.prompt_with("aaaa").await;
    assert_eq!(prompt.text, "a".repeat(64 * 1024));
    rig.sees("So it goes on, 65536 characters in all").await;
    assert_eq!(rig.count("aaaa"), 3);
}

#[tokio::test]
async fn what_a_transcriber_prints_for_a_screen_is_no_part_of_what_was_said() {
    let rig =
        Rig::configured(r#"transcribe = '''sh -c "printf '\\033[1mfix \\000it\\033[0m\\r\\n'" {file}'''"#)
            .await;
    rig.telegram.send_file(ANN, ANN, voice("hm")).expect("sent");
    let (prompt, _) = rig.prompt_with("fix").await;
    assert_eq!(prompt.text, "fix it");
}

#[tokio::test]
async fn a_voice_message_in_a_burst_goes_with_it() {
    let rig = Rig::configured("transcribe = \"cat {file}\"").await;
    let photo = SentFile::photo("1.png", support::PIXEL.to_vec());
    rig.telegram.send_file(ANN, ANN, photo).expect("sent");
    rig.telegram.send_file(ANN, ANN, voice("what is that?")).expect("sent");
    let (prompt, images) = rig.prompt_with("what is that?").await;
    assert!(prompt.text.starts_with("[Attached picture: "), "{}", prompt.text);
    assert_eq!((images.len(), rig.daemon.state().order.len()), (1, 1));
}
