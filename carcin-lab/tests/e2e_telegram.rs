//! The whole of it, as its owner has it: Telegram, `carcin-tg`, `carcind`, Claude, and what dies in between.

#[macro_use]
mod e2e_support;

use carcin_lab::rig::{Claude, PATIENCE, Rig};
use carcin_lab::telegram::{ChatMessage, LabConfig, LabState};
use carcin_proto::Request;
use e2e_support::{bash, eventually, lines, run};
use tokio::process::Command;

with_either_claude! {
    a_message_is_answered_and_the_card_ends,
    a_permission_is_given_by_a_button,
    a_permission_given_in_the_terminal_is_seen_on_the_phone,
    a_question_is_answered_by_a_button,
    a_plan_is_approved_by_a_button,
    a_stop_from_the_phone_leaves_claude_warm,
    a_killed_front_end_loses_nothing_and_leaves_no_card_working,
    a_killed_daemon_loses_nothing_and_leaves_no_card_working,
    with_both_killed_nothing_is_lost,
    messages_written_while_the_daemon_is_down_are_delivered_in_order,
    messages_written_while_the_front_end_is_down_are_answered_once,
    what_a_tool_says_and_sends_reaches_the_phone,
    a_stranger_is_not_heard,
}

async fn start(claude: Claude) -> anyhow::Result<Rig> {
    Rig::builder().claude(claude).front().start().await
}

/// Waits for a message with a button that says `label`.
async fn with_button(rig: &Rig, label: &str) -> anyhow::Result<ChatMessage> {
    let find = |state: &LabState| {
        let mut shown = state.visible(rig.owner()).filter(|message| message.from_bot());
        shown.find(|message| message.buttons().any(|button| button.text == label)).cloned()
    };
    rig.telegram.wait_for(&format!("a button that says {label}"), PATIENCE, find).await
}

/// Every part is shown, in order, and nothing is still at work. Of what was in flight at one of so many kills
/// one message each may be there twice.
async fn shows(rig: &Rig, parts: &[&str], kills: usize) -> anyhow::Result<()> {
    // Notes about what was written repeat it, and are no answers.
    let is_note = |text: &str| text.starts_with("↪️") || text.starts_with("🕓");
    for part in parts {
        let answer = |state: &LabState| {
            let mut shown = state.visible(rig.owner()).filter(|message| message.from_bot());
            let answers = |text: &str| text.contains(part) && !is_note(text);
            shown.any(|message| answers(message.text())).then_some(())
        };
        rig.telegram.wait_for(&format!("an answer with {part:?}"), PATIENCE, answer).await?;
    }
    rig.no_longer_sees("Working").await?;
    rig.no_longer_sees("Waiting").await?;
    rig.no_longer_sees("Started").await?;
    let shown: Vec<String> = rig.shown().into_iter().filter(|text| !is_note(text.as_str())).collect();
    let firsts: Vec<Option<usize>> =
        parts.iter().map(|part| shown.iter().position(|text| text.contains(part))).collect();
    anyhow::ensure!(firsts.is_sorted(), "they are out of order: {shown:#?}");
    let count = |part: &str| shown.iter().filter(|text| text.contains(part)).count();
    let doubled: usize = parts.iter().map(|part| count(part).saturating_sub(1)).sum();
    anyhow::ensure!(doubled <= kills, "{doubled} are there twice: {shown:#?}");
    Ok(())
}

async fn a_message_is_answered_and_the_card_ends(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    rig.write("!text Hello **there**")?;
    let answer = rig.sees("Hello there").await?;
    assert!(!answer.silent, "the end of a task is heard");
    rig.sees("Done").await?;
    shows(&rig, &["Hello there"], 0).await?;
    assert_eq!(rig.shown().len(), 2, "{:#?}", rig.shown());
    rig.finish().await
}

