//! What happens within a turn.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::driver::{Which, World};
use crate::{BYPASS, ensure_like};

pub(crate) async fn a_plain_turn(which: Which) -> Result<()> {
    let world = World::new(which).await?;
    let mut claude = world.start(&[])?;
    claude.prompt("Say hello\n!think Let me see.\n!text Hello **there**, all is well.").await?;
    claude.idle().await?;
    ensure!(claude.close().await? == Some(0));
    ensure!(claude.said() == ["Hello **there**, all is well."]);
    ensure_like(&claude.frames, "plain")
}

pub(crate) async fn a_tool_runs_when_allowed(which: Which) -> Result<()> {
    let world = World::new(which).await?;
    let mut claude = world.start(&[])?;
    claude.prompt("!tool Write {\"file_path\":\"$CWD/x.txt\",\"content\":\"hi\\n\"}\n!tool Edit {\"file_path\":\"$CWD/x.txt\",\"old_string\":\"hi\",\"new_string\":\"ho\"}\n!echo-result").await?;
    let asked = claude.asked().await?;
    ensure!(asked["request"]["tool_name"] == "Write");
    ensure!(!world.project().join("x.txt").exists(), "it asks before it writes");
    let always = asked["request"]["permission_suggestions"].clone();
    claude.answer(&asked, json!({"behavior": "allow", "updatedPermissions": always})).await?;
    claude.idle().await?;
    ensure!(std::fs::read_to_string(world.project().join("x.txt"))? == "ho\n");
    claude.close().await?;
    ensure_like(&claude.frames, "permission-always")
}

pub(crate) async fn a_denial_reaches_claude(which: Which) -> Result<()> {
    let world = World::new(which).await?;
    let mut claude = world.start(&[])?;
    claude.prompt("!tool Write {\"file_path\":\"$CWD/x.txt\",\"content\":\"hi\\n\"}\n!echo-result").await?;
    let asked = claude.asked().await?;
    claude.answer(&asked, json!({"behavior": "deny", "message": "not today"})).await?;
    claude.idle().await?;
    ensure!(claude.said().concat().contains("not today"));
    ensure!(!world.project().join("x.txt").exists());
    claude.close().await?;
    ensure_like(&claude.frames, "permission-deny")
}

pub(crate) async fn several_requests_are_open_at_once(which: Which) -> Result<()> {
    let world = World::new(which).await?;
    let mut claude = world.start(&[])?;
    let fetch = |path: &str| format!("WebFetch {{\"url\":\"http://127.0.0.1:1/{path}\",\"prompt\":\"x\"}}");
    claude.prompt(&format!("!tools {} && {}\n!echo-result", fetch("a"), fetch("b"))).await?;
    let (first, second) = (claude.asked().await?, claude.asked().await?);
    claude.answer(&second, json!({"behavior": "deny", "message": "no second"})).await?;
    claude.answer(&first, json!({"behavior": "deny", "message": "no first"})).await?;
    claude.idle().await?;
    let said = claude.said().concat();
    ensure!(said.contains("no first") && said.contains("no second"), "{said}");
    claude.close().await?;
    Ok(())
}

pub(crate) async fn an_interrupt_ends_the_stream_and_leaves_it_warm(which: Which) -> Result<()> {
    let world = World::new(which).await?;
    let mut claude = world.start(&[])?;
    claude.prompt("!stream 2000 words 20ms").await?;
    claude.streamed(6).await?;
    let receipt = claude.control(json!({"subtype": "interrupt"})).await?;
    ensure!(receipt["response"]["still_queued"] == json!([]));
    claude.idle().await?;
    claude.prompt("!text Still here.").await?;
    claude.idle().await?;
    ensure!(claude.said().last().is_some_and(|text| text == "Still here."));
    ensure!(claude.close().await? == Some(0));
    ensure_like(&claude.frames, "interrupt-stream")
}

