//! The executor of the runs that download images.
//!
//! What is due follows from the rows of the store and not from the run. A run that ends early therefore loses nothing:
//! the next run continues with what is left.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{RunExecutor, patience::Patience};
use crate::{
    clock::Clock,
    error::{Error, Result, Retry},
    hint::Wording,
    images::{
        Candidate, Due, Fetched, ImageFile, ImageFiles, ImageRecord, ImageRecords, ImageSource, Look, due,
    },
    record::RecordId,
    runs::{Checkpoint, NewRun, PageCommit, RunEnd, RunLease, RunType, Selection, SyncRun},
};

/// The number of candidates that are read at once.
const CANDIDATES: usize = 500;
/// The number of images after which the progress is committed.
const IMAGES_PER_COMMIT: usize = 20;
/// How many images in a row are left for later because the source answers nobody. The source may seem to answer nobody
/// because of the first image that a run asks for; the next images show whether it does.
const LEFT_FOR_LATER: usize = 2;
/// How long a run waits for a source that answers nobody. After this, the run ends, and the next run continues.
const LONGEST_PAUSE: Duration = Duration::from_secs(900);
/// How much of the messages of failed images the run keeps.
const MESSAGES: usize = 3;

/// The executor of runs of type `images`. Such a run reads the images that are [due](fn@crate::images::due), writes each
/// file that is new, and then its row. A run with a selection of ids reads the images of these records, whether they are
/// due or not.
pub struct ImageDownloads {
    /// The runs.
    pub runs: Arc<dyn SyncRun>,
    /// Where images are read from.
    pub source: Arc<dyn ImageSource>,
    /// The rows of images.
    pub records: Arc<dyn ImageRecords>,
    /// The place of the files.
    pub files: Arc<dyn ImageFiles>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The wording of hints in the errors that are stored.
    pub wording: Wording,
}

#[async_trait]
impl RunExecutor for ImageDownloads {
    fn run_types(&self) -> &[RunType] {
        &[RunType::Images]
    }

    fn check(&self, run: &NewRun) -> Result<()> {
        if run.entity != *self.records.entity() {
            return Err(Error::invalid(format!("records of {} have no images", run.entity)));
        }
        if run.since.is_some() || run.selection.as_ref().is_some_and(|part| part.dates().is_some()) {
            return Err(Error::invalid("images are selected by the ids of their records only"));
        }
        Ok(())
    }

    async fn execute(&self, lease: &RunLease) -> Result<()> {
        let patience = Patience::of(lease.run.id, self.wording);
        let among = match &lease.run.selection {
            Some(Selection::Ids(ids)) => Some(ids.as_slice()),
            _ => None,
        };
        let checkpoint = lease.checkpoint.clone();
        let failed = usize::try_from(lease.run.failed_items).unwrap_or_default();
        let run = Download { parts: self, lease, patience, among };
        run.run(Progress { checkpoint, failed, ..Progress::default() }).await
    }
}

/// One run.
struct Download<'a> {
    parts: &'a ImageDownloads,
    lease: &'a RunLease,
    patience: Patience,
    /// The records that were selected. Their images are read even if they are not due.
    among: Option<&'a [RecordId]>,
}

/// How far a run is.
#[derive(Default)]
struct Progress {
    checkpoint: Checkpoint,
    /// The images since the last commit.
    done: Vec<RecordId>,
    /// The images that are left for later.
    later: Vec<Candidate>,
    /// The number of images that were left for later since the source last answered.
    unanswered: usize,
    /// The images of the run that could not be kept.
    failed: usize,
    messages: Vec<String>,
}

