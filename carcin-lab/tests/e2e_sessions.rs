//! Sessions that were made in a terminal: found, read, gone on with, and left alone while they are open there.

#[macro_use]
mod e2e_support;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use carcin_lab::model::claude_env;
use carcin_lab::rig::{Claude, PATIENCE, Rig, Talk};
use carcin_proto::event::PromptOutcome;
use carcin_proto::request::{ListSessions, ListedSession, Recent, RecentOf, Resume, SessionSummary};
use carcin_proto::{ClientError, Event, Refusal, RefusalCode, Reply, Request};
use e2e_support::{bash, eventually, eventually_asking, lives, run};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

with_either_claude! {
    a_session_made_elsewhere_is_listed_read_and_resumed,
    a_session_open_elsewhere_is_told_and_left_alone,
    a_session_taken_over_at_the_desk_is_not_forked,
    our_own_claudes_are_not_elsewhere,
    a_session_whose_folder_is_gone_is_not_resumed,
}

/// `claude`, as a person at this machine would start it.
fn claude(rig: &Rig, program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs(claude_env(&rig.model.base_url(), &rig.places.home()));
    command.current_dir(folder).stderr(Stdio::null()).kill_on_drop(true);
    command
}

/// A session with this prompt, made in `folder` without the daemon.
async fn made_elsewhere(rig: &Rig, folder: &Path, id: &str, prompt: &str) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut child = claude(rig, rig.claude(), folder)
        .args(["-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"])
        .args(["--session-id", id])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    let line = json!({
        "type": "user", "message": { "role": "user", "content": prompt }, "parent_tool_use_id": null,
        "session_id": "", "uuid": uuid::Uuid::new_v4(),
    });
    let mut stdin = child.stdin.take().context("a pipe")?;
    stdin.write_all(format!("{line}\n").as_bytes()).await?;
    drop(stdin);
    let status = tokio::time::timeout(PATIENCE, child.wait()).await??;
    anyhow::ensure!(status.success(), "claude ended with {status}");
    Ok(())
}

/// A terminal in which a session is open.
struct Terminal {
    child: Child,
    pid: u32,
}

impl Terminal {
    /// Opens a session: the real Claude Code as in a terminal, with its interface; else a process that looks like it.
    async fn open(rig: &Rig, kind: &Claude, folder: &Path, session: &str) -> anyhow::Result<Self> {
        let sessions = rig.places.home().join(".claude/sessions");
        let child = if *kind == Claude::Real {
            is_no_newcomer(&rig.places.home(), folder)?;
            let program = format!("exec '{}' --resume {session}", rig.claude().display());
            let mut script = claude(rig, Path::new("script"), folder);
            script
                .args(["--quiet", "--flush", "--command", &program, "/dev/null"])
                .env("TERM", "xterm-256color");
            // It ends with its input.
            script.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?
        } else {
            let child = claude(rig, Path::new("sleep"), folder).arg("600").spawn()?;
            let pid = child.id().context("it runs")?;
            std::fs::create_dir_all(&sessions)?;
            let file = json!({
                "pid": pid, "sessionId": session, "cwd": folder, "startedAt": 1_795_359_918_103_u64,
                "procStart": started(pid)?, "version": "2.1.330", "kind": "interactive", "entrypoint": "cli",
                "status": "idle",
            });
            std::fs::write(sessions.join(format!("{pid}.json")), file.to_string())?;
            child
        };
        let opened = || {
            let files = std::fs::read_dir(&sessions).ok()?.flatten();
            let told =
                files.filter_map(|file| serde_json::from_slice(&std::fs::read(file.path()).ok()?).ok());
            let here =
                told.filter(|told: &Value| told["sessionId"] == session && told["entrypoint"] == "cli");
            // Beside those that were killed.
            here.filter_map(|told| u32::try_from(told["pid"].as_u64()?).ok()).find(|pid| lives(*pid))
        };
        let pid = eventually("the session to be open in the terminal", opened).await?;
        Ok(Self { child, pid })
    }

    /// Kills it: what it told of itself stays behind.
    async fn kill(mut self) -> anyhow::Result<()> {
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(self.pid.cast_signed()),
            nix::sys::signal::Signal::SIGKILL,
        )?;
        tokio::time::timeout(PATIENCE, self.child.wait()).await??;
        eventually("the process to be gone", || (!lives(self.pid)).then_some(())).await
    }
}

/// Since when a process runs, as the kernel counts.
fn started(pid: u32) -> anyhow::Result<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(") ").context("the kernel's format")?;
    Ok(fields.split(' ').nth(19).context("the kernel's format")?.to_owned())
}

