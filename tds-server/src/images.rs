//! The place of product images: a folder, or a bucket with the API of Amazon S3.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use object_store::{
    Attribute, Attributes, ClientOptions, ObjectStore, ObjectStoreExt as _, PutOptions, PutPayload,
    RetryConfig, aws::AmazonS3Builder, local::LocalFileSystem, path::Path,
};
use secrecy::{ExposeSecret as _, SecretString};
use tds_core::{
    error::{Error, ErrorKind, Result, Retry},
    images::{ImageFile, ImageFiles},
};
use uuid::Uuid;

use crate::config::{BucketConfig, ImagePlace, ImageStoreConfig};

/// The time limit for opening a connection to a bucket.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// The time limit of one request to a bucket.
const REQUEST_TIME: Duration = Duration::from_secs(60);
/// How often a request to a bucket is repeated. The run that waits for the request repeats it as well.
const REPEATS: usize = 2;
/// The maximum number of characters of an error.
const MESSAGE_LENGTH: usize = 300;

/// The files of product images.
pub(crate) struct ImageStore {
    objects: Arc<dyn ObjectStore>,
    base: String,
    prefix: Path,
    /// Whether an object has a media type. A file has none.
    has_types: bool,
    /// What no error may show.
    secrets: Vec<SecretString>,
}

impl ImageStore {
    /// Opens the place. Nothing is sent or created.
    ///
    /// # Errors
    /// Kind `Config`: the place cannot be used.
    pub(crate) fn open(config: &ImageStoreConfig) -> Result<Self> {
        let refused = |fault: &dyn std::error::Error| {
            Error::config(format!("TDS_IMAGE_STORE: found {}; it cannot be used: {fault}", config.base))
        };
        let base = config.base.clone();
        Ok(match &config.place {
            ImagePlace::Folder(folder) => {
                let prefix = Path::from_absolute_path(folder).map_err(|fault| refused(&fault))?;
                // A file that is recorded must be there even after the machine lost its power.
                let objects = Arc::new(LocalFileSystem::new().with_fsync(true));
                Self { objects, base, prefix, has_types: false, secrets: Vec::new() }
            }
            ImagePlace::Bucket(bucket) => {
                let objects = Arc::new(builder(bucket).build().map_err(|fault| refused(&fault))?);
                let keys = bucket.keys.clone();
                let secrets = keys.map(|keys| [Some(keys.id), Some(keys.secret), keys.session]);
                let secrets = secrets.into_iter().flatten().flatten().collect();
                Self { objects, base, prefix: Path::from(bucket.path.as_str()), has_types: true, secrets }
            }
        })
    }

    /// Writes, reads and deletes an object.
    ///
    /// # Errors
    /// One of these is not possible.
    pub(crate) async fn probe(&self) -> Result<()> {
        let path = self.path(&format!(".tds-check-{}", Uuid::new_v4()));
        let text = b"written by tds-server check".as_slice();
        let written = self.objects.put(&path, PutPayload::from_static(text)).await;
        written.map_err(|fault| self.error("writing", fault))?;
        let read = async { self.objects.get(&path).await?.bytes().await }.await;
        let deleted = self.objects.delete(&path).await;
        if read.map_err(|fault| self.error("reading", fault))? != text {
            return Err(Error::internal(format!("{} returned something else than was written", self.base)));
        }
        deleted.map_err(|fault| self.error("deleting", fault))
    }

    fn path(&self, key: &str) -> Path {
        key.split('/').fold(self.prefix.clone(), |path, part| path.join(part))
    }

    fn error(&self, doing: &str, fault: object_store::Error) -> Error {
        use object_store::Error as Fault;
        let mut text = fault.to_string();
        let mut cause = std::error::Error::source(&fault);
        while let Some(source) = cause {
            let further = source.to_string();
            if !text.contains(&further) {
                text = format!("{text}: {further}");
            }
            cause = source.source();
        }
        for secret in &self.secrets {
            text = text.replace(secret.expose_secret(), "[hidden]");
        }
        let visible = text.chars().map(|character| if character.is_control() { ' ' } else { character });
        let text: String = visible.take(MESSAGE_LENGTH).collect();
        let is_permanent = matches!(
            fault,
            Fault::NotFound { .. }
                | Fault::InvalidPath { .. }
                | Fault::NotSupported { .. }
                | Fault::NotImplemented { .. }
                | Fault::PermissionDenied { .. }
                | Fault::Unauthenticated { .. }
                | Fault::UnknownConfigurationKey { .. }
        );
        let retry = if is_permanent { Retry::Permanent } else { Retry::Transient { retry_after: None } };
        let message = format!("the image store {} failed at {doing} a file: {}", self.base, text.trim());
        Error::new(ErrorKind::Unavailable, retry, message)
    }
}

