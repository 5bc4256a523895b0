//! Statuses: the call that leads from one to another.

use super::{
    call::{Purpose, WriteCall},
    contract::{Contract, Status, Transition},
    findings::Findings,
};
use crate::answer::Method;

/// Returns the call that gives a new record its status; `None` if Zoho gives it, or if the record has none.
pub(super) fn of_new(contract: &Contract, wanted: Option<&str>, found: &mut Findings) -> Option<WriteCall> {
    let (status, wanted) = (contract.status.as_ref()?, wanted?);
    if status.stated.is_some_and(|(stated, _)| stated == wanted) {
        return None;
    }
    // A status that Zoho derives needs a record in force: an invoice has to be sent before its payment makes it paid.
    let wanted = if status.derived.contains(&wanted) { status.in_force } else { wanted };
    leading(contract, status, None, Some(status.initial), wanted, found)
}

/// Returns the call that changes the status of a record.
pub(super) fn change(
    contract: &Contract,
    id: &str,
    from: Option<&str>,
    wanted: &str,
    found: &mut Findings,
) -> Option<WriteCall> {
    let status = contract.status.as_ref()?;
    if from != Some(wanted) && status.derived.contains(&wanted) {
        found.problem(format!("{} cannot become {wanted}: {}", status.column, status.reason));
        return None;
    }
    leading(contract, status, Some(id), from, wanted, found)
}

fn leading(
    contract: &Contract,
    status: &Status,
    id: Option<&str>,
    from: Option<&str>,
    wanted: &str,
    found: &mut Findings,
) -> Option<WriteCall> {
    if from == Some(wanted) {
        return None;
    }
    let leads = |from: &str, transition: &&Transition| transition.from.contains(&from);
    let to_wanted = || status.transitions.iter().filter(|transition| transition.to == wanted);
    let transition = match from {
        Some(from) => to_wanted().find(|transition| leads(from, transition)),
        None => to_wanted().next(),
    };
    let Some(transition) = transition else {
        let from = from.unwrap_or("its status");
        let ways: Vec<&str> = status.transitions.iter().map(|transition| transition.to).collect();
        let column = status.column;
        found.problem(format!(
            "{column} cannot change from {from} to {wanted}: Zoho has calls to {}",
            ways.join(", ")
        ));
        return None;
    };
    let purpose = Purpose::Action(transition.call);
    Some(WriteCall::on(contract, id, Method::Post, Some(transition.call), purpose))
}