/// Claude Code asks a newcomer about colours, keys and trust; here it is told the answers.
fn is_no_newcomer(home: &Path, folder: &Path) -> anyhow::Result<()> {
    let path = home.join(".claude.json");
    let mut known: Value = match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)?,
        Err(_) => json!({}),
    };
    known["hasCompletedOnboarding"] = json!(true);
    known["theme"] = json!("dark");
    known["customApiKeyResponses"] = json!({ "approved": ["sk-ant-dummy"], "rejected": [] });
    known["projects"] = json!({ folder.display().to_string(): { "hasTrustDialogAccepted": true } });
    Ok(std::fs::write(path, known.to_string())?)
}

async fn list(rig: &Rig, cwd: Option<PathBuf>, search: Option<&str>) -> anyhow::Result<Vec<ListedSession>> {
    let request = ListSessions { offset: 0, limit: 100, cwd, search: search.map(str::to_owned) };
    match rig.request(&Request::ListSessions(request)).await? {
        Reply::SessionList(list) if list.total as usize == list.sessions.len() => Ok(list.sessions),
        other => anyhow::bail!("a list was answered {other:?}"),
    }
}

/// The pids that have the session open elsewhere.
async fn open(rig: &Rig, session: &str) -> anyhow::Result<Vec<u32>> {
    let listed = list(rig, None, Some(session)).await?.pop().context("it is listed")?;
    Ok(listed.open.iter().map(|open| open.pid).collect())
}

async fn resume(rig: &Rig, talk: &Talk, session: &str, force: bool) -> Result<SessionSummary, Refusal> {
    let request = Resume { conversation: talk.key().clone(), session: session.to_owned(), force };
    match rig.request(&Request::Resume(request)).await {
        Ok(Reply::Resumed(summary)) => Ok(summary),
        Err(ClientError::Refused(refusal)) => Err(refusal),
        other => panic!("a resume was answered {other:?}"),
    }
}

