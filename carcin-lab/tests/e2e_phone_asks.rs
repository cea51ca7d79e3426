//! What Claude asks, answered on the phone: each kind of request, the whole way to Claude and back.

#[macro_use]
mod e2e_support;

use carcin_lab::rig::{Claude, PATIENCE, Rig};
use carcin_lab::telegram::{ChatMessage, LabState, Typed};
use e2e_support::{bash, lines};
use serde_json::{Value, json};

with_either_claude! {
    a_denial_in_words_is_read_by_claude,
    always_is_not_asked_again,
    an_edit_is_shown_as_a_diff_and_edits_are_allowed_from_then_on,
    several_at_once_have_a_message_each,
    several_questions_survive_the_deaths_of_both_programs,
    a_plan_is_kept_with_a_comment_and_then_followed,
    a_form_of_an_mcp_server_is_filled_in,
}

async fn start(claude: Claude) -> anyhow::Result<Rig> {
    Rig::builder().claude(claude).front().start().await
}

/// Waits for a message with `on` in it and a button that begins with `label`, and presses that.
async fn tap(rig: &Rig, on: &str, label: &str) -> anyhow::Result<ChatMessage> {
    let begins = |text: &str| text.starts_with(label);
    let find = |state: &LabState| {
        let mut shown = state.visible(rig.owner()).filter(|message| message.text().contains(on));
        shown.find(|message| message.buttons().any(|button| begins(&button.text))).cloned()
    };
    let message = rig.telegram.wait_for(&format!("{on:?} with {label:?}"), PATIENCE, find).await?;
    let full = message.buttons().find(|button| begins(&button.text)).map(|button| button.text.clone());
    rig.press(&message, &full.unwrap_or_default())?;
    Ok(message)
}

async fn a_denial_in_words_is_read_by_claude(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    rig.write(&format!("{}\n!echo-result", bash("echo run >> $CWD/effects")))?;
    let question = tap(&rig, "May I use Bash?", "✍️ Deny with a reason").await?;
    rig.sees("Your next message is the reason").await?;
    rig.write("Ask the harbour master first")?;
    let settled = rig.sees("Denied by Alex: Ask the harbour master first").await?;
    assert_eq!((settled.id, settled.buttons().count()), (question.id, 0));
    let answer = rig.sees("The result was").await?;
    assert!(answer.text().contains("Ask the harbour master first"), "{}", answer.text());
    assert!(lines(&rig.places.work().join("effects")).is_empty());
    assert_eq!(rig.asked()?.len(), 1, "the reason is no prompt: {:?}", rig.asked()?);
    rig.finish().await
}

async fn always_is_not_asked_again(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    let touch = bash("touch $CWD/made");
    rig.write(&format!("{touch}\n{touch}\n!text Made twice"))?;
    tap(&rig, "May I use Bash?", "♾ Always allow").await?;
    rig.sees("Always allowed by Alex").await?;
    rig.sees("Made twice").await?;
    assert_eq!(rig.count("May I use Bash?"), 1);
    rig.finish().await
}

async fn an_edit_is_shown_as_a_diff_and_edits_are_allowed_from_then_on(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    let write = |name: &str| {
        let input = json!({"file_path": format!("$CWD/{name}"), "content": "first\nsecond\n"});
        format!("!tool Write {input}")
    };
    rig.write(&format!("{}\n{}\n!text Written", write("one"), write("two")))?;
    let question = tap(&rig, "May I use Write?", "♾ Switch to Accept edits").await?;
    assert!(question.text().contains("+first\n+second"), "{}", question.text());
    rig.sees("Written").await?;
    assert_eq!(rig.count("May I use Write?"), 1);
    assert_eq!(lines(&rig.places.work().join("two")), ["first", "second"]);
    rig.finish().await
}

