//! The names that most programs over the engine use: `use tds_core::prelude::*;`.

pub use crate::{
    clock::{Clock, SystemClock},
    engine::{Engine, Stores, WorkerSettings},
    error::{Error, Result},
    handler::{EntityHandler, Handled},
    inbox::{Disposition, Inbox, NewEvent},
    mirror::{Applied, Mirror, MirrorSchema},
    queue::{Claimed, Lane, NewItem, Outcome, Queue, QueueOperator, Work, WorkKey},
    record::{
        Content, EntityType, Fields, Interval, Payload, Read, Record, RecordBuilder, RecordId, RecordKey,
    },
    retry::RetryPolicy,
    runs::{NewRun, RunType},
    source::{ListPage, ListRequest, Listed, Source, SourceProfile},
};
