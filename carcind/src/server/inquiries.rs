//! The requests about where a conversation works: what has changed there, and which folders there are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use carcin_proto::inquiry::{FolderList, Folders, MAX_FOLDERS};
use carcin_proto::{ConversationKey, RefusalCode, Reply};

use super::Server;
use super::requests::{Answered, refuse};
use super::sessions::blocking;
use crate::folder;
use crate::store::Filter;
use crate::worktree::{self, WorktreeError};

/// How many folders of the latest sessions are offered.
const RECENT: usize = 10;
/// In how many of the latest sessions they are looked for.
const LATEST: u32 = 50;
/// The most entries of a folder that are looked at.
const MAX_ENTRIES: usize = 10_000;

impl Server {
    pub(super) async fn changes(&self, conversation: ConversationKey) -> Answered {
        let cwd = self.cwd(conversation).await?;
        let changes = worktree::changes(&cwd, &self.site.state_dir).await.map_err(|error| {
            let code = match error {
                WorktreeError::NoGit | WorktreeError::NoFolder(_) | WorktreeError::NoRepository(_) => {
                    RefusalCode::Invalid
                }
                WorktreeError::Slow | WorktreeError::Failed(_) => RefusalCode::Internal,
            };
            refuse(code, error.to_string())
        })?;
        Ok(Reply::Changes(Box::new(changes)))
    }

    pub(super) async fn folders(&self, folders: Folders) -> Answered {
        let path = match folders.path {
            Some(path) if path.is_absolute() => path,
            Some(path) => {
                let text = format!("{} is not an absolute path", path.display());
                return Err(refuse(RefusalCode::Invalid, text));
            }
            None => self.cwd(folders.conversation).await?,
        };
        let recent = self.recent_folders().await?;
        let listed = blocking(move || list(path, recent)).await?;
        Ok(Reply::Folders(listed.map_err(|why| refuse(RefusalCode::Invalid, why))?))
    }

    /// Where the latest sessions worked, each folder once, as far as they are still there.
    async fn recent_folders(&self) -> Result<Vec<PathBuf>, carcin_proto::Refusal> {
        let rows = self.rows(Filter::default(), 0, LATEST).await?.1;
        let mut seen = BTreeSet::new();
        let folders = rows.into_iter().filter_map(|row| row.cwd.map(PathBuf::from));
        Ok(folders.filter(|folder| seen.insert(folder.clone())).collect())
    }

    /// Where a conversation works, also one that has not been opened yet.
    async fn cwd(&self, conversation: ConversationKey) -> Result<PathBuf, carcin_proto::Refusal> {
        if let Some(known) = self.site.store.snapshot().conversations.get(&conversation) {
            return Ok(known.cwd.clone());
        }
        match self.conversations.find(conversation).await {
            Ok(handle) => handle.cwd().await,
            Err(refusal) if refusal.code == RefusalCode::NoConversation => Ok(self.site.working_dir.clone()),
            Err(refusal) => Err(refusal),
        }
    }
}

fn list(path: PathBuf, recent: Vec<PathBuf>) -> Result<FolderList, String> {
    let entries = std::fs::read_dir(&path).map_err(|error| folder::why_not(&path, &error))?;
    let named = entries.take(MAX_ENTRIES).flatten().filter(|entry| is_folder(&entry.path()));
    // A name that is not UTF-8 cannot be told, and so not be chosen.
    let names = named.filter_map(|entry| entry.file_name().into_string().ok());
    let mut folders: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
    folders.sort_by_key(|name| name.to_lowercase());
    let omitted = folders.len().saturating_sub(MAX_FOLDERS);
    folders.truncate(MAX_FOLDERS);
    Ok(FolderList {
        parent: path.parent().map(Path::to_owned),
        recent: recent.into_iter().filter(|folder| *folder != path && folder.is_dir()).take(RECENT).collect(),
        path,
        folders,
        omitted: u32::try_from(omitted).unwrap_or(u32::MAX),
    })
}

fn is_folder(path: &Path) -> bool {
    path.is_dir()
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn what_is_no_folder_to_work_in_is_told_apart() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path();
        assert_eq!(folder::check(path), Ok(()));
        let (gone, file) = (path.join("gone"), path.join("file"));
        std::fs::write(&file, "").expect("writes");
        let gone_is_told = format!("the folder {} does not exist", gone.display());
        assert_eq!(folder::check(&gone), Err(gone_is_told.clone()));
        assert_eq!(list(gone, Vec::new()).err(), Some(gone_is_told));
        assert_eq!(folder::check(&file), Err(format!("{} is not a folder", file.display())));
        // Whoever runs this may be root, to whom nothing is closed.
        let closed = folder::why_not(Path::new("/x"), &ErrorKind::PermissionDenied.into());
        assert_eq!(closed, "the folder /x is closed to carcind: permission denied");
    }
}