async fn a_permission_is_given_by_a_button(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    rig.write(&format!("{}\n!text It ran", bash("echo run >> $CWD/effects")))?;
    let question = rig.sees("May I use Bash?").await?;
    assert!(question.text().contains("echo run"), "{}", question.text());
    rig.press(&question, "✅ Allow once")?;
    let settled = rig.sees("Allowed by Alex").await?;
    assert_eq!((settled.id, settled.buttons().count()), (question.id, 0));
    shows(&rig, &["It ran"], 0).await?;
    assert_eq!(lines(&rig.places.work().join("effects")), ["run"]);
    rig.finish().await
}

async fn a_permission_given_in_the_terminal_is_seen_on_the_phone(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    rig.write(&format!("{}\n!text It ran", bash("echo run >> $CWD/effects")))?;
    let question = rig.sees("May I use Bash?").await?;
    let request = rig.owners_talk().asked().await?.request;
    let answered = Command::new(rig.programs().join("carcin-ctl"))
        .args(["answer", &request.as_str()[..8], "allow"])
        .env_clear()
        .env("CARCIN_SOCKET", rig.places.socket())
        .env("USER", "robin")
        .output()
        .await?;
    assert!(answered.status.success(), "{}", String::from_utf8_lossy(&answered.stderr));
    let settled = rig.sees("Allowed by terminal (robin)").await?;
    assert_eq!((settled.id, settled.buttons().count()), (question.id, 0));
    shows(&rig, &["It ran"], 0).await?;
    rig.finish().await
}

async fn a_question_is_answered_by_a_button(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    rig.write("!ask Which colour? | Red | Blue\n!echo-result")?;
    let question = with_button(&rig, "Blue").await?;
    assert!(question.text().contains("Which colour?"), "{}", question.text());
    rig.press(&question, "Blue")?;
    assert_eq!(rig.sees("Answered by Alex").await?.id, question.id);
    let answer = rig.sees("The result was").await?;
    assert!(answer.text().contains("Blue"), "{}", answer.text());
    rig.finish().await
}

async fn a_plan_is_approved_by_a_button(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).front().permission_mode("plan").start().await?;
    rig.write("!plan Light the lantern\n!text On it")?;
    let plan = with_button(&rig, "✅ Approve and ask").await?;
    assert!(plan.text().contains("Light the lantern"), "{}", plan.text());
    rig.press(&plan, "✅ Approve and ask")?;
    assert_eq!(rig.sees("Approved by Alex").await?.id, plan.id);
    shows(&rig, &["On it"], 0).await?;
    rig.finish().await
}

async fn a_stop_from_the_phone_leaves_claude_warm(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    let talk = rig.owners_talk();
    rig.write("!stream 5000 words 20ms")?;
    talk.streamed("[10]").await?;
    let pid = talk.pid().await?;
    rig.write("/stop")?;
    talk.idle().await?;
    rig.sees("Stopped by Alex").await?;
    rig.write("!text Still here")?;
    shows(&rig, &["Still here"], 0).await?;
    assert_eq!(talk.pid().await?, pid);
    rig.finish().await
}

/// Something that is said and done, then a wait for the gate `on`, then more of both.
fn halves() -> String {
    format!(
        "!text The first half\n{}\n!gate on\n!text The second half\n{}\n!text The end",
        bash("echo first >> $CWD/effects"),
        bash("echo second >> $CWD/effects")
    )
}

const HALVES: [&str; 3] = ["The first half", "The second half", "The end"];

async fn half_way(claude: Claude) -> anyhow::Result<Rig> {
    let builder = Rig::builder().claude(claude).front();
    let rig = builder.permission_mode("bypassPermissions").start().await?;
    rig.write(&halves())?;
    rig.sees("The first half").await?;
    rig.sees("Working").await?;
    eventually("the first effect", || rig.places.work().join("effects").exists().then_some(())).await?;
    Ok(rig)
}

async fn killed_front(claude: Claude, meanwhile: bool) -> anyhow::Result<Rig> {
    let mut rig = half_way(claude).await?;
    rig.kill_front().await?;
    if meanwhile {
        rig.open_gate("on")?;
        rig.owners_talk().idle().await?;
    }
    rig.restart_front().await?;
    rig.open_gate("on")?;
    Ok(rig)
}

