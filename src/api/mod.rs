//! The JSON API: on the Unix socket in the data directory for the operator, on the portal's listener for whoever has a
//! session there. One table (`table`) says what there is and who may.

mod alerts;
mod billing;
mod cameras;
mod client;
mod door;
mod files;
mod media;
mod office;
mod openapi;
mod operate;
mod reference;
mod refusal;
mod routes;
mod space;
mod statistics;
mod table;
mod types;
mod users;

pub use client::{Client, Download, Failure};
pub use reference::reference;
pub use routes::{Control, Reload, portal_router, router};
pub use types::{
    Acknowledge, AddUser, AuditRow, CertificateView, ChangePassword, ChooseFiles, Comment, DeleteChosen, KeyPair,
    LockFiles, ModifyAccount, ModifyCallback, ModifySubAccount, ModifyUser, NameCamera, OncePassword, OpenAccount,
    OpenSubAccount, OpenedAccount, PendingChanges, PendingKey, ReloadReport, Scrub, TakeBackup, TestAlert, Urls,
};
