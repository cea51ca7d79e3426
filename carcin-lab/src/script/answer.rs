//! From the steps to one answer of the model.
//!
//! A script spans several API requests: each ends at a tool call and the next begins when the results are back. How far it has come
//! is the number of tools called since the prompt, which the conversation tells; so nothing has to be remembered, and a
//! conversation that was resumed goes on where it was.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Emission, Limit, Script, Step, ToolCall, see, todo, words};

/// What an answer depends on besides the script.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// The session's working directory, for `$CWD`.
    pub cwd: String,
    /// The session's plan file, for `$PLAN_FILE`.
    pub plan_file: String,
    /// The names of the tools that may be called.
    pub tools: Vec<String>,
    /// How many tasks `TaskCreate` had made before this prompt.
    pub tasks_before: usize,
    /// How many tools were called since the prompt.
    pub tools_done: usize,
    /// The content of the results of the last tools called since the prompt.
    pub last_results: Vec<String>,
    /// The pictures that came with the prompt, see [`super::pictures`].
    pub pictures: Vec<String>,
    /// How many streams were cut since the prompt, and Claude was asked to go on.
    pub cuts: usize,
    /// How often this very answer has been an HTTP error already.
    pub errors_so_far: u32,
}

/// The smallest thing that happens in an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Beat {
    /// A content block begins.
    Open(Block),
    /// A piece of the block that is open: text, thinking or a tool's input as JSON.
    Delta(String),
    /// The block that is open ends.
    Close,
    /// Nothing for so long.
    Pause(Duration),
    /// Nothing until the gate of this name is opened.
    Gate(String),
    /// Not an answer but this HTTP error; only ever the first thing that is said.
    Fail {
        /// The HTTP status.
        status: u16,
        /// The error's `type`.
        kind: String,
    },
    /// The connection is cut.
    Cut,
    /// Nothing, ever again.
    Hang,
    /// The token counts to report.
    Usage {
        /// `input_tokens`.
        input: u64,
        /// `output_tokens`; `None` counts what was said.
        output: Option<u64>,
    },
    /// A notice of the plan's limit; the Messages API has nothing like it.
    Limit(Limit),
    /// These bytes are printed as they are; the Messages API has nothing like it.
    Emit(Emission),
}

/// A content block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// Text.
    Text,
    /// Thinking.
    Thinking,
    /// A call of the tool of this name.
    ToolUse(String),
}

impl Script {
    /// What the model says to the request that `context` describes.
    pub fn answer(&self, context: &Context) -> Vec<Beat> {
        let steps = self.expanded(context);
        let Some(rest) =
            after_tools(&steps, context.tools_done).map(|rest| after_cuts(&steps, rest, context.cuts))
        else {
            return said("The script has ended.", 0);
        };
        let mut beats = Vec::new();
        for step in rest {
            match step {
                Step::Error { status, kind, times } => {
                    // An error is only possible before anything was said: HTTP has one status per answer.
                    if beats.iter().all(|beat| matches!(beat, Beat::Pause(_) | Beat::Gate(_)))
                        && times.is_none_or(|times| context.errors_so_far < times)
                    {
                        beats.push(Beat::Fail { status: *status, kind: kind.clone() });
                        return beats;
                    }
                }
                Step::Tools(calls) => {
                    for call in calls {
                        play_call(call, context, &mut beats);
                    }
                    return beats;
                }
                step => play(step, context, &mut beats),
            }
        }
        if !beats.iter().any(|beat| matches!(beat, Beat::Open(_) | Beat::Cut | Beat::Hang)) {
            beats.extend(said("Done.", 0));
        }
        beats
    }

    /// The steps with every `!todo` turned into calls.
    fn expanded(&self, context: &Context) -> Vec<Step> {
        let has_todo_write = context.tools.iter().any(|tool| tool == "TodoWrite");
        let mut known = Vec::new();
        let mut steps = Vec::new();
        for step in &self.steps {
            match step {
                Step::Todo(wanted) => {
                    let batches = todo::calls(wanted, &mut known, context.tasks_before, has_todo_write);
                    steps.extend(batches.into_iter().map(Step::Tools));
                }
                step => steps.push(step.clone()),
            }
        }
        steps
    }
}

/// The steps behind the first `done` tool calls. A batch that was called in part is over too: an interrupt, or a failed
/// stream, may have cut it. `None`: everything was played.
fn after_tools(steps: &[Step], done: usize) -> Option<&[Step]> {
    let mut seen = 0;
    let mut rest = steps;
    while seen < done {
        let at = rest.iter().position(|step| matches!(step, Step::Tools(_)))?;
        if let Step::Tools(calls) = &rest[at] {
            seen += calls.len();
        }
        rest = &rest[at + 1..];
    }
    Some(rest)
}

