//! What has changed in the working tree of a folder: asked of git, which may be slow, huge or not there.
//!
//! Nothing is written into the repository, no lock is taken that Claude's own git could meet, and no program is run that
//! the repository names for showing a change. (Its filters for reading a file are, as by any `git status`.)

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use carcin_proto::inquiry::{Change, ChangedFile, Changes, MAX_CHANGED, MAX_PATCH};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::timeout;

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest list of files that is read, in bytes: far more than is told.
const MAX_LIST: usize = 8 * 1024 * 1024;
/// How much of a patch is counted beyond what is told, in bytes.
const MAX_COUNTED: usize = 64 * 1024 * 1024;
/// How much of git's complaint is read, in bytes.
const MAX_COMPLAINT: usize = 4 * 1024;

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorktreeError {
    /// There is no git.
    #[error("git is not installed")]
    NoGit,
    /// There is no folder.
    #[error("the folder {} does not exist", .0.display())]
    NoFolder(PathBuf),
    /// There is no repository.
    #[error("{} is not in a git repository", .0.display())]
    NoRepository(PathBuf),
    /// It takes too long.
    #[error("git did not answer within {} s", PATIENCE.as_secs())]
    Slow,
    /// Something else.
    #[error("git failed: {0}")]
    Failed(String),
}

impl From<io::Error> for WorktreeError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound { Self::NoGit } else { Self::Failed(error.to_string()) }
    }
}

/// What has changed in the working tree that `folder` is in, new files included. `scratch`: an existing folder for
/// what is needed meanwhile.
pub(crate) async fn changes(folder: &Path, scratch: &Path) -> Result<Changes, WorktreeError> {
    timeout(PATIENCE, look(folder, scratch)).await.map_err(|_| WorktreeError::Slow)?
}

/// The branch that is checked out in `folder`; `None`: none is, or nobody knows.
pub(crate) async fn branch(folder: &Path) -> Option<String> {
    let git = Git { root: folder.to_owned(), index: None };
    let branch = git.line(&["symbolic-ref", "--quiet", "--short", "HEAD"]).await.ok()?;
    Some(String::from_utf8_lossy(&branch).into_owned())
}

async fn look(folder: &Path, scratch: &Path) -> Result<Changes, WorktreeError> {
    if !folder.is_dir() {
        return Err(WorktreeError::NoFolder(folder.to_owned()));
    }
    let mut git = Git { root: folder.to_owned(), index: None };
    let root = match git.line(&["rev-parse", "--show-toplevel"]).await {
        Err(WorktreeError::Failed(_)) => return Err(WorktreeError::NoRepository(folder.to_owned())),
        root => root?,
    };
    git.root = PathBuf::from(OsString::from_vec(root));
    let branch = git.line(&["symbolic-ref", "--quiet", "--short", "HEAD"]).await.ok();
    let base = match git.line(&["rev-parse", "--verify", "--quiet", "HEAD"]).await {
        Ok(commit) => commit,
        // Nothing is committed yet.
        Err(_) => git.line(&["hash-object", "-t", "tree", "--stdin"]).await?,
    };
    let base = String::from_utf8_lossy(&base).into_owned();
    let listed = git.run(&["status", "--porcelain=v1", "-z", "--untracked-files=normal"], MAX_LIST).await?;
    let untracked = untracked(&listed.bytes);

    // In an index of our own the new files are there too, so that the diff has them.
    let index = tempfile::Builder::new().prefix("index-").tempfile_in(scratch)?;
    let theirs = git.line(&["rev-parse", "--git-path", "index"]).await?;
    let theirs = git.root.join(PathBuf::from(OsString::from_vec(theirs)));
    match tokio::fs::metadata(&theirs).await {
        // Git makes one where there is none, and does not take an empty file for it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => tokio::fs::remove_file(index.path()).await?,
        looked => {
            let modified = looked?.modified()?;
            tokio::fs::copy(&theirs, index.path()).await?;
            // Git looks into a file that changed as late as the index did, and only into these: a younger copy would hide it.
            index.as_file().set_modified(modified)?;
        }
    }
    git.index = Some(index.path().to_owned());
    git.run(&["add", "--all", "--intent-to-add", "--", "."], MAX_COMPLAINT).await?;
    let list = git.diff(&["--raw", "--numstat", "-z", &base], MAX_LIST).await?;
    let mut files = files(&list.bytes, &untracked);
    files.sort_by(|one, other| one.path.cmp(&other.path));
    let omitted = files.len().saturating_sub(MAX_CHANGED);
    files.truncate(MAX_CHANGED);
    let mut patch = git.diff(&["--patch", &base], MAX_PATCH).await?;
    if patch.omitted > 0 {
        let end = patch.bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        patch.omitted += (patch.bytes.len() - end) as u64;
        patch.bytes.truncate(end);
    }
    Ok(Changes {
        root: git.root,
        branch: branch.map(|name| String::from_utf8_lossy(&name).into_owned()),
        files,
        files_omitted: u32::try_from(omitted).unwrap_or(u32::MAX),
        patch: String::from_utf8_lossy(&patch.bytes).into_owned(),
        patch_omitted: patch.omitted,
    })
}

