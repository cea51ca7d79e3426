//! From the text of a prompt to steps.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Step, ToolCall, ask, emit, limit, todo};

/// The most words that one `!stream` may ask for: bounds the memory of an answer.
const MAX_WORDS: usize = 200_000;
/// The longest pause that a script may ask for; longer is what `!hang` is for.
const MAX_PAUSE: Duration = Duration::from_hours(1);

/// A line of a script that cannot be played.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    line: usize,
    text: String,
    why: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "The script is wrong in line {}: {}\n\n    {}", self.line, self.why, self.text)
    }
}

/// The steps in a prompt; `None` when it has none, which makes it ordinary text.
pub(super) fn steps(prompt: &str) -> Result<Option<Vec<Step>>, Wrong> {
    let mut steps = Vec::new();
    for (index, line) in prompt.lines().enumerate() {
        if let Some(step) = line.strip_prefix('!') {
            let parsed = parse_step(step.trim_end());
            steps.extend(parsed.map_err(|why| Wrong { line: index + 1, text: line.to_owned(), why })?);
        } else if let Some(Step::Text(text) | Step::Think(text)) = steps.last_mut() {
            text.push('\n');
            text.push_str(line);
        }
    }
    for step in &mut steps {
        if let Step::Text(text) | Step::Think(text) = step {
            text.truncate(text.trim_end().len());
        }
    }
    Ok((!steps.is_empty()).then_some(steps))
}

fn parse_step(line: &str) -> Result<Vec<Step>, String> {
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let step = match name {
        "text" => Step::Text(rest.to_owned()),
        "think" => Step::Think(rest.to_owned()),
        "stream" => stream(rest)?,
        "tool" | "tools" => Step::Tools(tools(rest)?),
        "ask" => Step::Tools(vec![ask::questions(rest)]),
        "form" => Step::Tools(vec![ask::form(rest)?]),
        "link" => Step::Tools(vec![ask::link(rest)?]),
        "plan" => return Ok(plan(rest)),
        "todo" => Step::Todo(todo::parse(rest)),
        "delay" => Step::Delay(pause(rest)?),
        "gate" => Step::Gate(one_word(rest, "the gate's name")?),
        "error" => error(rest)?,
        "die" => Step::Die,
        "hang" => Step::Hang,
        "usage" => usage(rest)?,
        "limit" => Step::Limit(limit::parse(rest)?),
        "see" => Step::See,
        "echo-result" => Step::EchoResult,
        "emit" => Step::Emit(emit::parse(rest)?),
        other => {
            return Err(format!(
                "there is no step `!{other}`\nhint: text, stream, think, tool, tools, ask, form, link, plan, todo, delay, \
                 gate, error, die, hang, usage, limit, see, echo-result, emit"
            ));
        }
    };
    Ok(vec![step])
}

/// `200 words 20ms` or `2000 chars 20ms`, of which `words` and the pause may be left out.
fn stream(rest: &str) -> Result<Step, String> {
    let mut parts = rest.split_whitespace().peekable();
    let count = number(parts.next(), "how many words")?;
    if count == 0 || count > MAX_WORDS {
        return Err(format!("`!stream` says between 1 and {MAX_WORDS} words, not {count}"));
    }
    let chars = parts.next_if(|part| *part == "chars").map(|_| count);
    let every = match parts.find(|part| *part != "words") {
        Some(part) => pause(part)?,
        None => Duration::ZERO,
    };
    Ok(Step::Stream { words: count, chars, every })
}

/// `Name {json} && Name {json}`; the input may be left out.
fn tools(mut rest: &str) -> Result<Vec<ToolCall>, String> {
    let mut calls = Vec::new();
    loop {
        let end = rest.find(|c: char| c.is_whitespace() || c == '{').unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        if name.is_empty() || name == "&&" {
            return Err("a tool's name is missing".to_owned());
        }
        let after = after.trim_start();
        let (input, after) = if after.starts_with('{') { object(after)? } else { (json!({}), after) };
        calls.push(ToolCall { name: name.to_owned(), input });
        let after = after.trim_start();
        if after.is_empty() {
            return Ok(calls);
        }
        rest = after
            .strip_prefix("&&")
            .ok_or_else(|| format!("after the input of {name} comes `&&` or nothing, not `{after}`"))?
            .trim_start();
    }
}

