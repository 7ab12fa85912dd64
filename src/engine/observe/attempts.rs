//! Every attempt to deliver an alert, and what people said about it.

use serde::Serialize;

use super::cut;
use super::rows::{AlertNoteRow, AttemptRow, Said};
use crate::domain::{Action, AlertId, Refusal};
use crate::engine::status::blocking;
use crate::engine::types::Who;
use crate::engine::{Attempt, Caller, Delivery, Engine, Error, Result};

/// Attempts of one alert that are kept: the last ones.
const ATTEMPTS_MAX: u64 = 50;
/// Comments on one alert.
const COMMENTS_MAX: usize = 100;
const COMMENT_CHARS_MAX: usize = 1000;

/// One attempt.
#[derive(Clone, Debug, Serialize)]
pub struct AttemptView {
    /// When, ms since 1970.
    pub at_ms: i64,
    /// What was sent, secrets masked; empty where nothing was.
    pub request: String,
    /// HTTP status of the answer, where one came.
    pub status: Option<u16>,
    /// Its first bytes, secrets masked.
    pub answer: String,
    /// What it came to.
    pub outcome: String,
    /// Whether it was delivered.
    pub delivered: bool,
}

/// Something that somebody said.
#[derive(Clone, Debug, Serialize)]
pub struct CommentView {
    /// Who.
    pub by: String,
    /// When, ms since 1970.
    pub at_ms: i64,
    /// What.
    pub text: String,
}

/// All that is known about one alert beside its row.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NoteView {
    /// Attempts, the oldest first; the last 50.
    pub attempts: Vec<AttemptView>,
    /// Who has acknowledged it, and when, ms since 1970.
    pub acknowledged: Option<CommentView>,
    /// Comments, the oldest first.
    pub comments: Vec<CommentView>,
}

/// An attempt that was made.
pub(in crate::engine) struct Tried {
    pub alert: AlertId,
    /// Which of the alert's, from 1.
    pub number: u32,
    pub attempt: Attempt,
}

/// Writes an attempt down. What cannot be written is logged: the alert's way goes on.
pub(in crate::engine) async fn keep_attempt(engine: &Engine, tried: Tried) {
    let Tried { alert, number, attempt } = tried;
    let at_ms = engine.now().millis();
    let row = AttemptRow {
        at_ms,
        request: attempt.request,
        status: attempt.status,
        answer: attempt.answer,
        delivered: attempt.delivery == Delivery::Delivered,
        outcome: match attempt.delivery {
            Delivery::Delivered => "delivered".to_owned(),
            Delivery::Result(result) => format!("Result {result}"),
            Delivery::Failed(why) => why,
        },
    };
    let of = engine.clone();
    // By time: an alert that is sent again by hand counts its attempts from 1 anew.
    let key = (alert.get(), u64::try_from(at_ms).unwrap_or(0).saturating_mul(64) + u64::from(number % 64));
    let kept = blocking(move || {
        of.inner.books.change(|changes| {
            changes.put(&key, &row)?;
            Ok::<_, Error>(())
        })?;
        let mut all = of.inner.books.scan::<AttemptRow>(&(alert.get(), 0), |key, _| key.0 == alert.get())?;
        let over = all.len().saturating_sub(usize::try_from(ATTEMPTS_MAX).unwrap_or(usize::MAX));
        if over > 0 {
            all.truncate(over);
            of.inner.books.change(|changes| {
                for (key, _) in &all {
                    changes.remove::<AttemptRow>(key)?;
                }
                Ok::<_, Error>(())
            })?;
        }
        Ok(())
    });
    if let Err(error) = kept.await {
        tracing::warn!(alert = alert.get(), %error, "an attempt was not written down");
    }
}

/// Who has acknowledged an alert. Blocks.
pub(in crate::engine) fn acknowledged(engine: &Engine, id: AlertId) -> Result<Option<Said>> {
    Ok(engine.inner.books.get::<AlertNoteRow>(&id.get())?.and_then(|note| note.acknowledged))
}

fn comment(said: Said) -> CommentView {
    CommentView { by: said.by, at_ms: said.at_ms, text: said.text }
}

impl Engine {
    /// The attempts of an alert and what was said about it. [`Refusal::NoFile`] where there is no such alert.
    pub async fn alert_note(&self, caller: &Caller, id: u64) -> Result<NoteView> {
        let scope = caller.must(Action::SeeAlerts)?;
        let engine = self.clone();
        blocking(move || {
            let (account, _) = engine.alert_of(id)?;
            if scope.is_some_and(|own| own != account) {
                return Err(Refusal::NoFile.into());
            }
            let rows = engine.inner.books.scan::<AttemptRow>(&(id, 0), |key, _| key.0 == id)?;
            let attempts = rows.into_iter().map(|(_, row)| AttemptView {
                at_ms: row.at_ms,
                request: row.request,
                status: row.status,
                answer: row.answer,
                outcome: row.outcome,
                delivered: row.delivered,
            });
            let note: AlertNoteRow = engine.inner.books.get(&id)?.unwrap_or_default();
            Ok(NoteView {
                attempts: attempts.collect(),
                acknowledged: note.acknowledged.map(comment),
                comments: note.comments.into_iter().map(comment).collect(),
            })
        })
        .await
    }

    /// Whether an alert is there, and whose.
    fn alert_of(&self, id: u64) -> Result<(crate::domain::AccountId, AlertId)> {
        let id = AlertId::new(id);
        let row = self.inner.store.view()?.alert(id)?.ok_or(Refusal::NoFile)?;
        Ok((row.account, id))
    }

    /// Acknowledges an alert, or takes that back.
    pub async fn acknowledge_alert(&self, caller: &Caller, id: u64, acknowledged: bool) -> Result<()> {
        let by = said_by(caller);
        self.change_note(caller, id, move |note, at_ms| {
            note.acknowledged = acknowledged.then(|| Said { by, at_ms, text: String::new() });
        })
        .await
    }

    /// Says something about an alert: up to 1000 characters, 100 times; the oldest goes then.
    pub async fn comment_on_alert(&self, caller: &Caller, id: u64, text: &str) -> Result<()> {
        let (by, text) = (said_by(caller), cut(text.trim(), COMMENT_CHARS_MAX).to_owned());
        self.change_note(caller, id, move |note, at_ms| {
            if !text.is_empty() {
                note.comments.push(Said { by, at_ms, text });
                if note.comments.len() > COMMENTS_MAX {
                    note.comments.remove(0);
                }
            }
        })
        .await
    }

    async fn change_note(
        &self,
        caller: &Caller,
        id: u64,
        change: impl FnOnce(&mut AlertNoteRow, i64) + Send + 'static,
    ) -> Result<()> {
        caller.must_everywhere(Action::ManageAlerts)?;
        let engine = self.clone();
        blocking(move || {
            engine.alert_of(id)?;
            let at_ms = engine.now().millis();
            engine.inner.books.change(|changes| {
                let mut note: AlertNoteRow = changes.get(&id)?.unwrap_or_default();
                change(&mut note, at_ms);
                changes.put(&id, &note)?;
                Ok(())
            })
        })
        .await
    }
}

fn said_by(caller: &Caller) -> String {
    match &caller.who {
        Who::User { name, .. } => name.as_ref().to_owned(),
        Who::Operator | Who::Camera { .. } | Who::Administrator { .. } | Who::Platform { .. } => "operator".to_owned(),
    }
}
