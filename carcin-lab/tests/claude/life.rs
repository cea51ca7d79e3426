//! How a process begins and ends, and what a resumed one knows.

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::driver::{Which, World};
use crate::{BYPASS, ensure_like};

pub(crate) async fn a_resumed_session_goes_on(which: Which) -> Result<()> {
    let world = World::new(which).await?;
    let id = uuid::Uuid::new_v4().to_string();
    let first = uuid::Uuid::new_v4().to_string();
    let mut claude = world.start(&["--session-id", &id])?;
    claude.prompt_as("!text Remember this.", &first).await?;
    claude.idle().await?;
    claude.close().await?;
    let mut again = world.start(&["--resume", &id])?;
    again.prompt_as("!text Remember this.", &first).await?;
    again.prompt("!text I am back.").await?;
    again.wait_for("the result", |frame| (frame["type"] == "result").then_some(())).await?;
    again.close().await?;
    ensure!(again.said() == ["I am back."], "what was answered is not run again");
    ensure!(
        again.frames.iter().all(|frame| frame["session_id"].is_null() || frame["session_id"] == id.as_str())
    );
    Ok(())
}

pub(crate) async fn an_unknown_session_is_refused(which: Which) -> Result<()> {
    let world = World::new(which).await?;
    let mut claude = world.start(&["--resume", "11111111-2222-4333-8444-555555555555"])?;
    let (code, stderr) = claude.exit().await?;
    ensure!(code == Some(1));
    ensure!(stderr.trim() == "No conversation found with session ID: 11111111-2222-4333-8444-555555555555");
    ensure_like(&claude.frames, "resume-unknown")
}

pub(crate) async fn a_session_id_in_use_is_refused(which: Which) -> Result<()> {
    let world = World::new(which).await?;
    let id = uuid::Uuid::new_v4().to_string();
    let mut claude = world.start(&["--session-id", &id])?;
    claude.prompt("!text one").await?;
    claude.idle().await?;
    claude.close().await?;
    let (code, stderr) = world.start(&["--session-id", &id])?.exit().await?;
    ensure!(code == Some(1));
    ensure!(stderr.trim() == format!("Error: Session ID {id} is already in use."), "{stderr}");
    Ok(())
}

pub(crate) async fn a_uuid_runs_once(which: Which) -> Result<()> {
    let world = World::new(which).await?;
    let mut claude = world.start(&[])?;
    let uuid = claude.prompt("!text once").await?;
    claude.idle().await?;
    claude.prompt_as("!text once", &uuid).await?;
    claude.wait_for("its acknowledgement", |frame| (frame["isReplay"] == true).then_some(())).await?;
    claude.idle().await?;
    claude.prompt("!text other").await?;
    claude.idle().await?;
    ensure!(claude.said() == ["once", "other"]);
    claude.close().await?;
    ensure_like(&claude.frames, "duplicate-uuid")
}

pub(crate) async fn control_requests_are_answered(which: Which) -> Result<()> {
    let world = World::new(which).await?;
    let mut claude = world.start(&[])?;
    let answer = claude.control(json!({"subtype": "initialize"})).await?;
    ensure!(answer["response"]["models"].as_array().is_some_and(|models| !models.is_empty()));
    claude.prompt("!text one").await?;
    claude.idle().await?;
    let answer = claude.control(json!({"subtype": "set_model", "model": "haiku"})).await?;
    ensure!(answer["response"]["model"] == "claude-haiku-5-5");
    let answer = claude.control(json!({"subtype": "set_permission_mode", "mode": "acceptEdits"})).await?;
    ensure!(answer["response"]["mode"] == "acceptEdits");
    claude.prompt("!tool Write {\"file_path\":\"$CWD/x.txt\",\"content\":\"hi\\n\"}\n!text two").await?;
    claude.idle().await?;
    ensure!(world.project().join("x.txt").exists(), "edits need no permission now");
    let answer =
        claude.control(json!({"subtype": "set_permission_mode", "mode": "bypassPermissions"})).await?;
    ensure!(answer["error_code"] == "bypass_not_launched");
    let answer = claude.control(json!({"subtype": "no_such_thing"})).await?;
    ensure!(answer["error_code"] == "unsupported_request");
    let answer = claude.control(json!({"subtype": "end_session", "reason": "idle"})).await?;
    ensure!(answer["subtype"] == "success");
    ensure!(claude.exit().await?.0 == Some(0));
    Ok(())
}