async fn a_killed_front_end_loses_nothing_and_leaves_no_card_working(claude: Claude) -> anyhow::Result<()> {
    for meanwhile in [false, true] {
        let rig = killed_front(claude.clone(), meanwhile).await?;
        rig.sees("Done").await?;
        shows(&rig, &HALVES, 1).await?;
        assert_eq!(lines(&rig.places.work().join("effects")), ["first", "second"]);
        rig.finish().await?;
    }
    Ok(())
}

async fn a_killed_daemon_loses_nothing_and_leaves_no_card_working(claude: Claude) -> anyhow::Result<()> {
    for meanwhile in [false, true] {
        let mut rig = half_way(claude.clone()).await?;
        let pid = rig.owners_talk().pid().await?;
        rig.kill_daemon().await?;
        if meanwhile {
            rig.open_gate("on")?;
            eventually("the second effect", || {
                (lines(&rig.places.work().join("effects")).len() == 2).then_some(())
            })
            .await?;
        }
        rig.restart_daemon().await?;
        rig.open_gate("on")?;
        rig.sees("Done").await?;
        shows(&rig, &HALVES, 0).await?;
        rig.write("!text Still here")?;
        shows(&rig, &["Still here"], 0).await?;
        assert_eq!(rig.owners_talk().pid().await?, pid);
        rig.finish().await?;
    }
    Ok(())
}

async fn with_both_killed_nothing_is_lost(claude: Claude) -> anyhow::Result<()> {
    let mut rig = half_way(claude).await?;
    rig.kill_daemon().await?;
    rig.kill_front().await?;
    rig.write("!text And one more")?;
    rig.open_gate("on")?;
    rig.restart_front().await?;
    rig.restart_daemon().await?;
    shows(&rig, &HALVES, 1).await?;
    shows(&rig, &["And one more"], 1).await?;
    assert_eq!(lines(&rig.places.work().join("effects")), ["first", "second"]);
    rig.finish().await
}

async fn messages_written_while_the_daemon_is_down_are_delivered_in_order(
    claude: Claude,
) -> anyhow::Result<()> {
    let mut rig = start(claude).await?;
    rig.write("!text Zero")?;
    rig.sees("Zero").await?;
    rig.kill_daemon().await?;
    for text in ["!text One", "!text Two", "!text Three"] {
        rig.write(text)?;
    }
    rig.sees("Your message is kept and will be delivered").await?;
    rig.restart_daemon().await?;
    shows(&rig, &["One", "Two", "Three"], 0).await?;
    let accepted = rig.events.wait("four prompts to be accepted", |log| {
        let accepted = log.envelopes().filter_map(|envelope| match &envelope.event {
            carcin_proto::Event::PromptAccepted(accepted) => Some(accepted.text.clone()),
            _ => None,
        });
        let accepted: Vec<String> = accepted.collect();
        (accepted.len() == 4).then_some(accepted)
    });
    assert_eq!(accepted.await?, ["!text Zero", "!text One", "!text Two", "!text Three"]);
    assert_eq!(rig.count("will be delivered"), 1, "{:#?}", rig.shown());
    rig.finish().await
}

async fn messages_written_while_the_front_end_is_down_are_answered_once(
    claude: Claude,
) -> anyhow::Result<()> {
    let mut rig = start(claude).await?;
    rig.kill_front().await?;
    let id = rig.write("!text Once")?;
    rig.restart_front().await?;
    rig.sees("Once").await?;
    rig.telegram.redeliver(rig.owner(), id)?;
    rig.write("!text Afterwards")?;
    shows(&rig, &["Once", "Afterwards"], 0).await?;
    assert_eq!(rig.asked()?, ["!text Once", "!text Afterwards"]);
    rig.finish().await
}

