//! Recordings of the real CLI.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use carcin_proto::Millis;
use carcind::claude::{Asked, Block, BlockKind, Output, Parsed, parse};
use proptest::prelude::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../carcin-lab/corpus/claude")
}

/// Every recording of the CLI's stdout, by name.
pub(crate) fn recordings() -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder()).expect("the recordings are in the tree");
    let paths = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "ndjson"));
    let named = paths.map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), path));
    // What was written to the CLI is beside it.
    let printed = named.filter(|(_, path)| Path::new(path.file_stem().unwrap()).extension().is_none());
    let mut recordings: Vec<_> = printed.map(|(name, path)| (name, fs::read(path).unwrap())).collect();
    recordings.sort();
    assert!(recordings.len() > 40, "there are {} recordings", recordings.len());
    recordings
}

pub(crate) fn lines(recording: &[u8]) -> impl Iterator<Item = &[u8]> {
    recording.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

#[test]
fn every_line_of_the_real_cli_is_understood() {
    for (name, recording) in recordings() {
        for line in lines(&recording) {
            if let Parsed::Problem(problem) = parse(line) {
                panic!("{name}: {problem:?}: {}", String::from_utf8_lossy(line));
            }
        }
    }
}

#[test]
fn every_frame_tells_its_session_but_those_of_the_control_protocol() {
    for (name, recording) in recordings() {
        for line in lines(&recording) {
            let Parsed::Outputs { session, outputs } = parse(line) else { continue };
            let control = outputs.iter().any(|output| {
                matches!(output, Output::Ask(_) | Output::AskCancelled { .. } | Output::ControlResponse(_))
            });
            assert_eq!(session.is_some(), !control, "{name}: {}", String::from_utf8_lossy(line));
        }
    }
}

#[test]
fn the_text_of_the_deltas_is_that_of_the_finished_blocks() {
    for (name, recording) in recordings() {
        let mut written: HashMap<_, String> = HashMap::new();
        for output in lines(&recording).flat_map(outputs) {
            match output {
                Output::BlockStarted { parent, index, .. } => {
                    written.remove(&(parent, index));
                }
                Output::TextDelta { parent, index, text } => {
                    written.entry((parent, index)).or_default().push_str(&text);
                }
                Output::Assistant(assistant) if !assistant.synthetic && !written.is_empty() => {
                    for block in &assistant.blocks {
                        let Block::Text(text) = block else { continue };
                        let of_parent = written.iter().filter(|((parent, _), _)| *parent == assistant.parent);
                        let known = of_parent.map(|(_, text)| text).any(|written| written == text);
                        assert!(
                            known || assistant.parent.is_some(),
                            "{name}: {text:?} is not in {written:?}"
                        );
                    }
                }
                _ => {}
            }
        }
    }
}

fn outputs(line: &[u8]) -> Vec<Output> {
    match parse(line) {
        Parsed::Outputs { outputs, .. } => outputs,
        Parsed::Problem(problem) => panic!("{problem:?}: {}", String::from_utf8_lossy(line)),
    }
}

/// The recordings whose meaning is kept in a snapshot.
const SNAPSHOTS: &[&str] = &[
    "ask-user-question",
    "background-bash",
    "clear",
    "compact",
    "content-blocks",
    "control",
    "cut-stream",
    "error-400",
    "error-401",
    "exit-plan-mode",
    "initialize-pending",
    "interrupt-permission",
    "interrupt-stream",
    "interrupt-tool",
    "permission-always",
    "permissions-parallel",
    "plain",
    "resume-unknown",
    "slash-context",
    "steering",
    "subagent",
    "subagent-background",
    "task-tools",
    "tool-error",
];

#[test]
fn the_meaning_of_the_recordings() {
    let recordings: HashMap<_, _> = recordings().into_iter().collect();
    for name in SNAPSHOTS {
        let recording = recordings.get(*name).unwrap_or_else(|| panic!("there is no recording {name}"));
        insta::assert_snapshot!(*name, told(recording));
    }
}

/// The outputs one a line, without what differs from one recording to the next.
fn told(recording: &[u8]) -> String {
    let mut names = Names::default();
    let mut told: Vec<String> = Vec::new();
    let mut session = None;
    for line in lines(recording) {
        let Parsed::Outputs { session: told_session, outputs } = parse(line) else { panic!("a problem") };
        if told_session.is_some() && told_session != session {
            session = told_session;
            told.push(format!("-- session {session:?}"));
        }
        told.extend(outputs.iter().map(shown));
    }
    // How the text is cut into deltas is a matter of timing.
    told.dedup_by(|next, last| {
        let Some((head, text)) = next.strip_prefix("delta ").and_then(|delta| delta.split_once('|')) else {
            return false;
        };
        let joins = last.strip_prefix("delta ").is_some_and(|delta| delta.starts_with(&format!("{head}|")));
        if joins {
            last.push_str(text);
        }
        joins
    });
    names.replace(&told.join("\n"))
}

fn shown(output: &Output) -> String {
    let of = |parent: &Option<_>| parent.as_ref().map_or(String::new(), |parent| format!(" of {parent}"));
    match output {
        Output::Init(init) => format!(
            "init {:?} {:?} {:?} {:?}, compact is offered: {}, doctor is: {}",
            init.model,
            init.permission_mode,
            init.cwd,
            init.claude_version,
            init.slash_commands.contains(&"compact".to_owned()),
            init.slash_commands.contains(&"doctor".to_owned()),
        ),
        Output::TextDelta { parent, index, text } => {
            format!("delta {index}{}|{}", of(parent), text.escape_debug())
        }
        Output::BlockStarted { parent, index, kind: BlockKind::ToolUse { id, name } } => {
            format!("block {index}{} is {name} {id}", of(parent))
        }
        Output::Assistant(assistant) => {
            let mut shown = assistant.clone();
            shown.context_tokens = u64::from(assistant.context_tokens > 0);
            format!("{shown:?}")
        }
        Output::Result(result) => {
            let mut shown = result.clone();
            shown.duration = Millis::default();
            let tokens = [
                &mut shown.usage.input_tokens,
                &mut shown.usage.output_tokens,
                &mut shown.usage.cost_micro_usd,
            ];
            for tokens in tokens {
                *tokens = u64::from(*tokens > 0);
            }
            format!("{shown:?}")
        }
        Output::ApiRetry(retry) => {
            let mut shown = retry.clone();
            shown.delay = Millis::default();
            format!("{shown:?}")
        }
        Output::Compaction(compacted) => format!(
            "compaction {:?}, before told: {}, after told: {}",
            compacted.phase,
            compacted.before.is_some(),
            compacted.after.is_some()
        ),
        Output::ControlResponse(response) => {
            let result = match &response.result {
                Ok(raw) => Ok(raw.chars().take(40).collect::<String>()),
                Err(why) => Err(why),
            };
            let pending = response.pending.as_ref().map(|asked| asked.iter().map(ask).collect::<Vec<_>>());
            format!("response to {}: {result:?}, pending {pending:?}", response.request_id)
        }
        Output::Ask(asked) => ask(asked),
        Output::ToolResult(result) => {
            let mut shown = result.clone();
            shown.structured = shown.structured.chars().take(60).collect();
            format!("{shown:?}")
        }
        output => format!("{output:?}"),
    }
}

fn ask(Asked { request, ask, tool_input }: &Asked) -> String {
    format!("ask {request}: {ask:?}, {tool_input:?}")
}

/// Numbers the ids in the order in which they come.
#[derive(Default)]
struct Names(HashMap<String, usize>);

impl Names {
    fn replace(&mut self, text: &str) -> String {
        let mut replaced = String::new();
        let is_part = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == '-';
        let mut rest = text;
        while let Some(start) = rest.find(is_part) {
            let (before, word) = rest.split_at(start);
            let end = word.find(|char| !is_part(char)).unwrap_or(word.len());
            let (word, after) = word.split_at(end);
            replaced.push_str(before);
            if is_id(word) {
                let next = self.0.len() + 1;
                let number = *self.0.entry(word.to_owned()).or_insert(next);
                replaced.extend(["<", &number.to_string(), ">"]);
            } else {
                replaced.push_str(word);
            }
            rest = after;
        }
        replaced + rest
    }
}

fn is_id(word: &str) -> bool {
    let is_uuid = word.len() == 36 && word.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    let is_task =
        word.len() >= 9 && word.starts_with(['a', 'b']) && word.chars().any(|char| char.is_ascii_digit());
    is_uuid || word.starts_with("toolu_") || word.starts_with("msg_") || is_task
}

/// A change of a line.
#[derive(Debug, Clone)]
enum Mutation {
    Byte(prop::sample::Index, u8),
    Remove(prop::sample::Index, usize),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
    /// A value becomes this one.
    Value(prop::sample::Index, &'static str),
}

const VALUES: &[&str] = &[
    "null",
    "-1",
    "1e999",
    "18446744073709551616",
    "\"\"",
    "[]",
    "{}",
    "true",
    r#""\ud800""#,
    "[[]]",
    "0.5",
];

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        1 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Byte(at, byte)),
        1 => (any::<prop::sample::Index>(), 1..40_usize).prop_map(|(at, length)| Mutation::Remove(at, length)),
        1 => any::<prop::sample::Index>().prop_map(Mutation::Cut),
        1 => (any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 1..8))
            .prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        4 => (any::<prop::sample::Index>(), prop::sample::select(VALUES))
            .prop_map(|(at, value)| Mutation::Value(at, value)),
    ]
}

