//! A durable event in one line.

use carcin_proto::Event;
use carcin_proto::event::{
    Compacted, CompactionPhase, Exit, Level, LineProblem, ProcessEnded, PromptOutcome, RequestSettled,
    SessionCause, SessionChanged, SettingsChanged, Settlement, TaskChanged, TaskStatus, TodoStatus,
    TodosChanged, ToolEnded, ToolStarted, TurnOutcome, Unrecognised, UnrecognisedLines,
};

use super::ask::headline;
use super::text::{count, one_line, short};
use super::time::duration;

/// What happened, without when and where.
pub(super) fn describe(event: &Event) -> String {
    one_line(&match event {
        Event::ConversationOpened(opened) => format!("conversation opened in {}", opened.cwd.display()),
        Event::ConversationRecalled(recalled) => {
            format!("conversation taken up again in {}", recalled.cwd.display())
        }
        Event::SessionChanged(changed) => session(changed),
        Event::SettingsChanged(settings) => self::settings(settings),
        Event::ProcessStarted(started) if started.adopted => {
            format!("Claude still runs, pid {}", started.pid)
        }
        Event::ProcessStarted(started) => format!("Claude started, pid {}", started.pid),
        Event::ProcessEnded(ended) => process_ended(ended),
        Event::PromptAccepted(accepted) => format!("prompt from {}: {}", accepted.by, accepted.text),
        Event::PromptStarted(started) => format!("prompt taken up in turn {}", started.turn),
        Event::PromptEnded(ended) => prompt_outcome(&ended.outcome),
        Event::TurnStarted(started) if started.prompt.is_none() => {
            format!("turn {} began by itself", started.turn)
        }
        Event::TurnStarted(started) => format!("turn {} began", started.turn),
        Event::TurnEnded(ended) => {
            format!("turn {} {} after {}", ended.turn, turn_outcome(&ended.outcome), duration(ended.duration))
        }
        Event::TextBlock(block) => block.text.clone(),
        Event::ThinkingBlock(block) if block.text.is_empty() => "thought".to_owned(),
        Event::ThinkingBlock(block) => format!("thought: {}", block.text),
        Event::ToolStarted(started) => tool(started),
        Event::ToolEnded(ended) => tool_ended("tool", ended),
        Event::ToolPicture(picture) => format!("picture: {}", picture.path.display()),
        Event::TodosChanged(changed) => todos(changed),
        Event::TaskChanged(changed) => task(changed),
        Event::RequestOpened(opened) => {
            format!("{} [{}]", headline(&opened.ask), short(opened.request.as_str()))
        }
        Event::RequestSettled(settled) => self::settled(settled),
        Event::ApiRetried(retried) => format!(
            "{}; attempt {} of {}, again in {}",
            retried.message,
            retried.attempt,
            retried.max_attempts,
            duration(retried.delay)
        ),
        Event::Compacted(compacted) => compaction(compacted),
        Event::Notice(notice) => match (notice.level, &notice.hint) {
            (Level::Info, None) => notice.text.clone(),
            (Level::Info, Some(hint)) => format!("{} ({hint})", notice.text),
            (Level::Warning, hint) => format!("warning: {}{}", notice.text, in_brackets(hint.as_deref())),
            (Level::Error, hint) => format!("error: {}{}", notice.text, in_brackets(hint.as_deref())),
        },
        Event::Notification(notification) => format!("notification: {}", notification.text),
        Event::FileOffered(offered) => format!("file: {} {}", offered.path.display(), offered.caption),
        Event::Unrecognised(line) => unrecognised(line),
        Event::UnrecognisedLines(many) => unrecognised_lines(many),
    })
}

fn in_brackets(text: Option<&str>) -> String {
    text.filter(|text| !text.is_empty()).map(|text| format!(" ({text})")).unwrap_or_default()
}

fn session(changed: &SessionChanged) -> String {
    let session = changed.session.as_ref().map_or_else(
        || "the next prompt begins a new session".to_owned(),
        |session| format!("session {}", short(session.as_str())),
    );
    let cause = match changed.cause {
        SessionCause::New => "",
        SessionCause::Resumed => ", resumed",
        SessionCause::Moved => ", moved",
        SessionCause::Followed => ", changed by Claude",
        SessionCause::Lost => ", the old one is lost",
    };
    format!("{session}{cause}, in {}", changed.cwd.display())
}