/// Git, in a folder, maybe with an index of ours.
struct Git {
    root: PathBuf,
    index: Option<PathBuf>,
}

/// What a program printed, up to a limit.
struct Printed {
    bytes: Vec<u8>,
    omitted: u64,
}

impl Git {
    async fn diff(&self, arguments: &[&str], limit: usize) -> Result<Printed, WorktreeError> {
        let fixed = ["diff", "--no-color", "--no-ext-diff", "--no-textconv", "--find-renames"];
        self.run(&[&fixed, arguments].concat(), limit).await
    }

    /// The only line that it prints.
    async fn line(&self, arguments: &[&str]) -> Result<Vec<u8>, WorktreeError> {
        let mut line = self.run(arguments, MAX_LIST).await?.bytes;
        line.truncate(line.trim_ascii_end().len());
        Ok(line)
    }

    async fn run(&self, arguments: &[&str], limit: usize) -> Result<Printed, WorktreeError> {
        let mut command = Command::new("git");
        command
            .args(["-c", "core.fsmonitor=false", "-c", "core.quotePath=false", "-c", "core.pager=cat"])
            .args(arguments)
            .current_dir(&self.root)
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("LC_ALL", "C")
            .env_remove("GIT_DIR")
            .env_remove("GIT_WORK_TREE")
            .env_remove("GIT_EXTERNAL_DIFF")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        match &self.index {
            Some(index) => command.env("GIT_INDEX_FILE", index),
            None => command.env_remove("GIT_INDEX_FILE"),
        };
        let mut child = command.spawn()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (printed, complaint) =
            tokio::join!(read(stdout, limit, MAX_COUNTED), read(stderr, MAX_COMPLAINT, MAX_COUNTED));
        let printed = printed?;
        // What is not read would keep it waiting for ever.
        if printed.omitted >= MAX_COUNTED as u64 {
            child.start_kill()?;
            let _ = child.wait().await;
            return Ok(printed);
        }
        let status = child.wait().await?;
        if !status.success() {
            let complaint = String::from_utf8_lossy(&complaint?.bytes).trim().to_owned();
            return Err(WorktreeError::Failed(if complaint.is_empty() {
                status.to_string()
            } else {
                complaint
            }));
        }
        Ok(printed)
    }
}

/// Reads up to `keep` bytes, and counts what comes after them, up to `count`.
async fn read(from: Option<impl AsyncRead + Unpin>, keep: usize, count: usize) -> io::Result<Printed> {
    let mut printed = Printed { bytes: Vec::new(), omitted: 0 };
    let Some(mut from) = from else { return Ok(printed) };
    (&mut from).take(keep as u64).read_to_end(&mut printed.bytes).await?;
    printed.omitted = tokio::io::copy(&mut from.take(count as u64), &mut tokio::io::sink()).await?;
    Ok(printed)
}