pub(crate) async fn an_interrupt_ends_a_tool(which: Which) -> Result<()> {
    let world = World::new(which).await?;
    let mut claude = world.start(&BYPASS)?;
    claude
        .prompt("!tool Bash {\"command\":\"touch begun; sleep 30; touch never\"}\n!text not reached")
        .await?;
    world.wait_for_file("begun").await?;
    claude.control(json!({"subtype": "interrupt"})).await?;
    claude.idle().await?;
    claude.prompt("!text A new start.").await?;
    claude.idle().await?;
    ensure!(claude.said() == ["A new start."]);
    ensure!(!world.project().join("never").exists());
    claude.close().await?;
    ensure_like(&claude.frames, "prompt-after-interrupt-tool")
}

pub(crate) async fn an_interrupt_withdraws_an_open_request(which: Which) -> Result<()> {
    let world = World::new(which).await?;
    let mut claude = world.start(&[])?;
    claude
        .prompt("!tool Write {\"file_path\":\"$CWD/x.txt\",\"content\":\"hi\\n\"}\n!text not reached")
        .await?;
    claude.asked().await?;
    claude.control(json!({"subtype": "interrupt"})).await?;
    claude.idle().await?;
    ensure!(claude.close().await? == Some(1), "the last turn failed");
    ensure_like(&claude.frames, "interrupt-permission")
}

pub(crate) async fn an_interrupt_cancels_what_is_queued(which: Which) -> Result<()> {
    let world = World::new(which).await?;
    let mut claude = world.start(&[])?;
    claude.prompt("!stream 2000 words 20ms").await?;
    claude.streamed(4).await?;
    let queued = claude.prompt("!text second").await?;
    claude.lifecycle(&queued, "queued").await?;
    let receipt = claude.control(json!({"subtype": "interrupt", "cancel_queued": true})).await?;
    ensure!(receipt["response"]["cancelled"] == json!([queued]));
    claude.idle().await?;
    claude.close().await?;
    ensure_like(&claude.frames, "interrupt-queued")
}

pub(crate) async fn what_is_sent_meanwhile_joins_the_turn(which: Which) -> Result<()> {
    let world = World::new(which).await?;
    let mut claude = world.start(&BYPASS)?;
    let wait = "touch begun; while [ ! -e go ]; do sleep 0.05; done; echo went";
    claude.prompt(&format!("!tool Bash {{\"command\":\"{wait}\"}}\n!text First is done.")).await?;
    world.wait_for_file("begun").await?;
    let second = claude.prompt("!text Second is done too.").await?;
    claude.lifecycle(&second, "queued").await?;
    std::fs::write(world.project().join("go"), "")?;
    claude.idle().await?;
    ensure!(claude.said() == ["First is done.", "Second is done too."]);
    claude.close().await?;
    ensure_like(&claude.frames, "steering")
}

pub(crate) async fn what_waits_is_joined_into_one_turn(which: Which) -> Result<()> {
    let world = World::new(which).await?;
    let mut claude = world.start(&[])?;
    claude.prompt("!stream 30 words 20ms").await?;
    claude.streamed(2).await?;
    claude.prompt("!text Second.").await?;
    claude.prompt("!text Third.").await?;
    claude.idle().await?;
    ensure!(claude.said()[1..] == ["Second.", "Third."]);
    claude.close().await?;
    ensure_like(&claude.frames, "queued-two")
}

pub(crate) async fn a_question_brings_its_answers_back(which: Which) -> Result<()> {
    let world = World::new(which).await?;
    let mut claude = world.start(&BYPASS)?;
    claude
        .prompt(
            "!ask Which colour do you like? | Red | Blue && +Which days? | Monday | Tuesday\n!echo-result",
        )
        .await?;
    let asked = claude.asked().await?;
    let mut input = asked["request"]["input"].clone();
    input["answers"] = json!({"Which colour do you like?": "Red", "Which days?": "Monday, Tuesday"});
    claude.answer(&asked, json!({"behavior": "allow", "updatedInput": input})).await?;
    claude.idle().await?;
    let said = claude.said().concat();
    ensure!(
        said.contains("\"Which colour do you like?\"=\"Red\", \"Which days?\"=\"Monday, Tuesday\""),
        "{said}"
    );
    claude.close().await?;
    ensure_like(&claude.frames, "ask-user-question")
}