#[async_trait]
impl ImageFiles for ImageStore {
    fn base(&self) -> &str {
        &self.base
    }

    async fn put(&self, file: ImageFile) -> Result<String> {
        let key = file.key();
        let mut attributes = Attributes::new();
        if self.has_types {
            attributes.insert(Attribute::ContentType, file.kind.as_str().into());
        }
        let options = PutOptions { attributes, ..PutOptions::default() };
        let written = self.objects.put_opts(&self.path(&key), PutPayload::from(file.bytes), options).await;
        written.map_err(|fault| self.error("writing", fault))?;
        Ok(format!("{}{key}", self.base))
    }

    async fn remove(&self, location: &str) -> Result<bool> {
        let Some(key) = location.strip_prefix(&self.base) else { return Ok(false) };
        match self.objects.delete(&self.path(key)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(true),
            Err(fault) => Err(self.error("deleting", fault)),
        }
    }
}

fn builder(bucket: &BucketConfig) -> AmazonS3Builder {
    let allow_http = bucket.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http:"));
    let options = ClientOptions::new()
        .with_connect_timeout(CONNECT_TIME)
        .with_timeout(REQUEST_TIME)
        .with_allow_http(allow_http);
    let retry = RetryConfig { max_retries: REPEATS, retry_timeout: REQUEST_TIME, ..RetryConfig::default() };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&bucket.name)
        .with_region(&bucket.region)
        .with_client_options(options)
        .with_retry(retry);
    if let Some(endpoint) = &bucket.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(keys) = &bucket.keys {
        builder = builder
            .with_access_key_id(keys.id.expose_secret())
            .with_secret_access_key(keys.secret.expose_secret());
        if let Some(session) = &keys.session {
            builder = builder.with_token(session.expose_secret());
        }
    }
    builder
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::config::{Config, Need};

    fn store(settings: &[(&str, &str)]) -> ImageStore {
        let lookup = |name: &str| {
            settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let config = Config::from_lookup(lookup, Need::Database).expect("a valid configuration");
        ImageStore::open(&config.images.store.expect("a store")).expect("opened")
    }

    #[tokio::test]
    async fn a_folder_is_made_when_the_first_file_is_written() {
        let directory = TempDir::new().expect("a directory");
        let folder = directory.path().join("of the shop").join("images");
        let url = format!("file://{}", folder.display());
        let store = store(&[("TDS_IMAGE_STORE", &url)]);
        assert!(!folder.exists());
        let file = ImageFile::new(b"GIF89a".to_vec(), None).expect("a GIF");
        for _ in 0..2 {
            let location = store.put(file.clone()).await.expect("written");
            assert_eq!(location, format!("{}{}", store.base(), file.key()));
            let path = reqwest::Url::parse(&location).expect("a URL").to_file_path().expect("a path");
            assert_eq!(std::fs::read(path).expect("a file"), b"GIF89a");
        }
        store.probe().await.expect("it works");
        let location = format!("{}{}", store.base(), file.key());
        assert!(!store.remove(&location.replace("file:///", "s3://")).await.expect("another place"));
        for _ in 0..2 {
            assert!(store.remove(&location).await.expect("removed, or gone"));
        }
        store.put(file.clone()).await.expect("written");
        assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), 1, "the probe left nothing");

        let blocked = directory.path().join("a file");
        std::fs::write(&blocked, "x").expect("written");
        let store = super::tests::store(&[("TDS_IMAGE_STORE", &format!("file://{}", blocked.display()))]);
        let error = store.put(file).await.expect_err("a file is no folder");
        assert!(error.to_string().contains("the image store file:///"), "{error}");
        assert!(store.probe().await.is_err());
    }

    #[tokio::test]
    async fn a_bucket_that_cannot_be_reached_is_an_error_without_secrets() {
        let store = store(&[
            ("TDS_IMAGE_STORE", "s3://shop-images/products"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1/canary-key"),
            ("AWS_ACCESS_KEY_ID", "canary-key"),
            ("AWS_SECRET_ACCESS_KEY", "canary-secret"),
        ]);
        assert_eq!(store.base(), "s3://shop-images/products/");
        let error = store.probe().await.expect_err("nothing answers");
        assert!(matches!(error.retry(), Retry::Transient { .. }), "{error:?}");
        assert!(error.to_string().contains("s3://shop-images/products/"), "{error}");
        assert!(!format!("{error:?}{}", error.chain()).contains("canary"), "{error:?}");
    }
}