async fn several_at_once_have_a_message_each(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    let call = |word: &str| format!("Bash {}", json!({"command": format!("echo {word} >> $CWD/{word}")}));
    rig.write(&format!("!tools {} && {}\n!text Both are settled", call("left"), call("right")))?;
    let left = tap(&rig, "echo left", "🚫 Deny").await?;
    let right = tap(&rig, "echo right", "✅ Allow once").await?;
    assert_ne!(left.id, right.id);
    rig.sees("Both are settled").await?;
    assert_eq!(rig.count("✗"), 0, "what was denied has not failed: {:#?}", rig.shown());
    assert!(lines(&rig.places.work().join("left")).is_empty());
    assert_eq!(lines(&rig.places.work().join("right")), ["right"]);
    rig.finish().await
}

async fn several_questions_survive_the_deaths_of_both_programs(claude: Claude) -> anyhow::Result<()> {
    let mut rig = start(claude).await?;
    rig.write("!ask Which colour? | Red | Blue && +Which days? | Mon | Tue | Wed\n!echo-result")?;
    let message = tap(&rig, "Which colour?", "Blue").await?;
    tap(&rig, "Which days?", "⬜ Wed").await?;
    rig.telegram.wait_for("the tick", PATIENCE, |state| ticked(state, rig.owner(), "☑️ Wed")).await?;
    rig.kill_front().await?;
    rig.kill_daemon().await?;
    rig.press(&message_now(&rig, message.id)?, "⬜ Mon")?;
    rig.restart_front().await?;
    rig.restart_daemon().await?;
    rig.telegram.wait_for("both ticks", PATIENCE, |state| ticked(state, rig.owner(), "☑️ Mon")).await?;
    // In words by a reply to the question: what is ticked counts too.
    let typed = Typed { reply_to: Some(message.id), ..Typed::new("any holiday") };
    rig.telegram.send(rig.owner(), rig.owner(), typed)?;
    let settled = rig.sees("Answered by Alex").await?;
    assert_eq!((settled.id, settled.buttons().count()), (message.id, 0));
    let answer = rig.sees("The result was").await?;
    for word in ["Blue", "Mon, Wed, any holiday"] {
        assert!(answer.text().contains(word), "{}", answer.text());
    }
    assert_eq!(rig.asked()?.len(), 1, "{:?}", rig.asked()?);
    rig.finish().await
}

fn ticked(state: &LabState, owner: i64, label: &str) -> Option<()> {
    state.visible(owner).any(|message| message.buttons().any(|button| button.text == label)).then_some(())
}

fn message_now(rig: &Rig, id: i64) -> anyhow::Result<ChatMessage> {
    let found = rig.telegram.messages(rig.owner()).into_iter().find(|message| message.id == id);
    found.ok_or_else(|| anyhow::anyhow!("the message {id} is gone"))
}

async fn a_plan_is_kept_with_a_comment_and_then_followed(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).front().permission_mode("plan").start().await?;
    rig.write("!plan Light the lantern\n!echo-result")?;
    tap(&rig, "Light the lantern", "✏️ Keep planning").await?;
    rig.sees("what should change?").await?;
    rig.write("Fill it with oil before")?;
    rig.sees("Alex: keep planning: Fill it with oil before").await?;
    let answer = rig.sees("The result was").await?;
    assert!(answer.text().contains("Fill it with oil before"), "{}", answer.text());
    rig.owners_talk().idle().await?;
    let write = json!({"file_path": "$CWD/lantern", "content": "lit\n"});
    rig.write(&format!("!plan Fill it with oil\n!tool Write {write}\n!text It is lit"))?;
    tap(&rig, "Fill it with oil", "✅ Approve and edit automatically").await?;
    rig.sees("Approved by Alex, editing automatically").await?;
    rig.sees("It is lit").await?;
    assert_eq!(lines(&rig.places.work().join("lantern")), ["lit"]);
    assert_eq!(rig.count("May I use"), 0, "edits were approved with the plan");
    rig.finish().await
}