/// What `carcin-ctl` says, and whether it went well.
async fn ctl(rig: &Rig, arguments: &[&str]) -> anyhow::Result<(bool, String)> {
    let mut command = Command::new(rig.programs().join("carcin-ctl"));
    command.args(arguments).env_clear().env("CARCIN_SOCKET", rig.places.socket()).stdin(Stdio::null());
    let output = tokio::time::timeout(PATIENCE, command.output()).await??;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

/// Of the real Claude it can be told what it remembers: the model is given it.
fn remembers(rig: &Rig, kind: &Claude, what: &str) -> anyhow::Result<()> {
    if *kind == Claude::Real {
        let request = rig.model.requests().pop().context("the model was not asked")?;
        anyhow::ensure!(request.body["messages"].to_string().contains(what), "{}", request.body["messages"]);
    }
    Ok(())
}

/// What Claude said last in the conversation's session.
async fn last_said(rig: &Rig, talk: &Talk) -> anyhow::Result<Vec<String>> {
    let recent = Request::Recent(Recent { conversation: talk.key().clone(), limit: 5 });
    let Reply::Recent(texts) = rig.request(&recent).await? else { anyhow::bail!("no texts") };
    Ok(texts.into_iter().map(|recent| recent.text).collect())
}

const FIRST: &str = "aaaaaaaa-1111-4111-8111-111111111111";
const SECOND: &str = "aaaaaaaa-2222-4222-8222-222222222222";

async fn a_session_made_elsewhere_is_listed_read_and_resumed(kind: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(kind.clone()).permission_mode("bypassPermissions").start().await?;
    let dir = rig.places.dir().canonicalize()?;
    made_elsewhere(&rig, &dir.join("one"), FIRST, "!text The lantern is blue").await?;
    made_elsewhere(&rig, &dir.join("two/sub"), SECOND, "!text Something else").await?;
    let listed = list(&rig, None, None).await?;
    let ids: Vec<_> = listed.iter().map(|listed| listed.summary.session.as_str()).collect();
    assert_eq!(ids, [SECOND, FIRST]);
    assert_eq!(listed[1].first_prompt.as_deref(), Some("!text The lantern is blue"));
    assert_eq!(listed[1].summary.cwd.as_deref(), Some(&*dir.join("one")));
    assert!(listed.iter().all(|listed| listed.open.is_empty() && listed.summary.conversation.is_none()));
    assert_eq!(list(&rig, Some(dir.join("two")), None).await?.len(), 1);
    assert_eq!(list(&rig, None, Some("LANTERN")).await?.len(), 1);
    let (fine, said) = ctl(&rig, &["sessions", "--search", "lantern"]).await?;
    assert!(fine && said.contains("!text The lantern is blue") && said.contains("1 to 1 of 1"), "{said}");
    let recent = RecentOf { session: FIRST[..12].to_owned(), limit: 3 };
    let Reply::Recent(texts) = rig.request(&Request::RecentOf(recent)).await? else { panic!("no texts") };
    assert_eq!(texts.iter().map(|text| text.text.as_str()).collect::<Vec<_>>(), ["The lantern is blue"]);

    let talk = rig.talk("tg:1");
    let ambiguous = resume(&rig, &talk, "aaaaaaaa", false).await.expect_err("there are two");
    assert_eq!(ambiguous.code, RefusalCode::AmbiguousSession);
    for id in [FIRST, SECOND] {
        assert!(ambiguous.message.contains(id), "{ambiguous}");
    }
    let unknown = resume(&rig, &talk, "lantern", false).await.expect_err("it is no id");
    assert_eq!(
        (unknown.code, unknown.message.as_str()),
        (RefusalCode::NoSession, "no session begins with lantern")
    );
    let hint = unknown.hint.unwrap_or_default();
    assert!(hint.contains(FIRST) && !hint.contains(SECOND), "{hint}");
    let (fine, said) = ctl(&rig, &["--conversation", "tg:1", "resume", &FIRST[..12].to_uppercase()]).await?;
    assert!(fine && said.contains("goes on with session aaaaaaaa"), "{said}");
    assert_eq!(last_said(&rig, &talk).await?, ["The lantern is blue"]);
    talk.say(&format!("{}\n!text Gone on with", bash("pwd > $CWD/where"))).await?;
    assert_eq!(last_said(&rig, &talk).await?, ["The lantern is blue", "Gone on with"]);
    remembers(&rig, &kind, "The lantern is blue")?;
    assert_eq!(talk.session().await?, FIRST);
    assert_eq!(std::fs::read_to_string(dir.join("one/where"))?.trim_end(), dir.join("one").to_string_lossy());
    let listed = list(&rig, None, Some("lantern")).await?.pop().context("it is listed")?;
    assert_eq!(listed.summary.conversation.as_ref(), Some(talk.key()));
    rig.finish().await
}

async fn a_session_open_elsewhere_is_told_and_left_alone(kind: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(kind.clone()).start().await?;
    let folder = rig.places.dir().canonicalize()?.join("desk");
    made_elsewhere(&rig, &folder, FIRST, "!text The lantern is blue").await?;
    let terminal = Terminal::open(&rig, &kind, &folder, FIRST).await?;
    assert_eq!(open(&rig, FIRST).await?, [terminal.pid]);
    let (_, said) = ctl(&rig, &["sessions"]).await?;
    assert!(said.contains(&format!("[open in a terminal, pid {}]", terminal.pid)), "{said}");
    let talk = rig.talk("tg:1");
    let refusal = resume(&rig, &talk, FIRST, false).await.expect_err("it is open");
    assert_eq!(refusal.code, RefusalCode::SessionOpen);
    assert_eq!(refusal.message, format!("the session is open in a terminal, pid {}", terminal.pid));
    assert!(refusal.hint.as_deref().unwrap_or_default().contains("--force"), "{refusal:?}");
    // Taken over it is gone on with, also after the daemon was killed.
    resume(&rig, &talk, FIRST, true).await?;
    talk.say("!text Taken over").await?;
    remembers(&rig, &kind, "The lantern is blue")?;
    assert_eq!(open(&rig, FIRST).await?, [terminal.pid], "ours is not told");
    terminal.kill().await?;
    assert_eq!(open(&rig, FIRST).await?, [0; 0]);
    rig.finish().await
}

async fn a_session_taken_over_at_the_desk_is_not_forked(kind: Claude) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(kind.clone()).idle_exit(Duration::from_millis(300)).start().await?;
    let folder = rig.places.work().canonicalize()?;
    let talk = rig.talk("tg:1");
    talk.say("!text The lantern is blue").await?;
    let session = talk.session().await?;
    talk.closed().await?;
    let terminal = Terminal::open(&rig, &kind, &folder, &session).await?;
    let starts = |rig: &Rig| {
        let started = |event: &Event| matches!(event, Event::ProcessStarted(_));
        rig.events.log().envelopes().filter(|envelope| started(&envelope.event)).count()
    };
    let before = starts(&rig);
    for restart in [false, true] {
        if restart {
            rig.kill_daemon().await?;
            rig.restart_daemon().await?;
        }
        let prompt = talk.send("!text Not now").await?;
        let outcome = rig.events.ended(prompt).await?;
        let PromptOutcome::Failed(why) = outcome else { anyhow::bail!("the prompt ended {outcome:?}") };
        assert!(why.contains(&format!("its session is open in a terminal, pid {}", terminal.pid)), "{why}");
        assert!(why.contains(&format!("`carcin-ctl resume {} --force`", &session[..8])), "{why}");
    }
    assert_eq!(starts(&rig), before, "no second Claude");
    assert_eq!(talk.session().await?, session, "it is still the conversation's");
    // Asked to, it takes the session over from this very process.
    resume(&rig, &talk, &session[..8], true).await?;
    talk.say("!text Taken over").await?;
    talk.closed().await?;
    rig.kill_daemon().await?;
    rig.restart_daemon().await?;
    talk.say("!text Taken over for good").await?;
    talk.closed().await?;
    terminal.kill().await?;
    // From another one it does not.
    let terminal = Terminal::open(&rig, &kind, &folder, &session).await?;
    let prompt = talk.send("!text Not now").await?;
    let outcome = rig.events.ended(prompt).await?;
    assert!(matches!(outcome, PromptOutcome::Failed(_)), "{outcome:?}");
    terminal.kill().await?;
    talk.say("!text What was it?").await?;
    remembers(&rig, &kind, "The lantern is blue")?;
    assert!(!rig.asked()?.iter().any(|prompt| prompt == "!text Not now"));
    rig.finish().await
}