impl Download<'_> {
    async fn run(&self, mut progress: Progress) -> Result<()> {
        while !progress.checkpoint.listed {
            let after = progress.checkpoint.cursor.clone().map(RecordId::new);
            let read = || self.parts.records.candidates(after.as_ref(), self.among, CANDIDATES);
            let candidates = self.patience.store("looking for images that are due", read).await?;
            let is_last = candidates.len() < CANDIDATES;
            for candidate in candidates {
                progress.checkpoint.cursor = Some(candidate.id.as_str().to_owned());
                let longest =
                    if progress.unanswered < LEFT_FOR_LATER { Duration::ZERO } else { LONGEST_PAUSE };
                match self.handle(&candidate, longest).await {
                    Ok(look) => progress.add(candidate.id, look.as_ref()),
                    Err(error) if longest.is_zero() && concerns_everybody(&error) => {
                        progress.unanswered += 1;
                        progress.later.push(candidate);
                    }
                    Err(error) => return Err(error),
                }
                if progress.done.len() >= IMAGES_PER_COMMIT {
                    self.commit(&mut progress).await?;
                }
            }
            progress.checkpoint.listed = is_last;
        }
        for candidate in std::mem::take(&mut progress.later) {
            let look = self.handle(&candidate, LONGEST_PAUSE).await?;
            progress.add(candidate.id, look.as_ref());
        }
        self.commit(&mut progress).await
    }

    /// Does what is due about one image and stores the result. Returns `None` if nothing was due.
    async fn handle(&self, candidate: &Candidate, longest: Duration) -> Result<Option<Look>> {
        let Candidate { id, shown, kept } = candidate;
        let files = &self.parts.files;
        let look = match due(shown, kept.as_ref(), files.base(), self.parts.clock.now()) {
            Due::Remove => Look::Removed,
            Due::Nothing if self.among.is_none() || !shown.exists() => return Ok(None),
            Due::Nothing | Due::Look => self.look(candidate, longest).await?,
        };
        let record = ImageRecord { id: id.clone(), shown: shown.clone(), look };
        let write = || self.parts.records.record(&record);
        self.patience.store("storing the result of an image", write).await?;
        Ok(Some(record.look))
    }

    /// Reads an image and keeps its file. The row is written after this: a crash in between leaves a file without a row,
    /// which the next look finds there.
    async fn look(&self, candidate: &Candidate, longest: Duration) -> Result<Look> {
        let lane = self.lease.run.run_type.lane();
        let fetch = || self.parts.source.fetch(&candidate.id, lane);
        let fetched = match self.patience.record("reading an image", longest, fetch).await {
            Ok(fetched) => fetched,
            Err(error) => return self.failure(candidate, error),
        };
        let Fetched::File { bytes, content_type } = fetched else { return Ok(Look::Absent) };
        let file = match ImageFile::new(bytes, content_type.as_deref()) {
            Ok(file) => file,
            Err(error) => return self.failure(candidate, error),
        };
        let (kind, sha256) = (file.kind, file.sha256.clone());
        let byte_size = i64::try_from(file.bytes.len()).unwrap_or(i64::MAX);
        let location = match self.present(candidate, &sha256) {
            Some(location) => location,
            None => self.patience.place("keeping an image", || self.parts.files.put(file.clone())).await?,
        };
        Ok(Look::Kept { content_type: kind.as_str(), byte_size, sha256, location })
    }

    /// Returns where a file with this hash is kept already. An operator who names a record may do so because the file was
    /// lost, so that file is written again.
    fn present(&self, candidate: &Candidate, sha256: &str) -> Option<String> {
        let kept = candidate.kept.as_ref().filter(|kept| kept.sha256.as_deref() == Some(sha256))?;
        let is_here = |location: &&String| location.starts_with(self.parts.files.base());
        kept.location.as_ref().filter(|_| self.among.is_none()).filter(is_here).cloned()
    }

    /// Returns the result of a failed look. An error that is not about this image ends the run.
    fn failure(&self, candidate: &Candidate, error: Error) -> Result<Look> {
        if concerns_everybody(&error) {
            return Err(error);
        }
        let error = error.explain(self.parts.wording);
        tracing::warn!(run = %self.lease.run.id, record = %candidate.id, error, "an image could not be kept");
        Ok(Look::Failed { error })
    }

    /// Commits the images since the last commit. The last commit ends the run.
    async fn commit(&self, progress: &mut Progress) -> Result<()> {
        let (runs, id, token) = (&self.parts.runs, self.lease.run.id, self.lease.token);
        if !progress.messages.is_empty() {
            let end = RunEnd::RecordsFailed { failed: progress.failed, reason: progress.messages.join("\n") };
            let store = || runs.end_run(id, token, end.clone());
            self.patience.store("storing which images failed", store).await?;
        }
        progress.checkpoint.pages += 1;
        let page = PageCommit {
            listed: std::mem::take(&mut progress.done),
            items: Vec::new(),
            checkpoint: progress.checkpoint.clone(),
            last: progress.checkpoint.listed,
        };
        let commit = || runs.commit_page(id, token, page.clone());
        self.patience.store("committing the progress", commit).await.map(drop)
    }
}

/// Returns true for an error that is not about the image that was asked for.
fn concerns_everybody(error: &Error) -> bool {
    matches!(error.retry(), Retry::Throttled { .. } | Retry::AuthPaused { .. })
}

impl Progress {
    /// Adds the result of an image; `None` if nothing was due.
    fn add(&mut self, id: RecordId, look: Option<&Look>) {
        let Some(look) = look else { return };
        self.unanswered = 0;
        if let Look::Failed { error } = look {
            self.failed += 1;
            if self.messages.len() < MESSAGES {
                self.messages.push(format!("{id}: {error}"));
            }
        }
        self.done.push(id);
    }
}