/// An MCP server, in the shell's own words, whose one tool asks the user for a berth and tells what it was told.
const HARBOUR: &str = r#"
call=
while IFS= read -r line; do
  [[ $line =~ \"id\":([0-9]+) ]] && id=${BASH_REMATCH[1]}
  case $line in
    *'"method":"initialize"'*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"harbour","version":"1"}}}' ;;
    *'"method":"tools/list"'*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"tools":[{"name":"berth","description":"Asks for a berth","inputSchema":{"type":"object","properties":{}}}]}}' ;;
    *'"method":"tools/call"'*) call=$id
      echo '{"jsonrpc":"2.0","id":4711,"method":"elicitation/create","params":{"message":"Which berth?","requestedSchema":SCHEMA}}' ;;
    *'"id":4711'*)
      text=${line//\\/\\\\}; text=${text//\"/\\\"}
      echo '{"jsonrpc":"2.0","id":'$call',"result":{"content":[{"type":"text","text":"'$text'"}]}}' ;;
  esac
done
"#;

fn schema() -> Value {
    json!({"type": "object", "required": ["ship"], "properties": {
        "ship": {"type": "string", "title": "Ship", "minLength": 3},
        "metres": {"type": "integer", "minimum": 1},
        "pilot": {"type": "boolean"}}})
}

/// A prompt that ends in a form: with the real Claude from an MCP server, else as Claude would print it.
fn form(rig: &Rig, claude: &Claude) -> anyhow::Result<String> {
    if matches!(claude, Claude::Scripted) {
        let asked = json!({"type": "control_request", "request_id": "form-1", "request": {
            "subtype": "elicitation", "mcp_server_name": "harbour", "message": "Which berth?", "mode": "form",
            "requested_schema": schema()}});
        return Ok(format!(
            "!emit {}\n!gate answered\n!text It is moored",
            json!({"parts": [format!("{asked}\n")]})
        ));
    }
    let server = rig.places.dir().join("harbour.sh");
    std::fs::write(&server, HARBOUR.replace("SCHEMA", &schema().to_string()))?;
    let servers = json!({"mcpServers": {"harbour": {"type": "stdio", "command": "bash", "args": [server]}}});
    std::fs::write(rig.places.work().join(".mcp.json"), servers.to_string())?;
    let settings = rig.places.home().join(".claude");
    std::fs::create_dir_all(&settings)?;
    std::fs::write(settings.join("settings.json"), json!({"enableAllProjectMcpServers": true}).to_string())?;
    Ok("!tool mcp__harbour__berth {}\n!echo-result\n!text It is moored".to_owned())
}

async fn a_form_of_an_mcp_server_is_filled_in(claude: Claude) -> anyhow::Result<()> {
    let builder = Rig::builder().claude(claude.clone()).front();
    let mut rig = builder.permission_mode("bypassPermissions").start().await?;
    rig.write(&form(&rig, &claude)?)?;
    let message = tap(&rig, "harbour asks", "📝 Fill in").await?;
    rig.sees("Ship (1 of 3)").await?;
    rig.write("Ox")?;
    rig.sees("Ship must be at least 3 characters").await?;
    rig.kill_front().await?;
    rig.write("Seahorse")?;
    rig.restart_front().await?;
    tap(&rig, "metres (2 of 3)", "⏭ Skip").await?;
    tap(&rig, "pilot (3 of 3)", "Yes").await?;
    tap(&rig, "Ship: Seahorse", "✅ Send").await?;
    let settled = rig.sees("Answered by Alex").await?;
    assert_eq!((settled.id, settled.buttons().count()), (message.id, 0));
    if matches!(claude, Claude::Scripted) {
        rig.open_gate("answered")?;
    } else {
        let answer = rig.sees("The result was").await?;
        let text: String = answer.text().split_whitespace().collect();
        for part in [r#""action":"accept""#, r#""ship":"Seahorse""#, r#""pilot":true"#] {
            assert!(text.contains(part), "{}", answer.text());
        }
        assert!(!text.contains("metres"), "{}", answer.text());
    }
    rig.sees("It is moored").await?;
    assert_eq!(rig.asked()?.len(), 1, "{:?}", rig.asked()?);
    rig.finish().await
}