/// The paths that git does not know; a folder stands for all that is in it.
fn untracked(status: &[u8]) -> Vec<PathBuf> {
    let entries = status.split(|byte| *byte == 0);
    entries.filter_map(|entry| entry.strip_prefix(b"?? ")).map(path).collect()
}

fn path(bytes: &[u8]) -> PathBuf {
    // A path that is not UTF-8 cannot be told; this is for people to read.
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

/// The files that `--raw --numstat -z` lists: all of them, then the lines of each.
fn files(listed: &[u8], untracked: &[PathBuf]) -> Vec<ChangedFile> {
    let mut files = Vec::new();
    let mut fields = listed.split(|byte| *byte == 0);
    while let Some(field) = fields.next() {
        if field.starts_with(b":") {
            let letter = field.rsplit(|byte| *byte == b' ').next().and_then(|last| last.first()).copied();
            let (Some(letter), Some(mut name)) = (letter, fields.next()) else { break };
            if matches!(letter, b'R' | b'C') {
                name = fields.next().unwrap_or(name);
            }
            let path = path(name);
            let change = match letter {
                b'A' | b'C' if untracked.iter().any(|new| path.starts_with(new)) => Change::Untracked,
                b'A' | b'C' => Change::Added,
                b'D' => Change::Deleted,
                b'R' => Change::Renamed,
                b'U' => Change::Unmerged,
                _ => Change::Modified,
            };
            files.push(ChangedFile { path, change, added: None, removed: None });
            continue;
        }
        let mut columns = field.splitn(3, |byte| *byte == b'\t');
        let (Some(added), Some(removed), Some(name)) = (columns.next(), columns.next(), columns.next())
        else {
            continue;
        };
        let name = if name.is_empty() { fields.nth(1).unwrap_or_default() } else { name };
        let path = path(name);
        if let Some(file) = files.iter_mut().find(|file| file.path == path) {
            file.added = number(added);
            file.removed = number(removed);
        }
    }
    files
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Repository(tempfile::TempDir);

    impl Repository {
        fn new() -> Self {
            let this = Self(tempfile::tempdir().expect("a folder"));
            this.git(&["init", "--quiet", "--initial-branch=main"]);
            this
        }

        fn git(&self, arguments: &[&str]) {
            let done = std::process::Command::new("git")
                .args([
                    "-c",
                    "user.name=Ann",
                    "-c",
                    "user.email=ann@example.org",
                    "-c",
                    "commit.gpgSign=false",
                ])
                .args(arguments)
                .current_dir(self.0.path())
                .status()
                .expect("git runs");
            assert!(done.success(), "{arguments:?}");
        }

        fn write(&self, path: &str, text: impl AsRef<[u8]>) {
            let path = self.0.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, text).expect("written");
        }

        async fn changes(&self) -> Changes {
            let scratch = tempfile::tempdir().expect("a folder");
            let changes = changes(self.0.path(), scratch.path()).await.expect("git answers");
            assert_eq!(std::fs::read_dir(scratch.path()).expect("there").count(), 0, "nothing is left");
            changes
        }
    }

    fn told(changes: &Changes) -> Vec<String> {
        let told = |file: &ChangedFile| {
            format!("{:?} {} {:?} {:?}", file.change, file.path.display(), file.added, file.removed)
        };
        changes.files.iter().map(told).collect()
    }

    #[tokio::test]
    async fn each_kind_of_change_is_told_and_nothing_of_the_repository_changes() {
        let repository = Repository::new();
        for name in ["kept", "changed", "gone", "old name"] {
            repository.write(name, format!("one of {name}\ntwo of {name}\nthree of {name}\n"));
        }
        repository.git(&["add", "."]);
        repository.git(&["commit", "--quiet", "-m", "First"]);
        repository.write("changed", "one of changed\nTWO\nthree of changed\n");
        std::fs::remove_file(repository.0.path().join("gone")).expect("removed");
        repository.git(&["mv", "old name", "new näme"]);
        repository.write("staged", "x\n");
        repository.git(&["add", "staged"]);
        repository.write("fresh/deep/note.md", "a\nb\n");
        repository.write("picture.png", [0, 159, 146, 150]);
        repository.write(".gitignore", "secret\n");
        repository.write("secret", "not shown");
        let index = std::fs::read(repository.0.path().join(".git/index")).expect("an index");

        let changes = repository.changes().await;
        assert_eq!(
            told(&changes),
            [
                "Untracked .gitignore Some(1) Some(0)",
                "Modified changed Some(1) Some(1)",
                "Untracked fresh/deep/note.md Some(2) Some(0)",
                "Deleted gone Some(0) Some(3)",
                "Renamed new näme Some(0) Some(0)",
                "Untracked picture.png None None",
                "Added staged Some(1) Some(0)",
            ]
        );
        assert_eq!(changes.branch.as_deref(), Some("main"));
        assert!(changes.patch.contains("-two of changed\n+TWO\n"), "{}", changes.patch);
        assert!(
            changes.patch.contains("+++ b/fresh/deep/note.md\n@@ -0,0 +1,2 @@\n+a\n+b\n"),
            "{}",
            changes.patch
        );
        assert!(!changes.patch.contains("not shown"));
        assert_eq!(std::fs::read(repository.0.path().join(".git/index")).expect("an index"), index);
    }

    #[tokio::test]
    async fn before_the_first_commit_all_is_new() {
        let repository = Repository::new();
        assert_eq!(repository.changes().await.files, []);
        repository.write("a", "x\n");
        assert_eq!(told(&repository.changes().await), ["Untracked a Some(1) Some(0)"]);
        repository.git(&["add", "."]);
        assert_eq!(told(&repository.changes().await), ["Added a Some(1) Some(0)"]);
    }

    #[tokio::test]
    async fn a_patch_that_is_too_long_is_cut_at_a_line_and_counted() {
        let repository = Repository::new();
        let line = "0123456789abcde\n";
        repository.write("long", line.repeat(MAX_PATCH / line.len() + 100));
        let changes = repository.changes().await;
        assert!(changes.patch.len() <= MAX_PATCH && changes.patch.ends_with("abcde\n"));
        assert!(changes.patch_omitted > 100 * line.len() as u64, "{}", changes.patch_omitted);
    }

    #[tokio::test]
    async fn no_program_of_the_repository_is_run() {
        let repository = Repository::new();
        repository.write("a", "x\n");
        repository.git(&["add", "."]);
        repository.git(&["commit", "--quiet", "-m", "First"]);
        repository.write("a", "y\n");
        repository.write(".gitattributes", "a diff=evil\n");
        let trap = repository.0.path().join("trap");
        let evil = format!("touch {}", trap.display());
        for key in
            ["diff.external", "diff.evil.command", "diff.evil.textconv", "core.fsmonitor", "core.pager"]
        {
            repository.git(&["config", key, &evil]);
        }
        assert!(repository.changes().await.patch.contains("+y"));
        assert!(!trap.exists());
    }

    #[tokio::test]
    async fn a_folder_without_a_repository_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = changes(folder.path(), folder.path()).await.expect_err("there is none");
        assert_eq!(error.to_string(), format!("{} is not in a git repository", folder.path().display()));
        let gone = folder.path().join("gone");
        let error = changes(&gone, folder.path()).await.expect_err("there is none");
        assert_eq!(error.to_string(), format!("the folder {} does not exist", gone.display()));
    }
}