pub(crate) async fn a_line_that_is_not_json_ends_it(which: Which) -> Result<()> {
    let world = World::new(which).await?;
    let mut claude = world.start(&[])?;
    claude.prompt("!text fine").await?;
    claude.idle().await?;
    claude.send("{\"type\":\"user\",").await?;
    let (code, stderr) = claude.exit().await?;
    ensure!(code == Some(1));
    ensure!(stderr.contains("Error parsing streaming input line"), "{stderr}");
    Ok(())
}

pub(crate) async fn sigterm_ends_it(which: Which) -> Result<()> {
    let world = World::new(which).await?;
    let mut claude = world.start(&[])?;
    claude.prompt("!stream 2000 words 20ms").await?;
    claude.streamed(4).await?;
    claude.signal(Signal::SIGTERM)?;
    ensure!(claude.exit().await?.0 == Some(143));
    Ok(())
}

pub(crate) async fn an_idle_process_ends_by_itself(which: Which) -> Result<()> {
    let mut world = World::new(which).await?;
    world.extra_env.push(("CLAUDE_CODE_EXIT_AFTER_STOP_DELAY", "300"));
    let mut claude = world.start(&[])?;
    claude.prompt("!text bye").await?;
    claude.idle().await?;
    ensure!(claude.exit().await?.0 == Some(0));
    Ok(())
}

/// What a resume does with a prompt that is sent again: the rules in the crash matrix rest on this.
pub(crate) async fn a_prompt_killed_in_mid_stream_runs_again(which: Which) -> Result<()> {
    let world = World::new(which).await?;
    let (id, prompt) = (uuid::Uuid::new_v4().to_string(), uuid::Uuid::new_v4().to_string());
    let mut claude = world.start(&["--session-id", &id])?;
    claude.prompt("!text one").await?;
    claude.idle().await?;
    claude.prompt_as("!stream 2000 words 20ms", &prompt).await?;
    claude.streamed(3).await?;
    claude.signal(Signal::SIGKILL)?;
    claude.exit().await?;
    let mut again = world.start(&["--resume", &id])?;
    again.prompt_as("!text begun again", &prompt).await?;
    again.idle().await?;
    ensure!(again.said() == ["begun again"], "{:?}", again.said());
    Ok(())
}

pub(crate) async fn a_prompt_killed_in_a_tool_is_not_run_again(which: Which) -> Result<()> {
    let world = World::new(which).await?;
    let (id, prompt) = (uuid::Uuid::new_v4().to_string(), uuid::Uuid::new_v4().to_string());
    let script = "!tool Bash {\"command\":\"touch begun; while [ ! -e go ]; do sleep 0.05; done; touch ended\"}\n!text after";
    let arguments = |flag| [&[flag, id.as_str()], &BYPASS[..]].concat();
    let mut claude = world.start(&arguments("--session-id"))?;
    claude.prompt_as(script, &prompt).await?;
    world.wait_for_file("begun").await?;
    claude.signal(Signal::SIGKILL)?;
    std::fs::write(world.project().join("go"), "")?;
    // Its own session let the tool outlive the process.
    world.wait_for_file("ended").await?;
    let mut again = world.start(&arguments("--resume"))?;
    again.prompt_as(script, &prompt).await?;
    let other = again.prompt("!text other").await?;
    again.lifecycle(&other, "completed").await?;
    ensure!(again.said() == ["other"], "{:?}", again.said());
    Ok(())
}

pub(crate) async fn sigterm_takes_the_tools_along(which: Which) -> Result<()> {
    let world = World::new(which).await?;
    let mut claude = world.start(&BYPASS)?;
    claude.prompt("!tool Bash {\"command\":\"echo $$ > pid; touch begun; sleep 60\"}").await?;
    world.wait_for_file("begun").await?;
    let pid = std::fs::read_to_string(world.project().join("pid"))?;
    claude.signal(Signal::SIGTERM)?;
    ensure!(claude.exit().await?.0 == Some(143));
    world.wait_for_end(pid.trim()).await
}
