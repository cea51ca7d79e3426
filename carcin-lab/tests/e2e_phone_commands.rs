//! The commands of the phone, with everything that they reach: the daemon, Claude, folders, git.

#[macro_use]
mod e2e_support;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use carcin_lab::rig::{Claude, PATIENCE, Rig};
use carcin_lab::telegram::{ChatMessage, LabState};
use e2e_support::{bash, eventually, lines, lives, noted_pid, slay};
use tokio::process::Command;

with_either_claude! {
    a_folder_is_picked_and_the_next_message_works_there,
    an_earlier_session_goes_on_by_a_button,
    what_has_changed_in_the_folder_is_shown,
    commands_are_answered_and_the_bot_restarts_while_a_tool_runs,
    what_claude_used_is_counted_and_compacting_reaches_it,
    what_only_claude_knows_it_is_asked,
    a_background_task_is_stopped_by_its_button,
    what_claude_refuses_to_be_set_to_is_told_and_is_not_kept,
}

async fn start(claude: Claude) -> anyhow::Result<Rig> {
    Rig::builder().claude(claude).front().permission_mode("bypassPermissions").start().await
}

/// Writes a command until one answer has all of this in it. What Claude writes down it writes when it has time, and what
/// it is asked for is not waited for very long: as a person does, one asks again.
async fn asks(rig: &Rig, command: &str, parts: &[&str]) -> anyhow::Result<ChatMessage> {
    let answer = |state: &LabState| {
        let mut shown = state.visible(rig.owner()).filter(|message| message.from_bot());
        shown.find(|message| parts.iter().all(|part| message.text().contains(part))).cloned()
    };
    let begun = Instant::now();
    loop {
        rig.write(command)?;
        match rig.telegram.wait_for(&format!("{parts:?}"), Duration::from_secs(15), answer).await {
            Err(_) if begun.elapsed() < PATIENCE => {}
            answered => return answered,
        }
    }
}

async fn a_folder_is_picked_and_the_next_message_works_there(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    let work = rig.places.work().canonicalize()?;
    std::fs::create_dir_all(work.join("app/inner"))?;
    rig.write(&format!("{}\n!text Here", bash("pwd > $CWD/where")))?;
    rig.sees("Here").await?;
    rig.write("/cwd")?;
    let list = rig.sees(&format!("Claude works in {}", work.display())).await?;
    rig.press(&list, "📁 app")?;
    let app = rig.sees(&format!("Looking at {}/app", work.display())).await?;
    ensure!(app.id == list.id, "it is another message");
    rig.press(&app, "✅ Use this folder")?;
    rig.sees("begins a new session in").await?;
    rig.write(&format!("{}\n!text There", bash("pwd > where")))?;
    rig.sees("There").await?;
    ensure!(lines(&work.join("app/where")) == [work.join("app").to_string_lossy()]);
    rig.write("/cwd inner")?;
    rig.sees(&format!("new session in {}/app/inner", work.display())).await?;
    rig.write("/cwd nowhere")?;
    rig.sees("❌").await?;
    rig.finish().await
}

async fn an_earlier_session_goes_on_by_a_button(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    let talk = rig.owners_talk();
    rig.write("!text The first session")?;
    rig.sees("The first session").await?;
    talk.idle().await?;
    let first = talk.session().await?;
    rig.write("/clear")?;
    rig.sees("Forgotten").await?;
    rig.write("!text The second session")?;
    rig.sees("The second session").await?;
    talk.idle().await?;
    let second = talk.session().await?;
    ensure!(first != second, "it is the same session");
    let list = asks(&rig, "/sessions", &["1 to 2 of 2"]).await?;
    // Which of them was written last depends on what a Claude that ends still writes.
    let labels: Vec<&str> = list.buttons().map(|button| button.text.as_str()).collect();
    let [other] = labels[..] else { bail!("only the other one has a button: {labels:?}\n{}", list.text()) };
    rig.press(&list, other)?;
    rig.sees("goes on with").await?;
    rig.write("!text The first again")?;
    rig.sees("The first again").await?;
    ensure!(talk.session().await? == first);
    rig.write(&format!("/resume {}", &second[..13]))?;
    rig.write("!text The second again")?;
    rig.sees("The second again").await?;
    ensure!(talk.session().await? == second);
    rig.write("/resume ffffffff-none")?;
    rig.sees("❌").await?;
    asks(&rig, "/recent 1", &["1 of 1", "The second again"]).await?;
    rig.finish().await
}