async fn our_own_claudes_are_not_elsewhere(kind: Claude) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(kind).start().await?;
    let talk = rig.talk("tg:1");
    talk.say("!text Hello").await?;
    let session = talk.session().await?;
    assert_eq!(open(&rig, &session).await?, [0; 0]);
    rig.kill_daemon().await?;
    rig.restart_daemon().await?;
    assert_eq!(open(&rig, &session).await?, [0; 0], "nor is one that was taken up");
    resume(&rig, &talk, &session, false).await?;
    assert_eq!(talk.say("!text Again").await?, ["Again"]);
    rig.finish().await
}

async fn a_session_whose_folder_is_gone_is_not_resumed(kind: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(kind).start().await?;
    let folder = rig.places.dir().canonicalize()?.join("gone");
    made_elsewhere(&rig, &folder, FIRST, "!text Hello").await?;
    std::fs::remove_dir_all(&folder)?;
    let talk = rig.talk("tg:1");
    let refusal = resume(&rig, &talk, FIRST, true).await.expect_err("its folder is gone");
    assert_eq!(refusal.message, format!("the session's folder {} does not exist any more", folder.display()));
    std::fs::create_dir(&folder)?;
    resume(&rig, &talk, FIRST, false).await?;
    assert_eq!(talk.say("!text Again").await?, ["Again"]);
    rig.finish().await
}

/// As a person works: typed in a terminal, left, and gone on with from the phone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real Claude Code CLI: set CARCIN_REAL_CLAUDE"]
async fn a_real_session_typed_in_a_terminal_is_gone_on_with() {
    run(async {
        let rig = Rig::builder().claude(Claude::Real).start().await?;
        let folder = rig.places.dir().canonicalize()?.join("desk");
        std::fs::create_dir(&folder)?;
        is_no_newcomer(&rig.places.home(), &folder)?;
        let program = format!("exec '{}' --session-id {FIRST}", rig.claude().display());
        let mut script = claude(&rig, Path::new("script"), &folder);
        script.args(["--quiet", "--flush", "--command", &program, "/dev/null"]).env("TERM", "xterm-256color");
        let screen = rig.places.dir().join("screen");
        let mut child = script.stdin(Stdio::piped()).stdout(std::fs::File::create(&screen)?).spawn()?;
        let mut keys = child.stdin.take().context("a pipe")?;
        let shows = |what: &str| {
            let text = std::fs::read(&screen).ok()?;
            String::from_utf8_lossy(&text).contains(what).then_some(())
        };
        eventually("the terminal to listen", || shows("❯")).await?;
        keys.write_all(b"Remember the lantern").await?;
        eventually("what was typed to be seen", || shows("lantern")).await?;
        let entered = async {
            // Too close to the text it would be taken for a line break; without a text it does nothing.
            while rig.model.prompts().is_empty() {
                keys.write_all(b"\r").await?;
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE, entered).await.context("the model is not asked")??;
        let listed =
            eventually_asking("it to be listed", async || list(&rig, None, None).await.ok()?.pop()).await?;
        assert_eq!(listed.summary.session.as_str(), FIRST);
        assert_eq!(listed.first_prompt.as_deref(), Some("Remember the lantern"));
        assert_eq!(listed.open.len(), 1, "it is open in the terminal");
        let talk = rig.talk("tg:1");
        let refusal = resume(&rig, &talk, FIRST, false).await.expect_err("it is open");
        assert_eq!(refusal.code, RefusalCode::SessionOpen);
        // It leaves as it is told to, and takes its file with it.
        let pid = nix::unistd::Pid::from_raw(listed.open[0].pid.cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
        tokio::time::timeout(PATIENCE, child.wait()).await??;
        assert_eq!(open(&rig, FIRST).await?, [0; 0]);
        resume(&rig, &talk, &FIRST[..8], false).await?;
        assert_eq!(talk.say("!text What was it?").await?, ["What was it?"]);
        remembers(&rig, &Claude::Real, "Remember the lantern")?;
        rig.finish().await
    })
    .await;
}