fn settings(settings: &SettingsChanged) -> String {
    let or_default = |value: &Option<String>| value.clone().unwrap_or_else(|| "default".to_owned());
    format!(
        "model {}, mode {}, effort {}",
        or_default(&settings.model),
        or_default(&settings.permission_mode),
        or_default(&settings.effort)
    )
}

fn process_ended(ended: &ProcessEnded) -> String {
    let how = match &ended.exit {
        Exit::Code(code) => format!("Claude ended with code {code}"),
        Exit::Signal(signal) => format!("Claude was ended by signal {signal}"),
        Exit::Unknown => "Claude ended".to_owned(),
        Exit::NotStarted(why) => format!("Claude did not start: {why}"),
    };
    ended.message.as_ref().map_or(how.clone(), |message| format!("{how}: {message}"))
}

fn prompt_outcome(outcome: &PromptOutcome) -> String {
    match outcome {
        PromptOutcome::Completed => "prompt completed".to_owned(),
        PromptOutcome::Cancelled => "prompt cancelled".to_owned(),
        PromptOutcome::Interrupted(how) => format!("prompt interrupted: {how}"),
        PromptOutcome::Failed(why) => format!("prompt failed: {why}"),
    }
}

fn turn_outcome(outcome: &TurnOutcome) -> String {
    match outcome {
        TurnOutcome::Completed => "completed".to_owned(),
        TurnOutcome::Stopped(by) => format!("stopped by {by}"),
        TurnOutcome::Failed(why) => format!("failed ({why})"),
        TurnOutcome::Interrupted(how) => format!("interrupted ({how})"),
    }
}

/// A tool's name and its telling argument.
pub(super) fn tool(started: &ToolStarted) -> String {
    one_line(&format!("{} {}", started.name, started.summary))
}

/// `✓ Bash ls, 1.5 s`
pub(super) fn tool_ended(name: &str, ended: &ToolEnded) -> String {
    let mark = if ended.is_error { '✗' } else { '✓' };
    format!("{mark} {name}, {}", duration(ended.duration))
}

fn todos(changed: &TodosChanged) -> String {
    let done = changed.todos.iter().filter(|todo| todo.status == TodoStatus::Completed).count();
    let current = changed.todos.iter().find(|todo| todo.status == TodoStatus::InProgress);
    let current = current.map(|todo| format!(", now: {}", todo.text)).unwrap_or_default();
    format!("todo list: {done} of {} done{current}", changed.todos.len())
}

fn task(changed: &TaskChanged) -> String {
    let status = match changed.status {
        TaskStatus::Running => "runs",
        TaskStatus::Completed => "is done",
        TaskStatus::Failed => "failed",
        TaskStatus::Stopped => "was stopped",
    };
    format!("task {status}: {}", changed.description)
}

pub(super) fn settled(settled: &RequestSettled) -> String {
    let how = match &settled.settlement {
        Settlement::Allowed => "allowed".to_owned(),
        Settlement::AllowedAlways(_) => "allowed from now on".to_owned(),
        Settlement::Denied(reason) => format!("denied{}", in_brackets(Some(reason))),
        Settlement::Answered(answers) => {
            let answers: Vec<_> =
                answers.iter().map(|(question, answer)| format!("{question} {answer}")).collect();
            format!("answered: {}", answers.join("; "))
        }
        Settlement::Cancelled => "cancelled".to_owned(),
        Settlement::Withdrawn(why) => return format!("no longer asked: {why}"),
    };
    format!("{how}, by {}", settled.by)
}

fn compaction(compacted: &Compacted) -> String {
    match (&compacted.phase, compacted.before, compacted.after) {
        (CompactionPhase::Started, Some(before), _) => format!("compacting the context of {before} tokens"),
        (CompactionPhase::Started, None, _) => "compacting the context".to_owned(),
        (CompactionPhase::Finished, Some(before), Some(after)) => {
            format!("context compacted, from {before} to {after} tokens")
        }
        (CompactionPhase::Finished, ..) => "context compacted".to_owned(),
        (CompactionPhase::Failed(why), ..) => format!("the context could not be compacted: {why}"),
    }
}

fn unrecognised(line: &Unrecognised) -> String {
    let size = count(usize::try_from(line.size).unwrap_or(usize::MAX), "byte");
    format!("a line of Claude's was not understood: {}, {size}", problem(&line.problem))
}