fn mutate(line: &mut Vec<u8>, mutation: Mutation) {
    if line.is_empty() {
        return;
    }
    match mutation {
        Mutation::Byte(at, byte) => *at.get_mut(line) = byte,
        Mutation::Remove(at, length) => {
            let at = at.index(line.len());
            line.drain(at..(at + length).min(line.len()));
        }
        Mutation::Cut(at) => line.truncate(at.index(line.len())),
        Mutation::Insert(at, bytes) => {
            let at = at.index(line.len());
            line.splice(at..at, bytes);
        }
        Mutation::Value(at, value) => {
            let text = String::from_utf8_lossy(line);
            let colons: Vec<_> = text.match_indices("\":").map(|(at, _)| at + 2).collect();
            if colons.is_empty() {
                return;
            }
            let start = *at.get(&colons);
            let end = end_of_value(text.as_bytes(), start);
            *line = [&text.as_bytes()[..start], value.as_bytes(), &text.as_bytes()[end..]].concat();
        }
    }
}

/// Where the JSON value that begins at `start` ends.
fn end_of_value(text: &[u8], start: usize) -> usize {
    let mut values =
        serde_json::Deserializer::from_slice(&text[start..]).into_iter::<serde::de::IgnoredAny>();
    match values.next() {
        Some(Ok(_)) => start + values.byte_offset(),
        _ => start,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_line_never_panics(
        which in any::<prop::sample::Index>(),
        mutations in prop::collection::vec(mutation(), 1..6),
    ) {
        // The lines are shared by all cases.
        static LINES: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
        let all = LINES.get_or_init(|| {
            recordings().iter().flat_map(|(_, recording)| lines(recording)).map(<[u8]>::to_vec).collect()
        });
        let mut line = which.get(all).clone();
        for mutation in mutations {
            mutate(&mut line, mutation);
        }
        parse(&line);
        carcind::claude::cut_ask(&line, &line);
    }

    #[test]
    fn arbitrary_bytes_never_panic(line in prop::collection::vec(any::<u8>(), 0..400)) {
        parse(&line);
        carcind::claude::cut_ask(&line, &line);
    }
}
