//! Conversations that are loaded on demand, and one that fails by a defect: it is taken up again, with its Claude,
//! and the others do not notice.

#[macro_use]
mod e2e_support;

use carcin_lab::rig::{Claude, PATIENCE, Rig, Talk};
use carcin_proto::event::{LineProblem, PromptOutcome, Unrecognised};
use carcin_proto::request::{Placement, Recent, Submit};
use carcin_proto::{ClientError, Event, IdempotencyKey, RefusalCode, Reply, Request};
use e2e_support::{endless_tool, lives, noted_pid, status};

with_either_claude! {
    one_that_fails_is_taken_up_again_with_its_claude,
    a_line_on_which_it_fails_each_time_is_kept_raw_and_passed_over,
    one_at_rest_is_loaded_when_it_is_asked_for,
    two_shutdowns_at_once_return_when_claude_is_gone,
}

/// How often a Claude was taken up, and how often one was started, in this conversation.
fn starts(rig: &Rig, talk: &Talk) -> (usize, usize) {
    let log = rig.events.log();
    let started = log.envelopes().filter(|envelope| envelope.conversation == *talk.key());
    let adopted: Vec<bool> = started
        .filter_map(|envelope| match &envelope.event {
            Event::ProcessStarted(started) => Some(started.adopted),
            _ => None,
        })
        .collect();
    let taken_up = adopted.iter().filter(|adopted| **adopted).count();
    (taken_up, adopted.len() - taken_up)
}

async fn one_that_fails_is_taken_up_again_with_its_claude(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).faults().env("CARCIN_FAULT_PANIC_ON", "POISON:1").start().await?;
    let (talk, other) = (rig.talk("tg:1"), rig.talk("tg:2"));
    talk.say("!text Hello").await?;
    other.say("!text Hello").await?;
    let pid = talk.pid().await?;
    assert_eq!(talk.say("!text POISON is said").await?, ["POISON is said"]);
    assert_eq!(talk.say("!text Still here").await?, ["Still here"]);
    assert_eq!(talk.pid().await?, pid);
    assert_eq!(starts(&rig, &talk), (1, 1));
    let problems = status(&rig).await?.problems;
    assert!(problems.iter().any(|problem| problem.contains("tg:1 was taken up again once")), "{problems:?}");
    assert_eq!(other.say("!text Nothing happened").await?, ["Nothing happened"]);
    assert_eq!(starts(&rig, &other), (0, 1));
    rig.finish().await
}

async fn a_line_on_which_it_fails_each_time_is_kept_raw_and_passed_over(
    claude: Claude,
) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).faults().env("CARCIN_FAULT_PANIC_ON", "POISON").start().await?;
    let (talk, other) = (rig.talk("tg:1"), rig.talk("tg:2"));
    talk.say("!text Hello").await?;
    let pid = talk.pid().await?;
    // The word is in several lines, and so in each of them until all are passed over.
    let prompt = talk.send("!text POISON").await?;
    let raw = |event: &Event| match event {
        Event::Unrecognised(Unrecognised { problem: LineProblem::Defect, raw, .. }) => Some(raw.clone()),
        _ => None,
    };
    let kept = rig.events.wait_for("a line to be passed over", |envelope| raw(&envelope.event).is_some());
    let kept = raw(&kept.await?.event).expect("the raw line");
    assert!(String::from_utf8_lossy(&kept).contains("POISON"), "{}", String::from_utf8_lossy(&kept));
    assert_eq!(other.say("!text Nothing happens here").await?, ["Nothing happens here"]);
    let outcome = rig.events.ended(prompt).await?;
    assert_eq!(outcome, PromptOutcome::Completed);
    assert_eq!(talk.say("!text Still here").await?, ["Still here"]);
    assert_eq!(talk.pid().await?, pid);
    assert_eq!(starts(&rig, &other), (0, 1));
    let log = rig.events.log();
    let told = log.envelopes().filter(|envelope| match &envelope.event {
        Event::Notice(notice) => notice.text.contains("has a defect that ends this conversation"),
        _ => false,
    });
    assert_eq!(told.count(), 1, "the user is told once");
    let of_talk = status(&rig).await?.conversations.into_iter().find(|at| at.key == *talk.key());
    let counted = of_talk.map(|at| at.unrecognised);
    let passed = log.envelopes().filter(|envelope| raw(&envelope.event).is_some()).count();
    assert_eq!(counted, Some(passed as u64));
    rig.finish().await
}

async fn one_at_rest_is_loaded_when_it_is_asked_for(claude: Claude) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    talk.say("!text Before").await?;
    let session = talk.session().await?;
    let key = "the first".to_owned();
    let first = talk.submit(&key, "!text Once", Placement::Steer).await?;
    talk.answer_to(first.prompt).await?;
    // Ended, and forgotten by the daemon's memory.
    let _ = rig.request(&Request::Shutdown).await;
    assert!(rig.daemon.wait(PATIENCE).await?.success());
    rig.restart_daemon().await?;
    let again = talk.submit(&key, "!text Once", Placement::Steer).await?;
    assert_eq!(again.prompt, first.prompt, "the same key is the same prompt");
    let recent = Recent { conversation: talk.key().clone(), limit: 10 };
    let Reply::Recent(texts) = rig.request(&Request::Recent(recent)).await? else {
        anyhow::bail!("no texts")
    };
    assert_eq!(texts.iter().map(|text| text.text.as_str()).collect::<Vec<_>>(), ["Before", "Once"]);
    assert_eq!(talk.say("!text After").await?, ["After"]);
    assert_eq!(talk.session().await?, session, "it goes on in the same session");
    rig.finish().await
}

async fn two_shutdowns_at_once_return_when_claude_is_gone(claude: Claude) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(claude).permission_mode("bypassPermissions").start().await?;
    let talk = rig.talk("tg:1");
    talk.send(&endless_tool("tool")).await?;
    noted_pid(&rig.places.work().join("tool")).await?;
    let pid = talk.pid().await?;
    let shutdown = async || {
        let reply = rig.request(&Request::Shutdown).await;
        (reply.is_ok(), lives(pid))
    };
    let late = async {
        // Whatever comes while it ends is refused, or meets nobody any more.
        let submit = Submit {
            conversation: rig.talk("tg:9").key().clone(),
            key: IdempotencyKey::new("late")?,
            text: "!text Too late".to_owned(),
            placement: Placement::Steer,
            by: "Alex".to_owned(),
        };
        loop {
            match rig.request(&Request::Submit(submit.clone())).await {
                Err(ClientError::Refused(refusal)) => {
                    assert_eq!(refusal.code, RefusalCode::ShuttingDown);
                    return anyhow::Ok(());
                }
                Err(_) => return Ok(()),
                // Before the first of them was heard.
                Ok(_) => tokio::task::yield_now().await,
            }
        }
    };
    let (first, second, late) = tokio::join!(shutdown(), shutdown(), late);
    late?;
    assert!(first.0 || second.0, "one of them is answered");
    assert!(!first.1 && !second.1, "Claude is gone before either returns");
    assert!(rig.daemon.wait(PATIENCE).await?.success());
    rig.discard();
    Ok(())
}