/// The JSON object at the start of `text`, and what follows it.
pub(super) fn object(text: &str) -> Result<(Value, &str), String> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    match values.next() {
        Some(Ok(value)) => Ok((value, &text[values.byte_offset()..])),
        Some(Err(error)) => Err(format!("the tool's input is not JSON: {error}")),
        None => Err("the tool's input is missing".to_owned()),
    }
}

/// The plan goes into the plan file, then it is shown for approval.
fn plan(rest: &str) -> Vec<Step> {
    let plan = if rest.is_empty() { "1. Look around\n2. Make the change\n3. Check it" } else { rest };
    let write = ToolCall {
        name: "Write".to_owned(),
        input: json!({"file_path": "$PLAN_FILE", "content": format!("# Plan\n\n{plan}\n")}),
    };
    let exit = ToolCall { name: "ExitPlanMode".to_owned(), input: json!({}) };
    vec![Step::Tools(vec![write]), Step::Tools(vec![exit])]
}

/// `529 overloaded_error 3`; the type and the count may be left out.
fn error(rest: &str) -> Result<Step, String> {
    let mut parts = rest.split_whitespace();
    let status = number(parts.next(), "the HTTP status")?;
    let status = u16::try_from(status)
        .ok()
        .filter(|status| (400..600).contains(status))
        .ok_or_else(|| format!("an HTTP error is 400 to 599, not {status}"))?;
    let mut kind = default_kind(status).to_owned();
    let mut times = None;
    for part in parts {
        match part.parse() {
            Ok(count) => times = Some(count),
            Err(_) => part.clone_into(&mut kind),
        }
    }
    Ok(Step::Error { status, kind, times })
}

/// The error type that the API sends with a status.
pub(crate) fn default_kind(status: u16) -> &'static str {
    match status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        _ => "api_error",
    }
}

/// `in=1000 out=20`.
fn usage(rest: &str) -> Result<Step, String> {
    let (mut input, mut output) = (None, None);
    for part in rest.split_whitespace() {
        let (key, value) =
            part.split_once('=').ok_or_else(|| format!("`{part}` is not `in=N` or `out=N`"))?;
        let value = value.parse::<u64>().map_err(|_| format!("`{value}` is not a number of tokens"))?;
        match key {
            "in" => input = Some(value),
            "out" => output = Some(value),
            _ => return Err(format!("`{key}` is neither `in` nor `out`")),
        }
    }
    let input = input.ok_or("`!usage` needs in=N")?;
    Ok(Step::Usage { input, output })
}

/// `500ms`, `2s`.
fn pause(text: &str) -> Result<Duration, String> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let wrong = || format!("`{text}` is not a pause; write 500ms or 2s");
    let count: u64 = digits.parse().map_err(|_| wrong())?;
    let pause = match unit {
        "ms" => Duration::from_millis(count),
        "s" => Duration::from_secs(count),
        _ => return Err(wrong()),
    };
    if pause > MAX_PAUSE { Err(format!("`{text}` is longer than an hour")) } else { Ok(pause) }
}

fn number(part: Option<&str>, what: &str) -> Result<usize, String> {
    let part = part.ok_or_else(|| format!("{what} is missing"))?;
    part.parse().map_err(|_| format!("`{part}` is not a number; {what} belongs here"))
}

