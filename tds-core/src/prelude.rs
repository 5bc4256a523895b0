//! The names that most programs over the engine use: `use tds_core::prelude::*;`.

pub use crate::{
    clock::{Clock, SystemClock},
    engine::{Engine, RunSettings, Stores, WorkerSettings},
    error::{Error, ErrorKind, Result, Retry},
    handler::{BatchHandler, EntityHandler, Handled, MirrorHandler},
    inbox::{Disposition, Inbox, NewEvent},
    mirror::{Applied, Child, Mirror, MirrorSchema},
    queue::{Claimed, Lane, NewItem, Outcome, Queue, Waiter, Work, WorkerId},
    record::{
        Content, EntityType, Fields, Interval, Observed, Payload, Read, Record, RecordId, RecordKey, Shape,
    },
    runs::{NewRun, RunType, SyncRun, SyncRunOperator},
    shutdown::{Shutdown, ShutdownTrigger},
    source::{ListPage, ListRequest, Listed, Source},
};
