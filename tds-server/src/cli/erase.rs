//! `erase`: removes the data of a person.

use clap::Args;
use tds_core::{
    images::ImageFiles as _,
    privacy::{Eraser, Erasure},
    record::{EntityType, RecordId, RecordKey},
};
use time::format_description::well_known::Rfc3339;

use super::{
    exit::{CommandResult, Failure},
    output,
    settings::{DATABASE, ENTITIES, IMAGES, flags},
    store::Store,
};
use crate::{app::refusal::Refusal, http::dto};

/// Remove a person's data from the database, and keep it from coming back
#[derive(Args)]
#[command(args = flags(&[IMAGES, ENTITIES, DATABASE]), after_help = "Examples:\n  tds-server erase customers 460000000026049\n  \
    tds-server erase customers 460000000026049 --undo\n\n\
    The row stays as an empty tombstone, and documents keep their amounts without the person's name and address. The \
    file of a product's image is removed from TDS_IMAGE_STORE. Later reads of the record are ignored until the erasure \
    is undone. Zoho itself, backups and the logs are not changed: see docs/operations/privacy.md.")]
pub(crate) struct EraseArgs {
    /// Entity type of the record, such as customers
    entity: EntityType,
    /// Id of the record in Zoho
    zoho_id: String,
    /// Let the record return with its next sync
    #[arg(long)]
    undo: bool,
    /// Who asked for it, for the record of the erasure
    #[arg(long, value_name = "NAME", default_value = "the command line")]
    by: String,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl EraseArgs {
    pub(crate) async fn run(self, store: &Store) -> CommandResult {
        let known = store.catalogue().find(&self.entity);
        let Some(descriptor) = known.filter(|descriptor| descriptor.schema.head.is_some()) else {
            let heads = store.catalogue().iter().filter(|it| it.schema.head.is_some());
            let names: Vec<&str> = heads.map(tds_zoho::entities::Descriptor::name).collect();
            return Err(Failure::usage(format!(
                "{} has no records of its own: erase takes {}",
                self.entity,
                names.join(", ")
            )));
        };
        let (eraser, id) = (store.eraser(), RecordId::new(self.zoho_id.as_str()));
        let schemas = store.catalogue().showing(descriptor);
        let entities: Vec<EntityType> = schemas.iter().map(|schema| schema.entity.clone()).collect();
        if self.undo {
            if !eraser.allow_return(&entities, &id, &self.by).await? {
                return Err(Failure::failed(format!("{} {id} is not erased", self.entity)));
            }
            output::talk(&format!("{} {id} returns with its next sync", self.entity));
            return Ok(());
        }
        if !self.yes {
            let question = format!(
                "Everything that says who {} {id} is will be removed for good from {}.",
                self.entity, store.place
            );
            output::confirm(&question, false)?;
        }
        let erasure = eraser.erase(&schemas, &id, &self.by).await?;
        let erasure =
            erasure.ok_or_else(|| Refusal::NoRecord(RecordKey::new(self.entity.clone(), id.clone())))?;
        let also: Vec<String> = entities.iter().skip(1).map(EntityType::to_string).collect();
        if self.json {
            output::json(&dto::Erasure::from((erasure, also)))?
        } else {
            print(&erasure, &also)?
        }
        for entity in entities {
            remove_files(store, &*eraser, &RecordKey::new(entity, id.clone())).await?;
        }
        Ok(())
    }
}

/// Removes the files of the record's image. What could not be removed is removed by the same command later.
async fn remove_files(store: &Store, eraser: &dyn Eraser, key: &RecordKey) -> CommandResult {
    let files = eraser.files(key).await?;
    let place = if files.is_empty() { None } else { store.image_files()? };
    for file in files.iter().filter(|file| !file.is_shared) {
        let removed = match &place {
            Some(place) => place.remove(&file.location).await?,
            None => false,
        };
        if !removed {
            return Err(Failure::failed(format!(
                "the data is erased, but the file {} stays, because it is not in the place that TDS_IMAGE_STORE names: \
                 run the same command with that place, or delete the file",
                file.location
            )));
        }
    }
    Ok(eraser.forget_files(key).await?)
}

/// `also`: the other entity types that show the record, under which it is erased as well.
fn print(erasure: &Erasure, also: &[String]) -> CommandResult {
    let counts = erasure.counts;
    let also = if also.is_empty() { String::new() } else { format!(" (also as one of {})", also.join(", ")) };
    let at = erasure.erased_at.format(&Rfc3339).unwrap_or_default();
    output::data(&format!(
        "{}{also} erased at {at} by {}\nrows       {}\ndocuments  {}\nevents     {}\nitems      {}\nchanges    {}\nfindings   {}\nfiles      {}\n",
        erasure.key,
        erasure.erased_by,
        counts.rows,
        counts.documents,
        counts.events,
        counts.items,
        counts.changes,
        counts.findings,
        counts.files
    ))
}
