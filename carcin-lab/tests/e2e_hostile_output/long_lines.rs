//! Lines without an end, and a stderr without a reader.

use anyhow::ensure;
use carcin_lab::rig::Rig;
use carcin_lab::scripted::emitted;
use carcin_proto::event::{LineProblem, MAX_RAW, PromptOutcome};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::kit::{MIB, emit, eventually, finish, on_disk, run, say, unread};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gigabyte_on_stderr_costs_nothing() {
    run(async {
        let rig = Rig::builder().start().await?;
        let talk = rig.talk("tg:1");
        let line = format!("{}\n", "error ".repeat(10));
        let parts = json!([[line, (1 << 30) / line.len()], "the end\n"]);
        let prompt = format!("!emit {}\n!text After", json!({ "stderr": true, "parts": parts }));
        ensure!(say(&talk, &rig, &prompt).await? == ["After"]);
        let state = rig.places.state();
        // What is reserved for stdout is in it, twice 16 MiB.
        eventually("the space to be given back", || (on_disk(&state) < 48 * MIB).then_some(())).await?;
        kill(Pid::from_raw(i32::try_from(talk.pid().await?)?), Signal::SIGKILL)?;
        let ended = |envelope: &carcin_proto::Envelope| {
            matches!(&envelope.event, carcin_proto::Event::ProcessEnded(ended)
                if ended.stderr_tail.ends_with("the end\n") && ended.stderr_tail.len() <= 4096)
        };
        rig.events.wait_for("the end of what it said", ended).await?;
        finish("a gigabyte on stderr", rig).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_of_hundreds_of_megabytes_is_told_and_passed() {
    run(async {
        let rig = Rig::builder().start().await?;
        let talk = rig.talk("tg:1");
        let sizes = [64 * MIB, 200 * MIB];
        let parts = json!([
            "garbage ",
            ["x", sizes[0]],
            "\n",
            "{\"type\":\"assistant\",\"message\":\"",
            ["long ", sizes[1] / 5],
            "\"}\n",
        ]);
        ensure!(say(&talk, &rig, &emit(&parts)).await? == ["After"]);
        let unread = unread(&rig);
        ensure!(unread.alone.len() == 2 && unread.together.is_empty(), "{} lines", unread.lines());
        for (line, size) in unread.alone.iter().zip(sizes) {
            ensure!(line.problem == LineProblem::TooLong, "{:?}", line.problem);
            ensure!(line.size.abs_diff(size) < 100 && line.raw.len() == MAX_RAW, "{} bytes", line.size);
        }
        ensure!(unread.alone[0].raw.starts_with(b"garbage xxx"));
        // It is given back once it is committed, which is when it is told.
        let state = rig.places.state();
        eventually("the lines' space to be given back", || (on_disk(&state) < 64 * MIB).then_some(()))
            .await?;
        finish("lines of 64 MiB and 200 MiB", rig).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_line_and_then_death() {
    run(async {
        let rig = Rig::builder().start().await?;
        let talk = rig.talk("tg:1");
        // One that is gathered, and one that is not.
        for (at, size) in [7u64, 5 * MIB].into_iter().enumerate() {
            let head = "{\"type\":\"assistant\",\"mess";
            let prompt = emit(&json!([head, ["e", size]])).replace("!text", "!gate never\n!text");
            let prompt = talk.send(&prompt).await?;
            let home = rig.places.home();
            eventually("the half line to be printed", || (emitted(&home).len() > at).then_some(())).await?;
            kill(Pid::from_raw(i32::try_from(talk.pid().await?)?), Signal::SIGKILL)?;
            ensure!(matches!(rig.events.ended(prompt).await?, PromptOutcome::Interrupted(_)));
            talk.closed().await?;
            let unread = unread(&rig);
            ensure!(unread.alone.len() == at + 1, "{} lines", unread.lines());
            let line = &unread.alone[at];
            ensure!(line.problem == LineProblem::Fragment && line.size == head.len() as u64 + size);
            ensure!(line.raw.starts_with(head.as_bytes()));
        }
        ensure!(talk.say("!text Still here").await? == ["Still here"]);
        finish("half a line", rig).await
    })
    .await;
}