fn problem(problem: &LineProblem) -> String {
    match problem {
        LineProblem::TooLong => "too long".to_owned(),
        LineProblem::NotJson => "no JSON".to_owned(),
        LineProblem::NotAFrame => "no object with a type".to_owned(),
        LineProblem::UnknownType(name) => format!("unknown type {name:?}"),
        LineProblem::BadShape(name) => format!("type {name:?} of another shape"),
        LineProblem::Fragment => "cut off".to_owned(),
        LineProblem::Defect => "Carcin fails on it".to_owned(),
    }
}

fn unrecognised_lines(many: &UnrecognisedLines) -> String {
    let lines = count(usize::try_from(many.lines).unwrap_or(usize::MAX), "line");
    let size = count(usize::try_from(many.size).unwrap_or(usize::MAX), "byte");
    let first = many.kept.first().map(|line| format!("the first: {}, ", problem(&line.problem)));
    format!("{lines} of Claude's were not understood: {}{size}", first.unwrap_or_default())
}

#[cfg(test)]
pub(super) mod tests {
    use carcin_proto::event::*;
    use carcin_proto::{BlockId, IdempotencyKey, Millis, PromptId, RequestId, SessionId, ToolUseId, TurnId};
    use uuid::Uuid;

    use super::super::pending::tests::permission;
    use super::*;

    const TURN: TurnId = TurnId(3);

    fn tool_use() -> ToolUseId {
        ToolUseId::new("toolu_1").unwrap()
    }

    pub(in crate::ctl) fn prompt() -> PromptId {
        PromptId(Uuid::from_bytes([7; 16]))
    }

    pub(in crate::ctl) fn tool_started() -> Event {
        ToolStarted {
            turn: TURN,
            block: BlockId(1),
            tool_use: tool_use(),
            name: "Bash".into(),
            summary: "cargo test -p carcin-proto".into(),
            input: "{}".into(),
            parent: None,
        }
        .into()
    }

    pub(in crate::ctl) fn tool_ended(is_error: bool) -> Event {
        ToolEnded {
            turn: TURN,
            tool_use: tool_use(),
            is_error,
            output: "ok".into(),
            omitted: 0,
            duration: Millis(3_200),
            parent: None,
        }
        .into()
    }

    pub(in crate::ctl) fn text(block: u32, text: &str) -> Event {
        TextBlock { turn: TURN, block: BlockId(block), text: text.into(), parent: None }.into()
    }

    pub(in crate::ctl) fn turn_ended(outcome: TurnOutcome) -> Event {
        TurnEnded { turn: TURN, outcome, duration: Millis(72_000), usage: Usage::default() }.into()
    }

    pub(in crate::ctl) fn prompt_ended(outcome: PromptOutcome) -> Event {
        PromptEnded { prompt: prompt(), outcome }.into()
    }

    pub(in crate::ctl) fn prompt_started() -> Event {
        PromptStarted { prompt: prompt(), turn: TURN }.into()
    }

    pub(in crate::ctl) fn request_opened() -> Event {
        RequestOpened { request: RequestId::new("a1b2c3d4-1111").unwrap(), turn: TURN, ask: permission() }
            .into()
    }

    fn recalled() -> Event {
        let settings = SettingsChanged::default();
        let cwd = "/src".into();
        ConversationRecalled { cwd, session: None, settings, todos: vec![], unrecognised: 0 }.into()
    }

    fn picture() -> ToolPicture {
        ToolPicture {
            turn: TURN,
            tool_use: "t1".parse().expect("an id"),
            path: "/state/pictures/1.png".into(),
            media_type: "image/png".into(),
            size: 70_000,
            parent: None,
        }
    }