/// The steps behind the first `cuts` cuts, or `rest` if that is further on.
fn after_cuts<'a>(steps: &'a [Step], rest: &'a [Step], cuts: usize) -> &'a [Step] {
    let mut behind =
        steps.iter().enumerate().filter(|(_, step)| **step == Step::Die).map(|(at, _)| &steps[at + 1..]);
    match cuts.checked_sub(1).and_then(|last| behind.nth(last)) {
        Some(behind) if behind.len() < rest.len() => behind,
        _ => rest,
    }
}

fn play(step: &Step, context: &Context, beats: &mut Vec<Beat>) {
    match step {
        Step::Text(text) => beats.extend(said(&filled_in(text, context), 0)),
        Step::EchoResult => {
            let results = context.last_results.join("\n");
            beats.extend(said(&format!("The result was:\n\n```\n{}\n```", results.trim_end()), 0));
        }
        Step::Stream { words: total, chars, every } => {
            beats.push(Beat::Open(Block::Text));
            for word in words::stream(*total, *chars) {
                beats.push(Beat::Delta(word));
                if !every.is_zero() {
                    beats.push(Beat::Pause(*every));
                }
            }
            beats.push(Beat::Close);
        }
        Step::Think(text) => {
            beats.push(Beat::Open(Block::Thinking));
            beats.extend(words::deltas(text).into_iter().map(Beat::Delta));
            beats.push(Beat::Close);
        }
        Step::Delay(pause) => beats.push(Beat::Pause(*pause)),
        Step::Gate(name) => beats.push(Beat::Gate(name.clone())),
        Step::Die => beats.push(Beat::Cut),
        Step::Hang => beats.push(Beat::Hang),
        Step::Usage { input, output } => beats.push(Beat::Usage { input: *input, output: *output }),
        Step::Limit(limit) => beats.push(Beat::Limit(limit.clone())),
        Step::See => beats.extend(said(&see::said(&context.pictures), 0)),
        Step::Emit(emission) => beats.push(Beat::Emit(emission.clone())),
        Step::Tools(_) | Step::Todo(_) | Step::Error { .. } => {}
    }
}

/// A text block in deltas of a few words, with a pause of `every_ms` after each.
fn said(text: &str, every_ms: u64) -> Vec<Beat> {
    let mut beats = vec![Beat::Open(Block::Text)];
    for delta in words::deltas(text) {
        beats.push(Beat::Delta(delta));
        if every_ms > 0 {
            beats.push(Beat::Pause(Duration::from_millis(every_ms)));
        }
    }
    beats.push(Beat::Close);
    beats
}

