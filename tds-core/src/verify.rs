//! Verification: the comparison of the target with the source, field by field.
//!
//! A verification consists of one run of type [`RunType::Verify`](crate::runs::RunType::Verify) for each of its entity
//! types. A run compares every row of the list with the target, every record of the target with what the source sent
//! of it, and a random sample of whole records. What differs is looked at a second time before it is reported.

mod list_sums;
mod report;
mod store;

pub use self::{
    list_sums::ListSumsCheck,
    report::{
        DriftClass, EntityReport, Finding, MoneyDifference, MonthSums, VerificationReport, VerifiedRun,
        VerifyCounts,
    },
    store::{LocalRecord, Look, MoneyCheck, Suspect, VerifyOperator, VerifyStore},
};