async fn what_a_tool_says_and_sends_reaches_the_phone(claude: Claude) -> anyhow::Result<()> {
    let builder = Rig::builder().claude(claude).front();
    let rig = builder.permission_mode("bypassPermissions").start().await?;
    let file = rig.places.work().join("report.txt");
    std::fs::write(&file, "It is fine.")?;
    let send = format!(
        "\"$CARCIN_CTL\" notify 'half way there' && \"$CARCIN_CTL\" send-file {} --caption 'The report'",
        file.display()
    );
    rig.write(&format!("{}\n!text Done and sent", bash(&send)))?;
    let says_it = |state: &LabState| {
        let mut shown = state.visible(rig.owner()).filter(|message| message.from_bot());
        shown.any(|message| message.text() == "half way there").then_some(())
    };
    rig.telegram.wait_for("what the tool says", PATIENCE, says_it).await?;
    // The card names the command, which has all these words.
    let file = |state: &LabState| {
        let mut shown = state.visible(rig.owner()).filter(|message| message.text() == "The report");
        shown.find_map(|message| message.content.media.clone())
    };
    let media = rig.telegram.wait_for("the file", PATIENCE, file).await?;
    assert_eq!(media.file_name, "report.txt");
    let stored =
        rig.telegram.file(&media.file_id).ok_or_else(|| anyhow::anyhow!("the file is not stored"))?;
    assert_eq!(stored.bytes, "It is fine.");
    shows(&rig, &["Done and sent"], 0).await?;
    rig.finish().await
}

async fn a_stranger_is_not_heard(claude: Claude) -> anyhow::Result<()> {
    let users = vec![(1001, "Alex".to_owned()), (666, "Eve".to_owned())];
    let telegram = LabConfig { users, ..LabConfig::default() };
    let rig = Rig::builder().claude(claude).front().telegram(telegram).start().await?;
    rig.telegram.send_text(666, 666, "!text For Eve")?;
    rig.write("!text For Alex")?;
    rig.sees("For Alex").await?;
    assert_eq!(rig.asked()?, ["!text For Alex"]);
    assert!(!rig.telegram.messages(666).iter().any(ChatMessage::from_bot));
    rig.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_front_end_that_cannot_work_says_why_and_what_to_do() {
    run(async {
        let mut rig = Rig::builder().start().await?;
        let elsewhere = rig.places.dir().join("elsewhere");
        let elsewhere = ("CARCIN_STATE_DIR", elsewhere.to_str().expect("a path of ours"));
        let cases = [
            (
                ("TELEGRAM_BOT_TOKEN", "4242:wrong"),
                "error: Telegram refuses the bot token (401)\nhint: get the current one from @BotFather, with /token",
            ),
            (
                ("TELEGRAM_BOT_TOKEN", ""),
                "error: there is no bot token\nhint: get one from @BotFather, put it into a file that only you can \
                 read, and pass --token-file FILE",
            ),
            (
                ("ALLOWED_USER_IDS", ""),
                "error: nobody is allowed to talk to the bot\nhint: set ALLOWED_USER_IDS to your Telegram user id",
            ),
        ];
        for (variable, expected) in cases {
            let mut front = rig.another_front(&[elsewhere, variable])?;
            let status = front.wait(PATIENCE).await?;
            let said = front.log_text();
            assert_eq!(status.code(), Some(2), "{said}");
            assert!(said.trim_end().ends_with(expected), "{said}\nbut not: {expected}");
            assert!(!said.contains("4242:wrong") && !said.contains(rig.telegram.token()), "{said}");
        }
        rig.finish().await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_pollers_one_says_so_and_messages_still_get_through() {
    run(async {
        let mut rig = Rig::builder().front().start().await?;
        let elsewhere = rig.places.dir().join("elsewhere");
        let mut second =
            rig.another_front(&[("CARCIN_STATE_DIR", elsewhere.to_str().expect("a path of ours"))])?;
        second.ready().await?;
        let told = |log: &str| log.contains("another program polls with this bot's token");
        eventually("one of them to be told", || {
            let first = rig.front.as_ref().is_some_and(|front| told(&front.log_text()));
            (first || told(&second.log_text())).then_some(())
        })
        .await?;
        second.kill().await?;
        rig.write("!text Through")?;
        rig.sees("Through").await?;
        assert_eq!(rig.asked()?, ["!text Through"]);
        rig.request(&Request::Status).await?;
        rig.finish().await
    })
    .await;
}