fn play_call(call: &ToolCall, context: &Context, beats: &mut Vec<Beat>) {
    let mut input = call.input.clone();
    fill_in(&mut input, context);
    let text = input.to_string();
    beats.push(Beat::Open(Block::ToolUse(call.name.clone())));
    // Two deltas, so that nobody takes the first one for the whole input.
    let middle = (text.len() / 2..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let (head, tail) = text.split_at(middle);
    beats.extend(
        [head, tail].into_iter().filter(|part| !part.is_empty()).map(|part| Beat::Delta(part.to_owned())),
    );
    beats.push(Beat::Close);
}

fn filled_in(text: &str, context: &Context) -> String {
    text.replace("$CWD", &context.cwd).replace("$PLAN_FILE", &context.plan_file)
}

/// Puts what `$CWD` and `$PLAN_FILE` stand for into every string.
fn fill_in(value: &mut Value, context: &Context) {
    match value {
        Value::String(text) if text.contains('$') => {
            *value = json!(filled_in(text, context));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| fill_in(value, context)),
        Value::Object(fields) => fields.values_mut().for_each(|value| fill_in(value, context)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an answer says and calls, in short.
    fn answer(prompt: &str, context: &Context) -> Vec<String> {
        let mut said: Vec<String> = Vec::new();
        for beat in Script::of_prompt(prompt).answer(context) {
            match beat {
                Beat::Open(Block::Text) => said.push(String::new()),
                Beat::Open(block) => said.push(format!("{block:?} ")),
                Beat::Delta(piece) => said.last_mut().expect("a block is open").push_str(&piece),
                Beat::Close => {}
                other => said.push(format!("{other:?}")),
            }
        }
        said
    }

    fn after(tools_done: usize) -> Context {
        Context { tools_done, ..Context::default() }
    }

    const TWO_TOOLS: &str = "!text a\n!tool A\n!text b\n!tools B && C\n!text c";

    #[test]
    fn an_answer_ends_at_its_tools_and_goes_on_behind_them() {
        assert_eq!(answer(TWO_TOOLS, &after(0)), ["a", "ToolUse(\"A\") {}"]);
        assert_eq!(answer(TWO_TOOLS, &after(1)), ["b", "ToolUse(\"B\") {}", "ToolUse(\"C\") {}"]);
        assert_eq!(answer(TWO_TOOLS, &after(2)), ["c"], "half a batch is a batch");
        assert_eq!(answer(TWO_TOOLS, &after(3)), ["c"]);
        assert_eq!(answer(TWO_TOOLS, &after(4)), ["The script has ended."]);
    }

    #[test]
    fn a_tool_as_the_last_step_is_followed_by_a_word() {
        assert_eq!(answer("!tool A", &after(1)), ["Done."]);
    }

    #[test]
    fn an_error_comes_so_many_times() {
        let prompt = "!error 529 overloaded_error 2\n!text fine";
        let nth = |errors_so_far| answer(prompt, &Context { errors_so_far, ..Context::default() });
        assert!(nth(1)[0].starts_with("Fail"), "{:?}", nth(1));
        assert_eq!(nth(2), ["fine"]);
        assert!(
            answer("!error 401", &Context { errors_so_far: 99, ..Context::default() })[0].starts_with("Fail")
        );
    }

    #[test]
    fn a_cut_is_passed_when_claude_is_asked_to_go_on() {
        let nth =
            |cuts| answer("!text a\n!die\n!text b\n!die\n!text c", &Context { cuts, ..Context::default() });
        assert_eq!(nth(0)[..2], ["a", "Cut"]);
        assert_eq!(nth(1)[..2], ["b", "Cut"]);
        assert_eq!(nth(2), ["c"]);
    }

    #[test]
    fn what_is_sent_meanwhile_comes_behind_the_rest() {
        let mut script = Script::of_prompt("!tool A\n!text first");
        script.steer("!text second");
        script.steer("and this");
        let texts: Vec<&Step> = script.steps.iter().skip(1).collect();
        assert_eq!(texts[1], &Step::Text("second".to_owned()));
        assert_eq!(texts[2], &Step::Text("Meanwhile you said: “and this”.".to_owned()));
    }

    #[test]
    fn placeholders_in_a_tools_input_are_filled_in() {
        let context = Context { cwd: "/here".to_owned(), ..Context::default() };
        assert_eq!(answer(r#"!tool A {"a":["$CWD/x"]}"#, &context), [r#"ToolUse("A") {"a":["/here/x"]}"#]);
    }

    #[test]
    fn a_todo_list_becomes_calls_of_the_tool_that_there_is() {
        let prompt = "!todo > one | two\n!todo x one | > two\n!text done";
        let newer =
            |tools_done| answer(prompt, &Context { tools_done, tasks_before: 3, ..Context::default() });
        assert_eq!(newer(0).len(), 2, "two tasks are made at once");
        let update = newer(2).concat();
        assert!(update.starts_with(r#"ToolUse("TaskUpdate")"#), "{update}");
        assert!(
            update.contains(r#""status":"in_progress""#) && update.contains(r#""taskId":"4""#),
            "{update}"
        );
        assert_eq!(newer(3).len(), 2);
        assert_eq!(newer(5), ["done"]);
        let older = Context { tools: vec!["TodoWrite".to_owned()], ..Context::default() };
        assert!(answer(prompt, &older)[0].starts_with(r#"ToolUse("TodoWrite")"#));
        assert_eq!(answer(prompt, &Context { tools_done: 2, ..older }), ["done"]);
    }

    #[test]
    fn every_word_of_a_stream_is_a_delta_and_none_is_lost() {
        let beats = Script::of_prompt("!stream 100").answer(&Context::default());
        let deltas: Vec<&String> = beats
            .iter()
            .filter_map(|beat| if let Beat::Delta(piece) = beat { Some(piece) } else { None })
            .collect();
        assert_eq!(deltas.len(), 100);
        let text = deltas.into_iter().cloned().collect::<String>();
        assert!((1..=10).all(|ten| text.contains(&format!("[{}]", ten * 10))), "{text}");
    }

    #[test]
    fn a_wrong_script_is_answered_with_what_is_wrong() {
        assert!(answer("!tex a", &Context::default())[0].contains("there is no step `!tex`"));
    }
}