async fn git(folder: &Path, args: &[&str]) -> anyhow::Result<()> {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]).args(args).current_dir(folder);
    let output = git.output().await.context("git does not start")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

async fn what_has_changed_in_the_folder_is_shown(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    let work = rig.places.work();
    rig.write("!text Hello")?;
    rig.sees("Hello").await?;
    rig.write("/diff")?;
    rig.sees("is not in a git repository").await?;
    git(&work, &["init", "--quiet"]).await?;
    std::fs::write(work.join("notes"), "old\n")?;
    git(&work, &["add", "."]).await?;
    git(&work, &["commit", "--quiet", "-m", "Begin"]).await?;
    rig.write(&format!("{}\n!text Changed", bash("echo new >> notes")))?;
    rig.sees("Changed").await?;
    rig.write("/diff")?;
    ensure!(rig.sees("1 file changed, +1 −0").await?.text().contains("\n+new"));
    std::fs::write(work.join("large"), "many lines\n".repeat(5000))?;
    rig.write("/diff")?;
    rig.sees("2 files changed").await?;
    let file = rig.telegram.wait_for("the diff", carcin_lab::rig::PATIENCE, |state| {
        state.visible(rig.owner()).find_map(|message| message.content.media.clone())
    });
    ensure!(file.await?.file_name == "work.diff");
    rig.finish().await
}

async fn commands_are_answered_and_the_bot_restarts_while_a_tool_runs(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    let waits = bash("touch $CWD/runs; while [ ! -e $CWD/go ]; do sleep 0.05; done; echo done > $CWD/effect");
    rig.write(&format!("{waits}\n!text It ran to its end"))?;
    let work = rig.places.work();
    eventually("the tool", || work.join("runs").exists().then_some(())).await?;
    let pid = rig.owners_talk().pid().await?;
    for (command, answer) in [
        ("/status", "Running, last active"),
        ("/help", "Claude Code, from your phone"),
        ("/cwd", "Claude works in"),
        ("/sessions", "Sessions, 1 to"),
        ("/mode", "Accept edits: "),
        ("/diff", "is not in a git repository"),
        ("/id", "Your Telegram id: "),
        ("/restart", "✅ I am back"),
    ] {
        if command == "/restart" {
            rig.write(command)?;
            rig.sees(answer).await?;
        } else {
            asks(&rig, command, &[answer]).await?;
        }
    }
    ensure!(rig.owners_talk().pid().await? == pid);
    std::fs::write(work.join("go"), "")?;
    rig.sees("It ran to its end").await?;
    rig.sees("Done").await?;
    ensure!(lines(&work.join("effect")) == ["done"], "it ran twice");
    ensure!(rig.count("It ran to its end") == 1, "{:#?}", rig.shown());
    ensure!(rig.count("I am back") == 1, "{:#?}", rig.shown());
    rig.finish().await
}

async fn what_claude_used_is_counted_and_compacting_reaches_it(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    rig.write("/usage")?;
    rig.sees("Nothing used yet").await?;
    rig.write("!text Something to say")?;
    rig.sees("Something to say").await?;
    rig.owners_talk().idle().await?;
    rig.write("/usage")?;
    let told = rig.sees("1 turn · ").await?;
    ensure!(told.text().contains("Today, all conversations"), "{}", told.text());
    rig.write("/compact")?;
    rig.sees("ompact").await?;
    rig.write("!text And on")?;
    rig.sees("And on").await?;
    rig.finish().await
}