pub(crate) async fn a_plan_is_approved(which: Which) -> Result<()> {
    let world = World::new(which).await?;
    let mut claude = world.start(&["--permission-mode", "plan"])?;
    claude.prompt("!plan First this, then that\n!echo-result").await?;
    let asked = claude.asked().await?;
    ensure!(asked["request"]["tool_name"] == "ExitPlanMode");
    ensure!(asked["request"]["input"]["plan"] == "# Plan\n\nFirst this, then that\n");
    let accept = json!([{"type": "setMode", "mode": "acceptEdits", "destination": "session"}]);
    claude.answer(&asked, json!({"behavior": "allow", "updatedPermissions": accept})).await?;
    claude.idle().await?;
    claude.close().await?;
    ensure_like(&claude.frames, "exit-plan-mode")
}

pub(crate) async fn an_overloaded_api_is_asked_again(which: Which) -> Result<()> {
    let world = World::new(which).await?;
    let mut claude = world.start(&[])?;
    claude.prompt("!error 529 overloaded_error 2\n!text Now it works.").await?;
    claude.idle().await?;
    claude.close().await?;
    ensure_like(&claude.frames, "error-529")
}

pub(crate) async fn a_cut_stream_goes_on(which: Which) -> Result<()> {
    let world = World::new(which).await?;
    let mut claude = world.start(&[])?;
    claude.prompt("!text before\n!die\n!text after").await?;
    claude.idle().await?;
    claude.close().await?;
    ensure!(claude.said() == ["before", "after"], "{:?}", claude.said());
    Ok(())
}

pub(crate) async fn an_open_request_is_told_to_whoever_initializes(which: Which) -> Result<()> {
    let world = World::new(which).await?;
    let mut claude = world.start(&[])?;
    claude.prompt("!tool Write {\"file_path\":\"$CWD/x.txt\",\"content\":\"hi\\n\"}\n!echo-result").await?;
    let asked = claude.asked().await?;
    let answer = claude.control(json!({"subtype": "initialize"})).await?;
    ensure!(answer["pending_permission_requests"][0]["request_id"] == asked["request_id"]);
    claude.answer(&asked, json!({"behavior": "allow"})).await?;
    claude.answer(&asked, json!({"behavior": "deny", "message": "too late"})).await?;
    claude.idle().await?;
    let answer = claude.control(json!({"subtype": "initialize"})).await?;
    ensure!(answer["pending_permission_requests"] == json!([]));
    ensure!(world.project().join("x.txt").exists());
    claude.close().await?;
    ensure_like(&claude.frames, "initialize-pending")
}

pub(crate) async fn background_work_begins_a_turn(which: Which) -> Result<()> {
    let world = World::new(which).await?;
    let mut claude = world.start(&BYPASS)?;
    let wait = "while [ ! -e go ]; do sleep 0.05; done; echo finished";
    claude
        .prompt(&format!(
            "!tool Bash {{\"command\":\"{wait}\",\"description\":\"Wait\",\"run_in_background\":true}}\n!text It runs."
        ))
        .await?;
    claude.idle().await?;
    std::fs::write(world.project().join("go"), "")?;
    claude.idle().await?;
    ensure!(claude.said() == ["It runs.", "The work in the background has ended."]);
    claude.close().await?;
    ensure_like(&claude.frames, "background-bash")
}

pub(crate) async fn a_gate_holds_the_answer(which: Which) -> Result<()> {
    let world = World::new(which).await?;
    let mut claude = world.start(&[])?;
    claude.prompt("!text before\n!gate go\n!text after").await?;
    claude.wait_for("what comes before", |frame| (frame["type"] == "assistant").then_some(())).await?;
    ensure!(claude.said() == ["before"]);
    world.open_gate("go")?;
    claude.idle().await?;
    ensure!(claude.said() == ["before", "after"]);
    Ok(())
}

