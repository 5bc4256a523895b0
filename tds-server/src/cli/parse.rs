//! Parsers for the values of flags.

use std::{any::TypeId, ffi::OsStr, str::FromStr, time::Duration};

use clap::{
    Arg, Command,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use tds_core::record::{EntityType, InvalidEntityType};
use tds_zoho::entities::Catalogue;
use time::{Date, OffsetDateTime};

use crate::{
    app::runs::{parse_day, parse_since},
    config::parse_duration,
};

/// Parses one of a few values by its name. The error for any other text lists all names, and suggests the nearest one.
pub(crate) fn one_of<T, const N: usize>(
    all: [T; N],
    as_str: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T>
where
    T: Copy + Send + Sync + 'static,
{
    PossibleValuesParser::new(all.map(as_str))
        .try_map(move |text| all.into_iter().find(|value| as_str(*value) == text).ok_or("an unknown name"))
}

/// The entity type of an inbox event. The inbox also keeps events of kinds that no handler handles.
#[derive(Clone)]
pub(crate) struct EventEntity(pub(crate) EntityType);

impl FromStr for EventEntity {
    type Err = InvalidEntityType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// Makes every argument that is an entity type accept the names of the catalogue, in either spelling.
pub(crate) fn entities(command: Command, catalogue: &Catalogue) -> Command {
    let mut names: Vec<&'static str> = catalogue.names().collect();
    names.sort_unstable();
    with_names(command, &names)
}

fn with_names(command: Command, names: &[&'static str]) -> Command {
    let known = |arg: Arg| {
        let kind = arg.get_value_parser().type_id();
        if kind == TypeId::of::<EntityType>() {
            arg.value_parser(entity_among(names.iter().copied()))
        } else if kind == TypeId::of::<EventEntity>() {
            let unhandled = Catalogue::UNHANDLED.into_iter().filter(|name| !names.contains(name));
            arg.value_parser(entity_among(names.iter().copied().chain(unhandled)).map(EventEntity))
        } else {
            arg
        }
    };
    command.mut_args(known).mut_subcommands(|command| with_names(command, names))
}

fn entity_among(names: impl IntoIterator<Item = &'static str>) -> EntityParser {
    EntityParser(PossibleValuesParser::new(names))
}

/// Parses names of entity types, and accepts hyphens in place of underscores.
#[derive(Clone)]
struct EntityParser(PossibleValuesParser);

impl TypedValueParser for EntityParser {
    type Value = EntityType;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<EntityType, clap::Error> {
        let spelled = value.to_string_lossy().replace('-', "_");
        let name = self.0.parse_ref(command, argument, OsStr::new(&spelled))?;
        name.parse().map_err(|error| clap::Error::raw(clap::error::ErrorKind::InvalidValue, error))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        self.0.possible_values()
    }
}

/// Parses a duration such as `90s` or `30d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "use a duration such as 90s, 15m, 12h or 30d".to_owned())
}

/// Parses a time with its zone, or a date, which means its first moment in UTC.
pub(crate) fn time(text: &str) -> Result<OffsetDateTime, String> {
    parse_since(text)
        .ok_or_else(|| "use a time such as 2026-11-20T08:00:00Z, or a date such as 2026-11-20".to_owned())
}

/// Parses a day.
pub(crate) fn day(text: &str) -> Result<Date, String> {
    parse_day(text).ok_or_else(|| "use a date such as 2026-11-20".to_owned())
}

#[cfg(test)]
mod tests {
    use tds_core::{record::EntityType, runs::RunType};
    use time::macros::datetime;

    use clap::{Arg, Command, value_parser};
    use tds_zoho::entities::Catalogue;

    use super::{duration, entities, one_of, time};

    #[test]
    fn names_are_those_of_the_api() {
        let parse = |text: &str| {
            let parser = one_of([RunType::Full, RunType::Incremental], RunType::as_str);
            let command = Command::new("tds-server").arg(Arg::new("mode").value_parser(parser));
            let mut matches = command.try_get_matches_from(["tds-server", text])?;
            Ok::<_, clap::Error>(matches.remove_one::<RunType>("mode"))
        };
        assert_eq!(parse("incremental").ok().flatten(), Some(RunType::Incremental));
        let error = parse("all").expect_err("no mode").to_string();
        assert!(error.contains("full") && error.contains("incremental"), "{error}");
    }

    #[test]
    fn an_entity_type_is_understood_in_either_spelling_and_a_slip_is_corrected() {
        let parse = |text: &str| {
            let argument = Arg::new("entity").value_parser(value_parser!(EntityType));
            let command = entities(Command::new("tds-server").arg(argument), &Catalogue::default());
            let mut matches = command.try_get_matches_from(["tds-server", text])?;
            Ok::<_, clap::Error>(matches.remove_one::<EntityType>("entity"))
        };
        for text in ["credit_notes", "credit-notes"] {
            assert_eq!(parse(text).ok().flatten(), Some(EntityType::from_static("credit_notes")));
        }
        let error = parse("product").expect_err("no such type").to_string();
        assert!(error.contains("'products'") && error.contains("credit_notes"), "{error}");
    }

    #[test]
    fn a_time_needs_its_zone_and_a_date_means_midnight() {
        assert_eq!(time("2026-11-20T08:00:00+03:00"), Ok(datetime!(2026-11-20 05:00 UTC)));
        assert_eq!(time("2026-11-20"), Ok(datetime!(2026-11-20 00:00 UTC)));
        assert!(time("2026-11-20T08:00:00").is_err());
        assert!(duration("1 hour").is_err());
    }
}