async fn what_only_claude_knows_it_is_asked(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    rig.write("!text Hello")?;
    rig.sees("Hello").await?;
    rig.owners_talk().idle().await?;
    asks(&rig, "/context", &["/compact makes room", "System prompt"]).await?;
    asks(&rig, "/usage", &["Limits of the plan\nNone"]).await?;
    rig.write("/model")?;
    let list = rig.sees("/model NAME sets it too").await?;
    let other =
        list.buttons().map(|button| button.text.as_str()).filter(|label| !label.starts_with('✓')).last();
    rig.press(&list, other.context("there is nothing to choose from")?)?;
    let set = rig.sees("✅ Model: ").await?;
    ensure!(set.id == list.id, "it is another message");
    rig.write("!text With another model")?;
    rig.sees("With another model").await?;
    ensure!(rig.count("Set model to") == 0, "the new model is told twice: {:#?}", rig.shown());
    rig.write("/status")?;
    let status = rig.sees("carcin-tg ").await?;
    let parts = ["Model: ", "Context: ", "“!text Hello”"];
    ensure!(parts.iter().all(|part| status.text().contains(part)), "{}", status.text());
    let menu = rig.telegram.wait_for("Claude's commands in the menu", carcin_lab::rig::PATIENCE, |state| {
        let menu = state.commands.values().next()?;
        (menu.len() > 20).then(|| menu.clone())
    });
    let menu = menu.await?;
    let named = |name: &str| menu.iter().filter(|one| one["command"] == name).count();
    ensure!(named("compact") == 1 && named("start") == 1, "{menu:?}");
    rig.write("/frobnicate now")?;
    rig.sees("There is no command /frobnicate").await?;
    rig.finish().await
}

async fn a_background_task_is_stopped_by_its_button(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    rig.write("/tasks")?;
    rig.sees("Nothing runs in the background").await?;
    let command = "echo $$ > $CWD/server; exec tail -f /dev/null";
    let input = serde_json::json!({
        "command": command, "description": "Serve the pages", "run_in_background": true,
    });
    rig.write(&format!("!tool Bash {input}\n!text It serves"))?;
    rig.sees("It serves").await?;
    let pid = noted_pid(&rig.places.work().join("server")).await?;
    let list = asks(&rig, "/tasks", &["1. Serve the pages"]).await?;
    rig.press(&list, "⏹ 1. Serve the pages")?;
    eventually("the task to end", || (!lives(pid)).then_some(())).await?;
    rig.no_longer_sees("1. Serve the pages").await?;
    rig.finish().await
}

async fn what_claude_refuses_to_be_set_to_is_told_and_is_not_kept(claude: Claude) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(claude).front().start().await?;
    let talk = rig.owners_talk();
    rig.write("/mode default")?;
    rig.sees("✅ Mode: Ask me").await?;
    rig.write("!text Hello")?;
    rig.sees("Hello").await?;
    talk.idle().await?;
    rig.write("/model opus")?;
    rig.sees("✅ Model: opus").await?;
    for (command, refusal) in [
        ("/mode nonsense", "❌ there is no permission mode nonsense"),
        ("/effort huge", "❌ there is no effort huge"),
        (
            "/mode bypassPermissions",
            "❌ Claude refuses that: Cannot set permission mode to bypassPermissions",
        ),
        ("/model nonsense", "❌ Claude refuses that: Model"),
    ] {
        rig.write(command)?;
        rig.sees(refusal).await?;
    }
    rig.kill_daemon().await?;
    rig.restart_daemon().await?;
    slay(talk.pid().await?)?;
    talk.closed().await?;
    // Neither this Claude nor the next one has it, or it would ask for nothing, and have no such model.
    rig.write(&format!("{}\n!text Again", bash("touch $CWD/made")))?;
    let question = rig.sees("May I use Bash?").await?;
    rig.press(&question, "✅ Allow once")?;
    rig.sees("Again").await?;
    talk.idle().await?;
    rig.write("/status")?;
    let status = rig.sees("carcin-tg ").await?;
    let status = status.text();
    ensure!(status.contains("\nModel: claude-opus-") && status.contains("\nMode: Ask me\n"), "{status}");
    ensure!(rig.count("nonsense") == 2, "they are told once: {:#?}", rig.shown());
    ensure!(rig.count("✅ Mode: Bypass") == 0, "{:#?}", rig.shown());
    rig.finish().await
}
