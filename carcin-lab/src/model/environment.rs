//! The environment in which the real `claude` runs against the stand-in.

use std::path::Path;

/// The whole environment for the real CLI: give it this and nothing else, so that no login of the machine's user, no
/// proxy and no telemetry gets in. `home` should be empty at first; transcripts and plans land in it.
///
/// `IS_SANDBOX` lets it run as root with permissions bypassed; the todo tools are the current ones (`TaskCreate` and
/// `TaskUpdate`), add `CLAUDE_CODE_ENABLE_TASKS=0` for `TodoWrite`.
pub fn claude_env(base_url: &str, home: &Path) -> Vec<(String, String)> {
    let home = home.to_string_lossy();
    [
        ("HOME", home.as_ref()),
        // Else it is a folder in /tmp, whatever TMPDIR says.
        ("CLAUDE_CODE_TMPDIR", home.as_ref()),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("TERM", "dumb"),
        ("LANG", "C.UTF-8"),
        ("IS_SANDBOX", "1"),
        ("ANTHROPIC_BASE_URL", base_url),
        ("ANTHROPIC_API_KEY", "sk-ant-dummy"),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
        ("DISABLE_AUTOUPDATER", "1"),
        ("DISABLE_TELEMETRY", "1"),
        ("CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS", "1"),
        ("CLAUDE_CODE_ENABLE_TODO_TOOLS", "1"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}