fn one_word(rest: &str, what: &str) -> Result<String, String> {
    match rest.split_whitespace().collect::<Vec<_>>()[..] {
        [word] => Ok(word.to_owned()),
        _ => Err(format!("{what} is one word, not `{rest}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{TodoItem, TodoStatus};

    fn parsed(prompt: &str) -> Vec<Step> {
        steps(prompt).expect("the script is right").expect("it has steps")
    }

    fn wrong(prompt: &str) -> String {
        steps(prompt).expect_err("the script is wrong").to_string()
    }

    #[test]
    fn ordinary_text_has_no_steps() {
        assert_eq!(steps("Good morning!\nHow are you?"), Ok(None));
        assert_eq!(steps(""), Ok(None));
    }

    #[test]
    fn prose_above_is_a_comment_and_below_a_text_goes_on_with_it() {
        let script = parsed(
            "Please say this\n!text # Title\n\n- one\n- two\n!think hm\nand hm\n!delay 5ms\nnot said\n",
        );
        let expected = [
            Step::Text("# Title\n\n- one\n- two".to_owned()),
            Step::Think("hm\nand hm".to_owned()),
            Step::Delay(Duration::from_millis(5)),
        ];
        assert_eq!(script, expected);
    }

    #[test]
    fn tools_take_json_that_holds_anything() {
        let script =
            parsed(r#"!tools Bash {"command":"a && b; echo '}'"} && Read {"file_path":"x"} && List"#);
        let call = |name: &str, input: Value| ToolCall { name: name.to_owned(), input };
        let expected = vec![
            call("Bash", json!({"command": "a && b; echo '}'"})),
            call("Read", json!({"file_path": "x"})),
            call("List", json!({})),
        ];
        assert_eq!(script, [Step::Tools(expected)]);
    }

    #[test]
    fn small_steps_take_their_arguments() {
        let script = parsed(
            "!stream 200 words 20ms\n!stream 3\n!gate go\n!error 529 overloaded_error 2\n!error 401\n!usage in=5 out=6\n!usage in=7",
        );
        let error = |status, kind: &str, times| Step::Error { status, kind: kind.to_owned(), times };
        let expected = [
            Step::Stream { words: 200, chars: None, every: Duration::from_millis(20) },
            Step::Stream { words: 3, chars: None, every: Duration::ZERO },
            Step::Gate("go".to_owned()),
            error(529, "overloaded_error", Some(2)),
            error(401, "authentication_error", None),
            Step::Usage { input: 5, output: Some(6) },
            Step::Usage { input: 7, output: None },
        ];
        assert_eq!(script, expected);
    }

    #[test]
    fn a_question_lists_its_choices() {
        let Step::Tools(calls) = &parsed("!ask Which colour? | Red | Blue && +Which days? | Mon | Tue")[0]
        else {
            panic!()
        };
        assert_eq!(calls[0].name, "AskUserQuestion");
        let questions = &calls[0].input["questions"];
        assert_eq!(questions[0]["question"], "Which colour?");
        assert_eq!(questions[0]["options"][1]["label"], "Blue");
        assert_eq!(questions[0]["multiSelect"], false);
        assert_eq!(questions[1]["multiSelect"], true);
    }

    #[test]
    fn a_todo_list_tells_how_far_each_item_is() {
        let item = |content: &str, status| TodoItem { content: content.to_owned(), status };
        let expected = vec![
            item("read", TodoStatus::Completed),
            item("write", TodoStatus::InProgress),
            item("x-ray the rest", TodoStatus::Pending),
        ];
        assert_eq!(parsed("!todo x read | > write | x-ray the rest"), [Step::Todo(expected)]);
    }

    #[test]
    fn a_plan_is_written_and_then_shown() {
        let names: Vec<String> = parsed("!plan Do it")
            .iter()
            .map(|step| match step {
                Step::Tools(calls) => calls[0].name.clone(),
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(names, ["Write", "ExitPlanMode"]);
    }

    #[test]
    fn a_wrong_line_says_what_is_wrong_with_it() {
        assert!(wrong("!text a\n!tex b").contains("line 2: there is no step `!tex`"));
        assert!(wrong("!tool Bash {\"command\":").contains("not JSON"));
        assert!(wrong("!tool Bash {} Read {}").contains("`&&` or nothing"));
        assert!(wrong("!tool").contains("name is missing"));
        assert!(wrong("!stream many").contains("not a number"));
        assert!(wrong("!stream 0").contains("between 1 and"));
        assert!(wrong("!delay 5").contains("500ms or 2s"));
        assert!(wrong("!delay 99999s").contains("longer than an hour"));
        assert!(wrong("!gate").contains("one word"));
        assert!(wrong("!error 200").contains("400 to 599"));
        assert!(wrong("!usage out=1").contains("in=N"));
    }
}