    /// One of each kind, more where the words differ.
    pub(in crate::ctl) fn events() -> Vec<Event> {
        let process = |exit, message: Option<&str>| {
            ProcessEnded { exit, message: message.map(Into::into), stderr_tail: String::new() }.into()
        };
        let session = |session: Option<&str>, cause| {
            let session = session.map(|id| SessionId::new(id).unwrap());
            SessionChanged { session, cwd: "/src".into(), cause }.into()
        };
        let settle = |settlement| {
            RequestSettled { request: RequestId::new("a1b2").unwrap(), settlement, by: "ana".into() }.into()
        };
        let todo = |text: &str, status| Todo { id: "1".into(), text: text.into(), status };
        let accepted = PromptAccepted {
            prompt: prompt(),
            key: IdempotencyKey::new("k").unwrap(),
            text: "Fix the build,\nthen \x1b[2Jtest it".into(),
            by: "ana".into(),
            ahead: 0,
        };
        vec![
            ConversationOpened { cwd: "/src".into() }.into(),
            session(None, SessionCause::New),
            session(Some("5e55ab12-0000-4000"), SessionCause::Resumed),
            session(Some("5e55ab12-0000-4000"), SessionCause::Followed),
            session(None, SessionCause::Lost),
            SettingsChanged { model: Some("opus".into()), permission_mode: None, effort: None }.into(),
            ProcessStarted { pid: 4243, adopted: false }.into(),
            ProcessStarted { pid: 4243, adopted: true }.into(),
            process(Exit::Code(1), Some("it says that it is not logged in")),
            process(Exit::Signal(9), None),
            process(Exit::Unknown, None),
            process(Exit::NotStarted("no such file".into()), None),
            accepted.into(),
            prompt_started(),
            prompt_ended(PromptOutcome::Completed),
            prompt_ended(PromptOutcome::Cancelled),
            prompt_ended(PromptOutcome::Interrupted("Claude was killed".into())),
            prompt_ended(PromptOutcome::Failed("the disk is full".into())),
            TurnStarted { turn: TURN, prompt: Some(prompt()) }.into(),
            TurnStarted { turn: TURN, prompt: None }.into(),
            turn_ended(TurnOutcome::Completed),
            turn_ended(TurnOutcome::Stopped("ana".into())),
            turn_ended(TurnOutcome::Failed("overloaded".into())),
            text(2, "All tests pass.\n\n- one\n- two"),
            ThinkingBlock { turn: TURN, block: BlockId(0), text: String::new(), parent: None }.into(),
            tool_started(),
            tool_ended(true),
            TodosChanged {
                todos: vec![todo("test", TodoStatus::Completed), todo("fix", TodoStatus::InProgress)],
            }
            .into(),
            TaskChanged {
                task: "b1".into(),
                tool_use: None,
                description: "cargo build".into(),
                status: TaskStatus::Failed,
            }
            .into(),
            request_opened(),
            settle(Settlement::Allowed),
            settle(Settlement::Denied("too dangerous".into())),
            settle(Settlement::Answered(vec![("Which?".into(), "A".into())])),
            settle(Settlement::Withdrawn("the turn was stopped".into())),
            ApiRetried {
                attempt: 2,
                max_attempts: 10,
                delay: Millis(1_500),
                status: Some(529),
                message: "the API is overloaded".into(),
            }
            .into(),
            Compacted { phase: CompactionPhase::Finished, before: Some(150_000), after: Some(20_000) }.into(),
            Notice { level: Level::Warning, text: "the disk is nearly full".into(), hint: None }.into(),
            Notification { text: "The tests pass".into(), topic: String::new() }.into(),
            FileOffered { path: "/src/a.png".into(), caption: "The chart".into() }.into(),
            picture().into(),
            Unrecognised {
                problem: LineProblem::UnknownType("news".into()),
                size: 17,
                raw: b"{\"type\":\"news\"}\n".to_vec(),
            }
            .into(),
            UnrecognisedLines {
                lines: 300,
                size: 70_000,
                kept: vec![
                    Unrecognised {
                        problem: LineProblem::NotJson,
                        size: 9,
                        raw: b"\x1b[31mred\x9b\xff".to_vec(),
                    },
                    Unrecognised { problem: LineProblem::TooLong, size: 65_000, raw: "é\u{202e}x\\".into() },
                ],
            }
            .into(),
            recalled(),
        ]
    }

    #[test]
    fn every_kind_of_event_has_its_words() {
        let events = events();
        let mut kinds: Vec<u16> = events.iter().map(Event::kind).collect();
        kinds.dedup();
        assert_eq!(kinds.len(), Event::KINDS.len(), "a sample of each kind");
        let lines: Vec<String> = events.iter().map(describe).collect();
        assert!(lines.iter().all(|line| !line.contains(['\n', '\x1b'])));
        insta::assert_snapshot!(lines.join("\n"));
    }
}