pub(crate) async fn a_form_and_a_link_bring_back_what_the_user_did(which: Which) -> Result<()> {
    let world = World::new(which).await?;
    world.add_mcp_server()?;
    let mut claude = world.start(&BYPASS)?;
    claude
        .prompt(
            "!form Who are you? {\"name\":\"string\"}\n!echo-result\n!link https://example.org/login Log in\n!echo-result\n\
             !form Again? {\"name\":\"string\"}\n!echo-result",
        )
        .await?;
    let form = claude.asked().await?;
    ensure!(form["request"]["subtype"] == "elicitation", "{form}");
    ensure!(form["request"]["mcp_server_name"] == "lab" && form["request"]["message"] == "Who are you?");
    ensure!(form["request"]["requested_schema"]["properties"]["name"]["type"] == "string");
    claude.answer(&form, json!({"action": "accept", "content": {"name": "Ada"}})).await?;
    let link = claude.asked().await?;
    ensure!(link["request"]["mode"] == "url" && link["request"]["url"] == "https://example.org/login");
    claude.answer(&link, json!({"action": "accept"})).await?;
    let again = claude.asked().await?;
    claude.answer(&again, json!({"action": "decline"})).await?;
    claude.idle().await?;
    let said = claude.said().concat();
    ensure!(said.contains("\"name\":\"Ada\"") && said.contains("\"decline\""), "{said}");
    claude.close().await?;
    Ok(())
}

pub(crate) async fn an_interrupt_withdraws_a_form(which: Which) -> Result<()> {
    let world = World::new(which).await?;
    world.add_mcp_server()?;
    let mut claude = world.start(&BYPASS)?;
    claude.prompt("!form Who? {\"name\":\"string\"}").await?;
    let form = claude.asked().await?;
    claude.control(json!({"subtype": "interrupt"})).await?;
    claude.idle().await?;
    let withdrawn = claude
        .frames
        .iter()
        .any(|frame| frame["type"] == "control_cancel_request" && frame["request_id"] == form["request_id"]);
    ensure!(withdrawn, "{:#?}", claude.frames);
    claude.close().await?;
    Ok(())
}

pub(crate) async fn pictures_are_seen(which: Which) -> Result<()> {
    let world = World::new(which).await?;
    let mut claude = world.start(&[])?;
    // One white pixel.
    let data = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mP8/x8AAwMCAO+ip1sAAAAASUVORK5CYII=";
    let picture =
        json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}});
    let content = json!([{"type": "text", "text": "Look\n!see"}, picture, picture]);
    claude.prompt_blocks(content, "4f4e3d2c-0000-4000-8000-000000000001").await?;
    claude.idle().await?;
    let said = claude.said().concat();
    ensure!(said.starts_with("I see 2 pictures: image/"), "{said}");
    claude.close().await?;
    Ok(())
}

pub(crate) async fn a_subagent_runs_tools_of_its_own(which: Which) -> Result<()> {
    let world = World::new(which).await?;
    let mut claude = world.start(&BYPASS)?;
    let prompt = "!tool Read {\\\"file_path\\\":\\\"$CWD/notes.txt\\\"}\\n!text Two lines.";
    claude
        .prompt(&format!(
            "!tool Agent {{\"description\":\"Count lines\",\"prompt\":\"{prompt}\",\"subagent_type\":\"general-purpose\"}}\n!echo-result"
        ))
        .await?;
    claude.idle().await?;
    let belongs = |frame: &&serde_json::Value| frame["parent_tool_use_id"].is_string();
    let read = claude.frames.iter().filter(belongs).any(|frame| {
        frame["message"]["content"][0]["name"] == "Read" && frame["subagent_type"] == "general-purpose"
    });
    ensure!(read, "{:#?}", claude.frames);
    ensure!(claude.said().concat().contains("Two lines."), "{:?}", claude.said());
    claude.close().await?;
    Ok(())
}
